//! One request to the site, and its answer: bounded in time and size.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use peerstream_sdk::serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::SendBody;
use ureq::http::{HeaderMap, Method, Request, header};

use crate::config::Config;
use crate::failure::Failure;

/// An answer is no larger, in bytes.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// So much of an answer is told.
const WORDS_MAX: usize = 200;
/// The longest pause that the site can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// After a "too many requests" that names no pause.
const RETRY_AFTER_USUAL: Duration = Duration::from_secs(10);
/// How much of a chunk is sent at once where the uplink is bounded, in bytes.
const PACED_BYTES: usize = 16 * 1024;

/// What a request carries.
#[derive(Clone, Debug)]
pub(crate) enum Body<'a> {
    None,
    Json(Value),
    /// As a login is sent.
    Form(Vec<(&'static str, String)>),
    /// As PeerTube wants what may have pictures with it.
    Multipart(Vec<(&'static str, String)>),
    /// A piece of a file: its bytes and its `Content-Range`.
    Chunk(&'a [u8], String),
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    /// Behind `/api/v1`.
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body<'a>,
}

impl Call<'_> {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: Body::None }
    }
}

impl<'a> Call<'a> {
    #[must_use]
    pub(crate) fn with(self, body: Body<'a>) -> Self {
        Self { body, ..self }
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// PeerTube's errors (RFC 7807).
#[derive(Debug, Default, peerstream_sdk::serde::Deserialize)]
#[serde(default)]
struct Problem {
    code: Option<String>,
    detail: Option<String>,
    error: Option<String>,
}

/// Speaks to the site; blocks, within the time that the config gives, or until the host ends.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    agent: ureq::Agent,
    base: String,
    bytes_per_second: u64,
    stop: Arc<AtomicBool>,
}

impl Http {
    /// Reads the system's certificates.
    pub(crate) fn new(config: &Config, stop: Arc<AtomicBool>) -> Self {
        // One provider of cryptography for the whole process; a second call changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certs = rustls_native_certs::load_native_certs().certs;
        let certs: Vec<_> = certs.iter().map(|cert| ureq::tls::Certificate::from_der(cert).to_owned()).collect();
        let tls = ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::new_with_certs(&certs)).build();
        let wait = Some(Duration::from_millis(config.timeout_ms));
        // No bound on the whole: a chunk may take long over a slow line. The bounds are on each of its steps.
        let agent = ureq::Agent::config_builder()
            .timeout_resolve(wait)
            .timeout_connect(wait)
            .timeout_per_write(wait)
            .timeout_recv_response(wait)
            .timeout_recv_body(wait)
            .tls_config(tls)
            .max_redirects(0)
            .http_status_as_error(false)
            .build();
        let base = format!("{}/api/v1", config.base());
        Self { agent: agent.into(), base, bytes_per_second: config.upload_bytes_per_second, stop }
    }

    /// Makes a request. Every answer is an answer; no answer is a failure.
    pub(crate) fn send(&self, call: &Call<'_>, token: Option<&str>) -> Result<Answer, Failure> {
        if self.stop.load(Relaxed) {
            return Err(Failure::Stopped);
        }
        let mut request = Request::builder().method(call.method.clone()).uri(format!("{}{}", self.base, call.path));
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let bad = |error: ureq::http::Error| Failure::unfit(format!("no request can be made of that: {error}"));
        let result = match encoded(&call.body) {
            Encoded::None => self.agent.run(request.body(()).map_err(bad)?),
            Encoded::Bytes(kind, bytes) => {
                self.agent.run(request.header(header::CONTENT_TYPE, kind).body(&bytes[..]).map_err(bad)?)
            }
            Encoded::Chunk(bytes, range) => {
                // With a form's type, which other clients send unless told otherwise, PeerTube refuses all but small chunks.
                let request = request.header(header::CONTENT_TYPE, "application/octet-stream");
                let request = request.header(header::CONTENT_RANGE, range).header(header::CONTENT_LENGTH, bytes.len());
                let mut paced = Paced { bytes, sent: 0, since: Instant::now(), http: self };
                self.agent.run(request.body(SendBody::from_reader(&mut paced)).map_err(bad)?)
            }
        };
        match result {
            Ok(mut response) => {
                let (status, headers) = (response.status().as_u16(), response.headers().clone());
                let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
                let body = body.map_err(|error| self.unreachable(&error))?;
                Ok(Answer { status, headers, body })
            }
            Err(error) => Err(self.unreachable(&error)),
        }
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        if self.stop.load(Relaxed) {
            return Failure::Stopped;
        }
        Failure::later(format!("{} cannot be reached: {error}", self.base))
    }
}

enum Encoded<'a> {
    None,
    Bytes(String, Vec<u8>),
    Chunk(&'a [u8], &'a str),
}

fn encoded<'a>(body: &'a Body<'a>) -> Encoded<'a> {
    match body {
        Body::None => Encoded::None,
        Body::Json(value) => Encoded::Bytes("application/json".into(), value.to_string().into_bytes()),
        Body::Form(fields) => {
            let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            Encoded::Bytes("application/x-www-form-urlencoded".into(), text.into_bytes())
        }
        Body::Multipart(fields) => {
            let (boundary, bytes) = multipart(fields);
            Encoded::Bytes(format!("multipart/form-data; boundary={boundary}"), bytes)
        }
        Body::Chunk(bytes, range) => Encoded::Chunk(bytes, range),
    }
}

/// Fields as a form in parts, and what stands between them: made of the fields, so that none of them contains it.
fn multipart(fields: &[(&'static str, String)]) -> (String, Vec<u8>) {
    let mut hasher = blake3::Hasher::new();
    for (_, value) in fields {
        hasher.update(value.as_bytes());
    }
    let boundary = format!("peerstream-{}", &hasher.finalize().to_hex()[..32]);
    let mut text = String::new();
    for (name, value) in fields {
        text += &format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    text += &format!("--{boundary}--\r\n");
    (boundary, text.into_bytes())
}

/// Gives a chunk no faster than the config allows, and not at all when the host ends.
struct Paced<'a> {
    bytes: &'a [u8],
    sent: u64,
    since: Instant,
    http: &'a Http,
}

impl Read for Paced<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rate = self.http.bytes_per_second;
        let ahead = |sent: u64| Duration::from_micros(sent.saturating_mul(1_000_000).checked_div(rate).unwrap_or(0));
        let due = self.since + ahead(self.sent);
        loop {
            if self.http.stop.load(Relaxed) {
                return Err(io::Error::other("the host ends"));
            }
            match due.saturating_duration_since(Instant::now()) {
                Duration::ZERO => break,
                left => std::thread::sleep(left.min(Duration::from_millis(100))),
            }
        }
        let most = if rate == 0 { buffer.len() } else { buffer.len().min(PACED_BYTES) };
        let (now, rest) = self.bytes.split_at(self.bytes.len().min(most));
        buffer[..now.len()].copy_from_slice(now);
        self.bytes = rest;
        self.sent += now.len() as u64;
        Ok(now.len())
    }
}

impl Answer {
    pub(crate) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let told = |error| Failure::later(format!("the site's answer ({}) cannot be read: {error}", self.status));
        serde_json::from_slice(&self.body).map_err(told)
    }

    /// PeerTube's word for what is wrong; empty if it gives none.
    pub(crate) fn code(&self) -> String {
        self.problem().code.unwrap_or_default()
    }

    fn problem(&self) -> Problem {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// What it says, for people: a problem's words, or the first line of a plain text.
    pub(crate) fn words(&self) -> String {
        let problem = self.problem();
        let text = problem.detail.or(problem.error).unwrap_or_else(|| {
            let text = String::from_utf8_lossy(&self.body);
            // A proxy's page says nothing that its status does not say.
            let text = if text.trim_start().starts_with('<') { "".into() } else { text };
            text.lines().next().unwrap_or_default().to_owned()
        });
        let text: String = text.chars().filter(|char| !char.is_control()).take(WORDS_MAX).collect();
        match (problem.code, text.is_empty()) {
            (Some(code), false) => format!("{} {code}: {text}", self.status),
            (Some(code), true) => format!("{} {code}", self.status),
            (None, false) => format!("{}: {text}", self.status),
            (None, true) => self.status.to_string(),
        }
    }

    /// How long the site wants to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let seconds = self.header("retry-after").and_then(|value| value.trim().parse().ok());
        let usual = (self.status == 429).then_some(RETRY_AFTER_USUAL);
        seconds.map(Duration::from_secs).or(usual).map(|pause| pause.min(RETRY_AFTER_MAX))
    }

    /// What an answer that is not good means, unless whoever asked knows better.
    pub(crate) fn failure(&self, what: &str) -> Failure {
        let why = format!("{what}: {}", self.words());
        match (self.status, self.code().as_str()) {
            (408 | 429 | 500.., _) => Failure::Later { why, pause: self.retry_after() },
            (413, "quota_reached") => Failure::refused(format!("the account's quota is used up ({})", self.words())),
            (401 | 403, _) => Failure::refused(why),
            (404, _) => Failure::Gone { why },
            (300..=399, _) => Failure::refused(format!("{what}: {} sends elsewhere; is `url` right?", self.status)),
            _ => Failure::unfit(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let mut map = HeaderMap::new();
        headers.iter().for_each(|(name, value)| drop(map.insert(*name, value.parse().unwrap())));
        Answer { status, headers: map, body: body.into() }
    }

    #[test]
    fn a_plain_text_is_told_as_well_as_a_problem() {
        let plain = answer(429, &[("retry-after", "7")], "Too many requests, please try again later.");
        let Failure::Later { why, pause } = plain.failure("uploading") else { panic!() };
        assert_eq!(why, "uploading: 429: Too many requests, please try again later.");
        assert_eq!(pause, Some(Duration::from_secs(7)));
        assert_eq!(answer(429, &[], "").retry_after(), Some(RETRY_AFTER_USUAL));
        let far = answer(503, &[("retry-after", "999999")], "");
        assert_eq!(far.retry_after(), Some(RETRY_AFTER_MAX));
        let quota = answer(413, &[], r#"{"code": "quota_reached", "detail": "The user video quota is exceeded"}"#);
        assert!(matches!(quota.failure("x"), Failure::Refused { .. }));
        assert_eq!(answer(502, &[("content-type", "text/html")], "<html>").words(), "502");
    }

    #[test]
    fn fields_come_between_boundaries() {
        let (boundary, bytes) = multipart(&[("name", "Friday\nnight".into()), ("privacy", "1".into())]);
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.matches(&boundary).count(), 3);
        assert!(text.contains("name=\"name\"\r\n\r\nFriday\nnight\r\n--") && text.ends_with("--\r\n"));
    }
}
