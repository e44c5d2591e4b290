//! Ten thousand viewers that come and go as in live streams: how many moves, inverted pairs and nodes without a backup.

#[allow(dead_code)]
mod audience;
#[allow(dead_code)]
mod world;

use audience::{Audience, Change};
use peerstream_dumbbell::{Counters, Dumbbell};
use peerstream_sdk::overlay::{Context, Event, Member, Plan, Topology, TreeStrategy};
use peerstream_sdk::protocol::id::NodeId;
use peerstream_sdk::protocol::time::Micros;
use world::{S, inversions, levels_too_deep};

const VIEWERS: usize = 10_000;
const TICK: Micros = Micros::from_secs(1);

struct Churn {
    topology: Topology,
    strategy: Dumbbell,
    audience: Audience,
    now: Micros,
    /// One of so many viewers does not relay; none if 0.
    weak_one_of: u64,
    departures: u64,
    ticked: Micros,
}

impl Churn {
    fn new(weak_one_of: u64, seed: u64) -> Self {
        let (audience, start, now) = Audience::steady(VIEWERS, seed);
        let (topology, strategy) = (Topology::new(2), Dumbbell::default());
        let mut churn = Self { topology, strategy, audience, now, weak_one_of, departures: 0, ticked: now };
        start.into_iter().for_each(|(node, joined_at)| churn.join(node, joined_at));
        churn
    }

    fn join(&mut self, node: NodeId, at: Micros) {
        let relay = self.weak_one_of == 0 || !node.0.is_multiple_of(self.weak_one_of);
        self.topology.insert(node, Member::new(2, relay, at)).unwrap();
        self.tell(Event::Joined(node));
    }

    fn tell(&mut self, event: Event) {
        let mut plan = Plan::default();
        let context = Context { topology: &self.topology, now: self.now, source: S };
        self.strategy.on_events(&context, &[event], &mut plan);
        plan.groups().iter().for_each(|group| self.topology.commit(group).unwrap());
    }

    fn run(&mut self, span: Micros) {
        let end = self.now + span;
        while self.now < end {
            let (at, change) = self.audience.next();
            while self.ticked + TICK <= at {
                self.ticked += TICK;
                self.now = self.ticked;
                self.tell(Event::Tick);
            }
            self.now = at;
            match change {
                Change::Joins(node) => self.join(node, at),
                Change::Leaves(node) => {
                    self.departures += 1;
                    self.topology.remove(node);
                    self.tell(Event::Left(node));
                }
            }
        }
    }

    /// Moves per departure, share of inverted pairs, of nodes without a backup and of nodes without a helper, levels too
    /// many; moves are counted for ten minutes, in which every node leaves once on average.
    fn measure(mut self) -> Figures {
        self.run(Micros::from_secs(300));
        let (before, departures) = (self.strategy.counters(), self.departures);
        self.run(Micros::from_secs(600));
        let Counters { moves, unbacked, unhelped, .. } = self.strategy.counters();
        let (inverted, pairs) = inversions(&self.topology);
        let nodes = self.topology.iter().map(|(node, _)| node);
        let places = nodes.filter_map(|node| Some((self.strategy.place_of(node)?, node))).collect();
        Figures {
            moves: (moves - before.moves) as f64 / (self.departures - departures) as f64,
            inverted: inverted as f64 / pairs as f64,
            unbacked: unbacked as f64 / VIEWERS as f64,
            unhelped: unhelped as f64 / VIEWERS as f64,
            levels_too_deep: levels_too_deep(self.strategy.forest(), &places),
        }
    }
}

#[derive(Debug)]
struct Figures {
    moves: f64,
    inverted: f64,
    unbacked: f64,
    unhelped: f64,
    levels_too_deep: u32,
}

#[test]
fn live_sessions_cost_half_a_move_per_departure_and_keep_the_old_above_the_young() {
    let figures = Churn::new(0, 1).measure();
    println!("{figures:?}");
    assert!(figures.moves <= 0.5, "{figures:?}");
    assert!(figures.inverted <= 0.001, "{figures:?}");
    assert!(figures.unbacked <= 0.01, "{figures:?}");
    assert!(figures.unhelped <= 0.005, "{figures:?}");
    assert!(figures.levels_too_deep <= 1, "{figures:?}");
}

#[test]
fn a_fifth_of_weak_nodes_changes_that_little() {
    let figures = Churn::new(5, 2).measure();
    println!("{figures:?}");
    assert!(figures.moves <= 0.8, "{figures:?}");
    assert!(figures.inverted <= 0.001, "{figures:?}");
    assert!(figures.levels_too_deep <= 1, "{figures:?}");
}
