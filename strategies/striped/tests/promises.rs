//! What the strategy promises besides the rules of all strategies.

#[allow(dead_code)]
mod world;

use peerstream_dumbbell::Dumbbell;
use peerstream_sdk::overlay::{Context, Event, Member, Plan, Topology, TreeStrategy};
use peerstream_sdk::protocol::id::{NodeId, Stripes};
use peerstream_sdk::protocol::time::Micros;
use world::{S, World, faults};

fn check(world: &World) {
    let shape = world.shape();
    assert_eq!((shape.unreached, shape.feed_both), (0, 0), "{shape:?}");
    assert!(shape.clients <= 32, "{shape:?}");
    assert_eq!(faults(world), Vec::<String>::new());
}

/// The state of each member's parents.
fn parents(world: &World) -> Vec<Vec<(NodeId, Stripes)>> {
    world.nodes().iter().map(|node| world.member(*node).parents().to_vec()).collect()
}

/// One that feeds as many as that.
fn feeding(world: &World, count: usize) -> NodeId {
    let feeds = |node: &NodeId| world.member(*node).children().len() == count;
    world.nodes().into_iter().find(feeds).unwrap()
}

/// A dumbbell of so many viewers, of whom each fifth does not relay if asked.
fn dumbbell(viewers: u64, some_weak: bool) -> Topology {
    let (mut topology, mut strategy) = (Topology::new(2), Dumbbell::default());
    for name in 1..=viewers {
        let node = NodeId(name);
        let relay = !some_weak || !name.is_multiple_of(5);
        topology.insert(node, Member::new(2, relay, Micros::from_secs(name))).unwrap();
        let mut plan = Plan::default();
        let context = Context { topology: &topology, now: Micros::from_secs(name), source: S };
        strategy.on_events(&context, &[Event::Joined(node)], &mut plan);
        plan.groups().iter().for_each(|group| topology.commit(group).unwrap());
    }
    topology
}

#[test]
fn everybody_has_both_halves_from_the_first_viewer_on() {
    let mut world = World::of(0);
    for _ in 0..300 {
        world.join(true);
        let shape = world.shape();
        check(&world);
        assert_eq!(shape.over_two, 0.0, "{shape:?}");
        assert!(shape.depth <= shape.depth_least + 1, "{shape:?}");
    }
}

#[test]
fn the_source_sends_each_half_once() {
    let world = World::of(50);
    let halves: Vec<_> = world.member(S).children().iter().map(|(_, stripes)| stripes.count()).collect();
    assert_eq!(halves, [1, 1]);
}

#[test]
fn a_viewer_that_stops_relaying_is_a_leaf_of_both_trees() {
    let mut world = World::of(200);
    for _ in 0..40 {
        let node = feeding(&world, 2);
        world.change(&[node], 2, false);
        assert!(world.member(node).children().is_empty());
        check(&world);
    }
    world.rest(20);
    check(&world);
    let weak: Vec<_> = world.nodes().into_iter().filter(|node| !world.member(*node).relay).collect();
    world.change(&weak, 2, true);
    world.rest(20);
    check(&world);
    assert!(world.shape().over_two <= 0.01, "{:?}", world.shape());
}

#[test]
fn two_fifths_can_stop_relaying_at_once() {
    let mut world = World::of(400);
    let gone: Vec<_> = world.nodes().into_iter().filter(|node| node.0 % 10 < 8 && node.0 % 2 == 0).collect();
    world.change(&gone, 2, false);
    check(&world);
    assert_eq!(world.strategy.waiting(), 0);
    world.rest(60);
    check(&world);
}

#[test]
fn a_viewer_without_room_for_one_copy_is_a_leaf_and_one_with_room_for_one_feeds_two_halves() {
    let mut world = World::of(60);
    world.change(&[NodeId(1)], 0, true);
    world.change(&[NodeId(2), NodeId(3)], 1, true);
    world.rest(20);
    check(&world);
    assert!(world.member(NodeId(1)).children().is_empty());
}

#[test]
fn those_for_whom_there_is_no_place_wait_until_somebody_relays() {
    let mut world = World::of(0);
    (0..10).for_each(|_| _ = world.join(false));
    assert_eq!(world.strategy.waiting(), 8, "the source feeds two of each half");
    (0..8).for_each(|_| _ = world.join(true));
    assert_eq!(world.strategy.waiting(), 0);
    check(&world);
}

#[test]
fn who_waits_loses_the_place_it_had_when_nobody_can_feed_it() {
    let mut world = World::of(30);
    let all = world.nodes();
    world.change(&all, 2, false);
    assert_eq!(world.strategy.waiting(), 28);
    assert_eq!(world.shape().unreached, 28);
    assert_eq!(faults(&world), Vec::<String>::new());
    world.change(&all, 2, true);
    world.rest(60);
    check(&world);
}

#[test]
fn a_quarter_can_vanish_at_once() {
    let mut world = World::of(1_000);
    let gone: Vec<_> = world.nodes().into_iter().filter(|node| node.0 % 4 == 0).collect();
    world.leave(&gone);
    check(&world);
    world.rest(60);
    check(&world);
    let shape = world.shape();
    assert!(shape.over_two <= 0.01 && shape.depth <= shape.depth_least + 1, "{shape:?}");
}

#[test]
fn an_audience_that_shrinks_leaves_shallow_trees() {
    let mut world = World::of(2_000);
    for node in world.nodes().into_iter().filter(|node| node.0 % 20 != 0) {
        world.leave(&[node]);
    }
    world.rest(60);
    check(&world);
    let shape = world.shape();
    assert!(shape.viewers == 100 && shape.depth <= shape.depth_least + 1, "{shape:?}");
}

#[test]
fn who_underperforms_feeds_nobody_for_two_minutes() {
    let mut world = World::of(200);
    let node = feeding(&world, 2);
    world.tell(&[Event::Underperforms(node)]);
    assert!(world.member(node).children().is_empty());
    check(&world);
    world.rest(100);
    assert!(world.strategy.explain(node).unwrap().contains("did not serve well"));
    world.rest(30);
    assert!(!world.strategy.explain(node).unwrap().contains("did not serve well"));
    check(&world);
}

#[test]
fn who_underperforms_feeds_again_when_others_would_have_no_place() {
    let mut world = World::of(40);
    for node in world.nodes() {
        world.tell(&[Event::Underperforms(node)]);
        check(&world);
    }
    (0..40).for_each(|_| _ = world.join(false));
    assert_eq!(world.strategy.waiting(), 0);
    check(&world);
}

#[test]
fn a_child_that_cannot_reach_its_parent_gets_another_one_for_good() {
    let mut world = World::of(100);
    for node in world.nodes() {
        let Some(parent) = world.member(node).parents().iter().map(|(parent, _)| *parent).find(|by| *by != S) else {
            continue;
        };
        world.tell(&[Event::LinkFailed { a: node, b: parent }]);
        let apart = |world: &World| world.member(node).parents().iter().all(|(by, _)| *by != parent);
        assert!(apart(&world), "{node} is below {parent} still");
        check(&world);
        world.rest(5);
        assert!(apart(&world), "{node} is below {parent} again");
    }
}

#[test]
fn a_running_dumbbell_is_taken_over_and_everybody_stays_reached() {
    for (viewers, some_weak) in [(1, false), (2, false), (3, false), (500, false), (500, true)] {
        let mut world = World::taking_over(dumbbell(viewers, some_weak));
        check(&world);
        world.rest(60);
        check(&world);
        let shape = world.shape();
        assert!(some_weak || shape.over_two <= 0.01, "{shape:?}");
        assert!(shape.depth <= shape.depth_least + 1, "{shape:?}");
    }
}

#[test]
fn trees_of_its_own_are_taken_over_as_they_are() {
    let mut world = World::of(300);
    let gone: Vec<_> = world.nodes().into_iter().filter(|node| node.0 % 7 == 0).collect();
    gone.iter().for_each(|node| world.leave(&[*node]));
    world.rest(60);
    let mut again = World::taking_over(world.topology.clone());
    assert_eq!(parents(&again), parents(&world));
    again.rest(20);
    check(&again);
}

#[test]
fn a_source_with_another_room_keeps_the_trees() {
    let mut world = World::of(100);
    let before = parents(&world);
    for capacity in [1, 8, 2] {
        world.change(&[S], capacity, true);
        check(&world);
        assert_eq!(parents(&world), before);
    }
}

#[test]
fn helpers_are_the_grandparents() {
    let world = World::of(100);
    for node in world.nodes() {
        let member = world.member(node);
        let above = |stripe: Stripes| world.member(member.parent_of(stripe)?).parent_of(stripe);
        assert!(Stripes::each().filter_map(above).all(|helper| member.standby().contains(&helper)), "{member:?}");
    }
}

#[test]
fn places_are_explained_in_words() {
    let world = World::of(20);
    let told = world.strategy.explain(NodeId(1)).unwrap();
    assert!(told.contains("feeds the even half of the stream to 2"), "{told}");
    assert!(told.contains("the odd half from"), "{told}");
    assert_eq!(world.strategy.explain(NodeId(99)), None);
}
