//! The messages of OTLP 1, as far as they are needed. Field numbers are those of the published `.proto` files.

use std::collections::BTreeMap;

use peerstream_sdk::serde_json::Value;
use peerstream_sdk::traits::telemetry::{Event, Figure, FigureKind, Report};

use crate::config::Config;
use crate::wire::{Field, Message, fields};

const SCOPE: &str = "peerstream";
const CUMULATIVE: u64 = 2;
const SEVERITY_INFO: u64 = 9;

/// An `ExportMetricsServiceRequest`.
pub(crate) fn metrics<'a>(
    config: &Config,
    start_us: u64,
    figures: impl Iterator<Item = (u64, &'a Figure)>,
    reports: impl Iterator<Item = (u64, &'a Report)>,
) -> Vec<u8> {
    let mut families: BTreeMap<&str, (&Figure, Vec<Message>)> = BTreeMap::new();
    for (at_us, figure) in figures {
        let start_us = (figure.kind == FigureKind::Counter).then_some(start_us);
        let attributes = figure.labels.iter().map(|(label, value)| attribute(label, &Value::from(value.as_str())));
        let point = point(at_us, start_us, figure.value, attributes);
        families.entry(&figure.name).or_insert_with(|| (figure, Vec::new())).1.push(point);
    }
    let metrics = families.into_values().map(|(figure, points)| metric(figure, points));
    let scope = Message::default().message(1, Message::default().text(1, SCOPE));
    let scope = scope.messages(2, metrics).messages(2, nodes(reports));
    let resource = Message::default().message(1, resource(config)).message(2, scope);
    Message::default().message(1, resource).into_bytes()
}

fn metric(figure: &Figure, points: Vec<Message>) -> Message {
    let data = Message::default().messages(1, points);
    let metric = Message::default().text(1, &format!("peerstream.{}", figure.name)).text(2, &figure.help);
    match figure.kind {
        FigureKind::Gauge => metric.message(5, data),
        FigureKind::Counter => metric.message(7, data.varint(2, CUMULATIVE).varint(3, 1)),
    }
}

fn point(at_us: u64, start_us: Option<u64>, value: f64, attributes: impl IntoIterator<Item = Message>) -> Message {
    let point = Message::default().messages(7, attributes);
    let point = start_us.into_iter().fold(point, |point, start_us| point.fixed64(2, nanos(start_us)));
    point.fixed64(3, nanos(at_us)).fixed64(4, value.to_bits())
}

type OfNode = (&'static str, &'static str, fn(&Report) -> Option<f64>);

/// What each node says, as one metric per figure with the node as an attribute.
fn nodes<'a>(reports: impl Iterator<Item = (u64, &'a Report)>) -> Vec<Message> {
    const ALL: [OfNode; 5] = [
        ("node_lag_ms", "how far a node is behind the source, in milliseconds", |report| Some(report.lag_ms.into())),
        ("node_delivered", "segments a node has played or passed on", |report| Some(report.delivered as f64)),
        ("node_skipped", "segments a node has lost for good", |report| Some(report.skipped as f64)),
        ("node_depth", "hops from the source", |report| report.depth.map(f64::from)),
        ("node_children", "nodes that a node feeds", |report| Some(report.children.into())),
    ];
    let reports: Vec<_> = reports.collect();
    let metric_of = |(name, help, value): &OfNode| {
        let point_of = |(at_us, report): &(u64, &Report)| {
            let node = attribute("node", &Value::from(report.node.as_str()));
            Some(point(*at_us, None, value(report)?, [node]))
        };
        let points: Vec<_> = reports.iter().filter_map(point_of).collect();
        let (kind, labels) = (FigureKind::Gauge, BTreeMap::new());
        let figure = Figure { name: (*name).into(), help: (*help).into(), kind, value: 0.0, labels };
        (!points.is_empty()).then(|| metric(&figure, points))
    };
    ALL.iter().filter_map(metric_of).collect()
}

/// An `ExportLogsServiceRequest`.
pub(crate) fn logs<'a>(config: &Config, events: impl Iterator<Item = (u64, &'a Event)>) -> Vec<u8> {
    let scope = Message::default().message(1, Message::default().text(1, SCOPE));
    let scope = scope.messages(2, events.map(|(at_us, event)| log(at_us, event)));
    let resource = Message::default().message(1, resource(config)).message(2, scope);
    Message::default().message(1, resource).into_bytes()
}

fn log(at_us: u64, event: &Event) -> Message {
    let node = event.node.iter().map(|node| attribute("node", &Value::from(node.as_str())));
    let fields = event.fields.iter().map(|(field, value)| attribute(field, value));
    Message::default()
        .fixed64(1, nanos(at_us))
        .varint(2, SEVERITY_INFO)
        .message(5, any(&Value::from(event.name.as_str())))
        .messages(6, node.chain(fields))
        .fixed64(11, nanos(at_us))
        .text(12, &format!("peerstream.{}", event.name))
}

fn resource(config: &Config) -> Message {
    let pairs = [("service.name", &config.service_name), ("service.instance.id", &config.service_instance)];
    let given = pairs.iter().filter(|(_, value)| !value.is_empty());
    Message::default().messages(1, given.map(|(name, value)| attribute(name, &Value::from(value.as_str()))))
}

fn attribute(name: &str, value: &Value) -> Message {
    Message::default().text(1, name).message(2, any(value))
}

/// An `AnyValue`; what has parts is written as its JSON.
fn any(value: &Value) -> Message {
    let any = Message::default();
    match value {
        Value::String(text) => any.text(1, text),
        Value::Bool(yes) => any.varint(2, u64::from(*yes)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => any.varint(3, whole as u64),
            (None, float) => any.fixed64(4, float.unwrap_or_default().to_bits()),
        },
        Value::Null => any,
        parts => any.text(1, &parts.to_string()),
    }
}

fn nanos(us: u64) -> u64 {
    us.saturating_mul(1_000)
}

/// How many items of a request a collector refused, by its answer. A malformed answer refuses none.
pub(crate) fn rejected(answer: &[u8]) -> u64 {
    let find = |bytes, wanted| fields(bytes)?.into_iter().find(|(field, _)| *field == wanted).map(|(_, value)| value);
    let Some(Field::Bytes(partial)) = find(answer, 1) else { return 0 };
    match find(partial, 1) {
        Some(Field::Number(count)) => count,
        _ => 0,
    }
}
