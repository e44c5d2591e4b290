//! A whole broadcast in the simulator: the real node and coordinator under the dumbbell strategy.

use peerstream_dumbbell::{Config, Dumbbell, Roots};
use peerstream_lab::chance::Chance;
use peerstream_lab::checkers::Checker;
use peerstream_lab::network::Access;
use peerstream_lab::world::{Newcomer, broadcast_keys, do_not_relay};
use peerstream_lab::{ActorId, Coordinated, Network, World};
use peerstream_sdk::protocol::id::NodeId;
use peerstream_sdk::protocol::id::Term;
use peerstream_sdk::protocol::segment::Kind;
use peerstream_sdk::protocol::time::Micros;

const SEGMENT: Micros = Micros::from_millis(100);
const BYTES: usize = 12_500;
const STEP: Micros = Micros::from_millis(100);

/// A broadcast that is checked as it runs.
struct Broadcast {
    world: World<Coordinated>,
    checker: Checker,
}

impl Broadcast {
    fn new(seed: u64, network: Network) -> Self {
        Self::of(Dumbbell::default(), seed, network)
    }

    fn of(strategy: Dumbbell, seed: u64, network: Network) -> Self {
        let (_, cert) = broadcast_keys();
        let conductor = Coordinated::new(cert, Kind::Media, Box::new(strategy));
        let mut world = World::new(seed, network, conductor, Kind::Media);
        world.run_until(Micros::from_millis(200));
        Self { world, checker: Checker::default() }
    }

    fn run(&mut self, span: Micros) {
        let end = self.world.now() + span;
        while self.world.now() < end {
            self.world.stream(STEP, SEGMENT, BYTES, 10);
            self.checker.check(&self.world);
        }
    }

    /// Viewers join one after another.
    fn joined(mut self, viewers: usize, apart: Micros) -> (Self, Vec<ActorId>) {
        let ids = (0..viewers)
            .map(|_| {
                let id = self.world.join(true);
                self.run(apart);
                id
            })
            .collect();
        self.run(Micros::from_secs(3));
        (self, ids)
    }

    /// All living viewers play at the live edge, got the source's bytes in order, and never waited longer than this.
    fn check(&self, longest_gap: Micros) {
        assert_eq!(self.checker.violations(), Vec::<String>::new());
        for id in self.world.living() {
            let received = &self.world.actor(id).received;
            let status = self.world.status(id);
            let who = format!(
                "{id:?} {:?} at {:?} fed by {:?}, {:?}",
                status.node, received.next, status.feeders, status.counters
            );
            assert!(received.next.0 as usize + 8 >= self.world.produced(), "{who} is not live");
            assert_eq!((received.wrong, received.skipped), (0, 0), "{who} missed segments");
            assert!(received.longest_gap <= longest_gap, "{who} waited {:?}", received.longest_gap);
        }
    }

    fn source_copies(&self) -> f64 {
        let counters = self.world.status(ActorId::SOURCE).counters;
        counters.payload_sent as f64 / counters.produced as f64
    }

    /// What is not yet as the overlay wants it (P1).
    fn unsettled(&self) -> Vec<String> {
        let overview = self.world.conductor.overview();
        let nodes = overview.nodes.iter().filter(|node| node.parent.is_some());
        let unsettled = nodes.filter(|node| !node.confirmed || node.issued_parents != node.parents);
        unsettled.map(|node| format!("{node:?}")).collect()
    }
}

#[test]
fn twenty_viewers_are_fed_and_the_source_sends_two_copies() {
    let (mut broadcast, viewers) = Broadcast::new(1, Network::default()).joined(20, Micros::from_millis(300));
    let before = broadcast.world.status(ActorId::SOURCE).counters;
    let received_before: Vec<_> = viewers.iter().map(|id| broadcast.world.status(*id).counters).collect();
    broadcast.run(Micros::from_secs(20));
    broadcast.check(Micros::from_millis(400));
    let after = broadcast.world.status(ActorId::SOURCE).counters;
    let produced = (after.produced - before.produced) as f64;
    let copies = (after.payload_sent - before.payload_sent) as f64 / produced;
    assert!(copies <= 2.02, "the source sent {copies} copies");
    for (id, earlier) in viewers.iter().zip(received_before) {
        let now = broadcast.world.status(*id).counters;
        let sent = (now.payload_sent - earlier.payload_sent) as f64 / produced;
        let received = (now.payload_received - earlier.payload_received) as f64 / produced;
        assert!(sent <= 3.0 && received <= 1.02, "{id:?} sent {sent} copies and received {received}");
    }
    let overhead =
        (after.overhead_sent - before.overhead_sent) as f64 / (after.payload_sent - before.payload_sent) as f64;
    assert!(overhead <= 0.04, "overhead {overhead}");
    assert_eq!(broadcast.unsettled(), Vec::<String>::new());
}

#[test]
fn every_third_viewer_dies_without_a_goodbye_and_the_rest_misses_nothing() {
    let (mut broadcast, viewers) = Broadcast::new(2, Network::default()).joined(20, Micros::from_millis(200));
    for victim in viewers.iter().step_by(3) {
        broadcast.world.kill(*victim);
        broadcast.run(Micros::from_secs(3));
    }
    broadcast.run(Micros::from_secs(5));
    broadcast.check(Micros::from_secs(1));
    assert_eq!(broadcast.unsettled(), Vec::<String>::new());
}

#[test]
fn both_nodes_of_a_dumbbell_die_at_once_and_everyone_below_plays_again_within_three_seconds() {
    let (mut broadcast, viewers) = Broadcast::new(3, Network::default()).joined(20, Micros::from_millis(200));
    broadcast.world.kill(viewers[2]);
    broadcast.world.kill(viewers[3]);
    broadcast.run(Micros::from_secs(10));
    broadcast.check(Micros::from_secs(3));
}

#[test]
fn control_connections_cut_for_five_seconds_lose_no_media() {
    let (mut broadcast, _) = Broadcast::new(4, Network::default()).joined(15, Micros::from_millis(200));
    broadcast.world.cut_control(Micros::from_secs(5));
    broadcast.run(Micros::from_secs(20));
    broadcast.check(Micros::from_millis(600));
    assert_eq!(broadcast.world.conductor.overview().members, 15, "nobody was taken for dead");
}

#[test]
fn a_new_coordinator_takes_a_running_broadcast_over_without_a_gap_or_a_move() {
    let (mut broadcast, viewers) = Broadcast::new(8, Network::default()).joined(20, Micros::from_millis(300));
    let names: Vec<_> = viewers.iter().map(|id| broadcast.world.name(*id)).collect();
    let (_, cert) = broadcast_keys();
    let strategy = Box::new(Dumbbell::default());
    let now = broadcast.world.now();
    let conductor = Coordinated::of_term(Term(2), cert, Kind::Media, strategy, now);
    broadcast.world.replace_conductor(conductor, Micros::from_secs(1));
    broadcast.run(Micros::from_secs(20));
    broadcast.check(Micros::from_millis(400));
    assert_eq!(broadcast.unsettled(), Vec::<String>::new());
    let overview = broadcast.world.conductor.overview();
    assert_eq!((overview.term, overview.members, overview.counters.adopted), (Term(2), 20, 20));
    assert!(overview.counters.moves <= 2, "{} moves", overview.counters.moves);
    assert_eq!(names, viewers.iter().map(|id| broadcast.world.name(*id)).collect::<Vec<_>>());
}

#[test]
fn a_frozen_viewer_delays_nobody_and_comes_back() {
    let (mut broadcast, viewers) = Broadcast::new(5, Network::default()).joined(15, Micros::from_millis(200));
    broadcast.world.freeze(viewers[0], Micros::from_secs(10));
    broadcast.run(Micros::from_secs(25));
    let frozen = &broadcast.world.actor(viewers[0]).received;
    assert_eq!(frozen.wrong, 0);
    assert!(frozen.next.0 as usize + 8 >= broadcast.world.produced(), "the frozen one plays again");
    for id in broadcast.world.living().filter(|id| *id != viewers[0]) {
        let received = &broadcast.world.actor(id).received;
        assert!(received.longest_gap <= Micros::from_millis(1_200), "{id:?} waited {:?}", received.longest_gap);
        assert_eq!((received.wrong, received.skipped), (0, 0), "{id:?}");
    }
}

#[test]
fn a_viewer_that_will_not_relay_ends_up_a_leaf() {
    let (mut broadcast, viewers) = Broadcast::new(6, Network::default()).joined(12, Micros::from_millis(200));
    broadcast.world.tell(viewers[0], do_not_relay());
    broadcast.run(Micros::from_secs(6));
    broadcast.check(Micros::from_millis(1_000));
    assert!(broadcast.world.status(viewers[0]).fed.is_empty());
    assert_eq!(broadcast.unsettled(), Vec::<String>::new());
}

#[test]
fn the_source_sends_two_copies_to_five_viewers_from_the_start() {
    let (broadcast, _) = Broadcast::new(7, Network::default()).joined(5, Micros::from_millis(500));
    assert!(broadcast.source_copies() <= 2.02);
}

#[test]
fn a_newcomer_plays_before_its_links_are_open_and_goes_on_without_a_gap() {
    let network = Network { setup_round_trips: 40, ..Network::default() };
    let (mut broadcast, viewers) = Broadcast::new(8, network).joined(3, Micros::from_secs(2));
    for id in viewers {
        let received = broadcast.world.actor(id).received.clone();
        assert!(received.longest_gap <= Micros::from_millis(250), "{id:?} waited {:?}", received.longest_gap);
        assert_eq!((received.wrong, received.skipped), (0, 0), "{id:?}");
    }
    let opened = broadcast.world.now();
    let late = broadcast.world.join(true);
    broadcast.run(Micros::from_millis(400));
    let received = &broadcast.world.actor(late).received;
    assert!(received.first.is_some() && broadcast.world.status(late).links == 0, "{received:?} since {opened:?}");
    broadcast.run(Micros::from_secs(10));
    broadcast.check(Micros::from_millis(600));
    let status = broadcast.world.status(late);
    assert!(status.feeders.iter().any(|feeder| *feeder != NodeId::SOURCE), "peers feed it in the end: {status:?}");
    let repeated = status.counters.payload_repeated;
    assert!(repeated <= 8 * BYTES as u64, "{repeated} bytes came twice while the parent took over");
}

#[test]
fn with_one_root_the_source_sends_one_copy_and_the_root_may_die() {
    let strategy = Dumbbell::new(Config { roots: Roots::One, ..Config::default() });
    let (mut broadcast, viewers) = Broadcast::of(strategy, 9, Network::default()).joined(15, Micros::from_millis(300));
    let before = broadcast.world.status(ActorId::SOURCE).counters;
    broadcast.run(Micros::from_secs(10));
    broadcast.check(Micros::from_millis(400));
    let after = broadcast.world.status(ActorId::SOURCE).counters;
    let copies = (after.payload_sent - before.payload_sent) as f64 / (after.produced - before.produced) as f64;
    assert!(copies <= 1.02, "the source sent {copies} copies");
    broadcast.world.kill(viewers[0]);
    broadcast.run(Micros::from_secs(10));
    broadcast.check(Micros::from_secs(1));
    assert_eq!(broadcast.unsettled(), Vec::<String>::new());
}

#[test]
fn a_viewer_whose_uplink_does_not_carry_its_children_becomes_a_leaf() {
    let (mut broadcast, viewers) = Broadcast::new(9, Network::default()).joined(3, Micros::from_millis(500));
    // A segment each 100 ms is 1 Mbit/s; one copy fits, and two fill the links so soon that the node finds out before its
    // children's complaints have it demoted.
    let access = Access { uplink: 140_000, ..Access::default() };
    let slow = broadcast.world.join_as(Newcomer { access, relay: true, capacity: 2 });
    broadcast.world.kill(viewers[0]);
    broadcast.world.kill(viewers[1]);
    for _ in 0..9 {
        broadcast.world.join(true);
        broadcast.run(Micros::from_millis(500));
    }
    broadcast.run(Micros::from_secs(30));
    let status = broadcast.world.status(slow);
    assert!(status.relay && status.counters.weak_uplinks > 0, "it would relay, and found out that it cannot");
    assert_eq!(status.fed, []);
    assert_eq!(broadcast.unsettled(), Vec::<String>::new());
}

#[test]
fn a_newcomer_finds_out_what_its_uplink_carries_before_it_gets_children() {
    let (mut broadcast, _) = Broadcast::new(10, Network::default()).joined(6, Micros::from_millis(500));
    // A segment each 100 ms is 1 Mbit/s: one and a half copies, and five.
    let newcomers = [190_000, 640_000].map(|uplink| {
        let access = Access { uplink, ..Access::default() };
        broadcast.world.join_as(Newcomer { access, relay: true, capacity: 2 })
    });
    broadcast.run(Micros::from_secs(4));
    assert_eq!(newcomers.map(|id| broadcast.world.status(id).weak_uplink), [true, false]);
    let told = newcomers.map(|id| broadcast.world.status(id).figures.uplink_kbps);
    assert!((1_200..1_800).contains(&told[0]) && (4_000..6_000).contains(&told[1]), "{told:?} kbit/s of 1520 and 5120");
    for _ in 0..8 {
        broadcast.world.join(true);
        broadcast.run(Micros::from_millis(500));
    }
    assert_eq!(broadcast.world.status(newcomers[0]).fed, []);
    broadcast.run(Micros::from_secs(3));
    assert_eq!(broadcast.unsettled(), Vec::<String>::new());
}

/// Something happens to a broadcast, as chance will have it. Nodes that may not relay are leaves, and with too many of
/// them there would be no room for all: they stay under a third.
fn something_happens(broadcast: &mut Broadcast, chance: &mut Chance) {
    let living: Vec<_> = broadcast.world.living().collect();
    let weak = living.iter().filter(|id| !broadcast.world.status(**id).relay).count();
    let room_for_weak = weak * 3 < living.len();
    let somebody = living.get(chance.below(living.len() as u64) as usize).copied();
    match (chance.below(14), somebody) {
        (0..6, _) => {
            let relay = !room_for_weak || chance.below(5) > 0;
            broadcast.world.join(relay);
        }
        (6..8, Some(id)) => broadcast.world.kill(id),
        (8..10, Some(id)) => broadcast.world.leave(id),
        (10, Some(id)) if room_for_weak => broadcast.world.tell(id, do_not_relay()),
        (11, _) => broadcast.world.cut_control(Micros::from_secs(2)),
        _ => broadcast.run(Micros::from_secs(2)),
    }
    broadcast.run(Micros::from_millis(300));
}

/// P1 to P5 over a control channel that loses, doubles and reorders: whatever happens, once it is quiet every node's links
/// equal the overlay, everybody living plays, there was never a lasting circle, nor too many copies.
fn whatever_happens(seed: u64) {
    let mut chance = Chance::new(seed);
    let mut broadcast = Broadcast::new(seed, Network::with_bad_control());
    for _ in 0..10 + chance.below(30) {
        something_happens(&mut broadcast, &mut chance);
    }
    broadcast.run(Micros::from_secs(60));
    // Quiet also means that nothing is lost any more: a lost offer costs ten seconds until it is made again.
    broadcast.world.network = Network::default();
    broadcast.run(Micros::from_secs(25));
    assert_eq!(broadcast.checker.violations(), Vec::<String>::new(), "seed {seed}");
    for id in broadcast.world.living() {
        let received = &broadcast.world.actor(id).received;
        assert_eq!(received.wrong, 0, "{id:?}, seed {seed}");
        let live = received.next.0 as usize + 10 >= broadcast.world.produced();
        let overview = broadcast.world.conductor.overview();
        let of = |name| overview.nodes.iter().find(|node| Some(node.id) == name);
        let node = of(broadcast.world.name(id));
        let parent = node.and_then(|node| of(node.parent));
        assert!(live, "{id:?} is at {:?}, seed {seed}: {node:?}, its parent: {parent:?}", received.next);
    }
    assert_eq!(broadcast.unsettled(), Vec::<String>::new(), "seed {seed}");
}

#[test]
fn whatever_happens_the_overlay_is_reached_and_everybody_plays() {
    let given = std::env::var("PEERSTREAM_SEED").ok().and_then(|seed| seed.parse().ok());
    let runs: u64 = std::env::var("PEERSTREAM_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(24);
    match given {
        Some(seed) => whatever_happens(seed),
        None => (0..runs).for_each(whatever_happens),
    }
}
