//! One post to the platform.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use peerstream_sdk::prelude::*;
use serde::de::DeserializeOwned;
use ureq::http::StatusCode;

use crate::config::Config;
use crate::signature::{HEADER, signature};

/// An answer is no larger, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
/// No longer pause is taken over from the platform.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// Speaks to the platform; blocks, within the time that the config gives.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    /// The address as it may be shown: without path and query, which may be a secret of the platform's.
    shown: String,
    secret: Secret,
}

impl Client {
    pub(crate) fn new(config: &Config) -> Self {
        // One provider of cryptography for the whole process; a second call changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certs = rustls_native_certs::load_native_certs().certs;
        let certs: Vec<_> = certs.iter().map(|cert| ureq::tls::Certificate::from_der(cert).to_owned()).collect();
        let tls = ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::new_with_certs(&certs)).build();
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_millis(config.timeout_ms)))
            .tls_config(tls)
            .max_redirects(0)
            .http_status_as_error(false)
            .build();
        let shown = config.url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        let shown = shown.split(['?', '#']).next().unwrap_or_default().to_owned();
        Self { agent: agent.into(), url: config.url.clone(), shown, secret: config.secret.clone() }
    }

    /// Posts a message, which has this name when it comes again, and gives the answer; none when the platform has nothing to say (204).
    pub(crate) fn post<T: DeserializeOwned>(&self, delivery: &str, body: &[u8]) -> Result<Option<T>, PluginError> {
        let at_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let request = self.agent.post(&self.url).content_type("application/json");
        let request = request.header(HEADER, signature(self.secret.reveal().as_bytes(), at_s, body));
        let mut response =
            request.header("peerstream-delivery", delivery).send(body).map_err(|error| self.failed(&error))?;
        let status = response.status();
        if status == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        if status != StatusCode::OK {
            let pause = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            return Err(self.refused(status, pause.map(Duration::from_secs)));
        }
        let read = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let answer = read.map_err(|error| self.failed(&error))?;
        let malformed = |error| self.error(ErrorClass::Invalid, &format!("answers with no decision: {error}"));
        serde_json::from_slice(&answer).map(Some).map_err(malformed)
    }

    fn failed(&self, error: &ureq::Error) -> PluginError {
        match error {
            ureq::Error::BadUri(_) => self.error(ErrorClass::Invalid, "is no address"),
            ureq::Error::Timeout(_) => self.error(ErrorClass::Timeout, "does not answer in time"),
            ureq::Error::BodyExceedsLimit(_) => {
                self.error(ErrorClass::Invalid, &format!("answers with more than {ANSWER_BYTES_MAX} bytes"))
            }
            error => self.error(
                ErrorClass::Unavailable,
                &format!("cannot be reached: {}", error.to_string().replace(&self.url, &self.shown)),
            ),
        }
    }

    /// A status other than 200 and 204. A redirect is not followed: the case would be shown to somebody else.
    fn refused(&self, status: StatusCode, pause: Option<Duration>) -> PluginError {
        let class = match status.as_u16() {
            408 | 500..=504 => ErrorClass::Unavailable,
            429 => ErrorClass::RateLimited,
            401 | 403 => ErrorClass::Denied,
            404 | 410 => ErrorClass::NotFound,
            _ => ErrorClass::Invalid,
        };
        let hint = if status.is_redirection() { ", and redirects are not followed" } else { "" };
        let error = self.error(class, &format!("answers {status}{hint}"));
        match pause {
            Some(pause) => error.retry_after(pause.min(PAUSE_MAX)),
            None => error,
        }
    }

    fn error(&self, class: ErrorClass, what: &str) -> PluginError {
        PluginError::new(class, format!("{} {what}", self.shown))
    }
}
