//! Feeds the telemetry sinks: figures and reports every few seconds, events as they happen.

use std::collections::BTreeMap;
use std::sync::Arc;

use peerstream_coordinator::{Happened, Overview};
use peerstream_protocol::time::Micros;
use peerstream_traits::telemetry::{Event, Figure, Record, What};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::broadcast::{Input, State};
use crate::clock::{Clock, wall};
use crate::figures;
use crate::hub::Hub;
use crate::peer::Peer;
use crate::plugins::telemetry::Telemetry;
use crate::plugins::{Running, Statuses};
use crate::takedown::Desk;

/// Makes figures that a host adds to those of the broadcast. Called every few seconds; must not wait.
pub type MoreFigures = Arc<dyn Fn() -> Vec<Figure> + Send + Sync>;

/// Where the figures of a broadcast come from.
#[derive(Clone)]
pub(crate) struct Figures {
    pub(crate) hub: Hub,
    pub(crate) source: Arc<Peer>,
    pub(crate) state: watch::Receiver<State>,
    pub(crate) input: watch::Receiver<Input>,
    pub(crate) statuses: Statuses,
    pub(crate) desk: Option<Desk>,
    pub(crate) more: Option<MoreFigures>,
}

impl Figures {
    /// All of them; those of a part that has stopped are missing.
    pub(crate) async fn take(&self) -> (Vec<Figure>, Option<Overview>) {
        let live = *self.state.borrow() == State::Live;
        let mut all = vec![figures::gauge("live", "1 while input comes in", u64::from(live))];
        all.extend(figures::input(&self.input.borrow()));
        all.extend(self.more.iter().flat_map(|more| more()));
        all.extend(figures::hub(self.hub.counters()));
        let overview = self.hub.overview().await;
        all.extend(overview.iter().flat_map(figures::overview));
        if let Ok(snapshot) = self.source.snapshot().await {
            all.extend(figures::source(&snapshot));
        }
        all.extend(self.desk.iter().flat_map(Desk::figures));
        all.extend(self.statuses.figures());
        (all, overview)
    }
}

/// Hands figures and reports over for as long as it is polled.
pub(crate) async fn run(figures: Figures, running: Arc<Running>) {
    let pause = running.figures_interval();
    let mut ticks = interval_at(Instant::now() + pause, pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let interest = running.telemetry().interest();
        if !interest.figures && !interest.reports {
            continue;
        }
        let (all, overview) = figures.take().await;
        let at_us = wall().as_micros() as u64;
        let offer = |what| running.telemetry().offer(&Record { at_us, what });
        if interest.figures {
            all.into_iter().for_each(|figure| offer(What::Figure(figure)));
        }
        if interest.reports {
            overview.iter().flat_map(figures::reports).for_each(|report| offer(What::Report(report)));
        }
    }
}

/// Tells the sinks what the coordinator saw happen to a node.
pub(crate) fn happened(telemetry: &Telemetry, clock: &Clock, happened: &Happened) {
    tell(telemetry, clock, happened.at, event(happened));
}

/// Tells the sinks what happened at this time of the coordinator's clock.
pub(crate) fn tell(telemetry: &Telemetry, clock: &Clock, at: Micros, event: Event) {
    let at_us = clock.wall_at_zero_us().saturating_add(at.0);
    telemetry.offer(&Record { at_us, what: What::Event(event) });
}

/// Too many cannot keep up, and some were turned away.
pub(crate) fn overloaded(members: usize, struggling: usize, shed: usize) -> Event {
    of_all("overloaded", [("members", members.into()), ("struggling", struggling.into()), ("shed", shed.into())])
}

/// The strategy failed, and another one has taken over.
pub(crate) fn strategy_replaced(failed: &str, by: &str, why: &str) -> Event {
    of_all("strategy-replaced", [("failed", failed.into()), ("by", by.into()), ("why", why.into())])
}

fn of_all<const N: usize>(name: &str, fields: [(&str, Value); N]) -> Event {
    let fields = fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect();
    Event { name: name.to_owned(), node: None, fields }
}

fn event(happened: &Happened) -> Event {
    let mut fields: BTreeMap<String, Value> = match serde_json::to_value(happened.what) {
        Ok(Value::Object(fields)) => fields.into_iter().collect(),
        _ => BTreeMap::new(),
    };
    let name = fields.remove("what").and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
    Event { name, node: Some(happened.node.to_string()), fields }
}
