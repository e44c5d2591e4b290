//! Playout: what is handed to the player in which order, and what is given up.

use peerstream_protocol::crypto::Verifier;
use peerstream_protocol::header::{Core, Flags};
use peerstream_protocol::id::Seq;
use peerstream_protocol::segment::{InitId, Kind};
use peerstream_protocol::time::Micros;

use std::collections::VecDeque;

use crate::bridge::bridge;
use crate::io::{Output, PlayerState, Playout};
use crate::live::Arrival;
use crate::node::Node;

/// A hole in media is given up after this long: skipping costs a viewer the rest of a group of pictures.
const PATIENCE_MEDIA: Micros = Micros::from_millis(1_500);
/// A hole in data is given up after this long, when whoever could have it has forgotten it.
const PATIENCE_DATA: Micros = Micros::from_secs(10);

/// A hole longer than this is jumped over: a picture that stands still for so long is no better than a jump.
const BRIDGE_MAX_US: u64 = 2_000_000;
/// Bridges that are remembered; a driver hands a segment on before the node hears of the next.
const BRIDGES_MAX: usize = 8;

/// What has been delivered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivery {
    /// The init of the last delivery.
    pub(crate) init: InitId,
    /// The last segment of the epoch, once known.
    pub(crate) end: Option<Seq>,
    ended: bool,
    /// The last segments before and the first ones behind holes that are bridged.
    bridges: VecDeque<(Seq, Seq)>,
    /// The source's wall clock at time zero of the media: the least that any segment says.
    pub(crate) zero_us: Option<u64>,
    pub(crate) received_lag_ms: u32,
    pub(crate) lag_ms: u32,
}

impl Delivery {
    pub(crate) fn has_ended(&self, position: Option<Seq>) -> bool {
        self.ended || self.end.is_some_and(|end| position.is_some_and(|position| position > end))
    }
}

impl<V: Verifier> Node<V> {
    /// Delivers all that is whole and next, and gives up what cannot come any more.
    pub(crate) fn deliver(&mut self) {
        if !self.is_receiver() {
            return;
        }
        loop {
            self.deliver_in_order();
            self.advance_courses();
            let Some((from, to)) = self.lost_hole() else { return };
            self.give_up(from, to);
        }
    }

    fn deliver_in_order(&mut self) {
        let Some(mut position) = self.position else { return };
        while let Some(segment) = self.window.get(position).filter(|segment| segment.is_complete()) {
            let (init, wall_us) = (segment.header.core.init, segment.header.core.wall_us);
            let end = self.delivery.end == Some(position);
            self.hand_over(position, init, end);
            self.counters.delivered += u64::from(!end);
            self.jitter.on_segment(wall_us, self.clock.wall_us(self.now), self.now);
            self.delivery.ended |= end;
            position = position.next();
            self.moved = self.now;
        }
        self.position = Some(position);
    }

    /// A whole segment of what is live goes to the player, if that is where the viewer is.
    pub(crate) fn hand_over(&mut self, seq: Seq, init: InitId, end: bool) {
        let changed = std::mem::replace(&mut self.delivery.init, init) != init;
        if self.past.is_entered() {
            return;
        }
        if changed {
            self.out.push_back(Output::Init);
        }
        self.out.push_back(if end { Output::Ended } else { Output::Deliver(seq) });
    }

    /// A hole at the position that is not worth waiting for: from, up to.
    fn lost_hole(&self) -> Option<(Seq, Seq)> {
        let (position, stream) = (self.position?, self.stream.as_ref()?);
        let patience = match stream.kind {
            Kind::Media => PATIENCE_MEDIA,
            Kind::Data => PATIENCE_DATA,
        };
        // A hole begins when something behind it has come the same way, not when the last segment came: the source may pause.
        let course = self.course_of(position)?;
        let seen = course.segments(&self.window, position.next()).map(|(_, segment)| segment.since).min();
        let waited = self.now.since(seen.map_or(self.moved, |seen| seen.max(self.moved)));
        if waited < patience && !self.nobody_has(position) && !self.window.is_evicted(position) {
            return None;
        }
        let whole = self.window.from(position.next()).find(|(_, segment)| segment.is_complete()).map(|(seq, _)| seq);
        let resume = match stream.kind {
            Kind::Media => whole.filter(|whole| self.can_bridge(position, *whole)),
            Kind::Data => whole,
        };
        let join_point = || self.window.join_point_from(position.next()).filter(|_| stream.kind == Kind::Media);
        let resume = resume.or_else(join_point)?;
        Some((position, resume))
    }

    fn give_up(&mut self, from: Seq, to: Seq) {
        self.counters.skipped += to.0 - from.0;
        self.out.push_back(Output::Skip(from, to));
        self.bridge_over(from, to);
        self.position = Some(to);
        self.moved = self.now;
        self.pass_on_gap(from, to);
    }

    /// How long the newest segment took from the source to here.
    pub(crate) fn note_lag(&mut self, core: &Core) {
        let wall_us = core.wall_us;
        let zero = wall_us.saturating_sub(u64::from(core.duration_us)).saturating_sub(core.pts_us);
        self.delivery.zero_us = Some(self.delivery.zero_us.map_or(zero, |least| least.min(zero)));
        if let Some(wall) = self.wall_us() {
            self.delivery.received_lag_ms = millis(wall.saturating_sub(wall_us));
        }
    }

    /// Whether playing can go on at `to` without a jump, although the segments from `from` on are missing.
    fn can_bridge(&self, from: Seq, to: Seq) -> bool {
        let whole = |seq: Seq| self.window.get(seq).filter(|segment| segment.is_complete());
        let before = from.0.checked_sub(1).map(Seq).and_then(whole);
        let (Some(before), Some(after)) = (before, whole(to)) else { return false };
        let (before, after) = (&before.header.core, &after.header.core);
        let ended_us = before.pts_us.saturating_add(before.duration_us.into());
        let short = after.pts_us.saturating_sub(ended_us) <= BRIDGE_MAX_US;
        let alike = before.init == after.init && !after.flags.has(Flags::DISCONTINUITY);
        self.playout.bridges && short && alike
    }

    /// Remembers that playing goes on behind a hole without a jump, if that can be.
    fn bridge_over(&mut self, from: Seq, to: Seq) {
        if self.can_bridge(from, to) {
            let bridges = &mut self.delivery.bridges;
            bridges.push_back((Seq(from.0 - 1), to));
            bridges.drain(..bridges.len().saturating_sub(BRIDGES_MAX));
        }
    }

    /// A segment rewritten to follow the last one before a hole; none when it is not bridged.
    pub(crate) fn bridged(&self, seq: Seq) -> Option<Vec<u8>> {
        let (before, after) = self.delivery.bridges.iter().rfind(|(_, after)| *after == seq)?;
        let payload = |seq: Seq| {
            let mut bytes = Vec::new();
            self.payload(seq, &mut bytes).then_some(bytes)
        };
        bridge(&self.init()?.bytes, &payload(*before)?, &payload(*after)?)
    }

    pub(crate) fn on_playout(&mut self, playout: Playout) {
        self.live.set_daring(playout.daring);
        self.playout = playout;
        self.pressing = true;
    }

    /// How the stream comes.
    pub(crate) fn arrival(&self) -> Arrival {
        Arrival {
            hop: self.latency.hop(),
            segment: self.latency.segment(),
            jitter: self.jitter.now(self.now),
            only_sound: self.init().is_some_and(|init| init.mime.starts_with("audio/")),
        }
    }

    pub(crate) fn on_player(&mut self, state: &PlayerState) {
        if self.past.is_entered() {
            return self.on_player_in_the_past(state);
        }
        if let Some(order) = self.live.on_state(state, &self.arrival(), self.now) {
            self.out.push_back(order);
        }
        if let Some(lag_ms) = self.lag_at(state.position_us) {
            self.delivery.lag_ms = lag_ms;
        }
    }

    /// From the source's clock when it took a picture in, to now, when it is on the screen.
    fn lag_at(&self, position_us: u64) -> Option<u32> {
        let wall = self.wall_us()?;
        let segments = self.window.from(self.window.first());
        let (_, shown) = segments.rev().find(|(_, segment)| segment.header.core.pts_us <= position_us)?;
        let core = &shown.header.core;
        let began = core.wall_us.saturating_sub(u64::from(core.duration_us));
        Some(millis(wall.saturating_sub(began.saturating_add(position_us - core.pts_us))))
    }
}

fn millis(us: u64) -> u32 {
    (us / 1_000).min(u64::from(u32::MAX)) as u32
}
