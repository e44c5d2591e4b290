//! How the plug-ins stand.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use peerstream::plugins::Statuses;

use crate::server::Shared;

/// `GET /healthz`: `ok`, or `degraded` with the names of those that are not well. Status 503 only when one is required and has failed.
pub async fn health(State(shared): State<Arc<Shared>>) -> Response {
    let health = statuses(&shared).health();
    let status = if health.required_failed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    // Why is for those who run the host: it may name paths and addresses.
    let name = |trouble: &String| trouble.splitn(3, ": ").take(2).collect::<Vec<_>>().join(": ");
    let lines = std::iter::once(health.status.to_owned()).chain(health.troubles.iter().map(name));
    (status, lines.map(|line| line + "\n").collect::<String>()).into_response()
}

/// `GET /api/v1/plugins`: all instances. Why one is not well, and where it comes from, is told on this machine alone.
pub async fn list(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let mut all = statuses(&shared).shown();
    if !is_local(address, &headers) {
        for shown in &mut all {
            shown.why = None;
            shown.identity.origin.clear();
        }
    }
    Json(all).into_response()
}

/// Whether a request comes from this machine and was not passed on by a proxy.
fn is_local(address: SocketAddr, headers: &HeaderMap) -> bool {
    let passed_on = ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|name| headers.contains_key(*name));
    address.ip().to_canonical().is_loopback() && !passed_on
}

fn statuses(shared: &Shared) -> Statuses {
    shared.broadcast.plugins().map(|plugins| plugins.statuses().clone()).unwrap_or_default()
}
