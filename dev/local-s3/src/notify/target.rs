//! Where notifications go.
//!
//! Knows URLs and headers. Invariant: a target that exists can be connected to and sent to without further checks.

use http::{HeaderValue, Uri};

/// The URL that gets the events, and the token that it asks for.
#[derive(Clone, Debug)]
pub struct NotifyTarget {
    /// `host:port`.
    pub(super) authority: String,
    /// The path, with the query.
    pub(super) path: String,
    /// The value of `Authorization`; it prints itself as `Sensitive`.
    pub(super) authorization: Option<HeaderValue>,
    /// The most events that wait to be sent.
    pub(super) waiting_max: usize,
}

/// The most events that wait, unless set otherwise.
const WAITING_MAX: usize = 10_000;

impl NotifyTarget {
    /// Reads a URL such as `http://127.0.0.1:4041/`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(url: &str) -> Result<Self, String> {
        let parsed = url.parse::<Uri>().ok().filter(|url| url.scheme_str() == Some("http"));
        let Some((host, parsed)) = parsed.as_ref().and_then(|url| Some((url.host()?, url))) else {
            return Err("must start with http:// and a host, such as http://127.0.0.1:4041/".to_owned());
        };
        if parsed.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("credentials do not belong in the URL".to_owned());
        }
        let path = parsed.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        let authority = format!("{host}:{}", parsed.port_u16().unwrap_or(80));
        Ok(Self { authority, path, authorization: None, waiting_max: WAITING_MAX })
    }

    /// Sends `Authorization: Bearer <token>` with each event.
    ///
    /// # Errors
    /// What is wrong with the token, without the token.
    pub fn with_token(mut self, token: &str) -> Result<Self, String> {
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut value = value.map_err(|_| "has characters that an HTTP header does not allow".to_owned())?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(self)
    }

    /// Keeps at most this many events waiting; the oldest are lost first. 10,000 by default.
    #[must_use]
    pub fn with_waiting_max(mut self, events: usize) -> Self {
        self.waiting_max = events;
        self
    }
}
