//! An HTTP server that takes notifications.
//!
//! Knows HTTP. Knows nothing about what a notification says. Invariant: what peers send is bounded in size, in time and
//! in the number of connections; a peer without the token, if there is one, gives no hint.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, AUTHORIZATION, WWW_AUTHENTICATE},
};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use program::Secret;
use sha2::{Digest, Sha256};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tracing::{debug, warn};

use super::Intake;

/// What peers may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest body, in bytes.
    pub body_bytes: usize,
    /// How many connections may be open; others wait until one of them ends.
    pub connections: usize,
    /// How long to wait for a request's headers, and then for its body.
    pub patience: Duration,
    /// How long a connection may be used.
    pub lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 256 << 10,
            connections: 64,
            patience: Duration::from_secs(10),
            lifetime: Duration::from_secs(300),
        }
    }
}

/// The most bytes of a request's headers.
const HEADER_BYTES_MAX: usize = 16 << 10;

/// How long to wait after the system could not accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A socket that is open and waits to be served.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    token: Option<Secret>,
    limits: Limits,
}

impl Listener {
    /// Starts to listen. With a token, a notification must have `Authorization: Bearer <token>`.
    ///
    /// # Errors
    /// The system's error, when the address can't be listened on.
    pub async fn bind(address: SocketAddr, token: Option<Secret>) -> io::Result<Self> {
        Ok(Self { socket: TcpListener::bind(address).await?, token, limits: Limits::default() })
    }

    /// The same, with other limits.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The address that it listens on, with the port that it got.
    ///
    /// # Errors
    /// The system's error.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Passes on notifications for ever.
    pub async fn serve(self, intake: Intake) {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let token = self.token.as_ref().map(digest);
        let peers = Arc::new(Peers { intake, token, limits: self.limits, has_refused: AtomicBool::new(false) });
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match self.socket.accept().await {
                Ok((stream, _)) => {
                    let peers = Arc::clone(&peers);
                    tokio::spawn(async move {
                        peers.connected(stream).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    warn!(%error, "a connection for hints could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// What all connections share.
struct Peers {
    intake: Intake,
    /// Of the token.
    token: Option<[u8; 32]>,
    limits: Limits,
    /// Whether a wrong token has been logged: a sender repeats it with each hint.
    has_refused: AtomicBool,
}

type Answer = Response<Empty<Bytes>>;

impl Peers {
    /// Serves one connection to its end.
    async fn connected(self: Arc<Self>, stream: TcpStream) {
        let limits = self.limits;
        let respond = service_fn(move |request| {
            let peers = Arc::clone(&self);
            async move { Ok::<_, Infallible>(peers.respond(request).await) }
        });
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(limits.patience).max_buf_size(HEADER_BYTES_MAX);
        let mut connection = std::pin::pin!(server.serve_connection(TokioIo::new(stream), respond));
        let ended = match timeout(limits.lifetime, connection.as_mut()).await {
            Ok(ended) => ended,
            Err(_) => {
                connection.as_mut().graceful_shutdown();
                timeout(limits.patience, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            debug!(%error, "a connection for hints ended early");
        }
    }

    async fn respond(&self, request: Request<Incoming>) -> Answer {
        match *request.method() {
            Method::POST if self.may_hint(&request) => self.take(request.into_body()).await,
            Method::POST => self.refuse(),
            // Senders check with these whether anything listens.
            Method::GET | Method::HEAD | Method::OPTIONS => answer(StatusCode::OK),
            _ => with(answer(StatusCode::METHOD_NOT_ALLOWED), ALLOW, "GET, HEAD, OPTIONS, POST"),
        }
    }

    fn refuse(&self) -> Answer {
        if !self.has_refused.swap(true, Ordering::Relaxed) {
            warn!("a hint was refused: the sender's token differs from HINTS_TOKEN; later ones are not logged");
        }
        with(answer(StatusCode::UNAUTHORIZED), WWW_AUTHENTICATE, "Bearer")
    }

    fn may_hint(&self, request: &Request<Incoming>) -> bool {
        let Some(token) = self.token else { return true };
        let sent = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let sent = sent.and_then(|value| value.split_once(' ')).filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
        // Digests, so that the time it takes to compare shows nothing about the token.
        sent.is_some_and(|(_, sent)| digest(&Secret::new(sent.trim())) == token)
    }

    async fn take(&self, body: Incoming) -> Answer {
        let body = Limited::new(body, self.limits.body_bytes).collect();
        match timeout(self.limits.patience, body).await {
            Ok(Ok(body)) => {
                self.intake.accept(&body.to_bytes());
                answer(StatusCode::OK)
            }
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                self.intake.accept(b"");
                answer(StatusCode::PAYLOAD_TOO_LARGE)
            }
            Ok(Err(_)) => answer(StatusCode::BAD_REQUEST),
            Err(_) => answer(StatusCode::REQUEST_TIMEOUT),
        }
    }
}

fn answer(status: StatusCode) -> Answer {
    let mut answer = Response::new(Empty::new());
    *answer.status_mut() = status;
    answer
}

fn with(mut answer: Answer, name: HeaderName, value: &'static str) -> Answer {
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
    answer
}

fn digest(token: &Secret) -> [u8; 32] {
    Sha256::digest(token.expose()).into()
}
