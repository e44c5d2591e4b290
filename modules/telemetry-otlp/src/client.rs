//! One request to the collector.

use std::time::Duration;

use peerstream_sdk::prelude::*;
use ureq::http::StatusCode;

use crate::config::Config;

/// An answer is no larger, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Speaks to the collector; blocks, within the time that the config gives.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    endpoint: String,
    authorization: Secret,
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
        let endpoint = config.endpoint.trim_end_matches('/').to_owned();
        Self { agent: agent.into(), endpoint, authorization: config.authorization.clone() }
    }

    /// Sends a message and gives the answer's body.
    pub(crate) fn send(&self, path: &str, message: &[u8]) -> Result<Vec<u8>, PluginError> {
        let url = format!("{}{path}", self.endpoint);
        let mut request = self.agent.post(&url).content_type("application/x-protobuf");
        if !self.authorization.is_empty() {
            request = request.header("authorization", self.authorization.reveal());
        }
        let mut response = request.send(message).map_err(|error| failed(&url, &error))?;
        let status = response.status();
        if !status.is_success() {
            let pause = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            return Err(refused(&url, status, pause.map(Duration::from_secs)));
        }
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        // It was taken; an answer that cannot be read says nothing else.
        Ok(body.unwrap_or_default())
    }
}

fn failed(url: &str, error: &ureq::Error) -> PluginError {
    let class = match error {
        ureq::Error::BadUri(_) => ErrorClass::Invalid,
        ureq::Error::Timeout(_) => ErrorClass::Timeout,
        _ => ErrorClass::Unavailable,
    };
    PluginError::new(class, format!("{url} cannot be reached: {error}"))
}

/// The statuses that are worth another try are those that OTLP names.
fn refused(url: &str, status: StatusCode, pause: Option<Duration>) -> PluginError {
    let class = match status.as_u16() {
        429 => ErrorClass::RateLimited,
        502..=504 => ErrorClass::Unavailable,
        401 | 403 => ErrorClass::Denied,
        404 => ErrorClass::NotFound,
        _ => ErrorClass::Invalid,
    };
    let error = PluginError::new(class, format!("{url} answers {status}"));
    match pause {
        Some(pause) => error.retry_after(pause),
        None => error,
    }
}
