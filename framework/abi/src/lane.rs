//! Events, plans and topologies as records, and back.

use peerstream_overlay::{Context, Event, Group, Member, Op, Plan, Reject, Standbys, Topology};
use peerstream_protocol::id::{NodeId, Stripes};
use peerstream_protocol::time::Micros;

use crate::record::{self, NOBODY, event, flag, op, reject};

/// Writes events behind each other, those that this version has a record for.
pub fn write_events(context: &Context<'_>, told: &[Event], records: &mut Vec<record::Event>) {
    records.extend(told.iter().flat_map(|told| write_event(context, told)));
}

/// Writes an event. What it says of a member is taken from the topology.
#[inline]
pub fn write_event(context: &Context<'_>, told: &Event) -> Option<record::Event> {
    let blank = record::Event::default();
    Some(match *told {
        Event::Joined(node) => write_member(context.topology, node, event::JOINED),
        Event::Changed(node) => write_member(context.topology, node, event::CHANGED),
        Event::Left(node) => record::Event { kind: event::LEFT, node: node.0, ..blank },
        Event::LinkFailed { a, b } => record::Event { kind: event::LINK_FAILED, node: a.0, a: b.0, ..blank },
        Event::Underperforms(node) => record::Event { kind: event::UNDERPERFORMS, node: node.0, ..blank },
        Event::RoundTrip { a, b, rtt_ms } => {
            let v = [u32::from(rtt_ms), 0, 0, 0];
            record::Event { kind: event::ROUND_TRIP, node: a.0, a: b.0, v, ..blank }
        }
        Event::Rejected { group, reason } => write_rejection(group, reason),
        Event::Tick => record::Event { kind: event::TICK, ..blank },
        // An event that this version has no record for.
        _ => return None,
    })
}

fn write_member(topology: &Topology, node: NodeId, kind: u16) -> record::Event {
    let blank = record::Event { kind, node: node.0, ..record::Event::default() };
    let Some(member) = topology.get(node) else { return record::Event { flags: flag::GONE, ..blank } };
    let bit = |set, bit| if set { bit } else { 0 };
    let flags = bit(member.relay, flag::RELAY) | bit(member.untried, flag::UNTRIED);
    let v = [u32::from(member.capacity), 0, 0, 0];
    record::Event { flags, time_us: member.joined_at.0, b: member.network, v, ..blank }
}

fn write_rejection(group: usize, reason: Reject) -> record::Event {
    let (code, node) = match reason {
        Reject::Unknown(node) => (reject::UNKNOWN, node.0),
        Reject::Known(node) => (reject::KNOWN, node.0),
        Reject::Source => (reject::SOURCE, NodeId::SOURCE.0),
        Reject::Itself(node) => (reject::ITSELF, node.0),
        Reject::NoStripe(node) => (reject::NO_STRIPE, node.0),
        Reject::Cycle(node) => (reject::CYCLE, node.0),
        Reject::Capacity(node) => (reject::CAPACITY, node.0),
        Reject::Spare(node) => (reject::SPARE, node.0),
        Reject::Standby(node) => (reject::STANDBY, node.0),
        Reject::TooLarge => (reject::TOO_LARGE, NOBODY),
        _ => (reject::OTHER, NOBODY),
    };
    record::Event { kind: event::REJECTED, index: group as u32, node, v: [code, 0, 0, 0], ..record::Event::default() }
}

fn read_rejection(told: &record::Event) -> Event {
    let node = NodeId(told.node);
    let reason = match told.v[0] {
        reject::KNOWN => Reject::Known(node),
        reject::SOURCE => Reject::Source,
        reject::ITSELF => Reject::Itself(node),
        reject::NO_STRIPE => Reject::NoStripe(node),
        reject::CYCLE => Reject::Cycle(node),
        reject::CAPACITY => Reject::Capacity(node),
        reject::SPARE => Reject::Spare(node),
        reject::STANDBY => Reject::Standby(node),
        reject::TOO_LARGE => Reject::TooLarge,
        _ => Reject::Unknown(node),
    };
    Event::Rejected { group: told.index as usize, reason }
}

/// Writes a whole topology: first all members, then all edges.
pub fn write_topology(topology: &Topology) -> Vec<record::Event> {
    let members = topology.iter().map(|(node, _)| write_member(topology, node, event::MEMBER));
    let edges = topology.iter().flat_map(|(node, member)| write_edges(node, member));
    members.chain(edges).collect()
}

fn write_edges(node: NodeId, member: &Member) -> impl Iterator<Item = record::Event> {
    let blank = record::Event { node: node.0, a: NOBODY, b: NOBODY, ..record::Event::default() };
    let parent = move |(parent, stripes): &(NodeId, Stripes)| {
        let v = [u32::from(stripes.0), 0, 0, 0];
        record::Event { kind: event::PARENT, a: parent.0, v, ..blank }
    };
    let backup = member.backup().map(|from| record::Event { kind: event::BACKUP, a: from.0, ..blank });
    let standby = (!member.standby().is_empty()).then(|| {
        let at = |index: usize| member.standby().get(index).map_or(NOBODY, |node| node.0);
        record::Event { kind: event::STANDBY, a: at(0), b: at(1), ..blank }
    });
    member.parents().iter().map(parent).chain(backup).chain(standby).collect::<Vec<_>>().into_iter()
}

/// A plug-in's copy of the overlay. It follows from what the plug-in is told and from its own plans, which are checked here by
/// the same rules as at the host.
#[derive(Clone, Debug)]
pub struct Mirror {
    topology: Topology,
}

impl Default for Mirror {
    fn default() -> Self {
        Self { topology: Topology::new(0) }
    }
}

impl Mirror {
    /// The copy.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Begins anew from the records of a whole topology.
    pub fn restore(&mut self, records: &[record::Event]) {
        *self = Self::default();
        records.iter().filter(|told| told.kind == event::MEMBER).for_each(|told| self.take_in(told));
        let edges = records.iter().filter(|told| told.kind != event::MEMBER);
        let mut parents = Vec::new();
        let mut rest = edges.peekable();
        while let Some(first) = rest.peek() {
            let node = first.node;
            let (mut backup, mut standby) = (None, Standbys::default());
            parents.clear();
            while let Some(told) = rest.next_if(|told| told.node == node) {
                match told.kind {
                    event::PARENT => parents.push((NodeId(told.a), Stripes(told.v[0] as u8))),
                    event::BACKUP => backup = Some(NodeId(told.a)),
                    event::STANDBY => standby = somebody([told.a, told.b]).collect(),
                    _ => {}
                }
            }
            self.topology.restore(NodeId(node), &parents, backup, standby);
        }
    }

    /// Takes in what the records say of the overlay, and reads them as events.
    #[inline]
    pub fn follow(&mut self, records: &[record::Event], events: &mut Vec<Event>) {
        events.reserve(records.len());
        for told in records {
            let node = NodeId(told.node);
            events.push(match told.kind {
                event::TICK => Event::Tick,
                event::JOINED => {
                    self.take_in(told);
                    Event::Joined(node)
                }
                event::LEFT => {
                    self.topology.remove(node);
                    Event::Left(node)
                }
                event::CHANGED => {
                    self.change(told);
                    Event::Changed(node)
                }
                event::LINK_FAILED => Event::LinkFailed { a: node, b: NodeId(told.a) },
                event::UNDERPERFORMS => Event::Underperforms(node),
                event::ROUND_TRIP => Event::RoundTrip {
                    a: node,
                    b: NodeId(told.a),
                    rtt_ms: u16::try_from(told.v[0]).unwrap_or(u16::MAX),
                },
                event::REJECTED => read_rejection(told),
                // Something of a later minor version.
                _ => continue,
            });
        }
    }

    /// Takes in what the host will make of a plan.
    pub fn commit(&mut self, plan: &Plan) {
        for group in plan.groups() {
            let _ = self.topology.commit(group);
        }
    }

    fn take_in(&mut self, told: &record::Event) {
        let node = NodeId(told.node);
        if told.flags & flag::GONE != 0 {
            return;
        }
        if node != NodeId::SOURCE {
            let relay = told.flags & flag::RELAY != 0;
            let mut member = Member::new(told.v[0] as u8, relay, Micros(told.time_us));
            (member.untried, member.network) = (told.flags & flag::UNTRIED != 0, told.b);
            let _ = self.topology.insert(node, member);
        }
        self.change(told);
    }

    fn change(&mut self, told: &record::Event) {
        if told.flags & flag::GONE == 0 {
            let node = NodeId(told.node);
            self.topology.set_ability(node, told.v[0] as u8, told.flags & flag::RELAY != 0);
            self.topology.set_untried(node, told.flags & flag::UNTRIED != 0);
        }
    }
}

/// A hash of members and edges that is the same on both sides of the interface, whatever they were built with.
pub fn digest(topology: &Topology) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |number: u64| hash = (hash ^ number).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    for told in write_topology(topology) {
        [u64::from(told.kind), u64::from(told.flags), told.node, told.a, told.b, told.time_us, u64::from(told.v[0])]
            .into_iter()
            .for_each(&mut mix);
    }
    hash
}

/// Writes a plan.
pub fn write_plan(plan: &Plan, ops: &mut Vec<record::Op>) {
    for (index, group) in plan.groups().iter().enumerate() {
        ops.extend(group.ops().iter().map(|wish| record::Op { group: index as u32, ..write_op(wish) }));
    }
}

fn write_op(wish: &Op) -> record::Op {
    let blank = record::Op { node: wish.node().0, target: NOBODY, second: NOBODY, ..record::Op::default() };
    match wish {
        Op::SetParent { stripes, parent, .. } => {
            record::Op { code: op::SET_PARENT, target: parent.0, value: u32::from(stripes.0), ..blank }
        }
        Op::SetBackup { from, .. } => {
            record::Op { code: op::SET_BACKUP, target: from.map_or(NOBODY, |from| from.0), ..blank }
        }
        Op::SetStandby { to, .. } => {
            let at = |index: usize| to.get(index).map_or(NOBODY, |node| node.0);
            record::Op { code: op::SET_STANDBY, target: at(0), second: at(1), ..blank }
        }
        Op::Detach { .. } => record::Op { code: op::DETACH, ..blank },
    }
}

/// Groups without operations before one with some, at most, beyond the number of operations so far.
const EMPTY_GROUPS_MAX: usize = 1_024;

/// Reads a plan, or says what makes no sense in it.
pub fn read_plan(ops: impl Iterator<Item = record::Op>, plan: &mut Plan) -> Result<(), String> {
    let mut groups = 0;
    let mut group = Group::default();
    for (count, wish) in ops.enumerate() {
        let number = wish.group as usize;
        if number < groups || number > count + EMPTY_GROUPS_MAX {
            return Err(format!("group {number} after group {groups}"));
        }
        while groups < number {
            plan.push(std::mem::take(&mut group));
            groups += 1;
        }
        read_op(&wish, &mut group)?;
    }
    if !group.ops().is_empty() {
        plan.push(group);
    }
    Ok(())
}

fn read_op(wish: &record::Op, group: &mut Group) -> Result<(), String> {
    let (node, target) = (NodeId(wish.node), NodeId(wish.target));
    match wish.code {
        op::SET_PARENT if wish.value <= 255 => group.set_parent(node, Stripes(wish.value as u8), target),
        op::SET_PARENT => return Err(format!("stripes {:#x}, expected 8 bits", wish.value)),
        op::SET_BACKUP => group.set_backup(node, (wish.target != NOBODY).then_some(target)),
        op::SET_STANDBY => group.set_standby(node, somebody([wish.target, wish.second])),
        op::DETACH => group.detach(node),
        other => return Err(format!("operation {other}, expected 1 to 4")),
    };
    Ok(())
}

fn somebody(nodes: [u64; 2]) -> impl Iterator<Item = NodeId> {
    nodes.into_iter().filter(|node| *node != NOBODY).map(NodeId)
}
