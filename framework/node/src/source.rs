//! The source's part: numbers, cuts, hashes and signs what the input produces.

use peerstream_protocol::crypto::{Hash, Verifier, hash};
use peerstream_protocol::header::{Core, Flags, Header};
use peerstream_protocol::id::Seq;
use peerstream_protocol::segment::{INIT_BYTES_MAX, Init, InitId, PAYLOAD_BYTES_MAX, PieceSize};
use peerstream_protocol::time::Micros;

use crate::io::{Produced, Source};
use crate::node::Node;

/// What the source remembers between segments.
#[derive(Debug)]
pub(crate) struct Producer {
    source: Source,
    next: Seq,
    prev: Hash,
    mean_bytes: usize,
    init: InitId,
    ended: bool,
    /// Marks of the next segment beside its own.
    marks: Flags,
}

impl Producer {
    pub(crate) fn new(source: Source) -> Self {
        let resumed = Flags::RESUMED.with(Flags::DISCONTINUITY);
        let (next, prev, marks) = match source.resume {
            Some(resume) => (resume.next, resume.prev, resumed),
            None => (Seq(0), [0; 32], Flags::default()),
        };
        Self { source, next, prev, mean_bytes: 0, init: InitId::NONE, ended: false, marks }
    }

    /// The number of the next segment, and what it is to name as `prev`; none behind the end.
    pub(crate) fn next(&self) -> Option<(Seq, Hash)> {
        (!self.ended).then_some((self.next, self.prev))
    }

    /// The segment produced last.
    pub(crate) fn last(&self) -> Option<Seq> {
        self.next.0.checked_sub(1).map(Seq)
    }

    /// The source's wall clock, microseconds since 1970.
    pub(crate) fn wall_us(&self, now: Micros) -> u64 {
        self.source.wall_at_zero_us.saturating_add(now.0)
    }

    fn piece_size(&mut self, len: usize) -> PieceSize {
        if let Some(size) = self.source.piece_size {
            return size;
        }
        self.mean_bytes = if self.mean_bytes == 0 { len } else { (self.mean_bytes * 15 + len) / 16 };
        let size = PieceSize::for_mean_segment(self.mean_bytes);
        // A segment far above the mean must still fit its pieces.
        if size.count(len) > peerstream_protocol::bitmap::PIECES_MAX { PieceSize::Kib16 } else { size }
    }
}

/// What is said of one segment before it is signed.
struct Facts {
    flags: Flags,
    pts_us: u64,
    duration_us: u32,
}

impl<V: Verifier> Node<V> {
    pub(crate) fn on_produced(&mut self, produced: Produced<'_>) {
        if self.producer.as_ref().is_none_or(|producer| producer.ended) {
            return;
        }
        match produced {
            Produced::Init(init) => self.produce_init(init),
            Produced::Unit { payload, pts_us, duration_us, join_point, discontinuity } => {
                let mark = |set, flag| if set { flag } else { Flags::default() };
                let flags = mark(join_point, Flags::JOIN_POINT).with(mark(discontinuity, Flags::DISCONTINUITY));
                self.produce(payload, Facts { flags, pts_us, duration_us });
            }
            Produced::End => {
                self.produce(&[], Facts { flags: Flags::END.with(Flags::JOIN_POINT), pts_us: 0, duration_us: 0 });
                if let Some(producer) = &mut self.producer {
                    producer.ended = true;
                }
            }
        }
    }

    fn produce_init(&mut self, init: Init) {
        if init.bytes.len() > INIT_BYTES_MAX || init.mime.len() > 255 {
            self.counters.oversized += 1;
            return;
        }
        let encoded = init.encode();
        let id = InitId::of(&encoded);
        self.inits.insert(id, init, encoded);
        if let Some(producer) = &mut self.producer {
            producer.init = id;
        }
    }

    fn produce(&mut self, payload: &[u8], facts: Facts) {
        let now = self.now;
        let (Some(producer), Some(stream)) = (&mut self.producer, &self.stream) else { return };
        if payload.len() > PAYLOAD_BYTES_MAX {
            self.counters.oversized += 1;
            return;
        }
        let piece_size = producer.piece_size(payload.len());
        let hashes = payload.chunks(piece_size.bytes()).map(hash).collect();
        let core = Core {
            seq: producer.next,
            kind: stream.kind,
            flags: facts.flags.with(producer.marks),
            pts_us: facts.pts_us,
            duration_us: facts.duration_us,
            wall_us: producer.wall_us(now),
            init: producer.init,
            payload_len: payload.len() as u32,
            piece_size,
            prev: producer.prev,
        };
        let (header, chain) = Header::sign(&producer.source.key, &stream.context, core, hashes);
        (producer.prev, producer.marks) = (chain, Flags::default());
        producer.next = producer.next.next();
        self.counters.produced += payload.len() as u64;
        self.retain_produced(header, chain, payload);
    }

    fn retain_produced(&mut self, header: Header, chain: Hash, payload: &[u8]) {
        let (core, now) = (header.core, self.now);
        self.latency.on_header(core.seq, core.wall_us);
        self.window.insert(header, chain, now);
        let Some(segment) = self.window.get_mut(core.seq) else { return };
        for (index, bytes) in payload.chunks(core.piece_size.bytes()).enumerate() {
            segment.store(index as u8, bytes, now);
        }
        self.position = Some(core.seq.next());
        self.advance_courses();
        self.let_go_of_inits(core.init);
        self.window.evict(core.kind, &mut self.kept);
        self.pump();
        self.pump_starters();
    }
}
