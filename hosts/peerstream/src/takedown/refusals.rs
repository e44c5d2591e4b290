//! What is refused at the desk's door, counted by its reason.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::http::StatusCode;
use axum::response::Response;
use peerstream::figures::counter;
use peerstream::traits::telemetry::Figure;

/// The reasons: the API's codes, and what has none.
const REASONS: [&str; 16] = [
    "malformed",
    "proof",
    "unknown",
    "state",
    "duplicate",
    "offset",
    "expired",
    "too-large",
    "invalid",
    "too-many",
    "busy",
    "off",
    "login",
    "slow",
    "cut-off",
    "other",
];

/// How often each of them was given.
#[derive(Debug, Default)]
pub struct Refusals([AtomicU64; REASONS.len()]);

/// The reason of an answer, beside it.
#[derive(Clone, Copy, Debug)]
pub struct Reason(pub &'static str);

/// A request that is being answered; one that ends without an answer is counted too.
pub struct Asked<'a>(Option<&'a Refusals>);

impl Refusals {
    /// Somebody asks.
    pub fn asked(&self) -> Asked<'_> {
        Asked(Some(self))
    }

    fn count(&self, reason: &str) {
        let at = REASONS.iter().position(|it| *it == reason).unwrap_or(REASONS.len() - 1);
        self.0[at].fetch_add(1, Relaxed);
    }

    /// As figures of the broadcast.
    pub fn figures(&self) -> Vec<Figure> {
        let all = REASONS.iter().zip(&self.0).map(|(reason, count)| {
            let mut figure =
                counter("takedown_refusals", "requests about notices that were refused", count.load(Relaxed));
            figure.labels.insert("reason".into(), (*reason).into());
            figure
        });
        all.collect()
    }
}

impl Asked<'_> {
    /// This is the answer.
    pub fn answered(mut self, response: &Response) {
        let Some(refusals) = self.0.take() else { return };
        let status = response.status();
        match response.extensions().get::<Reason>() {
            Some(Reason(reason)) => refusals.count(reason),
            None if status.is_client_error() || status.is_server_error() => refusals.count(of_status(status)),
            None => {}
        }
    }
}

impl Drop for Asked<'_> {
    /// Whoever asks has gone, or nothing came in time.
    fn drop(&mut self) {
        if let Some(refusals) = self.0 {
            refusals.count("cut-off");
        }
    }
}

fn of_status(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "malformed",
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "login",
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => "unknown",
        StatusCode::PAYLOAD_TOO_LARGE => "too-large",
        StatusCode::TOO_MANY_REQUESTS => "too-many",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::super::answer::Problem;
    use super::*;

    fn counted(refusals: &Refusals) -> Vec<(String, f64)> {
        let all = refusals.figures().into_iter().filter(|it| it.value > 0.0);
        all.map(|it| (it.labels["reason"].clone(), it.value)).collect()
    }

    #[test]
    fn each_refusal_is_counted_once_by_its_reason_and_what_is_granted_is_not() {
        let refusals = Refusals::default();
        refusals.asked().answered(&StatusCode::CREATED.into_response());
        refusals.asked().answered(&Problem::too_many("your network").into_response());
        refusals.asked().answered(&StatusCode::PAYLOAD_TOO_LARGE.into_response());
        refusals.asked().answered(&Problem::new(StatusCode::CONFLICT, "of-a-later-version", "").into_response());
        drop(refusals.asked());
        let expected = [("too-large", 1.0), ("too-many", 1.0), ("cut-off", 1.0), ("other", 1.0)];
        assert_eq!(counted(&refusals), expected.map(|(reason, count)| (reason.to_owned(), count)));
    }
}
