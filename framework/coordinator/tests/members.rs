//! Coming, going, dying, and what protects the coordinator.

mod world;

use peerstream_coordinator::{Coordinator, Input, Limits, Origin, Output};
use peerstream_protocol::control::{Down, Hello, Reason, Report, Role, Up};
use peerstream_protocol::crypto::PublicKey;
use peerstream_protocol::id::{NodeId, Session};
use peerstream_protocol::time::Micros;
use world::{Script, World, address, config, hello};

const S: NodeId = NodeId::SOURCE;

/// A small tree: two roots, and two children below each.
fn tree() -> (World, Vec<NodeId>) {
    let mut world = World::new();
    let nodes: Vec<_> = (0..6).map(|_| world.join()).collect();
    let [a, b, c, d, e, f] = nodes[..] else { unreachable!() };
    world.place(&[(a, S), (b, S), (c, a), (d, a), (e, b), (f, b)]);
    world.plan(|group| {
        group.set_backup(a, Some(b)).set_backup(b, Some(a)).set_backup(c, Some(e)).set_backup(e, Some(c));
    });
    world.check_delivered();
    (world, nodes)
}

fn is_member(world: &World, node: NodeId) -> bool {
    world.shown(node).is_some()
}

/// Milliseconds until the coordinator has taken the node out.
fn time_to_die(world: &mut World, node: NodeId) -> u64 {
    (0..4_000)
        .find(|_| {
            world.step();
            !is_member(world, node)
        })
        .expect("dead within 40 s")
        * world::STEP_MS
}

#[test]
fn a_newcomer_is_welcomed_with_everything_it_needs() {
    let mut world = World::new();
    let node = world.join();
    let (_, welcome) = world.welcomes.last().unwrap();
    assert_eq!((welcome.node, welcome.term), (node, config().term));
    assert_eq!((welcome.cert.clone(), welcome.ice.clone()), (config().cert, config().ice));
    assert_eq!(welcome.wall_us, 1_000_000 + world.now.0);
}

#[test]
fn a_broken_connection_is_not_a_death_and_the_node_keeps_its_place() {
    let (mut world, nodes) = tree();
    world.cut(nodes[0]);
    world.run(5_000);
    assert_eq!(world.resume(nodes[0]), Some(nodes[0]));
    world.run(1_000);
    world.check_delivered();
    assert_eq!(world.coordinator.counters().resumed, 1);
    assert_eq!(world.coordinator.counters().moves, 0);
}

#[test]
fn a_node_may_resume_before_its_old_connection_is_known_to_be_broken() {
    let (mut world, nodes) = tree();
    let old = world.nodes[&nodes[0]].conn.unwrap();
    assert_eq!(world.resume(nodes[0]), Some(nodes[0]));
    assert!(world.closed.contains(&old));
    world.input(Input::Closed(old));
    assert!(world.shown(nodes[0]).unwrap().connected);
}

#[test]
fn a_false_or_unknown_session_is_a_new_join() {
    let (mut world, nodes) = tree();
    let forged = Hello { resume: Some((nodes[0], Session([7; 16]))), ..hello(Role::Viewer) };
    let stranger = world.connect(address(9), forged).unwrap();
    assert!(!nodes.contains(&stranger));
    assert!(world.shown(nodes[0]).unwrap().connected);
}

#[test]
fn a_goodbye_takes_effect_at_once() {
    let (mut world, nodes) = tree();
    world.tell(nodes[2], &Up::Leave);
    assert!(!is_member(&world, nodes[2]));
    assert_eq!(world.coordinator.counters().left, 1);
    world.run(100);
    assert!(!world.nodes[&nodes[0]].assignment.peers().contains(&nodes[2]));
}

#[test]
fn an_established_node_that_vanishes_is_dead_within_600_ms() {
    for (which, who) in [(0, "two children and a backup"), (2, "a leaf with a parent and a backup")] {
        let (mut world, nodes) = tree();
        world.run(10_000);
        world.kill(nodes[which]);
        let ms = time_to_die(&mut world, nodes[which]);
        assert!(ms <= 600, "{who}: {ms} ms");
        assert_eq!(world.coordinator.counters().died_suspected, 1);
    }
}

#[test]
fn an_established_node_that_only_one_can_tell_of_is_dead_within_600_ms() {
    let (mut world, nodes) = tree();
    world.run(10_000);
    // A leaf without a backup: only its parent notices.
    world.kill(nodes[3]);
    let ms = time_to_die(&mut world, nodes[3]);
    assert!(ms <= 600, "{ms} ms");
}

#[test]
fn a_young_node_gets_longer_because_a_starting_page_stands_still() {
    let (mut world, nodes) = tree();
    world.nodes.get_mut(&nodes[3]).unwrap().frozen = true;
    world.run(1_000);
    world.nodes.get_mut(&nodes[3]).unwrap().frozen = false;
    world.run(2_000);
    assert!(is_member(&world, nodes[3]));
    let (mut world, nodes) = tree();
    world.kill(nodes[0]);
    assert!(time_to_die(&mut world, nodes[0]) <= 1_500);
    let (mut world, nodes) = tree();
    world.crash(nodes[2]);
    assert!(time_to_die(&mut world, nodes[2]) <= 600, "its connection ended");
}

#[test]
fn a_suspect_that_answers_lives() {
    let (mut world, nodes) = tree();
    world.run(10_000);
    for _ in 0..20 {
        world.tell(nodes[2], &Up::Suspect(nodes[0]));
        world.run(200);
    }
    assert!(is_member(&world, nodes[0]));
    assert!(world.coordinator.counters().probes > 0);
}

#[test]
fn an_established_node_that_stands_still_for_half_a_second_lives() {
    let (mut world, nodes) = tree();
    world.run(10_000);
    world.nodes.get_mut(&nodes[0]).unwrap().frozen = true;
    world.run(450);
    world.nodes.get_mut(&nodes[0]).unwrap().frozen = false;
    world.run(2_000);
    assert!(is_member(&world, nodes[0]));
    world.check_delivered();
}

#[test]
fn a_stopped_node_is_dead_and_comes_back_as_a_newcomer() {
    let (mut world, nodes) = tree();
    world.nodes.get_mut(&nodes[0]).unwrap().frozen = true;
    assert!(time_to_die(&mut world, nodes[0]) <= 1_500);
    assert_eq!(world.refused.get(&nodes[0]), Some(&Reason::TakenForDead));
    let back = world.resume(nodes[0]).unwrap();
    assert_ne!(back, nodes[0]);
}

#[test]
fn one_neighbour_cannot_have_a_living_node_taken_for_dead() {
    let (mut world, nodes) = tree();
    world.tell(nodes[2], &Up::Suspect(nodes[0]));
    world.run(5_000);
    assert!(is_member(&world, nodes[0]));
}

#[test]
fn strangers_have_no_say_about_life_and_death() {
    let (mut world, nodes) = tree();
    for stranger in [nodes[4], nodes[5]] {
        world.tell(stranger, &Up::Suspect(nodes[0]));
    }
    world.run(2_000);
    assert!(is_member(&world, nodes[0]));
    assert_eq!(world.coordinator.counters().reports_unfounded, 2);
}

#[test]
fn a_closed_connection_without_any_link_is_dead_after_two_and_a_half_seconds() {
    let mut world = World::new();
    let node = world.join();
    world.cut(node);
    world.kill(node);
    let ms = time_to_die(&mut world, node);
    assert!((2_300..=2_700).contains(&ms), "{ms}");
}

#[test]
fn nobody_dies_when_all_connections_break_for_five_seconds() {
    let (mut world, nodes) = tree();
    nodes.iter().for_each(|node| world.cut(*node));
    for _ in 0..500 {
        world.step();
        assert!(nodes.iter().all(|node| world.has_data(*node)));
    }
    assert!(nodes.iter().all(|node| world.resume(*node) == Some(*node)));
    world.run(1_000);
    world.check_delivered();
    assert_eq!(world.coordinator.counters().moves, 0);
    assert!(world.coordinator.counters().mass_losses > 0);
}

#[test]
fn a_coordinator_that_was_asleep_condemns_nobody_for_it() {
    let (mut world, nodes) = tree();
    world.tell(nodes[2], &Up::Suspect(nodes[0]));
    world.now += Micros::from_secs(40);
    world.input(Input::Tick);
    world.run(100);
    assert!(nodes.iter().all(|node| is_member(&world, *node)));
}

#[test]
fn signals_pass_between_neighbours_only() {
    let (mut world, nodes) = tree();
    let signal = |to| Up::Signal { to, attempt: 1, payload: vec![1] };
    world.tell(nodes[2], &signal(nodes[0]));
    world.tell(nodes[2], &signal(nodes[5]));
    let counters = world.coordinator.counters();
    assert_eq!((counters.signals, counters.signals_unfounded), (1, 1));
    world.cut(nodes[0]);
    world.tell(nodes[2], &signal(nodes[0]));
    assert_eq!(world.coordinator.counters().signals_undeliverable, 1);
    (0..1_000).for_each(|_| world.tell(nodes[2], &signal(nodes[0])));
    assert!(world.coordinator.counters().signals_dropped > 0);
}

#[test]
fn two_hundred_viewers_behind_one_address_join_at_once_and_a_thousand_do_not() {
    let mut world = World::new();
    let joined = (0..1_000).filter(|_| world.connect(address(1), hello(Role::Viewer)).is_some()).count();
    assert!((200..=300).contains(&joined), "{joined}");
    assert_eq!(world.coordinator.counters().joins_refused_address as usize, 1_000 - joined);
    assert!(world.connect(address(2), hello(Role::Viewer)).is_some(), "others are not affected");
}

#[test]
fn a_full_coordinator_refuses_newcomers() {
    let limits = Limits { nodes_max: 3, ..Limits::default() };
    let mut world = World::with(peerstream_coordinator::Config { limits, ..config() }, 1, None);
    let joined = (0..5).filter(|_| world.connect(address(1), hello(Role::Viewer)).is_some()).count();
    assert_eq!((joined, world.coordinator.counters().joins_refused_full), (3, 2));
}

#[test]
fn connections_are_bounded_and_silent_ones_are_closed() {
    let limits = Limits { connections_max: 5, ..Limits::default() };
    let mut world = World::with(peerstream_coordinator::Config { limits, ..config() }, 1, None);
    let conns: Vec<_> = (0..6).map(|_| world.open(address(1))).collect();
    assert_eq!(world.coordinator.counters().connections_refused, 2);
    world.run(5_200);
    assert!(conns.iter().all(|conn| world.closed.contains(conn)));
    assert_eq!(world.coordinator.counters().hello_timeouts, 4);
}

#[test]
fn hellos_for_something_else_are_refused() {
    let mut world = World::new();
    let others = [
        (Hello { wire: 999, ..hello(Role::Viewer) }, Reason::WireVersion),
        (Hello { stream: Some(PublicKey([9; 32])), ..hello(Role::Viewer) }, Reason::UnknownStream),
        (hello(Role::Source), Reason::Misbehaved),
    ];
    for (hello, reason) in others {
        assert_eq!(answer(&mut world, hello), Down::Refuse(reason));
    }
    assert_eq!(world.coordinator.counters().joins_refused_other, 3);
}

/// The answer to a hello from the outside.
fn answer(world: &mut World, hello: Hello) -> Down {
    let conn = peerstream_coordinator::ConnId(77_000 + world.coordinator.counters().joins_refused_other);
    let (now, origin) = (world.now, address(1));
    world.coordinator.handle(now, Input::Opened { conn, origin });
    world.coordinator.handle(now, Input::Message(conn, &Up::Hello(hello).encode()));
    let mut answers = std::iter::from_fn(|| world.coordinator.poll());
    let bytes = answers.find_map(|output| if let Output::Send(_, bytes) = output { Some(bytes) } else { None });
    Down::decode(&bytes.expect("an answer")).unwrap()
}

#[test]
fn floods_and_garbage_end_the_connection() {
    let (mut world, nodes) = tree();
    let conn = world.nodes[&nodes[5]].conn.unwrap();
    (0..8).for_each(|_| world.input(Input::Message(conn, &[0, 99, 99])));
    assert!(world.closed.contains(&conn));
    assert!(!is_member(&world, nodes[5]));
    let conn = world.nodes[&nodes[4]].conn.unwrap();
    (0..2_000).for_each(|nonce| world.say(conn, &Up::Ping { nonce }));
    assert!(world.closed.contains(&conn));
    let counters = world.coordinator.counters();
    assert_eq!((counters.malformed, counters.misbehaved), (8, 2));
    assert!(counters.messages_dropped >= 1_000);
}

#[test]
fn what_comes_before_the_hello_is_ignored_and_counted() {
    let mut world = World::new();
    let conn = world.open(address(1));
    world.say(conn, &Up::Report(Report::default()));
    world.say(conn, &Up::Leave);
    assert_eq!(world.coordinator.counters().unexpected, 2);
}

#[test]
fn the_source_resumes_and_is_never_taken_for_dead() {
    let (mut world, nodes) = tree();
    world.cut(S);
    for node in &nodes[..2] {
        world.tell(*node, &Up::Suspect(S));
    }
    world.run(35_000);
    assert!(nodes.iter().all(|node| is_member(&world, *node)));
    assert_eq!(world.connect(Origin::Source, hello(Role::Source)), Some(S));
    world.run(500);
    world.check_delivered();
}

#[test]
fn the_same_inputs_give_the_same_orders() {
    let run = || {
        let mut coordinator = Coordinator::new(config(), Box::new(Script::default()), Micros(0));
        let mut orders = Vec::new();
        for step in 0..200_u64 {
            let conn = peerstream_coordinator::ConnId(step / 3);
            let bytes = [Up::Hello(hello(Role::Viewer)), Up::Ping { nonce: 1 }][(step % 2) as usize].encode();
            let input =
                if step % 3 == 0 { Input::Opened { conn, origin: address(1) } } else { Input::Message(conn, &bytes) };
            coordinator.handle(Micros(step * 1_000), input);
            orders.extend(std::iter::from_fn(|| coordinator.poll()));
        }
        orders
    };
    assert_eq!(run(), run());
}

#[test]
fn only_the_source_may_start_newcomers_and_only_within_the_budget() {
    let limits = Limits { starter_bytes_per_second: 1_000, ..Limits::default() };
    let mut world = World::with(peerstream_coordinator::Config { limits, ..config() }, 1, None);
    world.run(1_000);
    let nodes: Vec<_> = (0..2).map(|_| world.join()).collect();
    assert_eq!(world.coordinator.counters().starters, 2);
    let starter = |to, bytes| Up::Starter { to, frames: vec![vec![0; bytes]] };
    world.tell(nodes[0], &starter(nodes[1], 10));
    assert_eq!((world.coordinator.counters().unexpected, world.coordinator.counters().starter_bytes), (1, 0));
    world.tell(S, &starter(nodes[0], 2_500));
    world.tell(S, &starter(NodeId(99), 2_500));
    assert_eq!(world.coordinator.counters().starter_bytes, 2_500, "nothing for a stranger");
    world.join();
    assert_eq!(world.coordinator.counters().starters_refused, 1, "the budget is spent");
    world.run(6_000);
    world.tell(S, &starter(nodes[0], 10));
    assert_eq!(world.coordinator.counters().starter_bytes, 2_500, "a starter ends by itself");
}

#[test]
fn a_node_has_a_story_even_after_it_is_gone() {
    use peerstream_coordinator::Happening;
    let (mut world, nodes) = tree();
    let [a, _, c, ..] = nodes[..] else { unreachable!() };
    let name = |node: NodeId| node.to_string();
    let happened = |world: &World, node| -> Vec<_> {
        world.coordinator.story(&name(node)).unwrap().moments.iter().map(|moment| moment.happening).collect()
    };
    assert_eq!(happened(&world, c), [Happening::Joined, Happening::Moved { to: a }]);
    world.tell(c, &Up::LinkFailed(a));
    world.cut(c);
    world.resume(c);
    let later = [Happening::LinkFailed { with: a }, Happening::Disconnected, Happening::Resumed];
    assert_eq!(happened(&world, c)[2..], later);
    world.tell(c, &Up::Suspect(a));
    assert_eq!(happened(&world, a).last(), Some(&Happening::Suspected { by: c }));
    world.tell(c, &Up::Leave);
    let story = world.coordinator.story(&name(c)).unwrap();
    assert!(story.now.is_none() && story.moments.last().unwrap().happening == Happening::Left);
    assert!(world.coordinator.story("n77").is_none());
}

#[test]
fn control_traffic_is_counted() {
    let mut world = World::new();
    let before = world.coordinator.counters();
    let conn = world.open(address(1));
    let hello = Up::Hello(hello(Role::Viewer));
    world.say(conn, &hello);
    let after = world.coordinator.counters();
    assert_eq!(after.messages_in - before.messages_in, 1);
    assert_eq!(after.bytes_in - before.bytes_in, hello.encode().len() as u64);
    assert!(after.messages_out > before.messages_out && after.bytes_out >= before.bytes_out + 100, "a welcome");
}

#[test]
fn the_source_feeds_as_many_as_its_budget_is_worth_at_the_measured_bitrate() {
    let limits = Limits { source_bits_per_second: 10_000_000, ..Limits::default() };
    let mut world = World::with(peerstream_coordinator::Config { limits, ..config() }, 1, None);
    let run = |world: &mut World, bytes_per_second: u64| {
        for _ in 0..24 {
            world.run(1_000);
            world.nodes.get_mut(&S).unwrap().produced += bytes_per_second;
        }
        world.shown(S).unwrap().capacity
    };
    assert_eq!(run(&mut world, 125_000), 8, "1 Mbit/s");
    assert_eq!(run(&mut world, 150_000), 8, "within the margin");
    assert_eq!(run(&mut world, 250_000), 4, "2 Mbit/s");
    assert_eq!(run(&mut world, 2_000_000), 2, "never fewer than the source offers");
    assert_eq!(run(&mut world, 1_000), 16, "never more than the limit");
}
