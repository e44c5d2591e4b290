//! Strategies and ladder policies: records in, records out.

use peerstream_abi::lane::{Mirror, digest, write_plan};
use peerstream_abi::record::{self, event};
use peerstream_abi::{Batch, Out, Status, op};
use peerstream_overlay::{Context, Event, Overload, Plan, Rung};
use peerstream_protocol::id::NodeId;
use peerstream_protocol::time::Micros;
use peerstream_traits::PluginError;
use peerstream_traits::ladder::BoxedLadder;
use peerstream_traits::strategy::BoxedStrategy;

use super::{Answer, read_json, write_json};

/// A strategy with its own copy of the overlay.
pub(super) struct Strategy {
    strategy: BoxedStrategy,
    mirror: Mirror,
    /// Memory for the events and operations of one call.
    events: Vec<Event>,
    ops: Vec<record::Op>,
}

impl Strategy {
    pub(super) fn new(strategy: BoxedStrategy) -> Self {
        Self { strategy, mirror: Mirror::default(), events: Vec::new(), ops: Vec::new() }
    }

    pub(super) fn batch(&mut self, batch: &Batch, out: Out) -> Answer {
        // SAFETY: the host lends the records for this call.
        let records = unsafe { record::events(batch) };
        let mut plan = Plan::default();
        let (now, source) = (Micros(batch.now_us), NodeId(batch.source));
        match batch.op {
            op::ATTACH => {
                self.mirror.restore(records);
                let context = Context { topology: self.mirror.topology(), now, source };
                self.strategy.attach(&context, &mut plan);
            }
            op::EVENTS => {
                self.events.clear();
                self.mirror.follow(records, &mut self.events);
                let context = Context { topology: self.mirror.topology(), now, source };
                self.strategy.on_events(&context, &self.events, &mut plan);
            }
            _ => return Err(PluginError::unsupported("this batch")),
        }
        if plan.groups().is_empty() {
            return Ok(Status::OK);
        }
        self.mirror.commit(&plan);
        self.ops.clear();
        write_plan(&plan, &mut self.ops);
        // SAFETY: during the call that `out` belongs to.
        unsafe { out.put(record::op_bytes(&self.ops)) };
        Ok(Status::OK)
    }

    pub(super) fn call(&mut self, op: u32, json: &[u8], out: Out) -> Answer {
        match op {
            op::WAITING => write_json(out, &self.strategy.waiting()),
            op::PLACE => write_json(out, &self.strategy.place(NodeId(read_json(json)?))),
            op::EXPLAIN => write_json(out, &self.strategy.explain(NodeId(read_json(json)?))),
            op::DIGEST => write_json(out, &format!("{:016x}", digest(self.mirror.topology()))),
            op::MOVED => {
                let moved = self.strategy.moved();
                write_json(out, &(moved.all, moved.to_optimise))
            }
            op::TRAITS => {
                let round_trips = self.strategy.wants_round_trips();
                write_json(out, &peerstream_abi::message::Traits { round_trips, ..Default::default() })
            }
            _ => Err(PluginError::unsupported("this call")),
        }
    }
}

pub(super) struct Ladder {
    policy: BoxedLadder,
}

impl Ladder {
    pub(super) fn new(policy: BoxedLadder) -> Self {
        Self { policy }
    }

    pub(super) fn batch(&mut self, batch: &Batch, out: Out) -> Answer {
        // SAFETY: the host lends the records for this call.
        let records = unsafe { record::events(batch) };
        let Some((first, leaves)) = records.split_first().filter(|(first, _)| first.kind == event::OVERLOAD) else {
            return Err(PluginError::invalid("a batch that does not begin with an overload"));
        };
        let leaves: Vec<_> =
            leaves.iter().filter(|told| told.kind == event::LEAF).map(|told| NodeId(told.node)).collect();
        let [members, struggling, unplaced, _] = first.v.map(|number| number as usize);
        let overload = Overload { now: Micros(batch.now_us), members, struggling, unplaced, leaves: &leaves };
        let rungs = self.policy.decide(&overload);
        let ops: Vec<_> = rungs.into_iter().map(|(node, rung)| write_rung(node, rung)).collect();
        // SAFETY: during the call that `out` belongs to.
        unsafe { out.put(record::op_bytes(&ops)) };
        Ok(Status::OK)
    }
}

fn write_rung(node: NodeId, rung: Rung) -> record::Op {
    let value = match rung {
        Rung::Stay => 0,
        Rung::Lower => 1,
        Rung::Shed => 2,
    };
    record::Op { code: record::op::RUNG, node: node.0, value, ..record::Op::default() }
}
