//! A whole broadcast in the simulator: the real node and coordinator under the dumbbell strategy.

use peerstream_dumbbell::Dumbbell;
use peerstream_lab::checkers::Checker;
use peerstream_lab::world::broadcast_keys;
use peerstream_lab::{ActorId, Coordinated, Network, World};
use peerstream_sdk::protocol::segment::Kind;
use peerstream_sdk::protocol::time::Micros;
use proptest::prelude::*;

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
        let (_, cert) = broadcast_keys();
        let conductor = Coordinated::new(cert, Kind::Media, Box::new(Dumbbell::default()));
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
        assert_eq!(self.checker.violations, Vec::<String>::new());
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

    fn is_quiet(&self) -> bool {
        let overview = self.world.conductor.overview();
        let settled = |node: &peerstream_coordinator::NodeOverview| {
            let source = node.parent.is_none() && node.level.is_none_or(|level| level == 0);
            source || (node.confirmed && node.issued_parent.is_none_or(|issued| Some(issued) == node.parent))
        };
        overview.waiting == 0 && overview.nodes.iter().all(settled)
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
    assert!(broadcast.is_quiet(), "{:#?}", broadcast.world.conductor.overview());
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
    assert!(broadcast.is_quiet());
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
fn a_frozen_viewer_delays_nobody_and_comes_back() {
    let (mut broadcast, viewers) = Broadcast::new(5, Network::default()).joined(15, Micros::from_millis(200));
    broadcast.world.freeze(viewers[0], Micros::from_secs(10));
    broadcast.run(Micros::from_secs(25));
    let frozen = &broadcast.world.actor(viewers[0]).received;
    assert_eq!(frozen.wrong, 0);
    assert!(frozen.next.0 as usize + 8 >= broadcast.world.produced(), "the frozen one plays again");
    for id in broadcast.world.living().filter(|id| *id != viewers[0]) {
        let received = &broadcast.world.actor(id).received;
        assert!(received.longest_gap <= Micros::from_secs(1), "{id:?} waited {:?}", received.longest_gap);
        assert_eq!((received.wrong, received.skipped), (0, 0), "{id:?}");
    }
}

#[test]
fn a_viewer_that_will_not_relay_ends_up_a_leaf() {
    let (mut broadcast, viewers) = Broadcast::new(6, Network::default()).joined(12, Micros::from_millis(200));
    broadcast.world.tell(viewers[0], peerstream_lab::world::do_not_relay());
    broadcast.run(Micros::from_secs(6));
    broadcast.check(Micros::from_millis(1_000));
    assert!(broadcast.world.status(viewers[0]).fed.is_empty());
    assert!(broadcast.is_quiet());
}

#[test]
fn the_source_sends_two_copies_to_five_viewers_from_the_start() {
    let (broadcast, _) = Broadcast::new(7, Network::default()).joined(5, Micros::from_millis(500));
    assert!(broadcast.source_copies() <= 2.02);
}

/// Something a property test does to a broadcast.
#[derive(Clone, Debug)]
enum Deed {
    Join(bool),
    Kill(prop::sample::Index),
    Leave(prop::sample::Index),
    Relay(prop::sample::Index),
    CutControl,
    Wait,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        5 => any::<bool>().prop_map(|weak| Deed::Join(!weak)),
        2 => any::<prop::sample::Index>().prop_map(Deed::Kill),
        2 => any::<prop::sample::Index>().prop_map(Deed::Leave),
        1 => any::<prop::sample::Index>().prop_map(Deed::Relay),
        1 => Just(Deed::CutControl),
        3 => Just(Deed::Wait),
    ]
}

fn carry_out(broadcast: &mut Broadcast, deed: &Deed) {
    let living: Vec<_> = broadcast.world.living().collect();
    let pick = |index: &prop::sample::Index| (!living.is_empty()).then(|| *index.get(&living));
    match deed {
        Deed::Join(relay) => {
            broadcast.world.join(*relay);
        }
        Deed::Kill(index) => pick(index).into_iter().for_each(|id| broadcast.world.kill(id)),
        Deed::Leave(index) => pick(index).into_iter().for_each(|id| broadcast.world.leave(id)),
        Deed::Relay(index) => pick(index).into_iter().for_each(|id| {
            broadcast.world.tell(id, peerstream_lab::world::do_not_relay());
        }),
        Deed::CutControl => broadcast.world.cut_control(Micros::from_secs(2)),
        Deed::Wait => broadcast.run(Micros::from_secs(2)),
    }
    broadcast.run(Micros::from_millis(300));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, max_shrink_iters: 40, ..ProptestConfig::default() })]

    /// P1 to P5 over a control channel that loses, doubles and reorders: whatever happens, once it is quiet every node's
    /// links equal the overlay, everybody living plays, there was never a lasting circle, nor too many copies.
    #[test]
    fn whatever_happens_the_overlay_is_reached_and_everybody_plays(
        seed: u64, deeds in proptest::collection::vec(deed(), 1..30)
    ) {
        let mut broadcast = Broadcast::new(seed, Network::with_bad_control());
        deeds.iter().for_each(|deed| carry_out(&mut broadcast, deed));
        broadcast.run(Micros::from_secs(40));
        prop_assert_eq!(&broadcast.checker.violations, &Vec::<String>::new());
        for id in broadcast.world.living() {
            let received = &broadcast.world.actor(id).received;
            prop_assert_eq!(received.wrong, 0, "{:?}", id);
            prop_assert!(
                received.next.0 as usize + 10 >= broadcast.world.produced(),
                "{:?} is at {:?} of {}", id, received.next, broadcast.world.produced()
            );
        }
        prop_assert!(broadcast.is_quiet(), "{:#?}", broadcast.world.conductor.overview());
    }
}
