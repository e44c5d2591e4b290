//! Newcomers ask whether they may join.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use peerstream::plugins::admission::{Answer, Gate};
use peerstream::traits::admission::Task;
use serde::{Deserialize, Serialize};

use crate::admission::network_name;
use crate::server::Shared;

/// Questions from one network at once, and per second after that: a school behind one address joins within seconds.
pub const QUESTIONS: (u32, f64) = (250, 50.0);

/// What a newcomer brings.
#[derive(Debug, Deserialize)]
pub struct Question {
    /// A token, or the answer to a puzzle.
    proof: Option<String>,
}

/// The answer of `/api/v1/admission`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Told {
    /// They may join.
    Allow {
        /// To be shown with every control connection, as `?ticket=`.
        ticket: String,
        /// For so many seconds.
        ttl_s: u64,
    },
    /// They must do something first, and ask again with a proof of it.
    Challenge {
        /// What.
        #[serde(flatten)]
        task: Task,
    },
    /// They may not.
    Deny {
        /// For them to read.
        message: String,
    },
}

/// `GET /api/v1/admission?proof=...`
pub async fn ask(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Query(Question { proof }): Query<Question>,
) -> Response {
    let network = network_name(address.ip());
    if !shared.questions.take(&network, Instant::now()) {
        shared.counters.question_refused();
        return busy();
    }
    match gate(&shared).ask(&network, proof).await {
        Answer::Allow { ticket, ttl_s } => Json(Told::Allow { ticket, ttl_s }).into_response(),
        Answer::Challenge(task) => Json(Told::Challenge { task }).into_response(),
        Answer::Deny(message) => Json(Told::Deny { message }).into_response(),
        Answer::Busy => busy(),
    }
}

fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "2")], "too many ask at once; try again\n").into_response()
}

/// Where newcomers are let in.
pub fn gate(shared: &Shared) -> Gate {
    let plugins = shared.broadcast.plugins();
    plugins.map_or_else(|| Gate::open(shared.broadcast.publisher()), |plugins| plugins.gate().clone())
}
