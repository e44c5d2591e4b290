//! The host's archive: what no viewer keeps comes from there, first come first served, within a budget. The answers wait in no
//! downlink and for no window of a connection.

use peerstream_node::Input;
use peerstream_protocol::frame::{PIECE_PREFIX, encode_header};
use peerstream_protocol::id::Seq;
use peerstream_protocol::time::Micros;

use super::{ActorId, Event, HEADER, World};
use crate::conductor::Conductor;
use crate::network::sending;

/// Segments that the archive of a world holds, the newest.
const SEGMENTS_MAX: usize = 65_536;

/// Whole segments as the host sends them.
#[derive(Debug)]
pub(super) struct Archive {
    /// The frames of each segment, from number `first` on.
    segments: std::collections::VecDeque<Vec<Vec<u8>>>,
    first: Seq,
    /// Bytes per second of all answers together.
    budget: u64,
    /// When what was promised so far has been sent.
    free_at: Micros,
    sent: u64,
}

impl Archive {
    pub(super) fn new(budget: u64, first: Seq) -> Self {
        Self { segments: Default::default(), first, budget, free_at: Micros(0), sent: 0 }
    }

    fn keep(&mut self, frames: Vec<Vec<u8>>) {
        self.segments.push_back(frames);
        if self.segments.len() > SEGMENTS_MAX {
            self.segments.pop_front();
            self.first = self.first.next();
        }
    }

    fn get(&self, seq: Seq) -> Option<&[Vec<u8>]> {
        self.segments.get(seq.0.checked_sub(self.first.0)? as usize).map(Vec::as_slice)
    }
}

impl<C: Conductor> World<C> {
    /// From now on the host keeps what is broadcast, and gives it out at so many bytes per second.
    pub fn keep_archive(&mut self, budget: u64) {
        self.archive = Some(Archive::new(budget, Seq(self.produced() as u64)));
    }

    /// Payload bytes that the archive has given out, in the segments' true bytes.
    pub fn given_by_archive(&self) -> u64 {
        self.archive.as_ref().map_or(0, |archive| archive.sent)
    }

    /// Puts the segment that the source has just produced into the archive.
    pub(super) fn archive_newest(&mut self) {
        let Some(archive) = &mut self.archive else { return };
        let Some(source) = &self.actors[ActorId::SOURCE.0].node else { return };
        let Some(header) = source.produced_header() else { return };
        let seq = header.core.seq;
        let pieces = (0..header.core.piece_count() as u8).filter_map(|index| source.piece_frame(seq, index));
        archive.keep([encode_header(header)].into_iter().chain(pieces.map(<[u8]>::to_vec)).collect());
    }

    /// A viewer asks for segments; an earlier answer ends.
    pub(super) fn ask_archive(&mut self, id: ActorId, from: Seq, count: u32) {
        let actor = &mut self.actors[id.0];
        actor.fetch += 1;
        let (fetch, delay) = (actor.fetch, actor.access.control_delay);
        let end = Seq(from.0 + u64::from(count));
        self.schedule(delay, Event::Archive { to: id.0 as u32, fetch, next: from, end });
    }

    /// It wants no more of them.
    pub(super) fn end_archive_answer(&mut self, id: ActorId) {
        self.actors[id.0].fetch += 1;
    }

    /// The archive sends the next segment of an answer that it has.
    pub(super) fn answer_from_archive(&mut self, to: u32, fetch: u32, next: Seq, end: Seq) {
        let actor = &self.actors[to as usize];
        if actor.fetch != fetch || !actor.is_alive() {
            return;
        }
        let delay = actor.access.control_delay;
        let has = |seq: &Seq| self.archive.as_ref().is_some_and(|archive| archive.get(*seq).is_some());
        let Some(seq) = (next.0..end.0).map(Seq).find(has) else {
            return self.schedule(delay, Event::Archived { to, fetch, seq: None });
        };
        let (now, scale) = (self.now, self.scale);
        let Some(archive) = &mut self.archive else { return };
        let frames = archive.get(seq).unwrap_or_default();
        let payload: usize = frames.iter().skip(1).map(|frame| frame.len() - PIECE_PREFIX).sum();
        let pieces = frames.len() as u64 - 1;
        let payload = scale.map_or(payload as u64, |scale| pieces * scale.piece_bytes);
        archive.sent += payload;
        archive.free_at =
            archive.free_at.max(now) + sending(payload + pieces * PIECE_PREFIX as u64 + HEADER, archive.budget);
        let free_at = archive.free_at;
        self.events.push(free_at + delay, Event::Archived { to, fetch, seq: Some(seq) });
        self.events.push(free_at, Event::Archive { to, fetch, next: seq.next(), end });
    }

    /// A segment of the archive, or the end of its answer, is at the viewer.
    pub(super) fn receive_archived(&mut self, to: u32, fetch: u32, seq: Option<Seq>) {
        let id = ActorId(to as usize);
        if self.actors[id.0].fetch != fetch {
            return;
        }
        let Some(seq) = seq else { return self.tell(id, Input::PastFetchEnded(true)) };
        let frames = self.archive.as_ref().and_then(|archive| archive.get(seq)).unwrap_or_default().to_vec();
        frames.iter().for_each(|frame| self.tell(id, Input::PastFetched(frame)));
    }
}
