//! Credentials that are read again when S3 refuses them: programs that rotate keys replace them while others run.
//!
//! Knows where credentials come from and how S3 refuses. Knows nothing about operations. [`Watched`] looks at every
//! response, [`RetryRenewed`] has the SDK send a request again. Invariant: a refusal is passed on unchanged unless other
//! credentials were found since its request was signed, and no text or log contains a secret.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError};
use aws_sdk_s3::{
    config::{
        Credentials, HttpClient, RuntimeComponents, SharedHttpClient,
        http::{HttpRequest, HttpResponse},
        interceptors::InterceptorContext,
        retry::{ClassifyRetry, RetryAction},
    },
    primitives::{ByteStream, SdkBody},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    result::ConnectorError,
};
use futures::future::BoxFuture;
use tokio::sync::Mutex;

use super::error::blames_credentials;

/// How long reading credentials may take.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long before their expiry credentials are not used any more.
const EXPIRY_BUFFER: Duration = Duration::from_secs(10);
/// After a refusal that may have other reasons, such as a missing permission, how long no other one has credentials read.
const UNCLEAR_PAUSE: Duration = Duration::from_secs(10);

/// Makes a chain of providers that has read nothing yet; `None` if the settings allow none.
pub(super) type NewChain = Box<dyn Fn() -> BoxFuture<'static, Option<SharedCredentialsProvider>> + Send + Sync>;

/// The credentials of a client. They are kept until they expire or a refusal shows that others have replaced them.
pub(super) struct Renewable {
    new_chain: NewChain,
    state: Mutex<State>,
    renewals: AtomicU64,
}

struct State {
    chain: SharedCredentialsProvider,
    current: Option<Credentials>,
    /// When an unclear refusal last had them read.
    read_at: Option<Instant>,
}

/// What a response says about the credentials of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing.
    Fine,
    /// They may be the reason of a refusal.
    Unclear,
    /// They are the reason of a refusal.
    Refused,
}

impl Renewable {
    pub(super) fn new(chain: SharedCredentialsProvider, new_chain: NewChain) -> Self {
        let state = State { chain, current: None, read_at: None };
        Self { new_chain, state: Mutex::new(state), renewals: AtomicU64::new(0) }
    }

    /// How often other credentials were found after a refusal.
    pub(super) fn renewals(&self) -> u64 {
        self.renewals.load(Ordering::Relaxed)
    }

    async fn current(&self) -> provider::Result {
        let mut state = self.state.lock().await;
        if let Some(current) = state.current.as_ref().filter(|current| !expires_soon(current)) {
            return Ok(current.clone());
        }
        let read = read(&state.chain).await?;
        Ok(state.current.insert(read).clone())
    }

    /// Whether a request that was signed with the key `signed`, and refused, may succeed with the credentials that are
    /// there now. Reads them again if needed.
    async fn mends(&self, signed: Option<&str>, verdict: Verdict) -> bool {
        let mut state = self.state.lock().await;
        let current = state.current.as_ref();
        if current.zip(signed).is_some_and(|(current, signed)| current.access_key_id() != signed) {
            // The refusal of another request has renewed them.
            return true;
        }
        if verdict == Verdict::Unclear {
            if state.read_at.is_some_and(|at| at.elapsed() < UNCLEAR_PAUSE) {
                return false;
            }
            state.read_at = Some(Instant::now());
        }
        // A chain keeps what it has read of files.
        let Some(chain) = (self.new_chain)().await else { return false };
        let Ok(found) = read(&chain).await else { return false };
        if state.current.as_ref().is_some_and(|current| are_same(current, &found)) {
            return false;
        }
        tracing::info!("S3 refused the credentials; others have replaced them and are used from now on");
        (state.chain, state.current) = (chain, Some(found));
        self.renewals.fetch_add(1, Ordering::Relaxed);
        true
    }
}

async fn read(chain: &SharedCredentialsProvider) -> provider::Result {
    match tokio::time::timeout(READ_TIMEOUT, chain.provide_credentials()).await {
        Ok(read) => read,
        Err(_) => Err(CredentialsError::provider_timed_out(READ_TIMEOUT)),
    }
}

fn expires_soon(credentials: &Credentials) -> bool {
    credentials.expiry().is_some_and(|expiry| expiry < std::time::SystemTime::now() + EXPIRY_BUFFER)
}

fn are_same(one: &Credentials, other: &Credentials) -> bool {
    one.access_key_id() == other.access_key_id()
        && one.secret_access_key() == other.secret_access_key()
        && one.session_token() == other.session_token()
}

impl ProvideCredentials for Renewable {
    fn provide_credentials<'a>(&'a self) -> provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        provider::future::ProvideCredentials::new(self.current())
    }
}

impl fmt::Debug for Renewable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewable").finish_non_exhaustive()
    }
}

/// An HTTP client that has credentials read again when a response refuses them, and marks that response.
#[derive(Clone, Debug)]
pub(super) struct Watched<T> {
    pub(super) inner: T,
    pub(super) credentials: Arc<Renewable>,
}

/// Marks a response to a request that may succeed with the credentials that are there now.
#[derive(Clone, Copy, Debug)]
struct Renewed;

impl HttpClient for Watched<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Watched { inner, credentials: Arc::clone(&self.credentials) })
    }
}

impl HttpConnector for Watched<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let signed = request.headers().get("authorization").and_then(signing_key).map(str::to_owned);
        let response = self.inner.call(request);
        let credentials = Arc::clone(&self.credentials);
        HttpConnectorFuture::new(async move {
            let mut response = response.await?;
            let verdict = verdict(&mut response).await?;
            if verdict != Verdict::Fine && credentials.mends(signed.as_deref(), verdict).await {
                response.add_extension(Renewed);
            }
            Ok(response)
        })
    }
}

/// The access key in `AWS4-HMAC-SHA256 Credential=KEY/20261120/…`.
fn signing_key(authorization: &str) -> Option<&str> {
    let (_, credential) = authorization.split_once("Credential=")?;
    Some(credential.split_once('/')?.0)
}

/// What a response says about the credentials of its request. Reads the body of a refusal, and puts it back.
async fn verdict(response: &mut HttpResponse) -> Result<Verdict, ConnectorError> {
    let status = response.status().as_u16();
    // S3 reports expired credentials with status 400.
    if !matches!(status, 400 | 401 | 403) {
        return Ok(Verdict::Fine);
    }
    let body = ByteStream::new(response.take_body()).collect().await;
    let body = body.map_err(|error| ConnectorError::io(error.into()))?.into_bytes();
    let text = String::from_utf8_lossy(&body);
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    *response.body_mut() = SdkBody::from(body.clone());
    Ok(match code {
        Some(code) if blames_credentials(code) => Verdict::Refused,
        // The response to a HEAD has no body.
        None => Verdict::Unclear,
        Some(_) if status == 400 => Verdict::Fine,
        Some(_) => Verdict::Unclear,
    })
}

/// Retries requests whose response is marked.
#[derive(Debug)]
pub(super) struct RetryRenewed;

impl ClassifyRetry for RetryRenewed {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response().and_then(|response| response.extension::<Renewed>()) {
            Some(Renewed) => RetryAction::client_error(),
            None => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "credentials were renewed"
    }
}

#[cfg(test)]
mod tests;
