//! How the API of notices answers.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use peerstream::takedown::Refused;
use peerstream::traits::compliance::{Case, Digest};
use peerstream::traits::takedown::Receipt;
use peerstream::traits::takedown::letter::redress;
use peerstream::traits::takedown::record::Body;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::error;

use super::bodies::Untaken;
use super::refusals::Reason;

/// What was not done, for programs and for people.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    field: Option<String>,
    message: String,
    /// What a program needs besides.
    more: Option<(&'static str, u64)>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, field: None, message: message.into(), more: None }
    }

    /// There are no handlers.
    pub fn off() -> Self {
        Self::new(StatusCode::NOT_FOUND, "off", "this host takes no notices here")
    }

    /// Too many from one place.
    pub fn too_many(from: &str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many", format!("too many from {from}; try again in a minute"))
    }

    /// Too much is going on.
    pub fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too much is going on; try again later")
    }

    pub fn unknown() -> Self {
        Refused::Unknown.into()
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        let new = |status, code| Self::new(status, code, message.clone());
        match refused {
            Refused::Unknown => new(StatusCode::NOT_FOUND, "unknown"),
            Refused::State(_) => new(StatusCode::CONFLICT, "state"),
            Refused::Changed(revision) => {
                Self { more: Some(("revision", revision.into())), ..new(StatusCode::CONFLICT, "state") }
            }
            Refused::Invalid(invalid) => Self {
                field: Some(invalid.field),
                message: invalid.message,
                ..new(StatusCode::UNPROCESSABLE_ENTITY, "invalid")
            },
            Refused::Expired => new(StatusCode::GONE, "expired"),
            Refused::Offset(received) => {
                Self { more: Some(("received", received)), ..new(StatusCode::CONFLICT, "offset") }
            }
            Refused::TooLarge(_) => new(StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            Refused::Duplicate(_) => new(StatusCode::CONFLICT, "duplicate"),
            Refused::Busy => new(StatusCode::SERVICE_UNAVAILABLE, "busy"),
            other => {
                // What is wrong with the disk is the operator's to know.
                error!(error = ?other, "something about a notice could not be written down");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
            }
        }
    }
}

impl From<Untaken> for Problem {
    fn from(untaken: Untaken) -> Self {
        match untaken {
            Untaken::TooMany => Self::too_many("your network"),
            Untaken::Busy => Self::busy(),
            Untaken::TooLarge(max) => Refused::TooLarge(max as u64).into(),
            Untaken::Slow => Self::new(StatusCode::REQUEST_TIMEOUT, "slow", "it took too long to come; try again"),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({ "error": self.code, "field": self.field, "message": self.message });
        if let Some((name, value)) = self.more {
            body[name] = value.into();
        }
        let mut response = (self.status, Json(body)).into_response();
        response.extensions_mut().insert(Reason(self.code));
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(RETRY_AFTER, 60.into());
        }
        response
    }
}

/// A body of JSON, whatever its content type says.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "malformed", error.to_string()))
}

/// The token that a claimant shows.
pub fn bearer(headers: &HeaderMap) -> Result<String, Problem> {
    let value = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    // Longer ones are nobody's.
    value.map(|token| token.trim().to_owned()).filter(|token| token.len() <= 128).ok_or_else(Problem::unknown)
}

/// A case as its claimant or its streamer sees it.
pub fn seen(case: &Case, receipt: Option<&Receipt>, counter: Option<&Body>) -> Value {
    let docket = &case.docket;
    let decision = docket.ruling.as_ref().map(|ruling| {
        let automated = matches!(ruling.by, peerstream::traits::compliance::Actor::Handler { .. });
        json!({
            "outcome": if ruling.accepted { "accepted" } else { "rejected" },
            "reason": ruling.reason,
            "automated": automated,
            "at_us": ruling.at_us,
        })
    });
    let done = docket.done.iter().filter(|it| it.error.is_none());
    let actions: Vec<_> =
        done.map(|it| json!({ "action": it.action.word(), "at_us": it.at_us, "standing": it.standing })).collect();
    let counter = docket.counter.map(|said| match counter {
        Some(Body::Counter(it)) => json!({ "at_us": said.at_us, "name": it.name, "explanation": it.explanation }),
        _ => json!({ "at_us": said.at_us }),
    });
    json!({
        "case": docket.id,
        "state": docket.state,
        "revision": docket.revision,
        "profile": docket.profile,
        "epoch": docket.epoch,
        "received_us": docket.received_us,
        "changed_us": docket.changed_us,
        "missing": docket.missing,
        "asked": docket.asked,
        "answer_by_us": docket.answer_by_us,
        "restore_from_us": docket.restore_from_us,
        "restore_by_us": docket.restore_by_us,
        "decision": decision,
        "actions": actions,
        "counter": counter,
        "suit": docket.suit.map(|said| json!({ "at_us": said.at_us })),
        "redress": redress(docket.profile),
        "receipt": receipt,
    })
}

/// The record of a counter-notice, if there is one.
pub fn counter_of(case: &Case) -> Option<Digest> {
    case.docket.counter.map(|said| said.record)
}
