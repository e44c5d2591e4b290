//! What pages and programs ask of a broadcast, as JSON.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use peerstream::broadcast;
use peerstream::protocol::WIRE_VERSION;
use peerstream::protocol::segment::Kind;
use serde::Serialize;

use crate::entrance::gate;
use crate::fallback;
use crate::player::Player;
use crate::segments;
use crate::server::Shared;

/// The answer of `/api/v1/stream`.
#[derive(Debug, Serialize)]
struct Stream {
    /// The publisher's key, 64 hexadecimal digits.
    publisher: String,
    /// This broadcast of the stream.
    epoch: u64,
    /// `media` or `data`.
    kind: &'static str,
    /// `waiting`, `live`, `away` (the publisher may come back) or `ended`.
    state: &'static str,
    /// Such as `video/mp4; codecs="avc1.64001f"`, once known.
    mime: Option<String>,
    /// Shown above the player.
    title: Option<String>,
    /// What is being played, such as the title of a track; may be empty.
    playing: String,
    /// The wire version of the control connection.
    wire: u16,
    /// The control connection's path, from the page's folder.
    control: &'static str,
    /// Where the stream is to be had over HTTP when nobody feeds a viewer, from the page's folder; nothing when this host has no
    /// budget for that.
    fallback: Option<&'static str>,
    /// Going back in time; nothing when nobody does here.
    time_shift: Option<segments::Told>,
    /// Bits per second of the stream with its signatures, once known.
    bits_per_second: Option<u64>,
    /// What the page says about relaying, and how much it gives.
    player: Player,
    /// `open`, or `required`: then a ticket of `/api/v1/admission` is to be shown.
    admission: &'static str,
    /// Whether complaints are taken, by `/takedown`.
    takedown: bool,
}

/// `GET /api/v1/stream`
pub async fn stream(State(shared): State<Arc<Shared>>) -> Response {
    let broadcast = &shared.broadcast;
    let state = broadcast.state().borrow().clone();
    Json(Stream {
        publisher: broadcast.publisher().to_string(),
        epoch: broadcast.epoch().0,
        kind: match broadcast.kind() {
            Kind::Media => "media",
            Kind::Data => "data",
        },
        // Why an input failed is for the streamer's log: it may name paths.
        state: match state {
            broadcast::State::Failed(_) | broadcast::State::TakenDown(_) => broadcast::State::Ended.word(),
            state => state.word(),
        },
        mime: broadcast.mime(),
        title: shared.title.clone(),
        playing: broadcast.playing(),
        wire: WIRE_VERSION,
        control: "api/v1/control",
        fallback: shared.fallback.is_some().then_some(fallback::PATH),
        time_shift: segments::told(&shared),
        bits_per_second: Some(broadcast.recent().bits_per_second()).filter(|rate| *rate > 0),
        player: shared.player.clone(),
        admission: if gate(&shared).is_open() { "open" } else { "required" },
        takedown: shared.broadcast.plugins().is_some_and(|plugins| plugins.desk().is_some()),
    })
    .into_response()
}

/// `GET /api/v1/nodes/NAME`: why a node is where it is, and what has happened to it lately.
pub async fn node(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    match shared.broadcast.hub().story(name).await {
        Some(story) => Json(story).into_response(),
        None => {
            (StatusCode::NOT_FOUND, "no such node, neither here nor among those that left lately\n").into_response()
        }
    }
}

/// `GET /api/v1/overlay`
pub async fn overlay(State(shared): State<Arc<Shared>>) -> Response {
    match shared.broadcast.hub().overview().await {
        Some(overview) => Json(overview).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "the coordinator has stopped\n").into_response(),
    }
}
