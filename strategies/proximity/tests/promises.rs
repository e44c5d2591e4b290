//! What proximity promises, whatever joins, leaves, and measures what.

#[allow(dead_code)]
#[path = "../../dumbbell/tests/audience/mod.rs"]
mod audience;
#[allow(dead_code)]
mod live;
#[allow(dead_code)]
#[path = "../../dumbbell/tests/world/mod.rs"]
mod world;

use std::collections::BTreeMap;

use live::{Hosts, Live, S, Sort};
use peerstream_dumbbell::{Config, Counters, Dumbbell, Place};
use peerstream_proximity::{Nearness, Proximity};
use peerstream_sdk::overlay::{Context, Event, Member, Op, Plan, Reject, TreeStrategy};
use peerstream_sdk::protocol::id::NodeId;
use peerstream_sdk::protocol::time::Micros;
use proptest::prelude::*;
use world::{WorldOf, inversions};

type World = WorldOf<Nearness>;

/// A child is at most so many times as old as the parent it is moved below to save lag.
const AGE_FACTOR: u64 = 4;

#[derive(Clone, Debug)]
enum Step {
    Join(bool),
    Untried,
    Leave(usize),
    Relay(usize, bool),
    Underperform(usize),
    Measure(usize, usize, u16),
    FanOut(u8),
    Reject,
    Tick,
}

fn steps(weak: bool) -> impl Strategy<Value = Vec<Step>> {
    let of_weak = u32::from(weak);
    let step = prop_oneof![
        8 => any::<u8>().prop_map(move |n| Step::Join(!weak || n % 4 != 0)),
        4 => any::<usize>().prop_map(Step::Leave),
        8 => (any::<usize>(), any::<usize>(), any::<u16>()).prop_map(|(a, b, rtt)| Step::Measure(a, b, rtt)),
        2 => Just(Step::Tick),
        of_weak => Just(Step::Untried),
        2 * of_weak => (any::<usize>(), any::<bool>()).prop_map(|(which, relay)| Step::Relay(which, relay)),
        of_weak => any::<usize>().prop_map(Step::Underperform),
        of_weak => (1_u8..12).prop_map(Step::FanOut),
        of_weak => Just(Step::Reject),
    ];
    proptest::collection::vec(step, 1..150)
}

fn take(world: &mut World, step: Step) {
    match step {
        Step::Join(relay) => drop(world.join(relay)),
        Step::Untried => drop(world.join_untried()),
        Step::Leave(which) => world.pick(which).into_iter().for_each(|node| world.leave(&[node])),
        Step::Relay(which, relay) => world.pick(which).into_iter().for_each(|node| world.relay(node, relay)),
        Step::Underperform(which) => {
            world.pick(which).into_iter().for_each(|node| world.tell(&[Event::Underperforms(node)]));
        }
        Step::Measure(a, b, rtt_ms) => {
            let a = world.pick(a).unwrap_or(S);
            let b = world.pick(b).filter(|_| b % 5 != 0).unwrap_or(S);
            world.tell(&[Event::RoundTrip { a, b, rtt_ms }]);
        }
        Step::FanOut(room) => world.fan_out(room),
        Step::Reject => world.tell(&[Event::Rejected { group: 0, reason: Reject::TooLarge }]),
        Step::Tick => world.tell(&[Event::Tick]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_measured_the_trees_are_balanced_dumbbells(steps in steps(false)) {
        let mut world = World::new(Config::default(), 2);
        for step in steps {
            take(&mut world, step);
            world.check();
        }
        world.rest();
        world.check();
        prop_assert!(world.levels_too_deep() <= 1);
    }

    #[test]
    fn weak_nodes_are_leaves_and_every_edge_is_as_its_place_wants_it(steps in steps(true)) {
        let mut world = World::new(Config::default(), 2);
        for step in steps {
            take(&mut world, step);
            world.check();
        }
    }

    #[test]
    fn the_same_events_give_the_same_trees(steps in steps(true)) {
        let run = |steps: &[Step]| {
            let mut world = World::new(Config::default(), 2);
            steps.iter().for_each(|step| take(&mut world, step.clone()));
            world.topology
        };
        prop_assert_eq!(run(&steps), run(&steps));
    }
}

const SORT: Sort = Sort { viewers: 600, access_ms: [1.0, 10.0], networks: true };

fn lively(networks: bool) -> Live<Proximity> {
    Live::new(Proximity::default(), Hosts::plane(100), Sort { networks, ..SORT }, 3)
}

#[test]
fn when_nobody_comes_or_goes_nobody_moves() {
    let mut live = lively(true);
    live.run(Micros::from_secs(300));
    let mut tick = || {
        live.now += Micros::from_secs(1);
        live.tell(&[Event::Tick]);
        live.strategy.counters()
    };
    let settled = (0..30).map(|_| tick()).last().unwrap();
    let Counters { moves, .. } = (0..300).map(|_| tick()).last().unwrap();
    assert_eq!(moves, settled.moves);
}

#[test]
fn optimising_never_costs_more_than_its_budget() {
    for (networks, most) in [(true, 0.2), (false, 0.45)] {
        let mut live = lively(networks);
        let before = live.strategy.counters();
        live.run(Micros::from_secs(900));
        let after = live.strategy.counters();
        let moves = 2 * (after.exchanges - before.exchanges) + after.settled - before.settled;
        let saved = 2.0 * 12.0;
        assert!(moves as f64 <= most * live.departures as f64 + saved, "{moves} for {} departures", live.departures);
        assert!(after.exchanges > before.exchanges + 20);
    }
}

#[test]
fn nobody_is_moved_below_one_that_is_more_than_four_times_younger_to_save_lag() {
    let mut live = lively(true);
    let mut looked = 0;
    live.run(Micros::from_secs(120));
    for _ in 0..3_000 {
        live.run(Micros::from_millis(100));
        let leaf = |(node, member): (NodeId, &Member)| (node != S && member.children().is_empty()).then_some(node);
        let Some(leaf) = live.topology.iter().find_map(leaf) else { break };
        let exchanges = live.strategy.counters().exchanges;
        live.topology.remove(leaf);
        let ops = live.tell_showing(&[Event::Left(leaf)]);
        // A leaf leaves no gap, so that all new parents come from exchanges.
        let age = |node: NodeId| live.now.since(live.topology.get(node).unwrap().joined_at).0;
        for op in ops.iter().filter(|_| live.strategy.counters().exchanges > exchanges) {
            if let Op::SetParent { node, parent, .. } = *op {
                looked += 1;
                assert!(parent == S || age(parent) * AGE_FACTOR >= age(node), "{op:?}");
            }
        }
        if live.topology.len() < 100 {
            break;
        }
    }
    assert!(looked > 100, "{looked}");
}

/// Two nodes that change places lag at most so much differently, in ms, if coordinates are right.
const BEHIND_MAX: f64 = 250.0;

/// The lag of everybody along the trees.
fn lag_of_each(live: &Live<Proximity>) -> BTreeMap<NodeId, f64> {
    let parent = |node: NodeId| live.topology.get(node).and_then(Member::parent);
    let hop = |node| Some(live.one_way(parent(node)?, node));
    let lag = |node| std::iter::successors(Some(node), |node| parent(*node)).filter_map(hop).sum();
    live.topology.iter().map(|(node, _)| (node, lag(node))).collect()
}

#[test]
fn nobody_rises_above_those_who_hear_much_earlier_because_they_would_starve_meanwhile() {
    let sort = Sort { access_ms: [20.0, 60.0], ..SORT };
    let mut live = Live::new(Proximity::default(), Hosts::plane(100), sort, 3);
    let wrong = 60.0;
    let (mut exchanged, mut counted) = (0, live.strategy.counters());
    for _ in 0..1_500 {
        let (lags, places) = (lag_of_each(&live), places(&live));
        live.run(Micros::from_millis(100));
        let now = live.strategy.counters();
        // Where nothing else moved, the two that are at other places have changed them.
        if (now.moves - counted.moves, now.exchanges - counted.exchanges) == (2, 1) {
            let moved = |(node, place): (&NodeId, &Option<Place>)| {
                (live.topology.contains(*node) && live.strategy.place_of(*node) != *place).then_some(lags[node])
            };
            if let [one, other] = places.iter().filter_map(moved).collect::<Vec<_>>()[..] {
                exchanged += 1;
                assert!((one - other).abs() < BEHIND_MAX + wrong, "{one} and {other}");
            }
        }
        counted = now;
    }
    assert!(exchanged > 5, "{exchanged}");
}

fn places(live: &Live<Proximity>) -> BTreeMap<NodeId, Option<Place>> {
    live.topology.iter().map(|(node, _)| (node, live.strategy.place_of(node))).collect()
}

#[test]
fn it_takes_over_a_running_dumbbell_without_moving_anybody() {
    let mut live = Live::new(Dumbbell::default(), Hosts::plane(100), SORT, 4);
    live.run(Micros::from_secs(300));
    let parents = |topology: &peerstream_sdk::overlay::Topology| -> Vec<_> {
        topology.iter().map(|(node, member)| (node, member.parent())).collect()
    };
    let before = parents(&live.topology);
    let mut plan = Plan::default();
    let context = Context { topology: &live.topology, now: live.now, source: S };
    Proximity::default().attach(&context, &mut plan);
    plan.groups().iter().for_each(|group| live.topology.commit(group).unwrap());
    assert_eq!(parents(&live.topology), before);
}

#[test]
fn the_old_stay_above_the_young_for_the_most_part() {
    let mut live = lively(true);
    live.run(Micros::from_secs(900));
    let (inverted, pairs) = inversions(&live.topology);
    assert!(inverted * 3 < pairs && live.older(2) < 0.1, "{inverted} of {pairs}, {}", live.older(2));
}
