//! The stream of changes to a page, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::board::Message;
use crate::server::Shared;

/// Pages and programs that watch at once; further ones are refused.
pub const WATCHERS_MAX: usize = 32;
/// Something is sent at least this often, so that a proxy does not take the connection for dead.
const QUIET_MAX: Duration = Duration::from_secs(15);

struct Watcher {
    shared: Arc<Shared>,
    first: Option<Message>,
    messages: Receiver<Message>,
    _place: OwnedSemaphorePermit,
}

/// `GET /api/v1/dashboard/feed`: everything once, then changes about once a second. Each event is a JSON object.
pub async fn feed(State(shared): State<Arc<Shared>>) -> Response {
    let Ok(place) = shared.dashboard.places.clone().try_acquire_owned() else {
        shared.counters.watcher_refused();
        let text = format!("{WATCHERS_MAX} pages watch already; close one\n");
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "10")], text).into_response();
    };
    let (first, messages) = shared.dashboard.board.watch();
    let watcher = Watcher { shared, first: Some(first), messages, _place: place };
    let events = stream::unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        Some((Ok::<_, Infallible>(event), watcher))
    });
    // A proxy that gathers an answer before it passes it on is asked not to.
    let headers = [
        (CONTENT_TYPE.as_str(), "text/event-stream"),
        (CACHE_CONTROL.as_str(), "no-store"),
        ("x-accel-buffering", "no"),
    ];
    (headers, Body::from_stream(events)).into_response()
}

impl Watcher {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(event(&first));
        }
        match timeout(QUIET_MAX, self.messages.recv()).await {
            Ok(Ok(message)) => Some(event(&message)),
            Ok(Err(RecvError::Lagged(_))) => {
                let (all, messages) = self.shared.dashboard.board.watch();
                self.messages = messages;
                Some(event(&all))
            }
            Ok(Err(RecvError::Closed)) => None,
            Err(_) => Some(Bytes::from_static(b": still here\n\n")),
        }
    }
}

/// JSON has no line ends, so one line is enough.
fn event(message: &str) -> Bytes {
    format!("data: {message}\n\n").into()
}
