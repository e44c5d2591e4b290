//! The rules of telemetry sinks.

use std::collections::BTreeMap;

use peerstream_traits::telemetry::{Batch, Event, Figure, FigureKind, Record, Report, SharedSink, What};

use super::Rule;
use super::life::{started, stops};

/// Makes instances.
pub type Make = Box<dyn Fn() -> SharedSink>;

/// Makes instances by this function.
pub fn of(make: impl Fn() -> SharedSink + 'static) -> Make {
    Box::new(make)
}

/// The rules.
pub const RULES: &[Rule<Make>] = &[
    Rule {
        name: "it_stops_without_a_start_and_twice",
        why: "a start may fail, and a host that ends may have begun to end already",
        check: |make| stops(make),
    },
    Rule { name: "it_takes_what_it_is_interested_in", why: "a record that is refused is lost", check: takes },
    Rule {
        name: "an_empty_batch_is_nothing",
        why: "the end of a batch may come before its first record",
        check: empty,
    },
    Rule {
        name: "it_can_be_flushed_at_any_time",
        why: "a host that ends flushes whatever was written",
        check: flushes,
    },
];

/// One record of each sort.
pub fn records() -> Vec<Record> {
    let at_us = 1_700_000_000_000_000;
    let figure = Figure {
        name: "nodes".into(),
        help: "viewers and helpers".into(),
        kind: FigureKind::Gauge,
        value: 42.5,
        labels: BTreeMap::from([("level".into(), "3 \"quoted\"\nand broken".into())]),
    };
    let event =
        Event { name: "joined".into(), node: Some("n5".into()), fields: BTreeMap::from([("n".into(), 1.into())]) };
    let report = Report { node: "n5".into(), lag_ms: 800, delivered: 1_000, skipped: 2, depth: Some(4), children: 2 };
    [What::Figure(figure), What::Event(event), What::Report(report)].map(|what| Record { at_us, what }).into()
}

fn takes(make: &Make) -> Result<(), String> {
    started(make, |sink| async move {
        let interest = sink.interest();
        let wanted: Batch = records().into_iter().filter(|record| interest.wants(record)).collect();
        let report = sink.write(wanted.clone()).await.map_err(|error| format!("it does not write: {error}"))?;
        let told = report.accepted as usize + report.rejected.len();
        if told != wanted.len() {
            return Err(format!("of {} records it tells of {told}", wanted.len()));
        }
        match report.rejected.first() {
            Some((index, class)) => Err(format!("it refuses {:?} as {}", wanted[*index as usize], class.word())),
            None => Ok(()),
        }
    })
}

fn empty(make: &Make) -> Result<(), String> {
    started(make, |sink| async move {
        let report = sink.write(Vec::new().into()).await.map_err(|error| format!("it fails: {error}"))?;
        if report.accepted == 0 && report.rejected.is_empty() { Ok(()) } else { Err(format!("it tells of {report:?}")) }
    })
}

fn flushes(make: &Make) -> Result<(), String> {
    started(make, |sink| async move { sink.flush().await.map_err(|error| format!("it fails: {error}")) })
}
