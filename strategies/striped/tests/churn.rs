//! Viewers that come and go as in live streams: how deep the trees are, how even the load, how many moves.

#[allow(dead_code)]
#[path = "../../dumbbell/tests/audience/mod.rs"]
mod audience;
#[allow(dead_code)]
mod world;

use audience::{Audience, Change};
use peerstream_sdk::overlay::{Event, Member, TreeStrategy};
use peerstream_sdk::protocol::id::NodeId;
use peerstream_sdk::protocol::time::Micros;
use world::{Shape, World, faults};

const TICK: Micros = Micros::from_secs(1);

struct Churn {
    world: World,
    audience: Audience,
    /// One of so many viewers does not relay; none if 0.
    weak_one_of: u64,
    joins: u64,
    departures: u64,
    ticked: Micros,
    worst: Shape,
}

/// What it costs, and what the shape is like at worst while they come and go, and at rest.
#[derive(Clone, Copy, Debug)]
struct Figures {
    moves_per_departure: f64,
    /// Parents given per departure, without the two of each newcomer.
    new_parents_per_departure: f64,
    busy: Shape,
    at_rest: Shape,
}

impl Churn {
    fn new(viewers: usize, weak_one_of: u64, seed: u64) -> Self {
        let (audience, start, now) = Audience::steady(viewers, seed);
        let mut world = World::of(0);
        world.now = now;
        let mut churn =
            Self { world, audience, weak_one_of, joins: 0, departures: 0, ticked: now, worst: Shape::default() };
        start.into_iter().for_each(|(node, joined_at)| churn.join(node, joined_at));
        churn.world.rest(30);
        churn
    }

    fn join(&mut self, node: NodeId, at: Micros) {
        let relay = self.weak_one_of == 0 || !node.0.is_multiple_of(self.weak_one_of);
        self.joins += 1;
        self.world.join_as(node, Member::new(2, relay, at));
    }

    fn run(&mut self, span: Micros) {
        let end = self.ticked + span;
        while self.ticked < end {
            let (at, change) = self.audience.next();
            self.tick_until(at);
            match change {
                Change::Joins(node) => self.join(node, at),
                Change::Leaves(node) => {
                    self.departures += 1;
                    self.world.leave(&[node]);
                }
            }
        }
    }

    fn tick_until(&mut self, at: Micros) {
        while self.ticked + TICK <= at {
            self.ticked += TICK;
            self.world.now = self.ticked;
            self.world.tell(&[Event::Tick]);
            if (self.ticked.0 / TICK.0).is_multiple_of(60) {
                self.look();
            }
        }
    }

    /// Notes the worst of each.
    fn look(&mut self) {
        let (now, worst) = (self.world.shape(), self.worst);
        self.worst = Shape {
            viewers: worst.viewers.max(now.viewers),
            unreached: worst.unreached.max(now.unreached),
            feed_both: worst.feed_both.max(now.feed_both),
            over_two: worst.over_two.max(now.over_two),
            helped: if worst.viewers == 0 { now.helped } else { worst.helped.min(now.helped) },
            depth: worst.depth.max(now.depth),
            depth_least: worst.depth_least.max(now.depth_least),
            clients: worst.clients.max(now.clients),
        };
    }

    fn measure(mut self, minutes: u64) -> Figures {
        let before = (self.world.strategy.moved().all, self.world.edges_set, self.joins, self.departures);
        self.run(Micros::from_secs(minutes * 60));
        let departures = (self.departures - before.3) as f64;
        let moves = (self.world.strategy.moved().all - before.0) as f64;
        let parents = (self.world.edges_set - before.1) as f64 - 2.0 * (self.joins - before.2) as f64;
        self.world.rest(120);
        assert_eq!(faults(&self.world), Vec::<String>::new());
        let figures = Figures {
            moves_per_departure: moves / departures,
            new_parents_per_departure: parents / departures,
            busy: self.worst,
            at_rest: self.world.shape(),
        };
        println!("{figures:?}");
        figures
    }
}

fn check(figures: Figures) {
    let Figures { busy, at_rest, .. } = figures;
    assert_eq!((busy.unreached, at_rest.unreached), (0, 0), "{figures:?}");
    assert_eq!((busy.feed_both, at_rest.feed_both), (0, 0), "{figures:?}");
    assert!(busy.over_two <= 0.01 && at_rest.over_two <= 0.01, "{figures:?}");
    assert!(busy.helped >= 0.99 && at_rest.helped >= 0.99, "{figures:?}");
    assert!(busy.depth <= busy.depth_least + 2 && at_rest.depth <= at_rest.depth_least + 1, "{figures:?}");
    assert!(busy.clients <= 16, "{figures:?}");
}

#[test]
fn a_thousand_live_sessions_upload_evenly_in_shallow_trees() {
    for seed in 1..=3 {
        let figures = Churn::new(1_000, 0, seed).measure(20);
        check(figures);
        assert!(figures.moves_per_departure <= 3.0, "{figures:?}");
    }
}

#[test]
fn ten_thousand_live_sessions_upload_evenly_in_shallow_trees() {
    let figures = Churn::new(10_000, 0, 1).measure(10);
    check(figures);
    assert!(figures.moves_per_departure <= 2.6 && figures.new_parents_per_departure <= 2.9, "{figures:?}");
}

#[test]
fn a_fifth_that_does_not_relay_is_carried_by_the_others() {
    let figures = Churn::new(1_000, 5, 2).measure(20);
    let Figures { busy, at_rest, .. } = figures;
    assert_eq!((busy.unreached, busy.feed_both, at_rest.unreached), (0, 0, 0), "{figures:?}");
    assert!(busy.depth <= busy.depth_least + 2, "{figures:?}");
    assert!(figures.moves_per_departure <= 4.0, "{figures:?}");
}
