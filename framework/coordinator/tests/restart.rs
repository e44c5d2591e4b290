//! A coordinator dies and another one of the same epoch takes over.

mod world;

use peerstream_coordinator::{Config, Origin};
use peerstream_overlay::{Context, Event, Plan, TreeStrategy};
use peerstream_protocol::control::{Hello, LinkReport, Report, Role, Up};
use peerstream_protocol::id::{NodeId, Session, Stripes, Term};
use peerstream_protocol::time::Micros;
use world::{World, address, config, hello};

const S: NodeId = NodeId::SOURCE;

fn next() -> Config {
    Config { term: Term(2), follows: true, ..config() }
}

/// A small tree that has run for a while: two roots, and two children below each.
fn tree() -> (World, Vec<NodeId>) {
    let mut world = World::new();
    let nodes: Vec<_> = (0..6).map(|_| joined_apart(&mut world)).collect();
    let [a, b, c, d, e, f] = nodes[..] else { unreachable!() };
    world.place(&[(a, S), (b, S), (c, a), (d, a), (e, b), (f, b)]);
    world.plan(|group| {
        group.set_backup(a, Some(b)).set_backup(b, Some(a)).set_backup(c, Some(e)).set_backup(e, Some(c));
    });
    world.check_delivered();
    (world, nodes)
}

fn joined_apart(world: &mut World) -> NodeId {
    world.run(1_000);
    world.join()
}

fn restart(world: &mut World) {
    let script = world.script.clone();
    world.restart(next(), Box::new(script));
}

fn source_comes_back(world: &mut World) {
    assert_eq!(world.connect(Origin::Source, hello(Role::Source)), Some(S));
}

fn come_back(world: &mut World, nodes: &[NodeId]) {
    nodes.iter().for_each(|node| assert_eq!(world.resume(*node), Some(*node)));
}

/// Runs and looks that everybody has data at every step.
fn run_fed(world: &mut World, nodes: &[NodeId], ms: u64) {
    for _ in 0..ms / world::STEP_MS {
        world.step();
        nodes.iter().for_each(|node| assert!(world.has_data(*node), "{node} has no data"));
    }
}

#[test]
fn a_new_coordinator_takes_over_names_ages_and_links_and_moves_nobody() {
    let (mut world, nodes) = tree();
    let before = world.coordinator.overview();
    restart(&mut world);
    run_fed(&mut world, &nodes, 500);
    source_comes_back(&mut world);
    for node in nodes.iter().rev() {
        run_fed(&mut world, &nodes, 300);
        assert_eq!(world.resume(*node), Some(*node));
    }
    run_fed(&mut world, &nodes, 2_000);
    world.check_delivered();
    let after = world.coordinator.overview();
    assert_eq!((after.term, after.adopting), (Term(2), false));
    assert_eq!((after.counters.adopted, after.counters.joined, after.counters.moves), (6, 0, 0));
    for (old, new) in before.nodes.iter().zip(&after.nodes).skip(1) {
        assert_eq!((old.id, old.parent, old.backup), (new.id, new.parent, new.backup));
        assert_eq!(old.age.since(Micros(0)), new.age.since(after.now.since(before.now)), "{}", old.id);
    }
    assert!(world.torn.is_empty());
}

#[test]
fn the_time_of_listening_ends_when_everyone_who_is_named_has_reported() {
    let (mut world, nodes) = tree();
    restart(&mut world);
    source_comes_back(&mut world);
    come_back(&mut world, &nodes);
    world.run(200);
    assert!(!world.coordinator.overview().adopting);
}

#[test]
fn the_time_of_listening_is_bounded() {
    let (mut world, nodes) = tree();
    restart(&mut world);
    source_comes_back(&mut world);
    assert_eq!(world.resume(nodes[0]), Some(nodes[0]));
    world.run(2_500);
    assert!(world.coordinator.overview().adopting);
    world.run(700);
    assert!(!world.coordinator.overview().adopting);
}

#[test]
fn nobody_is_ordered_about_before_the_time_of_listening_is_over() {
    let (mut world, nodes) = tree();
    restart(&mut world);
    source_comes_back(&mut world);
    assert_eq!(world.resume(nodes[2]), Some(nodes[2]));
    let held = world.nodes[&nodes[2]].assignment.clone();
    run_fed(&mut world, &nodes, 2_500);
    assert_eq!(world.nodes[&nodes[2]].assignment, held);
}

#[test]
fn a_node_that_is_late_keeps_its_place_by_the_word_of_its_neighbours() {
    let (mut world, nodes) = tree();
    restart(&mut world);
    source_comes_back(&mut world);
    come_back(&mut world, &nodes[1..]);
    run_fed(&mut world, &nodes, 9_000);
    assert!(!world.coordinator.overview().adopting);
    assert_eq!(world.coordinator.counters().places_held, 1);
    let shown = world.shown(nodes[0]).expect("its place is held");
    assert!(shown.parent == Some(S) && !shown.connected);
    assert_eq!(world.resume(nodes[0]), Some(nodes[0]));
    run_fed(&mut world, &nodes, 1_500);
    world.check_delivered();
    assert!(world.shown(nodes[0]).unwrap().age > world.shown(nodes[1]).unwrap().age, "its ticket tells its age");
    assert_eq!(world.coordinator.counters().moves, 0);
}

#[test]
fn a_node_that_died_meanwhile_is_taken_out() {
    let (mut world, nodes) = tree();
    restart(&mut world);
    world.kill(nodes[0]);
    source_comes_back(&mut world);
    come_back(&mut world, &nodes[1..]);
    world.run(6_500);
    assert!(world.shown(nodes[0]).is_none());
}

#[test]
fn an_age_is_not_believed_without_its_ticket() {
    let (mut world, nodes) = tree();
    world.run(20_000);
    restart(&mut world);
    source_comes_back(&mut world);
    for (node, ticket) in [(nodes[0], Vec::new()), (nodes[1], world.nodes[&nodes[0]].ticket.clone())] {
        world.nodes.get_mut(&node).unwrap().ticket = ticket;
    }
    come_back(&mut world, &nodes);
    world.run(1_000);
    let age = |node: NodeId| world.shown(node).unwrap().age;
    assert!(age(nodes[0]) < Micros::from_secs(2) && age(nodes[1]) < Micros::from_secs(2));
    assert!(age(nodes[2]) > Micros::from_secs(20));
}

#[test]
fn a_node_taken_for_dead_does_not_come_back_with_its_old_age() {
    let (mut world, nodes) = tree();
    restart(&mut world);
    source_comes_back(&mut world);
    come_back(&mut world, &nodes);
    world.run(1_000);
    world.tell(nodes[5], &Up::Leave);
    let back = world.resume(nodes[5]).unwrap();
    assert_ne!(back, nodes[5]);
    assert_eq!(back.0 >> 32, 2, "a name of the new term");
}

#[test]
fn a_newcomer_during_the_time_of_listening_gets_its_place_after_it() {
    let (mut world, nodes) = tree();
    world.restart(next(), Box::new(Below(nodes[2])));
    source_comes_back(&mut world);
    let newcomer = world.join();
    come_back(&mut world, &nodes);
    world.run(2_000);
    assert_eq!(world.shown(newcomer).unwrap().parent, Some(nodes[2]));
    world.check_delivered();
}

#[test]
fn another_epoch_adopts_nobody() {
    let (mut world, nodes) = tree();
    let script = world.script.clone();
    world.restart(Config { follows: false, ..next() }, Box::new(script));
    source_comes_back(&mut world);
    let back = world.resume(nodes[0]).unwrap();
    assert_ne!(back, nodes[0]);
    assert!(!world.coordinator.overview().adopting);
}

#[test]
fn lies_about_links_end_in_a_valid_overlay() {
    let (mut world, nodes) = tree();
    restart(&mut world);
    source_comes_back(&mut world);
    // Everyone says that everyone feeds it, and that it feeds everyone.
    for node in &nodes {
        assert_eq!(world.resume(*node), Some(*node));
        let link = |peer| LinkReport { peer, open: true, feeds_me: Stripes::ALL, fed_by_me: Stripes::ALL, rtt_ms: 1 };
        let links = nodes.iter().copied().chain((0..50).map(|n| NodeId((1 << 32) | (100 + n)))).map(link).collect();
        let report = Report { term: Term(1), version: 9, links, ..Default::default() };
        world.tell(*node, &Up::Report(report));
    }
    world.run(40_000);
    let overview = world.coordinator.overview();
    assert!(!overview.adopting);
    let ids: Vec<_> = overview.nodes.iter().map(|node| node.id).filter(|id| *id != S).collect();
    assert_eq!(ids, nodes, "invented nodes are gone");
}

/// Puts everyone without a parent below one node.
struct Below(NodeId);

impl TreeStrategy for Below {
    fn attach(&mut self, context: &Context<'_>, plan: &mut Plan) {
        for (node, member) in context.topology.iter().filter(|(node, _)| *node != S) {
            if member.parent().is_none() {
                plan.group().set_parent(node, Stripes::ALL, self.0);
            }
        }
    }
    fn on_events(&mut self, _: &Context<'_>, _: &[Event], _: &mut Plan) {}
}

#[test]
fn a_stranger_cannot_take_over_a_name_of_an_earlier_term() {
    let (mut world, nodes) = tree();
    restart(&mut world);
    let forged = Hello {
        resume: Some((nodes[0], Session([7; 16]))),
        ticket: world.nodes[&nodes[0]].ticket.clone(),
        ..hello(Role::Viewer)
    };
    assert_ne!(world.connect(address(9), forged), Some(nodes[0]));
}
