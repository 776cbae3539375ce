//! What the hub says about a file.
//!
//! It answers `resolve` with a redirect to where the bytes are, and in the same answer with
//! `X-Linked-Etag`, the SHA-256 of a large file, and `X-Linked-Size`. So redirects are followed by hand
//! as long as they say nothing.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, CONTENT_LENGTH, ETAG, HeaderMap, IF_RANGE, LOCATION, RANGE};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode, Url};

use crate::error::PrepareError;

/// Redirects before the bytes; the hub needs two.
const MOST_REDIRECTS: usize = 5;

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// No answer, or one that was cut.
    #[error("{0}")]
    Network(String),
    #[error("the answer is {0}")]
    Status(StatusCode),
    /// Bytes that are not those of the file.
    #[error("{0}")]
    Wrong(String),
    /// On this machine.
    #[error(transparent)]
    Local(PrepareError),
}

impl Fault {
    pub(super) fn can_pass(&self) -> bool {
        match self {
            Self::Network(_) | Self::Wrong(_) => true,
            Self::Status(status) => {
                status.is_server_error()
                    || [
                        StatusCode::TOO_MANY_REQUESTS,
                        StatusCode::REQUEST_TIMEOUT,
                        StatusCode::RANGE_NOT_SATISFIABLE,
                    ]
                    .contains(status)
            }
            Self::Local(_) => false,
        }
    }

    pub(super) fn of(self, url: &str) -> PrepareError {
        let url = url.to_owned();
        match self {
            Self::Network(reason) => PrepareError::Unreachable { url, reason },
            Self::Status(status) => PrepareError::Refused { url, status: status.as_u16() },
            Self::Wrong(reason) => PrepareError::WrongDownload { url, reason },
            Self::Local(error) => error,
        }
    }
}

impl From<reqwest::Error> for Fault {
    /// The reason is in the last of the sources; signed addresses are long, and no help.
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            reason = format!("{reason}: {error}");
            source = error.source();
        }
        Self::Network(reason)
    }
}

/// A file as the hub has it now.
#[derive(Debug)]
pub(super) struct Remote {
    /// Where its bytes are.
    pub(super) url: Url,
    /// Names its contents.
    pub(super) etag: Option<String>,
    /// In bytes.
    pub(super) size: Option<u64>,
}

impl Remote {
    /// The SHA-256 of the contents: the `ETag` of a large file, and of no other.
    pub(super) fn sha256(&self) -> Option<&str> {
        let is_hash = |etag: &&str| etag.len() == 64 && etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.etag.as_deref().map(bare).filter(is_hash)
    }

    /// What stands in the name of a `.part` file, so that none is continued with another's bytes.
    pub(super) fn key(&self) -> Option<String> {
        // A weak ETag allows for other bytes.
        let etag = self.etag.as_deref().filter(|etag| !etag.starts_with("W/"))?;
        Some(bare(etag).chars().filter(char::is_ascii_alphanumeric).take(16).collect())
    }
}

fn bare(etag: &str) -> &str {
    etag.trim_start_matches("W/").trim_matches('"')
}

/// Speaks to the hub and to what it redirects to.
pub(super) struct Client {
    /// Tells about redirects, and follows them.
    asking: reqwest::Client,
    following: reqwest::Client,
    endpoint: Url,
    token: Option<String>,
}

impl Client {
    pub(super) fn new(
        endpoint: &str,
        token: Option<String>,
        silence: Duration,
    ) -> Result<Self, PrepareError> {
        let bad = |reason: String| PrepareError::Unreachable { url: endpoint.to_owned(), reason };
        let parsed = Url::parse(endpoint).map_err(|error| bad(error.to_string()))?;
        // The first to say so is heard; any other says the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let build = |policy| {
            let mut http = reqwest::Client::builder()
                .connect_timeout(silence)
                .read_timeout(silence)
                .redirect(policy)
                .user_agent(concat!("overnight/", env!("CARGO_PKG_VERSION")));
            if matches!(parsed.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) {
                // Neither a proxy nor certificates, which a machine may not have.
                http = http.no_proxy().tls_certs_only([]);
            }
            http.build().map_err(|error| bad(error.to_string()))
        };
        Ok(Self {
            asking: build(Policy::none())?,
            following: build(Policy::limited(MOST_REDIRECTS))?,
            endpoint: parsed,
            token,
        })
    }

    /// Without a slash at its end.
    pub(super) fn endpoint(&self) -> &str {
        self.endpoint.as_str().trim_end_matches('/')
    }

    /// Which file `url` means now, and where it is.
    pub(super) async fn look_up(&self, url: &str) -> Result<Remote, Fault> {
        let mut at = Url::parse(url).map_err(|error| Fault::Network(error.to_string()))?;
        for _ in 0..=MOST_REDIRECTS {
            let request = self.asking.head(at.clone()).header(ACCEPT_ENCODING, "identity");
            let response = self.with_token(request, &at).send().await?;
            let (status, headers) = (response.status(), response.headers());
            let etag = text(headers, "x-linked-etag");
            let size = text(headers, "x-linked-size");
            if status.is_redirection() {
                let next = text(headers, LOCATION.as_str()).and_then(|location| at.join(&location).ok());
                at = next.ok_or_else(|| Fault::Network("a redirect to nowhere".to_owned()))?;
                if etag.is_none() {
                    continue; // To where a renamed dataset is, or to a mirror.
                }
            } else if !status.is_success() {
                return Err(Fault::Status(status));
            }
            let etag = etag.or_else(|| text(headers, ETAG.as_str()).filter(|_| status.is_success()));
            let length = || text(headers, CONTENT_LENGTH.as_str()).filter(|_| status.is_success());
            let size = size.or_else(length).and_then(|size| size.parse().ok());
            return Ok(Remote { url: at, etag, size });
        }
        Err(Fault::Network("too many redirects".to_owned()))
    }

    /// The bytes from `begin` on.
    pub(super) async fn get(&self, remote: &Remote, begin: u64) -> Result<Response, Fault> {
        let mut request = self.following.get(remote.url.clone()).header(ACCEPT_ENCODING, "identity");
        if begin > 0 {
            request = request.header(RANGE, format!("bytes={begin}-"));
            // A SHA-256 is checked in the end, and the host of the bytes may have an ETag of its own.
            if let Some(etag) = remote.etag.as_ref().filter(|_| remote.sha256().is_none()) {
                request = request.header(IF_RANGE, etag);
            }
        }
        Ok(self.with_token(request, &remote.url).send().await?)
    }

    fn with_token(&self, request: reqwest::RequestBuilder, url: &Url) -> reqwest::RequestBuilder {
        match &self.token {
            Some(token) if url.origin() == self.endpoint.origin() => request.bearer_auth(token),
            _ => request,
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}
