//! The strategy: answers what happens with moves of the two trees.

use peerstream_sdk::overlay::Moved;
use peerstream_sdk::prelude::*;

use crate::adopt;
use crate::ahead;
use crate::chance;
use crate::edges::Wiring;
use crate::explain;
use crate::node::{Ability, Cause, Marks, Node, Slot};
use crate::pairs::Pairs;
use crate::place::{Forest, Place};
use crate::preference::{ByAge, Improvement, Peer, Preference, Trees};
use crate::tree::Tree;

/// Places tried for a node that could not reach its parent.
const PLACES_TRIED: usize = 16;
/// Random nodes looked at for a leaf to change places with.
const SPOTS_TRIED: usize = 64;
/// Nodes per tick for whom a helper is looked for again.
const HELPERS_RETRIED: usize = 64;

/// Changes that nothing asks for are at most this many in one call.
const IMPROVEMENTS_MAX: usize = 64;

/// How many nodes the source feeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Roots {
    /// A1 alone, which feeds B1 with its spare copy. A source that has room for one child gets this anyway.
    One,
    /// Both nodes of a dumbbell, or of several if the source has room for more.
    #[default]
    Two,
}

impl TryFrom<u8> for Roots {
    type Error = String;

    fn try_from(count: u8) -> Result<Self, String> {
        match count {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            other => Err(format!("is {other}, expected 1 or 2")),
        }
    }
}

impl From<Roots> for u8 {
    fn from(roots: Roots) -> Self {
        match roots {
            Roots::One => 1,
            Roots::Two => 2,
        }
    }
}

/// What the strategy can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many nodes the source feeds: 1, which then feeds the second root too, or 2, and more as far as its room goes.
    #[schemars(with = "u8", range(min = 1, max = 2))]
    pub roots: Roots,
    /// Whether each node keeps open, unused links to its grandparent and to an older node elsewhere.
    pub standby: bool,
    /// Moves of compaction per tick, at least; large trees get one for every 64 nodes.
    pub compaction_moves_min: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { roots: Roots::Two, standby: true, compaction_moves_min: 4 }
    }
}

/// What the strategy has done, and what it could not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Moves of nodes that already had a place.
    pub moves: u64,
    /// Those of them that filled a hole nearer to the source.
    pub compactions: u64,
    /// Pairs of nodes that changed places because a preference asked for it; two moves each.
    pub exchanges: u64,
    /// Leaves that moved to an open place because a preference asked for it.
    pub settled: u64,
    /// Moves after which a node that relays was older than its new parent.
    pub inversions: u64,
    /// Nodes put at the bottom because they underperformed.
    pub demotions: u64,
    /// Pairs that cannot connect and were not remembered because there were too many.
    pub pairs_dropped: u64,
    /// Nodes that have a place and nobody to back them up, now.
    pub unbacked: usize,
    /// Nodes that have a place and no older node elsewhere as a standby, now.
    pub unhelped: usize,
}

impl PluginConfig for Config {}

/// The balanced dumbbell.
pub type Dumbbell = Paired<ByAge>;

/// Two trees of dumbbells, and what decides where their rules leave a choice.
#[derive(Clone, Debug)]
pub struct Paired<P> {
    config: Config,
    preference: P,
    tree: Tree,
    wiring: Wiring,
    pairs: Pairs,
    demotions: u64,
    /// Room for those who leave in a call, and for their places.
    leaving: Vec<Slot>,
    gaps: Vec<Place>,
}

impl<P: Preference + Default> Default for Paired<P> {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl<P: Preference + Default> Paired<P> {
    /// A strategy for an empty overlay; [`TreeStrategy::attach`] takes over one that runs.
    pub fn new(config: Config) -> Self {
        Self::with(config, P::default())
    }
}

impl<P: Preference> Paired<P> {
    /// The same with a preference of its own.
    pub fn with(config: Config, preference: P) -> Self {
        Self {
            config,
            preference,
            tree: Tree::new(Forest::new(2), Micros(0)),
            wiring: Wiring::new(config.standby),
            pairs: Pairs::default(),
            demotions: 0,
            leaving: Vec::new(),
            gaps: Vec::new(),
        }
    }

    /// Where a node is; none when it has no place.
    pub fn place_of(&self, node: NodeId) -> Option<Place> {
        let slot = self.tree.nodes.find(node)?;
        Some(self.tree.nodes[slot].place).filter(|place| *place != Place::NONE)
    }

    /// The number by which a preference knows a node.
    pub fn peer_of(&self, node: NodeId) -> Option<Peer> {
        if node == NodeId::SOURCE { Some(Peer::SOURCE) } else { self.tree.nodes.find(node).map(Peer::of) }
    }

    /// What decides where the rules leave a choice.
    pub fn preference(&self) -> &P {
        &self.preference
    }

    /// How the places hang together at present.
    pub fn forest(&self) -> Forest {
        self.tree.forest
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        let tally = self.tree.tally;
        Counters {
            moves: tally.moves,
            compactions: tally.compactions,
            exchanges: tally.exchanges,
            settled: tally.settled,
            inversions: tally.inversions,
            demotions: self.demotions,
            pairs_dropped: self.pairs.dropped,
            unbacked: self.wiring.unbacked(),
            unhelped: if self.config.standby { self.wiring.unhelped() } else { 0 },
        }
    }

    /// The shape that the source's room for children asks for.
    fn forest_for(&self, context: &Context<'_>) -> Forest {
        let room = context.topology.get(context.source).map_or(0, |source| source.room());
        Forest::new(if self.config.roots == Roots::One { 1 } else { room })
    }

    /// Starts from the topology as it is.
    fn start(&mut self, context: &Context<'_>, plan: &mut Plan) {
        let tally = self.tree.tally;
        self.tree = Tree::new(self.forest_for(context), context.now);
        self.wiring = Wiring::new(self.config.standby);
        adopt::adopt(&mut self.tree, &mut self.wiring, &mut self.preference, context.topology);
        self.tree.tally = tally;
        self.plan(plan);
    }

    /// Takes out all who left, then closes the gaps from the bottom up.
    fn on_left(&mut self, events: &[Event]) {
        let mut leaving = std::mem::take(&mut self.leaving);
        let nodes = || events.iter().filter_map(|event| if let Event::Left(node) = event { Some(*node) } else { None });
        leaving.extend(nodes().filter_map(|node| self.tree.nodes.find(node)));
        ahead::read(&self.tree, &leaving, events);
        nodes().for_each(|node| self.pairs.forget(node));
        let mut gaps = std::mem::take(&mut self.gaps);
        for slot in leaving.drain(..) {
            if self.tree.nodes[slot].marks.has(Marks::GONE) {
                // It was told twice.
                continue;
            }
            let place = self.tree.nodes[slot].place;
            if place == Place::NONE {
                self.tree.forget_waiting(slot);
            } else {
                self.tree.take(place);
                gaps.push(place);
            }
            self.preference.on_left(Peer::of(slot));
            self.wiring.release(&mut self.tree, slot);
        }
        gaps.sort_unstable();
        gaps.drain(..).rev().for_each(|gap| self.tree.fill(gap, &mut self.preference));
        (self.leaving, self.gaps) = (leaving, gaps);
    }

    fn on_joined(&mut self, topology: &Topology, node: NodeId) {
        let Some(member) = topology.get(node).filter(|_| self.tree.nodes.find(node).is_none()) else { return };
        let slot = self.tree.nodes.insert(Node::new(node, member));
        self.preference.on_came(Peer::of(slot), node, member.network);
        self.tree.settle_in(slot, Cause::Joined, &mut self.preference);
    }

    /// Nodes that relay no more go to leaf places, all at once, so that none takes another one's place; one that does
    /// again, or whose uplink was measured, may be given children where it is.
    fn on_changed(&mut self, topology: &Topology, events: &[Event]) {
        let mut retired = Vec::new();
        for event in events {
            let Event::Changed(node) = *event else { continue };
            let (Some(member), Some(slot)) = (topology.get(node), self.tree.nodes.find(node)) else { continue };
            let known = &mut self.tree.nodes[slot];
            known.capacity = member.capacity;
            let trusted = known.ability == Ability::Trusted || known.children > 0;
            let (ability, place) = (Ability::of(member, trusted), known.place);
            if place == Place::NONE {
                self.tree.forget_waiting(slot);
                self.tree.nodes[slot].ability = ability;
                self.tree.settle_in(slot, Cause::Joined, &mut self.preference);
            } else if ability.is_leaf() && self.tree.nodes[slot].children > 0 {
                retired.push((place, slot));
            } else {
                self.tree.set_ability(place, ability);
            }
        }
        self.retire(retired);
    }

    /// Takes these nodes out, closes the gaps from the bottom up, and puts them at the bottom as weak ones.
    fn retire(&mut self, mut nodes: Vec<(Place, Slot)>) {
        nodes.sort_unstable();
        nodes.dedup();
        for (place, slot) in &nodes {
            self.tree.take(*place);
            self.tree.nodes[*slot].ability = Ability::Weak;
        }
        nodes.iter().rev().for_each(|(place, _)| self.tree.fill(*place, &mut self.preference));
        for (_, slot) in nodes {
            self.tree.tally.moves += 1;
            self.tree.settle_in(slot, Cause::StoppedRelaying, &mut self.preference);
        }
    }

    /// A node with children is taken out as if it had left, and comes back as the youngest. A leaf stays, and so does
    /// a node whose place nobody else can take.
    fn on_underperforms(&mut self, node: NodeId, now: Micros) {
        let Some(slot) = self.tree.nodes.find(node) else { return };
        let place = self.tree.nodes[slot].place;
        if self.tree.nodes[slot].children == 0 || !self.tree.has_successor(place) {
            return;
        }
        self.tree.take(place);
        self.tree.nodes[slot].since = now;
        self.tree.fill(place, &mut self.preference);
        self.tree.tally.moves += 1;
        self.demotions += 1;
        self.tree.settle_at_the_bottom(slot, Cause::Demoted, &mut self.preference);
    }

    /// A pair that cannot connect: the child goes to another place; backups and helpers are chosen anew.
    fn on_link_failed(&mut self, a: NodeId, b: NodeId, now: Micros) {
        self.pairs.insert(a, b, now);
        let known = [a, b].map(|node| self.tree.nodes.find(node));
        known.into_iter().flatten().for_each(|slot| self.wiring.doubt(&mut self.tree, slot));
        let fed_by = |child: Option<Slot>, parent: NodeId| {
            let child = child.filter(|child| self.tree.nodes[*child].is_placed())?;
            (self.parent_at(self.tree.nodes[child].place) == Some(parent)).then_some(child)
        };
        if let Some(child) = fed_by(known[0], b).or_else(|| fed_by(known[1], a)) {
            self.move_elsewhere(child);
        }
    }

    /// Moves a node to a place where it can be fed: if possible one below an older node, so that age goes on deciding who is
    /// above whom.
    fn move_elsewhere(&mut self, child: Slot) {
        let place = self.tree.nodes[child].place;
        let elsewhere = |open: &Place| self.may_sit(child, *open) && !self.tree.forest.is_below(*open, place);
        let open = self.tree.open().take(PLACES_TRIED).filter(elsewhere);
        let (in_order, any) = open.fold((None, None), |(in_order, any): (Option<Place>, Option<Place>), open| {
            (in_order.or_else(|| self.is_in_order(child, open).then_some(open)), any.or(Some(open)))
        });
        let leaf = |in_order| self.tree.is_leaf(place).then(|| self.leaf_to_exchange(child, in_order)).flatten();
        if let Some(open) = in_order {
            self.move_to(open, place);
        } else if let Some(other) = leaf(true) {
            self.tree.exchange(place, other, Cause::Unreachable);
        } else if let Some(open) = any {
            self.move_to(open, place);
        } else if let Some(other) = leaf(false) {
            self.tree.exchange(place, other, Cause::Unreachable);
        }
    }

    fn move_to(&mut self, open: Place, place: Place) {
        self.tree.shift(place, open, Cause::Unreachable);
        self.tree.fill(place, &mut self.preference);
    }

    /// Another leaf with which this one can change places: both then have a parent that they may be able to reach, and one
    /// that is older if they are to be in order.
    fn leaf_to_exchange(&self, leaf: Slot, in_order: bool) -> Option<Place> {
        let (slots, name, place) = (self.tree.nodes.slots(), self.tree.nodes[leaf].id.0, self.tree.nodes[leaf].place);
        let spot = |tries: usize| Slot(chance::below(slots, name, tries as u64) as u32);
        let fits = |other: &Slot| {
            let node = &self.tree.nodes[*other];
            let ordered = || self.is_in_order(leaf, node.place) && self.is_in_order(*other, place);
            let another_leaf = node.is_leaf() && node.place != place;
            another_leaf && self.may_sit(leaf, node.place) && self.may_sit(*other, place) && (!in_order || ordered())
        };
        (0..SPOTS_TRIED).map(spot).find(fits).map(|other| self.tree.nodes[other].place)
    }

    /// Whether whoever feeds that place is older than this node.
    fn is_in_order(&self, node: Slot, place: Place) -> bool {
        let parent = self.tree.forest.parent(place).and_then(|parent| self.tree.seat(parent));
        parent.is_none_or(|parent| parent.age() < self.tree.nodes[node].age())
    }

    fn may_sit(&self, node: Slot, place: Place) -> bool {
        let node = self.tree.nodes[node].id;
        self.parent_at(place).is_some_and(|parent| parent != node && !self.pairs.contains(parent, node))
    }

    fn parent_at(&self, place: Place) -> Option<NodeId> {
        self.tree.name(self.tree.feeder(place)?)
    }

    fn on_tick(&mut self, now: Micros) {
        self.pairs.forget_old(now);
        self.tree.improve_single_root();
        let budget = (self.tree.nodes.len() / 64).max(self.config.compaction_moves_min as usize);
        (0..budget).all(|_| self.tree.compact(&mut self.preference));
        self.preference.on_tick(Trees(&self.tree));
        self.wiring.retry_helpers(&mut self.tree, HELPERS_RETRIED);
    }

    fn on_round_trip(&mut self, a: NodeId, b: NodeId, rtt_ms: u16) {
        if let (Some(a), Some(b)) = (self.peer_of(a), self.peer_of(b)) {
            self.preference.on_round_trip(Trees(&self.tree), a, b, rtt_ms);
        }
    }

    /// Carries out what is worth it although nothing asks for it.
    fn improve(&mut self) {
        for _ in 0..IMPROVEMENTS_MAX {
            let Some(improvement) = self.preference.improvement(Trees(&self.tree)) else { return };
            match improvement {
                Improvement::Exchange(one, other) if self.can_exchange(one, other) => {
                    self.tree.exchange(one, other, Cause::Exchanged);
                    self.tree.tally.exchanges += 1;
                }
                Improvement::Move { from, to } if self.can_move(from, to) => {
                    self.tree.shift(from, to, Cause::Settled);
                    self.tree.tally.settled += 1;
                }
                _ => {}
            }
        }
    }

    /// Whether the occupants of two places can be fed and feed at each other's.
    fn can_exchange(&self, one: Place, other: Place) -> bool {
        let (Some(first), Some(second)) = (self.tree.seat(one), self.tree.seat(other)) else { return false };
        let leaves = self.tree.is_leaf(one) && self.tree.is_leaf(other);
        let able = leaves || !(first.ability.is_leaf() || second.ability.is_leaf());
        one != other
            && able
            && self.would_reach(first.id, second.id, other)
            && self.would_reach(second.id, first.id, one)
    }

    /// Whether nothing is known against that node's feeding and being fed at the place that the other one has.
    fn would_reach(&self, node: NodeId, other: NodeId, place: Place) -> bool {
        let parent = self.parent_at(place);
        let children = self.tree.forest.children(place).filter_map(|child| Some(self.tree.seat(child)?.id));
        let apart =
            |neighbour: NodeId| neighbour == node || neighbour == other || !self.pairs.contains(neighbour, node);
        parent.is_some_and(apart) && children.into_iter().all(apart)
    }

    /// Whether a leaf can be fed at an open place.
    fn can_move(&self, from: Place, to: Place) -> bool {
        let Some(seat) = self.tree.seat(from) else { return false };
        self.tree.is_open(to) && self.tree.is_leaf(from) && self.may_sit(seat.slot, to)
    }

    /// Writes a plan of one group for all that has changed.
    fn plan(&mut self, plan: &mut Plan) {
        let mut group = Group::default();
        self.wiring.settle(&mut self.tree, &self.pairs, &mut group);
        if !group.ops().is_empty() {
            plan.push(group);
        }
    }
}

impl<P: Preference + Default + Send + 'static> Plugin for Paired<P> {
    const NAME: &'static str = P::NAME;
    const SUMMARY: &'static str = P::SUMMARY;
    const STABILITY: Stability = P::STABILITY;
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self::new(config))
    }
}

impl<P: Preference> TreeStrategy for Paired<P> {
    fn wants_round_trips(&self) -> bool {
        self.preference.wants_round_trips()
    }

    fn attach(&mut self, context: &Context<'_>, plan: &mut Plan) {
        (self.pairs, self.demotions, self.tree.tally) = Default::default();
        self.preference.on_restart(true);
        self.start(context, plan);
    }

    fn on_events(&mut self, context: &Context<'_>, events: &[Event], plan: &mut Plan) {
        let rejected = events.iter().any(|event| matches!(event, Event::Rejected { .. }));
        if rejected || self.forest_for(context) != self.tree.forest {
            self.preference.on_restart(false);
            return self.start(context, plan);
        }
        self.tree.now = context.now;
        self.on_left(events);
        self.on_changed(context.topology, events);
        for event in events {
            match *event {
                Event::Joined(node) => self.on_joined(context.topology, node),
                Event::Underperforms(node) => self.on_underperforms(node, context.now),
                Event::LinkFailed { a, b } => self.on_link_failed(a, b, context.now),
                Event::Tick => self.on_tick(context.now),
                Event::RoundTrip { a, b, rtt_ms } => self.on_round_trip(a, b, rtt_ms),
                _ => {}
            }
        }
        self.tree.seat_waiting(&mut self.preference);
        self.improve();
        self.plan(plan);
    }

    fn moved(&self) -> Moved {
        let tally = self.tree.tally;
        Moved { all: tally.moves, to_optimise: 2 * tally.exchanges + tally.settled }
    }

    fn waiting(&self) -> usize {
        self.tree.waiting()
    }

    fn place(&self, node: NodeId) -> Option<String> {
        self.place_of(node).map(|place| place.to_string())
    }

    fn explain(&self, node: NodeId) -> Option<String> {
        self.tree.nodes.find(node).map(|slot| explain::story(&self.tree, slot))
    }
}
