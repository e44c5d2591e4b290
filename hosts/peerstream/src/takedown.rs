//! Complaints come in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use peerstream::plugins::compliance::NotTaken;
use peerstream::traits::compliance::Notice;

use crate::admission::network_name;
use crate::server::Shared;

/// Complaints from one network at once, and per second after that.
pub const COMPLAINTS: (u32, f64) = (5, 1.0 / 60.0);

/// `POST /api/v1/takedown` with a notice as JSON: the case's number, once it is written down. The body is bounded by the route.
pub async fn submit(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    body: Bytes,
) -> Response {
    let Some(desk) = shared.broadcast.plugins().and_then(|plugins| plugins.desk().cloned()) else {
        return (StatusCode::NOT_FOUND, "this host takes no complaints here\n").into_response();
    };
    if !shared.complaints.take(&network_name(address.ip()), Instant::now()) {
        shared.counters.question_refused();
        return later(StatusCode::TOO_MANY_REQUESTS, "60", "too many complaints from your network\n");
    }
    let notice: Notice = match serde_json::from_slice(&body) {
        Ok(notice) => notice,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("this is no notice: {error}\n")).into_response(),
    };
    let broadcast = &shared.broadcast;
    match desk.submit(broadcast.publisher().to_string(), broadcast.epoch().0, notice).await {
        Ok(receipt) => (StatusCode::CREATED, Json(receipt)).into_response(),
        Err(problem @ NotTaken::Busy) => later(StatusCode::SERVICE_UNAVAILABLE, "60", &format!("{problem}\n")),
        Err(problem @ NotTaken::Log(_)) => {
            tracing::error!(error = ?problem, "a complaint could not be taken in");
            later(StatusCode::SERVICE_UNAVAILABLE, "60", &format!("{problem}\n"))
        }
    }
}

fn later(status: StatusCode, seconds: &'static str, text: &str) -> Response {
    (status, [(RETRY_AFTER, seconds)], text.to_owned()).into_response()
}
