//! The starter: until a parent feeds a newcomer, the source sends it the stream over the control connection.
//!
//! A link between two viewers takes some ten round trips to open, the control connection is there after half of them. The
//! coordinator asks for a starter as far as its budget goes. The frames are those of a link and are checked as such.

use std::collections::{BTreeMap, VecDeque};

use peerstream_protocol::control::Up;
use peerstream_protocol::crypto::Verifier;
use peerstream_protocol::frame::{FRAME_BYTES_MAX, Frame, PeerMessage, Resume, Want, decode_header, encode_header};
use peerstream_protocol::header::Header;
use peerstream_protocol::id::{NodeId, Seq, Stripes};
use peerstream_protocol::segment::InitId;
use peerstream_protocol::time::Micros;

use crate::feed::{Feed, Next};
use crate::inits::Inits;
use crate::io::Output;
use crate::node::Node;
use crate::window::Window;

/// Newcomers served at once; the coordinator's budget should end before that.
const STARTERS_MAX: usize = 1024;
/// With more than this since the last join point there are no starters: they would come too late to help.
const BACKLOG_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Bytes that stand beside each frame in a message, at most.
const FRAME_OVERHEAD: usize = 8;
/// A starter ends after this long, whatever the coordinator says.
const STARTER_SPAN_MAX: Micros = Micros::from_secs(5);
/// Without a frame for this long a starter is over.
const STARTER_SILENT: Micros = Micros::from_secs(1);

/// What the source is sending to one newcomer.
#[derive(Debug)]
struct Serving {
    feed: Feed,
    behind: Micros,
    since: Micros,
    init: InitId,
}

/// Both ends of starters.
#[derive(Debug, Default)]
pub(crate) struct Starters {
    serving: BTreeMap<NodeId, Serving>,
    /// The init that came for the next header.
    init_in: Option<(InitId, Vec<u8>)>,
    /// When the last frame came.
    heard: Option<Micros>,
}

impl<V: Verifier> Node<V> {
    /// The coordinator asks the source for a starter.
    pub(crate) fn on_start(&mut self, node: NodeId, behind: Micros) {
        if self.producer.is_none() || self.starters.serving.len() >= STARTERS_MAX || !self.is_backlog_small() {
            return;
        }
        let edge = self.edge(behind);
        let begin = self.window.join_point_up_to(edge).map_or(Resume::JoinPoint, Resume::Seq);
        let want = Want { stripes: Stripes::ALL, from: begin, until: None, have: Vec::new() };
        let feed = Feed::new(&want, &self.window);
        self.starters.serving.insert(node, Serving { feed, behind, since: self.now, init: InitId::NONE });
        self.pump_starters();
    }

    /// The coordinator asks the source to end one.
    pub(crate) fn on_end_start(&mut self, node: NodeId) {
        self.starters.serving.remove(&node);
    }

    /// The source's wall clock so long ago.
    fn edge(&self, behind: Micros) -> u64 {
        self.wall_us().unwrap_or(u64::MAX).saturating_sub(behind.0)
    }

    /// Whether what a newcomer would be sent at once is within bounds.
    fn is_backlog_small(&self) -> bool {
        let Some(join) = self.window.join_point() else { return true };
        let backlog: usize = self.window.from(join).map(|(_, segment)| segment.payload_len()).sum();
        backlog <= BACKLOG_BYTES_MAX
    }

    /// Sends what is new to all newcomers that are served.
    pub(crate) fn pump_starters(&mut self) {
        let (now, wall_us) = (self.now, self.edge(Micros(0)));
        self.starters.serving.retain(|_, serving| now.since(serving.since) < STARTER_SPAN_MAX);
        for (to, serving) in &mut self.starters.serving {
            let mut batch = Batch { to: *to, frames: Vec::new(), bytes: 0 };
            let edge = wall_us.saturating_sub(serving.behind.0);
            while let Some(next) = serving.feed.next(&self.window, self.position) {
                if is_after(next, edge, &self.window) {
                    break;
                }
                for frame in frames_of(next, &self.window, &self.inits, &mut serving.init) {
                    self.counters.starters_sent += frame.len() as u64;
                    batch.push(frame, &mut self.out);
                }
                serving.feed.on_sent(next, &self.window);
            }
            batch.flush(&mut self.out);
        }
    }

    /// A frame of this node's own starter.
    pub(crate) fn on_starter(&mut self, frame: &[u8]) {
        if !self.is_receiver() || !self.control.is_welcomed() {
            self.counters.unsolicited += 1;
            return;
        }
        self.starters.heard = Some(self.now);
        self.take_from_source(frame);
    }

    /// A frame that the source sent past the overlay.
    pub(crate) fn take_from_source(&mut self, frame: &[u8]) {
        match Frame::decode(frame) {
            Ok(Frame::Message(PeerMessage::Init(encoded))) => {
                self.starters.init_in = Some((InitId::of(&encoded), encoded));
            }
            Ok(Frame::Header(inner)) => self.take_starter_header(inner),
            Ok(Frame::Piece { seq, index, bytes }) => self.take_starter_piece(seq, index, bytes),
            _ => self.counters.malformed += 1,
        }
    }

    fn take_starter_header(&mut self, inner: &[u8]) {
        let Ok(header) = decode_header(inner) else {
            self.counters.malformed += 1;
            return;
        };
        let Some((signed, chain)) = self.signed(&header) else { return };
        if self.window.get(header.core.seq).is_some() || self.is_past(header.core.seq) {
            return;
        }
        let offered = self.starters.init_in.take();
        if !self.is_acceptable(&header, &signed, chain) || !self.adopt_init(offered, header.core.init) {
            self.counters.forged += 1;
            return;
        }
        self.open_segment(header, chain);
    }

    fn take_starter_piece(&mut self, seq: Seq, index: u8, bytes: &[u8]) {
        self.counters.payload_received += bytes.len() as u64;
        match self.store_piece(seq, index, bytes) {
            Stored::Repeated => self.counters.payload_repeated += bytes.len() as u64,
            Stored::Forged => self.counters.forged += 1,
            Stored::Kept { completes: true } => self.on_segment_complete(seq),
            Stored::Kept { completes: false } | Stored::Unknown => {}
        }
        self.pump();
    }

    /// Whether a starter brings the stream, so that there is time to wait for a parent's link.
    pub(crate) fn is_starting(&self) -> bool {
        self.starters.heard.is_some_and(|at| self.now.since(at) < STARTER_SILENT)
    }
}

/// Frames that go into one message.
struct Batch {
    to: NodeId,
    frames: Vec<Vec<u8>>,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, frame: Vec<u8>, out: &mut VecDeque<Output>) {
        let cost = frame.len() + FRAME_OVERHEAD;
        if self.bytes + cost > FRAME_BYTES_MAX {
            self.flush(out);
        }
        self.bytes += cost;
        self.frames.push(frame);
    }

    fn flush(&mut self, out: &mut VecDeque<Output>) {
        if !self.frames.is_empty() {
            let frames = std::mem::take(&mut self.frames);
            self.bytes = 0;
            out.push_back(Output::Control(Up::Starter { to: self.to, frames }.encode()));
        }
    }
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// Its segment is not here.
    Unknown,
    /// It was here already.
    Repeated,
    /// It is not what the header says.
    Forged,
    /// It is new.
    Kept {
        /// Nothing of its segment is missing now.
        completes: bool,
    },
}

/// Whether a step of a feed is about a segment that was taken in after this time of the source's wall clock.
fn is_after(next: Next, edge_us: u64, window: &Window) -> bool {
    let (Next::Header(seq) | Next::Piece(seq, _) | Next::Gap(seq, _)) = next;
    window.get(seq).is_some_and(|segment| segment.header.core.wall_us > edge_us)
}

/// The frames of one step of a feed.
fn frames_of(next: Next, window: &Window, inits: &Inits, known: &mut InitId) -> Vec<Vec<u8>> {
    match next {
        Next::Header(seq) => {
            let Some(header) = window.get(seq).map(|segment| &segment.header) else { return Vec::new() };
            init_before(header, inits, known).into_iter().chain([encode_header(header)]).collect()
        }
        Next::Piece(seq, index) => {
            window.get(seq).and_then(|segment| segment.frame(index)).map(<[u8]>::to_vec).into_iter().collect()
        }
        Next::Gap(..) => Vec::new(),
    }
}

fn init_before(header: &Header, inits: &Inits, known: &mut InitId) -> Option<Vec<u8>> {
    let wanted = header.core.init;
    let is_new = wanted != InitId::NONE && std::mem::replace(known, wanted) != wanted;
    let encoded = inits.encoded(wanted).filter(|_| is_new)?;
    Some(PeerMessage::Init(encoded.to_vec()).encode())
}
