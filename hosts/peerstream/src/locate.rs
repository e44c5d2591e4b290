//! From the address of a stream's page to its control connection and its publisher.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use peerstream::control::Endpoint;
use peerstream::protocol::WIRE_VERSION;
use peerstream::protocol::crypto::PublicKey;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::cli::{self, StreamArgs};
use crate::porter::{AtDoor, Porter};

/// A host that does not answer for this long is not there.
const TIMEOUT: Duration = Duration::from_secs(10);
/// An answer is no larger, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Where a stream is, and whose it must be.
#[derive(Debug)]
pub struct Located {
    /// The coordinator.
    pub endpoint: Endpoint,
    /// The publisher's key.
    pub publisher: PublicKey,
    /// Whether the key was known beforehand; otherwise the host's word was taken.
    pub pinned: bool,
}

/// What is read of the answer of `/api/v1/stream`.
#[derive(Debug, Deserialize)]
struct Stream {
    publisher: String,
    wire: u16,
    /// Hosts of before let everybody in.
    #[serde(default)]
    admission: Option<String>,
}

/// Asks the host for its stream.
pub async fn locate(args: &StreamArgs) -> Result<Located> {
    let (base, pin) = address(args)?;
    let url = base.join("api/v1/stream").context("the address takes no path")?;
    let asked = url.clone();
    let stream = tokio::task::spawn_blocking(move || ask::<Stream>(&asked))
        .await
        .context("asking the host was interrupted")??;
    let offered = cli::publisher(&stream.publisher).map_err(|problem| not_peerstream(&url, &problem))?;
    if let Some(pin) = pin.filter(|pin| *pin != offered) {
        bail!("{base} serves the stream of another publisher: {offered} instead of {pin}; nothing was accepted");
    }
    if stream.wire != WIRE_VERSION {
        bail!(
            "{base} speaks wire version {}, this peerstream speaks {WIRE_VERSION}; update the older one",
            stream.wire
        );
    }
    let mut control = base.join("api/v1/control").context("the address takes no path")?;
    let scheme = if base.scheme() == "https" { "wss" } else { "ws" };
    control.set_scheme(scheme).map_err(|()| anyhow!("{base} cannot be turned into a {scheme} address"))?;
    let mut endpoint = Endpoint::websocket(control.as_str())?;
    if stream.admission.as_deref() == Some("required") {
        let door = base.join("api/v1/admission").context("the address takes no path")?;
        let porter = Arc::new(Porter::new(door, args.token.clone()));
        porter.enter().await?;
        endpoint = Endpoint::Guarded(control, Arc::new(AtDoor(porter)));
    }
    Ok(Located { endpoint, publisher: offered, pinned: pin.is_some() })
}

/// A page's folder.
pub fn folder(url: &str) -> Result<Url> {
    let (folder, _) = address(&StreamArgs { url: url.to_owned(), publisher: None, token: None })?;
    Ok(folder)
}

/// The page's folder, and the key that must sign the stream.
fn address(args: &StreamArgs) -> Result<(Url, Option<PublicKey>)> {
    let text = &args.url;
    let mut url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => {
            anyhow!("`{text}` has no scheme, expected such as http://{}", text.trim_start_matches('/'))
        }
        error => anyhow!("`{text}` is not an address: {error}, expected such as http://example.org:8080/"),
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        // `example.org:8080` reads as a scheme and a path.
        let guess = if url.has_host() {
            format!("http://{}", url.host_str().unwrap_or_default())
        } else {
            format!("http://{text}")
        };
        bail!("`{text}` does not begin with http:// or https://, expected such as {guess}");
    }
    let fragment = url.fragment().filter(|fragment| !fragment.is_empty());
    let fragment = fragment.map(|fragment| {
        cli::publisher(fragment)
            .map_err(|problem| anyhow!("what follows # in `{text}` is not a publisher's key: {problem}"))
    });
    let fragment = fragment.transpose()?;
    if let (Some(one), Some(two)) = (fragment, args.publisher)
        && one != two
    {
        bail!("the key after # and --publisher differ; give one of them");
    }
    url.set_fragment(None);
    url.set_query(None);
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok((url, args.publisher.or(fragment)))
}

/// Asks a host for a JSON document.
pub fn ask<T: DeserializeOwned>(url: &Url) -> Result<T> {
    ask_with(url, None)
}

/// Speaks to hosts; an answer may take so long as a whole, or for ever once it has begun.
pub fn agent(timeout: Option<Duration>) -> ureq::Agent {
    // The system's certificates, and one provider of cryptography for the whole process; a second call changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certs = rustls_native_certs::load_native_certs().certs;
    let certs: Vec<_> = certs.iter().map(|cert| ureq::tls::Certificate::from_der(cert).to_owned()).collect();
    let tls = ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::new_with_certs(&certs)).build();
    let config = ureq::Agent::config_builder().timeout_global(timeout).tls_config(tls);
    config.timeout_connect(Some(TIMEOUT)).timeout_recv_response(Some(TIMEOUT)).build().into()
}

/// Asks a host for a JSON document, with a token of its dashboard.
pub fn ask_with<T: DeserializeOwned>(url: &Url, token: Option<&str>) -> Result<T> {
    let mut request = agent(Some(TIMEOUT)).get(url.as_str());
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let host = url.host_str().unwrap_or_default();
    let mut response = request.call().map_err(|error| match error {
        ureq::Error::StatusCode(401) => anyhow!("{host} tells that only those who show its dashboard's token: --token"),
        ureq::Error::StatusCode(code) => not_peerstream(url, &format!("it answers {code}")),
        ureq::Error::HostNotFound => anyhow!("host {host} is not known; check the address"),
        error => anyhow!("host {host} cannot be reached: {error}"),
    })?;
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
    let body = body.map_err(|error| not_peerstream(url, &error.to_string()))?;
    serde_json::from_slice(&body).map_err(|_| not_peerstream(url, "it answers something else"))
}

/// Without what was shown to the host, which may be a token.
fn not_peerstream(url: &Url, problem: &str) -> anyhow::Error {
    let mut url = url.clone();
    url.set_query(None);
    anyhow!("there is no peerstream at {url}: {problem}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn read(url: &str, publisher: Option<&str>) -> Result<(Url, Option<PublicKey>)> {
        let publisher = publisher.map(|key| PublicKey::from_hex(key).unwrap());
        address(&StreamArgs { url: url.into(), publisher, token: None })
    }

    #[track_caller]
    fn check_refused(url: &str, words: &[&str]) {
        let error = read(url, None).unwrap_err().to_string();
        words.iter().for_each(|word| assert!(error.contains(word), "`{word}` is not in: {error}"));
    }

    #[test]
    fn key_after_the_hash_pins_the_publisher() {
        let (url, pin) = read(&format!("http://example.org/club#{KEY}"), None).unwrap();
        assert_eq!((url.as_str(), pin), ("http://example.org/club/", PublicKey::from_hex(KEY)));
        assert_eq!(read("http://example.org", Some(KEY)).unwrap().1, PublicKey::from_hex(KEY));
        assert!(read(&format!("http://example.org/#{KEY}"), Some(&KEY.replace('0', "1"))).is_err());
    }

    #[test]
    fn address_without_a_scheme_is_answered_with_one_that_has_it() {
        check_refused("example.org", &["no scheme", "http://example.org"]);
        check_refused("example.org:8080", &["http://example.org:8080"]);
        check_refused("127.0.0.1:8080", &["http://127.0.0.1:8080"]);
        check_refused("ftp://example.org/", &["http://example.org"]);
        check_refused("http://example.org/#abc", &["not a publisher's key", "3 characters"]);
    }
}
