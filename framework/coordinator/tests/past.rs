//! Who has gone back in time is told who keeps what it wants to see; what is withheld, everybody is told.

mod world;

use peerstream_coordinator::{ConnId, Coordinator, Input, Origin, Output};
use peerstream_protocol::control::{Down, Report, Role, Up};
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

    /// Says what it keeps from.
    fn keeps(&mut self, conn: ConnId, kept: Option<u64>) {
        self.say(conn, &Up::Report(Report { kept: kept.map(Seq), ..Report::default() }));
    }

    /// What this one was told that `pick` wants to know, and forgets it.
    fn heard<T>(&mut self, conn: ConnId, pick: impl Fn(&Down) -> Option<T>) -> Vec<T> {
        let heard = self.told.iter().filter(|(to, _)| *to == conn).filter_map(|(_, down)| pick(down)).collect();
        self.told.retain(|(to, down)| *to != conn || pick(down).is_none());
        heard
    }

    fn keepers(&mut self, conn: ConnId) -> Vec<Vec<NodeId>> {
        self.heard(conn, |down| match down {
            Down::Keepers(keepers) => Some(keepers.clone()),
            _ => None,
        })
    }
}

#[test]
fn those_are_named_that_keep_it_and_they_take_turns() {
    let mut house = House::new();
    let nodes: Vec<_> = (0..8).map(|_| house.join()).collect();
    let (asker, _) = nodes[0];
    house.keeps(asker, Some(0));
    for (at, (conn, _)) in nodes.iter().enumerate().skip(1) {
        house.keeps(*conn, Some(if at == 7 { 500 } else { 100 }));
    }
    house.keeps(nodes[6].0, None);
    house.say(asker, &Up::Past(Seq(200)));
    let first = house.keepers(asker).pop().unwrap();
    house.say(asker, &Up::Past(Seq(200)));
    let second = house.keepers(asker).pop().unwrap();
    let keeps: Vec<_> = nodes[1..6].iter().map(|(_, node)| *node).collect();
    assert_eq!((first.len(), second.len()), (3, 3));
    assert!(first.iter().chain(&second).all(|node| keeps.contains(node)), "{first:?} {second:?}");
    assert!(keeps.iter().all(|node| first.contains(node) || second.contains(node)), "all have a turn");
    house.say(asker, &Up::Past(Seq(50)));
    assert_eq!(house.keepers(asker), [vec![]]);
}

#[test]
fn a_viewer_in_the_past_and_its_keeper_may_exchange_signals_for_a_while() {
    let mut house = House::new();
    let ((asker, from), (keeper, to), (_, other)) = (house.join(), house.join(), house.join());
    house.keeps(keeper, Some(0));
    house.say(asker, &Up::Past(Seq(7)));
    assert_eq!(house.keepers(asker), [vec![to]]);
    let guests = |down: &Down| if let Down::Guest(guest) = down { Some(*guest) } else { None };
    assert_eq!(house.heard(keeper, guests), [from]);
    let signals = |down: &Down| if let Down::Signal { from, .. } = down { Some(*from) } else { None };
    let signal = |to| Up::Signal { to, attempt: 1, payload: vec![1] };
    house.say(asker, &signal(to));
    house.say(keeper, &signal(from));
    house.say(asker, &signal(other));
    assert_eq!((house.heard(keeper, signals), house.heard(asker, signals)), (vec![from], vec![to]));
    assert_eq!(house.coordinator.counters().signals_unfounded, 1);
    house.now += Micros::from_secs(60);
    house.say(asker, &signal(to));
    assert!(house.heard(keeper, signals).is_empty());
}

#[test]
fn who_asks_too_often_is_not_answered() {
    let mut house = House::new();
    let (asker, _) = house.join();
    (0..50).for_each(|_| house.say(asker, &Up::Past(Seq(7))));
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
