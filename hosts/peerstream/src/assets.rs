//! What the binary carries: the web client and the demo clip.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use peerstream::protocol::crypto::{PublicKey, hash};

use crate::range::has_copy;

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

/// The pages name the module together with its version.
const MODULE: &str = "peerstream.wasm";

/// One file of the web client.
#[derive(Debug)]
pub struct Asset {
    name: &'static str,
    plain: Form,
    /// Nothing where compression saves nothing.
    zipped: Option<Form>,
    /// The query with which this very file is asked for.
    version: Option<&'static str>,
}

/// Bytes as they travel, and their tag.
#[derive(Debug)]
struct Form {
    bytes: &'static [u8],
    tag: HeaderValue,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let placeholder: [(&str, &[u8], &[u8]); 1] = [("index.html", PLACEHOLDER, PLACEHOLDER)];
    let page = |files: &[(&str, &'static [u8], &[u8])]| {
        files.iter().find(|(name, ..)| *name == "index.html").map(|(_, page, _)| *page)
    };
    let files = if page(WEB).is_some() { WEB } else { &placeholder };
    let version = page(files).and_then(version_in);
    let form = |bytes| Form { bytes, tag: tag(bytes) };
    let asset = |(name, plain, zipped): &(&'static str, &'static [u8], &'static [u8])| Asset {
        name,
        plain: form(plain),
        zipped: Some(*zipped).filter(|zipped| zipped.len() < plain.len()).map(form),
        version: version.filter(|_| *name == MODULE),
    };
    files.iter().map(asset).collect()
});

/// The query by which a page asks for its module, such as `v=0123456789ab`.
fn version_in(page: &'static [u8]) -> Option<&'static str> {
    let (_, rest) = std::str::from_utf8(page).ok()?.split_once(MODULE)?;
    let version = rest.strip_prefix('?')?;
    Some(&version[..version.find(['"', '\''])?])
}

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
    /// The file, or that the browser's copy is still the right one. Browsers always ask, as names carry no version; where the query
    /// does, they need not.
    pub fn respond(&self, query: Option<&str>, request: &HeaderMap) -> Response<Body> {
        let zipped = self.zipped.as_ref().filter(|_| takes_gzip(request));
        let Form { bytes, tag } = zipped.unwrap_or(&self.plain);
        let unchanged = tag.to_str().is_ok_and(|tag| has_copy(request, tag));
        let mut response = Response::new(if unchanged { Body::empty() } else { Bytes::from_static(bytes).into() });
        if unchanged {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type(self.name)));
            if zipped.is_some() {
                response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
        }
        if self.name.starts_with("takedown") && self.name.ends_with(".html") {
            response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(STRICT));
            response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        }
        let never_changes = self.version.is_some() && query == self.version;
        let cached = if never_changes { "public, max-age=31536000, immutable" } else { "no-cache" };
        response.headers_mut().insert(ETAG, tag.clone());
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(cached));
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
        response
    }
}

/// Whether the browser says that it reads gzip; one that only says "anything" is sent the file as it is.
fn takes_gzip(request: &HeaderMap) -> bool {
    let all = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_some_and(|weight: f32| weight > 0.0)
    })
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
