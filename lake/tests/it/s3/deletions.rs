//! Deletes of many keys.

use super::*;

#[tokio::test]
async fn deletions_are_sent_a_thousand_at_a_time() {
    let server = Scripted::start(|_, _| answer("200 OK", "", "<DeleteResult></DeleteResult>")).await;
    let paths = stream::iter(0..1_002).map(|number| Ok(Path::from(format!("{number}")))).boxed();

    let deleted: Vec<_> = server.store().delete_stream(paths).try_collect().await.unwrap();

    assert_eq!(deleted.len(), 1_002);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn keys_that_xml_does_not_allow_are_deleted_one_by_one() {
    let server = Scripted::start(|_, _| answer("204 No Content", "", "")).await;
    let paths = stream::iter(["a\u{1}", "b\u{2}"]).map(|key| Ok(to_path(key))).boxed();

    server.store().delete_stream(paths).try_collect::<Vec<_>>().await.unwrap();

    let methods: Vec<_> = server.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["DELETE", "DELETE"]);
}

#[tokio::test]
async fn keys_that_were_not_deleted_are_reported_one_by_one() {
    let partly = |_, _: &Request| {
        answer(
            "200 OK",
            "",
            "<DeleteResult><Error><Key>b</Key><Code>AccessDenied</Code><Message>locked</Message></Error></DeleteResult>",
        )
    };
    let server = Scripted::start(partly).await;
    let paths = stream::iter(["a", "b", "c"]).map(|path| Ok(Path::from(path))).boxed();

    let outcomes: Vec<_> = server.store().delete_stream(paths).collect().await;

    assert_eq!(outcomes[0].as_ref().unwrap(), &Path::from("a"));
    assert!(matches!(&outcomes[1], Err(Error::PermissionDenied { path, .. }) if path == "b"), "{outcomes:?}");
    assert_eq!(outcomes[2].as_ref().unwrap(), &Path::from("c"));
}
