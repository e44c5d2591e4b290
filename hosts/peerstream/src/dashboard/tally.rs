//! Sums over the audience, those that have left included, and how they went.

use std::collections::{HashMap, VecDeque};

use peerstream::coordinator::{NodeOverview, Overview};
use peerstream::protocol::control::Role;
use peerstream::protocol::id::NodeId;
use serde::Serialize;

/// Continuity is told over this long, in seconds.
const WINDOW_S: f64 = 60.0;
/// The course holds a point for so many seconds.
const POINT_S: f64 = 10.0;
/// Points of the course: an hour.
const POINTS_MAX: usize = 360;

/// What only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Payload bytes that the source has made.
    pub produced: u64,
    /// Bytes that this host has sent: its links, and over control connections.
    pub sent: u64,
    /// Payload bytes that viewers and helpers have received, each once: what a server would have sent.
    pub received: u64,
    /// Segments handed to players.
    pub delivered: u64,
    /// Segments given up.
    pub skipped: u64,
    /// Times a picture stood still.
    pub stalls: u64,
}

/// What goes up and down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rates {
    /// The stream's bits per second.
    pub stream_bps: u64,
    /// Bits per second that this host sends.
    pub sent_bps: u64,
    /// Bits per second that a server would send.
    pub server_bps: u64,
    /// Of the segments of the last minute, the share that was given up; none when nobody watched.
    pub skipped: Option<f64>,
    /// Times a picture stood still in the last minute.
    pub stalls: u64,
}

/// A point of the course.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Point {
    /// Seconds since the start.
    pub at_s: u64,
    /// Viewers and helpers.
    pub viewers: usize,
    /// The median lag in milliseconds.
    pub lag_ms: u32,
    /// As in [`Rates`].
    pub sent_bps: u64,
    /// As in [`Rates`].
    pub server_bps: u64,
    /// As in [`Rates`].
    pub skipped: Option<f64>,
}

/// What one node had said when last looked at.
#[derive(Clone, Copy, Default)]
struct Said {
    received: u64,
    delivered: u64,
    skipped: u64,
    stalls: u64,
}

/// A node can have received no more between two looks than this, and twice what was produced meanwhile; in bytes.
const RECEIVED_AT_ONCE_MAX: u64 = 64 * 1024 * 1024;
/// Segments, and stalls, that a node can have had between two looks.
const SEGMENTS_MAX: u64 = 1_000;

/// Adds up.
#[derive(Default)]
pub struct Tally {
    said: HashMap<NodeId, Said>,
    totals: Totals,
    /// Totals and their times, the oldest first, for [`WINDOW_S`].
    window: VecDeque<(f64, Totals)>,
    course: VecDeque<Point>,
}

impl Said {
    fn of(node: &NodeOverview) -> Self {
        let figures = &node.figures;
        Self {
            received: figures.payload_received.saturating_sub(figures.payload_repeated),
            delivered: figures.delivered,
            skipped: figures.skipped,
            stalls: figures.stalls.into(),
        }
    }
}

impl Tally {
    /// Takes a look at all members, at so many seconds since the start. `produced` and `sent` are the source's own.
    pub fn look(&mut self, overview: &Overview, produced: u64, sent: u64, now_s: f64) -> Rates {
        // A window of the stream may come at once, and what was produced since.
        let most = RECEIVED_AT_ONCE_MAX + 2 * produced.saturating_sub(self.totals.produced);
        let mut said = HashMap::with_capacity(overview.nodes.len());
        for node in overview.nodes.iter().filter(|node| node.role != Role::Source) {
            let (now, before) = (Said::of(node), self.said.get(&node.id).copied().unwrap_or_default());
            // A node that begins anew counts from zero.
            let grown = |now: u64, before: u64| if now >= before { now - before } else { now };
            let add = |total: &mut u64, now, before, most: u64| {
                *total = total.saturating_add(grown(now, before).min(most));
            };
            let totals = &mut self.totals;
            // What a node says of itself counts for no more than it could be: nobody falsifies the sums.
            add(&mut totals.received, now.received, before.received, most);
            add(&mut totals.delivered, now.delivered, before.delivered, SEGMENTS_MAX);
            add(&mut totals.skipped, now.skipped, before.skipped, SEGMENTS_MAX);
            add(&mut totals.stalls, now.stalls, before.stalls, SEGMENTS_MAX);
            said.insert(node.id, now);
        }
        self.said = said;
        (self.totals.produced, self.totals.sent) = (produced, sent);
        self.window.push_back((now_s, self.totals));
        while self.window.len() > 2 && self.window[1].0 < now_s - WINDOW_S {
            self.window.pop_front();
        }
        self.rates(now_s)
    }

    /// Rates are those of about the last ten seconds, counts those of the last minute.
    fn rates(&self, now_s: f64) -> Rates {
        let lately = self.window.iter().rev().find(|(at, _)| now_s - at >= POINT_S).or(self.window.front());
        let (Some((at, then)), Some((_, oldest))) = (lately, self.window.front()) else { return Rates::default() };
        let now = &self.totals;
        let per_second = |now: u64, then: u64| {
            let seconds = (now_s - at).max(0.001);
            if now_s > *at { (now.saturating_sub(then) as f64 * 8.0 / seconds) as u64 } else { 0 }
        };
        let delivered = now.delivered.saturating_sub(oldest.delivered);
        let skipped = now.skipped.saturating_sub(oldest.skipped);
        Rates {
            stream_bps: per_second(now.produced, then.produced),
            sent_bps: per_second(now.sent, then.sent),
            server_bps: per_second(now.received, then.received),
            skipped: (delivered + skipped > 0).then(|| skipped as f64 / (delivered + skipped) as f64),
            stalls: now.stalls.saturating_sub(oldest.stalls),
        }
    }

    /// A point of the course, if one is due.
    pub fn point(&mut self, rates: &Rates, viewers: usize, lag_ms: u32, now_s: f64) -> Option<Point> {
        let last = self.course.back().map(|point| point.at_s as f64);
        if last.is_some_and(|last| now_s - last < POINT_S) {
            return None;
        }
        let Rates { sent_bps, server_bps, skipped, .. } = *rates;
        let point = Point { at_s: now_s as u64, viewers, lag_ms, sent_bps, server_bps, skipped };
        if self.course.len() >= POINTS_MAX {
            self.course.pop_front();
        }
        self.course.push_back(point);
        Some(point)
    }

    /// What has come together since the start.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The last hour, the oldest first.
    pub fn course(&self) -> &VecDeque<Point> {
        &self.course
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{node, overview};
    use super::*;

    fn heard(id: u64, received: u64, delivered: u64, skipped: u64) -> NodeOverview {
        let mut node = node(id, Some(0));
        node.figures.payload_received = received + 10;
        node.figures.payload_repeated = 10;
        (node.figures.delivered, node.figures.skipped) = (delivered, skipped);
        node
    }

    #[test]
    fn those_that_have_left_still_count_and_those_that_begin_anew_count_twice() {
        let mut tally = Tally::default();
        tally.look(&overview(vec![heard(1, 100, 10, 0), heard(2, 50, 5, 0)]), 100, 100, 0.0);
        tally.look(&overview(vec![heard(1, 130, 13, 1)]), 130, 130, 1.0);
        tally.look(&overview(vec![heard(1, 20, 2, 0)]), 150, 150, 2.0);
        let totals = tally.totals();
        assert_eq!((totals.received, totals.delivered, totals.skipped), (200, 20, 1));
        assert_eq!((totals.produced, totals.sent), (150, 150));
    }

    #[test]
    fn rates_are_of_lately_and_continuity_of_the_last_minute() {
        let mut tally = Tally::default();
        let mut rates = Rates::default();
        for second in 0..200_u64 {
            let lost = if second < 100 { second } else { 99 };
            let one = heard(1, 1_000 * second, 10 * second - lost, lost);
            rates = tally.look(&overview(vec![one]), 1_000 * second, 500 * second, second as f64);
        }
        assert_eq!((rates.stream_bps, rates.server_bps, rates.sent_bps), (8_000, 8_000, 4_000));
        assert_eq!(rates.skipped, Some(0.0));
        assert!(tally.window.len() <= WINDOW_S as usize + 2);
    }

    #[test]
    fn the_course_is_an_hour_at_most() {
        let mut tally = Tally::default();
        for second in 0..10_000 {
            tally.point(&Rates::default(), 1, 0, f64::from(second));
        }
        assert_eq!(tally.course().len(), POINTS_MAX);
        assert_eq!(tally.course().back().unwrap().at_s, 9_990);
    }
}
