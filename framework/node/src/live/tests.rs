//! A media element of numbers, fed and asked as a page feeds and asks a real one.

use proptest::prelude::*;

use super::*;

const ARRIVAL: Arrival =
    Arrival { hop: Micros::from_millis(100), segment: Micros::from_millis(100), jitter: Micros(0), only_sound: false };
const STEP: Micros = Micros::from_millis(50);

/// A media element whose data arrives in segments of 100 ms.
struct Element {
    live: Live,
    arrival: Arrival,
    now: Micros,
    /// The node hears of the element this often.
    every: Micros,
    head_us: f64,
    rate: f64,
    started: bool,
    paused: bool,
    ranges: Vec<(u64, u64)>,
    orders: Vec<Output>,
}

impl Element {
    /// `backlog_us` of media are there at once, as for a newcomer.
    fn new(backlog_us: u64) -> Self {
        Self {
            live: Live::default(),
            arrival: ARRIVAL,
            now: Micros::from_secs(10),
            every: STEP,
            head_us: 0.0,
            rate: 1.0,
            started: false,
            paused: false,
            ranges: vec![(10_000_000 - backlog_us, 10_000_000)],
            orders: Vec::new(),
        }
    }

    /// Time goes by; every 100 ms it is asked what arrives.
    fn run(&mut self, span: Micros, mut arrives: impl FnMut(u64, &mut Self)) {
        let end = self.now + span;
        while self.now < end {
            self.now += STEP;
            if self.now.0.is_multiple_of(100_000) {
                let edge = self.now.0;
                arrives(edge, self);
            }
            self.play();
            if self.now.0.is_multiple_of(self.every.0) {
                self.ask();
            }
        }
    }

    /// A segment that ends at `edge` comes: it lengthens the last range, or begins one behind a hole.
    fn append(&mut self, edge: u64) {
        let start = edge - 100_000;
        match self.ranges.last_mut() {
            Some(last) if last.1 >= start => last.1 = last.1.max(edge),
            _ => self.ranges.push((start, edge)),
        }
    }

    fn here(&self) -> usize {
        self.ranges.partition_point(|range| range.0 as f64 <= self.head_us + 1_000.0).saturating_sub(1)
    }

    fn play(&mut self) {
        let (start, end) = self.ranges[self.here()];
        if self.started && !self.paused && (start as f64..end as f64).contains(&self.head_us) {
            self.head_us = (self.head_us + STEP.0 as f64 * self.rate).min(end as f64 - 50_000.0).max(self.head_us);
        }
    }

    fn ask(&mut self) {
        let (here, head) = (self.here(), self.head_us as u64);
        let ahead = self.ranges[here..].iter().map(|(start, end)| end.saturating_sub(head.max(*start))).sum();
        let state = PlayerState {
            position_us: head,
            range_start_us: self.ranges[here].0,
            range_end_us: self.ranges[here].1,
            next_range_us: self.ranges.get(here + 1).copied(),
            latest_us: self.ranges.last().expect("there is one").1,
            ahead_us: ahead,
            paused: self.paused,
            ready: true,
        };
        let Some(order) = self.live.on_state(&state, &self.arrival, self.now) else { return };
        match order {
            Output::Seek(to) => (self.started, self.head_us) = (true, to as f64),
            Output::Rate(rate) => self.rate = f64::from(rate) / 1_000.0,
            _ => {}
        }
        self.orders.push(order);
    }

    fn behind_ms(&self) -> i64 {
        (self.ranges.last().expect("there is one").1 as i64 - self.head_us as i64) / 1_000
    }

    fn seeks(&self) -> usize {
        self.orders.iter().filter(|order| matches!(order, Output::Seek(_))).count()
    }
}

fn append(edge: u64, element: &mut Element) {
    element.append(edge);
}

fn nothing(_: u64, _: &mut Element) {}

/// One that has played for four seconds.
fn playing() -> Element {
    let mut element = Element::new(1_000_000);
    element.run(Micros::from_secs(4), append);
    element
}

#[test]
fn a_player_starts_at_its_target_and_stays_there_without_a_stall() {
    let mut element = Element::new(1_000_000);
    element.run(Micros::from_secs(20), append);
    assert!((300..=500).contains(&element.behind_ms()), "{} ms behind", element.behind_ms());
    assert_eq!((element.seeks(), element.live.stalls), (1, 0));
}

#[test]
fn a_player_that_fell_a_little_behind_catches_up_by_rate_alone() {
    let mut element = playing();
    element.head_us -= 900_000.0;
    element.run(Micros::from_secs(15), append);
    assert!(element.behind_ms() <= 500, "{} ms behind", element.behind_ms());
    assert_eq!(element.seeks(), 1);
}

#[test]
fn whoever_only_listens_hears_no_large_change_of_rate() {
    let mut element = playing();
    element.arrival.only_sound = true;
    element.head_us -= 900_000.0;
    element.run(Micros::from_secs(20), append);
    assert!(element.behind_ms() <= 500, "{} ms behind", element.behind_ms());
    assert!(!element.orders.contains(&Output::Rate(1_100)));
}

#[test]
fn a_player_that_fell_far_behind_seeks_once() {
    let mut element = playing();
    element.head_us -= 5_000_000.0;
    element.ranges[0].0 = 0;
    element.run(Micros::from_secs(4), append);
    assert_eq!(element.seeks(), 2);
    assert!(element.behind_ms() <= 500, "{} ms behind", element.behind_ms());
}

#[test]
fn a_pause_of_the_user_is_left_alone_and_made_good_by_one_seek() {
    let mut element = playing();
    element.paused = true;
    element.run(Micros::from_secs(30), append);
    assert_eq!(element.seeks(), 1);
    element.paused = false;
    element.run(Micros::from_secs(2), append);
    assert_eq!((element.seeks(), element.live.stalls), (2, 0));
    assert!(element.behind_ms() <= 500, "{} ms behind", element.behind_ms());
}

#[test]
fn back_to_live_is_one_seek_even_from_near() {
    let mut element = playing();
    element.head_us -= 700_000.0;
    element.live.return_to_edge();
    element.run(Micros::from_millis(100), append);
    assert_eq!(element.seeks(), 2);
    assert!(element.behind_ms() <= 500, "{} ms behind", element.behind_ms());
}

#[test]
fn jitter_moves_the_target_and_the_rate_follows_without_a_seek() {
    let mut element = playing();
    element.arrival.jitter = Micros::from_millis(600);
    element.run(Micros::from_secs(12), append);
    assert!((600..=820).contains(&element.behind_ms()), "{} ms behind", element.behind_ms());
    element.arrival.jitter = Micros(0);
    element.run(Micros::from_secs(12), append);
    assert!((300..=500).contains(&element.behind_ms()), "{} ms behind", element.behind_ms());
    assert_eq!((element.seeks(), element.live.stalls), (1, 0));
}

#[test]
fn the_target_lies_between_its_floor_and_a_second() {
    let target = |live: &Live, jitter, hop| {
        let arrival = Arrival { jitter: Micros::from_millis(jitter), hop: Micros::from_millis(hop), ..ARRIVAL };
        live.target(&arrival).0 / 1_000
    };
    let mut live = Live::default();
    assert_eq!([target(&live, 0, 20), target(&live, 300, 20), target(&live, 5_000, 20)], [400, 480, 1_000]);
    assert_eq!([target(&live, 0, 200), target(&live, 0, 9_000)], [800, 1_000]);
    live.set_daring(true);
    assert_eq!([target(&live, 0, 200), target(&live, 300, 20), target(&live, 5_000, 20)], [180, 480, 1_000]);
    assert_eq!(live.target(&Arrival { segment: Micros::from_millis(33), ..ARRIVAL }), TARGET_MIN_DARING);
}

#[test]
fn a_hole_is_jumped_over_as_soon_as_there_is_enough_behind_it() {
    let mut element = playing();
    let end = element.ranges[0].1;
    element.run(Micros::from_secs(3), |edge, element| {
        if edge > end + 1_000_000 {
            element.append(edge);
        }
    });
    assert_eq!(element.here(), 1, "the head is behind the hole");
    assert!(element.behind_ms() <= 1_100, "{} ms behind", element.behind_ms());
}

#[test]
fn a_publisher_that_comes_back_after_a_minute_is_played_near_the_edge_after_one_seek() {
    let mut element = playing();
    element.run(Micros::from_secs(60), nothing);
    element.run(Micros::from_secs(6), append);
    assert_eq!((element.seeks(), element.live.stalls), (2, 1));
    assert!(element.behind_ms() <= 500, "{} ms behind", element.behind_ms());
    let before = element.live.stalls;
    element.run(Micros::from_secs(10), append);
    assert_eq!(element.live.stalls, before, "and goes on without waiting");
}

#[test]
fn what_little_is_behind_a_hole_is_played_in_the_end() {
    let mut element = playing();
    element.run(Micros::from_secs(5), nothing);
    let edge = element.now.0;
    element.append(edge);
    element.run(Micros::from_secs(2), nothing);
    assert_eq!(element.here(), 1);
}

#[test]
fn a_page_whose_timers_ring_once_a_second_stays_near_the_edge() {
    let mut element = Element::new(1_000_000);
    element.every = Micros::from_secs(1);
    element.run(Micros::from_secs(60), append);
    assert!((200..=600).contains(&element.behind_ms()), "{} ms behind", element.behind_ms());
    assert_eq!((element.seeks(), element.live.stalls), (1, 0));
    // Asleep for ten seconds, and a hole on the way.
    element.run(Micros::from_secs(10), nothing);
    element.run(Micros::from_secs(8), append);
    assert!(element.behind_ms() <= 700, "{} ms behind", element.behind_ms());
    assert_eq!(element.here(), 1);
}

proptest! {
    /// Whatever is lost, and however seldom the node hears of it: three seconds of whole stream later the player is near the edge.
    #[test]
    fn no_loss_makes_a_player_hang(
        lost in proptest::collection::vec(any::<bool>(), 0..80),
        every in prop_oneof![Just(50_u64), Just(150), Just(1_000)],
        daring in any::<bool>(),
    ) {
        let mut element = playing();
        element.every = Micros::from_millis(every);
        element.live.set_daring(daring);
        let mut fates = lost.into_iter();
        let span = Micros::from_millis(100 * fates.len() as u64);
        element.run(span, |edge, element| if fates.next() != Some(true) { element.append(edge) });
        element.run(Micros::from_secs(8), append);
        prop_assert!(element.behind_ms() <= 1_500, "{} ms behind", element.behind_ms());
        let before = element.head_us;
        element.run(Micros::from_secs(1), append);
        prop_assert!(element.head_us > before + 800_000.0, "it plays");
    }
}
