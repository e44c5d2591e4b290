//! What the dumbbell promises, whatever joins, leaves, and changes its mind.

mod world;

use peerstream_dumbbell::{Config, Dumbbell, Roots};
use peerstream_sdk::overlay::{Context, Event, Group, Member, Plan, Reject, Topology, TreeStrategy};
use peerstream_sdk::protocol::id::{NodeId, Stripes};
use proptest::prelude::*;
use world::{S, World, faults, inversions, levels_too_deep};

#[derive(Clone, Debug)]
enum Step {
    Join { relays: bool, capacity: u8 },
    Leave(Vec<usize>),
    Relay(usize, bool),
    Underperform(usize),
    Fail(usize, usize),
    FanOut(u8),
    Tick,
}

/// What may happen to an overlay besides joins, leaves and time.
#[derive(Clone, Copy, Default)]
struct Trouble {
    weak: bool,
    demotions: bool,
    failures: bool,
    fan_out: bool,
}

const EVERYTHING: Trouble = Trouble { weak: true, demotions: true, failures: true, fan_out: true };

fn step(trouble: Trouble) -> impl Strategy<Value = Step> {
    let weight = |when: bool, weight: u32| if when { weight } else { 0 };
    prop_oneof![
        8 => (any::<u8>(), 0_u8..8).prop_map(move |(n, capacity)| Step::Join {
            relays: !trouble.weak || n % 4 != 0,
            capacity: if trouble.weak { capacity } else { capacity.max(2) },
        }),
        4 => proptest::collection::vec(any::<usize>(), 1..4).prop_map(Step::Leave),
        1 => Just(Step::Tick),
        weight(trouble.weak, 2) => (any::<usize>(), any::<bool>()).prop_map(|(which, relay)| Step::Relay(which, relay)),
        weight(trouble.demotions, 2) => any::<usize>().prop_map(Step::Underperform),
        weight(trouble.failures, 1) => (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Step::Fail(a, b)),
        weight(trouble.fan_out, 1) => (1_u8..20).prop_map(Step::FanOut),
    ]
}

fn steps(trouble: Trouble) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(trouble), 1..150)
}

fn take(world: &mut World, step: Step) {
    let pick = |world: &World, which: usize| world.pick(which);
    match step {
        Step::Join { relays, capacity } => {
            world.join_with(capacity, relays);
        }
        Step::Leave(which) => {
            let nodes: Vec<_> = which.into_iter().filter_map(|which| pick(world, which)).collect();
            world.leave(&nodes);
        }
        Step::Relay(which, relay) => pick(world, which).into_iter().for_each(|node| world.relay(node, relay)),
        Step::Underperform(which) => {
            pick(world, which).into_iter().for_each(|node| world.tell(&[Event::Underperforms(node)]));
        }
        Step::Fail(a, b) => {
            if let (Some(a), Some(b)) = (pick(world, a), pick(world, b)) {
                world.tell(&[Event::LinkFailed { a, b }]);
            }
        }
        Step::FanOut(room) => world.fan_out(room),
        Step::Tick => world.tell(&[Event::Tick]),
    }
}

fn any_config() -> impl Strategy<Value = Config> {
    (any::<bool>(), any::<bool>()).prop_map(|(one, standby)| Config {
        roots: if one { Roots::One } else { Roots::Two },
        standby,
        ..Config::default()
    })
}

/// As many nodes as that start again from the topology, as after a rejected plan.
fn start_again(world: &mut World) {
    world.tell(&[Event::Rejected { group: 0, reason: Reject::TooLarge }]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn strong_nodes_stay_in_two_balanced_trees_with_the_old_above_the_young(steps in steps(Trouble::default())) {
        let mut world = World::of(0);
        for step in steps {
            take(&mut world, step);
            world.check();
        }
        world.rest();
        world.check();
        prop_assert!(world.levels_too_deep() <= 1);
        prop_assert!(world.inversions() as u64 <= world.strategy.counters().inversions);
    }

    #[test]
    fn without_compaction_no_child_is_ever_older_than_its_parent(steps in steps(Trouble::default())) {
        let mut world = World::of(0);
        for step in steps.into_iter().filter(|step| !matches!(step, Step::Tick)) {
            take(&mut world, step);
            prop_assert_eq!(world.inversions(), 0);
        }
    }

    #[test]
    fn weak_and_underperforming_nodes_and_any_source_leave_every_edge_as_its_place_wants_it(
        steps in steps(Trouble { failures: false, ..EVERYTHING }),
        config in any_config(),
        source in 1_u8..20,
    ) {
        let mut world = World::new(Config { standby: true, ..config }, source);
        for step in steps {
            take(&mut world, step);
            world.check();
        }
        world.rest();
        world.check();
        prop_assert!(world.levels_too_deep() <= 1, "{} too deep: {:?}", world.levels_too_deep(), world.places());
        start_again(&mut world);
        world.check();
    }

    #[test]
    fn whatever_happens_plans_are_valid_and_everybody_with_a_place_is_fed(
        steps in steps(EVERYTHING),
        config in any_config(),
        source in 1_u8..20,
    ) {
        let mut world = World::new(config, source);
        for step in steps {
            take(&mut world, step);
            // A failed pair may keep two of a dumbbell from backing each other up.
            for node in world.nodes() {
                prop_assert_eq!(world.topology.depth(node).is_some(), world.strategy.place_of(node).is_some());
            }
        }
        world.rest();
        let mut fresh = Dumbbell::new(Config { standby: true, ..config });
        let mut plan = Plan::default();
        fresh.attach(&Context { topology: &world.topology, now: world.now, source: S }, &mut plan);
        plan.groups().iter().for_each(|group| world.topology.commit(group).unwrap());
        world.strategy = fresh;
        world.check();
    }
}

#[test]
fn places_fill_level_by_level_and_twins_come_one_after_the_other() {
    let world = World::of(8);
    let places: Vec<_> = world.nodes().iter().map(|node| world.strategy.place(*node).unwrap()).collect();
    assert_eq!(places, ["A1", "B1", "A2", "B2", "A3", "B3", "A4", "B4"]);
}

#[test]
fn the_older_child_moves_up_and_leaves_a_hole_for_the_next_newcomer() {
    let mut world = World::of(14);
    let (a2, a3, a4) = (world.at("A2"), world.at("A3"), world.at("A4"));
    let a5 = world.at("A5");
    world.leave(&[world.at("A1")]);
    assert_eq!((world.at("A1"), world.at("A2")), (a2, a4));
    assert_eq!([a3, a4].map(|node| world.parent(node)), [Some(a2); 2]);
    assert_eq!(world.parent(a5), Some(a4));
    let newcomer = world.join(true);
    assert_eq!(world.at("A4"), newcomer);
}

#[test]
fn a_node_without_a_twin_is_backed_up_from_above_across() {
    let world = World::of(3);
    assert_eq!(world.backup(world.at("A2")), Some(world.at("B1")));
    assert_eq!(world.backup(world.at("A1")), Some(world.at("B1")));
}

#[test]
fn a_newcomer_that_relays_takes_the_place_of_a_weak_node_that_blocks() {
    let mut world = World::of(0);
    let weak = [world.join(false), world.join(false)];
    let waits = world.join(false);
    assert_eq!(world.parent(waits), None);
    let strong = world.join(true);
    assert_eq!(world.at("A1"), strong);
    assert_eq!(world.parent(weak[0]), Some(strong));
    assert_eq!(world.parent(waits), Some(strong));
    world.check();
}

#[test]
fn a_gap_above_weak_children_is_filled_by_the_oldest_leaf_of_the_last_level_that_relays() {
    let mut world = World::of(14);
    let (a2, children) = (world.at("A2"), ["A4", "A5"].map(|place| world.at(place)));
    children.into_iter().for_each(|child| world.relay(child, false));
    let oldest = world.at("B4");
    world.leave(&[a2]);
    assert_eq!(world.at("A2"), oldest);
    assert_eq!(children.map(|child| world.parent(child)), [Some(oldest); 2]);
    world.check();
}

#[test]
fn a_node_that_stops_relaying_becomes_a_leaf() {
    let mut world = World::of(14);
    let (a1, a2) = (world.at("A1"), world.at("A2"));
    world.relay(a1, false);
    assert_eq!(world.at("A1"), a2);
    assert!(world.member(a1).children().is_empty());
    world.check();
}

#[test]
fn many_that_stop_relaying_at_once_are_not_put_in_each_other_s_places() {
    let mut world = World::of(30);
    let retired = ["A1", "A2", "A3", "A4", "B1", "B2"].map(|place| world.at(place));
    let stays = world.nodes().into_iter().filter(|node| !retired.contains(node));
    let places: Vec<_> = stays.map(|node| (node, world.strategy.place(node))).collect();
    let moves = world.strategy.counters().moves;
    retired.into_iter().for_each(|node| world.topology.set_ability(node, 2, false));
    world.tell(&retired.map(Event::Changed));
    assert!(retired.iter().all(|node| world.member(*node).children().is_empty()));
    let moved = places.iter().filter(|(node, place)| world.strategy.place(*node) != *place).count();
    let moves = (world.strategy.counters().moves - moves) as usize;
    assert!(moves <= retired.len() + moved + 3, "{moves} moves of {moved} nodes");
    world.check();
}

#[test]
fn a_newcomer_is_given_children_only_once_its_uplink_was_measured() {
    let mut world = World::of(13);
    let newcomer = world.join_untried();
    assert_eq!(world.at("B7"), newcomer);
    for _ in 0..14 {
        world.join(true);
    }
    let below = |world: &World| world.member(newcomer).children().len();
    let next = world.join(true);
    assert_eq!((below(&world), world.strategy.place(next).as_deref()), (0, Some("A16")));
    world.measured(newcomer, true);
    let next = world.join(true);
    assert_eq!(world.parent(next), Some(newcomer));
    world.check();
}

#[test]
fn when_there_is_no_other_place_one_whose_uplink_is_not_measured_is_trusted_and_retires_if_it_is_weak() {
    let mut world = World::of(0);
    let first: Vec<_> = (0..6).map(|_| world.join_untried()).collect();
    assert!(first.iter().all(|node| world.parent(*node).is_some()));
    assert_eq!(world.at("A1"), first[0]);
    world.measured(first[2], true);
    world.measured(first[0], false);
    assert!(world.member(first[0]).children().is_empty());
    assert!(first.iter().all(|node| world.parent(*node).is_some()), "{:?}", world.topology);
    world.check();
}

#[test]
fn a_node_whose_twin_is_weak_is_backed_up_by_a_leaf_elsewhere_when_nobody_above_has_a_copy() {
    let mut world = World::of(30);
    let (lone, twin) = (world.at("A4"), world.at("B4"));
    world.relay(twin, false);
    let backup = world.backup(lone).expect("there are many idle leaves");
    assert!(backup != twin && world.parent(lone) != Some(backup));
    world.check();
}

#[test]
fn an_underperformer_goes_to_the_bottom_as_the_youngest_and_again_when_it_has_children_again() {
    let mut world = World::of(14);
    let (a1, a2, a3) = (world.at("A1"), world.at("A2"), world.at("A3"));
    world.tell(&[Event::Underperforms(a1)]);
    assert_eq!((world.at("A1"), world.at("A4")), (a2, a1));
    world.tell(&[Event::Underperforms(a1)]);
    assert_eq!((world.at("A4"), world.strategy.counters().demotions), (a1, 1), "a leaf stays");
    for _ in 0..16 {
        world.join(true);
    }
    assert_eq!(world.member(a1).children().len(), 2);
    world.tell(&[Event::Underperforms(a1)]);
    assert!(world.member(a1).children().is_empty());
    world.leave(&[a2]);
    assert_eq!(world.at("A1"), a3, "the demoted one is older by its joining only");
    assert!(world.strategy.explain(a1).unwrap().contains("underperformed"));
    world.check();
}

#[test]
fn nobody_is_demoted_whose_place_nobody_could_take() {
    let mut world = World::of(2);
    let weak = [world.join(false), world.join(false)];
    world.leave(&[world.at("B1")]);
    let only = world.at("A1");
    world.tell(&[Event::Underperforms(only)]);
    assert_eq!((world.at("A1"), world.strategy.counters().demotions), (only, 0));
    assert!(weak.iter().any(|weak| world.parent(*weak) == Some(only)));
}

#[test]
fn a_child_that_cannot_reach_its_parent_gets_another_one() {
    let mut world = World::of(20);
    let child = world.at("A9");
    let parent = world.parent(child).unwrap();
    world.tell(&[Event::LinkFailed { a: child, b: parent }]);
    assert_ne!(world.parent(child), Some(parent));
    assert!(world.topology.depth(child).is_some());
}

#[test]
fn with_one_root_a1_feeds_b1_and_the_source_is_at_hand_for_all_below_a1() {
    for world in [World::new(Config { roots: Roots::One, ..Config::default() }, 2), World::new(Config::default(), 1)] {
        let mut world = world.with(14);
        let [a1, b1, a2, a3, b2] = ["A1", "B1", "A2", "A3", "B2"].map(|place| world.at(place));
        assert_eq!([a1, b1, a2, a3].map(|node| world.parent(node)), [Some(S), Some(a1), Some(a1), Some(a1)]);
        assert_eq!((world.backup(a1), world.backup(b1)), (None, Some(S)));
        assert!([b1, a2, a3].iter().all(|node| world.member(*node).standby().contains(&S)));
        assert!(world.member(b2).standby().contains(&a1));
        assert_eq!(world.topology.get(S).unwrap().children().len(), 1);
        world.check();
        world.leave(&[a1]);
        assert_eq!(world.at("A1"), b1, "the oldest of those it fed");
        world.check();
    }
}

#[test]
fn the_single_root_is_the_best_uplink_of_the_old_not_the_oldest() {
    let mut world = World::new(Config { roots: Roots::One, ..Config::default() }, 2).with(3);
    let helper = world.join_with(6, true);
    let far = (0..12).map(|_| world.join(true)).last().unwrap();
    assert_eq!(world.strategy.place(helper).unwrap(), "B2");
    world.leave(&[world.at("B1")]);
    assert_eq!(world.at("B1"), helper);
    world.tell(&[Event::Tick]);
    assert_eq!(world.at("A1"), helper, "a better uplink next to the root takes its place");
    assert!(world.strategy.place_of(far).is_some());
    world.check();
}

#[test]
fn a_source_with_room_feeds_a_small_audience_itself_and_more_through_several_dumbbells() {
    let mut world = World::new(Config::default(), 7).with(6);
    let fed = |world: &World| world.topology.get(S).unwrap().children().len();
    assert_eq!((fed(&world), world.levels_too_deep()), (6, 0));
    assert!(world.nodes().iter().all(|node| world.parent(*node) == Some(S) && world.backup(*node).is_some()));
    let mut world_full = World::new(Config::default(), 7).with(60);
    assert_eq!(fed(&world_full), 6);
    world_full.leave(&["A1", "B2", "A3"].map(|place| world_full.at(place)));
    assert_eq!(fed(&world_full), 6, "those below move up");
    world_full.check();
    world.leave(&["A2"].map(|place| world.at(place)));
    assert_eq!(fed(&world), 5);
    world.check();
}

#[test]
fn a_source_that_gets_more_room_feeds_more_and_moves_nobody_down() {
    let mut world = World::of(40);
    let depth = |world: &World| world.nodes().iter().filter_map(|node| world.topology.depth(*node)).max().unwrap();
    let before: Vec<_> = world.nodes().iter().map(|node| world.topology.depth(*node)).collect();
    world.fan_out(8);
    assert!(world.nodes().iter().zip(before).all(|(node, before)| world.topology.depth(*node) <= before));
    world.rest();
    assert_eq!((world.topology.get(S).unwrap().children().len(), depth(&world)), (8, 3));
    world.check();
    world.fan_out(2);
    world.rest();
    assert_eq!((world.topology.get(S).unwrap().children().len(), depth(&world)), (2, 5));
    world.check();
}

#[test]
fn helpers_are_few_clients_each_and_nearly_everybody_has_one() {
    let world = World::of(1_000);
    assert!(world.strategy.counters().unhelped <= 20, "{} have none", world.strategy.counters().unhelped);
    world.check();
}

#[test]
fn a_shrunken_audience_is_moved_up_a_few_at_a_time() {
    let mut world = World::of(200);
    let most: Vec<_> = world.nodes().into_iter().filter(|node| node.0 % 4 != 0).collect();
    world.leave(&most);
    let before = world.strategy.counters();
    world.tell(&[Event::Tick]);
    let after = world.strategy.counters();
    assert_eq!(after.compactions - before.compactions, u64::from(Config::default().compaction_moves_min));
    world.rest();
    world.check();
    assert!(world.levels_too_deep() <= 1);
}

#[test]
fn compaction_fills_holes_beside_a_lone_twin_first() {
    let mut world = World::new(Config { compaction_moves_min: 1, ..Config::default() }, 2).with(34);
    let gone = ["A9", "B9", "A10", "B10", "A12"].map(|place| world.at(place));
    let oldest_of_the_last_level = world.at("A16");
    world.leave(&gone);
    world.tell(&[Event::Tick]);
    assert_eq!(world.at("A12"), oldest_of_the_last_level);
    world.tell(&[Event::Tick]);
    assert!(world.at("A9") > oldest_of_the_last_level);
    world.check();
}

#[test]
fn a_departure_moves_few_nodes() {
    let mut world = World::of(2_000);
    let mut chance = 7_u64;
    for _ in 0..4_000 {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let node = world.pick((chance >> 33) as usize).unwrap();
        world.leave(&[node]);
        world.join(true);
    }
    world.check();
    let moves = world.strategy.counters().moves as f64 / 4_000.0;
    assert!(moves < 1.3, "{moves} moves per departure with ages that say nothing");
    assert_eq!(world.inversions(), 0);
}

#[test]
fn a_large_audience_that_is_told_of_many_changes_at_once_is_as_its_places_want_it() {
    let mut world = World::of(9_000);
    for round in 0..3 {
        let gone: Vec<_> = world.nodes().into_iter().filter(|node| node.0 % 29 == round).collect();
        gone.iter().for_each(|node| drop(world.topology.remove(*node)));
        let joined: Vec<_> = (0..300).map(|n| NodeId(1_000_000 + round * 1_000 + n)).collect();
        joined.iter().for_each(|node| world.topology.insert(*node, Member::new(2, true, world.now)).unwrap());
        let left = gone.into_iter().map(Event::Left);
        let events: Vec<_> = left.chain(joined.into_iter().map(Event::Joined)).collect();
        world.tell(&events);
        world.check();
    }
    assert_eq!(world.inversions(), 0);
}

#[test]
fn a_departure_that_is_told_twice_counts_once() {
    let mut world = World::of(14);
    let gone = world.at("A2");
    world.topology.remove(gone);
    world.tell(&[Event::Left(gone), Event::Left(gone)]);
    world.check();
    for _ in 0..2 {
        world.join(true);
    }
    assert_eq!(world.places().len(), 15);
    world.check();
}

#[test]
fn a_strategy_that_takes_over_its_own_overlay_changes_nothing() {
    let mut world = World::of(100);
    let some: Vec<_> = world.nodes().into_iter().filter(|node| node.0 % 7 == 0).collect();
    world.leave(&some);
    let mut fresh = Dumbbell::default();
    let mut plan = Plan::default();
    fresh.attach(&Context { topology: &world.topology, now: world.now, source: S }, &mut plan);
    let ops: usize = plan.groups().iter().map(|group| group.ops().len()).sum();
    assert!(ops <= 30, "{ops} of {} edges changed", world.topology.len() * 3);
    plan.groups().iter().for_each(|group| world.topology.commit(group).unwrap());
    world.strategy = fresh;
    world.check();
}

#[test]
fn a_rejected_plan_is_made_good() {
    let mut world = World::of(10);
    let lost = NodeId(5);
    let member = world.member(lost).clone();
    world.topology.remove(lost);
    world.topology.insert(lost, member).unwrap();
    assert_eq!(world.parent(lost), None);
    start_again(&mut world);
    assert!(world.parent(lost).is_some());
    world.check();
}

/// The checks themselves can fail.
mod checks {
    use super::*;

    fn broken(write: impl FnOnce(&World, &mut Group)) -> Vec<String> {
        let mut world = World::of(30);
        let mut group = Group::default();
        write(&world, &mut group);
        world.topology.commit(&group).unwrap();
        faults(&world.topology, world.strategy.forest(), &world.places())
    }

    fn sees(what: &str, write: impl FnOnce(&World, &mut Group)) {
        let faults = broken(write);
        assert!(faults.iter().any(|fault| fault.contains(what)), "{what}: {faults:?}");
    }

    #[test]
    fn each_wrong_edge_is_seen() {
        assert_eq!(broken(|_, _| {}), Vec::<String>::new());
        sees("not fed by whoever is above it", |world, group| {
            let (a8, a9) = (world.at("A8"), world.at("A9"));
            group.set_parent(a8, Stripes::ALL, a9);
        });
        sees("not backed up by its twin", |world, group| {
            group.set_backup(world.at("A8"), None);
        });
        sees("no standby at its grandparent", |world, group| {
            group.set_standby(world.at("A8"), []);
        });
        sees("its helper is no other part", |world, group| {
            let (a8, a2, a1) = (world.at("A8"), world.at("A2"), world.at("A1"));
            group.set_standby(a8, [a2, a1]);
        });
    }

    #[test]
    fn a_deep_or_inverted_tree_is_seen() {
        let world = World::of(30);
        let mut places = world.places();
        assert_eq!(levels_too_deep(world.strategy.forest(), &places), 0);
        places.retain(|place, _| ["A1", "B1", "A8"].contains(&place.to_string().as_str()));
        assert_eq!(levels_too_deep(world.strategy.forest(), &places), 2);
        let mut topology: Topology = world.topology.clone();
        let mut swap = Group::default();
        let [a8, a4, a2, a9] = ["A8", "A4", "A2", "A9"].map(|place| world.at(place));
        swap.set_parent(a8, Stripes::ALL, a2).set_parent(a4, Stripes::ALL, a8).detach(a9);
        topology.commit(&swap).unwrap();
        assert_eq!(inversions(&topology).0, 1);
    }
}

#[test]
fn whoever_may_relay_is_trusted_when_only_weak_nodes_have_places() {
    let mut world = World::new(Config::default(), 2);
    let weak: Vec<_> = (0..3).map(|_| world.join(false)).collect();
    assert_eq!(world.topology.get(weak[2]).unwrap().parent(), None, "there is no place for the third");
    let newcomer = world.join_untried();
    assert_eq!(world.topology.get(newcomer).unwrap().parent(), Some(S));
    assert!(weak.iter().all(|node| world.topology.get(*node).unwrap().parent().is_some()));
}
