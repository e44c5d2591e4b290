//! The nodes as the dashboard's page holds them: all once, then what has changed.

use std::collections::BTreeMap;

use peerstream::coordinator::{Fault, NodeOverview, Overview};
use peerstream::protocol::control::Role;
use peerstream::protocol::id::NodeId;
use serde_json::{Value, json};

/// Nodes are told one by one up to so many members; of more, levels alone.
pub const NODES_MAX: usize = 2_000;
/// A lag is told anew when it has changed by this much, in milliseconds, and by an eighth.
const LAG_STEP_MS: u32 = 20;
/// Bytes sent and received are told this often, in looks; nodes take turns.
const FIGURES_EVERY: u64 = 10;

/// A node's state, as bits.
mod flag {
    pub const CONNECTED: u8 = 1;
    pub const RELAY: u8 = 2;
    pub const CONFIRMED: u8 = 4;
    pub const SUSPECTED: u8 = 8;
    pub const STRUGGLING: u8 = 16;
    pub const FAULTY_RELAY: u8 = 32;
    pub const FAULTY_RECEIVER: u8 = 64;
}

/// A node as it was last told.
struct Told {
    /// What changes rarely.
    shape: Value,
    lag_ms: u32,
    /// What only grows: kilobytes received and sent, segments given up, stalls.
    figures: [u64; 4],
}

/// What was told.
#[derive(Default)]
pub struct Rows {
    told: BTreeMap<NodeId, Told>,
    looks: u64,
}

/// What has changed; empty parts are left out.
#[derive(Default)]
pub struct Changes {
    put: Vec<Value>,
    gone: Vec<Value>,
    lag: Vec<Value>,
    figures: Vec<Value>,
}

impl Changes {
    /// As fields of a message.
    pub fn add_to(self, message: &mut serde_json::Map<String, Value>) {
        let Self { put, gone, lag, figures } = self;
        for (name, rows) in [("put", put), ("gone", gone), ("lag", lag), ("figures", figures)] {
            if !rows.is_empty() {
                message.insert(name.to_owned(), rows.into());
            }
        }
    }
}

impl Rows {
    /// What has changed since the last look; beyond [`NODES_MAX`] members all nodes are gone.
    pub fn look(&mut self, overview: &Overview) -> Changes {
        self.looks += 1;
        let term = overview.term.0 as u32;
        let mut changes = Changes::default();
        let shown = if overview.members > NODES_MAX { &[][..] } else { &overview.nodes };
        let mut told = std::mem::take(&mut self.told);
        for node in shown {
            let now = match told.remove(&node.id) {
                Some(before) => self.changed(before, node, term, &mut changes),
                None => {
                    let now = Told { shape: shape(node, overview), lag_ms: lag(node), figures: figures(node) };
                    changes.put.push(now.shape.clone());
                    changes.lag.push(lag_row(node, term, now.lag_ms));
                    changes.figures.push(figures_row(node, term, now.figures));
                    now
                }
            };
            self.told.insert(node.id, now);
        }
        changes.gone.extend(told.keys().map(|id| name(*id, term)));
        changes
    }

    fn changed(&self, before: Told, node: &NodeOverview, term: u32, changes: &mut Changes) -> Told {
        let mut shape = shape_with(node, term, Value::Null);
        // When it joined does not change; computed anew it would, by the rounding.
        shape[9] = before.shape[9].clone();
        if shape != before.shape {
            changes.put.push(shape.clone());
        }
        let (lag_now, figures_now) = (lag(node), figures(node));
        let moved = lag_now.abs_diff(before.lag_ms) >= LAG_STEP_MS.max(before.lag_ms / 8);
        if moved {
            changes.lag.push(lag_row(node, term, lag_now));
        }
        let lost = figures_now[2..] != before.figures[2..];
        let turn = (self.looks + node.id.0).is_multiple_of(FIGURES_EVERY) && figures_now != before.figures;
        if lost || turn {
            changes.figures.push(figures_row(node, term, figures_now));
        }
        Told {
            shape,
            lag_ms: if moved { lag_now } else { before.lag_ms },
            figures: if lost || turn { figures_now } else { before.figures },
        }
    }

    /// All that was told, for somebody who comes now.
    pub fn all(&self, term: u32) -> Changes {
        let mut changes = Changes::default();
        for (id, told) in &self.told {
            changes.put.push(told.shape.clone());
            changes.lag.push(json!([name(*id, term), told.lag_ms]));
            let [received, sent, skipped, stalls] = told.figures;
            changes.figures.push(json!([name(*id, term), received, sent, skipped, stalls]));
        }
        changes
    }
}

/// A node's name: its number, and the term of an earlier coordinator that gave it, as `5` or `"5@12"`. The source is 0.
pub fn name(id: NodeId, term: u32) -> Value {
    let (counter, given) = id.halves();
    if id == NodeId::SOURCE || given == term { json!(counter) } else { json!(format!("{counter}@{given}")) }
}

fn shape(node: &NodeOverview, overview: &Overview) -> Value {
    let joined_s = overview.now.0.saturating_sub(node.age.0) / 1_000_000;
    // A node of an earlier coordinator has joined before this one's time began.
    let before_s = node.age.0.saturating_sub(overview.now.0) / 1_000_000;
    shape_with(node, overview.term.0 as u32, json!(joined_s as i64 - before_s as i64))
}

/// Name, role, place, level, parents, who feeds it if that differs, backup, capacity, state, when it joined in seconds.
fn shape_with(node: &NodeOverview, term: u32, joined: Value) -> Value {
    let names = |ids: &[NodeId]| ids.iter().map(|id| name(*id, term)).collect::<Vec<_>>();
    let feeders: Vec<_> = node.links.iter().filter(|link| link.feeds_me.0 != 0).map(|link| link.peer).collect();
    let as_told = feeders.is_empty() || feeders.iter().all(|feeder| node.parents.contains(feeder));
    let role = match node.role {
        Role::Source => "s",
        Role::Helper => "h",
        Role::Viewer => "v",
    };
    json!([
        name(node.id, term),
        role,
        node.place,
        node.level,
        names(&node.parents),
        if as_told { Value::Null } else { json!(names(&feeders)) },
        node.backup.map(|backup| name(backup, term)),
        node.capacity,
        flags(node),
        joined
    ])
}

fn flags(node: &NodeOverview) -> u8 {
    let bits = [
        (node.connected, flag::CONNECTED),
        (node.relay, flag::RELAY),
        (node.confirmed, flag::CONFIRMED),
        (node.suspected, flag::SUSPECTED),
        (node.struggling, flag::STRUGGLING),
        (node.fault == Some(Fault::Relay), flag::FAULTY_RELAY),
        (node.fault == Some(Fault::Receiver), flag::FAULTY_RECEIVER),
    ];
    bits.iter().filter(|(is, _)| *is).map(|(_, bit)| bit).sum()
}

/// How far behind the source a node is, in milliseconds, as it shows the stream or, if it does not, as it gets it.
pub fn lag(node: &NodeOverview) -> u32 {
    if node.figures.lag_ms > 0 { node.figures.lag_ms } else { node.figures.received_lag_ms }
}

fn lag_row(node: &NodeOverview, term: u32, lag_ms: u32) -> Value {
    json!([name(node.id, term), lag_ms])
}

fn figures(node: &NodeOverview) -> [u64; 4] {
    let figures = &node.figures;
    [figures.payload_received / 1000, figures.payload_sent / 1000, figures.skipped, figures.stalls.into()]
}

fn figures_row(node: &NodeOverview, term: u32, [received, sent, skipped, stalls]: [u64; 4]) -> Value {
    json!([name(node.id, term), received, sent, skipped, stalls])
}

/// Lag by depth: for each level its number, its nodes, their median lag and the one that one in twenty exceeds, in
/// milliseconds, and how many of them struggle.
pub fn levels(overview: &Overview) -> Vec<[u64; 5]> {
    let mut levels: BTreeMap<u32, (Vec<u32>, u64)> = BTreeMap::new();
    for node in overview.nodes.iter().filter(|node| node.role != Role::Source) {
        let Some(level) = node.level else { continue };
        let (lags, struggling) = levels.entry(level).or_default();
        lags.push(lag(node));
        *struggling += u64::from(node.struggling);
    }
    let row = |(level, (mut lags, struggling)): (u32, (Vec<u32>, u64))| {
        let count = lags.len() as u64;
        // Those that have not received anything yet are behind by nothing.
        lags.retain(|lag| *lag > 0);
        [level.into(), count, quantile(&mut lags, 50).into(), quantile(&mut lags, 95).into(), struggling]
    };
    levels.into_iter().map(row).collect()
}

/// The value that so many percent do not exceed; 0 of nothing.
pub fn quantile(values: &mut [u32], percent: usize) -> u32 {
    values.sort_unstable();
    let index = (values.len() * percent / 100).min(values.len().saturating_sub(1));
    values.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{node, overview};
    use super::*;

    fn message(changes: Changes) -> Value {
        let mut message = serde_json::Map::new();
        changes.add_to(&mut message);
        message.into()
    }

    #[test]
    fn a_node_is_told_once_and_then_only_what_has_changed() {
        let mut rows = Rows::default();
        let mut one = node(1, Some(0));
        one.figures.lag_ms = 500;
        let told = message(rows.look(&overview(vec![node(0, None), one.clone()])));
        assert_eq!(told["put"].as_array().unwrap().len(), 2);
        assert_eq!(told["lag"][1], json!([1, 500]));
        assert_eq!(message(rows.look(&overview(vec![node(0, None), one.clone()]))), json!({}));
        one.figures.lag_ms = 510;
        assert_eq!(message(rows.look(&overview(vec![node(0, None), one.clone()]))), json!({}));
        one.figures.lag_ms = 600;
        one.figures.skipped = 1;
        let told = message(rows.look(&overview(vec![node(0, None), one])));
        assert_eq!(told, json!({ "lag": [[1, 600]], "figures": [[1, 0, 0, 1, 0]] }));
        assert_eq!(message(rows.look(&overview(vec![node(0, None)]))), json!({ "gone": [1] }));
    }

    #[test]
    fn who_comes_later_is_told_the_same() {
        let mut rows = Rows::default();
        let nodes: Vec<_> = (0..50).map(|id| node(id, (id > 0).then_some(id / 2))).collect();
        let first = message(rows.look(&overview(nodes)));
        assert_eq!(message(rows.all(1)), first);
    }

    #[test]
    fn of_a_large_audience_levels_alone_are_told() {
        let mut rows = Rows::default();
        let nodes: Vec<_> = (0..=NODES_MAX as u64 + 1).map(|id| node(id, (id > 0).then_some(id / 2))).collect();
        assert_eq!(message(rows.look(&overview(nodes.clone()))), json!({}));
        let levels = levels(&overview(nodes));
        assert_eq!(levels.iter().map(|level| level[1]).sum::<u64>(), NODES_MAX as u64 + 1);
    }

    #[test]
    fn a_second_of_two_thousand_nodes_is_small() {
        let nodes = |second: u32, jitter: u32| {
            let each = |id: u64| {
                let mut one = node(id, (id > 0).then_some(id / 2));
                one.figures.lag_ms = 600 + (id as u32 * 7 + second * 131) % jitter;
                one.figures.payload_received = u64::from(second) * 300_000;
                one.figures.payload_sent = u64::from(second) * 600_000;
                one
            };
            overview((0..=NODES_MAX as u64).map(each).collect())
        };
        for (jitter, most) in [(60, 8_000), (400, 40_000)] {
            let mut rows = Rows::default();
            rows.look(&nodes(0, jitter));
            let told = |second| message(rows.look(&nodes(second, jitter))).to_string().len();
            let bytes = (1..=20).map(told).sum::<usize>() / 20;
            println!("{bytes} bytes a second while lags vary by {jitter} ms");
            assert!(bytes < most, "{bytes} bytes a second while lags vary by {jitter} ms");
        }
    }

    #[test]
    fn names_of_another_coordinator_are_told_apart() {
        assert_eq!(name(NodeId::from_halves(5, 7), 7), json!(5));
        assert_eq!(name(NodeId::from_halves(5, 6), 7), json!("5@6"));
        assert_eq!(name(NodeId::SOURCE, 7), json!(0));
    }

    #[test]
    fn quantiles_of_nothing_are_nothing() {
        assert_eq!((quantile(&mut [], 50), quantile(&mut [3, 1, 2], 50), quantile(&mut [1, 2], 95)), (0, 2, 2));
    }
}
