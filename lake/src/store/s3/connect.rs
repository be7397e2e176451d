//! Builds a client from settings.
//!
//! Knows where AWS settings come from and how long to wait. Knows nothing about operations.
//! Invariant: an endpoint that is set but not valid is an error; requests never go to AWS instead.

use std::{sync::Arc, time::Duration};

use aws_config::{
    BehaviorVersion, SdkConfig, environment::EnvironmentVariableRegionProvider, imds::region::ImdsRegionProvider,
    meta::region::ProvideRegion, profile::ProfileFileRegionProvider, provider_config::ProviderConfig,
};
use aws_sdk_s3::{
    Client, Config,
    config::{
        Builder, Credentials, IdentityCache, ProvideCredentials, Region, SharedCredentialsProvider, SharedHttpClient,
        StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
    },
};
use aws_smithy_http_client::{
    Builder as HttpBuilder, Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use futures::future::BoxFuture;
use url::{Host, Url};

use super::{
    Bucket, S3Failure,
    error::clean,
    renewal::{Renewable, RetryRenewed, Watched},
};

const REGION_DEFAULT: &str = "us-east-1";
const ENDPOINT_VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// From starting to send a request with a large body to the first byte of its response.
const READ_TIMEOUT_LARGE: Duration = Duration::from_secs(300);
const LARGE_BYTES: usize = 8 << 20;
/// Outside EC2 the request for the region may get no response; on EC2 it takes a millisecond.
const INSTANCE_REGION_TIMEOUT: Duration = Duration::from_secs(1);
const RETRY_PAUSE_FIRST: Duration = Duration::from_millis(200);

/// How long to wait for a server that is silent. A transfer may take any time as long as bytes arrive.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// From sending a request to the first byte of its response.
    read: Duration,
    /// How often a request is sent before it counts as failed.
    tries: u32,
    /// How long a body that has started may stall.
    stall: Duration,
}

impl Waits {
    /// For programs that run unattended: as long as waiting may help, two minutes for a request.
    pub const LONG: Self = Self { read: Duration::from_secs(30), tries: 4, stall: Duration::from_secs(20) };
    /// For interactive programs: half a minute for a request.
    pub const SHORT: Self = Self { read: Duration::from_secs(9), tries: 3, stall: Duration::from_secs(9) };
}

pub(super) async fn from_environment(bucket: &str, waits: Waits) -> Result<Bucket, S3Failure> {
    let mut endpoint = None;
    for name in ENDPOINT_VARIABLES {
        if let Some(value) = std::env::var(name).ok().filter(|value| !value.is_empty()) {
            endpoint = endpoint.or(Some(checked_endpoint(&value, name)?));
        }
    }
    let http = http_client(endpoint.as_ref());
    let region = region(endpoint.is_some(), &http).await;
    let settings = sdk_settings(region.clone(), http.clone()).await;
    // Another variable can disable these, and a profile can set an endpoint without them: ask the SDK.
    let mut builder = Builder::from(&settings);
    let chosen = chosen_endpoint(&settings);
    let chosen = chosen.map(|value| checked_endpoint(&value, "endpoint_url")).transpose()?;
    builder.set_endpoint_url(chosen.as_ref().map(ToString::to_string));
    let credentials = settings.credentials_provider().map(|chain| Arc::new(renewable(chain, &region, &http)));
    if let Some(credentials) = &credentials {
        let watched = Watched { inner: http, credentials: Arc::clone(credentials) };
        let provider: Arc<dyn ProvideCredentials> = Arc::<Renewable>::clone(credentials);
        builder.set_credentials_provider(Some(provider.into()));
        builder = builder
            .http_client(watched)
            .retry_classifier(RetryRenewed)
            // They keep what they have read themselves; another cache would keep what was refused.
            .identity_cache(IdentityCache::no_cache());
    }
    let bucket = build(bucket, builder, chosen.as_ref(), &region, waits)?;
    Ok(Bucket { credentials, ..bucket })
}

/// The settings that every AWS tool reads, as they are now.
async fn sdk_settings(region: Region, http: SharedHttpClient) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12()).region(region).http_client(http).load().await
}

fn renewable(chain: SharedCredentialsProvider, region: &Region, http: &SharedHttpClient) -> Renewable {
    let (region, http) = (region.clone(), http.clone());
    let new_chain = move || {
        let settings = sdk_settings(region.clone(), http.clone());
        Box::pin(async { settings.await.credentials_provider() }) as BoxFuture<'static, _>
    };
    Renewable::new(chain, Box::new(new_chain))
}

/// Settings for a client of another AWS service at `endpoint`: the credential chain, the HTTP client and the timeouts
/// are the store's. Without a `region`, it is the store's too.
pub async fn service_settings(endpoint: String, region: Option<&str>) -> SdkConfig {
    let http = http_client(Url::parse(&endpoint).ok().as_ref());
    let region = match region {
        Some(region) => Region::new(region.to_owned()),
        None => self::region(true, &http).await,
    };
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).region(region).http_client(http);
    loader.endpoint_url(endpoint).timeout_config(timeouts(Waits::LONG.read)).load().await
}

pub(super) fn explicit(bucket: &str, endpoint: &str, credentials: Credentials) -> Result<Bucket, S3Failure> {
    let endpoint = checked_endpoint(endpoint, "endpoint")?;
    let region = Region::from_static(REGION_DEFAULT);
    let builder = Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http_client(Some(&endpoint)))
        .region(region.clone())
        .endpoint_url(endpoint.as_str())
        .credentials_provider(credentials);
    build(bucket, builder, Some(&endpoint), &region, Waits::LONG)
}

/// Timeouts for a request with a body of this size.
pub(super) fn timeouts_for(body_bytes: usize) -> Builder {
    // Only two classes: the SDK keeps separate connections for each set of timeouts.
    let read = if body_bytes < LARGE_BYTES { Waits::LONG.read } else { READ_TIMEOUT_LARGE };
    Config::builder().timeout_config(timeouts(read))
}

fn timeouts(read: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(read).build()
}

fn build(
    bucket: &str,
    builder: Builder,
    endpoint: Option<&Url>,
    region: &Region,
    waits: Waits,
) -> Result<Bucket, S3Failure> {
    let name = checked_bucket(bucket)?;
    let stalls = StalledStreamProtectionConfig::enabled().grace_period(waits.stall).build();
    let config = builder
        .timeout_config(timeouts(waits.read))
        .retry_config(RetryConfig::standard().with_max_attempts(waits.tries).with_initial_backoff(RETRY_PAUSE_FIRST))
        .stalled_stream_protection(stalls)
        // A host name for each bucket, such as lake.localhost, exists only on AWS.
        .force_path_style(endpoint.is_some())
        .build();
    let endpoint = endpoint.map_or_else(|| format!("https://s3.{region}.amazonaws.com"), readable);
    Ok(Bucket { client: Client::from_conf(config), credentials: None, name, endpoint })
}

async fn region(has_endpoint: bool, http: &SharedHttpClient) -> Region {
    let known = |region: &Region| !region.as_ref().is_empty();
    if let Some(region) = EnvironmentVariableRegionProvider::new().region().await.filter(known) {
        return region;
    }
    if let Some(region) = ProfileFileRegionProvider::new().region().await.filter(known) {
        return region;
    }
    // A server at a custom endpoint does not need the region of this machine.
    if !has_endpoint {
        let config = ProviderConfig::without_region().with_http_client(http.clone());
        let instance = ImdsRegionProvider::builder().configure(&config).build();
        if let Ok(Some(region)) = tokio::time::timeout(INSTANCE_REGION_TIMEOUT, instance.region()).await {
            return region;
        }
    }
    Region::from_static(REGION_DEFAULT)
}

fn chosen_endpoint(settings: &SdkConfig) -> Option<String> {
    let key = aws_types::service_config::ServiceConfigKey::builder()
        .service_id("S3")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    let for_s3 = settings.service_config().and_then(|config| config.load_config(key));
    for_s3.or_else(|| settings.endpoint_url().map(str::to_owned)).filter(|value| !value.is_empty())
}

fn http_client(endpoint: Option<&Url>) -> SharedHttpClient {
    let proxy = if endpoint.is_some_and(is_loopback) { ProxyConfig::disabled() } else { ProxyConfig::from_env() };
    HttpBuilder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .proxy_config(proxy.clone())
            .enable_tcp_nodelay(true);
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build()
    })
}

fn is_loopback(endpoint: &Url) -> bool {
    match endpoint.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn checked_endpoint(value: &str, name: &str) -> Result<Url, S3Failure> {
    let parsed = Url::parse(value).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    parsed.ok_or_else(|| {
        // The message does not repeat the value, which may contain a password anywhere.
        let what = "must start with http:// or https:// and a host".to_owned();
        S3Failure::Settings { name: name.to_owned(), what }
    })
}

fn checked_bucket(bucket: &str) -> Result<String, S3Failure> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if (3..=63).contains(&bucket.len()) && bucket.bytes().all(fits) {
        return Ok(bucket.to_owned());
    }
    let what = format!("{:?} is not a valid bucket name: use 3 to 63 letters, digits, hyphens and dots", clean(bucket));
    Err(S3Failure::Settings { name: "bucket".to_owned(), what })
}

/// The endpoint for display, without user name and password.
fn readable(endpoint: &Url) -> String {
    let port = endpoint.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path = endpoint.path().trim_end_matches('/');
    format!("{}://{}{port}{path}", endpoint.scheme(), endpoint.host_str().unwrap_or_default())
}
