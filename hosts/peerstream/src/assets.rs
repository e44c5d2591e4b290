//! What the binary carries: the web client and the demo clip.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use peerstream::protocol::crypto::{PublicKey, hash};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// What the pages about complaints may do, which show what strangers have written: nothing inline, nothing from elsewhere, in no frame. The player that the
/// form can open needs its module, its Worker and its buffers.
const STRICT: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src data:; \
    media-src 'self' blob:; connect-src 'self'; worker-src blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

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

/// The file of a path such as `/peerstream.js`; `/`, `/dashboard`, `/live` and those below `/takedown` have pages of their own.
pub fn find(path: &str) -> Option<&'static Asset> {
    let name = match path {
        "/" => "index.html",
        "/dashboard" => "dashboard.html",
        "/live" => "live.html",
        "/takedown" => "takedown.html",
        "/takedown/confirm" => "takedown-confirm.html",
        "/takedown/status" => "takedown-status.html",
        "/takedown/counter" => "takedown-counter.html",
        "/takedown/queue" => "takedown-queue.html",
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
        if self.name.starts_with("takedown") && self.name.ends_with(".html") {
            response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(STRICT));
            response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
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
