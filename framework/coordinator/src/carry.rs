//! Carries target edges out: what was committed, what was issued, what is confirmed.
//!
//! The graph of edges over which data may flow, issued ones and old ones not yet proven dead, is kept free of cycles:
//! an edge p->n is issued only while n cannot reach p in it. The old parent goes on listing a child until the child
//! says that the new one feeds it, or is two seconds late with that. No node is ever asked for more copies than its
//! capacity and one. `docs/assignments.md` tells the whole story.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use peerstream_overlay::Topology;
use peerstream_overlay::maybe::Maybe;
use peerstream_overlay::roster::Roster;
use peerstream_protocol::control::{PackedEdges, Report};
use peerstream_protocol::id::{NodeId, Term};
use peerstream_protocol::time::Micros;

use crate::few::Few;
use crate::slots::Slots;
use crate::told::{Draft, Writer};

/// A release this late after the new parent says that it feeds the child is enforced.
pub(crate) const RELEASE_OVERDUE: Micros = Micros::from_secs(2);
/// When nothing could be issued for this long, one waiting node is carried by its backup.
pub(crate) const STUCK: Micros = Micros::from_secs(1);
/// An assignment is sent again at most this often.
const RESEND: Micros = Micros::from_millis(500);
/// How long the peers of a superseded assignment still count as neighbours, at least; at most a tick longer.
const SUPERSEDED: Micros = Micros::from_secs(5);
/// A node that is gone is remembered as long as data may flow through it, at most this long.
const GHOST_MAX: Micros = Micros::from_secs(30);
/// When more nodes than this wait, they are looked at together after a pause and not with every message.
const WAITING_MANY: usize = 128;
const ADVANCE_PAUSE: Micros = Micros::from_millis(40);
/// A search for a circle goes so far before it marks where it has been.
const HOPS_UNMARKED: usize = 64;
/// Stands for "named by the assignment in force" in [`Node::possible`].
const NAMED: u64 = u64::MAX;

/// What was issued to one node, and what it confirmed.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Node {
    online: bool,
    /// When it was taken out, and whom it may still be feeding.
    gone: Option<Box<(Micros, Vec<NodeId>)>>,
    /// It has been told to take a parent before.
    placed: bool,
    /// The parent it was told to take.
    issued: Maybe<NodeId>,
    /// The version that first told it so; none before that is sent.
    issued_in: Maybe<u64>,
    /// That parent cannot have been feeding it from earlier on.
    fresh: bool,
    /// It has said that this parent feeds it.
    confirmed: bool,
    /// Since when this parent says that it feeds it.
    claimed: Maybe<Micros>,
    /// Who may be feeding it, with the last version of its assignment that named that parent.
    possible: Few<u64>,
    /// Whom it was told to feed.
    slots: Slots,
    told: PackedEdges,
    /// The number under which it was last told; 0 when it never was.
    version: u64,
    sent_at: Micros,
    reported: u64,
    /// The assignment before, while its peers count.
    before: PackedEdges,
    /// How often it is among the superseded ones.
    supersessions: u16,
    enforced: u32,
}

/// What happened while carrying out, to be counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) enforced: u64,
    pub(crate) carried: u64,
    pub(crate) moves: u64,
    pub(crate) links_dropped: u64,
    pub(crate) assignments: u64,
    pub(crate) repeated: u64,
}

/// The carrying-out of one overlay.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Carry {
    term: Term,
    nodes: Roster<NodeId, Node>,
    /// Nodes that remember the peers of a superseded assignment, and until when.
    superseded: VecDeque<(Micros, NodeId)>,
    /// Nodes whose target parent is not issued, and since when.
    waiting: BTreeMap<NodeId, Micros>,
    /// Nodes whose issued parent says that it feeds them, which they have not confirmed.
    overdue: BTreeSet<NodeId>,
    ghosts: BTreeSet<NodeId>,
    /// Nodes whose assignment may have changed; some twice.
    dirty: Vec<NodeId>,
    /// Nodes that need their assignment whether it changed or not.
    again: Vec<NodeId>,
    /// Something has changed that may let a waiting node be issued.
    retry: bool,
    advanced_at: Micros,
    progress_at: Micros,
    /// Who was told to take which parent since [`Self::take_moved`].
    moved: Vec<(NodeId, NodeId)>,
    draft: Writer,
    pub(crate) tally: Tally,
}

impl Carry {
    pub(crate) fn new(term: Term) -> Self {
        Self { term, ..Self::default() }
    }

    /// A node is there, not yet connected.
    pub(crate) fn insert(&mut self, node: NodeId) {
        if !self.nodes.contains(node) {
            self.nodes.insert(node, Node::default());
        }
    }

    /// A node's connection opened or broke. On opening it gets its assignment at once.
    pub(crate) fn set_online(&mut self, node: NodeId, online: bool) {
        let Some(state) = self.nodes.get_mut(node) else { return };
        state.online = online;
        if online {
            self.again.push(node);
            self.dirty.push(node);
            self.retry = true;
        }
    }

    /// An earlier coordinator told `feeder` to feed the node, and may have meant it as its parent for good (`kept`).
    pub(crate) fn adopt(&mut self, node: NodeId, feeder: NodeId, kept: bool, room: usize) {
        let Some(parent) = self.nodes.get_mut(feeder) else { return };
        // Without a slot the feeder lets the node go with its first assignment; the others go on.
        parent.slots.admit(node, room, &[]);
        let Some(state) = self.nodes.get_mut(node) else { return };
        state.placed = true;
        state.possible.insert(feeder, if kept { NAMED } else { 0 });
        if kept {
            state.issued = Some(feeder).into();
        }
    }

    /// The overlay wants something else of a node, or of one of its edges.
    pub(crate) fn touch(&mut self, node: NodeId) {
        self.dirty.push(node);
    }

    /// Sends a node its assignment under a new version; it answers with a report.
    pub(crate) fn send_again(&mut self, node: NodeId) {
        self.again.push(node);
        self.dirty.push(node);
    }

    /// The overlay wants the node to be fed by that one from now on.
    pub(crate) fn retarget(&mut self, node: NodeId, parent: Option<NodeId>, now: Micros) {
        self.dirty.push(node);
        let Some(state) = self.nodes.get(node).filter(|state| state.gone.is_none()) else { return };
        if parent.is_none() {
            self.waiting.remove(&node);
            self.unissue(node);
            self.release_all(node);
        } else if state.issued.get() == parent {
            self.waiting.remove(&node);
        } else {
            if self.waiting.is_empty() {
                self.progress_at = now;
            }
            self.waiting.entry(node).or_insert(now);
            self.retry = true;
        }
    }

    /// A node is gone. It is remembered as a ghost while data may still flow through it.
    pub(crate) fn remove(&mut self, node: NodeId, now: Micros) {
        let Some(mut state) = self.nodes.remove(node) else { return };
        self.forget_marks(node);
        for feeder in state.possible.keys() {
            self.drop_child(feeder, node);
        }
        let children = std::mem::take(&mut state.slots).into_known();
        let fed: Vec<_> = children.into_iter().filter(|child| self.may_feed(node, *child)).collect();
        for child in &fed {
            if self.nodes.get(*child).is_some_and(|child| child.issued.get() == Some(node)) {
                self.unissue(*child);
            }
        }
        if !fed.is_empty() {
            (state.gone, state.online, state.issued) = (Some(Box::new((now, fed))), false, Maybe::default());
            self.nodes.insert(node, state);
            self.ghosts.insert(node);
        }
        self.retry = true;
    }

    /// Takes in what a node says of its links.
    pub(crate) fn on_report(&mut self, node: NodeId, report: &Report, now: Micros) {
        let Some(state) = self.nodes.get_mut(node).filter(|state| state.gone.is_none()) else { return };
        let stale = report.term != self.term || report.version < state.version;
        if stale && now.since(state.sent_at) >= RESEND {
            state.sent_at = now;
            self.again.push(node);
            self.dirty.push(node);
            self.tally.repeated += 1;
        }
        if report.term < self.term && state.reported == 0 {
            self.on_earlier_feeders(node, report);
        }
        let Some(state) = self.nodes.get_mut(node) else { return };
        if report.term != self.term || report.version > state.version {
            return;
        }
        state.reported = state.reported.max(report.version);
        self.on_feeders(node, report, now);
        self.on_children(node, report, now);
    }

    /// What must happen as time passes.
    pub(crate) fn on_tick(&mut self, topology: &Topology, now: Micros) {
        self.enforce(now);
        self.forget_superseded(now);
        self.lay_ghosts(now);
        if !self.waiting.is_empty() && now.since(self.progress_at) >= STUCK {
            self.progress_at = now;
            self.carry_one(topology);
        }
    }

    /// Issues what can be issued now.
    pub(crate) fn advance(&mut self, topology: &Topology, now: Micros) {
        let soon = self.waiting.len() > WAITING_MANY && now.since(self.advanced_at) < ADVANCE_PAUSE;
        if !self.retry || soon {
            return;
        }
        (self.retry, self.advanced_at) = (false, now);
        let mut waiting: Vec<_> = self.waiting.keys().copied().collect();
        waiting.sort_by_key(|node| (topology.depth(*node).unwrap_or(u32::MAX), *node));
        for node in waiting {
            let target = topology.get(node).and_then(|member| member.parent());
            let done = match target {
                Some(parent) => self.issue(topology, node, parent),
                None => true,
            };
            if done {
                self.waiting.remove(&node);
                self.progress_at = now;
            }
        }
    }

    /// The assignments that are to be sent now, encoded. Only nodes that are connected get one.
    pub(crate) fn flush(&mut self, topology: &Topology, now: Micros, mut send: impl FnMut(NodeId, Vec<u8>)) {
        if self.dirty.is_empty() {
            return;
        }
        let (mut dirty, mut again) = (std::mem::take(&mut self.dirty), std::mem::take(&mut self.again));
        let mut draft = std::mem::take(&mut self.draft);
        dirty.sort_unstable();
        dirty.dedup();
        for node in dirty.drain(..) {
            if !self.write(topology, node, &mut draft) {
                continue;
            }
            let state = self.nodes.get_mut(node).expect("it has an assignment");
            let changed = !draft.says(&state.told) || state.version == 0;
            if !state.online {
                if state.version == 0 {
                    // Never sent, but who it names are its neighbours.
                    state.told = draft.told();
                }
                continue;
            }
            if !changed && !again.contains(&node) {
                // A change that was taken back before it was sent.
                state.issued_in = state.issued_in.get().or(Some(state.version)).into();
                continue;
            }
            state.version += 1;
            self.tally.assignments += 1;
            if changed {
                let old = std::mem::replace(&mut state.told, draft.told());
                if state.supersessions < u16::MAX && old.peers().next().is_some() {
                    state.before = old;
                    state.supersessions += 1;
                    self.superseded.push_back((now + SUPERSEDED, node));
                }
            }
            state.sent_at = now;
            state.issued_in = state.issued_in.get().or(Some(state.version)).into();
            send(node, state.told.message(self.term, state.version));
        }
        again.clear();
        (self.dirty, self.again, self.draft) = (dirty, again, draft);
    }

    /// Whether an assignment of `node`, the present one or the one just superseded, names `peer`.
    pub(crate) fn names(&self, node: NodeId, peer: NodeId) -> bool {
        let Some(state) = self.nodes.get(node) else { return false };
        state.told.names(peer) || state.before.names(peer)
    }

    /// Whether something here waits for time to pass.
    pub(crate) fn is_pressing(&self) -> bool {
        !self.waiting.is_empty() || !self.overdue.is_empty() || !self.ghosts.is_empty()
    }

    /// Who was told to take which parent since the last call.
    pub(crate) fn take_moved(&mut self) -> Vec<(NodeId, NodeId)> {
        std::mem::take(&mut self.moved)
    }

    /// The memory of [`Self::take_moved`], to be used again.
    pub(crate) fn give_back(&mut self, moved: Vec<(NodeId, NodeId)>) {
        self.moved = moved;
    }

    /// How many nodes wait for their parent to be issued.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The parent a node was told to take, and whether it has confirmed it.
    pub(crate) fn issued(&self, node: NodeId) -> (Option<NodeId>, bool) {
        self.nodes.get(node).map_or((None, false), |state| (state.issued.get(), state.confirmed))
    }

    /// The version sent last, the version reported last, and how many releases had to be enforced.
    pub(crate) fn versions(&self, node: NodeId) -> (u64, u64, u32) {
        self.nodes.get(node).map_or((0, 0, 0), |state| (state.version, state.reported, state.enforced))
    }

    // Issuing.

    /// Tells the node to take that parent, if this is allowed now.
    fn issue(&mut self, topology: &Topology, node: NodeId, parent: NodeId) -> bool {
        let online = |id: &NodeId| self.nodes.get(*id).is_some_and(|state| state.online);
        if self.issued(node).0 == Some(parent) {
            return true;
        }
        if !online(&node) || !online(&parent) || self.reaches(node, parent) {
            return false;
        }
        let room = topology.get(parent).map_or(0, |member| member.room());
        let issued = |child: NodeId| self.nodes.get(child).and_then(|state| state.issued.get());
        let leaving: Vec<_> =
            self.nodes[parent].slots.children().filter(|child| issued(*child) != Some(parent)).collect();
        let slots = &mut self.nodes.get_mut(parent).expect("it is online").slots;
        if !slots.admit(node, room, &leaving) {
            return false;
        }
        self.unissue(node);
        let state = self.nodes.get_mut(node).expect("it is online");
        self.tally.moves += u64::from(std::mem::replace(&mut state.placed, true));
        state.issued = Some(parent).into();
        state.fresh = state.possible.insert(parent, NAMED).is_none();
        self.moved.push((node, parent));
        self.dirty.extend([node, parent]);
        true
    }

    /// The node is not told any more to take its issued parent; data may flow for a while.
    fn unissue(&mut self, node: NodeId) {
        let Some(state) = self.nodes.get_mut(node) else { return };
        if let Some(old) = state.issued.take() {
            state.possible.insert(old, state.version);
            self.dirty.push(old);
        }
        (state.issued_in, state.confirmed, state.claimed) = (Maybe::default(), false, Maybe::default());
        self.overdue.remove(&node);
        self.dirty.push(node);
    }

    /// Whether data that leaves `from` may come by at `to`.
    fn reaches(&self, from: NodeId, to: NodeId) -> bool {
        let mut node = to;
        // Most nodes have one feeder, and the way to the source is short.
        for _ in 0..HOPS_UNMARKED {
            if node == from {
                return true;
            }
            let Some(state) = self.nodes.get(node) else { return false };
            let mut feeders = state.possible.keys();
            match (feeders.next(), feeders.next()) {
                (None, _) => return false,
                (Some(feeder), None) => node = feeder,
                (Some(_), Some(_)) => break,
            }
        }
        let mut seen = BTreeSet::new();
        let mut todo = vec![node];
        while let Some(node) = todo.pop() {
            if node == from {
                return true;
            }
            let Some(state) = self.nodes.get(node).filter(|_| seen.insert(node)) else { continue };
            todo.extend(state.possible.keys());
        }
        false
    }

    /// Nothing could be issued for a while: one waiting node gets its backup as its parent and is attached last.
    fn carry_one(&mut self, topology: &Topology) {
        let mut waiting: Vec<_> = self.waiting.iter().map(|(node, since)| (*since, *node)).collect();
        waiting.sort();
        for (_, node) in waiting {
            let member = topology.get(node);
            let parent_online = member.and_then(|member| member.parent()).is_some_and(|parent| self.is_online(parent));
            let (issued, fed) = self.issued(node);
            let Some(backup) = member.and_then(|member| member.backup()) else { continue };
            if issued == Some(backup) || (fed && !parent_online) {
                continue;
            }
            if self.issue(topology, node, backup) {
                self.tally.carried += 1;
                return;
            }
        }
    }

    fn is_online(&self, node: NodeId) -> bool {
        self.nodes.get(node).is_some_and(|state| state.online)
    }

    // Confirming and releasing.

    /// What the node says of those who feed it.
    fn on_feeders(&mut self, node: NodeId, report: &Report, now: Micros) {
        let state = self.nodes.get_mut(node).expect("the caller has it");
        let feeds = |peer: NodeId| report.links.iter().any(|link| link.peer == peer && link.feeds_me);
        let current = state.issued_in.get().is_some_and(|version| report.version >= version);
        let settled = current && state.issued.get().is_some_and(feeds);
        let confirmed = settled && !state.confirmed;
        if confirmed {
            (state.confirmed, state.claimed) = (true, Maybe::default());
            self.overdue.remove(&node);
        }
        // A node may go on asking an old parent that has not fed it yet, until a new one feeds it.
        let asks = |peer: NodeId| report.links.iter().any(|link| link.peer == peer && link.open && !settled);
        let proven =
            |(peer, last): (NodeId, u64)| (report.version > last && !feeds(peer) && !asks(peer)).then_some(peer);
        let dead: Vec<_> = state.possible.iter().filter_map(proven).collect();
        for feeder in dead {
            self.edge_is_dead(feeder, node);
        }
        if confirmed {
            self.progress_at = now;
            self.release_all(node);
        }
    }

    /// A node that comes back late from an earlier term is still fed as it was told then.
    fn on_earlier_feeders(&mut self, node: NodeId, report: &Report) {
        let feeders = report.links.iter().filter(|link| link.open && link.feeds_me).map(|link| link.peer);
        let feeders = feeders.filter(|feeder| *feeder != node && self.nodes.contains(*feeder));
        let feeders: Vec<_> = feeders.collect();
        let Some(state) = self.nodes.get_mut(node) else { return };
        for feeder in feeders {
            if !state.possible.contains(feeder) {
                state.possible.insert(feeder, 0);
            }
        }
    }

    /// What the node says of those it feeds.
    fn on_children(&mut self, node: NodeId, report: &Report, now: Micros) {
        let feeds = |child: NodeId| report.links.iter().any(|link| link.peer == child && link.fed_by_me);
        let state = self.nodes.get_mut(node).expect("the caller has it");
        for child in state.slots.settle(report.version, feeds) {
            if self.issued(child).0 != Some(node) {
                self.edge_is_dead(node, child);
            }
        }
        for child in report.links.iter().map(|link| link.peer) {
            self.on_claim(node, child, feeds(child), now);
        }
    }

    /// A parent says whether it feeds a child that has not confirmed it. Only a claim that stands counts, and not that
    /// of a parent which may still feed it from earlier on, until the child knows that it shall stay.
    fn on_claim(&mut self, parent: NodeId, child: NodeId, feeds: bool, now: Micros) {
        let Some(state) = self.nodes.get_mut(child).filter(|state| state.issued.get() == Some(parent)) else { return };
        let told = state.fresh || state.issued_in.get().is_some_and(|version| state.reported >= version);
        if !feeds || !told {
            state.claimed = Maybe::default();
            self.overdue.remove(&child);
        } else if !state.confirmed && state.issued_in.is_some() && state.claimed.is_none() {
            state.claimed = Some(now).into();
            self.overdue.insert(child);
        }
    }

    /// No data flows from `feeder` to `node`, nor will it unless it is issued again.
    fn edge_is_dead(&mut self, feeder: NodeId, node: NodeId) {
        if let Some(state) = self.nodes.get_mut(node) {
            state.possible.remove(feeder);
        }
        self.drop_child(feeder, node);
        self.retry = true;
    }

    /// All but the issued parent may let the node go.
    fn release_all(&mut self, node: NodeId) -> usize {
        let Some(state) = self.nodes.get(node) else { return 0 };
        let others = state.possible.keys().filter(|feeder| Some(*feeder) != state.issued.get());
        let others: Vec<_> = others.collect();
        others.into_iter().filter(|feeder| self.drop_child(*feeder, node)).count()
    }

    fn drop_child(&mut self, parent: NodeId, child: NodeId) -> bool {
        let Some(state) = self.nodes.get_mut(parent) else { return false };
        let dropped = state.slots.drop_child(child, state.version);
        if dropped {
            self.dirty.push(parent);
            self.retry = true;
        }
        dropped
    }

    fn enforce(&mut self, now: Micros) {
        for node in self.overdue.clone() {
            let Some(state) = self.nodes.get_mut(node) else { continue };
            if state.claimed.get().is_none_or(|since| now.since(since) < RELEASE_OVERDUE) {
                continue;
            }
            state.claimed = Maybe::default();
            self.overdue.remove(&node);
            if self.release_all(node) > 0 {
                self.tally.enforced += 1;
                self.nodes.get_mut(node).expect("still there").enforced += 1;
            }
        }
    }

    // Those who are gone.

    fn may_feed(&self, feeder: NodeId, node: NodeId) -> bool {
        self.nodes.get(node).is_some_and(|state| state.possible.contains(feeder))
    }

    /// The peers of an assignment that was superseded long ago are no neighbours any more.
    fn forget_superseded(&mut self, now: Micros) {
        while let Some((_, node)) = self.superseded.pop_front_if(|(until, _)| *until <= now) {
            let Some(state) = self.nodes.get_mut(node) else { continue };
            state.supersessions = state.supersessions.saturating_sub(1);
            if state.supersessions == 0 {
                state.before = PackedEdges::default();
            }
        }
    }

    fn forget_marks(&mut self, node: NodeId) {
        self.waiting.remove(&node);
        self.overdue.remove(&node);
    }

    fn lay_ghosts(&mut self, now: Micros) {
        for ghost in self.ghosts.clone() {
            let Some((since, fed)) = self.nodes.get(ghost).and_then(|state| state.gone.as_deref().cloned()) else {
                continue;
            };
            let fed: Vec<_> = fed.into_iter().filter(|child| self.may_feed(ghost, *child)).collect();
            if !fed.is_empty() && now.since(since) < GHOST_MAX {
                continue;
            }
            for child in fed {
                self.nodes.get_mut(child).map(|child| child.possible.remove(ghost));
            }
            self.nodes.remove(ghost);
            self.ghosts.remove(&ghost);
            self.retry = true;
        }
    }

    // Writing assignments.

    /// Writes all that is asked of a node now; false when there is no such node.
    fn write(&mut self, topology: &Topology, node: NodeId, draft: &mut Writer) -> bool {
        let state = self.nodes.get(node).filter(|state| state.gone.is_none());
        let (Some(member), Some(state)) = (topology.get(node), state) else { return false };
        draft.write(Draft {
            parent: state.issued.get(),
            children: state.slots.pairs(),
            backup: member.backup(),
            backs: member.backs().iter().copied(),
            standby: member.standby().iter().chain(member.stands_by_for()).copied(),
        });
        self.tally.links_dropped += draft.dropped();
        true
    }
}
