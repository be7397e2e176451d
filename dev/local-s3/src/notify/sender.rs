//! Posts events, one after the other, over a connection that stays open.
//!
//! Invariant: each event is tried on a new connection at most once; then it is lost and counted.

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{NotifyTarget, Queue};

/// How long the target may take to answer one event.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most bytes that are read of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;

type Connection = SendRequest<Full<Bytes>>;
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Sends what comes into the queue, for ever.
pub(super) async fn send_all(queue: Arc<Queue>, target: NotifyTarget) {
    let mut open = None;
    let mut fails = false;
    loop {
        let body = Bytes::from(queue.next().await.to_json());
        let sent = match open.take() {
            // The target may have closed a connection that was idle.
            Some(connection) => match deliver(Some(connection), &target, body.clone()).await {
                Ok(connection) => Ok(connection),
                Err(_) => deliver(None, &target, body).await,
            },
            None => deliver(None, &target, body).await,
        };
        match sent {
            Ok(connection) => {
                open = Some(connection);
                if std::mem::take(&mut fails) {
                    tracing::info!(host = target.authority, "notifications arrive again");
                }
            }
            Err(error) => {
                queue.count_lost();
                if !std::mem::replace(&mut fails, true) {
                    tracing::warn!(host = target.authority, %error, "notifications are lost until the host accepts them");
                }
            }
        }
    }
}

/// Posts one event, over `connection` if there is one. Returns the connection for the next event.
async fn deliver(connection: Option<Connection>, target: &NotifyTarget, body: Bytes) -> Result<Connection, Failure> {
    let delivered = tokio::time::timeout(PATIENCE, async {
        let mut connection = match connection {
            Some(connection) => connection,
            None => connect(target).await?,
        };
        post(&mut connection, target, body).await?;
        Ok(connection)
    });
    delivered.await.map_err(|_| "no answer in time")?
}

async fn connect(target: &NotifyTarget) -> Result<Connection, Failure> {
    let stream = TcpStream::connect(&target.authority).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection for notifications ended early");
        }
    });
    Ok(sender)
}

async fn post(connection: &mut Connection, target: &NotifyTarget, body: Bytes) -> Result<(), Failure> {
    connection.ready().await?;
    let mut request = http::Request::post(&target.path).header(HOST, &target.authority);
    request = request.header(CONTENT_TYPE, "application/json");
    if let Some(authorization) = &target.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let answer = connection.send_request(request.body(Full::new(body))?).await?;
    let status = answer.status();
    // To its end, so that the connection can be used again.
    Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await?;
    if status.is_success() { Ok(()) } else { Err(format!("it answers {status}").into()) }
}
