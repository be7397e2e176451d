//! One connection: requests in, responses out, and its end.
//!
//! Knows HTTP/1.1 and [`Gate::after`]. Knows nothing about what an operation does.
//! Invariant: an error from the gate resets the connection, and nothing is sent before the reset.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use s3s::service::S3Service;
use s3s::{Body, HttpError, HttpRequest, HttpResponse};
use tokio::net::TcpStream;

use super::socket::Socket;
use crate::gate::{Gate, Passage};

/// How long a client may take to send the rest of the body after a fault refused its request.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves one connection to its end.
pub(super) fn serve(
    stream: TcpStream,
    service: S3Service,
    gate: Gate,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + use<> {
    // A response is written in one or two pieces; Nagle's algorithm would delay the second.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let reset = Arc::new(AtomicBool::new(false));
    let socket = Socket::new(stream, Arc::clone(&reset));
    let respond = service_fn(move |request| {
        let (service, gate, reset) = (service.clone(), gate.clone(), Arc::clone(&reset));
        async move {
            let answer = respond(request, &service, &gate).await;
            reset.store(answer.is_err(), Ordering::Relaxed);
            answer
        }
    });
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(socket), respond);
    let watched = graceful.watch(connection);
    async move {
        if let Err(error) = watched.await {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

async fn respond(
    request: hyper::Request<Incoming>,
    service: &S3Service,
    gate: &Gate,
) -> Result<HttpResponse, HttpError> {
    let (mut request, rest) = if gate.faults().armed().is_some() { shared(request) } else { plain(request) };
    join_content_encoding(request.headers_mut());
    let passage = Passage::default();
    request.extensions_mut().insert(passage.clone());
    let answer = gate.after(&passage, service.call(request).await).await;
    if let (Ok(_), Some(rest)) = (&answer, rest) {
        // A client that is still sending when the connection closes would miss the response.
        drop(tokio::time::timeout(DRAIN, rest.drain()).await);
    }
    answer
}

fn plain(request: hyper::Request<Incoming>) -> (HttpRequest, Option<SharedBody>) {
    (request.map(Body::from), None)
}

fn shared(request: hyper::Request<Incoming>) -> (HttpRequest, Option<SharedBody>) {
    let (head, body) = request.into_parts();
    let body = SharedBody(Arc::new(Mutex::new(body)));
    (HttpRequest::from_parts(head, Body::http_body(body.clone())), Some(body))
}

/// A request's body; the part that an operation did not read can still be read.
#[derive(Clone)]
struct SharedBody(Arc<Mutex<Incoming>>);

impl SharedBody {
    async fn drain(mut self) {
        while let Some(Ok(_)) = std::future::poll_fn(|context| Pin::new(&mut self).poll_frame(context)).await {}
    }
}

impl hyper::body::Body for SharedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

/// Joins several `Content-Encoding` headers into one, as HTTP allows: the AWS SDK for Rust sends the object's encoding
/// and `aws-chunked` separately but signs them joined, and s3s refuses a header that appears twice.
fn join_content_encoding(headers: &mut HeaderMap) {
    let codings: Vec<_> = headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes).collect();
    if codings.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&codings.join(b",".as_slice()))
    {
        headers.insert(CONTENT_ENCODING, joined);
    }
}
