//! What the dashboard shows: looked at once for all who watch, told as changes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use peerstream::broadcast::State;
use peerstream::coordinator::{Happened, Overview};
use peerstream::protocol::control::Role as NodeRole;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;
use tracing::{info, warn};

use super::moments::Moments;
use super::outlook::{Level, Outlook, outlook};
use super::rows::{NODES_MAX, Rows, lag, levels, quantile};
use super::tally::{Point, Rates, Tally};
use super::uplinks::{uplinks, upload_advice};
use crate::server::Shared;

/// Pause between two looks while somebody watches.
const PAUSE: Duration = Duration::from_secs(1);
/// Pause while nobody does: totals and the course go on.
const PAUSE_IDLE: Duration = Duration::from_secs(10);
/// A look may take this part of the coordinator's time, at most: with many nodes looks are rarer.
const LOOK_SHARE: u32 = 50;
/// Messages that wait for a slow watcher; then it is told everything anew.
const MESSAGES_MAX: usize = 8;

/// A message for those who watch.
pub type Message = Arc<str>;

/// What is shown. Whoever watches gets everything once and then what has changed.
pub struct Board {
    inner: Mutex<Inner>,
    messages: broadcast::Sender<Message>,
    /// Somebody has come and should not wait.
    come: Notify,
    start: Instant,
}

struct Inner {
    rows: Rows,
    tally: Tally,
    moments: Moments,
    /// The latest sums, and the term that names are told by.
    sums: Value,
    term: u32,
    level: Level,
    /// Whether the streamer was told that the bitrate is too much for many.
    advised: bool,
}

/// What one look has brought.
struct Look {
    overview: Overview,
    produced: u64,
    sent: u64,
    facts: Map<String, Value>,
}

impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Board")
    }
}

impl Board {
    /// Nothing is on it yet.
    pub fn new() -> Self {
        let inner = Inner {
            rows: Rows::default(),
            tally: Tally::default(),
            moments: Moments::default(),
            sums: Value::Null,
            term: 0,
            level: Level::Roomy,
            advised: false,
        };
        let (messages, _) = broadcast::channel(MESSAGES_MAX);
        Self { inner: Mutex::new(inner), messages, come: Notify::new(), start: Instant::now() }
    }

    /// Everything, and what comes after it.
    pub fn watch(&self) -> (Message, broadcast::Receiver<Message>) {
        let inner = self.inner.lock().expect("no holder panics");
        let receiver = self.messages.subscribe();
        self.come.notify_one();
        (inner.everything(), receiver)
    }

    /// Looks again and again for as long as it is polled.
    pub async fn run(&self, shared: &Shared) {
        let mut happenings = shared.broadcast.hub().happenings();
        loop {
            let began = Instant::now();
            let look = look(shared).await;
            let took = began.elapsed();
            let missed = {
                let mut inner = self.inner.lock().expect("no holder panics");
                inner.hear(&mut happenings);
                look.map(|look| inner.take(look, shared, self.start.elapsed()))
            };
            // Nobody may be watching.
            missed.map(|message| self.messages.send(message));
            self.pause(took, &mut happenings).await;
        }
    }

    /// Waits for the next look; happenings are heard meanwhile, so that none is missed.
    async fn pause(&self, took: Duration, happenings: &mut broadcast::Receiver<Happened>) {
        let watched = self.messages.receiver_count() > 0;
        let least = if watched { PAUSE } else { PAUSE_IDLE };
        let due = Instant::now() + least.max(took * LOOK_SHARE);
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(due) => return,
                () = self.come.notified(), if !watched => return,
                heard = happenings.recv() => {
                    let mut inner = self.inner.lock().expect("no holder panics");
                    let term = inner.term;
                    match heard {
                        Ok(happened) => inner.moments.add(&happened, term),
                        Err(RecvError::Lagged(count)) => inner.moments.miss(count),
                        Err(RecvError::Closed) => break,
                    }
                }
            }
        }
        // The coordinator has stopped: there is nothing to hear, and nothing to hurry for.
        tokio::time::sleep_until(due).await;
    }
}

async fn look(shared: &Shared) -> Option<Look> {
    let broadcast = &shared.broadcast;
    let overview = broadcast.hub().overview().await?;
    let source = broadcast.snapshot().await.map(|snapshot| snapshot.status.counters).unwrap_or_default();
    let sent = source.payload_sent + source.overhead_sent + overview.counters.starter_bytes + shared.fallback.bytes();
    let state = broadcast.state().borrow().clone();
    let mut facts = Map::new();
    facts.insert("state".into(), state.word().into());
    if let State::TakenDown(_) = state {
        facts.insert("state".into(), "taken-down".into());
    }
    let input = broadcast.input();
    let health = input.current;
    facts.insert(
        "input".into(),
        json!({
            "units": health.units,
            "bytes": health.bytes,
            "held_ms": health.held_us / 1000,
            "join_distance_ms": health.join_distance_us / 1000,
            "discontinuities": health.discontinuities,
            "pauses": health.pauses,
            "oversized": health.oversized,
            "silence_ms": input.last.map(|last| last.elapsed().as_millis() as u64),
            "since_ms": input.since.map(|since| since.elapsed().as_millis() as u64),
            "waiting": input.waiting,
        }),
    );
    facts.insert("playing".into(), broadcast.playing().into());
    Some(Look { overview, produced: source.produced, sent, facts })
}

impl Inner {
    fn hear(&mut self, happenings: &mut broadcast::Receiver<Happened>) {
        loop {
            match happenings.try_recv() {
                Ok(happened) => self.moments.add(&happened, self.term),
                Err(TryRecvError::Lagged(count)) => self.moments.miss(count),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    /// Takes a look in and says what has changed.
    fn take(&mut self, look: Look, shared: &Shared, since: Duration) -> Message {
        let Look { overview, produced, sent, mut facts } = look;
        self.term = overview.term.0 as u32;
        let now_s = since.as_secs_f64();
        let rates = self.tally.look(&overview, produced, sent, now_s);
        let room = outlook(&overview, shared.dashboard.nodes_max);
        self.tell_level(&room);
        let uplinks = uplinks(&overview, rates.stream_bps);
        let advice = upload_advice(&room, &uplinks, rates.stream_bps);
        self.tell_advice(advice.as_deref());
        let mut lags: Vec<_> = overview
            .nodes
            .iter()
            .filter(|node| node.role != NodeRole::Source)
            .map(lag)
            .filter(|lag| *lag > 0)
            .collect();
        let median = quantile(&mut lags, 50);
        let point = self.tally.point(&rates, overview.members, median, now_s);
        facts.insert("upload_advice".into(), advice.into());
        facts.insert("uplinks".into(), json!(uplinks));
        self.sums = self.sums(&overview, &rates, &room, [median, quantile(&mut lags, 95)], facts);
        let mut message = Map::new();
        message.insert("sums".into(), self.sums.clone());
        self.rows.look(&overview).add_to(&mut message);
        self.add_moments(&mut message, point);
        Value::from(message).to_string().into()
    }

    fn add_moments(&mut self, message: &mut Map<String, Value>, point: Option<Point>) {
        let (fresh, more) = self.moments.take();
        if !fresh.is_empty() || more > 0 {
            message.insert("moments".into(), json!({ "rows": fresh, "more": more }));
        }
        if let Some(point) = point {
            message.insert("point".into(), json!(point));
        }
    }

    fn sums(
        &self,
        overview: &Overview,
        rates: &Rates,
        room: &Outlook,
        lags: [u32; 2],
        facts: Map<String, Value>,
    ) -> Value {
        let helpers = overview.nodes.iter().filter(|node| node.role == NodeRole::Helper).count();
        let mut sums = json!({
            "now_ms": overview.now.0 / 1000,
            "viewers": overview.members - helpers,
            "helpers": helpers,
            "strategy": overview.strategy,
            "waiting": overview.waiting,
            "without_backup": overview.without_backup,
            "without_parent": overview.without_parent,
            "struggling": overview.struggling,
            "overloaded": overview.overloaded,
            "depth": overview.depth_max,
            "lag_p50": lags[0],
            "lag_p95": lags[1],
            "levels": levels(overview),
            "listed": overview.members <= NODES_MAX,
            "rates": rates,
            "totals": self.tally.totals(),
            "outlook": room,
        });
        if let Some(all) = sums.as_object_mut() {
            all.extend(facts);
        }
        sums
    }

    /// The log says when the tree gets full, and when it has room again.
    fn tell_level(&mut self, room: &Outlook) {
        let before = std::mem::replace(&mut self.level, room.level);
        match room.level.cmp(&before) {
            std::cmp::Ordering::Greater => warn!("{}", room.sentence()),
            std::cmp::Ordering::Less if room.level == Level::Roomy => info!("{}", room.sentence()),
            _ => {}
        }
    }

    /// The log says once that the bitrate is too much for many.
    fn tell_advice(&mut self, advice: Option<&str>) {
        match advice {
            Some(advice) if !self.advised => warn!("{advice}"),
            _ => {}
        }
        self.advised |= advice.is_some();
    }

    fn everything(&self) -> Message {
        let mut message = Map::new();
        message.insert("all".into(), true.into());
        message.insert("sums".into(), self.sums.clone());
        message.insert("course".into(), json!(self.tally.course()));
        let kept: Vec<_> = self.moments.kept().collect();
        message.insert("moments".into(), json!({ "rows": kept, "more": 0 }));
        self.rows.all(self.term).add_to(&mut message);
        Value::from(message).to_string().into()
    }
}
