//! What the S3 adapter promises beyond the suite: conditions, doubt, short responses, odd keys and useful errors.
//!
//! If a real server can show it, `local-s3` does; if a response must be odd, [`Scripted`] sends it.

mod copies;
mod creates;
mod deletions;
mod errors;
mod listings;
mod reads;
mod settings;
mod uploads;

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

/// A request as received.
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
    /// `script` maps the number of a request, from 0, to the bytes of its response. No bytes close the connection.
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
                // The client may have gone away already.
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
        assert_ne!(read, 0, "the connection closed within the headers");
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
        assert_ne!(read, 0, "the connection closed within the body");
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
/// Headers of an object that contains `0123456789`.
const TEN_BYTES: &str =
    "HTTP/1.1 200 OK\r\netag: \"ten\"\r\nlast-modified: Fri, 20 Nov 2026 10:00:00 GMT\r\nconnection: close\r\n";

fn create() -> PutOptions {
    PutMode::Create.into()
}

fn some_path() -> Path {
    Path::from("checkpoints/events/commits/1.json")
}

/// The whole chain of an error as `Display` and as `Debug` print it.
fn printed(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(|error| format!("{error} {error:?}")).collect()
}
