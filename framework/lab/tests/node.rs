//! The node alone, under a script that assigns what each test says.

use peerstream_lab::network::Paths;
use peerstream_lab::script::Script;
use peerstream_lab::world::broadcast_keys;
use peerstream_lab::{ActorId, Network, World};
use peerstream_protocol::control::{Assignment, Edge};
use peerstream_protocol::id::NodeId;
use peerstream_protocol::segment::Kind;
use peerstream_protocol::time::Micros;

const SEGMENT: Micros = Micros::from_millis(100);
const BYTES: usize = 31_000;

/// A world with this many viewers, welcomed but not yet placed. Viewer i is called `NodeId(i)`.
fn world(viewers: usize, network: Network) -> (World<Script>, Vec<ActorId>) {
    let (_, cert) = broadcast_keys();
    let mut world = World::new(1, network, Script::new(cert, Kind::Media), Kind::Media);
    world.run_until(Micros::from_millis(200));
    let viewers = (0..viewers)
        .map(|_| {
            let viewer = world.join(true);
            world.run_until(world.now() + Micros::from_millis(150));
            viewer
        })
        .collect();
    (world, viewers)
}

fn tree(edges: &[(u64, u64, Option<u64>)]) -> Vec<(NodeId, NodeId, Option<NodeId>)> {
    edges.iter().map(|(node, parent, backup)| (NodeId(*node), NodeId(*parent), backup.map(NodeId))).collect()
}

fn stream(world: &mut World<Script>, seconds: u64) {
    world.stream(Micros::from_secs(seconds), SEGMENT, BYTES, 10);
}

/// Two dumbbells on each other: 1 and 2 are the roots, 3 and 4 below them, 5 below 3, 6 below 4.
const SMALL: [(u64, u64, Option<u64>); 6] =
    [(1, 0, Some(2)), (2, 0, Some(1)), (3, 1, Some(4)), (4, 2, Some(3)), (5, 3, Some(6)), (6, 4, Some(5))];

fn check_whole(world: &World<Script>, viewer: ActorId, longest_gap: Micros) {
    let received = &world.actor(viewer).received;
    assert_eq!((received.wrong, received.skipped), (0, 0), "{viewer:?} got every byte in order");
    assert!(received.next.0 as usize + 4 >= world.produced(), "{viewer:?} is at {:?}", received.next);
    assert!(received.longest_gap <= longest_gap, "{viewer:?} waited {:?}", received.longest_gap);
}

#[test]
fn an_offer_that_gets_lost_is_made_again() {
    let (mut world, viewers) = world(2, Network::default());
    world.conductor.loses_signals_until = world.now() + Micros::from_secs(1);
    world.conductor.assign_tree(&tree(&[(1, 0, None), (2, 1, None)]));
    stream(&mut world, 5);
    assert_eq!(world.conductor.failures, Vec::new(), "nobody is taken for unreachable");
    assert!(viewers.iter().all(|viewer| world.actor(*viewer).received.first_at < Micros::from_secs(4)));
    assert!(viewers.iter().all(|viewer| world.status(*viewer).links > 0));
}

#[test]
fn a_chain_gets_every_byte_once() {
    let (mut world, viewers) = world(3, Network::default());
    world.conductor.assign_tree(&tree(&[(1, 0, None), (2, 1, None), (3, 2, None)]));
    stream(&mut world, 10);
    for viewer in viewers {
        check_whole(&world, viewer, Micros::from_millis(250));
        let counters = world.status(viewer).counters;
        assert_eq!(counters.payload_repeated, 0, "each piece comes once");
        assert_eq!(counters.malformed + counters.forged + counters.unsolicited, 0);
    }
    let source = world.status(ActorId::SOURCE).counters;
    let copies = source.payload_sent as f64 / source.produced as f64;
    assert!((0.9..=1.0).contains(&copies), "the source sent {copies} copies");
    let overhead = source.overhead_sent as f64 / source.payload_sent as f64;
    assert!(overhead < 0.03, "overhead {overhead}");
}

#[test]
fn a_want_that_is_lost_with_the_first_frame_of_a_link_is_said_again() {
    let (mut world, viewers) = world(2, Network { first_frames_lost: 1.0, ..Network::default() });
    world.conductor.assign_tree(&tree(&[(1, 0, None), (2, 1, None)]));
    stream(&mut world, 5);
    viewers.iter().for_each(|viewer| check_whole(&world, *viewer, Micros::from_millis(250)));
}

#[test]
fn a_buddy_steps_in_when_the_parent_dies() {
    let (mut world, viewers) = world(6, Network::default());
    world.conductor.assign_tree(&tree(&SMALL));
    stream(&mut world, 5);
    world.kill(viewers[0]);
    stream(&mut world, 5);
    for viewer in &viewers[1..] {
        check_whole(&world, *viewer, Micros::from_millis(900));
    }
    assert_eq!(world.status(viewers[2]).feeders, [NodeId(4)], "3 is fed by its buddy");
    assert!(world.conductor.suspects.iter().any(|(by, of)| (by.0, of.0) == (3, 1)), "3 suspects 1");
}

#[test]
fn a_frozen_parent_is_not_waited_for_and_the_backup_is_released_after() {
    let (mut world, viewers) = world(6, Network::default());
    world.conductor.assign_tree(&tree(&SMALL));
    stream(&mut world, 5);
    world.freeze(viewers[0], Micros::from_secs(2));
    stream(&mut world, 8);
    for viewer in &viewers[1..] {
        check_whole(&world, *viewer, Micros::from_millis(900));
    }
    assert_eq!(world.status(viewers[2]).feeders, [NodeId(1)], "3 went back to its parent");
    let repeated = world.status(viewers[2]).counters.payload_repeated;
    assert!(repeated < 15 * BYTES as u64, "3 got {repeated} bytes twice");
}

#[test]
fn a_new_parent_feeds_before_the_old_one_is_released() {
    let (mut world, viewers) = world(4, Network::default());
    world.conductor.assign_tree(&tree(&[(1, 0, None), (2, 0, None), (3, 1, None), (4, 3, None)]));
    stream(&mut world, 4);
    let to_two = || vec![Edge::now(NodeId(3))];
    world.conductor.assign(NodeId(2), Assignment { parents: vec![Edge::now(NodeId(0))], children: to_two(), ..none() });
    let three = Assignment { parents: vec![Edge::now(NodeId(2))], children: vec![Edge::now(NodeId(4))], ..none() };
    world.conductor.assign(NodeId(3), three);
    stream(&mut world, 4);
    check_whole(&world, viewers[3], Micros::from_millis(250));
    assert_eq!(world.status(viewers[2]).feeders, [NodeId(2)]);
    assert!(world.status(viewers[0]).fed.is_empty(), "1 has been released");
}

fn none() -> Assignment {
    Assignment::default()
}

#[test]
fn the_end_reaches_everybody() {
    let (mut world, viewers) = world(2, Network::default());
    world.conductor.assign_tree(&tree(&[(1, 0, None), (2, 1, None)]));
    stream(&mut world, 2);
    world.end();
    world.run_until(world.now() + Micros::from_secs(1));
    assert!(viewers.iter().all(|viewer| world.actor(*viewer).received.ended));
}

/// Six viewers that the first one may have to help: 2 and 3 are its children, 4 and 5 hang on 6 and are backed up by it.
/// 5 may also ask 7.
fn one_helper_of_two() -> (World<Script>, Vec<ActorId>) {
    let (mut world, viewers) = world(7, Network::default());
    let edges =
        [(1, 0, None), (2, 1, None), (3, 1, None), (6, 0, None), (4, 6, Some(1)), (5, 6, Some(1)), (7, 0, None)];
    world.conductor.assign_tree(&tree(&edges));
    (world, viewers)
}

#[test]
fn a_helper_without_a_copy_to_spare_says_so_and_the_next_one_is_asked() {
    let (mut world, viewers) = one_helper_of_two();
    let (fifth, seventh) = (NodeId(5), NodeId(7));
    let edge = |peer: u64| Edge::now(NodeId(peer));
    let parents = vec![edge(6)];
    let assignment = Assignment { parents, backup: Some(edge(1)), standby: vec![edge(7)], ..Assignment::default() };
    world.conductor.assign(fifth, assignment);
    let standby = vec![edge(5)];
    world.conductor.assign(seventh, Assignment { parents: vec![edge(0)], standby, ..Assignment::default() });
    stream(&mut world, 8);
    world.kill(viewers[5]);
    stream(&mut world, 6);
    for viewer in [viewers[3], viewers[4]] {
        check_whole(&world, viewer, Micros::from_millis(900));
    }
    assert!(world.status(viewers[0]).counters.refused > 0, "it has three copies, and two of them are its children's");
}

#[test]
fn a_helper_lets_a_dead_child_go_for_one_that_asks_in_need() {
    let (mut world, viewers) = one_helper_of_two();
    stream(&mut world, 8);
    world.kill(viewers[5]);
    world.kill(viewers[1]);
    stream(&mut world, 6);
    for viewer in [viewers[3], viewers[4]] {
        check_whole(&world, viewer, Micros::from_millis(1_500));
    }
}

/// 1 stood still for three seconds and catches up over 10 Mbit/s; 4, whose parent has died meanwhile, asks it for help.
#[test]
fn children_that_catch_up_come_before_whoever_is_helped_out() {
    let (mut world, viewers) = world(6, Network::default());
    let edges = [(1, 0, None), (2, 1, None), (3, 1, None), (6, 0, None), (4, 6, Some(1)), (5, 6, None)];
    world.conductor.assign_tree(&tree(&edges));
    stream(&mut world, 8);
    world.actor_mut(viewers[0]).access.uplink = 1_250_000;
    world.freeze(viewers[0], Micros::from_secs(3));
    stream(&mut world, 2);
    world.kill(viewers[5]);
    stream(&mut world, 5);
    let behind = |at: usize| world.produced() as u64 - world.actor(viewers[at]).received.next.0;
    assert!(behind(1) < 8 && behind(2) < 8, "{} and {} segments behind", behind(1), behind(2));
    assert_eq!(world.status(viewers[0]).fed.len(), 3, "it helps, too");
    stream(&mut world, 10);
    check_whole(&world, viewers[3], Micros::from_secs(6));
}

#[test]
fn media_that_is_overdue_is_asked_for_although_the_parent_answers() {
    let (mut world, viewers) = world(4, Network::default());
    world.conductor.assign_tree(&tree(&[(1, 0, None), (2, 1, None), (3, 2, None), (4, 0, None)]));
    let edge = |peer: u64| Edge::now(NodeId(peer));
    let standby = vec![edge(4)];
    world.conductor.assign(NodeId(3), Assignment { parents: vec![edge(2)], standby, ..Assignment::default() });
    let standby = vec![edge(3)];
    world.conductor.assign(NodeId(4), Assignment { parents: vec![edge(0)], standby, ..Assignment::default() });
    stream(&mut world, 8);
    world.kill(viewers[0]);
    stream(&mut world, 6);
    check_whole(&world, viewers[2], Micros::from_millis(1_000));
}

/// Three viewers below each other, and two below the source that the third may ask, the fourth first; all far from each
/// other.
fn far_standbys() -> (World<Script>, Vec<ActorId>) {
    let far = Network { paths: Paths::Same(Micros::from_millis(120)), ..Network::default() };
    let (mut world, viewers) = world(5, far);
    world.conductor.assign_tree(&tree(&[(1, 0, None), (2, 1, None), (3, 2, None), (4, 0, None), (5, 0, None)]));
    for helper in [4, 5] {
        let (parents, standby) = (vec![Edge::now(NodeId(0))], vec![Edge::now(NodeId(3))]);
        world.conductor.assign(NodeId(helper), Assignment { parents, standby, ..Assignment::default() });
    }
    world.conductor.assign(NodeId(3), third());
    stream(&mut world, 10);
    (world, viewers)
}

fn third() -> Assignment {
    let edge = |peer: u64| Edge::now(NodeId(peer));
    Assignment { parents: vec![edge(2)], standby: vec![edge(4), edge(5)], ..Assignment::default() }
}

#[test]
fn a_dead_helper_costs_no_more_than_its_answer_would_have_taken() {
    let (mut world, viewers) = far_standbys();
    world.kill(viewers[1]);
    world.kill(viewers[3]);
    stream(&mut world, 6);
    check_whole(&world, viewers[2], Micros::from_millis(1_400));
    assert!(world.conductor.suspects.contains(&(NodeId(3), NodeId(4))), "the coordinator hears of the dead helper too");
}

#[test]
fn newer_assignments_do_not_bring_a_dead_helper_back_to_the_front() {
    let (mut world, viewers) = far_standbys();
    world.kill(viewers[1]);
    world.kill(viewers[3]);
    for _ in 0..30 {
        world.conductor.assign(NodeId(3), third());
        world.stream(Micros::from_millis(200), SEGMENT, BYTES, 10);
    }
    check_whole(&world, viewers[2], Micros::from_millis(1_400));
}

#[test]
fn a_helper_far_away_is_not_let_go_before_its_answer_could_come() {
    let (mut world, viewers) = far_standbys();
    // The parent answers all the time and has nothing.
    world.kill(viewers[0]);
    stream(&mut world, 6);
    check_whole(&world, viewers[2], Micros::from_millis(1_600));
    assert_eq!(world.status(viewers[2]).counters.takeovers, 1);
}
