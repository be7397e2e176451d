//! DuckDB's httpfs extension, and its S3 credentials.
//!
//! The credentials come from the AWS chain that the rest of Sluice uses. Invariant: no error and no log contains one.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use aws_config::{
    BehaviorVersion, environment::EnvironmentVariableRegionProvider, meta::region::RegionProviderChain,
    profile::ProfileFileRegionProvider,
};
use aws_credential_types::{Credentials, provider::ProvideCredentials};
use aws_smithy_http_client::{
    Builder as HttpBuilder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use duckdb::Connection;
use url::Url;

use crate::{error::Error, quote::literal};

const FILE: &str = "httpfs.duckdb_extension";
const REGION_DEFAULT: &str = "us-east-1";
/// How long before their expiry credentials are renewed: longer than most statements run.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// Prepares the loaded extension. Committed files never change, so cached metadata stays valid. The settings that the
/// extension filled from the environment are cleared: a listing of the settings would show the keys.
const SET_UP: &str = "
SET GLOBAL enable_http_metadata_cache = true;
SET GLOBAL s3_access_key_id = '';
SET GLOBAL s3_secret_access_key = '';
SET GLOBAL s3_session_token = '';
";

/// The extension, loaded and with credentials.
#[derive(Debug)]
pub(super) struct Httpfs {
    expires: Option<SystemTime>,
}

impl Httpfs {
    /// Loads the extension; `None` if its file does not exist.
    ///
    /// # Errors
    /// [`Error::Bug`] when DuckDB rejects the file; [`Error::Lake`] without credentials.
    pub(super) async fn load(connection: &Connection) -> Result<Option<Self>, Error> {
        let Some(file) = places().into_iter().map(|folder| folder.join(FILE)).find(|file| file.is_file()) else {
            return Ok(None);
        };
        let load = format!("LOAD {}", literal(&file.display().to_string()));
        connection.execute_batch(&load).map_err(Error::bug("load httpfs"))?;
        connection.execute_batch(SET_UP).map_err(Error::bug("set up httpfs"))?;
        let mut httpfs = Self { expires: None };
        httpfs.set_credentials(connection).await?;
        Ok(Some(httpfs))
    }

    /// Gets new credentials if the old ones expire soon or were `refused`.
    pub(super) async fn renew(&mut self, connection: &Connection, refused: bool) -> Result<(), Error> {
        let expire_soon = self.expires.is_some_and(|expires| expires < SystemTime::now() + RENEW_BEFORE);
        if expire_soon || refused { self.set_credentials(connection).await } else { Ok(()) }
    }

    async fn set_credentials(&mut self, connection: &Connection) -> Result<(), Error> {
        let access = Access::from_environment().await?;
        self.expires = access.credentials.expiry();
        // DuckDB's message may repeat the statement, including its secrets.
        connection
            .execute_batch(&access.secret())
            .map_err(|_| Error::Bug { doing: "give DuckDB the S3 credentials", words: "it refused them".to_owned() })
    }
}

/// The folders that may contain the extension: only the one that the user named, or else the known ones.
fn places() -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os("DUCKDB_EXTENSION_DIR") {
        return vec![PathBuf::from(named)];
    }
    let program = std::env::current_exe().and_then(|path| path.canonicalize()).ok();
    let beside = program.as_ref().and_then(|path| path.parent()).map(|folder| folder.join("../duckdb"));
    beside.into_iter().chain([PathBuf::from(env!("READER_DUCKDB_DIR"))]).collect()
}

/// How to reach S3.
struct Access {
    credentials: Credentials,
    region: String,
    endpoint: Option<Url>,
}

impl Access {
    async fn from_environment() -> Result<Self, Error> {
        let http = HttpBuilder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
        // A server at its own endpoint does not need the region of this machine.
        if endpoint_of(None).is_some() {
            let set = EnvironmentVariableRegionProvider::new();
            let profile = ProfileFileRegionProvider::new();
            loader = loader.region(RegionProviderChain::first_try(set).or_else(profile).or_else(REGION_DEFAULT));
        }
        let config = loader.load().await;
        let region = config.region().map_or(REGION_DEFAULT, |region| region.as_ref()).to_owned();
        let endpoint = endpoint_of(config.endpoint_url()).map(|text| Url::parse(&text)).transpose();
        let endpoint = endpoint.map_err(|_| settings("AWS_ENDPOINT_URL", "is not a URL"))?;
        let provider = config.credentials_provider();
        let provider = provider
            .ok_or_else(|| settings("AWS_ACCESS_KEY_ID", "is not set, and no other S3 credentials were found"))?;
        let credentials = provider.provide_credentials().await;
        let credentials = credentials.map_err(|error| settings("AWS_ACCESS_KEY_ID", &lake::error::describe(&error)))?;
        Ok(Self { credentials, region, endpoint })
    }

    /// The statement that gives DuckDB the credentials.
    fn secret(&self) -> String {
        let mut options = vec![
            format!("KEY_ID {}", literal(self.credentials.access_key_id())),
            format!("SECRET {}", literal(self.credentials.secret_access_key())),
            format!("REGION {}", literal(&self.region)),
        ];
        if let Some(token) = self.credentials.session_token() {
            options.push(format!("SESSION_TOKEN {}", literal(token)));
        }
        if let Some(endpoint) = &self.endpoint {
            let text = endpoint.as_str().trim_end_matches('/');
            let host = text.split_once("://").map_or(text, |(_, host)| host);
            options.push(format!("ENDPOINT {}", literal(host)));
            options.push("URL_STYLE 'path'".to_owned());
            options.push(format!("USE_SSL {}", endpoint.scheme() == "https"));
        }
        format!("CREATE OR REPLACE TEMPORARY SECRET lake (TYPE s3, {})", options.join(", "))
    }
}

fn endpoint_of(configured: Option<&str>) -> Option<String> {
    let set = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    set("AWS_ENDPOINT_URL_S3").or_else(|| set("AWS_ENDPOINT_URL")).or_else(|| configured.map(str::to_owned))
}

fn settings(name: &str, what: &str) -> Error {
    let mut problems = lake::settings::Problems::default();
    problems.add(name, what);
    Error::Lake(lake::Error::Settings(problems))
}
