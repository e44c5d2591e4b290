//! A viewer that goes back in time is given what others keep, then what the host has, and stays where it is in the overlay.

#[allow(dead_code)]
mod fed;

use std::collections::VecDeque;

use fed::{Fed, Frames, Maker};
use peerstream_node::{Input, Keeping, LinkId, Output, Payload, PlayerState};
use peerstream_protocol::control::{Down, Kept, Up};
use peerstream_protocol::frame::{Frame, Lane, PeerMessage};
use peerstream_protocol::header::{Flags, Header};
use peerstream_protocol::id::{NodeId, Seq};
use peerstream_protocol::segment::{Kind, PieceSize};
use peerstream_protocol::time::Micros;
use peerstream_protocol::withheld::Withheld;

const SIZE: PieceSize = PieceSize::Kib4;
const KEEPING: Keeping = Keeping { bytes_max: 64 << 20, span: Micros::from_secs(600), host: false };
const KEEPER: NodeId = NodeId(2);
const VIEWER: NodeId = NodeId(5);
/// Segments of 100 ms; every tenth is a join point.
const GROUP: u64 = 10;

/// One viewer from the start, and one that comes later.
struct World {
    maker: Maker,
    made: Vec<Frames>,
    keeper: Fed,
    viewer: Fed,
    /// The link between them, at each end.
    link: Option<(LinkId, LinkId)>,
    /// What the viewer's player was handed, and `None` where it was to forget.
    played: Vec<Option<Seq>>,
    /// What the viewer's host was asked for.
    fetches: Vec<Output>,
    /// Payload bytes the keeper sent the viewer.
    passed: usize,
    /// Whether the coordinator names the keeper.
    named: bool,
    /// Whom the viewer did not want when it asked for a keeper, each time.
    asked: Vec<Vec<NodeId>>,
    /// From where on it wanted a keeper that time.
    asked_from: Vec<Seq>,
    /// What the viewer has told last of what it keeps for others.
    told: Option<Kept>,
    /// Attempts of the viewer to link with the keeper.
    attempts: u32,
    /// A segment that the keeper never gets across.
    stuck: Option<Seq>,
    /// Bytes that come from the keeper to the viewer in a second; all at once when absent.
    carries: Option<usize>,
    /// What is on the way there, and how much of it may pass.
    on_the_way: VecDeque<(Lane, Vec<u8>)>,
    may_pass: usize,
}

impl World {
    fn new(keeping: Keeping, early: u64) -> Self {
        let mut maker = Maker::new();
        maker.kind = Kind::Media;
        let mut keeper = Fed::of(KEEPER, Kind::Media, &maker.cert.clone(), 0);
        keeper.give(Input::Keeping(keeping));
        let mut made = Vec::new();
        for _ in 0..early {
            made.push(segment(&mut maker));
            keeper.feed_segment(made.last().unwrap());
        }
        let mut viewer = Fed::of(VIEWER, Kind::Media, &maker.cert.clone(), 0);
        viewer.now = keeper.now;
        viewer.give(Input::Keeping(keeping));
        let (link, played, fetches) = (None, Vec::new(), Vec::new());
        let mut world = Self {
            maker,
            made,
            keeper,
            viewer,
            link,
            played,
            fetches,
            passed: 0,
            named: true,
            asked: Vec::new(),
            asked_from: Vec::new(),
            told: None,
            attempts: 0,
            stuck: None,
            carries: None,
            on_the_way: VecDeque::new(),
            may_pass: 0,
        };
        world.go_on(20);
        world.played.clear();
        world
    }

    /// So many more segments come, to both.
    fn go_on(&mut self, count: u64) {
        for _ in 0..count {
            let frames = segment(&mut self.maker);
            (0..4).for_each(|_| self.pass_time(Micros::from_millis(25)));
            let (of_keeper, of_viewer) = (self.keeper.parent, self.viewer.parent);
            for frame in frames.all() {
                self.tell_keeper(Input::Frame(of_keeper, Lane::Pieces, frame));
                self.tell_viewer(Input::Frame(of_viewer, Lane::Pieces, frame));
            }
            self.made.push(frames);
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.tell_viewer(Input::Tick);
        self.tell_keeper(Input::Tick);
        if let Some((near, far)) = self.link {
            self.tell_keeper(Input::Writable(far, 1 << 20));
            self.tell_viewer(Input::Writable(near, 1 << 20));
        }
    }

    fn pass_time(&mut self, span: Micros) {
        self.keeper.now += span;
        self.viewer.now = self.keeper.now;
        self.may_pass += self.carries.unwrap_or_default() * span.0 as usize / 1_000_000;
        while let Some((lane, bytes)) = self.on_the_way.pop_front_if(|(_, bytes)| bytes.len() <= self.may_pass) {
            self.may_pass -= bytes.len();
            self.pass(lane, &bytes);
        }
        if self.on_the_way.is_empty() {
            self.may_pass = 0;
        }
        self.tick();
    }

    /// Something of the keeper's is at the viewer.
    fn pass(&mut self, lane: Lane, bytes: &[u8]) {
        if let Ok(Frame::Piece { bytes, .. }) = Frame::decode(bytes) {
            self.passed += bytes.len();
        }
        let Some((near, _)) = self.link else { return };
        self.tell_viewer(Input::Frame(near, lane, bytes));
    }

    fn tell_viewer(&mut self, input: Input<'_>) {
        self.viewer.node.handle(self.viewer.now, input);
        while let Some(order) = self.viewer.node.poll() {
            match order {
                Output::Deliver(seq) => self.played.push(Some(seq)),
                Output::Turn => self.played.push(None),
                Output::FetchPast(..) | Output::EndFetchPast => self.fetches.push(order),
                Output::Control(bytes) => self.on_control(&bytes),
                Output::Open(link, KEEPER, _) => self.connect(link),
                Output::Send(link, lane, payload) if self.link.is_some_and(|(near, _)| near == link) => {
                    let bytes = bytes_of(&self.viewer, payload);
                    let far = self.link.unwrap().1;
                    self.tell_keeper(Input::Frame(far, lane, &bytes));
                }
                _ => {}
            }
        }
    }

    fn tell_keeper(&mut self, input: Input<'_>) {
        let now = self.keeper.now;
        self.keeper.node.handle(now, input);
        let (mut sent, mut closed) = (Vec::new(), false);
        while let Some(order) = self.keeper.node.poll() {
            let is_far = |link| self.link.is_some_and(|(_, far)| far == link);
            match order {
                Output::Send(link, lane, payload) if is_far(link) => {
                    sent.push((lane, bytes_of(&self.keeper, payload)));
                }
                Output::Close(link) => closed |= is_far(link),
                _ => {}
            }
        }
        for (lane, bytes) in sent {
            let is_stuck = matches!(Frame::decode(&bytes), Ok(Frame::Piece { seq, .. }) if self.stuck == Some(seq));
            match self.carries {
                _ if is_stuck => {}
                Some(_) => self.on_the_way.push_back((lane, bytes)),
                None => self.pass(lane, &bytes),
            }
        }
        if let Some((near, _)) = self.link.take_if(|_| closed) {
            self.tell_viewer(Input::LinkDown(near));
        }
    }

    /// The coordinator names the keeper to the viewer and the viewer to the keeper.
    fn on_control(&mut self, bytes: &[u8]) {
        if let Ok(Up::Report(report)) = Up::decode(bytes) {
            self.told = report.kept;
        }
        if let Ok(Up::Past { from, but }) = Up::decode(bytes) {
            let keeper = (self.named && !but.contains(&KEEPER)).then_some(KEEPER);
            if keeper.is_some() {
                self.keeper.give(Input::Control(&Down::Guest(VIEWER).encode()));
            }
            self.asked.push(but);
            self.asked_from.push(from);
            self.tell_viewer(Input::Control(&Down::Keeper(keeper).encode()));
        }
    }

    fn connect(&mut self, near: LinkId) {
        self.attempts += 1;
        let offer = Down::Signal { from: VIEWER, attempt: self.attempts, payload: vec![1] }.encode();
        let orders = self.keeper.give(Input::Control(&offer));
        let far = orders.iter().find_map(|order| match order {
            Output::Open(link, VIEWER, _) => Some(*link),
            _ => None,
        });
        let far = far.expect("the keeper answers a guest");
        self.link = Some((near, far));
        self.tell_keeper(Input::LinkUp(far, 1 << 20));
        self.tell_viewer(Input::LinkUp(near, 1 << 20));
    }

    /// The numbers the player was handed since it was last told to forget, and how it stands after `played_s` of them.
    fn play(&mut self, seconds: f64) {
        let begin = self.played.iter().rposition(Option::is_none).map_or(0, |turn| turn + 1);
        let handed: Vec<_> = self.played[begin..].iter().flatten().copied().collect();
        let (Some(first), Some(last)) = (handed.first(), handed.last()) else { return };
        let (start, end) = (first.0 * 100_000, (last.0 + 1) * 100_000);
        let position = (start + (seconds * 1e6) as u64).min(end);
        let state = PlayerState {
            position_us: position,
            range_start_us: start,
            range_end_us: end,
            next_range_us: None,
            latest_us: end,
            ahead_us: end - position,
            paused: false,
            ready: true,
        };
        self.tell_viewer(Input::Player(state));
        self.tick();
    }

    fn go_back(&mut self, seconds: u64) {
        self.tell_viewer(Input::GoBack(Micros::from_secs(seconds)));
        self.tick();
    }

    fn handed(&self) -> Vec<u64> {
        self.played.iter().flatten().map(|seq| seq.0).collect()
    }
}

impl Frames {
    fn all(&self) -> impl Iterator<Item = &[u8]> {
        [&self.header].into_iter().chain(&self.pieces).map(Vec::as_slice)
    }
}

fn segment(maker: &mut Maker) -> Frames {
    maker.flags = if maker.next().0.is_multiple_of(GROUP) { Flags::JOIN_POINT } else { Flags::default() };
    let payload = vec![maker.next().0 as u8; 9_000];
    maker.segment(&payload, SIZE)
}

fn bytes_of(fed: &Fed, payload: Payload) -> Vec<u8> {
    match payload {
        Payload::Bytes(bytes) => bytes,
        Payload::Piece { seq, index } => {
            fed.node.piece_frame(seq, index).expect("an order is carried out at once").to_vec()
        }
    }
}

#[test]
fn who_has_watched_goes_back_to_what_it_keeps_itself_and_asks_nobody() {
    let mut world = World::new(KEEPING, 0);
    world.go_on(300);
    world.played.clear();
    world.go_back(20);
    let handed = world.handed();
    assert_eq!((world.played[0], handed[0]), (None, 120), "20 s before 320, at a join point");
    assert!(handed.windows(2).all(|pair| pair[1] == pair[0] + 1));
    assert!((75..=90).contains(&handed.len()), "8 s are handed over: {}", handed.len());
    assert_eq!((world.passed, world.fetches.len()), (0, 0));
}

#[test]
fn what_a_latecomer_has_not_seen_comes_from_others_that_keep_it() {
    let mut world = World::new(KEEPING, 400);
    world.go_back(30);
    for at in 0..100 {
        world.play(f64::from(at) * 0.1);
        world.go_on(1);
    }
    let handed = world.handed();
    assert!((115..=135).contains(&handed[0]) && handed[0].is_multiple_of(GROUP), "begins at {}", handed[0]);
    assert!(handed.windows(2).all(|pair| pair[1] == pair[0] + 1), "nothing is missing: {handed:?}");
    assert!(handed.len() > 150, "{} in 10 s and 8 s ahead", handed.len());
    assert!(world.passed >= handed.len() * 9_000);
    assert!(world.fetches.is_empty());
    let status = world.viewer.node.status();
    assert_eq!(status.counters.past_from_peers as usize, world.passed);
    assert_eq!(status.behind.unwrap().keepers, 1);
    let behind = status.behind.unwrap().behind.as_millis();
    assert!((28_000..33_000).contains(&behind), "{behind} ms behind");
    let seen_us = handed[90] * 100_000;
    let evidence = world.viewer.node.evidence(seen_us, seen_us + 500_000).unwrap();
    assert_eq!(evidence.segments.len(), 5, "what was just seen is evidence");
}

#[test]
fn the_place_to_go_back_to_is_a_join_point_although_nothing_of_that_time_is_here() {
    for seconds in 30..40 {
        let mut world = World::new(KEEPING, 405);
        world.go_back(seconds);
        let (from, newest) = (world.asked_from[0].0, world.maker.next().0);
        assert!(from.is_multiple_of(GROUP), "{seconds} s: {from}");
        let back = newest - from;
        assert!((seconds * 10..=seconds * 10 + GROUP).contains(&back), "{seconds} s are {back} segments");
    }
}

/// A viewer goes back and watches for so many seconds; what its keeper sends comes at this part of the stream's rate. The most it
/// has had in store from its second second on.
fn watch_at(rate: f64, seconds: u64) -> (World, f64) {
    let mut world = World::new(Keeping { host: true, ..KEEPING }, 400);
    world.carries = Some((93_000.0 * rate) as usize);
    world.go_back(30);
    let (mut played, mut most) = (0.0, 0.0_f64);
    for at in 0..seconds * 10 {
        world.go_on(1);
        let begin = world.played.iter().rposition(Option::is_none).map_or(0, |turn| turn + 1);
        let handed = (world.played.len() - begin) as f64 * 0.1;
        if at >= 10 {
            played = handed.min(played + 0.1);
            most = most.max(handed - played);
        }
        world.play(played);
    }
    (world, most)
}

#[test]
fn a_keeper_that_gives_a_little_more_than_is_played_is_enough_however_little_is_in_store() {
    let (world, most) = watch_at(1.2, 6);
    assert!((1.0..2.5).contains(&most), "{most} s in store: little, and more all the time");
    assert_eq!((world.asked.len(), world.fetches.len()), (1, 0), "nobody else is asked");
    assert_eq!(world.viewer.node.status().behind.unwrap().keepers, 1);
}

#[test]
fn beside_a_keeper_that_gives_less_than_is_played_another_one_is_asked_and_then_the_host() {
    let (world, most) = watch_at(0.8, 8);
    assert!(most < 2.5, "{most} s in store");
    assert!(world.asked.len() > 1 && world.asked[1] == [KEEPER], "{:?}", world.asked);
    assert!(matches!(world.fetches[0], Output::FetchPast(..)));
}

#[test]
fn a_viewer_in_the_past_goes_on_receiving_what_is_live_and_is_back_at_once() {
    let mut world = World::new(KEEPING, 400);
    world.go_back(30);
    world.play(0.0);
    world.go_on(50);
    assert_eq!(world.viewer.node.status().figures.next, world.maker.next());
    world.played.clear();
    world.tell_viewer(Input::ReturnToEdge);
    let handed = world.handed();
    assert_eq!(world.played[0], None);
    assert_eq!(handed.last(), Some(&(world.maker.next().0 - 1)));
    assert!(handed[0].is_multiple_of(GROUP) && handed.len() <= GROUP as usize, "from the last join point: {handed:?}");
    world.go_on(1);
    assert_eq!(world.handed().last(), Some(&(world.maker.next().0 - 1)));
    assert_eq!(world.viewer.node.status().behind, None);
}

#[test]
fn what_nobody_keeps_comes_from_the_host() {
    let mut world = World::new(Keeping { host: true, ..KEEPING }, 400);
    world.named = false;
    world.go_back(30);
    let Some(Output::FetchPast(from, count)) = world.fetches.pop() else { panic!("the host is asked") };
    assert!(count <= 64);
    for seq in from.0..from.0 + u64::from(count) {
        let frames: Vec<_> = world.made[seq as usize].all().map(<[u8]>::to_vec).collect();
        frames.iter().for_each(|frame| world.tell_viewer(Input::PastFetched(frame)));
    }
    world.tell_viewer(Input::PastFetchEnded(true));
    assert!(world.handed().len() > 20);
    assert_eq!(world.viewer.node.status().counters.past_from_host, u64::from(count) * 9_000);
}

#[test]
fn a_viewer_that_is_stuck_asks_the_host_for_what_a_keeper_owes() {
    let mut world = World::new(Keeping { host: true, ..KEEPING }, 400);
    world.stuck = Some(Seq(150));
    world.go_back(30);
    let (mut waited, mut first) = (0, None);
    for at in 0..200 {
        world.play(f64::from(at) * 0.1);
        world.go_on(1);
        waited += u32::from(world.viewer.node.status().behind.is_some() && world.handed().last() == Some(&149));
        if let Some(Output::FetchPast(from, count)) = world.fetches.pop() {
            first.get_or_insert(from);
            for seq in from.0..from.0 + u64::from(count) {
                let frames: Vec<_> = world.made[seq as usize].all().map(<[u8]>::to_vec).collect();
                frames.iter().for_each(|frame| world.tell_viewer(Input::PastFetched(frame)));
            }
            world.tell_viewer(Input::PastFetchEnded(true));
        }
    }
    assert_eq!(first, Some(Seq(150)));
    assert!((1..45).contains(&waited), "{} ms until the host has helped", waited * 100);
    let handed = world.handed();
    assert!(handed.windows(2).all(|pair| pair[1] == pair[0] + 1), "nothing is missing: {handed:?}");
    assert_eq!(world.viewer.node.status().counters.past_lost, 0);
}

#[test]
fn what_a_host_may_have_is_not_passed_over_before_it_was_asked_however_long_nothing_came() {
    let mut world = World::new(Keeping { host: true, ..KEEPING }, 400);
    world.stuck = Some(Seq(120));
    world.go_back(30);
    world.fetches.clear();
    // The machine stands still, again and again.
    for seconds in [9, 4, 9, 4, 9] {
        world.keeper.now += Micros::from_secs(seconds);
        world.go_on(1);
    }
    assert!(world.fetches.iter().any(|order| matches!(order, Output::FetchPast(..))), "{:?}", world.fetches);
    assert_eq!(world.viewer.node.status().counters.past_lost, 0);
    for _ in 0..4 {
        world.tell_viewer(Input::PastFetchEnded(true));
        world.go_on(100);
    }
    assert!(world.viewer.node.status().counters.past_lost > 0, "the host has nothing either");
}

#[test]
fn a_host_that_does_not_answer_is_asked_three_times_before_anything_is_passed_over() {
    let mut world = World::new(Keeping { host: true, ..KEEPING }, 400);
    world.named = false;
    world.go_back(30);
    let mut asked = 0;
    for _ in 0..300 {
        world.go_on(1);
        if world.viewer.node.status().counters.past_lost == 0
            && let Some(Output::FetchPast(..)) = world.fetches.pop()
        {
            asked += 1;
            world.tell_viewer(Input::PastFetchEnded(false));
        }
    }
    assert_eq!(asked, 3);
    assert!(world.viewer.node.status().counters.past_lost > 0);
}

#[test]
fn what_the_host_or_a_keeper_falsifies_is_not_played() {
    let mut world = World::new(Keeping { host: true, ..KEEPING }, 400);
    world.named = false;
    world.go_back(30);
    let Some(Output::FetchPast(from, _)) = world.fetches.pop() else { panic!("the host is asked") };
    let frames = &mut world.made[from.0 as usize];
    frames.pieces[0][100] ^= 1;
    let frames: Vec<_> = frames.all().map(<[u8]>::to_vec).collect();
    frames.iter().for_each(|frame| world.tell_viewer(Input::PastFetched(frame)));
    world.tell_viewer(Input::PastFetched(b"nonsense"));
    world.tell_viewer(Input::PastFetchEnded(true));
    let counters = world.viewer.node.status().counters;
    assert_eq!((counters.forged, counters.malformed), (1, 1));
    assert!(!world.handed().contains(&from.0));
}

#[test]
fn where_nobody_has_the_past_the_viewer_goes_on_with_what_is_here() {
    let mut world = World::new(KEEPING, 400);
    world.named = false;
    world.go_back(30);
    world.go_on(120);
    let handed = world.handed();
    assert!(!handed.is_empty() && handed[0] >= 400, "{:?}", handed.first());
}

#[test]
fn what_no_keeper_has_does_not_keep_back_what_follows_it() {
    let mut world = World::new(KEEPING, 400);
    let mut gone = Withheld::default();
    gone.withhold(Seq(150), Seq(153)).unwrap();
    world.tell_keeper(Input::Control(&Down::Withheld(gone).encode()));
    world.go_back(30);
    for at in 0..120 {
        world.play(f64::from(at) * 0.1);
        world.go_on(1);
    }
    let handed = world.handed();
    assert!(handed.contains(&149) && handed.contains(&160), "on from the next join point: {handed:?}");
    assert!(handed.iter().all(|seq| *seq < 400), "it has not gone on with what is live: {handed:?}");
    assert_eq!(world.viewer.node.status().counters.past_lost, 3);
}

#[test]
fn what_the_host_has_not_sent_when_its_answer_breaks_off_is_not_lost() {
    let mut world = World::new(Keeping { host: true, ..KEEPING }, 400);
    world.named = false;
    world.go_back(30);
    let Some(Output::FetchPast(from, count)) = world.fetches.pop() else { panic!("the host is asked") };
    assert!(count > 4);
    for seq in [from.0, from.0 + 1, from.0 + 3] {
        let frames: Vec<_> = world.made[seq as usize].all().map(<[u8]>::to_vec).collect();
        frames.iter().for_each(|frame| world.tell_viewer(Input::PastFetched(frame)));
    }
    world.tell_viewer(Input::PastFetchEnded(false));
    assert_eq!(world.viewer.node.status().counters.past_lost, 1, "what it has left out it does not have");
    world.tick();
    let Some(Output::FetchPast(next, _)) = world.fetches.pop() else { panic!("the host is asked again") };
    assert_eq!(next.0, from.0 + 4);
}

#[test]
fn children_come_before_guests() {
    let mut world = World::new(KEEPING, 400);
    // Two children and the spare copy: with two more guests the keeper is full.
    let mut keeper = Fed::of(KEEPER, Kind::Media, &world.maker.cert.clone(), 2);
    keeper.now = world.keeper.now;
    keeper.give(Input::Keeping(KEEPING));
    for frames in &world.made[300..] {
        keeper.feed_segment(frames);
    }
    world.keeper = keeper;
    assert_eq!(world.keeper.node.status().fed.len(), 2);
    world.go_back(5);
    let first = world.link;
    world.tick();
    assert!(world.passed > 0 && first.is_some(), "the spare copy is a guest's");
    let (_, far) = first.unwrap();
    // Nothing more fits to a child: what a guest asks for waits.
    let child = world.keeper.children[0];
    world.keeper.give(Input::Writable(child, 0));
    world.go_on(1);
    let before = world.passed;
    let past = PeerMessage::Past { from: Seq(395), until: Seq(400) }.encode();
    world.tell_keeper(Input::Frame(far, Lane::Control, &past));
    assert_eq!(world.passed, before);
    world.tell_keeper(Input::Writable(child, 1 << 20));
    world.pass_time(Micros::from_millis(100));
    assert!(world.passed > before);
}

#[test]
fn a_keeper_that_refuses_is_left_at_once_and_another_one_asked_for() {
    let mut world = World::new(KEEPING, 400);
    world.tell_keeper(Input::Relay(false));
    world.go_back(30);
    world.go_on(10);
    assert_eq!(world.asked, [vec![], vec![KEEPER]], "the next one within a second");
    let none = world.viewer.node.status().behind.unwrap().keepers;
    assert_eq!(none, 0);
}

#[test]
fn a_viewer_in_the_past_gives_out_what_it_has_fetched() {
    let mut world = World::new(KEEPING, 400);
    world.go_back(30);
    world.play(0.0);
    world.go_on(50);
    let kept = world.told.expect("it reports each second");
    let (first, end) = kept.fetched.expect("it has fetched something");
    assert_eq!(first, world.played.iter().flatten().next().copied().unwrap());
    assert!(end.0 - first.0 > 80, "what is handed over and what is fetched ahead: {first:?} to {end:?}");
    let guest = NodeId(9);
    world.viewer.give(Input::Control(&Down::Guest(guest).encode()));
    let offer = Down::Signal { from: guest, attempt: 1, payload: vec![1] }.encode();
    let orders = world.viewer.give(Input::Control(&offer));
    let link = orders.iter().find_map(|order| match order {
        Output::Open(link, _, _) => Some(*link),
        _ => None,
    });
    let link = link.expect("a guest is answered");
    world.viewer.give(Input::LinkUp(link, 1 << 20));
    let past = PeerMessage::Past { from: Seq(first.0 - 1), until: Seq(first.0 + 2) }.encode();
    let orders = world.viewer.give(Input::Frame(link, Lane::Control, &past));
    let sent = orders.into_iter().filter_map(|order| match order {
        Output::Send(to, _, payload) if to == link => Some(bytes_of(&world.viewer, payload)),
        _ => None,
    });
    let sent: Vec<_> = sent.collect();
    let pieces = sent.iter().filter_map(|bytes| match Frame::decode(bytes) {
        Ok(Frame::Piece { seq, .. }) => Some(seq),
        _ => None,
    });
    let of: std::collections::BTreeSet<_> = pieces.collect();
    assert_eq!(of.into_iter().collect::<Vec<_>>(), [first, first.next()]);
    let refused = PeerMessage::NotKept { from: Seq(first.0 - 1), until: first };
    assert!(sent.contains(&refused.encode()), "what it has not it says at once");
    assert_eq!(world.viewer.node.status().guests, 1);
}

#[test]
fn a_stranger_is_given_nothing() {
    let mut world = World::new(KEEPING, 400);
    world.go_back(30);
    let (_, far) = world.link.unwrap();
    world.tell_keeper(Input::Relay(false));
    let before = world.passed;
    let past = PeerMessage::Past { from: Seq(200), until: Seq(205) }.encode();
    world.tell_keeper(Input::Frame(far, Lane::Control, &past));
    assert_eq!(world.passed, before);
    assert!(world.keeper.node.status().counters.past_refused >= 5);
}

#[test]
fn memory_is_bounded_by_bytes_and_by_time() {
    let small = Keeping { bytes_max: 500_000, ..KEEPING };
    let world = World::new(small, 400);
    let status = world.keeper.node.status();
    assert!((400_000..=500_000).contains(&status.kept_bytes), "{}", status.kept_bytes);
    let short = Keeping { span: Micros::from_secs(5), ..KEEPING };
    let status = World::new(short, 400).keeper.node.status();
    assert!((4_800..=5_000).contains(&status.kept.as_millis()), "{:?}", status.kept);
    let none = World::new(Keeping::default(), 400).keeper.node.status();
    assert_eq!((none.kept, none.kept_bytes), (Micros(0), 0));
}

#[test]
fn what_is_withheld_is_neither_played_nor_given_out_and_what_is_restored_is() {
    let mut world = World::new(KEEPING, 400);
    let mut withheld = Withheld::default();
    withheld.withhold(Seq(150), Seq(200)).unwrap();
    let told = Down::Withheld(withheld.clone()).encode();
    world.tell_viewer(Input::Control(&told));
    world.go_back(30);
    for at in 0..60 {
        world.play(f64::from(at) * 0.1);
        world.go_on(1);
    }
    let handed = world.handed();
    assert!(handed.iter().all(|seq| !(150..200).contains(seq)), "{handed:?}");
    assert_eq!(handed.iter().find(|seq| **seq >= 200), Some(&200), "it goes on behind");
    // The keeper drops them, and gives nothing of it to those who were not told.
    world.tell_keeper(Input::Control(&told));
    let (_, far) = world.link.unwrap();
    let before = world.passed;
    let past = PeerMessage::Past { from: Seq(150), until: Seq(155) }.encode();
    world.tell_keeper(Input::Frame(far, Lane::Control, &past));
    assert_eq!(world.passed, before);
    let evidence = world.keeper.node.evidence(14_500_000, 20_500_000).unwrap();
    assert_eq!(evidence.segments.len(), 10, "five before and five behind");
    // A part that is shown again may be kept again, but what was dropped is gone.
    withheld.restore(Seq(150), Seq(200)).unwrap();
    world.tell_keeper(Input::Control(&Down::Withheld(withheld).encode()));
    assert_eq!(world.keeper.node.evidence(15_000_000, 20_000_000).unwrap().segments.len(), 0);
}

#[test]
fn evidence_is_what_was_signed() {
    let world = World::new(KEEPING, 100);
    let evidence = world.keeper.node.evidence(2_000_000, 2_300_000).unwrap();
    assert_eq!((&evidence.cert, evidence.kind), (&world.maker.cert, Kind::Media));
    let seqs = evidence.segments.iter().map(|(header, payload)| {
        let header = Header::decode(header).unwrap();
        assert_eq!(payload, &vec![header.core.seq.0 as u8; 9_000]);
        header.core.seq.0
    });
    assert_eq!(seqs.collect::<Vec<_>>(), [20, 21, 22]);
}
