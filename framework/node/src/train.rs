//! Measuring the uplink by packet trains.
//!
//! A train is a burst of packets over several links at once. It leaves through one uplink, so that what lies between its
//! first and its last packet at a receiver, its *dispersion*, is the time the uplink took for all of them. The receivers
//! tell it; delays and their difference play no part. A train is as long as a tenth of a second of the stream, and small
//! enough for a new link's first congestion window.

use std::collections::BTreeSet;

use peerstream_protocol::crypto::Verifier;
use peerstream_protocol::frame::{PeerMessage, TRAIN_PADDING_MAX};
use peerstream_protocol::time::Micros;

use crate::io::LinkId;
use crate::link::Link;
use crate::node::Node;

/// A train goes over at most so many links.
const LINKS_MAX: usize = 4;
/// Over fewer links a train is short, and says less: so many are waited for, but not for ever.
const LINKS_MIN: usize = 2;
const LINKS_PATIENCE: Micros = Micros::from_secs(2);
/// Packets over each link: ten of them fit into the first window of SCTP.
const PACKETS: u8 = 8;
/// Trains whose dispersions are added up to one measurement, unless the first one tells no more than this part of what is
/// needed: bad news is wanted soon, as others depend on that uplink.
const TRAINS: u8 = 2;
const CLEARLY_LESS: (u64, u64) = (2, 3);
/// The pause between them.
const TRAIN_PAUSE: Micros = Micros::from_millis(300);
/// A train that is not answered in this time says what was answered. Any link tells of the whole train, so when that is too
/// little, the others are waited for no longer than this after one answer, and after as many as a measurement wants links: an
/// answer may be stuck in the receiver's own uplink.
const ANSWER_MAX: Micros = Micros::from_secs(4);
const OTHER_ANSWERS: Micros = Micros::from_secs(1);
const LAST_ANSWERS: Micros = Micros::from_millis(200);
/// A train carries this part of a second of the stream.
const TRAIN_PART: u64 = 10;
/// A peer's trains are answered at most this often, and are no longer than this. Trains that left one after the other may
/// arrive together when a queue has held up the first, so what comes too soon is nobody's offence.
const ANSWERED_EVERY: Micros = Micros::from_millis(200);
const PACKETS_MAX: u8 = 32;

/// The measurement under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probe {
    /// Since when one has been wanted.
    wanted: Option<Micros>,
    /// The train under way: its number, and the bytes between the first and the last packet of any link.
    train: Option<(u32, u64)>,
    /// Links over which it went that have not answered.
    awaited: BTreeSet<LinkId>,
    /// When the last train left.
    left_at: Micros,
    /// How many links have answered it, and until when the others are waited for.
    answers: usize,
    ends: Option<Micros>,
    trains: u8,
    bytes: u64,
    micros: u64,
}

impl Probe {
    /// Whether the train under way is not waited for any longer.
    fn is_answered(&self, needed: u64, now: Micros) -> bool {
        let told = self.ends.is_some_and(|at| now >= at) && rate(self.bytes, self.micros) < needed;
        self.awaited.is_empty() || told || now.since(self.left_at) >= ANSWER_MAX
    }

    /// Whether the first train has told without doubt that the uplink carries too little.
    fn is_clearly_weak(&self, needed: u64) -> bool {
        let (part, whole) = CLEARLY_LESS;
        self.answers >= LINKS_MIN && rate(self.bytes, self.micros) * whole < needed * part
    }
}

/// Bytes per second.
pub(crate) fn rate(bytes: u64, micros: u64) -> u64 {
    bytes.saturating_mul(1_000_000) / micros.max(1)
}

/// A peer's train as it arrives.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arriving {
    nonce: u32,
    began: Micros,
    packets: u8,
}

impl Arriving {
    /// One more packet. The dispersion, when it was the last; an error when the peer sends more than it should.
    pub(crate) fn on_packet(&mut self, nonce: u32, left: u8, now: Micros) -> Result<Option<Micros>, ()> {
        if self.packets == 0 || self.nonce != nonce {
            if self.packets > 0 && now.since(self.began) < ANSWERED_EVERY {
                return Ok(None);
            }
            *self = Self { nonce, began: now, packets: 0 };
        }
        self.packets = self.packets.saturating_add(1);
        match (self.packets > PACKETS_MAX, left) {
            (true, _) => Err(()),
            (false, 0) => Ok(Some(now.since(self.began))),
            (false, _) => Ok(None),
        }
    }
}

impl<V: Verifier> Node<V> {
    /// Goes on with the measurement of the uplink. What it carries, in bytes per second, once that is known, which is sooner if
    /// it is less than is needed.
    pub(crate) fn measure_uplink(&mut self, needed: u64) -> Option<u64> {
        let now = self.now;
        let wanted = *self.uplink.probe.wanted.get_or_insert(now);
        let probe = &mut self.uplink.probe;
        if probe.train.is_some() {
            if !probe.is_answered(needed, now) {
                return None;
            }
            (probe.train, probe.trains) = (None, probe.trains + 1);
        }
        if probe.trains >= TRAINS || probe.is_clearly_weak(needed) {
            let Probe { bytes, micros, .. } = std::mem::take(probe);
            return (bytes > 0).then(|| rate(bytes, micros));
        }
        if probe.trains == 0 || now.since(probe.left_at) >= TRAIN_PAUSE {
            self.send_train(now.since(wanted) >= LINKS_PATIENCE);
        }
        None
    }

    /// No measurement is wanted any more.
    pub(crate) fn forget_measurement(&mut self) {
        self.uplink.probe = Probe::default();
    }

    fn send_train(&mut self, patience_is_over: bool) {
        let Some(bitrate) = self.window.bitrate() else { return };
        let links = self.idle_links();
        if links.is_empty() || (links.len() < LINKS_MIN && !patience_is_over) {
            return;
        }
        let packets = u64::from(PACKETS) * LINKS_MAX as u64;
        let size = (bitrate / TRAIN_PART).div_ceil(packets).clamp(1, TRAIN_PADDING_MAX as u64);
        let (now, nonce) = (self.now, self.chance.u32());
        for left in (0..PACKETS).rev() {
            for id in &links {
                let Some(link) = self.links.get_mut(id) else { continue };
                let packet = PeerMessage::Train { nonce, left, padding: vec![0; size as usize] };
                self.counters.overhead_sent += link.say(*id, &packet, now, &mut self.out);
            }
        }
        let between = u64::from(PACKETS - 1) * links.len() as u64 * size;
        let probe = &mut self.uplink.probe;
        (probe.train, probe.left_at) = (Some((nonce, between)), now);
        (probe.answers, probe.ends) = (0, None);
        probe.awaited = links.into_iter().collect();
    }

    /// Open links over which nothing is owed, to nodes that the assignment names.
    fn idle_links(&self) -> Vec<LinkId> {
        let idle = |link: &&Link| {
            link.open && link.feed.is_none() && link.repair.is_none() && self.reconciler.names(link.peer)
        };
        let idle = self.links.iter().filter(|(_, link)| idle(link));
        idle.map(|(id, _)| *id).take(LINKS_MAX).collect()
    }

    pub(crate) fn on_train(&mut self, id: LinkId, nonce: u32, left: u8) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        match link.train_in.on_packet(nonce, left, now) {
            Ok(None) => {}
            Ok(Some(dispersion)) => {
                let micros = dispersion.0.min(u64::from(u32::MAX)) as u32;
                let answer = PeerMessage::Dispersion { nonce, micros };
                self.counters.overhead_sent += link.say(id, &answer, now, &mut self.out);
            }
            Err(()) => self.on_unsolicited(id),
        }
    }

    pub(crate) fn on_dispersion(&mut self, id: LinkId, nonce: u32, micros: u32) {
        let probe = &mut self.uplink.probe;
        let Some((_, bytes)) = probe.train.filter(|(known, _)| *known == nonce) else { return };
        if probe.awaited.remove(&id) {
            probe.bytes += bytes;
            probe.micros += u64::from(micros);
            probe.answers += 1;
            let patience = if probe.answers >= LINKS_MIN { LAST_ANSWERS } else { OTHER_ANSWERS };
            let ends = self.now + patience;
            probe.ends = Some(probe.ends.map_or(ends, |at| at.min(ends)));
            self.pressing |= self.uplink.probe.awaited.is_empty();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Micros {
        Micros::from_millis(1_000 + ms)
    }

    #[test]
    fn the_dispersion_is_from_the_first_packet_to_the_last() {
        let mut train = Arriving::default();
        assert_eq!(train.on_packet(1, 2, at(0)), Ok(None));
        assert_eq!(train.on_packet(1, 1, at(5)), Ok(None));
        assert_eq!(train.on_packet(1, 0, at(12)), Ok(Some(Micros::from_millis(12))));
    }

    fn answered(answers: usize, awaited: usize, ends: Option<Micros>) -> Probe {
        let awaited = (0..awaited as u32).map(LinkId).collect();
        Probe { answers, awaited, ends, left_at: at(0), bytes: 10_000, micros: 100_000, ..Probe::default() }
    }

    #[test]
    fn who_has_not_answered_is_not_waited_for_when_others_have_told_of_too_little() {
        let two = answered(2, 2, Some(at(700)));
        assert_eq!(rate(two.bytes, two.micros), 100_000);
        assert!(!two.is_answered(110_000, at(699)) && two.is_answered(110_000, at(700)));
        assert!(!two.is_answered(90_000, at(3_999)) && two.is_answered(90_000, at(4_000)));
        assert!(answered(3, 0, None).is_answered(90_000, at(10)));
    }

    #[test]
    fn one_train_is_enough_when_several_links_tell_much_less_than_is_needed() {
        let two = answered(2, 0, None);
        assert!(two.is_clearly_weak(160_000) && !two.is_clearly_weak(140_000) && !two.is_clearly_weak(50_000));
        assert!(!answered(1, 0, None).is_clearly_weak(160_000));
    }

    #[test]
    fn trains_that_are_too_long_are_offences_and_those_that_come_too_soon_are_not_answered() {
        let mut train = Arriving::default();
        let packets: Vec<_> = (0..=PACKETS_MAX).map(|_| train.on_packet(1, 9, at(0)).is_ok()).collect();
        assert_eq!(packets.iter().filter(|ok| !**ok).count(), 1);
        assert_eq!(train.on_packet(2, 0, at(100)), Ok(None));
        assert_eq!(train.on_packet(3, 1, at(200)), Ok(None));
        assert_eq!(train.on_packet(3, 0, at(212)), Ok(Some(Micros::from_millis(12))));
    }
}
