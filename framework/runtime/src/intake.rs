//! Runs the ingests and hands what is on air to the source's node.

use std::sync::Arc;
use std::time::Duration;

use peerstream_protocol::segment::{Init, MIME_BYTES_MAX};
use peerstream_traits::Secret;
use peerstream_traits::ingest::{
    Billing, BoxedIngest, INIT_BYTES_MAX, IngestError, IngestEvent, TITLE_BYTES_MAX, UNIT_BYTES_MAX, Unit, stage_at,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::broadcast::State;
use crate::peer::{Gone, Peer, Production};
use crate::plugins::Running;

/// Different pieces of advice that are told; a garrulous ingest is not listened to any more.
pub const ADVICE_MAX: usize = 32;

/// What others may know of the intake.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    /// The latest codec header.
    pub(crate) init: watch::Receiver<Option<Init>>,
    /// What the streamer was told, oldest first.
    pub(crate) advice: watch::Receiver<Vec<String>>,
    /// Who is on air.
    pub(crate) billing: watch::Receiver<Billing>,
    /// How the input is.
    pub(crate) input: watch::Receiver<Input>,
}

/// How the input is, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Units that have come in.
    pub units: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Microseconds of the stream that they hold.
    pub held_us: u64,
    /// Units at which a viewer can begin: key frames.
    pub join_points: u64,
    /// Microseconds between the last two of them; 0 before there were two.
    pub join_distance_us: u64,
    /// Units before which something is missing.
    pub discontinuities: u64,
    /// Times that nothing came for longer than [`PAUSE`].
    pub pauses: u64,
    /// Units and codec headers that were too large and dropped.
    pub oversized: u64,
}

/// How the input is since the start of the broadcast, and since the publication on air began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Input {
    /// Of all publications.
    pub total: Health,
    /// Of the one on air, or of the last one.
    pub current: Health,
    /// When the one on air, or the last one, began.
    pub since: Option<Instant>,
    /// When the last unit came.
    pub last: Option<Instant>,
    /// Events that wait to be taken, of at most [`UNIT_QUEUE_MAX`](peerstream_traits::ingest::UNIT_QUEUE_MAX).
    pub waiting: usize,
    /// The last join point's time.
    join_at_us: Option<u64>,
}

/// Nothing for longer than this is a pause in the input.
pub const PAUSE: Duration = Duration::from_secs(2);

impl Health {
    fn add(&mut self, unit: &Unit, join_distance_us: Option<u64>, pause: bool) {
        self.units += 1;
        self.bytes += unit.payload.len() as u64;
        self.held_us += u64::from(unit.duration_us);
        self.join_points += u64::from(unit.join_point);
        self.join_distance_us = join_distance_us.unwrap_or(self.join_distance_us);
        self.discontinuities += u64::from(unit.discontinuity);
        self.pauses += u64::from(pause);
    }
}

impl Input {
    fn begin(&mut self, now: Instant) {
        (self.current, self.since, self.last, self.join_at_us) = (Health::default(), Some(now), None, None);
    }

    fn unit(&mut self, unit: &Unit, now: Instant) {
        let pause = self.last.is_some_and(|last| now.duration_since(last) > PAUSE);
        let before = if unit.join_point { self.join_at_us.replace(unit.pts_us) } else { None };
        let distance = before.map(|before| unit.pts_us.saturating_sub(before));
        self.total.add(unit, distance, pause);
        self.current.add(unit, distance, pause);
        self.last = Some(now);
    }

    fn oversized(&mut self) {
        self.total.oversized += 1;
        self.current.oversized += 1;
    }
}

/// Takes what is on air and hands it to the source's node.
pub(crate) struct Intake {
    source: Arc<Peer>,
    state: watch::Sender<State>,
    init: watch::Sender<Option<Init>>,
    advice: watch::Sender<Vec<String>>,
    billing: watch::Sender<Billing>,
    input: watch::Sender<Input>,
    plugins: Option<Arc<Running>>,
}

impl Intake {
    /// `told` is what the streamer should know before anything has come in.
    pub(crate) fn new(
        source: Arc<Peer>,
        state: watch::Sender<State>,
        plugins: Option<Arc<Running>>,
        told: Option<String>,
    ) -> (Self, Watched) {
        let (init, init_seen) = watch::channel(None);
        let (advice, advice_seen) = watch::channel(told.into_iter().collect());
        let (billing, billing_seen) = watch::channel(Billing::default());
        let (input, input_seen) = watch::channel(Input::default());
        let watched = Watched { init: init_seen, advice: advice_seen, billing: billing_seen, input: input_seen };
        (Self { source, state, init, advice, billing, input, plugins }, watched)
    }

    /// Takes input until every ingest has ended; then the stream has ended, or failed if none ended well. A broadcast that goes on
    /// is at `now_us` of its clock, in microseconds.
    pub(crate) async fn run(self, key: Secret, now_us: Option<u64>, ingests: Vec<(String, BoxedIngest)>) {
        let (stage, mut programme) = stage_at(key, now_us);
        let mut running = JoinSet::new();
        for (name, ingest) in ingests {
            let stage = stage.clone();
            running.spawn(async move {
                let result = ingest.run(stage).await;
                match &result {
                    Ok(()) => info!(input = name, "input ended"),
                    Err(error) => warn!(input = name, %error, "input failed"),
                }
                result
            });
        }
        drop(stage);
        let mut billed = programme.billing();
        let taken = async {
            loop {
                let event = tokio::select! {
                    biased;
                    event = programme.next() => event,
                    Ok(()) = billed.changed() => {
                        let billing = billed.borrow_and_update().clone();
                        self.on_billing(billing);
                        continue;
                    }
                };
                let Some(event) = event else { return };
                self.input.send_modify(|input| input.waiting = programme.waiting());
                if self.take(event).await.is_err() {
                    return;
                }
            }
        };
        taken.await;
        drop(programme);
        let mut results = Vec::new();
        while let Some(result) = running.join_next().await {
            results.push(result.unwrap_or_else(|_| Err(IngestError::Malformed("an input has panicked".into()))));
        }
        let _ = self.source.produce(Production::End).await;
        self.state.send_replace(verdict(results));
        if let Some(plugins) = &self.plugins {
            // The answer comes when all that was produced has been handled.
            let _ = self.source.snapshot().await;
            plugins.archives().end(true).await;
        }
    }

    fn on_billing(&self, billing: Billing) {
        match &billing.on_air {
            Some(name) => {
                info!(publication = name, "on air");
                self.input.send_modify(|input| input.begin(Instant::now()));
            }
            None => {
                info!("nobody is on air");
                self.state.send_if_modified(|state| {
                    let live = *state == State::Live;
                    if live {
                        *state = State::Away;
                    }
                    live
                });
            }
        }
        self.billing.send_replace(billing);
    }

    async fn take(&self, event: IngestEvent) -> Result<(), Gone> {
        match event {
            IngestEvent::Init { bytes, mime } if bytes.len() <= INIT_BYTES_MAX && mime.len() <= MIME_BYTES_MAX => {
                let title = self.init.borrow().as_ref().map(|init| init.title.clone()).unwrap_or_default();
                self.begin(Init { mime, title, bytes: bytes.into() }).await
            }
            IngestEvent::Init { bytes, .. } => {
                self.input.send_modify(Input::oversized);
                warn!(bytes = bytes.len(), max = INIT_BYTES_MAX, "init is too large and dropped");
                Ok(())
            }
            IngestEvent::Title(title) => {
                let title = shown(&title);
                let init = self.init.borrow().clone().unwrap_or_else(|| Init {
                    mime: String::new(),
                    title: String::new(),
                    bytes: Vec::new(),
                });
                if init.title == title {
                    return Ok(());
                }
                self.begin(Init { title, ..init }).await
            }
            IngestEvent::Unit(unit) if unit.payload.len() <= UNIT_BYTES_MAX => {
                self.input.send_modify(|input| input.unit(&unit, Instant::now()));
                self.state.send_if_modified(|state| std::mem::replace(state, State::Live) != State::Live);
                self.source.produce(Production::Unit(unit)).await
            }
            IngestEvent::Unit(unit) => {
                self.input.send_modify(Input::oversized);
                warn!(bytes = unit.payload.len(), max = UNIT_BYTES_MAX, "unit is too large and dropped");
                Ok(())
            }
            IngestEvent::Advice(text) => {
                let told = self.advice.send_if_modified(|advice| {
                    let new = advice.len() < ADVICE_MAX && !advice.contains(&text);
                    if new {
                        advice.push(text.clone());
                    }
                    new
                });
                if told {
                    warn!("{text}");
                }
                Ok(())
            }
        }
    }

    /// A codec header, from here on; one without bytes only waits for them.
    async fn begin(&self, init: Init) -> Result<(), Gone> {
        self.init.send_replace(Some(init.clone()));
        if init.mime.is_empty() {
            return Ok(());
        }
        self.source.produce(Production::Init(init)).await
    }
}

/// A title as it travels: one line of at most [`TITLE_BYTES_MAX`] bytes.
fn shown(title: &str) -> String {
    let mut line = String::new();
    let words = title.split(|char: char| char.is_control() || char.is_whitespace()).filter(|word| !word.is_empty());
    for word in words {
        if line.len() + word.len() + 1 > TITLE_BYTES_MAX {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// How a stream has ended whose ingests ended like this.
fn verdict(results: Vec<Result<(), IngestError>>) -> State {
    let well = results.iter().any(Result::is_ok);
    match results.into_iter().find_map(Result::err) {
        Some(error) if !well => State::Failed(error.to_string()),
        _ => State::Ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_travels_as_one_short_line() {
        assert_eq!(shown("  Miles\tDavis -\r\n So  What "), "Miles Davis - So What");
        assert_eq!(shown(&"word ".repeat(100)).len(), 254);
        assert_eq!(shown("\0\u{1b}[2J"), "[2J");
    }

    #[tokio::test(start_paused = true)]
    async fn the_health_of_an_input_is_counted_anew_for_each_publication() {
        let unit = |pts_s: u64, join_point| Unit {
            payload: bytes::Bytes::from_static(&[0; 100]),
            pts_us: pts_s * 1_000_000,
            duration_us: 1_000_000,
            join_point,
            discontinuity: pts_s == 3,
        };
        let mut input = Input::default();
        for pts_s in 0..5 {
            input.unit(&unit(pts_s, pts_s % 2 == 0), Instant::now());
            tokio::time::advance(Duration::from_secs(if pts_s == 1 { 3 } else { 1 })).await;
        }
        let Health { units, bytes, join_points, join_distance_us, discontinuities, pauses, .. } = input.current;
        assert_eq!((units, bytes, join_points, discontinuities, pauses), (5, 500, 3, 1, 1));
        assert_eq!(join_distance_us, 2_000_000);
        input.begin(Instant::now());
        input.unit(&unit(60, true), Instant::now());
        assert_eq!((input.current.units, input.current.join_distance_us, input.total.units), (1, 0, 6));
        assert_eq!(input.total.join_distance_us, 2_000_000, "a pause between publications is none between key frames");
    }

    #[test]
    fn a_stream_has_failed_when_no_ingest_ended_well() {
        let error = || Err(IngestError::Malformed("no box".into()));
        assert_eq!(verdict(vec![error()]), State::Failed("no box".into()));
        assert_eq!(verdict(vec![error(), Ok(())]), State::Ended);
        assert_eq!(verdict(vec![]), State::Ended);
    }
}
