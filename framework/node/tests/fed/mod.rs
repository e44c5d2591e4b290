//! A viewer that is being fed by hand: the source's frames are made here and handed in one by one.

use peerstream_node::{Config, Input, LinkId, Node, Output};
use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::control::{Assignment, Down, Edge, Role, Welcome};
use peerstream_protocol::crypto::{Hash, SecretKey, hash};
use peerstream_protocol::frame::{Frame, Lane, encode_header};
use peerstream_protocol::header::{Context, Core, Flags, Header};
use peerstream_protocol::id::{Epoch, NodeId, Rendition, Seq, Session, Term};
use peerstream_protocol::segment::{InitId, Kind, PieceSize};
use peerstream_protocol::time::Micros;

/// Makes the frames of a stream.
pub struct Maker {
    key: SecretKey,
    pub cert: EpochCert,
    context: Context,
    prev: Hash,
    next: Seq,
    /// The init that the next segments need.
    pub init: InitId,
    /// Their marks.
    pub flags: Flags,
    /// What they carry.
    pub kind: Kind,
}

/// One segment's frames: the header, then the pieces.
pub struct Frames {
    pub header: Vec<u8>,
    pub pieces: Vec<Vec<u8>>,
}

impl Maker {
    pub fn new() -> Self {
        let (publisher, key) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let cert = EpochCert::issue(&publisher, Epoch(1), key.public(), u64::MAX);
        let context = Context { stream: cert.publisher, epoch: cert.epoch, rendition: Rendition(0) };
        Self {
            key,
            cert,
            context,
            prev: [0; 32],
            next: Seq(0),
            init: InitId::NONE,
            flags: Flags::JOIN_POINT,
            kind: Kind::Data,
        }
    }

    /// Is cut short, and goes on with this number; what was before it is known if it was the last one that was made.
    pub fn resume(&mut self, next: Seq) {
        if self.next != next {
            (self.next, self.prev) = (next, [0; 32]);
        }
        self.flags = Flags::JOIN_POINT.with(Flags::DISCONTINUITY).with(Flags::RESUMED);
    }

    /// The number of the next segment.
    pub fn next(&self) -> Seq {
        self.next
    }

    /// The next segment: `payload` cut into pieces of this size.
    pub fn segment(&mut self, payload: &[u8], piece_size: PieceSize) -> Frames {
        let seq = self.next;
        let core = Core {
            seq,
            kind: self.kind,
            flags: self.flags,
            pts_us: seq.0 * 100_000,
            duration_us: if self.kind == Kind::Media { 100_000 } else { 0 },
            wall_us: 1_000_000 + seq.0 * 100_000,
            init: self.init,
            payload_len: payload.len() as u32,
            piece_size,
            prev: self.prev,
        };
        let hashes = payload.chunks(piece_size.bytes()).map(hash).collect();
        let (header, chain) = Header::sign(&self.key, &self.context, core, hashes);
        let encoded = encode_header(&header);
        self.prev = chain;
        self.next = seq.next();
        let pieces = payload.chunks(piece_size.bytes()).enumerate();
        let pieces = pieces.map(|(index, bytes)| Frame::Piece { seq, index: index as u8, bytes }.encode()).collect();
        Frames { header: encoded, pieces }
    }
}

/// A welcomed viewer whose parent is the source, over an open link, with this many children asking.
pub struct Fed {
    pub node: Node,
    pub parent: LinkId,
    pub children: Vec<LinkId>,
    pub now: Micros,
}

impl Fed {
    pub fn new(cert: &EpochCert, children: u64) -> Self {
        Self::of(NodeId(1), Kind::Data, cert, children)
    }

    /// The same under a name, of a stream that carries this.
    pub fn of(id: NodeId, kind: Kind, cert: &EpochCert, children: u64) -> Self {
        let config = Config {
            stream: Some(cert.publisher),
            role: Role::Viewer,
            capacity: 2,
            relay: true,
            seed: [7; 32],
            endpoints: 1,
            source: None,
        };
        let now = Micros::from_secs(1);
        let mut fed = Self { node: Node::new(config, now), parent: LinkId(0), children: Vec::new(), now };
        fed.give(Input::ControlUp);
        fed.welcome(id, kind, cert);
        fed.assign(id, children);
        fed
    }

    fn welcome(&mut self, node: NodeId, kind: Kind, cert: &EpochCert) {
        let welcome = Welcome {
            node,
            session: Session([0; 16]),
            ticket: Vec::new(),
            term: Term(1),
            cert: cert.clone(),
            rendition: Rendition(0),
            kind,
            wall_us: 1_000_000,
            ice: Vec::new(),
        };
        self.give(Input::Control(&Down::Welcome(Box::new(welcome)).encode()));
    }

    fn assign(&mut self, id: NodeId, children: u64) {
        let children: Vec<_> = (id.0 + 1..id.0 + 1 + children).map(NodeId).collect();
        let assignment = Assignment {
            term: Term(1),
            version: 1,
            parents: vec![Edge::now(NodeId::SOURCE)],
            children: children.iter().copied().map(Edge::now).collect(),
            ..Assignment::default()
        };
        let outputs = self.give(Input::Control(&Down::Assign(assignment).encode()));
        let opened = outputs.iter().find_map(|output| match output {
            Output::Open(link, NodeId::SOURCE, _) => Some(*link),
            _ => None,
        });
        self.parent = opened.expect("the viewer offers a link to its parent");
        self.give(Input::LinkUp(self.parent, u32::MAX));
        self.children = children.iter().map(|child| self.adopt(*child)).collect();
    }

    /// A child offers a link and asks for the stream.
    fn adopt(&mut self, child: NodeId) -> LinkId {
        let signal = Down::Signal { from: child, attempt: 9, payload: vec![1] }.encode();
        let outputs = self.give(Input::Control(&signal));
        let opened = outputs.iter().find_map(|output| match output {
            Output::Open(link, peer, _) if *peer == child => Some(*link),
            _ => None,
        });
        let link = opened.expect("the viewer answers its child");
        self.give(Input::LinkUp(link, u32::MAX));
        let want = peerstream_protocol::frame::Want {
            stripes: peerstream_protocol::id::Stripes::ALL,
            from: peerstream_protocol::frame::Resume::JoinPoint,
            until: None,
            have: Vec::new(),
        };
        let want = peerstream_protocol::frame::PeerMessage::Want(want).encode();
        self.give(Input::Frame(link, Lane::Control, &want));
        link
    }

    /// Hands in a fact and returns the orders.
    pub fn give(&mut self, input: Input<'_>) -> Vec<Output> {
        self.node.handle(self.now, input);
        std::iter::from_fn(|| self.node.poll()).collect()
    }

    /// Hands in a fact and counts the orders, without keeping them.
    pub fn feed(&mut self, lane: Lane, bytes: &[u8]) -> usize {
        self.node.handle(self.now, Input::Frame(self.parent, lane, bytes));
        std::iter::from_fn(|| self.node.poll()).count()
    }

    /// Hands in a whole segment of the parent's.
    pub fn feed_segment(&mut self, frames: &Frames) -> usize {
        self.now += Micros::from_millis(100);
        let header = self.feed(Lane::Pieces, &frames.header);
        header + frames.pieces.iter().map(|piece| self.feed(Lane::Pieces, piece)).sum::<usize>()
    }
}
