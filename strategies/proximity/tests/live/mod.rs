//! An audience with live sessions in a network with delays: links are measured a while after they were asked for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use peerstream_sdk::overlay::{Context, Event, Member, Op, Plan, Topology, TreeStrategy};
use peerstream_sdk::protocol::id::NodeId;
use peerstream_sdk::protocol::time::Micros;

use crate::audience::{Audience, Chance, Change};

pub const S: NodeId = NodeId::SOURCE;
const TICK: Micros = Micros::from_secs(1);
/// A link is measured within this time.
const MEASURED_WITHIN_MS: [u64; 2] = [1_000, 2_500];
/// Measured round trips are wrong by up to this share.
const NOISE: f64 = 0.03;

/// Delays between hosts, one way, in ms.
pub struct Hosts {
    count: usize,
    one_way: Vec<f64>,
}

impl Hosts {
    /// The matrix of round trips that the environment names, else hosts in a few cities of a plane.
    pub fn any() -> Self {
        match std::env::var("PEERSTREAM_RTT") {
            Ok(path) => Self::parse(&std::fs::read_to_string(path).expect("PEERSTREAM_RTT names a file")),
            Err(_) => Self::plane(300),
        }
    }

    /// A line per host, round trips in ms.
    fn parse(text: &str) -> Self {
        let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let cells = lines.iter().flat_map(|line| line.split_whitespace());
        let one_way = cells.map(|cell| cell.parse::<f64>().expect("a number") / 2.0).collect();
        let mut hosts = Self { count: lines.len(), one_way };
        hosts.near_within();
        hosts
    }

    /// Hosts around twelve cities, with an access of their own and some error.
    pub fn plane(count: usize) -> Self {
        let mut chance = Chance(5);
        let cities: Vec<_> = (0..12).map(|_| (chance.uniform() * 120.0, chance.uniform() * 70.0)).collect();
        let mut host = || {
            let (x, y) = cities[(chance.number() % 12) as usize];
            (x + chance.uniform() * 6.0, y + chance.uniform() * 6.0, 0.5 + chance.uniform() * 3.0)
        };
        let at: Vec<_> = (0..count).map(|_| host()).collect();
        let apart = |a: (f64, f64, f64), b: (f64, f64, f64)| (a.0 - b.0).hypot(a.1 - b.1) + a.2 + b.2;
        let one_way = at.iter().flat_map(|a| at.iter().map(|b| apart(*a, *b))).collect();
        let mut hosts = Self { count, one_way };
        hosts.near_within();
        hosts
    }

    fn near_within(&mut self) {
        (0..self.count).for_each(|host| self.one_way[host * self.count + host] = 0.1);
    }

    pub fn one_way(&self, a: usize, b: usize) -> f64 {
        self.one_way[a * self.count + b]
    }

    /// A host whose median delay is below 90 ms.
    fn central(&self, chance: &mut Chance) -> usize {
        let median = |host: usize| {
            let mut row: Vec<_> = (0..self.count).map(|other| self.one_way(host, other)).collect();
            row.sort_by(f64::total_cmp);
            row[row.len() / 2]
        };
        let central: Vec<_> = (0..self.count).filter(|host| median(*host) < 90.0).collect();
        central[(chance.number() % central.len() as u64) as usize]
    }
}

/// What sort of audience.
#[derive(Clone, Copy)]
pub struct Sort {
    pub viewers: usize,
    /// One way, of each viewer.
    pub access_ms: [f64; 2],
    /// Whether it is known who is at the same host.
    pub networks: bool,
}

/// A strategy with an audience and a network.
pub struct Live<T> {
    pub topology: Topology,
    pub strategy: T,
    pub hosts: Hosts,
    pub now: Micros,
    pub departures: u64,
    /// Links asked for that were not there before.
    pub links: u64,
    audience: Audience,
    chance: Chance,
    access_ms: [f64; 2],
    /// Whether it is known who is at the same host.
    networks: bool,
    /// Host and access delay.
    sites: BTreeMap<NodeId, (usize, f64)>,
    to_measure: BinaryHeap<Reverse<(Micros, NodeId, NodeId)>>,
    measured: BTreeSet<(NodeId, NodeId)>,
    ticked: Micros,
}

impl<T: TreeStrategy> Live<T> {
    pub fn new(strategy: T, hosts: Hosts, sort: Sort, seed: u64) -> Self {
        let Sort { viewers, access_ms, networks } = sort;
        let (audience, start, now) = Audience::steady(viewers, seed);
        let mut chance = Chance(seed ^ 0x5eed);
        let sites = BTreeMap::from([(S, (hosts.central(&mut chance), 0.0))]);
        let (to_measure, measured) = (BinaryHeap::new(), BTreeSet::new());
        let topology = Topology::new(2);
        let mut live = Self {
            topology,
            strategy,
            hosts,
            now,
            departures: 0,
            links: 0,
            audience,
            chance,
            access_ms,
            networks,
            sites,
            to_measure,
            measured,
            ticked: now,
        };
        let mut plan = Plan::default();
        let context = Context { topology: &live.topology, now, source: S };
        live.strategy.attach(&context, &mut plan);
        for (count, (node, joined_at)) in start.into_iter().enumerate() {
            live.join(node, joined_at);
            if count % 8 == 0 {
                live.measure(Micros(u64::MAX));
            }
            if count % 64 == 0 {
                live.tell(&[Event::Tick]);
            }
        }
        live
    }

    fn join(&mut self, node: NodeId, at: Micros) {
        let host = (self.chance.number() % self.hosts.count as u64) as usize;
        let [low, high] = self.access_ms;
        let access = low + (high - low) * self.chance.uniform();
        self.sites.insert(node, (host, access));
        let network = if self.networks { host as u64 + 1 } else { 0 };
        self.topology.insert(node, Member::new(2, true, at).with_network(network)).unwrap();
        self.tell(&[Event::Joined(node)]);
    }

    pub fn tell(&mut self, events: &[Event]) {
        self.tell_showing(events);
    }

    /// The same; shows what was answered.
    pub fn tell_showing(&mut self, events: &[Event]) -> Vec<Op> {
        let mut plan = Plan::default();
        let context = Context { topology: &self.topology, now: self.now, source: S };
        self.strategy.on_events(&context, events, &mut plan);
        for group in plan.groups() {
            self.topology.commit(group).unwrap();
            for op in group.ops() {
                let node = op.node();
                match op {
                    Op::SetParent { parent, .. } => self.link(node, *parent),
                    Op::SetBackup { from, .. } => from.iter().for_each(|from| self.link(node, *from)),
                    Op::SetStandby { to, .. } => to.iter().for_each(|to| self.link(node, *to)),
                    Op::Detach { .. } => {}
                }
            }
        }
        plan.groups().iter().flat_map(|group| group.ops().iter().cloned()).collect()
    }

    /// A link that is there from now on will be measured, once.
    fn link(&mut self, a: NodeId, b: NodeId) {
        let pair = (a.min(b), a.max(b));
        if self.measured.insert(pair) {
            self.links += 1;
            let [low, high] = MEASURED_WITHIN_MS;
            let at = self.now + Micros::from_millis(low + self.chance.number() % (high - low));
            self.to_measure.push(Reverse((at, pair.0, pair.1)));
        }
    }

    /// Tells the round trips that are known by then.
    fn measure(&mut self, until: Micros) {
        while let Some(Reverse((at, a, b))) = self.to_measure.peek().copied().filter(|Reverse((at, ..))| *at <= until) {
            self.to_measure.pop();
            if until.0 < u64::MAX {
                self.now = at;
            }
            if self.strategy.wants_round_trips() && self.are_linked(a, b) {
                let noise = 1.0 + NOISE * (2.0 * self.chance.uniform() - 1.0);
                let rtt_ms = (2.0 * self.one_way(a, b) * noise).clamp(1.0, 65_000.0) as u16;
                self.tell(&[Event::RoundTrip { a, b, rtt_ms }]);
            }
        }
    }

    fn are_linked(&self, a: NodeId, b: NodeId) -> bool {
        let towards = |a: NodeId, b: NodeId| {
            self.topology.get(a).is_some_and(|member| {
                member.parent() == Some(b) || member.backup() == Some(b) || member.standby().contains(&b)
            })
        };
        self.topology.contains(a) && self.topology.contains(b) && (towards(a, b) || towards(b, a))
    }

    pub fn one_way(&self, a: NodeId, b: NodeId) -> f64 {
        let ((host, access), (other, its_access)) = (self.sites[&a], self.sites[&b]);
        self.hosts.one_way(host, other) + access + its_access
    }

    pub fn run(&mut self, span: Micros) {
        let end = self.now + span;
        while self.now < end {
            let (at, change) = self.audience.next();
            while self.ticked + TICK <= at {
                self.ticked += TICK;
                self.measure(self.ticked);
                self.now = self.ticked;
                self.tell(&[Event::Tick]);
            }
            self.measure(at);
            self.now = at;
            match change {
                Change::Joins(node) => self.join(node, at),
                Change::Leaves(node) => {
                    self.departures += 1;
                    self.topology.remove(node);
                    self.sites.remove(&node);
                    self.tell(&[Event::Left(node)]);
                }
            }
        }
        self.measured.retain(|(a, b)| self.sites.contains_key(a) && self.sites.contains_key(b));
    }

    /// The lag of each viewer along the trees, and its delay from the source, each sorted.
    pub fn lags(&self) -> (Vec<f64>, Vec<f64>) {
        let mut lags = BTreeMap::from([(S, 0.0)]);
        let mut todo = vec![S];
        while let Some(parent) = todo.pop() {
            let lag = lags[&parent];
            for (child, _) in self.topology.get(parent).expect("it is there").children() {
                lags.insert(*child, lag + self.one_way(parent, *child));
                todo.push(*child);
            }
        }
        lags.remove(&S);
        let mut unicast: Vec<_> = lags.keys().map(|node| self.one_way(S, *node)).collect();
        let mut lags: Vec<_> = lags.into_values().collect();
        unicast.sort_by(f64::total_cmp);
        lags.sort_by(f64::total_cmp);
        (lags, unicast)
    }

    /// Quantiles of the lag over the same quantiles of the delay from the source: p50 and p95.
    pub fn stretch(&self) -> [f64; 2] {
        let (lags, unicast) = self.lags();
        [0.5, 0.95].map(|share| {
            let at = |sorted: &[f64]| sorted[((sorted.len() - 1) as f64 * share) as usize];
            at(&lags) / at(&unicast)
        })
    }

    /// Share of the children that are more than `factor` times as old as their parent.
    pub fn older(&self, factor: u64) -> f64 {
        let age = |node: NodeId| self.topology.get(node).map_or(0, |member| self.now.since(member.joined_at).0);
        let members = self.topology.iter().filter_map(|(node, member)| Some((node, member.parent()?)));
        let pairs: Vec<_> = members.filter(|(_, parent)| *parent != S).collect();
        let older = pairs.iter().filter(|(node, parent)| age(*node) > age(*parent).saturating_mul(factor));
        older.count() as f64 / pairs.len() as f64
    }
}
