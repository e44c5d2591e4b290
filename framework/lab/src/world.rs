//! A world of nodes and a conductor, driven event by event.

use std::rc::Rc;

use peerstream_node::{Config, Input, LinkId, Node, Output, Payload, Produced, Side, Source, Status};
use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::control::{Down, Reason, Role, Up};
use peerstream_protocol::crypto::SecretKey;
use peerstream_protocol::frame::{Frame, Lane, PIECE_PREFIX, PeerMessage};
use peerstream_protocol::id::{Epoch, NodeId, Seq};
use peerstream_protocol::segment::{Kind, PieceSize};
use peerstream_protocol::time::Micros;

use crate::chance::Chance;
use crate::conductor::{Conductor, Conn, Order};
use crate::memo::Memo;
use crate::network::{Access, Network, on_the_line, sending};
use crate::player::Player;
use crate::quantiles::Distribution;
use crate::queue::Queue;
use crate::wire::{CREDIT, Wire, window_max};

/// What counts as the first frames of a link, when they are lost.
const FIRST_FRAMES: Micros = Micros::from_millis(30);
/// A link that has not opened by then has failed, as in the real transport.
const SETUP_MAX: Micros = Micros::from_secs(10);
/// A link whose other end is silent ends after this long (`docs/transport.md`).
const LINK_SILENT_MAX: Micros = Micros::from_secs(5);
/// A control connection whose other end is silent ends after this long.
const CONTROL_SILENT_MAX: Micros = Micros::from_secs(30);
/// A description waits this long for candidates.
const GATHERING: Micros = Micros::from_millis(10);
/// What a description has besides its address in this world, in bytes.
const DESCRIPTION: usize = 110;
/// Credit that a node leaves for small messages, in bytes.
const RESERVE: u64 = 4 * 1024;
/// Bytes of a header, about; it is not scaled.
const HEADER: u64 = 256;
/// Payload of a scaled segment in one piece, in bytes.
const SCALED_PAYLOAD: usize = 48;
/// A parent that delivered within this time is taken for one that feeds, by the checker of P5.
const FEEDS: Micros = Micros::from_millis(300);
/// A feeder that delivered within this time is another one, by the same.
const FED: Micros = Micros::from_millis(1_200);
/// Levels told apart; deeper ones count as the last.
const LEVELS_MAX: usize = 64;
/// Segments whose bytes are remembered.
const PRODUCED_MAX: usize = 256;

/// A node of the world, dead or alive; 0 is the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActorId(pub usize);

impl ActorId {
    /// The source.
    pub const SOURCE: Self = Self(0);
}

/// The piece frames of one segment, as far as they have been sent.
type Pieces = Vec<Option<Rc<[u8]>>>;

/// The bytes of a frame. Those of a piece are the same on all links, and are kept once.
#[derive(Debug)]
enum Body {
    Own(Vec<u8>),
    Shared(Rc<[u8]>),
}

impl Body {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// Something that happens at a time.
#[derive(Debug)]
enum Event {
    Timer(u32),
    ConductorTimer,
    ControlOpened(u32, Conn),
    ToNode(u32, Conn, Vec<u8>),
    ControlEnded(u32, Conn),
    ToConductor(Conn, Vec<u8>),
    ConductorLost(Conn),
    LinkUp(u32, LinkId),
    LinkLost(u32, LinkId),
    SetupOver(u32, LinkId),
    Signal(u32, LinkId, Vec<u8>),
    /// A frame's last byte is at the receiver's line; `size` is what it stands for, in bytes on the line.
    Frame {
        to: u32,
        link: LinkId,
        lane: Lane,
        size: u32,
        body: Body,
    },
    /// The same once it has come through the receiver's line.
    Received {
        to: u32,
        link: LinkId,
        lane: Lane,
        body: Body,
    },
    Acknowledged(u32, LinkId),
}

/// What a viewer got.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// The first segment delivered.
    pub first: Option<Seq>,
    /// The next segment in order.
    pub next: Seq,
    /// Segments given up.
    pub skipped: u64,
    /// Deliveries that were not the next segment, or whose bytes were not the source's.
    pub wrong: u64,
    /// When the first one came.
    pub first_at: Micros,
    /// When the last one came.
    pub last_at: Micros,
    /// The longest time between two deliveries.
    pub longest_gap: Micros,
    /// The epoch has ended.
    pub ended: bool,
    /// The coordinator's last refusal.
    pub refused: Option<Reason>,
    /// How often it was refused.
    pub refusals: u32,
}

/// How a node goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Nothing is said, and nothing closes.
    Silent,
    /// The system ends the control connection; links just fall silent.
    Closed,
    /// It says goodbye.
    Announced,
}

/// Who joins.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer {
    /// Its place and line.
    pub access: Access,
    /// Whether it says that it may relay.
    pub relay: bool,
    /// Children it offers to feed.
    pub capacity: u8,
}

/// What a node does wrong without knowing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flaw {
    /// It forwards nothing and believes that it does.
    pub mute: bool,
    /// What it forwards goes out this much late.
    pub late: Micros,
}

/// A node and what surrounds it.
#[derive(Debug)]
pub struct Actor {
    /// None once it has gone.
    node: Option<Box<Node<Memo>>>,
    /// Its place and line.
    pub access: Access,
    /// What it does wrong.
    pub flaw: Flaw,
    /// A fault of its own has struck it, whichever.
    pub flawed: bool,
    /// Children it offers to feed.
    pub capacity: u8,
    /// When it opened the page.
    pub joined: Micros,
    frozen_until: Micros,
    conn: Option<Conn>,
    wires: Vec<(LinkId, Wire)>,
    uplink_free: Micros,
    downlink_free: Micros,
    /// When the node wants its timer, and when the next one is in the queue.
    timer: Micros,
    timer_queued: Option<Micros>,
    /// What it got.
    pub received: Received,
    /// What was shown.
    pub player: Player,
    /// What went out, in bytes on the line.
    pub sent: u64,
    /// The longest wait for the uplink since somebody asked.
    pub queued_max: Micros,
    /// The level it was last seen fed at; 0 for the roots.
    pub level: u8,
}

impl Actor {
    /// Whether it is there.
    pub fn is_alive(&self) -> bool {
        self.node.is_some()
    }

    /// Whether nothing in it runs at this time.
    pub fn is_frozen(&self, now: Micros) -> bool {
        self.frozen_until > now
    }

    fn wire(&mut self, link: LinkId) -> Option<&mut Wire> {
        self.wires.iter_mut().find(|(id, _)| *id == link).map(|(_, wire)| wire)
    }

    /// The nodes at the other ends of its open links, with when each last delivered a piece.
    pub fn open_links(&self) -> impl Iterator<Item = (ActorId, Micros)> {
        let open = self.wires.iter().filter(|(_, wire)| wire.open);
        open.filter_map(|(_, wire)| wire.other.map(|(other, _)| (ActorId(other), wire.fed)))
    }
}

/// What the world counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events carried out.
    pub events: u64,
    /// Control bytes to the coordinator.
    pub control_in: u64,
    /// Control bytes to nodes.
    pub control_out: u64,
    /// Control messages to the coordinator.
    pub messages_in: u64,
    /// Control messages to nodes.
    pub messages_out: u64,
    /// Payload received from the source, in the segments' true bytes.
    pub payload_from_source: u64,
    /// Payload received from viewers, in the segments' true bytes.
    pub payload_from_peers: u64,
    /// Times a node took its want back from a feeder.
    pub releases: u64,
    /// Times it did so from its only one, which was feeding it (P5).
    pub releases_early: u64,
    /// A hash over all events in order.
    pub trace: u64,
}

/// Nodes, links between them, and a conductor.
#[derive(Debug)]
pub struct World<C> {
    /// What happens to bytes.
    pub network: Network,
    /// Answers the control connections.
    pub conductor: C,
    /// What has been counted.
    pub tally: Tally,
    /// The first few releases that broke P5.
    pub early_releases: Vec<String>,
    chance: Chance,
    now: Micros,
    events: Queue<Event>,
    actors: Vec<Actor>,
    /// Whose connection it is; by number.
    conns: Vec<Option<u32>>,
    control_cut_until: Micros,
    memo: Memo,
    /// Bytes that a piece stands for, when payloads are scaled down.
    piece_bytes: Option<u64>,
    /// The payloads of the last segments, by number modulo [`PRODUCED_MAX`].
    produced: Vec<Rc<[u8]>>,
    /// When each segment was produced, and how long it lasts.
    produced_at: Vec<Micros>,
    segment: Micros,
    kind: Kind,
    /// The pieces of late, each once, by segment modulo [`PRODUCED_MAX`].
    pieces: Vec<(Seq, Pieces)>,
    window_max: u64,
    /// Lag of what viewers that play received, in ms, by level, since somebody took it.
    pub(crate) lags: Vec<Distribution>,
    scratch: Vec<u8>,
}

/// The keys of a simulated broadcast.
pub fn broadcast_keys() -> (SecretKey, EpochCert) {
    let (publisher, key) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
    let cert = EpochCert::issue(&publisher, Epoch(1), key.public(), u64::MAX);
    (key, cert)
}

impl<C: Conductor> World<C> {
    /// A world with a source and nobody else.
    pub fn new(seed: u64, network: Network, conductor: C, kind: Kind) -> Self {
        Self::with_source(seed, network, conductor, kind, Access::default())
    }

    /// The same, the source being at this place with this line.
    pub fn with_source(seed: u64, network: Network, conductor: C, kind: Kind, access: Access) -> Self {
        let window_max = window_max(network.loss);
        let mut world = Self {
            network,
            conductor,
            tally: Tally::default(),
            early_releases: Vec::new(),
            chance: Chance::new(seed),
            now: Micros(0),
            events: Queue::default(),
            actors: Vec::new(),
            conns: Vec::new(),
            control_cut_until: Micros(0),
            memo: Memo::default(),
            piece_bytes: None,
            produced: Vec::new(),
            produced_at: Vec::new(),
            segment: Micros::from_millis(100),
            kind,
            pieces: (0..PRODUCED_MAX).map(|_| (Seq(u64::MAX), Vec::new())).collect(),
            window_max,
            lags: vec![Distribution::default(); LEVELS_MAX],
            scratch: Vec::new(),
        };
        let (key, cert) = broadcast_keys();
        let source = Source { key, cert, kind, wall_at_zero_us: 0 };
        world.add(Role::Source, Newcomer { access, relay: true, capacity: 2 }, Some(source));
        world
    }

    /// From now on segments have this many pieces, each of which stands for this many bytes. The bytes that nodes see are
    /// few; the network, the credit of links and all reports go by what they stand for. Headers and messages are real.
    pub fn scale(&mut self, pieces: usize, piece_bytes: u64) -> usize {
        self.piece_bytes = Some(piece_bytes);
        if pieces <= 1 { SCALED_PAYLOAD } else { pieces * PieceSize::Kib4.bytes() }
    }

    /// How long a segment lasts from now on; [`Self::stream`] sets it too.
    pub fn set_segment(&mut self, segment: Micros) {
        self.segment = segment;
    }

    /// How long a segment lasts.
    pub fn segment(&self) -> Micros {
        self.segment
    }

    /// A new node opens the page.
    pub fn join(&mut self, relay: bool) -> ActorId {
        self.join_as(Newcomer { access: Access::default(), relay, capacity: 2 })
    }

    /// A new node of this sort opens the page.
    pub fn join_as(&mut self, newcomer: Newcomer) -> ActorId {
        self.add(Role::Viewer, newcomer, None)
    }

    fn add(&mut self, role: Role, newcomer: Newcomer, source: Option<Source>) -> ActorId {
        let id = ActorId(self.actors.len());
        let seed = self.chance.seed();
        let Newcomer { access, relay, capacity } = newcomer;
        let config = Config { stream: None, role, capacity, relay, seed, endpoints: 1, source };
        let node = Node::with_verifier(config, self.now, self.memo.clone());
        self.actors.push(Actor {
            node: Some(Box::new(node)),
            access,
            flaw: Flaw::default(),
            flawed: false,
            capacity,
            joined: self.now,
            frozen_until: Micros(0),
            conn: None,
            wires: Vec::new(),
            uplink_free: self.now,
            downlink_free: self.now,
            timer: Micros(0),
            timer_queued: None,
            received: Received { last_at: self.now, ..Received::default() },
            player: Player::default(),
            sent: 0,
            queued_max: Micros(0),
            level: 0,
        });
        self.drain(id);
        id
    }

    /// The time.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// A node.
    pub fn actor(&self, id: ActorId) -> &Actor {
        &self.actors[id.0]
    }

    /// A node, to change its surroundings.
    pub fn actor_mut(&mut self, id: ActorId) -> &mut Actor {
        &mut self.actors[id.0]
    }

    /// How many nodes there ever were, with the source.
    pub fn actors(&self) -> usize {
        self.actors.len()
    }

    /// A node's status; that of nobody once it has gone.
    pub fn status(&self, id: ActorId) -> Status {
        self.actors[id.0].node.as_ref().map(|node| node.status()).unwrap_or_default()
    }

    /// A node's name.
    pub fn name(&self, id: ActorId) -> Option<NodeId> {
        self.status(id).node
    }

    /// Nodes that are alive, the source left out.
    pub fn living(&self) -> impl Iterator<Item = ActorId> {
        (1..self.actors.len()).filter(|id| self.actors[*id].is_alive()).map(ActorId)
    }

    /// How many segments the source has produced.
    pub fn produced(&self) -> usize {
        self.produced_at.len()
    }

    /// When each segment was produced.
    pub fn produced_at(&self) -> &[Micros] {
        &self.produced_at
    }

    /// Bytes of payload that one byte of a node's counters stands for.
    pub fn payload_scale(&self) -> f64 {
        let (Some(bytes), Some(last)) = (self.piece_bytes, self.produced.last()) else { return 1.0 };
        let pieces = last.len().div_ceil(PieceSize::Kib4.bytes()).max(1);
        bytes as f64 * pieces as f64 / last.len() as f64
    }

    /// Payload bytes per second that the segments stand for.
    pub fn stream_bytes_per_second(&self) -> f64 {
        let last = self.produced.last().map_or(0.0, |last| last.len() as f64);
        last * self.payload_scale() * 1e6 / self.segment.0.max(1) as f64
    }

    /// The source produces one segment of this many bytes.
    pub fn produce(&mut self, len: usize, join_point: bool) {
        let tag = self.produced_at.len();
        let payload: Rc<[u8]> = (0..len).map(|i| (tag.wrapping_mul(31) + i * 7 + (tag >> 8)) as u8).collect();
        match self.produced.get_mut(tag % PRODUCED_MAX) {
            Some(place) => *place = payload.clone(),
            None => self.produced.push(payload.clone()),
        }
        self.produced_at.push(self.now);
        let duration_us = if self.kind == Kind::Data { 0 } else { self.segment.0 as u32 };
        let pts_us = tag as u64 * self.segment.0;
        let unit = Produced::Unit { payload: &payload, pts_us, duration_us, join_point, discontinuity: false };
        self.tell(ActorId::SOURCE, Input::Produced(unit));
    }

    /// The source's input ends.
    pub fn end(&mut self) {
        self.tell(ActorId::SOURCE, Input::Produced(Produced::End));
    }

    /// Dies without a goodbye: links and control connection just fall silent (the socket closes a little later).
    pub fn kill(&mut self, id: ActorId) {
        self.depart(id, Departure::Closed);
    }

    /// Leaves with a goodbye.
    pub fn leave(&mut self, id: ActorId) {
        self.depart(id, Departure::Announced);
    }

    /// Goes.
    pub fn depart(&mut self, id: ActorId, how: Departure) {
        if how == Departure::Announced {
            self.tell(id, Input::Leave);
        }
        self.actors[id.0].player.judge_overdue(self.now, &self.produced_at);
        let actor = &mut self.actors[id.0];
        actor.node = None;
        let wires = std::mem::take(&mut actor.wires);
        let (conn, control_delay) = (actor.conn.take(), actor.access.control_delay);
        if let Some(conn) = conn {
            let noticed = if how == Departure::Silent { CONTROL_SILENT_MAX } else { control_delay };
            self.schedule(noticed, Event::ConductorLost(conn));
        }
        for (other, link) in wires.into_iter().filter_map(|(_, wire)| wire.other.filter(|_| wire.open)) {
            self.schedule(LINK_SILENT_MAX, Event::LinkLost(other as u32, link));
        }
    }

    /// What was due at a viewer and has not come is counted as lost.
    pub fn judge_overdue(&mut self, id: ActorId) {
        self.actors[id.0].player.judge_overdue(self.now, &self.produced_at);
    }

    /// Nothing in this node runs for a while.
    pub fn freeze(&mut self, id: ActorId, span: Micros) {
        self.actors[id.0].frozen_until = self.now + span;
    }

    /// This share of the open ends of links sends nothing that arrives for a while.
    pub fn cut_one_way(&mut self, share: f64, span: Micros) {
        let until = self.now + span;
        for actor in &mut self.actors {
            for (_, wire) in actor.wires.iter_mut().filter(|(_, wire)| wire.open) {
                if self.chance.happens(share) {
                    wire.cut_until = until;
                }
            }
        }
    }

    /// All viewers' control connections break, and none can be opened for a while.
    pub fn cut_control(&mut self, span: Micros) {
        self.control_cut_until = self.now + span;
        for id in (1..self.actors.len()).map(ActorId) {
            self.break_control(id);
        }
        self.obey_conductor();
    }

    /// The conductor dies and another one takes over; viewers cannot open a connection for a while.
    pub fn replace_conductor(&mut self, conductor: C, span: Micros) {
        self.conductor = conductor;
        self.break_control(ActorId::SOURCE);
        self.cut_control(span);
    }

    fn break_control(&mut self, id: ActorId) {
        if let Some(conn) = self.actors[id.0].conn.take() {
            self.conns[conn.0 as usize] = None;
            self.conductor.closed(self.now, conn);
            self.tell(id, Input::ControlDown);
        }
    }

    /// Hands a fact to a node and carries out what it orders.
    pub fn tell(&mut self, id: ActorId, input: Input<'_>) {
        let actor = &mut self.actors[id.0];
        if let Some(node) = &mut actor.node {
            node.handle(drifted(self.now, actor.access.drift_ppm), input);
            self.drain(id);
        }
    }

    /// Runs for a span; the source produces `len` bytes every `every`, with a join point every `gop` segments.
    pub fn stream(&mut self, span: Micros, every: Micros, len: usize, gop: usize) {
        let end = self.now + span;
        self.segment = every;
        while self.now < end {
            let next = (self.now + every).min(end);
            self.produce(len, self.produced_at.len().is_multiple_of(gop));
            self.run_until(next);
        }
    }

    /// Carries out all events up to a time.
    pub fn run_until(&mut self, until: Micros) {
        self.obey_conductor();
        while let Some((at, event)) = self.events.pop(until) {
            self.now = self.now.max(at);
            self.tally.events += 1;
            self.happen(event);
        }
        self.now = until;
    }

    fn schedule(&mut self, after: Micros, event: Event) {
        self.events.push(self.now + after, event);
    }

    /// An event for a frozen node waits until it thaws.
    fn thaw(&self, event: &Event) -> Option<Micros> {
        let id = match event {
            Event::Timer(id) | Event::ControlOpened(id, _) | Event::ToNode(id, ..) => *id,
            Event::ControlEnded(id, _) => *id,
            Event::LinkUp(id, _) | Event::LinkLost(id, _) | Event::Signal(id, ..) => *id,
            Event::SetupOver(id, _) | Event::Acknowledged(id, _) => *id,
            Event::Frame { to, .. } | Event::Received { to, .. } => *to,
            Event::ConductorTimer | Event::ToConductor(..) | Event::ConductorLost(_) => return None,
        };
        let until = self.actors[id as usize].frozen_until;
        (until > self.now).then(|| until.since(self.now))
    }

    /// Mixes what happens into the trace.
    fn trace(&mut self, event: &Event) {
        let (kind, id, len) = match event {
            Event::Timer(id) => (1, *id, 0),
            Event::ConductorTimer => (2, 0, 0),
            Event::ControlOpened(id, _) => (3, *id, 0),
            Event::ToNode(id, _, bytes) => (4, *id, bytes.len()),
            Event::ControlEnded(id, _) => (14, *id, 0),
            Event::ToConductor(conn, bytes) => (5, conn.0 as u32, bytes.len()),
            Event::ConductorLost(conn) => (6, conn.0 as u32, 0),
            Event::LinkUp(id, link) => (7, *id, link.0 as usize),
            Event::LinkLost(id, link) => (8, *id, link.0 as usize),
            Event::SetupOver(id, link) => (9, *id, link.0 as usize),
            Event::Signal(id, link, _) => (10, *id, link.0 as usize),
            Event::Frame { to, body, .. } => (11, *to, body.bytes().len()),
            Event::Received { to, body, .. } => (12, *to, body.bytes().len()),
            Event::Acknowledged(id, link) => (13, *id, link.0 as usize),
        };
        let word = self.now.0 ^ (u64::from(id) << 32) ^ ((len as u64) << 8) ^ kind;
        self.tally.trace = (self.tally.trace.rotate_left(7) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn happen(&mut self, event: Event) {
        if let Some(wait) = self.thaw(&event) {
            return self.schedule(wait, event);
        }
        self.trace(&event);
        match event {
            Event::Timer(id) => self.on_timer(id as usize),
            Event::ConductorTimer => self.with_conductor(|conductor, now| conductor.tick(now)),
            Event::ControlOpened(id, conn) => self.open_control(ActorId(id as usize), conn),
            Event::ToNode(id, conn, bytes) => {
                let id = ActorId(id as usize);
                if self.actors[id.0].conn == Some(conn) {
                    self.tell(id, Input::Control(&bytes));
                }
            }
            Event::ControlEnded(id, conn) => self.end_control(ActorId(id as usize), conn),
            Event::ToConductor(conn, bytes) => {
                if self.whose(conn).is_some() {
                    self.with_conductor(|conductor, now| conductor.message(now, conn, &bytes));
                }
            }
            Event::ConductorLost(conn) => {
                if self.conns[conn.0 as usize].take().is_some() {
                    self.with_conductor(|conductor, now| conductor.closed(now, conn));
                }
            }
            Event::LinkUp(id, link) => self.link_up(ActorId(id as usize), link),
            Event::LinkLost(id, link) => self.link_lost(ActorId(id as usize), link),
            Event::SetupOver(id, link) => self.end_setup(ActorId(id as usize), link),
            Event::Signal(id, link, bytes) => self.tell(ActorId(id as usize), Input::LinkSignal(link, &bytes)),
            Event::Frame { to, link, lane, size, body } => self.arrive(to, link, lane, size, body),
            Event::Received { to, link, lane, body } => self.receive(ActorId(to as usize), link, lane, &body),
            Event::Acknowledged(id, link) => self.acknowledge(ActorId(id as usize), link),
        }
    }

    fn whose(&self, conn: Conn) -> Option<ActorId> {
        self.conns.get(conn.0 as usize).copied().flatten().map(|id| ActorId(id as usize))
    }

    fn with_conductor(&mut self, tell: impl FnOnce(&mut C, Micros)) {
        tell(&mut self.conductor, self.now);
        self.obey_conductor();
    }

    fn on_timer(&mut self, id: usize) {
        let actor = &mut self.actors[id];
        actor.timer_queued = actor.timer_queued.filter(|queued| *queued > self.now);
        if actor.timer <= self.now {
            self.tell(ActorId(id), Input::Tick);
        } else if actor.timer_queued.is_none() {
            self.queue_timer(id);
        }
    }

    /// At most one timer of a node is in the queue that is not earlier than needed.
    fn set_timer(&mut self, id: ActorId, at: Micros) {
        let actor = &mut self.actors[id.0];
        actor.timer = undrifted(at, actor.access.drift_ppm).max(self.now + Micros(1));
        if actor.timer_queued.is_none_or(|queued| actor.timer < queued) {
            self.queue_timer(id.0);
        }
    }

    fn queue_timer(&mut self, id: usize) {
        let at = self.actors[id].timer;
        self.actors[id].timer_queued = Some(at);
        self.events.push(at, Event::Timer(id as u32));
    }

    fn open_control(&mut self, id: ActorId, conn: Conn) {
        if self.now < self.control_cut_until && id != ActorId::SOURCE {
            return self.tell(id, Input::ControlDown);
        }
        if self.actors[id.0].is_alive() {
            self.actors[id.0].conn = Some(conn);
            self.conns[conn.0 as usize] = Some(id.0 as u32);
            self.with_conductor(|conductor, now| conductor.opened(now, conn, id == ActorId::SOURCE));
            self.tell(id, Input::ControlUp);
        }
    }

    // Links.

    fn link_up(&mut self, id: ActorId, link: LinkId) {
        let loses = self.chance.happens(self.network.first_frames_lost);
        let credit = self.credit(CREDIT);
        let Some(wire) = self.actors[id.0].wire(link) else { return };
        wire.open = true;
        wire.credit = credit;
        wire.loses_until = if loses { self.now + FIRST_FRAMES } else { Micros(0) };
        self.tell(id, Input::LinkUp(link, credit as u32));
    }

    fn link_lost(&mut self, id: ActorId, link: LinkId) {
        if self.remove_wire(id, link).is_some() {
            self.tell(id, Input::LinkDown(link));
        }
    }

    fn remove_wire(&mut self, id: ActorId, link: LinkId) -> Option<Wire> {
        let wires = &mut self.actors[id.0].wires;
        let at = wires.iter().position(|(known, _)| *known == link)?;
        Some(wires.swap_remove(at).1)
    }

    fn end_setup(&mut self, id: ActorId, link: LinkId) {
        if self.actors[id.0].wire(link).is_some_and(|wire| !wire.open) {
            self.remove_wire(id, link);
            self.tell(id, Input::LinkFailed(link));
        }
    }

    /// What a node is told when a link takes this many true bytes.
    fn credit(&self, free: u64) -> u64 {
        let (Some(piece), Some(last)) = (self.piece_bytes, self.produced.last()) else { return free };
        let seen = last.len().min(PieceSize::Kib4.bytes()) as u64;
        RESERVE + free * (seen + HEADER) / (piece + HEADER)
    }

    /// The node hears of its credit again, now that some of what was sent has been acknowledged.
    fn acknowledge(&mut self, id: ActorId, link: LinkId) {
        let now = self.now;
        let Some(wire) = self.actors[id.0].wire(link) else { return };
        let free = CREDIT.saturating_sub(wire.in_flight(now));
        wire.told = false;
        let credit = self.credit(free);
        let Some(wire) = self.actors[id.0].wire(link) else { return };
        wire.credit = credit;
        self.tell(id, Input::Writable(link, credit as u32));
        self.promise_credit(id, link);
    }

    /// While a node believes that little credit is left, it hears of each acknowledgement; before that of none.
    fn promise_credit(&mut self, id: ActorId, link: LinkId) {
        let low = self.credit(CREDIT / 2);
        let now = self.now;
        let Some(wire) = self.actors[id.0].wire(link).filter(|wire| wire.credit < low && !wire.told) else { return };
        wire.in_flight(now);
        let next = wire.next_acknowledged().unwrap_or(now + Micros(1));
        // Nobody there: the link ends by itself.
        if next.0 < u64::MAX {
            wire.told = true;
            self.events.push(next, Event::Acknowledged(id.0 as u32, link));
        }
    }

    /// Carries out a node's orders.
    fn drain(&mut self, id: ActorId) {
        while let Some(output) = self.actors[id.0].node.as_mut().and_then(|node| node.poll()) {
            match output {
                Output::OpenControl(_) => self.dial_control(id),
                Output::CloseControl => self.close_control(id),
                Output::Control(bytes) => self.send_to_conductor(id, bytes),
                Output::Open(link, _, side) => self.open_link(id, link, side),
                Output::Signal(link, bytes) => self.pair(id, link, &bytes),
                Output::Close(link) => self.close_link(id, link),
                Output::Send(link, lane, payload) => self.send(id, link, lane, payload),
                Output::SetTimer(at) => self.set_timer(id, at),
                other => self.deliver(id, &other),
            }
        }
    }

    fn dial_control(&mut self, id: ActorId) {
        self.close_control(id);
        let conn = Conn(self.conns.len() as u64);
        self.conns.push(None);
        let opening = Micros(self.actors[id.0].access.control_delay.0 * 2 * self.network.control_round_trips);
        self.schedule(opening, Event::ControlOpened(id.0 as u32, conn));
    }

    fn close_control(&mut self, id: ActorId) {
        if let Some(conn) = self.actors[id.0].conn.take() {
            self.schedule(self.actors[id.0].access.control_delay, Event::ConductorLost(conn));
        }
    }

    /// Whether messages on this node's control connection may be lost.
    fn is_control_sure(&self, id: ActorId, greeting: impl FnOnce() -> bool) -> bool {
        let perfect = self.network.control_lost == 0.0 && self.network.control_doubled == 0.0;
        id == ActorId::SOURCE || (perfect && self.network.control_late == Micros(0)) || greeting()
    }

    fn send_to_conductor(&mut self, id: ActorId, bytes: Vec<u8>) {
        let Some(conn) = self.actors[id.0].conn else { return };
        self.tally.control_in += bytes.len() as u64;
        self.tally.messages_in += 1;
        let sure = self.is_control_sure(id, || matches!(Up::decode(&bytes), Ok(Up::Hello(_) | Up::Leave)));
        let delay = self.actors[id.0].access.control_delay;
        if sure {
            return self.schedule(delay, Event::ToConductor(conn, bytes));
        }
        for late in self.network.control_copies(false, &mut self.chance) {
            self.events.push(self.now + delay + late, Event::ToConductor(conn, bytes.clone()));
        }
    }

    fn obey_conductor(&mut self) {
        while let Some(order) = self.conductor.poll() {
            match order {
                Order::Send(conn, bytes) => self.send_to_node(conn, bytes),
                Order::Close(conn) => self.hang_up(conn),
                Order::SetTimer(at) => self.schedule(at.since(self.now), Event::ConductorTimer),
            }
        }
    }

    fn send_to_node(&mut self, conn: Conn, bytes: Vec<u8>) {
        let Some(id) = self.whose(conn) else { return };
        self.tally.control_out += bytes.len() as u64;
        self.tally.messages_out += 1;
        let sure = self.is_control_sure(id, || matches!(Down::decode(&bytes), Ok(Down::Welcome(_) | Down::Refuse(_))));
        let delay = self.actors[id.0].access.control_delay;
        if sure {
            return self.schedule(delay, Event::ToNode(id.0 as u32, conn, bytes));
        }
        for late in self.network.control_copies(false, &mut self.chance) {
            self.events.push(self.now + delay + late, Event::ToNode(id.0 as u32, conn, bytes.clone()));
        }
    }

    /// The conductor closes a connection: nothing more comes in over it, and its end reaches the node after what was sent
    /// before.
    fn hang_up(&mut self, conn: Conn) {
        if let Some(id) = self.whose(conn) {
            self.conns[conn.0 as usize] = None;
            self.schedule(self.actors[id.0].access.control_delay, Event::ControlEnded(id.0 as u32, conn));
        }
    }

    fn end_control(&mut self, id: ActorId, conn: Conn) {
        if self.actors[id.0].conn.take_if(|open| *open == conn).is_some() {
            self.tell(id, Input::ControlDown);
        }
    }

    /// The offering side's description is its own address in this world.
    fn open_link(&mut self, id: ActorId, link: LinkId, side: Side) {
        self.actors[id.0].wires.push((link, Wire::default()));
        self.schedule(SETUP_MAX, Event::SetupOver(id.0 as u32, link));
        if side == Side::Offer {
            let mut address = [(id.0 as u64).to_le_bytes(), u64::from(link.0).to_le_bytes()].concat();
            address.resize(DESCRIPTION, 0);
            self.schedule(GATHERING, Event::Signal(id.0 as u32, link, address));
        }
    }

    /// The answering side got the description: its own goes back, and the link opens after its round trips.
    fn pair(&mut self, id: ActorId, link: LinkId, address: &[u8]) {
        let field = |at: usize| Some(u64::from_le_bytes(address.get(at..at + 8)?.try_into().ok()?));
        let (Some(actor), Some(other_link)) = (field(0), field(8)) else { return };
        let (other, other_link) = (ActorId(actor as usize), LinkId(other_link as u32));
        let reachable = self.actors.get(other.0).is_some_and(Actor::is_alive) && self.network.connects(id.0, other.0);
        if !reachable || other == id {
            return;
        }
        let (here, there) = (self.actors[id.0].access, self.actors[other.0].access);
        let delay = self.network.one_way((id.0, &here), (other.0, &there));
        let answer = here.control_delay + there.control_delay;
        let Some(wire) = self.actors[id.0].wire(link) else { return };
        (wire.other, wire.delay) = (Some((other.0, other_link)), delay);
        if let Some(wire) = self.actors[other.0].wire(other_link) {
            (wire.other, wire.delay) = (Some((id.0, link)), delay);
            let setup = answer + Micros(delay.0 * 2 * self.network.setup_round_trips);
            self.schedule(setup, Event::LinkUp(id.0 as u32, link));
            self.schedule(setup, Event::LinkUp(other.0 as u32, other_link));
        }
    }

    fn close_link(&mut self, id: ActorId, link: LinkId) {
        let Some(wire) = self.remove_wire(id, link) else { return };
        if let Some((other, other_link)) = wire.other {
            self.schedule(wire.delay, Event::LinkLost(other as u32, other_link));
        }
    }

    // Frames.

    /// The bytes of a payload, and how many they stand for.
    fn body(&mut self, id: ActorId, payload: Payload) -> (Body, u64) {
        let (seq, index) = match payload {
            Payload::Bytes(bytes) => {
                let size = self.true_size(&bytes);
                return (Body::Own(bytes), size);
            }
            Payload::Piece { seq, index } => (seq, index),
        };
        let node = self.actors[id.0].node.as_ref().expect("it ordered the piece");
        let frame = node.piece_frame(seq, index).expect("a piece ordered is here");
        let size = self.piece_bytes.map_or(frame.len() as u64, |bytes| bytes + PIECE_PREFIX as u64);
        let (known, pieces) = &mut self.pieces[seq.0 as usize % PRODUCED_MAX];
        if *known != seq {
            (*known, *pieces) = (seq, Vec::new());
        }
        if pieces.len() <= usize::from(index) {
            pieces.resize(usize::from(index) + 1, None);
        }
        let piece = &mut pieces[usize::from(index)];
        match piece {
            Some(piece) if **piece == *frame => (Body::Shared(piece.clone()), size),
            Some(_) => (Body::Own(frame.to_vec()), size),
            None => (Body::Shared(piece.insert(frame.into()).clone()), size),
        }
    }

    /// Bytes of a message. A packet train is measured against the stream, so its padding stands for more as pieces do.
    fn true_size(&self, bytes: &[u8]) -> u64 {
        let size = bytes.len() as u64;
        match Frame::decode(bytes) {
            Ok(Frame::Message(PeerMessage::Train { padding, .. })) => {
                let padding = padding.len() as u64;
                size - padding + (padding as f64 * self.payload_scale()) as u64
            }
            _ => size,
        }
    }

    fn send(&mut self, id: ActorId, link: LinkId, lane: Lane, payload: Payload) {
        let now = self.now;
        let (body, size) = self.body(id, payload);
        if let Body::Own(bytes) = &body
            && lane == Lane::Control
        {
            self.watch_release(id, link, bytes);
        }
        let window_max = self.window_max;
        let actor = &mut self.actors[id.0];
        let late = if lane == Lane::Pieces { actor.flaw.late } else { Micros(0) };
        let Some((_, wire)) = actor.wires.iter_mut().find(|(known, _)| *known == link) else { return };
        let Some((to, back)) = wire.other.filter(|_| wire.open) else { return };
        wire.credit = wire.credit.saturating_sub(body.bytes().len() as u64);
        if now < wire.loses_until || (actor.flaw.mute && lane == Lane::Pieces) {
            return self.promise_credit(id, link);
        }
        let bytes = on_the_line(size);
        let wait = wire.wait_for_window(bytes, window_max, now);
        actor.queued_max = actor.queued_max.max(actor.uplink_free.since(now));
        actor.uplink_free = actor.uplink_free.max(now) + sending(bytes, actor.access.uplink);
        actor.sent += bytes;
        let left = actor.uplink_free.max(now + wait) + late;
        let round_trip = wire.delay + wire.delay;
        let travels = left + wire.delay + self.network.troubles(bytes, round_trip, &mut self.chance);
        let cut = if wire.cut_until > now { wire.cut_until + round_trip } else { Micros(0) };
        let arrives = travels.max(wire.arrives[lane as usize]).max(cut);
        wire.arrives[lane as usize] = arrives;
        let delay = wire.delay;
        if self.actors[to].is_alive() {
            self.sent_wire(id, link).on_sent(bytes, arrives + delay);
            let frame = Event::Frame { to: to as u32, link: back, lane, size: bytes as u32, body };
            self.events.push(arrives, frame);
        } else {
            self.sent_wire(id, link).on_sent(bytes, Micros(u64::MAX));
        }
        self.promise_credit(id, link);
    }

    fn sent_wire(&mut self, id: ActorId, link: LinkId) -> &mut Wire {
        self.actors[id.0].wire(link).expect("the frame was sent on it")
    }

    /// P5: a feeder that lives and feeds is not let go by a node that has no other.
    fn watch_release(&mut self, id: ActorId, link: LinkId, bytes: &[u8]) {
        let small = bytes.len() == 3;
        if !small || !matches!(Frame::decode(bytes), Ok(Frame::Message(PeerMessage::Unwant(_)))) {
            return;
        }
        self.tally.releases += 1;
        let now = self.now;
        let actor = &self.actors[id.0];
        let Some((_, wire)) = actor.wires.iter().find(|(known, _)| *known == link) else { return };
        let there = wire.other.map(|(other, _)| &self.actors[other]);
        let lives = there.is_some_and(|other| other.is_alive() && !other.is_frozen(now));
        let feeding = lives && wire.fed > Micros(0) && now.since(wire.fed) < FEEDS;
        let mut others = actor.wires.iter().filter(|(known, _)| *known != link);
        let fed = others.any(|(_, other)| other.feeds > Micros(0) && now.since(other.feeds) < FED);
        if feeding && !fed {
            self.tally.releases_early += 1;
            if self.early_releases.len() < 8 {
                self.early_releases.push(format!("{id:?} let its only feeder go at {now:?}"));
            }
        }
    }

    /// As if the node had taken all its wants back.
    #[cfg(test)]
    pub(crate) fn release_everything(&mut self, id: ActorId) {
        let unwant = PeerMessage::Unwant(peerstream_protocol::id::Stripes::ALL).encode();
        let links: Vec<_> = self.actors[id.0].wires.iter().map(|(link, _)| *link).collect();
        links.into_iter().for_each(|link| self.watch_release(id, link, &unwant));
    }

    /// A frame is at the receiver's line and comes through it, after what is before it.
    fn arrive(&mut self, to: u32, link: LinkId, lane: Lane, size: u32, body: Body) {
        let actor = &mut self.actors[to as usize];
        let Some(other) = actor.wire(link).and_then(|wire| wire.other) else { return };
        let sent_in = sending(u64::from(size), self.actors[other.0].access.uplink);
        let now = self.now;
        let actor = &mut self.actors[to as usize];
        let begins = actor.downlink_free.max(now - sent_in);
        let ends = (begins + sending(u64::from(size), actor.access.downlink)).max(now);
        actor.downlink_free = ends;
        if ends > now {
            return self.events.push(ends, Event::Received { to, link, lane, body });
        }
        self.receive(ActorId(to as usize), link, lane, &body);
    }

    fn receive(&mut self, to: ActorId, link: LinkId, lane: Lane, body: &Body) {
        let now = self.now;
        let piece = self.piece_bytes.unwrap_or(body.bytes().len() as u64);
        let Some(wire) = self.actors[to.0].wire(link).filter(|wire| wire.open) else { return };
        let header = body.bytes().len() > 64 && matches!(Frame::decode(body.bytes()), Ok(Frame::Header(_)));
        if lane == Lane::Pieces || header {
            wire.feeds = now;
        }
        if lane == Lane::Pieces {
            wire.fed = now;
            match wire.other {
                Some((0, _)) => self.tally.payload_from_source += piece,
                _ => self.tally.payload_from_peers += piece,
            }
        }
        self.tell(to, Input::Frame(link, lane, body.bytes()));
    }

    fn deliver(&mut self, id: ActorId, output: &Output) {
        match output {
            Output::Deliver(seq) => self.deliver_segment(id, *seq),
            Output::Skip(from, to) => {
                let actor = &mut self.actors[id.0];
                actor.received.skipped += to.0 - from.0;
                actor.received.next = *to;
                actor.player.on_skip(*from, *to, self.now, &self.produced_at);
            }
            Output::Ended => self.actors[id.0].received.ended = true,
            Output::Refused(reason) => {
                let received = &mut self.actors[id.0].received;
                received.refused = Some(*reason);
                received.refusals += 1;
            }
            _ => {}
        }
    }

    fn deliver_segment(&mut self, id: ActorId, seq: Seq) {
        let (now, actor) = (self.now, &mut self.actors[id.0]);
        let node = actor.node.as_ref().expect("it delivers");
        self.scratch.clear();
        let whole = node.payload(seq, &mut self.scratch);
        let right = self.produced.get(seq.0 as usize % PRODUCED_MAX).is_some_and(|known| **known == *self.scratch);
        let received = &mut actor.received;
        let expected = received.first.is_none() || seq == received.next;
        received.wrong += u64::from(!whole || !right || !expected);
        match received.first {
            Some(_) => received.longest_gap = received.longest_gap.max(now.since(received.last_at)),
            None => (received.first, received.first_at) = (Some(seq), now),
        }
        (received.next, received.last_at) = (seq.next(), now);
        actor.player.on_segment(seq, now, &self.produced_at, self.segment);
        if actor.player.is_live() {
            let level = usize::from(actor.level).min(LEVELS_MAX - 1);
            self.lags[level].add(actor.player.lag.0 as f64 / 1e3);
        }
    }
}

/// A clock that runs faster by this much.
fn drifted(now: Micros, ppm: i32) -> Micros {
    Micros(now.0.saturating_add_signed(now.0 as i64 * i64::from(ppm) / 1_000_000))
}

/// When that clock shows this.
fn undrifted(at: Micros, ppm: i32) -> Micros {
    if ppm == 0 {
        return at;
    }
    Micros((at.0 as i128 * 1_000_000 / (1_000_000 + i128::from(ppm)) + 1) as u64)
}

/// The user's word that a node shall not relay, for [`World::tell`].
pub fn do_not_relay() -> Input<'static> {
    Input::Relay(false)
}
