//! What the streamer can have done: an end, and a restart.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::server::Shared;

/// A wish that is not fulfilled in this time is not waited for; archives may take long to end.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// End the broadcast; input is refused until a restart.
    End,
    /// Read the config again and begin a new broadcast.
    Restart,
}

/// A command, and where its outcome is told.
#[derive(Debug)]
pub struct Wish {
    /// What.
    pub command: Command,
    /// Why not, if it is not done.
    pub done: oneshot::Sender<Result<(), String>>,
}

/// `POST /api/v1/dashboard/end`
pub async fn end(State(shared): State<Arc<Shared>>) -> Response {
    wish(&shared, Command::End).await
}

/// `POST /api/v1/dashboard/restart`
pub async fn restart(State(shared): State<Arc<Shared>>) -> Response {
    wish(&shared, Command::Restart).await
}

async fn wish(shared: &Shared, command: Command) -> Response {
    let (done, outcome) = oneshot::channel();
    if shared.dashboard.wishes.try_send(Wish { command, done }).is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, "another command is being carried out\n").into_response();
    }
    match timeout(TIMEOUT, outcome).await {
        Ok(Ok(Ok(()))) => StatusCode::NO_CONTENT.into_response(),
        Ok(Ok(Err(why))) => (StatusCode::CONFLICT, why + "\n").into_response(),
        Ok(Err(_)) => (StatusCode::SERVICE_UNAVAILABLE, "the broadcast is over\n").into_response(),
        Err(_) => (StatusCode::ACCEPTED, "it takes long, and goes on\n").into_response(),
    }
}
