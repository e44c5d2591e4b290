//! Inputs that are spoken to over HTTP, such as WHIP.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use peerstream::traits::ingest::{BoxedIngest, SharedWeb};

use crate::assembly::Instance;
use crate::server::Shared;

/// What answers for inputs, by their names.
#[derive(Clone, Default)]
pub struct Inputs(BTreeMap<String, SharedWeb>);

impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Inputs {
    /// Of instances that have started.
    pub fn of(ingests: &[Instance<BoxedIngest>]) -> Self {
        Self(ingests.iter().filter_map(|ingest| Some((ingest.spec.instance.clone(), ingest.it.web()?))).collect())
    }
}

/// Anything below `/ingest/NAME`. The body is bounded by the route.
pub async fn answer(
    State(shared): State<Arc<Shared>>,
    Path(path): Path<HashMap<String, String>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(web) = path.get("name").and_then(|name| shared.inputs.0.get(name)) else {
        return (StatusCode::NOT_FOUND, "no input of this name takes requests here\n").into_response();
    };
    let below = path.get("path").map(|path| format!("/{path}")).unwrap_or_default();
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.headers_mut() = headers;
    match below.parse() {
        Ok(uri) => *request.uri_mut() = uri,
        Err(_) if below.is_empty() => {}
        Err(_) => return (StatusCode::NOT_FOUND, "no such address\n").into_response(),
    }
    web.answer(address.ip(), request).await.map(Body::from)
}
