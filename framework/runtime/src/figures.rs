//! The numbers of a broadcast: made once here, and the same for `/metrics` and for every telemetry sink.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use peerstream_coordinator::{NodeOverview, Overview};
use peerstream_protocol::control::Role;
use peerstream_traits::telemetry::{Figure, FigureKind, Report};

use crate::broadcast::Input;
use crate::{hub, peer};

/// A number that goes up and down.
pub fn gauge(name: &str, help: &str, value: u64) -> Figure {
    figure(name, help, FigureKind::Gauge, value)
}

/// A number that only grows.
pub fn counter(name: &str, help: &str, value: u64) -> Figure {
    figure(name, help, FigureKind::Counter, value)
}

fn figure(name: &str, help: &str, kind: FigureKind, value: u64) -> Figure {
    Figure { name: name.to_owned(), help: help.to_owned(), kind, value: value as f64, labels: BTreeMap::new() }
}

/// The input's.
pub(crate) fn input(input: &Input) -> Vec<Figure> {
    let Input { total, current, last, waiting, .. } = input;
    let silence = last.map_or(0, |last| last.elapsed().as_millis() as u64);
    vec![
        counter("input_units", "units that have come in", total.units),
        counter("input_bytes", "bytes of units that have come in", total.bytes),
        counter("input_join_points", "units at which a viewer can begin", total.join_points),
        counter("input_discontinuities", "units before which something is missing", total.discontinuities),
        counter("input_pauses", "times that no unit came for two seconds", total.pauses),
        counter("input_oversized", "units and codec headers that were too large and dropped", total.oversized),
        gauge(
            "input_join_distance_ms",
            "milliseconds between the last two join points",
            current.join_distance_us / 1000,
        ),
        gauge("input_silence_ms", "milliseconds since the last unit", silence),
        gauge("input_waiting", "events that wait to be taken in", *waiting as u64),
    ]
}

/// The hub's.
pub(crate) fn hub(counters: &hub::Counters) -> Vec<Figure> {
    let value = |counter: &AtomicU64| counter.load(Relaxed);
    vec![
        counter("control_connections", "control connections opened", value(&counters.opened)),
        counter("control_slow_readers", "connections closed because nobody read them", value(&counters.slow_readers)),
    ]
}

/// The coordinator's.
pub(crate) fn overview(overview: &Overview) -> Vec<Figure> {
    let mut figures = vec![
        gauge("nodes", "viewers and helpers", overview.members as u64),
        gauge("nodes_waiting", "nodes whose parent cannot be issued yet", overview.waiting as u64),
        gauge("nodes_without_backup", "nodes with nobody to take over", overview.without_backup as u64),
        gauge("nodes_without_parent", "nodes without a place", overview.without_parent as u64),
        gauge(
            "nodes_relaying",
            "nodes that pass the stream on or could",
            overview.nodes.iter().filter(|node| node.role != Role::Source && node.relay).count() as u64,
        ),
        gauge("depth", "most hops from the source", u64::from(overview.depth_max)),
    ];
    // The counters' names are the coordinator's own; they tell more than a help text here could.
    let counters = serde_json::to_value(overview.counters).unwrap_or_default();
    figures.extend(counters.as_object().into_iter().flatten().map(|(name, value)| {
        counter(&format!("coordinator_{name}"), &name.replace('_', " "), value.as_u64().unwrap_or_default())
    }));
    figures
}

/// The source's.
pub(crate) fn source(snapshot: &peer::Snapshot) -> Vec<Figure> {
    let (status, counters) = (&snapshot.status, &snapshot.status.counters);
    vec![
        gauge("source_links", "open links of the source", status.links as u64),
        gauge("source_segments", "segments produced", status.figures.next.0),
        counter("source_produced_bytes", "payload bytes produced", counters.produced),
        counter("source_sent_bytes", "payload bytes sent by the source", counters.payload_sent),
        counter("source_overhead_bytes", "other bytes sent by the source", counters.overhead_sent),
        counter("source_feed_gaps", "segments not sent because a root was too slow", counters.feed_gaps),
        counter("source_frames_refused", "frames a transport did not take", snapshot.counters.frames_refused),
        counter(
            "source_unreserved",
            "segments dropped as their numbers were not reserved",
            snapshot.counters.unreserved,
        ),
        counter("source_oversized", "inits or units beyond their bounds", counters.oversized),
    ]
}

/// What each node says of itself.
pub(crate) fn reports(overview: &Overview) -> impl Iterator<Item = Report> + '_ {
    overview.nodes.iter().map(report)
}

fn report(node: &NodeOverview) -> Report {
    Report {
        node: node.id.to_string(),
        lag_ms: node.figures.lag_ms.max(node.figures.received_lag_ms),
        delivered: node.figures.delivered,
        skipped: node.figures.skipped,
        depth: node.level,
        children: node.children.len() as u32,
    }
}
