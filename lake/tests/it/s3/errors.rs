//! What every operation reports when S3 refuses or does not answer, and what it never reports.

use super::*;

/// The error of each operation, by the operation's name.
async fn every_operation(store: &S3Store) -> Vec<(&'static str, Error)> {
    let (path, other) = (&some_path(), &Path::from("other"));
    let paths = stream::iter([Ok(Path::from("a")), Ok(Path::from("b"))]).boxed();
    let range = GetOptions::new().with_range(Some(0..1));
    let operations = [
        ("get", async { store.get(path).await.err() }.boxed()),
        ("get a range", async { store.get_opts(path, range).await.err() }.boxed()),
        ("head", async { store.head(path).await.err() }.boxed()),
        ("put", async { store.put(path, "x".into()).await.err() }.boxed()),
        ("create", async { store.put_opts(path, "x".into(), create()).await.err() }.boxed()),
        ("list", async { store.list(None).try_collect::<Vec<_>>().await.err() }.boxed()),
        ("list after", async { store.list_with_offset(None, path).try_collect::<Vec<_>>().await.err() }.boxed()),
        ("list one level", async { store.list_with_delimiter(None).await.err() }.boxed()),
        ("delete one", async { store.delete(path).await.err() }.boxed()),
        ("delete several", async { store.delete_stream(paths).try_collect::<Vec<_>>().await.err() }.boxed()),
        ("copy", async { store.copy(path, other).await.err() }.boxed()),
        ("copy without replacing", async { store.copy_if_not_exists(path, other).await.err() }.boxed()),
        ("upload", async { store.put_multipart(path).await.err() }.boxed()),
    ];
    let errors = operations.map(|(name, operation)| async move { (name, operation.await.expect("an error")) });
    join_all(errors).await
}

#[tokio::test]
async fn every_operation_on_a_missing_bucket_says_that_it_is_missing() {
    let served = serve().await;
    let endpoint = served.server.endpoint();
    let store = S3Store::at("nowhere", &endpoint, credentials_of(SECRET_KEY)).unwrap();

    for (operation, error) in every_operation(&store).await {
        assert!(matches!(S3Failure::of(&error), Some(S3Failure::NoSuchBucket { .. })), "{operation}: {error}");
        assert!(error.to_string().contains("nowhere") && error.to_string().contains(&endpoint), "{error}");
    }
}

#[tokio::test]
async fn every_operation_with_wrong_credentials_says_so_without_the_secret() {
    let served = serve().await;
    let wrong = "wrong-and-secret-all-the-same";
    let store = S3Store::at(BUCKET, &served.server.endpoint(), credentials_of(wrong)).unwrap();

    for (operation, error) in every_operation(&store).await {
        assert!(matches!(error, Error::Unauthenticated { .. }), "{operation}: {error}");
        assert!(error.to_string().contains(&served.server.endpoint()), "{error}");
        assert!(!printed(&error).contains(wrong), "{}", printed(&error));
    }
}

#[tokio::test]
async fn every_operation_says_which_endpoint_does_not_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let store = S3Store::at(BUCKET, &endpoint, credentials_of(SECRET_KEY)).unwrap();

    for (operation, error) in every_operation(&store).await {
        let failure = S3Failure::of(&error).unwrap();
        let expected = match failure {
            S3Failure::UnknownOutcome { cause, .. } => operation == "create" && cause.is_retryable(),
            failure => matches!(failure, S3Failure::Unreachable { .. }),
        };
        assert!(expected, "{operation}: {error:?}");
        assert!(failure.is_retryable() && error.to_string().contains(&endpoint), "{error}");
        assert!(!printed(&error).contains(SECRET_KEY), "{}", printed(&error));
    }
}

#[tokio::test]
async fn a_refused_operation_is_a_lack_of_permission() {
    let server = Scripted::start(|_, _| refusal("403 Forbidden", "AccessDenied", "you may not")).await;

    let error = server.store().get(&some_path()).await.unwrap_err();

    assert!(matches!(error, Error::PermissionDenied { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_401_is_about_credentials_whatever_its_code() {
    let server = Scripted::start(|_, _| refusal("401 Unauthorized", "Whatever", "who are you")).await;

    let error = server.store().get(&some_path()).await.unwrap_err();

    assert!(matches!(error, Error::Unauthenticated { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_s3_does_not_make_keys_look_missing() {
    let server =
        Scripted::start(|_, _| answer("404 Not Found", "content-type: text/html\r\n", "<html>no</html>")).await;

    for error in
        [server.store().get(&some_path()).await.unwrap_err(), server.store().head(&some_path()).await.unwrap_err()]
    {
        assert!(!matches!(error, Error::NotFound { .. }), "{error}");
        assert!(error.to_string().contains("is this an S3 endpoint?"), "{error}");
    }
}

#[tokio::test]
async fn a_missing_key_is_not_found_by_get_and_head() {
    let served = serve().await;

    for error in [served.store.get(&some_path()).await.unwrap_err(), served.store.head(&some_path()).await.unwrap_err()]
    {
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_servers_words_lose_their_control_characters() {
    let message = format!("red&#27;[31m\n{}", "long".repeat(1_000));
    let server = Scripted::start(move |_, _| refusal("400 Bad Request", "Odd&#7;Code", &message)).await;

    let error = server.store().get(&some_path()).await.unwrap_err().to_string();

    assert!(!error.contains(|character: char| character.is_control()), "{error:?}");
    assert!(error.contains("red") && error.len() < 600, "{error:?}");
}

#[tokio::test]
async fn a_bucket_in_another_region_is_named_with_its_region() {
    let elsewhere = |_, _: &Request| {
        answer(
            "301 Moved Permanently",
            "x-amz-bucket-region: eu-west-3\r\n",
            "<Error><Code>PermanentRedirect</Code></Error>",
        )
    };
    let server = Scripted::start(elsewhere).await;

    let error = server.store().get(&some_path()).await.unwrap_err();

    assert!(error.to_string().contains("eu-west-3"), "{error}");
}
