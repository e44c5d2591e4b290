//! How all instances stand: for `/healthz`, `/api/v1/plugins` and the metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use peerstream_traits::Kind;
use peerstream_traits::telemetry::{Figure, FigureKind};
use serde::Serialize;
use tokio::sync::watch;
use tracing::{debug, warn};

use super::state::State;
use crate::clock::wall;

/// Why an instance is not well is told in at most this many bytes.
pub const WHY_BYTES_MAX: usize = 512;

/// Who an instance is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// What it is for.
    pub kind: Kind,
    /// Its name in the config.
    pub name: String,
    /// The plug-in's name.
    pub plugin: String,
    /// Where the plug-in comes from: a crate and its version, or a file and its hash.
    pub origin: String,
}

/// One instance as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Who.
    #[serde(flatten)]
    pub identity: Identity,
    /// Whether the host does not do without it.
    pub required: bool,
    /// How it stands.
    pub state: State,
    /// Since when, microseconds since 1970.
    pub since_us: u64,
    /// Why it is not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What its layers have counted, such as `dropped.queue-full`.
    pub counters: BTreeMap<String, u64>,
}

/// How the whole host is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostHealth {
    /// `ok` or `degraded`.
    pub status: &'static str,
    /// Instances that are not well, such as `telemetry.prometheus: failed: port is taken`.
    pub troubles: Vec<String>,
    /// Whether one of them is required.
    #[serde(skip)]
    pub required_failed: bool,
}

/// How one instance stands; a handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct Status(Arc<Entry>);

#[derive(Debug)]
struct Entry {
    identity: Identity,
    required: bool,
    inner: Mutex<Inner>,
    usable: watch::Sender<Usable>,
}

/// Whether calls may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usable {
    /// It has not been started yet.
    NotYet,
    /// It was started.
    Yes,
    /// It panicked or was stopped: never again.
    NoMore,
}

#[derive(Debug)]
struct Inner {
    state: State,
    since_us: u64,
    why: Option<String>,
    /// By name and reason, which are words of this crate: a bounded number.
    counts: BTreeMap<(&'static str, &'static str), u64>,
}

impl Status {
    /// Of an instance that was just made.
    pub fn new(identity: Identity, required: bool) -> Self {
        let inner =
            Inner { state: State::Built, since_us: wall().as_micros() as u64, why: None, counts: BTreeMap::new() };
        Self(Arc::new(Entry {
            identity,
            required,
            inner: Mutex::new(inner),
            usable: watch::Sender::new(Usable::NotYet),
        }))
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// How it stands.
    pub fn state(&self) -> State {
        self.lock().state
    }

    /// Whether the host does not do without it.
    pub fn is_required(&self) -> bool {
        self.0.required
    }

    /// What was counted under a name and reason.
    pub fn count(&self, name: &'static str, reason: &'static str) -> u64 {
        self.lock().counts.get(&(name, reason)).copied().unwrap_or_default()
    }

    /// What was counted under a name for whatever reason.
    pub fn total(&self, name: &'static str) -> u64 {
        self.lock().counts.iter().filter(|((of, _), _)| *of == name).map(|(_, count)| count).sum()
    }

    /// As it is shown.
    pub fn shown(&self) -> Shown {
        let inner = self.lock();
        let counters =
            inner.counts.iter().map(|((name, reason), count)| (counter_name(name, reason), *count)).collect();
        let (state, since_us, why) = (inner.state, inner.since_us, inner.why.clone());
        Shown { identity: self.0.identity.clone(), required: self.0.required, state, since_us, why, counters }
    }

    pub(crate) fn add(&self, name: &'static str, reason: &'static str, count: u64) {
        if count > 0 {
            *self.lock().counts.entry((name, reason)).or_default() += count;
        }
    }

    /// The next state, unless it cannot follow; a refused one is a mistake of ours and changes nothing.
    pub(crate) fn turn(&self, next: State, why: Option<String>) -> bool {
        let mut inner = self.lock();
        if !inner.state.may_become(next) {
            return false;
        }
        let why = why.map(bounded);
        if inner.state != next || inner.why != why {
            tell(&self.0.identity, next, why.as_deref());
        }
        if inner.state != next {
            inner.since_us = wall().as_micros() as u64;
        }
        (inner.state, inner.why) = (next, why);
        true
    }

    pub(crate) fn set_usable(&self, usable: Usable) {
        self.0.usable.send_if_modified(|now| *now != Usable::NoMore && std::mem::replace(now, usable) != usable);
    }

    pub(crate) fn is_usable(&self) -> bool {
        *self.0.usable.borrow() == Usable::Yes
    }

    /// Waits until calls may be made; false when they never may.
    pub(crate) async fn until_usable(&self) -> bool {
        let mut usable = self.0.usable.subscribe();
        let settled = usable.wait_for(|usable| *usable != Usable::NotYet).await;
        settled.is_ok_and(|usable| *usable == Usable::Yes)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().expect("no holder panics")
    }

    fn trouble(&self) -> Option<String> {
        let inner = self.lock();
        if !matches!(inner.state, State::Degraded | State::Failed) {
            return None;
        }
        let Identity { kind, name, .. } = &self.0.identity;
        Some(format!("{kind}.{name}: {}: {}", inner.state.word(), inner.why.as_deref().unwrap_or("no reason given")))
    }
}

fn tell(identity: &Identity, state: State, why: Option<&str>) {
    let (kind, name, state) = (identity.kind, identity.name.as_str(), state.word());
    match why {
        Some(why) => warn!(%kind, name, state, why, "plug-in"),
        None => debug!(%kind, name, state, "plug-in"),
    }
}

fn bounded(mut text: String) -> String {
    if text.len() > WHY_BYTES_MAX {
        let end = (0..=WHY_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

fn counter_name(name: &str, reason: &str) -> String {
    if reason.is_empty() { name.to_owned() } else { format!("{name}.{reason}") }
}

/// How all instances stand; cheap to clone. As many as there are in the config.
#[derive(Clone, Debug, Default)]
pub struct Statuses(Arc<Mutex<Vec<Status>>>);

impl Statuses {
    /// Adds one.
    pub fn add(&self, status: Status) {
        self.lock().push(status);
    }

    /// Takes away the one of this kind and name.
    pub(crate) fn remove(&self, kind: Kind, name: &str) {
        self.lock().retain(|status| (status.identity().kind, status.identity().name.as_str()) != (kind, name));
    }

    /// All of them, by kind and name.
    pub fn shown(&self) -> Vec<Shown> {
        let mut all: Vec<_> = self.lock().iter().map(Status::shown).collect();
        all.sort_by(|a, b| (a.identity.kind, &a.identity.name).cmp(&(b.identity.kind, &b.identity.name)));
        all
    }

    /// How the whole host is.
    pub fn health(&self) -> HostHealth {
        let all = self.lock();
        let troubles: Vec<_> = all.iter().filter_map(Status::trouble).collect();
        let required_failed = all.iter().any(|status| status.is_required() && status.state() == State::Failed);
        HostHealth { status: if troubles.is_empty() { "ok" } else { "degraded" }, troubles, required_failed }
    }

    /// States and counters as figures.
    pub fn figures(&self) -> Vec<Figure> {
        self.shown().iter().flat_map(figures_of).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Status>> {
        self.0.lock().expect("no holder panics")
    }
}

fn figures_of(shown: &Shown) -> Vec<Figure> {
    let labels = |extra: &[(&str, &str)]| {
        let own = [("kind", shown.identity.kind.word()), ("name", shown.identity.name.as_str())];
        own.iter().chain(extra).map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect()
    };
    let states = State::ALL.iter().map(|state| Figure {
        name: "plugin_state".into(),
        help: "1 for the state a plug-in is in, 0 for the others".into(),
        kind: FigureKind::Gauge,
        value: f64::from(u8::from(*state == shown.state)),
        labels: labels(&[("state", state.word())]),
    });
    let counters = shown.counters.iter().map(|(counter, count)| {
        let (what, reason) = counter.split_once('.').unwrap_or((counter, ""));
        Figure {
            name: "plugin_items".into(),
            help: "what the layers around a plug-in have counted".into(),
            kind: FigureKind::Counter,
            value: *count as f64,
            labels: labels(&[("what", what), ("reason", reason)]),
        }
    });
    states.chain(counters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(name: &str, required: bool) -> Status {
        let (kind, name) = (Kind::Telemetry, name.to_owned());
        Status::new(Identity { kind, name, plugin: "test".into(), origin: "here".into() }, required)
    }

    #[test]
    fn a_state_that_cannot_follow_changes_nothing() {
        let status = status("one", false);
        assert!(!status.turn(State::Running, None));
        assert_eq!(status.state(), State::Built);
        assert!(status.turn(State::Starting, None) && status.turn(State::Running, None));
    }

    #[test]
    fn health_names_the_troubles_and_fails_only_for_a_required_one() {
        let (statuses, optional, required) = (Statuses::default(), status("optional", false), status("must", true));
        for status in [&optional, &required] {
            statuses.add(status.clone());
            status.turn(State::Starting, None);
            status.turn(State::Running, None);
        }
        assert_eq!(statuses.health(), HostHealth { status: "ok", troubles: vec![], required_failed: false });
        optional.turn(State::Failed, Some("gone".into()));
        let health = statuses.health();
        assert_eq!((health.status, health.required_failed), ("degraded", false));
        assert_eq!(health.troubles, ["telemetry.optional: failed: gone"]);
        required.turn(State::Failed, Some("gone too".into()));
        assert!(statuses.health().required_failed);
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let status = status("one", false);
        status.turn(State::Starting, Some("ü".repeat(WHY_BYTES_MAX)));
        assert!(status.shown().why.unwrap().len() <= WHY_BYTES_MAX);
    }
}
