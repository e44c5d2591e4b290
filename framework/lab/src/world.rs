//! A world of nodes and a conductor, driven event by event.

mod actor;
mod archive;
mod control;
mod frames;
mod links;
mod past;

use std::rc::Rc;

use peerstream_node::{Config, Input, LinkId, Node, Output, Produced, Source, Status};
use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::control::Role;
use peerstream_protocol::crypto::SecretKey;
use peerstream_protocol::frame::{Lane, PIECE_PREFIX};
use peerstream_protocol::id::{Epoch, NodeId, Seq};
use peerstream_protocol::segment::{Kind, PieceSize};
use peerstream_protocol::time::Micros;

pub use self::actor::{Actor, ActorId, Departure, Flaw, Newcomer, Received};
use self::archive::Archive;
use self::frames::{Body, Pieces};
use crate::chance::Chance;
use crate::conductor::{Conductor, Conn};
use crate::memo::Memo;
use crate::network::{Access, Network};
use crate::player::Player;
use crate::quantiles::Distribution;
use crate::queue::Queue;
use crate::wire::{CREDIT, Wire, window_max};

/// A link whose other end is silent ends after this long (`docs/transport.md`).
const LINK_SILENT_MAX: Micros = Micros::from_secs(5);
/// A control connection whose other end is silent ends after this long.
const CONTROL_SILENT_MAX: Micros = Micros::from_secs(30);
/// Credit that a node leaves for small messages, in bytes.
const RESERVE: u64 = 4 * 1024;
/// Bytes of a header and what is sent besides a segment's pieces, about; they are not scaled.
const HEADER: u64 = 256;
/// Levels told apart; deeper ones count as the last.
const LEVELS_MAX: usize = 64;
/// Segments whose bytes are remembered.
const PRODUCED_MAX: usize = 256;

/// Something that happens at a time.
#[derive(Debug)]
enum Event {
    Timer(u32),
    ConductorTimer,
    ControlOpened(u32, Conn),
    ControlEnded(u32, Conn),
    ToNode(u32, Conn, Vec<u8>),
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
    /// It is the turn of an answer of the archive.
    Archive {
        to: u32,
        fetch: u32,
        next: Seq,
        end: Seq,
    },
    /// A segment of that answer, or its end, is at the viewer.
    Archived {
        to: u32,
        fetch: u32,
        seq: Option<Seq>,
    },
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
    /// Payload sent to newcomers over control connections, in the segments' true bytes.
    pub payload_from_starters: u64,
    /// Payload received from viewers, in the segments' true bytes.
    pub payload_from_peers: u64,
    /// Times a node took its want back from a feeder.
    pub releases: u64,
    /// Times it did so from its only one, which was feeding it (P5).
    pub releases_early: u64,
    /// A hash over all events in order.
    pub trace: u64,
}

/// Payloads scaled down: the bytes that nodes see are few; the network, the credit of links and all reports go by what they
/// stand for. Headers and messages are real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Pieces of a segment.
    pub pieces: usize,
    /// Bytes that each stands for.
    pub piece_bytes: u64,
}

/// What is sent, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Broadcast {
    /// Media or data.
    pub kind: Kind,
    /// The source's place and line.
    pub access: Access,
    /// Whether its payloads are scaled down.
    pub scale: Option<Scale>,
}

impl Scale {
    /// Bytes of a segment's payload that nodes see.
    pub fn payload(&self) -> usize {
        self.pieces * PieceSize::Scaled.bytes()
    }

    /// What of this many true bytes of segments nodes and coordinator see.
    pub fn seen(&self, bytes: u64) -> u64 {
        let segment = |piece: u64| self.pieces as u64 * (piece + PIECE_PREFIX as u64) + HEADER;
        bytes * segment(PieceSize::Scaled.bytes() as u64) / segment(self.piece_bytes)
    }

    /// What nodes are told when a link takes this many true bytes.
    fn credit(&self, free: u64) -> u64 {
        RESERVE + self.seen(free)
    }
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
    scale: Option<Scale>,
    /// The payloads of the last segments, by number modulo [`PRODUCED_MAX`].
    produced: Vec<Rc<[u8]>>,
    /// When each segment was produced, and how long it lasts.
    produced_at: Vec<Micros>,
    segment: Micros,
    kind: Kind,
    /// The pieces of late, each once, by segment modulo [`PRODUCED_MAX`].
    pieces: Vec<(Seq, Pieces)>,
    window_max: u64,
    /// Below this much credit a node hears of each acknowledgement.
    credit_low: u64,
    /// Lag of what viewers that play received, in ms, by level, since somebody took it.
    pub(crate) lags: Vec<Distribution>,
    archive: Option<Archive>,
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
        Self::of(seed, network, conductor, Broadcast { kind, access: Access::default(), scale: None })
    }

    /// The same for such a broadcast.
    pub fn of(seed: u64, network: Network, conductor: C, broadcast: Broadcast) -> Self {
        let Broadcast { kind, access, scale } = broadcast;
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
            scale,
            produced: Vec::new(),
            produced_at: Vec::new(),
            segment: Micros::from_millis(100),
            kind,
            pieces: (0..PRODUCED_MAX).map(|_| (Seq(u64::MAX), Vec::new())).collect(),
            window_max,
            credit_low: scale.map_or(CREDIT / 2, |scale| scale.credit(CREDIT / 2)),
            lags: vec![Distribution::default(); LEVELS_MAX],
            archive: None,
            scratch: Vec::new(),
        };
        let (key, cert) = broadcast_keys();
        let piece_size = scale.map(|_| PieceSize::Scaled);
        let source = Source { key, cert, kind, wall_at_zero_us: 0, piece_size, resume: None };
        world.add(Role::Source, Newcomer { access, relay: true, capacity: 2 }, Some(source));
        world
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
            control_wire: Wire::default(),
            uplink_free: self.now,
            downlink_free: self.now,
            timer: Micros(0),
            timer_queued: None,
            received: Received { last_at: self.now, ..Received::default() },
            player: Player::default(),
            replay: None,
            fetch: 0,
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

    /// The delay between two nodes, one way.
    pub fn one_way(&self, a: ActorId, b: ActorId) -> Micros {
        self.network.one_way((a.0, &self.actors[a.0].access), (b.0, &self.actors[b.0].access))
    }

    /// A node's status; that of nobody once it has gone.
    pub fn status(&self, id: ActorId) -> Status {
        self.actors[id.0].node.as_ref().map(|node| node.status()).unwrap_or_default()
    }

    /// A node's name.
    pub fn name(&self, id: ActorId) -> Option<NodeId> {
        self.status(id).node
    }

    /// Whether the other one is a parent, the backup or a standby of this node, as far as it knows.
    pub fn may_ask(&self, id: ActorId, other: ActorId) -> bool {
        self.named(id, other).is_some_and(|(node, name)| node.may_ask(name))
    }

    /// Whether the other one is only the backup or a standby of this node, as far as it knows.
    pub fn helps(&self, id: ActorId, other: ActorId) -> bool {
        self.named(id, other).is_some_and(|(node, name)| node.may_ask(name) && !node.is_parent(name))
    }

    fn named(&self, id: ActorId, other: ActorId) -> Option<(&Node<Memo>, NodeId)> {
        self.actors[id.0].node.as_deref().zip(self.name(other))
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
        self.scale.map_or(1.0, |scale| scale.piece_bytes as f64 / PieceSize::Scaled.bytes() as f64)
    }

    /// Payload bytes per second that the segments stand for.
    pub fn stream_bytes_per_second(&self) -> f64 {
        let last = self.produced.last().map_or(0.0, |last| last.len() as f64);
        last * self.payload_scale() * 1e6 / self.segment.0.max(1) as f64
    }

    /// The source produces one segment of this many bytes.
    pub fn produce(&mut self, len: usize, join_point: bool) {
        let tag = self.produced_at.len();
        let payload: Rc<[u8]> = payload_of(tag, len).collect();
        match self.produced.get_mut(tag % PRODUCED_MAX) {
            Some(place) => *place = payload.clone(),
            None => self.produced.push(payload.clone()),
        }
        self.produced_at.push(self.now);
        let duration_us = if self.kind == Kind::Data { 0 } else { self.segment.0 as u32 };
        let pts_us = tag as u64 * self.segment.0;
        let unit = Produced::Unit { payload: &payload, pts_us, duration_us, join_point, discontinuity: false };
        self.tell(ActorId::SOURCE, Input::Produced(unit));
        self.archive_newest();
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
            if let Some(wire) = self.actors[other].wire(link) {
                wire.deserted = true;
            }
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
            Event::Timer(id) | Event::ControlOpened(id, _) | Event::ControlEnded(id, _) | Event::ToNode(id, ..) => *id,
            Event::LinkUp(id, _) | Event::LinkLost(id, _) | Event::Signal(id, ..) => *id,
            Event::SetupOver(id, _) | Event::Acknowledged(id, _) => *id,
            Event::Frame { to, .. } | Event::Received { to, .. } | Event::Archived { to, .. } => *to,
            Event::ConductorTimer | Event::ToConductor(..) | Event::ConductorLost(_) | Event::Archive { .. } => {
                return None;
            }
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
            Event::ToConductor(conn, bytes) => (5, conn.0 as u32, bytes.len()),
            Event::ConductorLost(conn) => (6, conn.0 as u32, 0),
            Event::LinkUp(id, link) => (7, *id, link.0 as usize),
            Event::LinkLost(id, link) => (8, *id, link.0 as usize),
            Event::SetupOver(id, link) => (9, *id, link.0 as usize),
            Event::Signal(id, link, _) => (10, *id, link.0 as usize),
            Event::Frame { to, body, .. } => (11, *to, body.bytes().len()),
            Event::Received { to, body, .. } => (12, *to, body.bytes().len()),
            Event::Acknowledged(id, link) => (13, *id, link.0 as usize),
            Event::ControlEnded(id, _) => (14, *id, 0),
            Event::Archive { to, next, .. } => (15, *to, next.0 as usize),
            Event::Archived { to, seq, .. } => (16, *to, seq.map_or(0, |seq| seq.0 as usize)),
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
            Event::ControlEnded(id, conn) => self.end_control(ActorId(id as usize), conn),
            Event::ToNode(id, conn, bytes) => {
                let id = ActorId(id as usize);
                if self.actors[id.0].conn == Some(conn) {
                    self.tell(id, Input::Control(&bytes));
                }
            }
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
            Event::Archive { to, fetch, next, end } => self.answer_from_archive(to, fetch, next, end),
            Event::Archived { to, fetch, seq } => self.receive_archived(to, fetch, seq),
        }
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
}

/// The payload of the segment of this number.
fn payload_of(tag: usize, len: usize) -> impl Iterator<Item = u8> {
    (0..len).map(move |i| (tag.wrapping_mul(31) + i * 7 + (tag >> 8)) as u8)
}

fn is_payload_of(seq: Seq, bytes: &[u8]) -> bool {
    payload_of(seq.0 as usize, bytes.len()).eq(bytes.iter().copied())
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
