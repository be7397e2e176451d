//! Notifications: an event for each object that is created, and no request that waits for one.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use local_s3::{NotifyTarget, Server};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use crate::support::{BUCKET, SECRET_KEY, client, config};

/// What gets the notifications: the `Authorization` header and the body of each.
struct Hook {
    target: NotifyTarget,
    received: mpsc::UnboundedReceiver<(Option<String>, Value)>,
    connections: Arc<Semaphore>,
}

impl Hook {
    /// Answers each request with `answer` and keeps the connection open, or closes it after each.
    async fn start(answer: &'static str, closes: bool) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = NotifyTarget::parse(&format!("http://{}/hook?a=b", socket.local_addr().unwrap())).unwrap();
        let (sender, received) = mpsc::unbounded_channel();
        let connections = Arc::new(Semaphore::new(0));
        let accepted = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (stream, _) = socket.accept().await.unwrap();
                accepted.add_permits(1);
                let mut stream = BufReader::new(stream);
                while let Some(request) = read(&mut stream).await {
                    sender.send(request).unwrap();
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    if closes {
                        break;
                    }
                }
            }
        });
        Self { target, received, connections }
    }

    async fn next(&mut self) -> (Option<String>, Value) {
        tokio::time::timeout(Duration::from_secs(60), self.received.recv()).await.unwrap().unwrap()
    }
}

/// One request; `None` when the connection ends.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<(Option<String>, Value)> {
    let (mut length, mut authorization, mut first) = (0, None, String::new());
    if stream.read_line(&mut first).await.unwrap_or(0) == 0 {
        return None;
    }
    assert_eq!(first, "POST /hook?a=b HTTP/1.1\r\n");
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    Some((authorization, serde_json::from_slice(&body).unwrap()))
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

async fn start(target: NotifyTarget) -> (Server, aws_sdk_s3::Client, TempDir) {
    let root = TempDir::new().unwrap();
    let server = Server::start(config(&root).notify(target)).await.unwrap();
    let client = client(&server.endpoint(), SECRET_KEY);
    (server, client, root)
}

async fn put(s3: &aws_sdk_s3::Client, key: &str) {
    s3.put_object().bucket(BUCKET).key(key).body(b"[]".to_vec().into()).send().await.unwrap();
}

#[tokio::test]
async fn each_object_that_is_created_is_posted_once_as_minio_does() {
    let mut hook = Hook::start(OK, false).await;
    let (server, s3, _root) = start(hook.target.clone().with_token("secret").unwrap()).await;
    let key = "raw/events/a b+ü.json";
    put(&s3, key).await;
    let (authorization, event) = hook.next().await;
    assert_eq!(authorization.as_deref(), Some("Bearer secret"));
    assert_eq!(
        (&event["EventName"], &event["Key"]),
        (&json!("s3:ObjectCreated:Put"), &json!(format!("{BUCKET}/{key}")))
    );
    let record = &event["Records"][0];
    assert_eq!(record["eventName"], "s3:ObjectCreated:Put");
    assert_eq!(record["s3"]["bucket"]["name"], BUCKET);
    let etag = "d751713988987e9331980363e24189ce";
    assert_eq!(record["s3"]["object"], json!({"key": "raw%2Fevents%2Fa+b%2B%C3%BC.json", "size": 2, "eTag": etag}));
    assert!(record["eventTime"].as_str().unwrap().ends_with('Z'));

    // Neither a refused write nor a read, a deletion or a part is an event.
    s3.put_object().bucket(BUCKET).key(key).if_none_match("*").send().await.unwrap_err();
    s3.get_object().bucket(BUCKET).key(key).send().await.unwrap();
    s3.copy_object()
        .bucket(BUCKET)
        .key("copy")
        .copy_source(format!("{BUCKET}/raw/events/a%20b%2B%C3%BC.json"))
        .send()
        .await
        .unwrap();
    s3.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
    let upload = s3.create_multipart_upload().bucket(BUCKET).key("parts").send().await.unwrap().upload_id.unwrap();
    let part =
        s3.upload_part().bucket(BUCKET).key("parts").upload_id(&upload).part_number(1).body(b"[]".to_vec().into());
    let part = CompletedPart::builder().part_number(1).set_e_tag(part.send().await.unwrap().e_tag).build();
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    s3.complete_multipart_upload()
        .bucket(BUCKET)
        .key("parts")
        .upload_id(upload)
        .multipart_upload(parts)
        .send()
        .await
        .unwrap();
    let mut rest = Vec::new();
    for _ in 0..2 {
        let (_, event) = hook.next().await;
        rest.push((event["EventName"].clone(), event["Records"][0]["s3"]["object"]["key"].clone()));
    }
    assert_eq!(rest[0], (json!("s3:ObjectCreated:Copy"), json!("copy")));
    assert_eq!(rest[1], (json!("s3:ObjectCreated:CompleteMultipartUpload"), json!("parts")));
    assert_eq!((hook.connections.available_permits(), server.notifications_lost()), (1, 0));
}

#[tokio::test]
async fn a_target_that_closes_each_connection_gets_every_event() {
    let mut hook = Hook::start(OK, true).await;
    let (server, s3, _root) = start(hook.target.clone()).await;
    for number in 0..20 {
        put(&s3, &format!("{number}")).await;
        assert_eq!(hook.next().await.1["Records"][0]["s3"]["object"]["key"], format!("{number}"));
    }
    assert_eq!(server.notifications_lost(), 0);
}

#[tokio::test]
async fn a_target_that_refuses_or_is_down_costs_no_request_and_is_counted() {
    let mut hook = Hook::start("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", false).await;
    let (server, s3, _root) = start(hook.target.clone()).await;
    put(&s3, "a").await;
    hook.next().await;
    put(&s3, "b").await;
    hook.next().await;
    // The answer to the first was read before the second was sent.
    assert!(server.notifications_lost() >= 1);
    let down = NotifyTarget::parse("http://127.0.0.1:1").unwrap();
    let (server, s3, _root) = start(down).await;
    put(&s3, "a").await;
    while server.notifications_lost() == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_target_that_never_answers_delays_no_request_and_gets_the_newest_events() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = NotifyTarget::parse(&format!("http://{}", silent.local_addr().unwrap())).unwrap();
    let (server, s3, _root) = start(target.with_waiting_max(3)).await;
    put(&s3, "sent").await;
    let mut stream = BufReader::new(silent.accept().await.unwrap().0);
    let mut line = String::new();
    while !line.contains("sent") {
        line.clear();
        let mut byte = [0];
        while stream.read_exact(&mut byte).await.is_ok() && byte != *b"}" {
            line.push(byte[0].into());
        }
    }
    for number in 0..10 {
        put(&s3, &format!("{number}")).await;
    }
    assert_eq!(server.notifications_lost(), 7);
}

#[test]
fn a_target_must_be_a_plain_http_url() {
    for url in ["", "127.0.0.1:4041", "https://host/", "http://", "http://user:secret@host/", "http:// host/"] {
        let problem = NotifyTarget::parse(url).unwrap_err();
        assert!(!problem.contains("secret"), "{problem}");
    }
    let target = NotifyTarget::parse("http://host").unwrap();
    assert!(target.clone().with_token("a\nb").is_err());
    assert!(!format!("{:?}", target.with_token("a-secret").unwrap()).contains("a-secret"));
}
