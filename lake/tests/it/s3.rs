//! What the S3 adapter promises beyond the suite: conditions, doubt, short answers, odd keys and errors that tell.
//!
//! Where a real server can show it, `local-s3` does; where an answer must be odd, [`Scripted`] gives it.

use std::sync::{Arc, Mutex};

use futures::{FutureExt, StreamExt, TryStreamExt, future::join_all, stream};
use lake::store::s3::{S3Failure, S3Store, to_key, to_path};
use object_store::{
    Attribute, Error, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion,
    path::Path,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::object_store_suite::{ACCESS_KEY, BUCKET, SECRET_KEY, credentials_of, serve};

/// A server that answers every request with what its script says, one request per connection.
struct Scripted {
    endpoint: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// A request as it came in.
#[derive(Clone, Debug)]
struct Request {
    method: String,
    target: String,
    headers: String,
    body_bytes: usize,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Scripted {
    /// `script` maps the number of a request, from 0, to the bytes of its answer. No bytes close the connection.
    async fn start(script: impl Fn(usize, &Request) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("the port's address"));
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let request = read_request(&mut connection).await;
                let number = {
                    let mut seen = seen.lock().expect("no test panics here");
                    seen.push(request.clone());
                    seen.len() - 1
                };
                let answer = script(number, &request);
                // A client that has gone away already is no matter of the script's.
                connection.write_all(answer.as_bytes()).await.ok();
                connection.shutdown().await.ok();
            }
        });
        Self { endpoint, requests }
    }

    fn store(&self) -> S3Store {
        S3Store::at(BUCKET, &self.endpoint, credentials_of(SECRET_KEY)).expect("a store on the server")
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no test panics here").clone()
    }
}

async fn read_request(connection: &mut TcpStream) -> Request {
    let mut bytes = Vec::new();
    let head_bytes = loop {
        let mut chunk = [0; 64 << 10];
        let read = connection.read(&mut chunk).await.expect("a readable request");
        bytes.extend_from_slice(&chunk[..read]);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        assert_ne!(read, 0, "a request ends after its headers");
    };
    let head = String::from_utf8_lossy(&bytes[..head_bytes]).into_owned();
    let (line, headers) = head.split_once("\r\n").expect("a request line");
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next().expect("a method"), words.next().expect("a target"));
    let mut request = Request { method, target, headers: headers.to_owned(), body_bytes: bytes.len() - head_bytes };
    let announced = request.header("content-length").map_or(0, |length| length.parse().expect("a length"));
    if request.header("expect").is_some() {
        connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.expect("a client that waits");
    }
    while request.body_bytes < announced {
        let read = connection.read(&mut [0; 64 << 10]).await.expect("a readable body");
        assert_ne!(read, 0, "a body has its announced length");
        request.body_bytes += read;
    }
    request
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn refusal(status: &str, code: &str, message: &str) -> String {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
    answer(status, "content-type: application/xml\r\n", &body)
}

const PUT_DONE: &str = "HTTP/1.1 200 OK\r\netag: \"1\"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// Headers of an object that holds `0123456789`.
const TEN_BYTES: &str =
    "HTTP/1.1 200 OK\r\netag: \"ten\"\r\nlast-modified: Fri, 20 Nov 2026 10:00:00 GMT\r\nconnection: close\r\n";

fn create() -> PutOptions {
    PutMode::Create.into()
}

fn some_path() -> Path {
    Path::from("checkpoints/events/commits/1.json")
}

/// The whole chain of an error as a program prints it, and as a debugger does.
fn printed(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(|error| format!("{error} {error:?}")).collect()
}

#[tokio::test]
async fn concurrent_creates_admit_one() {
    let served = serve().await;
    let creates = (0..20).map(|writer| {
        let store = served.store.clone();
        async move { (writer, store.put_opts(&some_path(), format!("writer {writer}").into(), create()).await) }
    });
    let outcomes = join_all(creates).await;

    let winners: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(writer, _)| writer).collect();
    assert_eq!(winners.len(), 1);
    for (_, outcome) in &outcomes {
        assert!(matches!(outcome, Ok(_) | Err(Error::AlreadyExists { .. })), "{outcome:?}");
    }
    let stored = served.store.get(&some_path()).await.unwrap().bytes().await.unwrap();
    assert_eq!(stored, format!("writer {}", winners[0]));
}

#[tokio::test]
async fn a_create_is_one_conditional_put_whatever_its_size() {
    let server = Scripted::start(|_, _| PUT_DONE.to_owned()).await;
    let body = PutPayload::from(vec![7; 20 << 20]);

    server.store().put_opts(&some_path(), body, create()).await.unwrap();

    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].method, "PUT");
    assert_eq!(requests[0].header("if-none-match"), Some("*"));
    assert_eq!(requests[0].body_bytes, 20 << 20);
    assert!(!requests[0].target.contains("upload"), "{}", requests[0].target);
}

#[tokio::test]
async fn a_create_that_meets_another_writer_is_tried_again() {
    let conflict = |number, _: &Request| match number {
        0 | 1 => refusal("409 Conflict", "ConditionalRequestConflict", "another write is under way"),
        _ => PUT_DONE.to_owned(),
    };
    let server = Scripted::start(conflict).await;

    server.store().put_opts(&some_path(), "x".into(), create()).await.unwrap();

    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_create_that_meets_other_writers_every_time_ends_in_a_retryable_conflict() {
    let server = Scripted::start(|_, _| refusal("409 Conflict", "ConditionalRequestConflict", "busy")).await;

    let error = server.store().put_opts(&some_path(), "x".into(), create()).await.unwrap_err();

    let failure = S3Failure::of(&error).unwrap();
    assert!(matches!(failure, S3Failure::Conflict { .. }), "{error}");
    assert!(failure.is_retryable());
    assert_eq!(server.requests().len(), 10);
}

#[tokio::test]
async fn a_create_without_an_answer_has_an_unknown_outcome() {
    for answer in [String::new(), refusal("500 Internal Server Error", "InternalError", "try again")] {
        let server = Scripted::start(move |_, _| answer.clone()).await;

        let error = server.store().put_opts(&some_path(), "x".into(), create()).await.unwrap_err();

        assert!(matches!(S3Failure::of(&error), Some(S3Failure::UnknownOutcome { .. })), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("may have happened or not") && text.contains(&server.endpoint), "{text}");
    }
}

#[tokio::test]
async fn an_update_without_an_answer_has_an_unknown_outcome() {
    let server = Scripted::start(|_, _| String::new()).await;
    let version = UpdateVersion { e_tag: Some("\"1\"".to_owned()), version: None };

    let error = server.store().put_opts(&some_path(), "x".into(), PutMode::Update(version).into()).await.unwrap_err();

    assert!(matches!(S3Failure::of(&error), Some(S3Failure::UnknownOutcome { .. })), "{error:?}");
}

#[tokio::test]
async fn a_create_whose_first_answer_was_lost_finds_its_own_write() {
    let lost_then_there = |number, _: &Request| match number {
        0 => String::new(),
        _ => refusal("412 Precondition Failed", "PreconditionFailed", "it is there"),
    };
    let server = Scripted::start(lost_then_there).await;

    let error = server.store().put_opts(&some_path(), "x".into(), create()).await.unwrap_err();

    assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn an_update_of_a_missing_key_fails_its_precondition() {
    let served = serve().await;
    let version = UpdateVersion { e_tag: Some("\"0\"".to_owned()), version: None };

    let error = served.store.put_opts(&some_path(), "x".into(), PutMode::Update(version).into()).await.unwrap_err();

    assert!(matches!(error, Error::Precondition { .. }), "{error}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_read_on_from_there() {
    let breaks_off = |number, request: &Request| match number {
        0 => format!("{TEN_BYTES}content-length: 10\r\n\r\n0123"),
        _ => {
            assert_eq!(request.header("range"), Some("bytes=4-9"));
            assert_eq!(request.header("if-match"), Some("\"ten\""));
            TEN_BYTES.replace("200 OK", "206 Partial Content")
                + "content-range: bytes 4-9/10\r\ncontent-length: 6\r\n\r\n456789"
        }
    };
    let server = Scripted::start(breaks_off).await;

    let read = server.store().get(&some_path()).await.unwrap().bytes().await.unwrap();

    assert_eq!(read, "0123456789");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_range_that_breaks_off_is_read_on_within_its_bounds() {
    let breaks_off = |number, request: &Request| {
        let head = TEN_BYTES.replace("200 OK", "206 Partial Content");
        match number {
            0 => head + "content-range: bytes 2-7/10\r\ncontent-length: 6\r\n\r\n234",
            _ => {
                assert_eq!(request.header("range"), Some("bytes=5-7"));
                head + "content-range: bytes 5-7/10\r\ncontent-length: 3\r\n\r\n567"
            }
        }
    };
    let server = Scripted::start(breaks_off).await;

    assert_eq!(server.store().get_range(&some_path(), 2..8).await.unwrap(), "234567");
}

#[tokio::test]
async fn a_body_that_stays_short_is_an_error_and_no_end_of_file() {
    let short = |number, _: &Request| match number {
        0 => format!("{TEN_BYTES}content-length: 10\r\n\r\n0123"),
        _ => {
            TEN_BYTES.replace("200 OK", "206 Partial Content")
                + "content-range: bytes 4-9/10\r\ncontent-length: 6\r\n\r\n"
        }
    };
    let server = Scripted::start(short).await;

    let found = server.store().get(&some_path()).await.unwrap();
    let chunks: Vec<_> = found.into_stream().collect().await;

    let error = chunks.last().unwrap().as_ref().unwrap_err();
    assert!(S3Failure::of(error).unwrap().is_retryable(), "{error}");
    assert!(error.to_string().contains("6 bytes before its end"), "{error}");
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn an_object_replaced_while_it_is_read_fails_its_precondition() {
    let replaced = |number, _: &Request| match number {
        0 => format!("{TEN_BYTES}content-length: 10\r\n\r\n0123"),
        _ => refusal("412 Precondition Failed", "PreconditionFailed", "replaced"),
    };
    let server = Scripted::start(replaced).await;

    let error = server.store().get(&some_path()).await.unwrap().bytes().await.unwrap_err();

    assert!(matches!(error, Error::Precondition { .. }), "{error}");
}

#[tokio::test]
async fn a_body_with_a_wrong_checksum_is_an_error() {
    let damaged =
        |_, _: &Request| format!("{TEN_BYTES}x-amz-checksum-crc32: AAAAAA==\r\ncontent-length: 10\r\n\r\n0123456789");
    let server = Scripted::start(damaged).await;

    let error = server.store().get(&some_path()).await.unwrap().bytes().await.unwrap_err();

    assert!(error.to_string().contains("checksum"), "{error}");
}

#[tokio::test]
async fn an_object_changed_since_it_was_listed_fails_its_precondition() {
    let served = serve().await;
    served.store.put(&some_path(), "first".into()).await.unwrap();
    let listed: Vec<_> = served.store.list(None).try_collect().await.unwrap();
    let planned = || GetOptions::new().with_if_match(listed[0].e_tag.clone());
    assert_eq!(served.store.get_opts(&some_path(), planned()).await.unwrap().meta.size, 5);

    served.store.put(&some_path(), "second".into()).await.unwrap();

    let error = served.store.get_opts(&some_path(), planned()).await.unwrap_err();
    assert!(matches!(error, Error::Precondition { .. }), "{error}");
}

/// The error that each operation ends in, by its name.
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
async fn every_operation_with_wrong_credentials_says_so_and_tells_no_secret() {
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

#[tokio::test]
async fn an_upload_whose_completion_fails_with_status_200_is_an_error() {
    let fails_late = |_, request: &Request| match request.method.as_str() {
        "POST" if request.target.contains("uploads") => answer(
            "200 OK",
            "",
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
        ),
        "PUT" => PUT_DONE.to_owned(),
        _ => refusal("200 OK", "InternalError", "it did not work out"),
    };
    let server = Scripted::start(fails_late).await;

    let mut upload = server.store().put_multipart(&some_path()).await.unwrap();
    upload.put_part("x".into()).await.unwrap();
    let error = upload.complete().await.unwrap_err();

    assert!(matches!(S3Failure::of(&error), Some(S3Failure::UnknownOutcome { .. })), "{error:?}");
}

#[tokio::test]
async fn a_listing_that_says_it_goes_on_and_not_where_is_an_error() {
    let page = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
    let server = Scripted::start(move |_, _| answer("200 OK", "", page)).await;

    let error = server.store().list(None).try_collect::<Vec<_>>().await.unwrap_err();

    assert!(error.to_string().contains("does not name the next"), "{error}");
}

#[tokio::test]
async fn listed_keys_are_decoded_if_and_only_if_the_server_encoded_them() {
    for (encoding, expected) in [("<EncodingType>url</EncodingType>", "a b+c/ä"), ("", "a+b%2Bc/%C3%A4")] {
        let page = format!(
            "<ListBucketResult>{encoding}<Contents><Key>a+b%2Bc/%C3%A4</Key><Size>1</Size>\
             <LastModified>2026-11-20T10:00:00Z</LastModified></Contents></ListBucketResult>"
        );
        let server = Scripted::start(move |_, _| answer("200 OK", "", &page)).await;

        let listed: Vec<_> = server.store().list(None).try_collect().await.unwrap();

        assert_eq!(to_key(&listed[0].location), expected);
    }
}

#[tokio::test]
async fn a_listing_that_breaks_off_is_an_error() {
    let page = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 500\r\n\r\n<ListBucketResult>";
    let server = Scripted::start(move |_, _| page.to_owned()).await;

    let error = server.store().list(None).try_collect::<Vec<_>>().await.unwrap_err();

    assert!(S3Failure::of(&error).unwrap().is_retryable(), "{error}");
}

/// Keys that a [`Path`] cannot hold as they are, and ones that URLs and XML make trouble of.
const ODD_KEYS: [&str; 15] = [
    "raw//double",
    "raw/dir/",
    "raw/./dot",
    "raw/../dots",
    "/leading",
    "//",
    "raw/new\nline\tand\r\u{1}\u{7f}",
    "raw/%~marked",
    "raw/100%25",
    "raw/plus+and space",
    "raw/a&b<c>\"d'",
    "raw/question?x=1#hash",
    "raw/ä€😀",
    "raw/back\\slash",
    "raw/~tilde*star",
];

#[tokio::test]
async fn odd_keys_can_be_written_listed_read_copied_and_deleted() {
    let served = serve().await;
    let store = &served.store;
    for key in ODD_KEYS {
        store.put(&to_path(key), key.to_owned().into()).await.unwrap();
    }

    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    let mut keys: Vec<_> = listed.iter().map(|meta| to_key(&meta.location)).collect();
    keys.sort_unstable();
    let mut expected = ODD_KEYS.map(str::to_owned);
    expected.sort_unstable();
    assert_eq!(keys, expected);

    let copy = Path::from("copy");
    for meta in &listed {
        let key = to_key(&meta.location);
        assert_eq!(store.get(&meta.location).await.unwrap().bytes().await.unwrap(), key);
        assert_eq!(store.head(&meta.location).await.unwrap().size, key.len() as u64);
        store.copy(&meta.location, &copy).await.unwrap();
        assert_eq!(store.get(&copy).await.unwrap().bytes().await.unwrap(), key);
    }

    let locations = stream::iter(listed).map(|meta| Ok(meta.location)).boxed();
    store.delete_stream(locations).try_collect::<Vec<_>>().await.unwrap();
    store.delete(&copy).await.unwrap();
    assert_eq!(store.list(None).try_collect::<Vec<_>>().await.unwrap(), []);
}

#[tokio::test]
async fn odd_directories_are_listed_level_by_level() {
    let served = serve().await;
    for key in ["/a", "b//c", "b/d/"] {
        served.store.put(&to_path(key), "x".into()).await.unwrap();
    }

    let root = served.store.list_with_delimiter(None).await.unwrap();
    assert_eq!(root.common_prefixes, [Path::parse("%~").unwrap(), Path::from("b")]);
    let slash = served.store.list_with_delimiter(Some(&root.common_prefixes[0])).await.unwrap();
    assert_eq!(slash.objects[0].location, to_path("/a"));
    let b = served.store.list_with_delimiter(Some(&Path::from("b"))).await.unwrap();
    assert_eq!(b.common_prefixes, [to_path("b/"), Path::from("b/d")]);
    let below: Vec<_> = served.store.list(Some(&to_path("b/"))).try_collect().await.unwrap();
    assert_eq!(below.iter().map(|meta| to_key(&meta.location)).collect::<Vec<_>>(), ["b//c"]);
}

#[tokio::test]
async fn eleven_hundred_keys_are_listed_and_deleted() {
    let served = serve().await;
    let store = &served.store;
    let paths: Vec<Path> = (0..1_100).map(|number| Path::from(format!("raw/events/{number:05}"))).collect();
    let puts = stream::iter(&paths).map(|path| store.put(path, "x".into())).buffer_unordered(8);
    puts.try_collect::<Vec<_>>().await.unwrap();

    let listed: Vec<Path> = store.list(None).map_ok(|meta| meta.location).try_collect().await.unwrap();
    assert_eq!(listed, paths);
    let after: Vec<_> = store.list_with_offset(None, &paths[1_049]).try_collect().await.unwrap();
    assert_eq!(after.len(), 50);

    let deleted: Vec<Path> =
        store.delete_stream(stream::iter(paths.clone()).map(Ok).boxed()).try_collect().await.unwrap();
    assert_eq!(deleted, paths);
    assert_eq!(store.list(None).try_collect::<Vec<_>>().await.unwrap(), []);
}

#[tokio::test]
async fn a_listing_may_outlive_its_store() {
    let served = serve().await;
    served.store.put(&some_path(), "x".into()).await.unwrap();
    let store = S3Store::at(BUCKET, &served.server.endpoint(), credentials_of(SECRET_KEY)).unwrap();

    let listing = store.list(None);
    drop(store);

    let listed = tokio::spawn(listing.try_collect::<Vec<_>>()).await.unwrap().unwrap();
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn deletions_are_sent_a_thousand_at_a_time() {
    let server = Scripted::start(|_, _| answer("200 OK", "", "<DeleteResult></DeleteResult>")).await;
    let paths = stream::iter(0..1_002).map(|number| Ok(Path::from(format!("{number}")))).boxed();

    let deleted: Vec<_> = server.store().delete_stream(paths).try_collect().await.unwrap();

    assert_eq!(deleted.len(), 1_002);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn keys_that_xml_cannot_hold_are_deleted_one_by_one() {
    let server = Scripted::start(|_, _| answer("204 No Content", "", "")).await;
    let paths = stream::iter(["a\u{1}", "b\u{2}"]).map(|key| Ok(to_path(key))).boxed();

    server.store().delete_stream(paths).try_collect::<Vec<_>>().await.unwrap();

    let methods: Vec<_> = server.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["DELETE", "DELETE"]);
}

#[tokio::test]
async fn keys_that_were_not_deleted_are_told_one_by_one() {
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

#[tokio::test]
async fn a_copy_without_replacing_keeps_the_attributes() {
    let served = serve().await;
    let (from, to) = (Path::from("from"), Path::from("to"));
    let attributes: object_store::Attributes =
        [(Attribute::ContentType, "application/json"), (Attribute::Metadata("by".into()), "hand")]
            .into_iter()
            .collect();
    served.store.put_opts(&from, "{}".into(), attributes.clone().into()).await.unwrap();

    served.store.copy_if_not_exists(&from, &to).await.unwrap();

    assert_eq!(served.store.get(&to).await.unwrap().attributes, attributes);
}

#[tokio::test]
async fn a_store_shows_bucket_and_endpoint_and_no_credentials() {
    let endpoint = "http://user:hidden@127.0.0.1:9";
    let store = S3Store::at(BUCKET, endpoint, credentials_of(SECRET_KEY)).unwrap();

    for text in [format!("{store}"), format!("{store:?}"), format!("{store:#?}")] {
        assert!(text.contains(BUCKET) && text.contains("http://127.0.0.1:9"), "{text}");
        assert!(!text.contains(SECRET_KEY) && !text.contains(ACCESS_KEY) && !text.contains("hidden"), "{text}");
    }
}

#[tokio::test]
async fn an_endpoint_with_a_name_is_asked_with_the_bucket_in_the_path() {
    let server = Scripted::start(|_, _| PUT_DONE.to_owned()).await;
    let named = server.endpoint.replace("127.0.0.1", "localhost");
    let store = S3Store::at(BUCKET, &named, credentials_of(SECRET_KEY)).unwrap();

    store.put(&Path::from("a"), "x".into()).await.unwrap();

    let requests = server.requests();
    assert!(requests[0].target.starts_with("/lake/a"), "{}", requests[0].target);
    assert!(requests[0].header("host").unwrap().starts_with("localhost:"));
}

#[tokio::test]
async fn settings_that_cannot_be_right_are_refused() {
    for (bucket, endpoint) in [
        ("", "http://127.0.0.1:9"),
        ("a/b", "http://127.0.0.1:9"),
        (BUCKET, "127.0.0.1:9000"),
        (BUCKET, "localhost:9000"),
        (BUCKET, "ftp://127.0.0.1"),
        (BUCKET, ""),
    ] {
        let error = S3Store::at(bucket, endpoint, credentials_of(SECRET_KEY)).unwrap_err();
        assert!(matches!(error, S3Failure::Settings { .. }), "{error}");
    }
}
