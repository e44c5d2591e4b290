//! What a source has produced lately, as signed frames, for whoever is to have it without a link.
//!
//! Each frame is preceded by its length as four bytes, little endian. A follower is given whole segments in order; one that is
//! too slow goes on at the newest join point. Nobody is waited for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use peerstream_protocol::frame::{Frame, PeerMessage, encode_header};
use peerstream_protocol::header::{Flags, Header};
use peerstream_protocol::id::Seq;
use peerstream_protocol::segment::{Init, InitId};
use peerstream_protocol::withheld::Withheld;
use tokio::sync::Notify;

/// Segments are kept for this long, and since the last join point.
pub const RECENT_FOR: Duration = Duration::from_secs(6);
/// Bytes of them at most.
pub const RECENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Codec headers that are kept for them.
const INITS_MAX: usize = 4;

#[derive(Clone, Debug)]
struct Entry {
    seq: Seq,
    join_point: bool,
    wall_us: u64,
    init: InitId,
    frames: Bytes,
}

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<Entry>,
    bytes: usize,
    inits: VecDeque<(InitId, Bytes)>,
    withheld: Withheld,
    ended: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

/// The segments of one broadcast that were produced lately.
#[derive(Clone, Debug, Default)]
pub struct Recent(Arc<Shared>);

impl Recent {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no holder panics")
    }

    /// The codec header of what follows.
    pub(crate) fn init(&self, init: &Init) {
        let encoded = init.encode();
        let id = InitId::of(&encoded);
        let mut framed = BytesMut::new();
        put(&mut framed, &PeerMessage::Init(encoded).encode());
        let mut state = self.lock();
        if state.inits.iter().all(|(known, _)| *known != id) {
            state.inits.push_back((id, framed.freeze()));
        }
        if state.inits.len() > INITS_MAX {
            state.inits.pop_front();
        }
    }

    /// A segment was produced: its header and the frames of its pieces.
    pub(crate) fn segment<'a>(&self, header: &Header, pieces: impl Iterator<Item = &'a [u8]>) {
        let core = &header.core;
        let mut frames = BytesMut::new();
        put(&mut frames, &encode_header(header));
        pieces.for_each(|piece| put(&mut frames, piece));
        let join_point = core.flags.has(Flags::JOIN_POINT);
        let entry =
            Entry { seq: core.seq, join_point, wall_us: core.wall_us, init: core.init, frames: frames.freeze() };
        let mut state = self.lock();
        state.bytes += entry.frames.len();
        state.ended |= core.flags.has(Flags::END);
        state.entries.push_back(entry);
        state.evict();
        drop(state);
        self.0.changed.notify_waiters();
    }

    /// Nothing follows any more.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.0.changed.notify_waiters();
    }

    /// Bits per second of the stream with its signatures, over the last seconds; 0 before there is anything.
    pub fn bits_per_second(&self) -> u64 {
        let state = self.lock();
        let (Some(first), Some(last)) = (state.entries.front(), state.entries.back()) else { return 0 };
        let span_us = last.wall_us.saturating_sub(first.wall_us);
        let bytes = (state.bytes - first.frames.len()) as u64;
        (bytes * 8).saturating_mul(1_000_000).checked_div(span_us).unwrap_or(0)
    }

    /// These segments are given out no more, and all others are.
    pub(crate) fn withhold(&self, withheld: Withheld) {
        self.lock().withheld = withheld;
    }

    /// Whether a segment is withheld.
    pub fn withholds(&self, seq: Seq) -> bool {
        self.lock().withheld.has(seq)
    }

    /// The frames of one segment, after its codec header when that is not `init`, which is then that of the segment; none when it
    /// is not here or withheld.
    pub fn segment_frames(&self, seq: Seq, init: &mut InitId) -> Option<Bytes> {
        let state = self.lock();
        let entry = state.find(seq)?.clone();
        (!state.withheld.has(seq)).then(|| state.frames(&entry, init))
    }

    /// The newest segment; none before there was any.
    pub fn newest(&self) -> Option<Seq> {
        Some(self.lock().entries.back()?.seq)
    }

    /// Follows the stream from a segment on, or from the newest join point; none while there is nothing to begin with.
    pub fn follow(&self, from: Option<Seq>) -> Option<Follower> {
        let state = self.lock();
        let newest = state.entries.back()?.seq;
        if state.ended || from.is_some_and(|from| from > newest) {
            return None;
        }
        let held = from.filter(|from| state.find(*from).is_some());
        let next = held.or_else(|| state.join_point())?;
        drop(state);
        Some(Follower { recent: self.clone(), next, init: InitId::NONE })
    }
}

impl State {
    fn find(&self, seq: Seq) -> Option<&Entry> {
        let first = self.entries.front()?.seq;
        self.entries.get(usize::try_from(seq.0.checked_sub(first.0)?).ok()?)
    }

    fn frames(&self, entry: &Entry, known: &mut InitId) -> Bytes {
        let is_new = std::mem::replace(known, entry.init) != entry.init;
        match self.inits.iter().find(|(id, _)| is_new && *id == entry.init) {
            Some((_, init)) => Bytes::from([&init[..], &entry.frames[..]].concat()),
            None => entry.frames.clone(),
        }
    }

    fn join_point(&self) -> Option<Seq> {
        self.entries.iter().rev().find(|entry| entry.join_point).map(|entry| entry.seq)
    }

    fn evict(&mut self) {
        let Some(newest) = self.entries.back().map(|entry| entry.wall_us) else { return };
        let keeps = newest.saturating_sub(RECENT_FOR.as_micros() as u64);
        let join = self.join_point();
        while let Some(first) = self.entries.front() {
            let old = first.wall_us < keeps && join.is_some_and(|join| first.seq < join);
            if self.entries.len() == 1 || !(old || self.bytes > RECENT_BYTES_MAX) {
                break;
            }
            self.bytes -= first.frames.len();
            self.entries.pop_front();
        }
    }
}

/// One who follows a stream.
#[derive(Debug)]
pub struct Follower {
    recent: Recent,
    next: Seq,
    init: InitId,
}

impl Follower {
    /// The next segment's frames, after its codec header when that is new; none when the stream has ended. Safe to cancel.
    pub async fn next(&mut self) -> Option<Bytes> {
        let shared = self.recent.0.clone();
        loop {
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(ready) = self.ready() {
                return ready;
            }
            changed.await;
        }
    }

    /// What can be given at once; an inner none when the stream has ended.
    fn ready(&mut self) -> Option<Option<Bytes>> {
        let recent = self.recent.clone();
        let state = recent.lock();
        let first = state.entries.front()?.seq;
        if self.next < first {
            self.next = state.join_point().unwrap_or(first);
        }
        while state.withheld.has(self.next) && state.find(self.next).is_some() {
            self.next = self.next.next();
        }
        let Some(entry) = state.find(self.next) else { return state.ended.then_some(None) };
        self.next = entry.seq.next();
        Some(Some(state.frames(entry, &mut self.init)))
    }
}

/// A segment that was kept elsewhere, as the frames of a link, each after its length.
pub fn frames_of(init: Option<&[u8]>, header: &Header, payload: &[u8]) -> Bytes {
    let mut frames = BytesMut::with_capacity(payload.len() + 1024);
    if let Some(init) = init {
        put(&mut frames, &PeerMessage::Init(init.to_vec()).encode());
    }
    put(&mut frames, &encode_header(header));
    for (index, bytes) in payload.chunks(header.core.piece_size.bytes()).enumerate() {
        put(&mut frames, &Frame::Piece { seq: header.core.seq, index: index as u8, bytes }.encode());
    }
    frames.freeze()
}

fn put(out: &mut BytesMut, frame: &[u8]) {
    // Frames are bounded far below that.
    out.put_u32_le(frame.len() as u32);
    out.put_slice(frame);
}

#[cfg(test)]
mod tests {
    use peerstream_protocol::crypto::SecretKey;
    use peerstream_protocol::header::{Context, Core};
    use peerstream_protocol::id::{Epoch, Rendition};
    use peerstream_protocol::segment::{Kind, PieceSize};

    use super::*;

    /// Segments of 100 ms with this many bytes, every tenth a join point.
    fn produce(recent: &Recent, seqs: std::ops::Range<u64>, len: usize) {
        let init = Init { mime: "video/mp4".into(), title: "A".into(), bytes: vec![1; 100] };
        recent.init(&init);
        let key = SecretKey::from_seed(&[1; 32]);
        let context = Context { stream: key.public(), epoch: Epoch(1), rendition: Rendition(0) };
        for seq in seqs {
            let core = Core {
                seq: Seq(seq),
                kind: Kind::Media,
                flags: if seq % 10 == 0 { Flags::JOIN_POINT } else { Flags::default() },
                pts_us: seq * 100_000,
                duration_us: 100_000,
                wall_us: 1_000_000_000 + seq * 100_000,
                init: InitId::of(&init.encode()),
                payload_len: len as u32,
                piece_size: PieceSize::Kib16,
                prev: [0; 32],
            };
            let payload = vec![seq as u8; len];
            let pieces: Vec<_> = payload.chunks(16 * 1024).zip(0..).collect();
            let hashes = pieces.iter().map(|(bytes, _)| peerstream_protocol::crypto::hash(bytes)).collect();
            let (header, _) = Header::sign(&key, &context, core, hashes);
            let frames: Vec<_> = pieces
                .iter()
                .map(|(bytes, index)| Frame::Piece { seq: Seq(seq), index: *index, bytes }.encode())
                .collect();
            recent.segment(&header, frames.iter().map(Vec::as_slice));
        }
    }

    /// What a chunk holds: `i` for a codec header, `h` for a header, `p` for a piece.
    fn kinds(mut chunk: &[u8]) -> String {
        let mut kinds = String::new();
        while let Some((len, rest)) = chunk.split_first_chunk::<4>() {
            let (frame, rest) = rest.split_at(u32::from_le_bytes(*len) as usize);
            kinds.push(match Frame::decode(frame).unwrap() {
                Frame::Message(PeerMessage::Init(_)) => 'i',
                Frame::Header(_) => 'h',
                Frame::Piece { .. } => 'p',
                other => panic!("{other:?}"),
            });
            chunk = rest;
        }
        kinds
    }

    #[tokio::test]
    async fn a_follower_begins_at_the_newest_join_point_with_its_codec_header() {
        let recent = Recent::default();
        produce(&recent, 0..25, 20_000);
        let mut follower = recent.follow(None).unwrap();
        assert_eq!(kinds(&follower.next().await.unwrap()), "ihpp");
        assert_eq!(follower.next, Seq(21));
        assert_eq!(kinds(&follower.next().await.unwrap()), "hpp");
    }

    #[tokio::test]
    async fn one_that_knows_where_it_is_goes_on_there_and_waits_for_what_is_not_there_yet() {
        let recent = Recent::default();
        produce(&recent, 0..25, 100);
        assert!(recent.follow(Some(Seq(25))).is_none(), "it has everything");
        let mut follower = recent.follow(Some(Seq(24))).unwrap();
        follower.next().await.unwrap();
        let next = tokio::spawn(async move { follower.next().await });
        tokio::task::yield_now().await;
        produce(&recent, 25..26, 100);
        assert_eq!(kinds(&next.await.unwrap().unwrap()), "hp");
    }

    #[tokio::test]
    async fn one_that_is_too_slow_goes_on_at_the_newest_join_point() {
        let recent = Recent::default();
        produce(&recent, 0..10, 100);
        let mut follower = recent.follow(None).unwrap();
        produce(&recent, 10..500, 100);
        follower.next().await.unwrap();
        assert_eq!(follower.next, Seq(491));
    }

    #[tokio::test]
    async fn what_is_withheld_is_given_to_nobody() {
        let recent = Recent::default();
        produce(&recent, 0..15, 100);
        let mut withheld = Withheld::default();
        withheld.withhold(Seq(11), Seq(13)).unwrap();
        recent.withhold(withheld);
        let mut follower = recent.follow(Some(Seq(10))).unwrap();
        let mut given = Vec::new();
        for _ in 0..3 {
            given.push(kinds(&follower.next().await.unwrap()));
        }
        assert_eq!(given, ["ihp", "hp", "hp"]);
        let mut init = InitId::NONE;
        assert!(recent.segment_frames(Seq(12), &mut init).is_none());
        assert_eq!(kinds(&recent.segment_frames(Seq(13), &mut init).unwrap()), "ihp");
        assert_eq!(kinds(&recent.segment_frames(Seq(14), &mut init).unwrap()), "hp");
    }

    #[tokio::test]
    async fn the_end_is_told() {
        let recent = Recent::default();
        assert!(recent.follow(None).is_none());
        produce(&recent, 0..1, 100);
        let mut follower = recent.follow(None).unwrap();
        recent.end();
        assert!(follower.next().await.is_some());
        assert!(follower.next().await.is_none());
        assert!(recent.follow(None).is_none());
    }

    #[test]
    fn bytes_are_bounded_and_the_rate_is_what_was_produced() {
        let recent = Recent::default();
        produce(&recent, 0..100, 300_000);
        assert!(recent.lock().bytes <= RECENT_BYTES_MAX);
        let rate = recent.bits_per_second();
        assert!((24_000_000..25_000_000).contains(&rate), "{rate}");
    }
}
