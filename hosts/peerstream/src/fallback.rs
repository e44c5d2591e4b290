//! The fallback: the stream over HTTP, for viewers that nobody feeds.
//!
//! What is sent are the signed frames of a link, so that a viewer trusts this host no more than a neighbour. All of them
//! together get no more than the budget; whoever comes beyond it is turned away and tries again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use peerstream::protocol::id::Seq;
use peerstream::recent::Follower;
use serde::Deserialize;

use crate::admission::network_name;
use crate::entrance::gate;
use crate::server::Shared;

/// The path, from the page's folder.
pub const PATH: &str = "api/v1/live";
/// A stream whose rate is not known yet is taken for one of so many bits per second.
const RATE_UNKNOWN: u64 = 2_500_000;
/// Proxies that gather a response before they pass it on are asked not to.
const NO_GATHERING: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// How much this host sends to viewers that nobody feeds.
#[derive(Debug, Default)]
pub struct Budget {
    bits_per_second: u64,
    sending: AtomicU64,
    bytes: AtomicU64,
    refused: AtomicU64,
}

impl Budget {
    /// So much for all of them together; nothing at all when it is 0.
    pub fn new(bits_per_second: u64) -> Self {
        Self { bits_per_second, ..Self::default() }
    }

    /// Whether there is any.
    pub fn is_some(&self) -> bool {
        self.bits_per_second > 0
    }

    /// How many it is enough for when each gets a stream of this rate.
    fn places(&self, rate: u64) -> u64 {
        self.bits_per_second / if rate == 0 { RATE_UNKNOWN } else { rate }
    }

    fn enter(self: &Arc<Self>, rate: u64) -> Option<Sending> {
        let places = self.places(rate);
        let entered = self.sending.fetch_update(Relaxed, Relaxed, |sending| (sending < places).then_some(sending + 1));
        if entered.is_err() {
            self.refused.fetch_add(1, Relaxed);
        }
        entered.is_ok().then(|| Sending(self.clone()))
    }

    /// Viewers that are being sent the stream.
    pub fn sending(&self) -> u64 {
        self.sending.load(Relaxed)
    }

    /// Bytes sent so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Viewers turned away because the budget was spent.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
}

/// One viewer's part of the budget.
#[derive(Debug)]
struct Sending(Arc<Budget>);

impl Sending {
    /// Whether there is room for one less than there are: the stream may have become larger.
    fn is_beyond(&self, rate: u64) -> bool {
        self.0.sending() > self.0.places(rate)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.sending.fetch_sub(1, Relaxed);
    }
}

/// Where a viewer is, and what it shows to be let in.
#[derive(Debug, Deserialize)]
pub struct Asked {
    from: Option<u64>,
    ticket: Option<String>,
}

/// `GET /api/v1/live?from=SEQ&ticket=...`
pub async fn live(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Query(Asked { from, ticket }): Query<Asked>,
) -> Response {
    let network = network_name(address.ip());
    if !shared.fallback.is_some() {
        return (StatusCode::NOT_FOUND, "this host has no fallback\n").into_response();
    }
    if !gate(&shared).admits(ticket.as_deref(), &network) {
        shared.counters.ticket_refused();
        return (StatusCode::UNAUTHORIZED, "a ticket of api/v1/admission is needed\n").into_response();
    }
    if !shared.questions.take(&network, Instant::now()) {
        shared.counters.question_refused();
        return (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "2")], "too many ask at once\n").into_response();
    }
    // Whoever has all there is costs nothing and gets nothing: while the publisher is away, that is everybody.
    let Some(follower) = shared.broadcast.recent().follow(from.map(Seq)) else {
        return (StatusCode::NO_CONTENT, [(RETRY_AFTER, "2")]).into_response();
    };
    let Some(sending) = shared.fallback.enter(shared.broadcast.recent().bits_per_second()) else {
        let busy = "the budget for viewers that nobody feeds is spent\n";
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "10")], busy).into_response();
    };
    ([(CONTENT_TYPE, "application/octet-stream")], [NO_GATHERING], body(shared, follower, sending)).into_response()
}

/// One segment after the other, as fast as the viewer takes them.
fn body(shared: Arc<Shared>, follower: Follower, sending: Sending) -> Body {
    let parts = futures_util::stream::unfold((follower, sending), move |(mut follower, sending)| {
        let shared = shared.clone();
        async move {
            let frames = follower.next().await?;
            if sending.is_beyond(shared.broadcast.recent().bits_per_second()) {
                return None;
            }
            sending.0.bytes.fetch_add(frames.len() as u64, Relaxed);
            Some((Ok::<_, std::convert::Infallible>(frames), (follower, sending)))
        }
    });
    Body::from_stream(parts)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use super::*;
    use crate::world::Host;

    #[test]
    fn a_budget_has_as_many_places_as_it_is_enough_for() {
        let budget = Arc::new(Budget::new(10_000_000));
        let first = budget.enter(4_000_000).unwrap();
        let second = budget.enter(4_000_000).unwrap();
        assert!(budget.enter(4_000_000).is_none());
        assert!(!second.is_beyond(5_000_000) && second.is_beyond(6_000_000));
        drop(first);
        assert!(budget.enter(4_000_000).is_some());
        assert_eq!((budget.sending(), budget.refused()), (1, 1));
        assert!(Arc::new(Budget::new(0)).enter(1).is_none());
    }

    /// Asks until the host has something to send; the status and some bytes.
    async fn ask(host: &Host, query: &str) -> (u16, Vec<u8>) {
        let url = format!("{}{PATH}{query}", host.url);
        tokio::task::spawn_blocking(move || {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            for _ in 0..200 {
                let answer = agent.get(&url).call().unwrap();
                let status = answer.status().as_u16();
                if status != 204 {
                    let mut bytes = vec![0; 20_000];
                    let read =
                        if status == 200 { answer.into_body().into_reader().read(&mut bytes).unwrap() } else { 0 };
                    bytes.truncate(read);
                    return (status, bytes);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            panic!("nothing to send");
        })
        .await
        .unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_viewer_that_nobody_feeds_is_sent_signed_frames() {
        let host = Host::start(|_| {}).await;
        let (status, bytes) = ask(&host, "").await;
        assert_eq!(status, 200);
        let len = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
        assert!(bytes.len() > 4 && len > 0 && len < 64 * 1024, "{} bytes, the first frame {len}", bytes.len());
        let metrics = host.get("metrics", &[]).await.1;
        assert!(metrics.contains("peerstream_fallback_bytes_total"), "{metrics}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_that_has_everything_is_sent_nothing() {
        let host = Host::start(|_| {}).await;
        ask(&host, "").await;
        let answer = host.get(&format!("{PATH}?from={}", u64::MAX), &[]).await;
        assert_eq!(answer.0, 204);
        assert_eq!(host.shared.fallback.refused(), 0, "that costs no place");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nonsense_is_refused() {
        let host = Host::start(|_| {}).await;
        for query in ["?from=-1", "?from=x", "?from=99999999999999999999999"] {
            assert_eq!(host.get(&format!("{PATH}{query}"), &[]).await.0, 400, "{query}");
        }
    }
}
