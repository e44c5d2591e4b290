//! A small world for strategies: people come and go, plans are committed, and what was rejected is told.

use peerstream_overlay::{Context, Event, Member, Plan, Topology};
use peerstream_protocol::id::{NodeId, Stripes};
use peerstream_protocol::time::Micros;
use peerstream_traits::strategy::BoxedStrategy;

use super::chance::Chance;

/// The source feeds two.
const SOURCE_CAPACITY: u8 = 2;
/// One step of time.
const STEP: Micros = Micros::from_secs(1);

/// An overlay with a strategy that decides about it.
pub struct Overlay {
    /// Members and edges.
    pub topology: Topology,
    strategy: BoxedStrategy,
    chance: Chance,
    now: Micros,
    last: u64,
    rejected: Vec<Event>,
    /// The plans of the last call.
    pub plan: Plan,
    /// Operations of all plans.
    pub ops: usize,
    /// Events told.
    pub events: usize,
    /// The first rejection, for people.
    pub rejection: Option<String>,
}

impl Overlay {
    /// An overlay of the source alone, which the strategy takes over.
    pub fn new(strategy: BoxedStrategy, seed: u64) -> Self {
        Self::running(strategy, seed, Topology::new(SOURCE_CAPACITY))
    }

    /// An overlay that runs, which the strategy takes over.
    pub fn running(strategy: BoxedStrategy, seed: u64, topology: Topology) -> Self {
        let last = topology.iter().map(|(node, _)| node.0).max().unwrap_or(0);
        let mut overlay = Self {
            topology,
            strategy,
            chance: Chance::new(seed),
            now: Micros::from_secs(1_000_000),
            last,
            rejected: Vec::new(),
            plan: Plan::default(),
            ops: 0,
            events: 0,
            rejection: None,
        };
        overlay.attach();
        overlay
    }

    fn attach(&mut self) {
        let mut plan = Plan::default();
        let context = Context { topology: &self.topology, now: self.now, source: NodeId::SOURCE };
        self.strategy.attach(&context, &mut plan);
        self.commit(plan);
    }

    /// Tells these events, and what was rejected before, and commits the answer.
    pub fn tell(&mut self, mut events: Vec<Event>) {
        events.append(&mut self.rejected);
        self.events += events.len();
        let mut plan = Plan::default();
        let context = Context { topology: &self.topology, now: self.now, source: NodeId::SOURCE };
        self.strategy.on_events(&context, &events, &mut plan);
        self.commit(plan);
    }

    fn commit(&mut self, plan: Plan) {
        for (index, group) in plan.groups().iter().enumerate() {
            self.ops += group.ops().len();
            if let Err(reason) = self.topology.commit(group) {
                self.rejected.push(Event::Rejected { group: index, reason });
                self.rejection.get_or_insert_with(|| format!("group {index} was rejected because {reason}"));
            }
        }
        self.plan = plan;
    }

    /// Some come, some go, some change; then a second passes.
    pub fn churn(&mut self, members: usize) {
        let mut events = Vec::new();
        for _ in 0..=self.chance.below(8) {
            let crowded = self.topology.len() > members;
            match self.chance.below(20) {
                0..=9 if !crowded => events.push(self.join()),
                0..=15 => events.extend(self.leave()),
                16 => events.extend(self.change()),
                17 => events.extend(self.someone().map(Event::Underperforms)),
                18 => events.extend(self.fail_link()),
                _ => events.push(self.join()),
            }
        }
        if self.chance.percent(30) {
            events.push(Event::Tick);
        }
        self.now += STEP;
        self.tell(events);
    }

    /// A second passes and nothing else.
    pub fn tick(&mut self) {
        self.now += STEP;
        self.tell(vec![Event::Tick]);
    }

    fn join(&mut self) -> Event {
        self.last += 1;
        let node = NodeId(self.last);
        let relay = self.chance.percent(85);
        let capacity = if self.chance.percent(10) { 4 } else { 2 };
        let mut member = Member::new(capacity, relay, self.now);
        member.untried = relay && self.chance.percent(10);
        self.topology.insert(node, member).expect("a name is given once");
        Event::Joined(node)
    }

    fn leave(&mut self) -> Option<Event> {
        let node = self.someone()?;
        self.topology.remove(node);
        Some(Event::Left(node))
    }

    fn change(&mut self) -> Option<Event> {
        let node = self.someone()?;
        let relay = self.chance.percent(80);
        self.topology.set_ability(node, 2, relay);
        self.topology.set_untried(node, false);
        Some(Event::Changed(node))
    }

    fn fail_link(&mut self) -> Option<Event> {
        let a = self.someone()?;
        let b = self.topology.get(a)?.parent().filter(|parent| *parent != NodeId::SOURCE)?;
        Some(Event::LinkFailed { a, b })
    }

    /// A member by chance, not the source.
    pub fn someone(&mut self) -> Option<NodeId> {
        let members: Vec<_> =
            self.topology.iter().map(|(node, _)| node).filter(|node| *node != NodeId::SOURCE).collect();
        self.chance.pick(&members).copied()
    }

    /// Everybody's uplink is fine from now on.
    pub fn calm(&mut self) {
        let members: Vec<_> =
            self.topology.iter().map(|(node, _)| node).filter(|node| *node != NodeId::SOURCE).collect();
        let mut events = Vec::new();
        for node in members {
            self.topology.set_ability(node, 2, true);
            self.topology.set_untried(node, false);
            events.push(Event::Changed(node));
        }
        self.tell(events);
    }

    /// Members that the stream does not reach.
    pub fn unreached(&self) -> Vec<NodeId> {
        let members = self.topology.iter().map(|(node, _)| node);
        members.filter(|node| *node != NodeId::SOURCE && !self.is_reached(*node)).collect()
    }

    /// Whether each stripe's way up from the node ends at the source.
    fn is_reached(&self, node: NodeId) -> bool {
        Stripes::each().all(|stripe| self.leads_up(node, stripe))
    }

    fn leads_up(&self, node: NodeId, stripe: Stripes) -> bool {
        let mut at = node;
        for _ in 0..=self.topology.len() {
            if at == NodeId::SOURCE {
                return true;
            }
            let Some(parent) = self.topology.get(at).and_then(|member| member.parent_of(stripe)) else { return false };
            at = parent;
        }
        false
    }
}

/// A valid overlay that nobody planned: each has a parent by chance, with room, or one for each stripe.
pub fn wild_topology(seed: u64, members: u64) -> Topology {
    let mut chance = Chance::new(seed);
    let mut topology = Topology::new(SOURCE_CAPACITY);
    for name in 1..=members {
        let node = NodeId(name);
        topology.insert(node, Member::new(2, true, Micros::from_secs(name))).expect("a name is given once");
        if chance.percent(20) {
            Stripes::each().for_each(|stripe| put_somewhere(&mut topology, node, stripe, &mut chance));
        } else {
            put_somewhere(&mut topology, node, Stripes::ALL, &mut chance);
        }
    }
    topology
}

fn put_somewhere(topology: &mut Topology, node: NodeId, stripes: Stripes, chance: &mut Chance) {
    for _ in 0..32 {
        let parent = NodeId(chance.below(node.0 as usize) as u64);
        let mut plan = Plan::default();
        plan.group().set_parent(node, stripes, parent);
        if topology.commit(&plan.groups()[0]).is_ok() {
            return;
        }
    }
}
