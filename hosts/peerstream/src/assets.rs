//! What the binary carries: the web client and the demo clip.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use peerstream::protocol::crypto::{PublicKey, hash};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

const PLACEHOLDER: &[u8] = include_bytes!("placeholder.html");

/// The clip that `demo` plays, when it was built in.
pub fn demo_clip() -> Option<&'static [u8]> {
    DEMO
}

/// One file of the web client.
#[derive(Debug)]
pub struct Asset {
    name: &'static str,
    bytes: &'static [u8],
    tag: HeaderValue,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let placeholder = [("index.html", PLACEHOLDER)];
    let files = if WEB.iter().any(|(name, _)| *name == "index.html") { WEB } else { &placeholder };
    files.iter().map(|(name, bytes)| Asset { name, bytes, tag: tag(bytes) }).collect()
});

/// The file of a path such as `/peerstream.js`; `/`, `/dashboard` and `/live` have pages of their own.
pub fn find(path: &str) -> Option<&'static Asset> {
    let name = match path {
        "/" => "index.html",
        "/dashboard" => "dashboard.html",
        "/live" => "live.html",
        path => path.strip_prefix('/')?,
    };
    let named = |name: &str| ASSETS.iter().find(|asset| asset.name == name);
    named(name).or_else(|| if name == "dashboard.html" { named("index.html") } else { None })
}

impl Asset {
    /// The file, or that the browser's copy is still the right one. Names carry no version, so browsers always ask.
    pub fn respond(&self, request: &HeaderMap) -> Response<Body> {
        let known = request.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
        let unchanged = known.is_some_and(|tags| {
            tags.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == "*" || tag == self.tag)
        });
        let mut response = Response::new(if unchanged { Body::empty() } else { Bytes::from_static(self.bytes).into() });
        if unchanged {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type(self.name)));
        }
        response.headers_mut().insert(ETAG, self.tag.clone());
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }
}

fn tag(bytes: &[u8]) -> HeaderValue {
    let hex = PublicKey(hash(bytes)).to_string();
    HeaderValue::from_str(&format!("\"{}\"", &hex[..32])).expect("hexadecimal digits are a header value")
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}
