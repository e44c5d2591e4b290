//! Who is on air: several inputs share one broadcast, one publication at a time.
//!
//! An ingest holds a [`Stage`] and asks for it with each publication that reaches it: a pipe once, a server of RTMP whenever an
//! encoder connects. Whoever has it holds an [`OnAir`] and sends events; the source reads them from the [`Programme`].
//! All times of a broadcast are on one clock: a publication begins where [`OnAir::start_us`] says, not at zero.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::Secret;
use crate::ingest::{IngestError, IngestEvent, UNIT_QUEUE_MAX};

/// Somebody who wants to be on air.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publication {
    /// For people, such as `rtmp from 192.0.2.7 (OBS 30.1)`; no secrets.
    pub name: String,
    /// Ends the publication that is on air, instead of being refused.
    pub takeover: bool,
}

/// Why a publication is not, or no longer, on air.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OffAir {
    /// Another one is on air.
    #[error("already on air: {0}")]
    Busy(String),
    /// Another one has taken over.
    #[error("replaced by {0}")]
    Replaced(String),
    /// The broadcast has ended, or does not want it.
    #[error("the broadcast takes no input any more")]
    Closed,
}

impl From<OffAir> for IngestError {
    fn from(off: OffAir) -> Self {
        match off {
            OffAir::Closed => Self::Closed,
            off => Self::OffAir(off),
        }
    }
}

/// Who is on air, as others see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Billing {
    /// What the publication on air calls itself; none when nobody is.
    pub on_air: Option<String>,
    /// Publications so far.
    pub publications: u64,
    /// Publications that were refused because another one was on air.
    pub refused: u64,
}

#[derive(Debug)]
struct State {
    /// When the first publication went on air, or the broadcast went on.
    zero: Option<Instant>,
    /// The broadcast's clock at that time, in microseconds.
    zero_us: u64,
    /// The end of the latest unit on the broadcast's clock, in microseconds.
    end_us: u64,
    /// Ends the publication that is on air.
    current: Option<watch::Sender<Option<OffAir>>>,
    /// Counts publications; tells an old one from the current one.
    turn: u64,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    billing: watch::Sender<Billing>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where publications ask to go on air.
#[derive(Clone, Debug)]
pub struct Stage {
    shared: Arc<Shared>,
    key: Secret,
    events: mpsc::Sender<IngestEvent>,
}

/// What is on air, for the source to read. Dropping it ends all publications.
#[derive(Debug)]
pub struct Programme {
    events: mpsc::Receiver<IngestEvent>,
    billing: watch::Receiver<Billing>,
}

/// A stage with the stream key that streamers show, and what is read from it.
pub fn stage(key: Secret) -> (Stage, Programme) {
    stage_at(key, None)
}

/// The same for a broadcast that goes on: its clock, in microseconds, runs on from here.
pub fn stage_at(key: Secret, now_us: Option<u64>) -> (Stage, Programme) {
    let (events, receiver) = mpsc::channel(UNIT_QUEUE_MAX);
    let (billing, watched) = watch::channel(Billing::default());
    let zero = now_us.map(|_| Instant::now());
    let state = State { zero, zero_us: now_us.unwrap_or(0), end_us: 0, current: None, turn: 0 };
    let shared = Arc::new(Shared { state: Mutex::new(state), billing });
    (Stage { shared, key, events }, Programme { events: receiver, billing: watched })
}

impl Programme {
    /// The next event; none when every [`Stage`] and [`OnAir`] is gone.
    pub async fn next(&mut self) -> Option<IngestEvent> {
        self.events.recv().await
    }

    /// Events that wait to be read.
    pub fn waiting(&self) -> usize {
        self.events.len()
    }

    /// Who is on air, and its changes.
    pub fn billing(&self) -> watch::Receiver<Billing> {
        self.billing.clone()
    }
}

impl Stage {
    /// Goes on air, unless somebody else is.
    pub fn go_on_air(&self, publication: Publication) -> Result<OnAir, OffAir> {
        if self.events.is_closed() {
            return Err(OffAir::Closed);
        }
        let mut state = self.shared.state();
        if let Some(current) = &state.current {
            let now = self.shared.billing.borrow().on_air.clone().unwrap_or_default();
            if !publication.takeover {
                self.shared.billing.send_modify(|billing| billing.refused += 1);
                return Err(OffAir::Busy(now));
            }
            current.send_replace(Some(OffAir::Replaced(publication.name.clone())));
        }
        let zero = *state.zero.get_or_insert_with(Instant::now);
        let elapsed_us = u64::try_from(zero.elapsed().as_micros()).unwrap_or(u64::MAX);
        let start_us = state.end_us.max(state.zero_us.saturating_add(elapsed_us));
        let (end, ended) = watch::channel(None);
        state.current = Some(end);
        state.turn += 1;
        self.shared.billing.send_modify(|billing| {
            billing.on_air = Some(publication.name);
            billing.publications += 1;
        });
        if state.turn > 1 {
            // What the last one played is not what this one plays. With a full queue the title stays until the next one.
            let _ = self.events.try_send(IngestEvent::Title(String::new()));
        }
        let turn = state.turn;
        Ok(OnAir { shared: self.shared.clone(), events: self.events.clone(), turn, start_us, ended })
    }

    /// What a streamer shows who wants to go on air, unless the input's own options say otherwise: the same for all inputs of
    /// a publisher, also after a restart.
    pub fn key(&self) -> &Secret {
        &self.key
    }

    /// Waits until nobody is on air.
    pub async fn vacant(&self) {
        let mut billing = self.shared.billing.subscribe();
        // It cannot fail: the sender is held here.
        let _ = billing.wait_for(|billing| billing.on_air.is_none()).await;
    }

    /// Waits until the broadcast takes no input any more.
    pub async fn closed(&self) {
        self.events.closed().await;
    }
}

/// The right to be on air, until it is dropped or taken away.
#[derive(Debug)]
pub struct OnAir {
    shared: Arc<Shared>,
    events: mpsc::Sender<IngestEvent>,
    turn: u64,
    start_us: u64,
    ended: watch::Receiver<Option<OffAir>>,
}

impl OnAir {
    /// Where this publication begins on the broadcast's clock, in microseconds: behind all that was sent before, and as much later
    /// as the pause has lasted. The first publication begins at zero, unless the broadcast was there before this process.
    pub fn start_us(&self) -> u64 {
        self.start_us
    }

    /// Calls the publication otherwise, now that more is known about it; no secrets.
    pub fn rename(&self, name: String) {
        let state = self.shared.state();
        if state.turn == self.turn {
            self.shared.billing.send_modify(|billing| billing.on_air = Some(name));
        }
    }

    /// Sends an event; waits while [`UNIT_QUEUE_MAX`] wait.
    pub async fn send(&self, event: IngestEvent) -> Result<(), OffAir> {
        let permit = self.events.reserve().await.map_err(|_| OffAir::Closed)?;
        let mut state = self.shared.state();
        if state.turn != self.turn {
            return Err(self.why());
        }
        if let IngestEvent::Unit(unit) = &event {
            let end_us = unit.pts_us.saturating_add(unit.duration_us.into());
            state.end_us = state.end_us.max(end_us);
        }
        // Under the lock, so that nothing of an old publication comes behind the first event of a new one.
        permit.send(event);
        Ok(())
    }

    /// Waits until this publication is replaced or the broadcast has ended.
    pub async fn off_air(&self) -> OffAir {
        let mut ended = self.ended.clone();
        tokio::select! {
            () = self.events.closed() => OffAir::Closed,
            _ = ended.wait_for(Option::is_some) => self.why(),
        }
    }

    fn why(&self) -> OffAir {
        self.ended.borrow().clone().unwrap_or(OffAir::Closed)
    }
}

impl Drop for OnAir {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if state.turn == self.turn {
            state.current = None;
            self.shared.billing.send_modify(|billing| billing.on_air = None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ingest::Unit;

    fn named(name: &str, takeover: bool) -> Publication {
        Publication { name: name.into(), takeover }
    }

    fn unit(pts_us: u64) -> IngestEvent {
        let payload = bytes::Bytes::from_static(b"x");
        IngestEvent::Unit(Unit { payload, pts_us, duration_us: 100_000, join_point: true, discontinuity: false })
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_publication_is_refused_and_told_who_is_on_air() {
        let (stage, programme) = stage(Secret::default());
        let first = stage.go_on_air(named("one", false)).unwrap();
        assert_eq!(stage.go_on_air(named("two", false)).unwrap_err(), OffAir::Busy("one".into()));
        drop(first);
        assert_eq!(programme.billing().borrow().on_air, None);
        stage.go_on_air(named("two", false)).unwrap();
        let billing = programme.billing().borrow().clone();
        assert_eq!((billing.publications, billing.refused), (2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_can_wait_is_told_when_nobody_is_on_air() {
        let (stage, _programme) = stage(Secret::default());
        stage.vacant().await;
        let first = stage.go_on_air(named("one", false)).unwrap();
        let waiting = stage.clone();
        let waits = tokio::spawn(async move { waiting.vacant().await });
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!waits.is_finished());
        drop(first);
        waits.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_takes_over_ends_the_other_and_stays_when_that_one_goes() {
        let (stage, mut programme) = stage(Secret::default());
        let first = stage.go_on_air(named("one", false)).unwrap();
        first.send(unit(0)).await.unwrap();
        let second = stage.go_on_air(named("two", true)).unwrap();
        assert_eq!(first.off_air().await, OffAir::Replaced("two".into()));
        assert_eq!(first.send(unit(1)).await, Err(OffAir::Replaced("two".into())));
        drop(first);
        second.send(unit(2)).await.unwrap();
        assert_eq!(programme.billing().borrow().on_air.as_deref(), Some("two"));
        let untitled = IngestEvent::Title(String::new());
        for event in [unit(0), untitled, unit(2)] {
            assert_eq!(programme.next().await, Some(event));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_publication_begins_behind_the_last_one_and_as_much_later_as_the_pause_was() {
        let (stage, _programme) = stage(Secret::default());
        let first = stage.go_on_air(named("one", false)).unwrap();
        assert_eq!(first.start_us(), 0);
        first.send(unit(7_000_000)).await.unwrap();
        drop(first);
        assert_eq!(stage.go_on_air(named("ahead of time", false)).unwrap().start_us(), 7_100_000);
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(stage.go_on_air(named("after a pause", false)).unwrap().start_us(), 30_000_000);
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_of_a_broadcast_that_goes_on_runs_on_while_it_waits_for_its_first_publication() {
        let (stage, _programme) = stage_at(Secret::default(), Some(90_000_000));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(stage.go_on_air(named("one", false)).unwrap().start_us(), 95_000_000);
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_is_on_air_can_take_another_name() {
        let (stage, programme) = stage(Secret::default());
        let first = stage.go_on_air(named("one", false)).unwrap();
        first.rename("first".into());
        assert_eq!(programme.billing().borrow().on_air.as_deref(), Some("first"));
        let _second = stage.go_on_air(named("two", true)).unwrap();
        first.rename("one again".into());
        assert_eq!(programme.billing().borrow().on_air.as_deref(), Some("two"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_broadcast_is_the_end_of_the_publication() {
        let (stage, programme) = stage(Secret::default());
        let first = stage.go_on_air(named("one", false)).unwrap();
        drop(programme);
        assert_eq!(first.off_air().await, OffAir::Closed);
        assert_eq!(first.send(unit(0)).await, Err(OffAir::Closed));
        drop(first);
        assert_eq!(stage.go_on_air(named("two", true)).unwrap_err(), OffAir::Closed);
    }
}
