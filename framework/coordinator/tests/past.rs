//! Who has gone back in time is told who keeps what it wants to see; what is withheld, everybody is told.

mod world;

use peerstream_coordinator::{ConnId, Coordinator, Input, Origin, Output};
use peerstream_protocol::control::{Down, Kept, Report, Role, Up};
use peerstream_protocol::id::{NodeId, Seq};
use peerstream_protocol::time::Micros;
use world::{Script, config, hello};

struct House {
    coordinator: Coordinator,
    now: Micros,
    told: Vec<(ConnId, Down)>,
    opened: u64,
}

impl House {
    fn new() -> Self {
        let now = Micros(0);
        let coordinator = Coordinator::new(config(), Box::new(Script::default()), now);
        Self { coordinator, now, told: Vec::new(), opened: 0 }
    }

    fn input(&mut self, input: Input<'_>) {
        self.now += Micros::from_millis(10);
        self.coordinator.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.coordinator.poll() {
            if let Output::Send(conn, bytes) = output {
                self.told.push((conn, Down::decode(&bytes).unwrap()));
            }
        }
    }

    /// A newcomer's connection and name.
    fn join(&mut self) -> (ConnId, NodeId) {
        self.opened += 1;
        let conn = ConnId(self.opened);
        self.input(Input::Opened { conn, origin: Origin::Address([9; 16]) });
        self.say(conn, &Up::Hello(hello(Role::Viewer)));
        let welcome = self.told.iter().rev().find_map(|(to, down)| match down {
            Down::Welcome(welcome) if *to == conn => Some(welcome.node),
            _ => None,
        });
        (conn, welcome.expect("a newcomer is welcomed"))
    }

    fn say(&mut self, conn: ConnId, message: &Up) {
        self.input(Input::Message(conn, &message.encode()));
    }

    /// Says that it keeps all from this segment on, and how many guests it has room for.
    fn keeps(&mut self, conn: ConnId, from: u64, room: u8) {
        self.tell(conn, Some(Kept { from: Seq(from), fetched: None, room }));
    }

    fn tell(&mut self, conn: ConnId, kept: Option<Kept>) {
        self.say(conn, &Up::Report(Report { kept, ..Report::default() }));
    }

    /// Who is named to a viewer that has gone back so far.
    fn ask(&mut self, conn: ConnId, from: u64, but: &[NodeId]) -> Option<NodeId> {
        self.say(conn, &Up::Past { from: Seq(from), but: but.to_vec() });
        self.keepers(conn).pop().expect("it is answered")
    }

    fn pass(&mut self, ms: u64) {
        self.now += Micros::from_millis(ms);
    }

    /// What this one was told that `pick` wants to know, and forgets it.
    fn heard<T>(&mut self, conn: ConnId, pick: impl Fn(&Down) -> Option<T>) -> Vec<T> {
        let heard = self.told.iter().filter(|(to, _)| *to == conn).filter_map(|(_, down)| pick(down)).collect();
        self.told.retain(|(to, down)| *to != conn || pick(down).is_none());
        heard
    }

    fn keepers(&mut self, conn: ConnId) -> Vec<Option<NodeId>> {
        self.heard(conn, |down| match down {
            Down::Keeper(keeper) => Some(*keeper),
            _ => None,
        })
    }
}

#[test]
fn one_is_named_that_keeps_it_and_they_take_turns() {
    let mut house = House::new();
    let nodes: Vec<_> = (0..8).map(|_| house.join()).collect();
    let (asker, _) = nodes[0];
    house.keeps(asker, 0, 2);
    for (conn, _) in &nodes[1..5] {
        house.keeps(*conn, 100, 2);
    }
    house.keeps(nodes[5].0, 500, 2);
    house.tell(nodes[6].0, None);
    let named: Vec<_> = (0..4).filter_map(|_| house.ask(asker, 200, &[])).collect();
    let keep: Vec<_> = nodes[1..5].iter().map(|(_, node)| *node).collect();
    assert_eq!(named, keep, "all have a turn");
    house.pass(2_000);
    assert_eq!(house.ask(asker, 50, &[]), None);
    assert_eq!(house.ask(asker, 200, &keep[..3]), Some(keep[3]), "others are ruled out");
}

#[test]
fn a_keeper_is_given_no_more_guests_than_it_has_room_for_although_it_does_not_know_of_all_yet() {
    let mut house = House::new();
    let (small, large) = (house.join(), house.join());
    let viewers: Vec<_> = (0..8).map(|_| house.join().0).collect();
    house.keeps(small.0, 0, 1);
    house.keeps(large.0, 0, 2);
    let mut named: Vec<_> = viewers[..4].iter().map(|conn| house.ask(*conn, 7, &[])).collect();
    named.sort();
    assert_eq!(named, [None, Some(small.1), Some(large.1), Some(large.1)]);
    // What it says now was sent before it heard of its guest.
    house.keeps(small.0, 0, 1);
    assert_eq!(house.ask(viewers[4], 7, &[]), None);
    house.pass(1_000);
    house.tell(small.0, None);
    house.keeps(large.0, 0, 1);
    assert_eq!(house.ask(viewers[5], 7, &[]), Some(large.1));
    assert_eq!(house.ask(viewers[6], 7, &[]), None);
}

#[test]
fn those_that_keep_it_all_are_named_before_those_that_have_fetched_it_themselves() {
    let mut house = House::new();
    let (traveller, keeper) = (house.join(), house.join());
    let viewers: Vec<_> = (0..4).map(|_| house.join().0).collect();
    house.tell(traveller.0, Some(Kept { from: Seq(500), fetched: Some((Seq(100), Seq(200))), room: 3 }));
    house.keeps(keeper.0, 0, 1);
    assert_eq!(house.ask(viewers[0], 150, &[]), Some(keeper.1));
    assert_eq!(house.ask(viewers[1], 150, &[]), Some(traveller.1));
    assert_eq!(house.ask(viewers[2], 200, &[]), None, "it has not got there yet");
    assert_eq!(house.ask(viewers[3], 600, &[]), Some(traveller.1));
}

#[test]
fn a_viewer_in_the_past_and_its_keeper_may_exchange_signals_for_a_while() {
    let mut house = House::new();
    let ((asker, from), (keeper, to), (_, other)) = (house.join(), house.join(), house.join());
    house.keeps(keeper, 0, 1);
    assert_eq!(house.ask(asker, 7, &[]), Some(to));
    let guests = |down: &Down| if let Down::Guest(guest) = down { Some(*guest) } else { None };
    assert_eq!(house.heard(keeper, guests), [from]);
    let signals = |down: &Down| if let Down::Signal { from, .. } = down { Some(*from) } else { None };
    let signal = |to| Up::Signal { to, attempt: 1, payload: vec![1] };
    house.say(asker, &signal(to));
    house.say(keeper, &signal(from));
    house.say(asker, &signal(other));
    assert_eq!((house.heard(keeper, signals), house.heard(asker, signals)), (vec![from], vec![to]));
    assert_eq!(house.coordinator.counters().signals_unfounded, 1);
    house.pass(60_000);
    house.say(asker, &signal(to));
    assert!(house.heard(keeper, signals).is_empty());
}

#[test]
fn who_asks_too_often_is_not_answered() {
    let mut house = House::new();
    let (asker, _) = house.join();
    (0..50).for_each(|_| house.say(asker, &Up::Past { from: Seq(7), but: Vec::new() }));
    let answered = house.keepers(asker).len();
    assert!((1..=5).contains(&answered), "{answered}");
    assert_eq!(house.coordinator.counters().past_refused as usize, 50 - answered);
}

#[test]
fn what_is_withheld_everybody_is_told_and_those_who_come_later() {
    let mut house = House::new();
    let (early, _) = house.join();
    let withheld = |down: &Down| match down {
        Down::Withheld(withheld) => Some(withheld.ranges().to_vec()),
        _ => None,
    };
    assert!(house.heard(early, withheld).is_empty(), "nothing is said of nothing");
    house.coordinator.withhold(house.now, Seq(3), Seq(9)).unwrap();
    house.drain();
    let (late, _) = house.join();
    assert_eq!(house.heard(early, withheld), [vec![(Seq(3), Seq(9))]]);
    assert_eq!(house.heard(late, withheld), [vec![(Seq(3), Seq(9))]]);
    house.coordinator.restore(house.now, Seq(3), Seq(5)).unwrap();
    house.drain();
    assert_eq!(house.heard(late, withheld), [vec![(Seq(5), Seq(9))]]);
}
