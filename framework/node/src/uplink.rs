//! Whether this node's uplink carries children. Nothing is known of a newcomer's: it measures it ([`crate::train`]) as soon
//! as it has links, and says so. A node whose uplink does not carry two copies says that it does not relay, and measures
//! again later.
//!
//! An uplink that was good may become bad. When all of several children are held up at once, the uplink is what they share,
//! and what leaves meanwhile is what it carries: much, when they only catch up. One child that takes nothing may itself be
//! the cause, or lie: then the uplink is measured over the other links. So it is when the stream comes much later than it
//! did: whatever is wrong above may be wrong here too, which does not show as long as there is little to pass on.

use peerstream_protocol::crypto::Verifier;
use peerstream_protocol::time::Micros;

use crate::link::{CREDIT_RESERVE, Link};
use crate::node::Node;
use crate::train::{Probe, rate};

/// What leaves is looked at when all children have been held up for this long.
const HELD_UP_MAX: Micros = Micros::from_secs(1);
/// Then it is measured. So many children held up at once for so long prove it as well, if their links were up to speed: two that
/// go far need much longer to get there.
const CHILDREN_MIN: usize = 2;
const PROVES_AFTER: Micros = Micros::from_millis(1_500);
const COLD_LINKS_PROVE_AFTER: Micros = Micros::from_secs(10);
/// A link is up to speed when its child is not held up after this time.
const WARM_AFTER: Micros = Micros::from_secs(2);
/// Who has not been heard for this long may be gone, and is not held up by anything here.
const HEARD_OF_LATE: Micros = Micros::from_secs(1);
/// An uplink that feeds two children has to carry so many eighths of the stream: two copies, and an eighth of each for headers, words and
/// what a rescue costs.
pub const UPLINK_EIGHTHS: u64 = 18;
/// More copies than these pass in a hundredth of a second, in which clocks and batches of packets say more than the line.
const COPIES_TOLD: u64 = 10;
/// The stream is late when its lag has grown by this much and two segments.
const LATE: Micros = Micros::from_millis(500);
/// While it is late the uplink is measured this often.
const LATE_EVERY: Micros = Micros::from_secs(10);
/// The least lag is forgotten by this part of the time that passes, so that it follows a lasting change.
const LEAST_LAG_GROWS: u64 = 100;
/// A weak uplink is measured again after this time, twice as long each time, up to the second.
const WEAK_FIRST: Micros = Micros::from_secs(30);
const WEAK_MAX: Micros = Micros::from_secs(600);

/// What is known of the uplink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    /// Nothing.
    #[default]
    Untried,
    /// It carries two children.
    Good,
    /// It does not; it is measured again from then on.
    Weak(Micros),
}

/// The uplink, and its measurement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uplink {
    standing: Standing,
    /// Since when all children have been held up, and the payload that had been sent before.
    held_up: Option<(Micros, u64)>,
    times: u32,
    /// The least lag of the stream, and when it was seen.
    least_lag: Option<(Micros, Micros)>,
    /// When the last measurement ended.
    measured: Micros,
    /// What it was last found to carry, in bytes per second; 0 while that is not known.
    carries: u64,
    pub(crate) probe: Probe,
}

impl Uplink {
    /// Whether it is known not to carry children.
    pub(crate) fn is_weak(&self) -> bool {
        matches!(self.standing, Standing::Weak(_))
    }

    /// Whether nothing is known of it.
    pub(crate) fn is_untried(&self) -> bool {
        self.standing == Standing::Untried
    }

    /// What it was last found to carry, in bytes per second; 0 while that is not known.
    pub(crate) fn carries(&self) -> u64 {
        self.carries
    }

    /// What it was last found to carry, in kilobits per second; 0 while that is not known.
    pub(crate) fn kbps(&self) -> u32 {
        (self.carries / 125).min(u64::from(u32::MAX)) as u32
    }
}

impl<V: Verifier> Node<V> {
    /// May relay, and can as far as it knows.
    pub(crate) fn offers_to_relay(&self) -> bool {
        self.relay && !self.uplink.is_weak()
    }

    /// Nothing is known yet of the uplink by which it would relay.
    pub(crate) fn is_untried(&self) -> bool {
        self.relay && self.is_receiver() && self.uplink.is_untried()
    }

    pub(crate) fn watch_uplink(&mut self) {
        if !self.is_receiver() || !self.relay {
            return;
        }
        let bitrate = self.window.bitrate().unwrap_or_default();
        let needed = bitrate * UPLINK_EIGHTHS / 8;
        self.note_warm_links();
        let sent = if self.uplink.is_weak() { None } else { self.sent_while_held_up() };
        let held_up = sent.filter(|(span, rate)| *span >= HELD_UP_MAX && *rate < needed);
        let warm = self.children().all(|link| link.warm);
        let proves_after = if warm { PROVES_AFTER } else { COLD_LINKS_PROVE_AFTER };
        if let Some((_, rate)) = held_up.filter(|(span, _)| *span >= proves_after)
            && self.children().count() >= CHILDREN_MIN
        {
            return self.on_weak_uplink(rate);
        }
        let unknown = match self.uplink.standing {
            Standing::Untried => true,
            Standing::Good => {
                held_up.is_some() || (self.is_stream_late() && self.now.since(self.uplink.measured) >= LATE_EVERY)
            }
            Standing::Weak(until) => self.now >= until,
        };
        if !unknown {
            return self.forget_measurement();
        }
        // Of a newcomer that feeds nobody there is time to hear all answers, which say more exactly how much it is.
        let hurries = self.uplink.standing == Standing::Good || self.reconciler.fed().next().is_some();
        let soon_if_below = if hurries { needed } else { 0 };
        let Some(carries) = self.measure_uplink(soon_if_below) else { return };
        let carries = carries.min(bitrate * COPIES_TOLD);
        (self.uplink.measured, self.uplink.carries) = (self.now, carries);
        if carries < needed {
            self.on_weak_uplink(carries);
        } else if self.uplink.standing != Standing::Good {
            self.uplink.standing = Standing::Good;
            self.report_soon();
        }
    }

    fn on_weak_uplink(&mut self, carries: u64) {
        let pause = Micros(WEAK_FIRST.0 << self.uplink.times.min(5)).min(WEAK_MAX);
        let standing = Standing::Weak(self.now + pause);
        let (times, least_lag) = (self.uplink.times + 1, self.uplink.least_lag);
        self.uplink = Uplink { standing, times, least_lag, carries, ..Uplink::default() };
        self.counters.weak_uplinks += 1;
        self.report_soon();
    }

    /// Whether the stream comes much later than it did.
    fn is_stream_late(&mut self) -> bool {
        if self.delivery.received_lag_ms == 0 {
            return false;
        }
        let (now, segment) = (self.now, self.latency.segment());
        let lag = Micros::from_millis(self.delivery.received_lag_ms.into()) + now.since(self.moved);
        let (least, at) = self.uplink.least_lag.unwrap_or((lag, now));
        let least = least + Micros(now.since(at).0 / LEAST_LAG_GROWS);
        self.uplink.least_lag = Some((least.min(lag), now));
        lag > least + LATE + segment + segment
    }

    /// For how long all children have been held up, and the bytes per second that have left meanwhile.
    fn sent_while_held_up(&mut self) -> Option<(Micros, u64)> {
        let held_up = self.children().count() > 0 && self.children().all(|link| self.is_held_up(link));
        if !held_up {
            self.uplink.held_up = None;
            return None;
        }
        let (now, sent) = (self.now, self.counters.payload_sent);
        let (since, before) = *self.uplink.held_up.get_or_insert((now, sent));
        let span = now.since(since);
        Some((span, rate(sent - before, span.0)))
    }

    /// Links whose children keep up after a while are up to speed.
    fn note_warm_links(&mut self) {
        let due = |link: &Link| !link.warm && link.feed.is_some() && self.now.since(link.feeding) >= WARM_AFTER;
        let warm = self.owed().filter(|(_, link)| due(link) && !self.is_held_up(link));
        for id in warm.map(|(id, _)| id).collect::<Vec<_>>() {
            if let Some(link) = self.links.get_mut(&id) {
                link.warm = true;
            }
        }
    }

    /// The links to children that are being fed.
    pub(crate) fn children(&self) -> impl Iterator<Item = &Link> {
        let fed = self.owed().map(|(_, link)| link).filter(|link| link.feed.is_some());
        fed.filter(|link| self.reconciler.is_child(link.peer))
    }

    /// Whether something is owed to a child for which there is no credit: what was sent before is still under way.
    pub(crate) fn is_held_up(&self, link: &Link) -> bool {
        let next = link.feed.as_ref().and_then(|feed| self.window.get(feed.cursor()?));
        let lives = self.now.since(link.heard) < HEARD_OF_LATE;
        lives
            && next.is_some_and(|segment| {
                let piece = segment.header.core.piece_size.bytes().min(segment.payload_len());
                link.credit < CREDIT_RESERVE + piece as u32
            })
    }
}
