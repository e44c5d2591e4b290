//! Figures for Prometheus, in its text format.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use peerstream::coordinator::Overview;
use peerstream::{broadcast, hub, peer};

use crate::server::Shared;

/// What the web server counts.
#[derive(Debug, Default)]
pub struct Counters {
    accept_failed: AtomicU64,
    address_refused: AtomicU64,
}

impl Counters {
    /// A connection could not be accepted.
    pub fn accept_failed(&self) {
        self.accept_failed.fetch_add(1, Relaxed);
    }

    /// An address had too many control connections.
    pub fn address_refused(&self) {
        self.address_refused.fetch_add(1, Relaxed);
    }
}

/// `GET /metrics`
pub async fn respond(State(shared): State<Arc<Shared>>) -> Response {
    let mut page = Page::default();
    server(&mut page, &shared);
    page.hub(shared.broadcast.hub().counters());
    if let Some(overview) = shared.broadcast.hub().overview().await {
        page.overview(&overview);
    }
    if let Ok(snapshot) = shared.broadcast.snapshot().await {
        page.source(&snapshot);
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.text).into_response()
}

fn server(page: &mut Page, shared: &Shared) {
    let live = *shared.broadcast.state().borrow() == broadcast::State::Live;
    page.gauge("live", "1 while input comes in", u64::from(live));
    page.counter(
        "accept_failures",
        "connections that could not be accepted",
        shared.counters.accept_failed.load(Relaxed),
    );
    let refused = shared.counters.address_refused.load(Relaxed);
    page.counter("address_refusals", "control connections refused because their address had too many", refused);
}

#[derive(Debug, Default)]
struct Page {
    text: String,
}

impl Page {
    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.metric(name, help, "gauge", value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.metric(&format!("{name}_total"), help, "counter", value);
    }

    fn metric(&mut self, name: &str, help: &str, kind: &str, value: u64) {
        let text = &mut self.text;
        writeln!(text, "# HELP peerstream_{name} {help}\n# TYPE peerstream_{name} {kind}\npeerstream_{name} {value}")
            .expect("strings take text");
    }

    fn hub(&mut self, counters: &hub::Counters) {
        let value = |counter: &AtomicU64| counter.load(Relaxed);
        self.counter("control_connections", "control connections opened", value(&counters.opened));
        self.counter(
            "control_slow_readers",
            "connections closed because nobody read them",
            value(&counters.slow_readers),
        );
    }

    fn overview(&mut self, overview: &Overview) {
        self.gauge("nodes", "viewers and helpers", overview.members as u64);
        self.gauge("nodes_waiting", "nodes whose parent cannot be issued yet", overview.waiting as u64);
        self.gauge("nodes_without_backup", "nodes with nobody to take over", overview.without_backup as u64);
        self.gauge("nodes_without_parent", "nodes without a place", overview.without_parent as u64);
        self.gauge("depth", "most hops from the source", u64::from(overview.depth_max));
        // The counters' names are the coordinator's own; they tell more than a help text here could.
        let counters = serde_json::to_value(overview.counters).unwrap_or_default();
        for (name, value) in counters.as_object().into_iter().flatten() {
            self.counter(&format!("coordinator_{name}"), &name.replace('_', " "), value.as_u64().unwrap_or_default());
        }
    }

    fn source(&mut self, snapshot: &peer::Snapshot) {
        let (status, counters) = (&snapshot.status, &snapshot.status.counters);
        self.gauge("source_links", "open links of the source", status.links as u64);
        self.gauge("source_segments", "segments produced", status.figures.next.0);
        self.counter("source_produced_bytes", "payload bytes produced", counters.produced);
        self.counter("source_sent_bytes", "payload bytes sent by the source", counters.payload_sent);
        self.counter("source_overhead_bytes", "other bytes sent by the source", counters.overhead_sent);
        self.counter("source_feed_gaps", "segments not sent because a root was too slow", counters.feed_gaps);
        self.counter("source_frames_refused", "frames a transport did not take", snapshot.counters.frames_refused);
        self.counter("source_oversized", "inits or units beyond their bounds", counters.oversized);
    }
}
