//! Segments of the past for viewers that have gone back in time, when no other viewer keeps what they want to see.
//!
//! What is sent are the signed frames of a link: from memory while they are there, else from the archive.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use peerstream::protocol::id::Seq;
use peerstream::protocol::segment::{InitId, Kind};
use peerstream::recent::frames_of;
use serde::{Deserialize, Serialize};

use crate::admission::network_name;
use crate::config::TimeShift;
use crate::egress::Answer;
use crate::entrance::gate;
use crate::server::Shared;

/// The path, from the page's folder.
pub const PATH: &str = "api/v1/segments";
/// Segments of one answer, at most.
pub const SEGMENTS_MAX: u64 = 64;

/// What pages are told about going back in time.
#[derive(Debug, Serialize)]
pub struct Told {
    /// How far back a viewer may go, in seconds.
    window_s: u64,
    /// How much a page keeps for others, in bytes.
    keep_bytes: u64,
    /// Where segments are to be had that no viewer keeps, from the page's folder; nothing when this host has none.
    segments: Option<&'static str>,
}

/// What pages are told; nothing when nobody goes back in time here.
pub fn told(shared: &Shared) -> Option<Told> {
    let TimeShift { window_s, page_mb, .. } = shared.time_shift;
    if window_s == 0 || shared.broadcast.kind() == Kind::Data {
        return None;
    }
    let keep_bytes = u64::from(page_mb) * 1_000_000;
    let archived = shared.egress.is_some() && !shared.broadcast.shelf().is_empty();
    // Without an archive there is what pages keep, and they keep the newest.
    let kept_s = (keep_bytes * 8).checked_div(shared.broadcast.recent().bits_per_second()).unwrap_or(window_s);
    let window_s = if archived { window_s } else { window_s.min(kept_s) };
    Some(Told { window_s, keep_bytes, segments: archived.then_some(PATH) })
}

/// What a viewer wants.
#[derive(Debug, Deserialize)]
pub struct Asked {
    from: u64,
    count: u64,
    ticket: Option<String>,
}

/// `GET /api/v1/segments?from=SEQ&count=N&ticket=...`
pub async fn respond(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Query(Asked { from, count, ticket }): Query<Asked>,
) -> Response {
    let network = network_name(address.ip());
    if told(&shared).is_none() || !shared.egress.is_some() {
        return (StatusCode::NOT_FOUND, "this host gives out nothing of the past\n").into_response();
    }
    if !gate(&shared).admits(ticket.as_deref(), &network) {
        shared.counters.ticket_refused();
        return (StatusCode::UNAUTHORIZED, "a ticket of api/v1/admission is needed\n").into_response();
    }
    if count == 0 || count > SEGMENTS_MAX {
        return (StatusCode::BAD_REQUEST, "expected a count from 1 to 64\n").into_response();
    }
    if !shared.questions.take(&network, Instant::now()) {
        shared.counters.question_refused();
        return (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "2")], "too many ask at once\n").into_response();
    }
    let Some(answer) = shared.egress.enter() else {
        let busy = "too many ask for the past at once\n";
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], busy).into_response();
    };
    let reading = Reading { next: from, end: from.saturating_add(count), init: InitId::NONE, shared, answer };
    // Whether there is anything is to be known before the answer begins.
    match reading.next().await {
        Some(first) => ([(CONTENT_TYPE, "application/octet-stream")], body(first)).into_response(),
        None => (StatusCode::NOT_FOUND, "nothing of that is kept here\n").into_response(),
    }
}

struct Reading {
    next: u64,
    end: u64,
    init: InitId,
    shared: Arc<Shared>,
    answer: Answer,
}

impl Reading {
    /// The next segment that there is.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        while self.next < self.end {
            let seq = Seq(self.next);
            self.next += 1;
            if let Some(frames) = self.frames(seq).await {
                self.answer.spend(frames.len()).await;
                return Some((frames, self));
            }
        }
        None
    }

    async fn frames(&mut self, seq: Seq) -> Option<Bytes> {
        let (recent, shelf) = (self.shared.broadcast.recent(), self.shared.broadcast.shelf());
        if recent.withholds(seq) {
            return None;
        }
        if let Some(frames) = recent.segment_frames(seq, &mut self.init) {
            return Some(frames);
        }
        let recording = shelf.current()?;
        let segment = shelf.segment(&recording, seq).await.ok()?;
        let id = segment.header.core.init;
        let init = match id != InitId::NONE && id != self.init {
            true => Some(shelf.init(&recording, id).await.ok()?),
            false => None,
        };
        self.init = id;
        Some(frames_of(init.as_deref(), &segment.header, &segment.payload))
    }
}

fn body((first, reading): (Bytes, Reading)) -> Body {
    use futures_util::StreamExt as _;
    let first = futures_util::stream::iter([first]);
    let rest = futures_util::stream::unfold(reading, Reading::next);
    Body::from_stream(first.chain(rest).map(Ok::<_, std::convert::Infallible>))
}

#[cfg(test)]
mod tests {
    use peerstream::protocol::frame::{Frame, PeerMessage, decode_header};

    use super::*;
    use crate::shelved;
    use crate::world::Host;

    /// Status, and what was sent: `i` for an init, and the numbers of headers.
    async fn ask(host: &Host, query: &str) -> (u16, String) {
        let url = format!("{}{PATH}{query}", host.url);
        let (status, bytes) = tokio::task::spawn_blocking(move || {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let mut answer = agent.get(&url).call().unwrap();
            (answer.status().as_u16(), answer.body_mut().read_to_vec().unwrap())
        })
        .await
        .unwrap();
        let (mut rest, mut said) = (&bytes[..], Vec::new());
        while let Some((len, more)) = rest.split_first_chunk::<4>().filter(|_| status == 200) {
            let (frame, more) = more.split_at(u32::from_le_bytes(*len) as usize);
            rest = more;
            match Frame::decode(frame).unwrap() {
                Frame::Message(PeerMessage::Init(_)) => said.push("i".to_owned()),
                Frame::Header(inner) => said.push(decode_header(inner).unwrap().core.seq.0.to_string()),
                _ => {}
            }
        }
        (status, said.join(" "))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn segments_come_from_the_archive_and_from_memory_and_those_that_are_withheld_do_not() {
        let (host, _) = shelved::host(80).await;
        assert_eq!(ask(&host, "?from=3&count=4").await, (200, "i 3 4 5 6".into()));
        let newest = host.shared.broadcast.recent().newest().unwrap().0;
        let (status, said) = ask(&host, &format!("?from={}&count=40", newest - 38)).await;
        assert!(status == 200 && said.split(' ').count() >= 39 && said.matches('i').count() == 1, "{said}");
        host.shared.broadcast.withhold(Seq(4), Seq(6)).await.unwrap();
        assert_eq!(ask(&host, "?from=3&count=4").await, (200, "i 3 6".into()));
        assert_eq!(ask(&host, "?from=4&count=2").await.0, 404);
        host.shared.broadcast.restore(Seq(4), Seq(6)).await.unwrap();
        assert_eq!(ask(&host, "?from=4&count=2").await, (200, "i 4 5".into()));
        assert!(host.shared.egress.bytes() > 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nonsense_is_refused_and_what_is_not_there_is_said() {
        let host = Host::start(|_| {}).await;
        for query in ["", "?from=-1&count=2", "?from=0", "?from=0&count=0", "?from=0&count=65", "?from=x&count=1"] {
            assert_eq!(ask(&host, query).await.0, 400, "{query}");
        }
        assert_eq!(ask(&host, &format!("?from={}&count=64", u64::MAX)).await.0, 404);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn pages_are_told_how_far_back_they_may_go() {
        let (host, _) = shelved::host(1).await;
        let told: serde_json::Value = serde_json::from_str(&host.get("api/v1/stream", &[]).await.1).unwrap();
        assert_eq!(told["time_shift"]["window_s"], 600);
        assert_eq!(told["time_shift"]["segments"], PATH);
        let told: serde_json::Value =
            serde_json::from_str(&Host::start(|_| {}).await.get("api/v1/stream", &[]).await.1).unwrap();
        assert_eq!(told["time_shift"]["segments"], serde_json::Value::Null);
    }
}
