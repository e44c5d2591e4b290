//! The fallback: when nobody feeds a node, its host sends it the stream over HTTP.
//!
//! It is another way for the frames of a link, straight from the source, and they are checked as such; what came this way is
//! forwarded like anything else. The host decides how many it sends to. The node goes on looking for a parent all the while,
//! and ends the fallback as soon as the overlay carries it.

use peerstream_protocol::crypto::Verifier;
use peerstream_protocol::time::Micros;

use crate::io::Output;
use crate::node::Node;

/// Nothing new for this long, although there are links: the overlay has failed.
const FAILED_AFTER: Micros = Micros::from_secs(3);
/// Nothing for this long and no link is open: there may never be one.
const LINKLESS_AFTER: Micros = Micros::from_millis(1_500);
/// A failure meets many at once: they ask within so long of each other.
const SPREAD: Micros = Micros::from_secs(2);
/// The overlay has to carry a node for so long before the fallback ends.
const CARRIED_FOR: Micros = Micros::from_secs(2);
/// A link that brought nothing for this long does not carry.
const CARRIES_WITHIN: Micros = Micros::from_secs(1);
/// A link that brings segments further behind than this does not carry.
const CARRIES_BEHIND: u64 = 16;
/// A host that brought nothing for this long is let go, and asked again after a pause.
const STALLED: Micros = Micros::from_secs(8);
/// The first pause after the host had nothing, or no room; doubled each time.
const PAUSE_FIRST: Micros = Micros::from_secs(2);
/// The longest such pause.
const PAUSE_MAX: Micros = Micros::from_secs(20);
/// Frames taken from the host after the node has ended the fallback: they were under way.
const UNDER_WAY: Micros = Micros::from_secs(5);

/// How the fallback stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fallback {
    /// The host sends.
    running: bool,
    /// When it began, or was begun last.
    begun: Micros,
    /// When the host was last told to stop.
    ended: Option<Micros>,
    /// Not before then.
    not_before: Micros,
    /// When the host is to be asked, once that is wanted.
    due: Option<Micros>,
    /// Attempts in a row that brought nothing.
    vain: u32,
    /// Since when the overlay brings what the host brings.
    carried: Option<Micros>,
}

impl Fallback {
    /// Whether the host sends.
    pub(crate) fn is_running(&self) -> bool {
        self.running
    }
}

impl<V: Verifier> Node<V> {
    /// Begins or ends it.
    pub(crate) fn look_after_fallback(&mut self) {
        if self.fallback.running {
            self.end_fallback_when_carried();
            return self.end_fallback_when_stalled();
        }
        let over = self.delivery.has_ended(self.position);
        let wanted = self.playout.fallback && self.is_receiver() && self.stream.is_some() && !over;
        if !wanted || self.now < self.fallback.not_before || self.now.since(self.moved) < self.fallback_after() {
            self.fallback.due = None;
            return;
        }
        let due = self.fallback.due.unwrap_or_else(|| self.now + self.fallback_spread());
        self.fallback.due = Some(due);
        if self.now >= due {
            self.begin_fallback();
        }
    }

    fn begin_fallback(&mut self) {
        let Fallback { running, begun, carried, due, .. } = &mut self.fallback;
        (*running, *begun, *carried, *due) = (true, self.now, None, None);
        self.counters.fallbacks += 1;
        self.out.push_back(Output::Fetch(self.position));
    }

    /// Whoever has links was fed by others, who now lack the stream as well.
    fn fallback_spread(&mut self) -> Micros {
        let alone = self.playout.linkless || !self.links.values().any(|link| link.open);
        if alone { Micros(0) } else { Micros(self.chance.below(SPREAD.0)) }
    }

    fn fallback_after(&self) -> Micros {
        match (self.playout.linkless, self.links.values().any(|link| link.open)) {
            (true, _) => Micros(0),
            (false, true) => FAILED_AFTER,
            (false, false) => LINKLESS_AFTER,
        }
    }

    fn end_fallback_when_carried(&mut self) {
        if !self.is_carried() && self.playout.fallback {
            self.fallback.carried = None;
            return;
        }
        let since = *self.fallback.carried.get_or_insert(self.now);
        if self.now.since(since) >= CARRIED_FOR || !self.playout.fallback {
            self.end_fallback();
        }
    }

    fn end_fallback_when_stalled(&mut self) {
        let since = self.moved.max(self.fallback.begun);
        if self.fallback.running && self.now.since(since) > STALLED {
            self.out.push_back(Output::EndFetch);
            self.on_fetch_ended();
        }
    }

    /// Whether each course comes over a link, not far behind what is here.
    fn is_carried(&self) -> bool {
        let Some((newest, _)) = self.window.newest() else { return false };
        self.courses.iter().all(|course| {
            self.links.values().filter(|link| link.open).map(|link| link.flow(course.stripes)).any(|flow| {
                let near = flow.piece_in.is_some_and(|seq| seq.0 + CARRIES_BEHIND >= newest.0);
                near && self.now.since(flow.piece_at) < CARRIES_WITHIN
            })
        })
    }

    /// The overlay carries this node, or the epoch is over.
    pub(crate) fn end_fallback(&mut self) {
        if std::mem::take(&mut self.fallback.running) {
            self.fallback.ended = Some(self.now);
            self.fallback.vain = 0;
            self.out.push_back(Output::EndFetch);
        }
    }

    /// The host sent a frame.
    pub(crate) fn on_fetched(&mut self, frame: &[u8]) {
        let under_way = self.fallback.ended.is_some_and(|at| self.now.since(at) < UNDER_WAY);
        if !self.is_receiver() || self.stream.is_none() || !(self.fallback.running || under_way) {
            self.counters.unsolicited += 1;
            return;
        }
        let before = self.counters.payload_received;
        self.take_from_source(frame);
        self.counters.fetched += self.counters.payload_received - before;
        self.fallback.vain = 0;
    }

    /// The host sends no more, or had nothing to send.
    pub(crate) fn on_fetch_ended(&mut self) {
        if !std::mem::take(&mut self.fallback.running) {
            return;
        }
        self.fallback.ended = Some(self.now);
        let pause = Micros(PAUSE_FIRST.0 << self.fallback.vain.min(8)).min(PAUSE_MAX);
        // Many end at once, and should not all come back at once.
        self.fallback.not_before = self.now + Micros(pause.0 / 2 + self.chance.below(pause.0));
        self.fallback.vain += 1;
        self.pressing = true;
    }

    /// A new epoch: what the host sends of the old one is of no use.
    pub(crate) fn reset_fallback(&mut self) {
        self.end_fallback();
        self.fallback = Fallback { ended: self.fallback.ended, ..Fallback::default() };
    }
}
