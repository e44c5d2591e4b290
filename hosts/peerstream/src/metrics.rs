//! Figures for Prometheus, in its text format.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use peerstream::figures::{counter, gauge};
use peerstream::traits::telemetry::Figure;

use crate::bundle;
use crate::egress::Egress;
use crate::fallback::Budget;
use crate::server::Shared;
use crate::takedown::Refusals;

/// What the web server counts.
#[derive(Debug, Default)]
pub struct Counters {
    accept_failed: AtomicU64,
    sockets_refused: AtomicU64,
    address_refused: AtomicU64,
    ticket_refused: AtomicU64,
    questions_refused: AtomicU64,
    logins_refused: AtomicU64,
    watchers_refused: AtomicU64,
    fallback: Arc<Budget>,
    egress: Arc<Egress>,
    takedown: Refusals,
}

impl Counters {
    /// With what the budgets count, for viewers that nobody feeds and for what is past.
    pub fn new(fallback: Budget, egress: Egress) -> Self {
        Self { fallback: Arc::new(fallback), egress: Arc::new(egress), ..Self::default() }
    }

    /// The budget for what is past.
    pub fn egress(&self) -> &Arc<Egress> {
        &self.egress
    }

    /// The budget for viewers that nobody feeds.
    pub fn fallback(&self) -> &Arc<Budget> {
        &self.fallback
    }

    /// What is refused about notices.
    pub fn takedown(&self) -> &Refusals {
        &self.takedown
    }

    /// A connection could not be accepted.
    pub fn accept_failed(&self) {
        self.accept_failed.fetch_add(1, Relaxed);
    }

    /// An address had too many connections of any sort.
    pub fn socket_refused(&self) {
        self.sockets_refused.fetch_add(1, Relaxed);
    }

    /// An address had too many control connections.
    pub fn address_refused(&self) {
        self.address_refused.fetch_add(1, Relaxed);
    }

    /// A control connection came without a valid ticket.
    pub fn ticket_refused(&self) {
        self.ticket_refused.fetch_add(1, Relaxed);
    }

    /// An address asked to be let in, or complained, too often.
    pub fn question_refused(&self) {
        self.questions_refused.fetch_add(1, Relaxed);
    }

    /// A password or token for the dashboard was wrong, or came too often.
    pub fn login_refused(&self) {
        self.logins_refused.fetch_add(1, Relaxed);
    }

    /// Too many watched the dashboard.
    pub fn watcher_refused(&self) {
        self.watchers_refused.fetch_add(1, Relaxed);
    }

    /// As figures of the broadcast.
    pub fn figures(&self) -> Vec<Figure> {
        let value = |counter: &AtomicU64| counter.load(Relaxed);
        let mut figures = vec![
            counter("accept_failures", "connections that could not be accepted", value(&self.accept_failed)),
            counter(
                "socket_refusals",
                "connections refused because their address had too many of any sort",
                value(&self.sockets_refused),
            ),
            counter(
                "address_refusals",
                "control connections refused because their address had too many",
                value(&self.address_refused),
            ),
            counter(
                "ticket_refusals",
                "control connections refused for want of an admission ticket",
                value(&self.ticket_refused),
            ),
            counter(
                "question_refusals",
                "admission questions and complaints refused because their address had too many",
                value(&self.questions_refused),
            ),
            counter(
                "login_refusals",
                "wrong passwords and tokens for the dashboard, and those that came too often",
                value(&self.logins_refused),
            ),
            counter(
                "watcher_refusals",
                "pages refused because too many watch the dashboard",
                value(&self.watchers_refused),
            ),
            counter("fallback_bytes", "bytes sent over HTTP to viewers that nobody fed", self.fallback.bytes()),
            counter(
                "fallback_refusals",
                "viewers that nobody fed and that were not sent the stream, as the budget was spent",
                self.fallback.refused(),
            ),
            gauge("fallback_viewers", "viewers being sent the stream over HTTP", self.fallback.sending()),
            counter("past_bytes", "bytes of the past sent over HTTP, as segments and as HLS", self.egress.bytes()),
            counter(
                "past_refusals",
                "requests for the past refused because there were too many",
                self.egress.refused(),
            ),
            gauge("past_answers", "requests for the past being answered", self.egress.sending()),
        ];
        figures.extend(self.takedown.figures());
        figures
    }
}

/// `GET /metrics`
pub async fn respond(State(shared): State<Arc<Shared>>) -> Response {
    let figures = shared.broadcast.figures().await;
    ([(CONTENT_TYPE, bundle::METRICS_TYPE)], bundle::metrics_text(&figures)).into_response()
}
