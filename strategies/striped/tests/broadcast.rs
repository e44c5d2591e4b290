//! Whole broadcasts in the simulator: the real node and coordinator, each half of the segments by a tree of its own.

use peerstream_dumbbell::Dumbbell;
use peerstream_lab::checkers::Checker;
use peerstream_lab::world::broadcast_keys;
use peerstream_lab::{ActorId, Coordinated, Network, World};
use peerstream_sdk::protocol::segment::Kind;
use peerstream_sdk::protocol::time::Micros;
use peerstream_striped::Striped;

const SEGMENT: Micros = Micros::from_millis(100);
const BYTES: usize = 12_500;
const STEP: Micros = Micros::from_millis(100);

/// A broadcast that is checked as it runs.
struct Broadcast {
    world: World<Coordinated>,
    checker: Checker,
}

impl Broadcast {
    /// Viewers join one after another.
    fn new(
        seed: u64,
        viewers: usize,
        strategy: Box<dyn peerstream_sdk::overlay::TreeStrategy + Send>,
    ) -> (Self, Vec<ActorId>) {
        let (_, cert) = broadcast_keys();
        let conductor = Coordinated::new(cert, Kind::Media, strategy);
        let mut world = World::new(seed, Network::default(), conductor, Kind::Media);
        world.run_until(Micros::from_millis(200));
        let mut broadcast = Self { world, checker: Checker::default() };
        let viewers = (0..viewers).map(|_| {
            let id = broadcast.world.join(true);
            broadcast.run(Micros::from_millis(200));
            id
        });
        let viewers = viewers.collect();
        broadcast.run(Micros::from_secs(5));
        (broadcast, viewers)
    }

    fn run(&mut self, span: Micros) {
        let end = self.world.now() + span;
        while self.world.now() < end {
            self.world.stream(STEP, SEGMENT, BYTES, 10);
            self.checker.check(&self.world);
        }
    }

    /// All living viewers play at the live edge, got the source's bytes in order, missed nothing, and never waited longer than
    /// this.
    fn check(&self, longest_gap: Micros) {
        assert_eq!(self.checker.violations(), Vec::<String>::new());
        for id in self.world.living() {
            let received = &self.world.actor(id).received;
            let who = format!("{id:?} at {:?}: {:?}", received.next, self.world.status(id));
            assert!(received.next.0 as usize + 12 >= self.world.produced(), "{who} is not live");
            assert_eq!((received.wrong, received.skipped), (0, 0), "{who} missed segments");
            assert!(received.longest_gap <= longest_gap, "{who} waited {:?}", received.longest_gap);
        }
    }

    /// Copies each living viewer sends from now on, over twenty seconds.
    fn copies(&mut self) -> Vec<f64> {
        let living: Vec<_> = self.world.living().collect();
        let sent = |world: &World<Coordinated>| -> Vec<_> {
            living.iter().map(|id| world.status(*id).counters.payload_sent).collect()
        };
        let (before, produced) = (sent(&self.world), self.world.produced());
        self.run(Micros::from_secs(20));
        let span = ((self.world.produced() - produced) * BYTES) as f64;
        sent(&self.world).iter().zip(before).map(|(after, before)| (after - before) as f64 / span).collect()
    }
}

#[test]
fn everybody_gets_both_halves_and_sends_no_more_than_what_it_watches() {
    let (mut broadcast, _) = Broadcast::new(1, 60, Box::new(Striped::default()));
    let copies = broadcast.copies();
    broadcast.check(Micros::from_millis(800));
    let even = copies.iter().filter(|copies| **copies <= 1.05).count();
    assert!(even >= 58, "copies sent: {copies:?}");
    let inner = broadcast.world.living().filter(|id| broadcast.world.status(*id).feeders.len() == 2).count();
    assert!(inner >= 57, "{inner} are fed by two others");
}

#[test]
fn one_in_six_dies_without_a_goodbye_and_the_rest_misses_nothing() {
    let (mut broadcast, viewers) = Broadcast::new(2, 40, Box::new(Striped::default()));
    for victim in viewers.iter().step_by(6) {
        broadcast.world.kill(*victim);
        broadcast.run(Micros::from_secs(4));
    }
    broadcast.run(Micros::from_secs(5));
    broadcast.check(Micros::from_millis(1_500));
}

#[test]
fn a_running_dumbbell_is_taken_over_and_given_back_and_nobody_misses_anything() {
    let (mut broadcast, _) = Broadcast::new(3, 40, Box::new(Dumbbell::default()));
    let now = broadcast.world.now();
    broadcast.world.conductor.switch_strategy(now, Box::new(Striped::default()));
    broadcast.run(Micros::from_secs(10));
    let split = broadcast.world.living().filter(|id| broadcast.world.status(*id).feeders.len() == 2).count();
    assert!(split >= 36, "{split} of 40 are fed by two others");
    let now = broadcast.world.now();
    broadcast.world.conductor.switch_strategy(now, Box::new(Dumbbell::default()));
    broadcast.run(Micros::from_secs(10));
    let whole = broadcast.world.living().filter(|id| broadcast.world.status(*id).feeders.len() == 1).count();
    assert_eq!(whole, 40);
    broadcast.check(Micros::from_millis(1_200));
}
