//! Taking frames in: everything is checked before it is kept, and what is kept is forwarded at once.

use std::collections::VecDeque;

use peerstream_protocol::crypto::{Hash, Verifier};
use peerstream_protocol::frame::{Frame, Lane, PeerMessage, decode_header};
use peerstream_protocol::header::{Flags, Header, Signed};
use peerstream_protocol::id::Seq;
use peerstream_protocol::segment::{Init, InitId, PieceSize};

use crate::io::LinkId;
use crate::node::Node;
use crate::starter::Stored;

/// Bytes of pieces that may wait for their header; beyond it the oldest are dropped and counted.
const ORPHAN_BYTES_MAX: usize = 256 * 1024;
/// Headers that may wait for their init, or for a join point; beyond it the oldest are dropped and counted.
const HEADERS_WAITING_MAX: usize = 16;
/// How much of the way to being cut off each offence goes.
const WEIGHT_MALFORMED: u32 = 2;
const WEIGHT_FORGED: u32 = 4;
const WEIGHT_UNSOLICITED: u32 = 1;
/// A repeated piece counts as an offence once this many came over one link, and again every so many.
const REPEATS_PER_OFFENCE: u64 = 512;

/// What came before that without which it is of no use: the lane of pieces keeps no order.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    /// Pieces without their header.
    pieces: VecDeque<Orphan>,
    bytes: usize,
    /// Genuine headers without their init, or without a join point before them.
    headers: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    link: LinkId,
    header: Header,
    chain: Hash,
}

#[derive(Debug)]
struct Orphan {
    link: LinkId,
    seq: Seq,
    index: u8,
    bytes: Vec<u8>,
}

impl Orphan {
    /// Bytes of memory, about.
    fn cost(&self) -> usize {
        self.bytes.len() + size_of::<Self>()
    }
}

impl Orphans {
    /// Keeps a piece; returns how many older ones had to go.
    fn keep(&mut self, orphan: Orphan) -> u64 {
        self.bytes += orphan.cost();
        self.pieces.push_back(orphan);
        let mut dropped = 0;
        while self.bytes > ORPHAN_BYTES_MAX {
            self.bytes -= self.pieces.pop_front().map_or(0, |oldest| oldest.cost());
            dropped += 1;
        }
        dropped
    }

    fn take(&mut self, seq: Seq) -> Vec<Orphan> {
        if self.pieces.is_empty() {
            return Vec::new();
        }
        let (found, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pieces).into_iter().partition(|orphan| orphan.seq == seq);
        self.pieces = rest.into();
        self.bytes -= found.iter().map(Orphan::cost).sum::<usize>();
        found
    }

    /// Whether the header with this hash came over this link and waits.
    fn holds_header(&self, link: LinkId, chain: Hash) -> bool {
        self.headers.iter().any(|waiting| waiting.link == link && waiting.chain == chain)
    }

    /// Keeps a header; returns how many older ones had to go.
    fn keep_header(&mut self, waiting: Waiting) -> u64 {
        self.headers.push_back(waiting);
        let dropped = self.headers.len().saturating_sub(HEADERS_WAITING_MAX);
        self.headers.drain(..dropped);
        dropped as u64
    }

    /// A link has gone; what came over it stays only if its header comes soon, so it goes too.
    pub(crate) fn forget(&mut self, link: LinkId) {
        self.headers.retain(|waiting| waiting.link != link);
        self.pieces.retain(|orphan| orphan.link != link);
        self.bytes = self.pieces.iter().map(Orphan::cost).sum();
    }
}

impl<V: Verifier> Node<V> {
    pub(crate) fn take_frame(&mut self, id: LinkId, lane: Lane, bytes: &[u8]) {
        match (Frame::decode(bytes), lane) {
            (Ok(Frame::Piece { seq, index, bytes }), Lane::Pieces) => self.take_piece(id, seq, index, bytes),
            (Ok(Frame::Header(inner)), Lane::Pieces) => self.take_header(id, inner),
            (Ok(Frame::Message(PeerMessage::Init(encoded))), Lane::Pieces) => self.take_init(id, encoded),
            (Ok(Frame::Message(message)), Lane::Control) => self.take_message(id, message),
            _ => self.on_malformed(id),
        }
    }

    fn on_malformed(&mut self, id: LinkId) {
        self.counters.malformed += 1;
        self.blame(id, WEIGHT_MALFORMED);
    }

    pub(crate) fn on_forged(&mut self, id: LinkId) {
        self.counters.forged += 1;
        self.blame(id, WEIGHT_FORGED);
    }

    fn expects(&mut self, id: LinkId) -> bool {
        let now = self.now;
        let expected = self.is_receiver() && self.links.get_mut(&id).is_some_and(|link| link.on_data(now));
        if !expected {
            self.on_unsolicited(id);
        }
        expected
    }

    pub(crate) fn on_unsolicited(&mut self, id: LinkId) {
        self.counters.unsolicited += 1;
        self.blame(id, WEIGHT_UNSOLICITED);
    }

    fn take_message(&mut self, id: LinkId, message: PeerMessage) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        match message {
            PeerMessage::Init(_) => self.on_malformed(id),
            PeerMessage::Want(want) => self.on_want(id, want),
            PeerMessage::Unwant(stripes) => self.on_unwant(id, stripes),
            PeerMessage::Refused(stripes, _) => self.on_refused(id, stripes),
            PeerMessage::Gap { from, to } => self.on_gap(id, from, to),
            PeerMessage::Progress(stripes, next) => link.on_progress(stripes, next, self.position, now),
            PeerMessage::Ping { nonce } => {
                self.counters.overhead_sent += link.say(id, &PeerMessage::Pong { nonce }, now, &mut self.out);
                self.tell_those_in_need(id);
            }
            PeerMessage::Pong { nonce } => link.on_pong(nonce, now),
            PeerMessage::Train { nonce, left, .. } => self.on_train(id, nonce, left),
            PeerMessage::Dispersion { nonce, micros } => self.on_dispersion(id, nonce, micros),
            PeerMessage::Past { from, until } => self.on_past_asked(id, from, until),
            PeerMessage::NotKept { from, until } => self.on_not_kept(id, from, until),
        }
    }

    fn take_init(&mut self, id: LinkId, encoded: Vec<u8>) {
        if self.expects(id)
            && let Some(link) = self.links.get_mut(&id)
        {
            link.init_in = Some((InitId::of(&encoded), encoded));
            self.retry_waiting_headers();
        }
    }

    fn take_header(&mut self, id: LinkId, inner: &[u8]) {
        if !self.expects(id) {
            return;
        }
        let Ok(header) = decode_header(inner) else { return self.on_malformed(id) };
        if self.awaits_past(header.core.seq) {
            return self.take_past_header(Some(id), header);
        }
        let Some((signed, chain)) = self.signed(&header) else { return };
        match self.window.get(header.core.seq).map(|segment| segment.chain) {
            Some(known) if known == chain => {}
            Some(_) => self.on_forged(id),
            None if self.is_past(header.core.seq) || self.orphans.holds_header(id, chain) => {}
            None if self.is_acceptable(&header, &signed, chain) => {
                self.take_new_header(Waiting { link: id, header, chain })
            }
            None => self.on_forged(id),
        }
    }

    pub(crate) fn is_past(&self, seq: Seq) -> bool {
        let given_up = self.position.is_some_and(|position| seq < position);
        self.window.is_evicted(seq) || (given_up && (!self.still_held(seq) || self.withheld.has(seq)))
    }

    /// A segment that was given up may still be forwarded while its neighbours are retained.
    fn still_held(&self, seq: Seq) -> bool {
        seq >= self.window.first()
    }

    /// A genuine header opens its segment, or waits.
    fn take_new_header(&mut self, new: Waiting) {
        let begins = self.position.is_some() || new.header.core.flags.has(Flags::JOIN_POINT);
        let usable = begins && self.has_init(new.link, new.header.core.init);
        if let Some(link) = self.links.get_mut(&new.link) {
            let since = link.asked.unusable.unwrap_or(self.now);
            link.asked.unusable = (!usable).then_some(since);
        }
        if usable {
            self.open_segment(new.header, new.chain);
        } else {
            self.counters.orphans_dropped += self.orphans.keep_header(new);
        }
    }

    /// Something came that headers may have waited for.
    fn retry_waiting_headers(&mut self) {
        for waiting in std::mem::take(&mut self.orphans.headers) {
            let seq = waiting.header.core.seq;
            if self.window.get(seq).is_some() || self.is_past(seq) {
                continue;
            }
            match self.is_chained(&waiting.header, waiting.chain) {
                true => self.take_new_header(waiting),
                false => self.on_forged(waiting.link),
            }
        }
    }

    /// Whether an init is here, or came over this link.
    pub(crate) fn has_init(&mut self, link: LinkId, wanted: InitId) -> bool {
        let link = self.links.get_mut(&link);
        let offered = link.and_then(|link| link.init_in.take_if(|(offered, _)| *offered == wanted));
        self.adopt_init(offered, wanted)
    }

    /// What is to be signed of a header, and what the next one's `prev` must be; none before this node was welcomed to a
    /// stream.
    pub(crate) fn signed(&mut self, header: &Header) -> Option<(Signed, Hash)> {
        let signed = header.signed(&self.stream.as_ref()?.context, &mut self.verifier);
        let chain = signed.hash(&mut self.verifier);
        Some((signed, chain))
    }

    /// Whether a header is the publisher's, of this stream and in its time, and continues its neighbours.
    pub(crate) fn is_acceptable(&mut self, header: &Header, signed: &Signed, chain: Hash) -> bool {
        let Some(stream) = &self.stream else { return false };
        let genuine = header.is_genuine(signed, &stream.key, &mut self.verifier);
        let expired = header.core.wall_us / 1_000_000 > stream.expiry_s;
        let size_fits = V::SIMULATED || header.core.piece_size != PieceSize::Scaled;
        genuine && !expired && size_fits && header.core.kind == stream.kind && self.is_chained(header, chain)
    }

    /// Whether a header continues the neighbours that are here.
    fn is_chained(&self, header: &Header, chain: Hash) -> bool {
        let seq = header.core.seq;
        let before = seq.0.checked_sub(1).and_then(|before| self.window.get(Seq(before)));
        let after = self.window.get(seq.next());
        before.is_none_or(|before| before.chain == header.core.prev)
            && after.is_none_or(|after| after.header.core.prev == chain)
    }

    /// Makes sure that the init a genuine header names is here.
    pub(crate) fn adopt_init(&mut self, offered: Option<(InitId, Vec<u8>)>, wanted: InitId) -> bool {
        if wanted == InitId::NONE || self.inits.get(wanted).is_some() {
            return true;
        }
        let Some((_, encoded)) = offered.filter(|(offered, _)| *offered == wanted) else { return false };
        let Ok(init) = Init::decode(&encoded) else { return false };
        self.inits.insert(wanted, init, encoded);
        true
    }

    pub(crate) fn open_segment(&mut self, header: Header, chain: Hash) {
        let (core, now) = (header.core, self.now);
        if self.position.is_none() {
            self.position = Some(core.seq);
            self.moved = now;
            self.advance_courses();
            self.ask_from_the_position();
        }
        // A segment behind one that is not whole: it may be a hole.
        self.pressing |= self.position.is_some_and(|position| core.seq > position);
        self.latency.on_header(core.seq, core.wall_us);
        self.window.insert(header, chain, now);
        self.window.evict(core.kind, &mut self.kept);
        for orphan in self.orphans.take(core.seq) {
            self.keep_piece(orphan.link, orphan.seq, orphan.index, &orphan.bytes);
        }
        if self.window.get(core.seq).is_some_and(|segment| segment.is_complete()) {
            self.on_segment_complete(core.seq);
        }
        self.retry_waiting_headers();
        self.pump();
    }

    fn take_piece(&mut self, id: LinkId, seq: Seq, index: u8, bytes: &[u8]) {
        if !self.expects(id) {
            return;
        }
        self.counters.payload_received += bytes.len() as u64;
        if self.awaits_past(seq) {
            return self.take_past_piece(Some(id), seq, index, bytes);
        }
        if self.window.get(seq).is_some() || self.is_past(seq) {
            self.note_piece(id, seq);
        }
        if self.window.get(seq).is_some() {
            self.keep_piece(id, seq, index, bytes);
            self.pump();
        } else if self.is_past(seq) {
            self.on_repeat(id, bytes.len());
        } else {
            self.keep_orphan(id, seq, index, bytes);
        }
    }

    /// A piece waits for its header.
    pub(crate) fn keep_orphan(&mut self, link: LinkId, seq: Seq, index: u8, bytes: &[u8]) {
        let orphan = Orphan { link, seq, index, bytes: bytes.to_vec() };
        self.counters.orphans_dropped += self.orphans.keep(orphan);
    }

    /// The pieces that have waited for this header.
    pub(crate) fn take_orphans(&mut self, seq: Seq) -> Vec<(LinkId, u8, Vec<u8>)> {
        self.orphans.take(seq).into_iter().map(|orphan| (orphan.link, orphan.index, orphan.bytes)).collect()
    }

    fn note_piece(&mut self, id: LinkId, seq: Seq) {
        let now = self.now;
        if let Some(link) = self.links.get_mut(&id) {
            let flow = link.flow_mut(seq);
            (flow.piece_in, flow.piece_at) = (flow.piece_in.max(Some(seq)), now);
        }
    }

    pub(crate) fn on_repeat(&mut self, id: LinkId, bytes: usize) {
        self.counters.payload_repeated += bytes as u64;
        let Some(link) = self.links.get_mut(&id) else { return };
        link.repeats += 1;
        if link.repeats % REPEATS_PER_OFFENCE == 0 {
            self.blame(id, WEIGHT_UNSOLICITED);
        }
    }

    fn keep_piece(&mut self, id: LinkId, seq: Seq, index: u8, bytes: &[u8]) {
        match self.store_piece(seq, index, bytes) {
            Stored::Unknown => {}
            Stored::Repeated => self.on_repeat(id, bytes.len()),
            Stored::Forged => self.on_forged(id),
            Stored::Kept { completes } => {
                self.on_fed(id, seq);
                if completes {
                    self.on_segment_complete(seq);
                }
            }
        }
    }

    /// Checks a piece and keeps it.
    pub(crate) fn store_piece(&mut self, seq: Seq, index: u8, bytes: &[u8]) -> Stored {
        let Some(segment) = self.window.get_mut(seq) else { return Stored::Unknown };
        segment.take(index, bytes, &mut self.verifier, self.now)
    }

    /// A link delivered a piece that was not here yet.
    fn on_fed(&mut self, id: LinkId, seq: Seq) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        link.flow_mut(seq).fed = now;
        let peer = link.peer;
        let proven = self.proven_by(peer, seq);
        if !self.reconciler.link(peer).feeds_me.contains(proven) {
            let link = self.reconciler.link_mut(peer);
            link.feeds_me = link.feeds_me.with(proven);
            self.report_soon();
        }
    }

    pub(crate) fn on_segment_complete(&mut self, seq: Seq) {
        let Some(segment) = self.window.get(seq) else { return };
        let core = segment.header.core;
        let receiving = self.now.since(segment.since);
        let round_trip = self.parent_round_trip();
        self.latency.on_segment(round_trip, receiving);
        self.note_lag(&core);
        if core.flags.has(Flags::END) {
            self.delivery.end = Some(seq);
        }
        self.deliver();
        self.let_go_of_inits(core.init);
        self.tell_buddies();
    }
}
