//! What the streamer sees of notices, and says to them. Behind the dashboard's login.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use peerstream::traits::casebook::{CASES_MAX, Query};
use peerstream::traits::compliance::{Actor, Case, State as CaseState};
use serde_json::{Value, json};

use super::answer::{Problem, read, seen};
use super::claimant::desk;
use crate::server::Shared;

/// States in which the streamer knows of a case: once something was decided against them.
const TOLD: [CaseState; 6] = [
    CaseState::Accepted,
    CaseState::Actioned,
    CaseState::CounterReceived,
    CaseState::SuitFiled,
    CaseState::Restored,
    CaseState::Closed,
];

fn concerns(case: &Case) -> bool {
    let docket = &case.docket;
    TOLD.contains(&docket.state) && docket.ruling.as_ref().is_some_and(|ruling| ruling.accepted)
}

/// As the streamer sees it: with the notice, but without how to reach the claimant beyond what the law has passed on.
fn told(case: &Case) -> Value {
    let mut notice = case.notice.clone();
    (notice.claimant.address, notice.claimant.phone) = (String::new(), String::new());
    let mut value = seen(case, None, None);
    value["notice"] = json!(notice);
    value
}

/// `GET /api/v1/dashboard/takedowns`
pub async fn list(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let desk = desk(&shared)?;
    let stream = shared.broadcast.publisher().to_string();
    let strikes = desk.strikes(&stream).await?;
    let query = Query { states: TOLD.to_vec(), stream: Some(stream), max: CASES_MAX, ..Query::default() };
    let cases: Vec<_> = desk.cases(query).await?.iter().filter(|case| concerns(case)).map(told).collect();
    Ok(Json(json!({ "strikes": strikes, "cases": cases })).into_response())
}

/// `POST /api/v1/dashboard/takedowns/ID/counter`
pub async fn counter(State(shared): State<Arc<Shared>>, Path(id): Path<u64>, body: Bytes) -> Result<Response, Problem> {
    let desk = desk(&shared)?;
    let case = desk.case(id).await?;
    if case.docket.stream != shared.broadcast.publisher().to_string() || !concerns(&case) {
        return Err(Problem::unknown());
    }
    desk.counter(id, Actor::Streamer, None, read(&body)?).await?;
    Ok(Json(told(&desk.case(id).await?)).into_response())
}
