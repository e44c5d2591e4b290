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
use peerstream_protocol::id::{NodeId, Stripes, Term};
use peerstream_protocol::time::Micros;
use smallvec::SmallVec;

use crate::place::{NAMED, Place, Places};
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

/// What was issued to one node, and what it confirmed.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Node {
    online: bool,
    /// When it was taken out, and whom it may still be feeding.
    gone: Option<Box<(Micros, Vec<NodeId>)>>,
    /// Below whom it was told to be, and what it confirmed.
    places: Places,
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

impl Node {
    /// The present version has been told, and with it all that was issued.
    fn first_told(&mut self) {
        for place in self.places.iter_mut() {
            place.issued_in = place.issued_in.get().or(Some(self.version)).into();
        }
    }
}

/// The parent the overlay wants for these stripes of a node.
fn target(topology: &Topology, node: NodeId, stripes: Stripes) -> Option<NodeId> {
    topology.get(node)?.parent_of(stripes)
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
    /// Nodes with a target parent that is not issued, and since when.
    waiting: BTreeMap<NodeId, Micros>,
    /// Nodes with an issued parent that says that it feeds them, which they have not confirmed.
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

    /// An earlier coordinator told `feeder` to feed the node these stripes, and may have meant it as its parent for good
    /// (`kept`).
    pub(crate) fn adopt(&mut self, topology: &Topology, node: NodeId, from: (NodeId, Stripes), kept: bool) {
        let (feeder, stripes) = from;
        let Some(parent) = self.nodes.get_mut(feeder) else { return };
        let room = topology.get(feeder).map_or(0, |member| member.room());
        // Without a slot the feeder lets the node go with its first assignment; the others go on.
        parent.slots.admit(node, stripes, room, &[]);
        self.deal(topology, node);
        let Some(state) = self.nodes.get_mut(node) else { return };
        for place in state.places.of_mut(stripes) {
            place.placed = true;
            if kept {
                place.issued = Some(feeder).into();
            }
            place.possible.insert(feeder, if kept { NAMED } else { 0 });
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

    /// The overlay may want the node to be fed by others from now on.
    pub(crate) fn retarget(&mut self, topology: &Topology, node: NodeId, now: Micros) {
        self.dirty.push(node);
        if self.nodes.get(node).is_none_or(|state| state.gone.is_some()) {
            return;
        }
        self.deal(topology, node);
        let mut waits = false;
        for at in 0..self.nodes[node].places.len() {
            let place = self.place(node, at);
            match target(topology, node, place.stripes) {
                None => {
                    self.unissue(node, at);
                    self.release_all(node, at);
                }
                parent => waits |= place.issued.get() != parent,
            }
        }
        if !waits {
            self.waiting.remove(&node);
            return;
        }
        if self.waiting.is_empty() {
            self.progress_at = now;
        }
        self.waiting.entry(node).or_insert(now);
        self.retry = true;
    }

    /// Gives the node places as its target parents have its stripes.
    fn deal(&mut self, topology: &Topology, node: NodeId) {
        let parents = topology.get(node).map_or(&[][..], |member| member.parents());
        if let Some(state) = self.nodes.get_mut(node) {
            state.places.deal(parents);
        }
    }

    fn place(&self, node: NodeId, at: usize) -> &Place {
        self.nodes[node].places.iter().nth(at).expect("the caller counts them")
    }

    fn place_mut(&mut self, node: NodeId, at: usize) -> Option<&mut Place> {
        self.nodes.get_mut(node)?.places.iter_mut().nth(at)
    }

    /// A node is gone. It is remembered as a ghost while data may still flow through it.
    pub(crate) fn remove(&mut self, node: NodeId, now: Micros) {
        let Some(mut state) = self.nodes.remove(node) else { return };
        self.forget_marks(node);
        for (feeder, stripes) in state.places.ways(Stripes::ALL) {
            self.drop_child(feeder, node, stripes);
        }
        let children = std::mem::take(&mut state.slots).into_known();
        let fed: Vec<_> = children.into_iter().filter(|child| self.may_feed(node, *child)).collect();
        for child in &fed {
            for at in 0..self.nodes.get(*child).map_or(0, |child| child.places.len()) {
                if self.place(*child, at).issued.get() == Some(node) {
                    self.unissue(*child, at);
                }
            }
        }
        if !fed.is_empty() {
            (state.gone, state.online) = (Some(Box::new((now, fed))), false);
            state.places.iter_mut().for_each(|place| place.issued = Maybe::default());
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
            let mut done = true;
            for at in 0..self.nodes.get(node).map_or(0, |state| state.places.len()) {
                if let Some(parent) = target(topology, node, self.place(node, at).stripes) {
                    done &= self.issue(topology, node, at, parent);
                }
            }
            if done {
                self.deal(topology, node);
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
                state.first_told();
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
            state.first_told();
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

    /// Who a node was told to take as its parents, in the order of their stripes.
    pub(crate) fn issued(&self, node: NodeId) -> Vec<NodeId> {
        let Some(state) = self.nodes.get(node) else { return Vec::new() };
        let mut parents: Vec<_> = state.places.parents().collect();
        parents.sort_by_key(|(_, stripes)| stripes.0.trailing_zeros());
        parents.into_iter().map(|(parent, _)| parent).collect()
    }

    /// Whether a node has confirmed all that it was told to take.
    pub(crate) fn is_confirmed(&self, node: NodeId) -> bool {
        self.nodes.get(node).is_some_and(|state| state.places.iter().all(|place| place.confirmed))
    }

    /// Whether the node was told to take that parent for any stripe.
    pub(crate) fn has_issued(&self, node: NodeId, parent: NodeId) -> bool {
        self.nodes.get(node).is_some_and(|state| state.places.has_issued(parent))
    }

    /// The version sent last, the version reported last, and how many releases had to be enforced.
    pub(crate) fn versions(&self, node: NodeId) -> (u64, u64, u32) {
        self.nodes.get(node).map_or((0, 0, 0), |state| (state.version, state.reported, state.enforced))
    }

    // Issuing.

    /// Tells the node to take that parent in this place of its, if this is allowed now.
    fn issue(&mut self, topology: &Topology, node: NodeId, at: usize, parent: NodeId) -> bool {
        let online = |id: &NodeId| self.nodes.get(*id).is_some_and(|state| state.online);
        let Place { stripes, issued, .. } = *self.place(node, at);
        if issued.get() == Some(parent) {
            return true;
        }
        if !online(&node) || !online(&parent) || self.reaches(node, parent, stripes) {
            return false;
        }
        let room = topology.get(parent).map_or(0, |member| member.room());
        let slots = &self.nodes[parent].slots;
        let stays = |child: NodeId| self.nodes.get(child).is_some_and(|state| state.places.has_issued(parent));
        let leaving: Vec<_> = slots.children().filter(|child| !stays(*child)).collect();
        let slots = &mut self.nodes.get_mut(parent).expect("it is online").slots;
        if !slots.admit(node, stripes, room, &leaving) {
            return false;
        }
        self.unissue(node, at);
        let place = self.place_mut(node, at).expect("it is online");
        let again = std::mem::replace(&mut place.placed, true);
        place.issued = Some(parent).into();
        place.fresh = place.possible.insert(parent, NAMED).is_none();
        self.tally.moves += u64::from(again);
        self.moved.push((node, parent));
        self.dirty.extend([node, parent]);
        true
    }

    /// The node is not told any more to take the issued parent of this place; data may flow for a while.
    fn unissue(&mut self, node: NodeId, at: usize) {
        let Some(version) = self.nodes.get(node).map(|state| state.version) else { return };
        let old = self.place_mut(node, at).and_then(|place| place.unissue(version));
        self.dirty.extend(old.into_iter().chain([node]));
        self.forget_overdue(node);
    }

    /// A node that waits for no confirmation any more is not overdue.
    fn forget_overdue(&mut self, node: NodeId) {
        if self.overdue.contains(&node)
            && !self.nodes.get(node).is_some_and(|state| state.places.iter().any(Place::is_overdue))
        {
            self.overdue.remove(&node);
        }
    }

    /// Whether data of these stripes that leaves `from` may come by at `to`.
    fn reaches(&self, from: NodeId, to: NodeId, stripes: Stripes) -> bool {
        let mut at = (to, stripes);
        // Most nodes have one feeder, and the way to the source is short.
        for _ in 0..HOPS_UNMARKED {
            if at.0 == from {
                return true;
            }
            let Some(state) = self.nodes.get(at.0) else { return false };
            let mut ways = state.places.ways(at.1);
            match (ways.next(), ways.next()) {
                (None, _) => return false,
                (Some(way), None) => at = way,
                (Some(_), Some(_)) => break,
            }
        }
        let mut seen = BTreeSet::new();
        let mut todo = vec![at];
        while let Some((node, stripes)) = todo.pop() {
            if node == from {
                return true;
            }
            let Some(state) = self.nodes.get(node).filter(|_| seen.insert((node, stripes))) else { continue };
            todo.extend(state.places.ways(stripes));
        }
        false
    }

    /// Nothing could be issued for a while: one waiting node gets its backup as its parent and is attached last.
    fn carry_one(&mut self, topology: &Topology) {
        let mut waiting: Vec<_> = self.waiting.iter().map(|(node, since)| (*since, *node)).collect();
        waiting.sort();
        for (_, node) in waiting {
            let backup = topology.get(node).and_then(|member| member.backup());
            let Some(backup) = backup.filter(|_| self.nodes.contains(node)) else { continue };
            for at in 0..self.nodes[node].places.len() {
                let Place { stripes, issued, confirmed, .. } = *self.place(node, at);
                let parent = target(topology, node, stripes);
                let parent_online = parent.is_some_and(|parent| self.is_online(parent));
                if issued.get() == Some(backup) || issued.get() == parent || (confirmed && !parent_online) {
                    continue;
                }
                if self.issue(topology, node, at, backup) {
                    self.tally.carried += 1;
                    return;
                }
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
        let (mut dead, mut confirmed) = (Vec::new(), SmallVec::<[usize; 2]>::new());
        for (at, place) in state.places.iter_mut().enumerate() {
            let link = |peer: NodeId| report.links.iter().find(|link| link.peer == peer);
            let feeds = |peer: NodeId| link(peer).is_some_and(|link| link.feeds_me.meets(place.stripes));
            let current = place.issued_in.get().is_some_and(|version| report.version >= version);
            let feeds_all = |peer: NodeId| link(peer).is_some_and(|link| link.feeds_me.contains(place.stripes));
            let settled = current && place.issued.get().is_some_and(feeds_all);
            // A node may go on asking an old parent that has not fed it yet, until a new one feeds it.
            let asks = |peer: NodeId| !settled && link(peer).is_some_and(|link| link.open);
            let is_proven = |(peer, last): &(NodeId, u64)| report.version > *last && !feeds(*peer) && !asks(*peer);
            dead.extend(place.possible.iter().filter(is_proven).map(|(feeder, _)| (feeder, place.stripes)));
            if settled && !place.confirmed {
                (place.confirmed, place.claimed) = (true, Maybe::default());
                confirmed.push(at);
            }
        }
        for (feeder, stripes) in dead {
            self.edge_is_dead(feeder, node, stripes);
        }
        for at in confirmed {
            self.forget_overdue(node);
            self.progress_at = now;
            self.release_all(node, at);
        }
    }

    /// A node that comes back late from an earlier term is still fed as it was told then.
    fn on_earlier_feeders(&mut self, node: NodeId, report: &Report) {
        let feeders = report.links.iter().filter(|link| link.open && !link.feeds_me.is_empty());
        let feeders = feeders.filter(|link| link.peer != node && self.nodes.contains(link.peer));
        let feeders: Vec<_> = feeders.map(|link| (link.peer, link.feeds_me)).collect();
        let Some(state) = self.nodes.get_mut(node) else { return };
        for (feeder, stripes) in feeders {
            for place in state.places.of_mut(stripes).filter(|place| !place.possible.contains(feeder)) {
                place.possible.insert(feeder, 0);
            }
        }
    }

    /// What the node says of those it feeds.
    fn on_children(&mut self, node: NodeId, report: &Report, now: Micros) {
        let feeds = |child: NodeId| {
            let link = report.links.iter().find(|link| link.peer == child);
            link.map_or(Stripes::NONE, |link| link.fed_by_me)
        };
        let state = self.nodes.get_mut(node).expect("the caller has it");
        for (child, stripes) in state.slots.settle(report.version, feeds) {
            self.feeds_no_more(node, child, stripes);
        }
        for link in &report.links {
            self.on_claim(node, link.peer, link.fed_by_me, now);
        }
    }

    /// What a feeder has let go of is over in the places that are all of these stripes.
    fn feeds_no_more(&mut self, feeder: NodeId, child: NodeId, stripes: Stripes) {
        let places = self.nodes.get(child).into_iter().flat_map(|state| state.places.of(stripes));
        let over = places.filter(|place| stripes.contains(place.stripes) && place.issued.get() != Some(feeder));
        let over: SmallVec<[Stripes; 2]> = over.map(|place| place.stripes).collect();
        if !self.nodes.contains(child) {
            return self.edge_is_dead(feeder, child, stripes);
        }
        over.into_iter().for_each(|stripes| self.edge_is_dead(feeder, child, stripes));
    }

    /// A parent says whether it feeds a child that has not confirmed it. Only a claim that stands counts, and not that
    /// of a parent which may still feed it from earlier on, until the child knows that it shall stay.
    fn on_claim(&mut self, parent: NodeId, child: NodeId, feeds: Stripes, now: Micros) {
        let Some(state) = self.nodes.get_mut(child).filter(|state| state.places.has_issued(parent)) else {
            return;
        };
        let reported = state.reported;
        for place in state.places.iter_mut().filter(|place| place.issued.get() == Some(parent)) {
            let told = place.fresh || place.issued_in.get().is_some_and(|version| reported >= version);
            if !feeds.contains(place.stripes) || !told {
                place.claimed = Maybe::default();
            } else if !place.confirmed && place.issued_in.is_some() && place.claimed.is_none() {
                place.claimed = Some(now).into();
                self.overdue.insert(child);
            }
        }
        self.forget_overdue(child);
    }

    /// No data of these stripes flows from `feeder` to `node`, nor will it unless it is issued again.
    fn edge_is_dead(&mut self, feeder: NodeId, node: NodeId, stripes: Stripes) {
        if let Some(state) = self.nodes.get_mut(node) {
            state.places.of_mut(stripes).for_each(|place| place.forget(feeder));
        }
        self.drop_child(feeder, node, stripes);
        self.retry = true;
    }

    /// All but the issued parent may let the node go in this place.
    fn release_all(&mut self, node: NodeId, at: usize) -> usize {
        if self.nodes.get(node).is_none_or(|state| state.places.len() <= at) {
            return 0;
        }
        let place = self.place(node, at);
        let stripes = place.stripes;
        let others = place.possible.keys().filter(|feeder| Some(*feeder) != place.issued.get());
        let others: Vec<_> = others.collect();
        others.into_iter().filter(|feeder| self.drop_child(*feeder, node, stripes)).count()
    }

    fn drop_child(&mut self, parent: NodeId, child: NodeId, stripes: Stripes) -> bool {
        let Some(state) = self.nodes.get_mut(parent) else { return false };
        let dropped = state.slots.drop_child(child, stripes, state.version);
        if dropped {
            self.dirty.push(parent);
            self.retry = true;
        }
        dropped
    }

    fn enforce(&mut self, now: Micros) {
        for node in self.overdue.clone() {
            for at in 0..self.nodes.get(node).map_or(0, |state| state.places.len()) {
                let Some(since) = self.place(node, at).claimed.get() else { continue };
                if now.since(since) < RELEASE_OVERDUE {
                    continue;
                }
                self.place_mut(node, at).expect("just seen").claimed = Maybe::default();
                if self.release_all(node, at) > 0 {
                    self.tally.enforced += 1;
                    self.nodes.get_mut(node).expect("still there").enforced += 1;
                }
            }
            self.forget_overdue(node);
        }
    }

    // Those who are gone.

    fn may_feed(&self, feeder: NodeId, node: NodeId) -> bool {
        self.nodes.get(node).is_some_and(|state| state.places.iter().any(|place| place.possible.contains(feeder)))
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
                let places = self.nodes.get_mut(child).into_iter().flat_map(|child| child.places.iter_mut());
                places.for_each(|place| place.forget(ghost));
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
            parents: state.places.parents(),
            children: state.slots.pairs(),
            backup: member.backup(),
            backs: member.backs().iter().copied(),
            standby: member.standby().iter().chain(member.stands_by_for()).copied(),
        });
        self.tally.links_dropped += draft.dropped();
        true
    }
}
