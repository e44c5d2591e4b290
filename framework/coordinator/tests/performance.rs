//! Who serves badly, who is served badly, and what becomes of too many.

mod world;

use peerstream_coordinator::Fault;
use peerstream_protocol::control::Reason;
use peerstream_protocol::id::NodeId;
use world::World;

const S: NodeId = NodeId::SOURCE;

/// Two roots that back each other up, two children below each.
fn tree() -> (World, [NodeId; 6]) {
    let mut world = World::new();
    let nodes @ [a, b, c, d, e, f] = std::array::from_fn(|_| world.join());
    world.place(&[(a, S), (b, S), (c, a), (d, a), (e, b), (f, b)]);
    world.plan(|group| {
        group.set_backup(a, Some(b)).set_backup(b, Some(a)).set_backup(c, Some(e)).set_backup(e, Some(c));
    });
    world.run(8_000);
    (world, nodes)
}

fn suffer(world: &mut World, nodes: &[NodeId]) {
    for node in nodes {
        let model = world.nodes.get_mut(node).unwrap();
        (model.behind, model.hungry) = (100, true);
    }
}

fn recover(world: &mut World, nodes: &[NodeId]) {
    for node in nodes {
        let model = world.nodes.get_mut(node).unwrap();
        (model.behind, model.hungry) = (0, false);
    }
}

fn fault(world: &World, node: NodeId) -> Option<Fault> {
    world.shown(node).unwrap().fault
}

#[test]
fn nobody_underperforms_in_a_broadcast_that_runs_well() {
    let (mut world, nodes) = tree();
    world.run(30_000);
    assert_eq!(world.script.underperforming(), []);
    assert!(nodes.iter().all(|node| fault(&world, *node).is_none()));
}

#[test]
fn a_relay_that_claims_perfect_progress_and_starves_its_children_underperforms() {
    let (mut world, [a, _, c, d, ..]) = tree();
    suffer(&mut world, &[c, d]);
    world.run(8_000);
    assert_eq!(world.script.underperforming(), [a]);
    assert_eq!(fault(&world, a), Some(Fault::Relay));
}

#[test]
fn children_that_only_their_backup_keeps_alive_count_as_badly_served() {
    let (mut world, [a, _, c, d, ..]) = tree();
    for node in [c, d] {
        world.nodes.get_mut(&node).unwrap().hungry = true;
    }
    world.run(8_000);
    assert_eq!(world.script.underperforming(), [a]);
}

#[test]
fn a_few_bad_reports_are_no_verdict() {
    let (mut world, [_, _, c, d, ..]) = tree();
    for _ in 0..5 {
        suffer(&mut world, &[c, d]);
        world.run(2_500);
        recover(&mut world, &[c, d]);
        world.run(2_500);
    }
    assert_eq!(world.script.underperforming(), []);
}

#[test]
fn a_relay_is_well_again_when_its_children_are() {
    let (mut world, [a, _, c, d, ..]) = tree();
    suffer(&mut world, &[c, d]);
    world.run(8_000);
    recover(&mut world, &[c, d]);
    world.run(8_000);
    assert_eq!(fault(&world, a), None);
}

#[test]
fn a_child_that_complains_alone_is_itself_the_problem() {
    let (mut world, [_, _, c, ..]) = tree();
    suffer(&mut world, &[c]);
    world.run(20_000);
    assert_eq!(world.script.underperforming(), [c]);
    assert_eq!(fault(&world, c), Some(Fault::Receiver));
    recover(&mut world, &[c]);
    world.run(8_000);
    assert_eq!(fault(&world, c), None);
}

#[test]
fn leaves_that_collude_under_different_parents_push_nobody_down() {
    let (mut world, [a, b, c, _, e, _]) = tree();
    suffer(&mut world, &[c, e]);
    world.run(30_000);
    assert!([a, b].iter().all(|parent| !world.script.underperforming().contains(parent)));
}

#[test]
fn an_only_child_needs_the_word_of_its_parents_backup() {
    let mut world = World::new();
    let [a, b, c]: [NodeId; 3] = std::array::from_fn(|_| world.join());
    world.place(&[(a, S), (b, S), (c, a)]);
    world.plan(|group| {
        group.set_backup(a, Some(b)).set_backup(b, Some(a));
    });
    world.run(8_000);
    suffer(&mut world, &[c]);
    world.run(20_000);
    assert_eq!(world.script.underperforming(), []);
    // The backup feeds the parent, whatever that one says of its progress.
    world.nodes.get_mut(&b).unwrap().rescues = true;
    world.run(8_000);
    assert_eq!(world.script.underperforming(), [a]);
}

#[test]
fn two_siblings_that_collude_push_their_parent_down_once_in_two_minutes() {
    let (mut world, [a, b, c, d, e, f]) = tree();
    suffer(&mut world, &[c, d]);
    world.run(8_000);
    assert_eq!(world.script.underperforming(), [a]);
    // They get another parent, and complain of that one as well.
    world.plan(|group| {
        for (node, parent) in [(e, a), (f, a), (c, b), (d, b)] {
            group.set_parent(node, peerstream_protocol::id::Stripes::ALL, parent);
        }
    });
    world.run(60_000);
    assert_eq!(world.script.underperforming(), [a]);
    world.run(60_000);
    assert_eq!(world.script.underperforming(), [a, b]);
}

#[test]
fn a_relay_that_says_itself_that_it_is_badly_off_is_judged_against_its_sibling() {
    let (mut world, [a, b, c, d, ..]) = tree();
    suffer(&mut world, &[a, c, d]);
    world.run(20_000);
    assert!(world.script.underperforming().contains(&a));
    assert!(!world.script.underperforming().contains(&b));
    assert_eq!(fault(&world, a), Some(Fault::Receiver));
}

#[test]
fn claims_beyond_what_the_source_has_produced_count_for_nothing() {
    let (mut world, [a, _, c, d, ..]) = tree();
    world.nodes.get_mut(&a).unwrap().ahead = u64::MAX / 2;
    world.run(20_000);
    assert_eq!(world.script.underperforming(), []);
    assert!([c, d].iter().all(|node| fault(&world, *node).is_none()));
}

#[test]
fn when_more_than_half_struggle_leaves_are_turned_away_in_batches_youngest_first() {
    let (mut world, [a, _, c, d, e, f]) = tree();
    // The whole of the audience cannot take the bitrate.
    let all = [a, c, d, e, f];
    suffer(&mut world, &all);
    world.run(6_000);
    assert_eq!(world.refused, [(f, Reason::NoLowerRendition)].into());
    assert_eq!((world.shed, world.coordinator.counters().shed), (1, 1));
    world.run(5_000);
    assert_eq!(world.shed, 2, "one at a time in so small an audience");
    recover(&mut world, &[a, c, d]);
    world.run(20_000);
    assert!(!world.coordinator.overview().overloaded);
    assert_eq!(world.refused.len(), world.shed);
}

#[test]
fn while_half_are_well_nobody_is_turned_away() {
    let (mut world, [_, _, c, d, e, _]) = tree();
    suffer(&mut world, &[c, d, e]);
    world.run(30_000);
    assert!(world.refused.is_empty());
    assert_eq!(world.coordinator.overview().struggling, 3);
}
