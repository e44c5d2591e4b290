//! A strategy with its topology and no network, and the checks of what it promises.

use std::collections::BTreeMap;

use peerstream_dumbbell::{ByAge, Config, Forest, Paired, Place, Preference};
use peerstream_sdk::overlay::{Context, Event, Member, Plan, Topology, TreeStrategy};
use peerstream_sdk::protocol::id::NodeId;
use peerstream_sdk::protocol::time::Micros;

pub const S: NodeId = NodeId::SOURCE;

/// Nodes a node may help besides its children and its twin, as the strategy has it.
const CLIENTS_MAX: usize = 3;

pub struct WorldOf<P> {
    pub topology: Topology,
    pub strategy: Paired<P>,
    pub now: Micros,
    next: u64,
}

/// The dumbbell's.
pub type World = WorldOf<ByAge>;

impl<P: Preference + Default> WorldOf<P> {
    /// An empty overlay with a source that has room for so many children.
    pub fn new(config: Config, source: u8) -> Self {
        let topology = Topology::new(source);
        let mut strategy = Paired::new(config);
        let context = Context { topology: &topology, now: Micros(0), source: S };
        strategy.attach(&context, &mut Plan::default());
        Self { topology, strategy, now: Micros(0), next: 1 }
    }

    /// The usual two trees.
    pub fn of(nodes: usize) -> Self {
        Self::new(Config::default(), 2).with(nodes)
    }

    pub fn with(mut self, nodes: usize) -> Self {
        for _ in 0..nodes {
            self.join(true);
        }
        self
    }

    pub fn tell(&mut self, events: &[Event]) {
        self.now += Micros::from_millis(10);
        let mut plan = Plan::default();
        let context = Context { topology: &self.topology, now: self.now, source: S };
        self.strategy.on_events(&context, events, &mut plan);
        for group in plan.groups() {
            self.topology.commit(group).unwrap_or_else(|reject| panic!("{reject}: {events:?} {group:?}"));
        }
    }

    pub fn join(&mut self, relay: bool) -> NodeId {
        self.join_with(2, relay)
    }

    pub fn join_with(&mut self, capacity: u8, relay: bool) -> NodeId {
        let node = NodeId(self.next);
        self.next += 1;
        self.topology.insert(node, Member::new(capacity, relay, self.now)).unwrap();
        self.tell(&[Event::Joined(node)]);
        node
    }

    /// One whose uplink is still to be measured.
    pub fn join_untried(&mut self) -> NodeId {
        let node = NodeId(self.next);
        self.next += 1;
        self.topology.insert(node, Member::new(2, true, self.now).with_untried(true)).unwrap();
        self.tell(&[Event::Joined(node)]);
        node
    }

    /// Its uplink was measured.
    pub fn measured(&mut self, node: NodeId, relay: bool) {
        self.topology.set_untried(node, false);
        self.relay(node, relay);
    }

    pub fn leave(&mut self, nodes: &[NodeId]) {
        let gone: Vec<_> = nodes.iter().filter(|node| self.topology.remove(**node).is_some()).collect();
        let events: Vec<_> = gone.into_iter().map(|node| Event::Left(*node)).collect();
        self.tell(&events);
    }

    pub fn relay(&mut self, node: NodeId, relay: bool) {
        let capacity = self.member(node).capacity;
        self.topology.set_ability(node, capacity, relay);
        self.tell(&[Event::Changed(node)]);
    }

    pub fn fan_out(&mut self, source: u8) {
        self.topology.set_ability(S, source, true);
        self.tell(&[Event::Changed(S)]);
    }

    /// Lets compaction finish.
    pub fn rest(&mut self) {
        (0..200).for_each(|_| self.tell(&[Event::Tick]));
    }

    pub fn nodes(&self) -> Vec<NodeId> {
        self.topology.iter().map(|(node, _)| node).filter(|node| *node != S).collect()
    }

    pub fn pick(&self, which: usize) -> Option<NodeId> {
        let nodes = self.nodes();
        (!nodes.is_empty()).then(|| nodes[which % nodes.len()])
    }

    pub fn at(&self, place: &str) -> NodeId {
        let found = self.nodes().into_iter().find(|node| self.strategy.place(*node).as_deref() == Some(place));
        found.unwrap_or_else(|| panic!("nobody at {place}"))
    }

    pub fn member(&self, node: NodeId) -> &Member {
        self.topology.get(node).unwrap()
    }

    pub fn parent(&self, node: NodeId) -> Option<NodeId> {
        self.member(node).parent()
    }

    pub fn backup(&self, node: NodeId) -> Option<NodeId> {
        self.member(node).backup()
    }

    pub fn places(&self) -> BTreeMap<Place, NodeId> {
        self.nodes().into_iter().filter_map(|node| Some((self.strategy.place_of(node)?, node))).collect()
    }

    /// Panics unless everything holds that must hold at any time.
    pub fn check(&self) {
        let faults = faults(&self.topology, self.strategy.forest(), &self.places());
        assert_eq!(faults, Vec::<String>::new());
        let counters = self.strategy.counters();
        let placed = self.places().len();
        let unbacked = self.places().values().filter(|node| self.backup(**node).is_none()).count();
        assert_eq!(counters.unbacked, unbacked, "of {placed} nodes");
    }

    pub fn levels_too_deep(&self) -> u32 {
        levels_too_deep(self.strategy.forest(), &self.places())
    }

    pub fn inversions(&self) -> usize {
        inversions(&self.topology).0
    }
}

/// What is not as the places want it.
pub fn faults(topology: &Topology, forest: Forest, places: &BTreeMap<Place, NodeId>) -> Vec<String> {
    let seats: BTreeMap<_, _> = places.iter().map(|(place, node)| (*node, *place)).collect();
    let shape = Shape { topology, forest, places, seats: &seats };
    let mut faults: Vec<_> = places.iter().flat_map(|(place, node)| shape.faults_of(*place, *node)).collect();
    let waiting: Vec<_> = topology.iter().filter(|(node, _)| *node != S && !seats.contains_key(node)).collect();
    for (node, member) in &waiting {
        if member.parent().is_some() || member.backup().is_some() || !member.children().is_empty() {
            faults.push(format!("{node} has edges and no place"));
        }
    }
    let can_feed = |node: &NodeId| topology.get(*node).is_some_and(|member| member.room() >= 2);
    let below = places.iter().filter(|(_, node)| can_feed(node)).flat_map(|(place, _)| forest.children(*place));
    let mut seats = forest.roots().chain(below);
    if let Some(free) = seats.find(|seat| !places.contains_key(seat)).filter(|_| !waiting.is_empty()) {
        faults.push(format!("{} nodes wait while {free} is free", waiting.len()));
    }
    faults
}

struct Shape<'a> {
    topology: &'a Topology,
    forest: Forest,
    places: &'a BTreeMap<Place, NodeId>,
    seats: &'a BTreeMap<NodeId, Place>,
}

impl Shape<'_> {
    fn faults_of(&self, place: Place, node: NodeId) -> Vec<String> {
        let Self { topology, forest, places, .. } = *self;
        let member = topology.get(node).unwrap();
        let feeder = |place: Place| forest.parent(place).map_or(Some(S), |above| places.get(&above).copied());
        let single_root = forest.has_single_root().then(|| forest.roots().next()).flatten();
        let mut faults = Vec::new();
        let mut expect = |holds: bool, what: &str| {
            if !holds {
                faults.push(format!("{node} at {place}: {what}, {member:?}"));
            }
        };
        expect(member.parent().is_some() && member.parent() == feeder(place), "not fed by whoever is above it");
        let hops = forest.level(place) + 1;
        let hops = hops + u32::from(single_root.is_some_and(|root| forest.is_below(place, root.twin())));
        expect(topology.depth(node) == Some(hops), "not as deep as its place");
        let spare_child = usize::from(single_root == Some(place));
        let can = if member.room() >= 2 { 2 } else { 0 };
        expect(member.children().len() <= can + spare_child, "feeds too many");
        expect(member.children().len() + member.backs().len() <= member.room() + 1, "promises too many copies");
        let twin = places.get(&place.twin()).copied().filter(|twin| topology.get(*twin).unwrap().room() >= 2);
        match (single_root, twin, member.backup()) {
            (Some(root), _, backup) if place == root => expect(backup.is_none(), "the single root has a backup"),
            (Some(root), _, backup) if place == root.twin() => expect(backup == Some(S), "not backed up by the source"),
            (_, Some(twin), backup) => expect(backup == Some(twin), "not backed up by its twin"),
            (_, None, Some(backup)) => {
                let there = places.iter().find(|(_, node)| **node == backup).map(|(place, _)| *place);
                let apart = there.is_some_and(|there| !forest.is_below(there, place) && !forest.is_below(place, there));
                let across = forest.across(place).any(|above| Some(above) == there);
                expect(across || apart, "backed up by somebody above or below it");
                expect(topology.get(backup).unwrap().room() >= 2, "backed up by a weak node");
            }
            (_, None, None) => {}
        }
        let grandparent = forest.parent(place).and_then(feeder);
        expect(grandparent.is_none_or(|above| member.standby().contains(&above)), "no standby at its grandparent");
        for helper in member.standby().iter().filter(|standby| Some(**standby) != grandparent) {
            let Some(there) = self.seats.get(helper).copied() else {
                expect(false, "its helper has no place");
                continue;
            };
            let helper = topology.get(*helper).unwrap();
            expect(helper.room() >= 2, "its helper is weak");
            expect(!forest.is_below(there, place) && !forest.is_below(place, there), "its helper is no other part");
            let grandchildren = forest.children(there).map(|child| forest.children(child).count()).sum::<usize>();
            expect(helper.stands_by_for().len() <= grandchildren + CLIENTS_MAX, "its helper helps too many");
        }
        faults
    }
}

/// How many levels more there are than a perfectly balanced pair of trees would have.
pub fn levels_too_deep(forest: Forest, places: &BTreeMap<Place, NodeId>) -> u32 {
    let deepest = places.keys().map(|place| forest.level(*place)).max().unwrap_or(0);
    let optimum = (0..).find(|level| forest.places_above(level + 1) >= places.len()).unwrap_or(0);
    deepest - optimum
}

/// Pairs in which a child that relays is older than its parent, and all pairs whose child relays.
pub fn inversions(topology: &Topology) -> (usize, usize) {
    let members = topology.iter().filter(|(node, member)| *node != S && member.room() >= 2);
    let pairs = members.filter_map(|(node, member)| {
        let parent = member.parent().filter(|parent| *parent != S)?;
        Some(((member.joined_at, node), (topology.get(parent)?.joined_at, parent)))
    });
    pairs.fold((0, 0), |(inverted, all), (child, parent)| (inverted + usize::from(child < parent), all + 1))
}
