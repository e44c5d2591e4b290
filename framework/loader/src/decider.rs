//! Strategies and ladder policies from a library.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use peerstream_abi::api::Sink;
use peerstream_abi::lane::{digest, read_plan, write_events, write_topology};
use peerstream_abi::message::Traits;
use peerstream_abi::op;
use peerstream_abi::record::{self, event, read_ops};
use peerstream_overlay::{
    Context, Event, GROUP_OPS_MAX, LadderPolicy, Moved, Overload, Plan, Rung, Topology, TreeStrategy,
};
use peerstream_protocol::id::NodeId;
use peerstream_protocol::time::Micros;
use peerstream_traits::PluginError;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::{error, warn};

use crate::instance::{Call, Instance};
use crate::worker::{Job, Outcome, Worker};

/// A decider that takes longer for an answer is given up.
pub const ANSWER_MAX: Duration = Duration::from_secs(1);
/// A strategy that takes so much longer for each member, as it takes over an overlay, is given up.
pub const ATTACH_PER_MEMBER: Duration = Duration::from_micros(100);
/// An answer that takes longer is slow.
pub const SLOW: Duration = Duration::from_millis(100);
/// So many slow answers in a row, and it is given up.
pub const SLOW_MAX: u32 = 5;
/// The strategy's copy of the overlay is compared with the real one each time after so many batches.
pub const COMPARE_EVERY: u32 = 1_024;
/// Operations of one plan at most.
pub const OPS_MAX: u32 = GROUP_OPS_MAX as u32;

const OP_BYTES: usize = size_of::<record::Op>();

/// How a decider is called.
#[derive(Debug)]
pub(crate) enum Carrier {
    /// On the caller's thread: quick, and no help against one that hangs. For the lab and for benchmarks.
    Direct(Instance),
    /// On a thread of its own.
    Watched(Worker),
}

/// A decider and what is known of how it does.
#[derive(Debug)]
struct Decider {
    name: String,
    carrier: Carrier,
    /// Memory for one batch.
    records: Vec<record::Event>,
    sink: Sink,
    slow: u32,
    failure: Option<String>,
}

impl Decider {
    fn new(name: &str, carrier: Carrier) -> Self {
        let sink = Sink::new(OPS_MAX as usize * OP_BYTES);
        Self { name: name.to_owned(), carrier, records: Vec::new(), sink, slow: 0, failure: None }
    }

    /// Sends the records; the operations are in the sink when this is true.
    fn batch(&mut self, op: u32, now: Micros, source: NodeId, patience: Duration) -> bool {
        if self.failure.is_some() {
            return false;
        }
        let result = match &mut self.carrier {
            Carrier::Direct(instance) => {
                let call = Call { op, now, source, records: &self.records, ops_max: OPS_MAX };
                instance.batch(&call, &mut self.sink)
            }
            Carrier::Watched(worker) => {
                let begun = Instant::now();
                let records = std::mem::take(&mut self.records);
                let sink = std::mem::replace(&mut self.sink, Sink::new(OPS_MAX as usize * OP_BYTES));
                let result = match worker.ask(Job::Batch { op, now, source, records, ops_max: OPS_MAX, sink }, patience)
                {
                    Ok(Outcome::Batch { records, sink, result }) => {
                        (self.records, self.sink) = (records, sink);
                        result
                    }
                    Ok(Outcome::Call(_)) => unreachable!("a batch was asked for"),
                    Err(error) => Err(error),
                };
                self.count_slow(begun.elapsed());
                result
            }
        };
        if let Err(error) = &result {
            self.fail(error.message.clone());
        }
        result.is_ok() && self.failure.is_none()
    }

    fn count_slow(&mut self, took: Duration) {
        self.slow = if took > SLOW { self.slow + 1 } else { 0 };
        if self.slow >= SLOW_MAX {
            self.fail(format!("it took more than {} ms {SLOW_MAX} times in a row", SLOW.as_millis()));
        }
    }

    fn fail(&mut self, why: String) {
        if self.failure.is_none() {
            error!(plugin = self.name, why, "a loaded decider failed and is not asked again");
            self.failure = Some(why);
        }
    }

    /// A question on the side; its failure is no reason to give it up.
    fn ask<T: DeserializeOwned>(&mut self, op: u32, message: Value) -> Option<T> {
        if self.failure.is_some() {
            return None;
        }
        let answer: Result<Value, PluginError> = match &mut self.carrier {
            Carrier::Direct(instance) => instance.call(op, &message),
            Carrier::Watched(worker) => match worker.ask(Job::Call { op, message }, ANSWER_MAX) {
                Ok(Outcome::Call(answer)) => answer,
                Ok(Outcome::Batch { .. }) => unreachable!("a call was asked for"),
                Err(error) => {
                    self.fail(error.message);
                    return None;
                }
            },
        };
        answer.ok().and_then(|value| serde_json::from_value(value).ok())
    }
}

/// A strategy from a library.
#[derive(Debug)]
pub struct Strategy {
    // Some of the trait's methods only look; the decider is asked all the same.
    decider: Mutex<Decider>,
    batches: u32,
    round_trips: bool,
}

impl Strategy {
    pub(crate) fn new(name: &str, carrier: Carrier) -> Self {
        let mut decider = Decider::new(name, carrier);
        // One that does not say wants nothing more.
        let traits: Traits = decider.ask(op::TRAITS, Value::Null).unwrap_or_default();
        Self { decider: Mutex::new(decider), batches: 0, round_trips: traits.round_trips }
    }

    /// Reads what the strategy wrote.
    fn read(decider: &mut Decider, plan: &mut Plan) {
        let written = decider.sink.bytes().unwrap_or_default();
        if written.is_empty() {
            return;
        }
        let mut read = Plan::default();
        let result = match read_ops(written) {
            Some(ops) => read_plan(ops, &mut read),
            None => Err(format!("{} bytes, expected records of {OP_BYTES}", written.len())),
        };
        match result {
            Ok(()) if plan.groups().is_empty() => *plan = read,
            Ok(()) => read.groups().iter().for_each(|group| plan.push(group.clone())),
            Err(problem) => decider.fail(format!("its plan makes no sense: {problem}")),
        }
    }

    /// A copy that has gone astray is brought back before anything is decided on it.
    fn compare(&mut self, context: &Context<'_>, before: &Topology, plan: &mut Plan) {
        let decider = self.decider.get_mut().expect("no holder panics");
        let Some(theirs) = decider.ask::<String>(op::DIGEST, Value::Null) else { return };
        let ours = format!("{:016x}", digest(before));
        if theirs != ours {
            warn!(plugin = decider.name, "its copy of the overlay differs from the overlay; it takes over anew");
            self.attach(context, plan);
        }
    }
}

impl TreeStrategy for Strategy {
    fn attach(&mut self, context: &Context<'_>, plan: &mut Plan) {
        let decider = self.decider.get_mut().expect("no holder panics");
        decider.records = write_topology(context.topology);
        let members = u32::try_from(context.topology.len()).unwrap_or(u32::MAX);
        if decider.batch(op::ATTACH, context.now, context.source, ANSWER_MAX + ATTACH_PER_MEMBER * members) {
            Self::read(decider, plan);
        }
    }

    fn on_events(&mut self, context: &Context<'_>, events: &[Event], plan: &mut Plan) {
        let decider = self.decider.get_mut().expect("no holder panics");
        decider.records.clear();
        write_events(context, events, &mut decider.records);
        if decider.records.is_empty() {
            return;
        }
        if decider.batch(op::EVENTS, context.now, context.source, ANSWER_MAX) {
            Self::read(decider, plan);
        }
        self.batches += 1;
        if self.batches >= COMPARE_EVERY && plan.groups().is_empty() {
            self.batches = 0;
            self.compare(context, context.topology, plan);
        }
    }

    fn failure(&self) -> Option<String> {
        self.decider.lock().expect("no holder panics").failure.clone()
    }

    fn wants_round_trips(&self) -> bool {
        self.round_trips
    }

    fn moved(&self) -> Moved {
        let moved = self.decider.lock().expect("no holder panics").ask(op::MOVED, Value::Null);
        moved.map_or_else(Moved::default, |(all, to_optimise)| Moved { all, to_optimise })
    }

    fn waiting(&self) -> usize {
        self.decider.lock().expect("no holder panics").ask(op::WAITING, Value::Null).unwrap_or(0)
    }

    fn place(&self, node: NodeId) -> Option<String> {
        self.decider.lock().expect("no holder panics").ask(op::PLACE, json!(node.0))?
    }

    fn explain(&self, node: NodeId) -> Option<String> {
        self.decider.lock().expect("no holder panics").ask(op::EXPLAIN, json!(node.0))?
    }
}

/// A ladder policy from a library. One that fails lets everybody stay.
#[derive(Debug)]
pub struct Ladder {
    decider: Decider,
}

impl Ladder {
    pub(crate) fn new(name: &str, carrier: Carrier) -> Self {
        Self { decider: Decider::new(name, carrier) }
    }
}

impl LadderPolicy for Ladder {
    fn decide(&mut self, overload: &Overload<'_>) -> Vec<(NodeId, Rung)> {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let v = [count(overload.members), count(overload.struggling), count(overload.unplaced), 0];
        let first = record::Event { kind: event::OVERLOAD, v, ..record::Event::default() };
        let leaf = |node: &NodeId| record::Event { kind: event::LEAF, node: node.0, ..record::Event::default() };
        self.decider.records.clear();
        self.decider.records.extend(std::iter::once(first).chain(overload.leaves.iter().map(leaf)));
        if !self.decider.batch(op::DECIDE, overload.now, NodeId::SOURCE, ANSWER_MAX) {
            return Vec::new();
        }
        let written = self.decider.sink.bytes().unwrap_or_default();
        let Some(ops) = read_ops(written) else {
            self.decider.fail(format!("{} bytes, expected records of {OP_BYTES}", written.len()));
            return Vec::new();
        };
        ops.filter_map(|op| Some((NodeId(op.node), read_rung(&op)?))).collect()
    }
}

/// What makes no sense lets the node stay.
fn read_rung(op: &record::Op) -> Option<Rung> {
    match (op.code, op.value) {
        (record::op::RUNG, 1) => Some(Rung::Lower),
        (record::op::RUNG, 2) => Some(Rung::Shed),
        _ => None,
    }
}
