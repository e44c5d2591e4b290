//! A world of nodes and a conductor, driven event by event.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;

use peerstream_node::{Config, Input, LinkId, Node, Output, Payload, Produced, Side, Source, Status};
use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::control::{Down, Reason, Role, Up};
use peerstream_protocol::crypto::SecretKey;
use peerstream_protocol::frame::Lane;
use peerstream_protocol::id::{Epoch, NodeId, Seq};
use peerstream_protocol::segment::Kind;
use peerstream_protocol::time::Micros;

use crate::chance::Chance;
use crate::conductor::{Conductor, Conn, Order};
use crate::memo::Memo;
use crate::network::Network;

/// Bytes a simulated link takes before it reports no credit, as the real transport.
const CREDIT: u32 = 256 * 1024;

/// What counts as the first frames of a link, when they are lost.
const FIRST_FRAMES: Micros = Micros::from_millis(30);

/// A link that has not opened by then has failed, as in the real transport.
const SETUP_MAX: Micros = Micros::from_secs(10);

/// A node of the world, dead or alive; 0 is the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActorId(pub usize);

impl ActorId {
    /// The source.
    pub const SOURCE: Self = Self(0);
}

/// Something that happens at a time.
#[derive(Debug)]
enum Event {
    Timer(ActorId, u64),
    ConductorTimer,
    ControlOpened(ActorId, Conn),
    ToNode(ActorId, Conn, Vec<u8>),
    ToConductor(Conn, Vec<u8>),
    ConductorLost(Conn),
    LinkUp(ActorId, LinkId),
    LinkLost(ActorId, LinkId),
    SetupOver(ActorId, LinkId),
    Signal(ActorId, LinkId, Vec<u8>),
    Frame { to: ActorId, link: LinkId, lane: Lane, bytes: Rc<[u8]>, from: ActorId, back: LinkId },
    Acknowledged(ActorId, LinkId, u32),
}

struct Scheduled {
    at: Micros,
    order: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// One end of a simulated link.
#[derive(Debug, Default)]
struct Wire {
    other: Option<(ActorId, LinkId)>,
    in_flight: u32,
    /// When the last frame of each lane arrives, to keep order within a lane.
    arrives: [Micros; 2],
    open: bool,
    /// What is sent before this time is lost.
    loses_until: Micros,
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
}

/// A node and what surrounds it.
pub struct Actor {
    node: Node<Memo>,
    alive: bool,
    frozen_until: Micros,
    conn: Option<Conn>,
    wires: BTreeMap<LinkId, Wire>,
    uplink_free: Micros,
    timers: u64,
    /// What it got.
    pub received: Received,
}

/// Nodes, links between them, and a conductor.
pub struct World<C> {
    /// What happens to bytes.
    pub network: Network,
    /// Answers the control connections.
    pub conductor: C,
    chance: Chance,
    now: Micros,
    events: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,
    actors: Vec<Actor>,
    conns: BTreeMap<Conn, ActorId>,
    conns_opened: u64,
    control_cut_until: Micros,
    memo: Memo,
    produced: Vec<Rc<[u8]>>,
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
        let mut world = Self {
            network,
            conductor,
            chance: Chance::new(seed),
            now: Micros(0),
            events: BinaryHeap::new(),
            scheduled: 0,
            actors: Vec::new(),
            conns: BTreeMap::new(),
            conns_opened: 0,
            control_cut_until: Micros(0),
            memo: Memo::default(),
            produced: Vec::new(),
        };
        let (key, cert) = broadcast_keys();
        let source = Source { key, cert, kind, wall_at_zero_us: 0 };
        world.add(Role::Source, true, Some(source));
        world
    }

    /// A new node opens the page.
    pub fn join(&mut self, relay: bool) -> ActorId {
        self.add(Role::Viewer, relay, None)
    }

    fn add(&mut self, role: Role, relay: bool, source: Option<Source>) -> ActorId {
        let id = ActorId(self.actors.len());
        let seed = self.chance.seed();
        let config = Config { stream: None, role, capacity: 2, relay, seed, endpoints: 1, source };
        let node = Node::with_verifier(config, self.now, self.memo.clone());
        self.actors.push(Actor {
            node,
            alive: true,
            frozen_until: Micros(0),
            conn: None,
            wires: BTreeMap::new(),
            uplink_free: self.now,
            timers: 0,
            received: Received { last_at: self.now, ..Received::default() },
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

    /// A node's status.
    pub fn status(&self, id: ActorId) -> Status {
        self.actors[id.0].node.status()
    }

    /// A node's name.
    pub fn name(&self, id: ActorId) -> Option<NodeId> {
        self.status(id).node
    }

    /// Nodes that are alive, the source left out.
    pub fn living(&self) -> impl Iterator<Item = ActorId> {
        (1..self.actors.len()).filter(|id| self.actors[*id].alive).map(ActorId)
    }

    /// How many segments the source has produced.
    pub fn produced(&self) -> usize {
        self.produced.len()
    }

    /// The source produces one segment of this many bytes.
    pub fn produce(&mut self, len: usize, join_point: bool) {
        let tag = self.produced.len() as u64;
        let payload: Rc<[u8]> = (0..len).map(|i| (tag.wrapping_mul(31) as usize + i * 7) as u8).collect();
        self.produced.push(payload.clone());
        let pts_us = tag * 100_000;
        let unit = Produced::Unit { payload: &payload, pts_us, duration_us: 100_000, join_point, discontinuity: false };
        self.tell(ActorId::SOURCE, Input::Produced(unit));
    }

    /// The source's input ends.
    pub fn end(&mut self) {
        self.tell(ActorId::SOURCE, Input::Produced(Produced::End));
    }

    /// Dies without a goodbye: links and control connection just fall silent (the socket closes a little later).
    pub fn kill(&mut self, id: ActorId) {
        self.actors[id.0].alive = false;
        if let Some(conn) = self.actors[id.0].conn.take() {
            self.schedule(self.network.control_delay, Event::ConductorLost(conn));
        }
    }

    /// Leaves with a goodbye.
    pub fn leave(&mut self, id: ActorId) {
        self.tell(id, Input::Leave);
        self.actors[id.0].alive = false;
    }

    /// Nothing in this node runs for a while.
    pub fn freeze(&mut self, id: ActorId, span: Micros) {
        self.actors[id.0].frozen_until = self.now + span;
    }

    /// All control connections break, and none can be opened for a while.
    pub fn cut_control(&mut self, span: Micros) {
        self.control_cut_until = self.now + span;
        (1..self.actors.len()).for_each(|id| self.break_control(ActorId(id)));
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
            self.conns.remove(&conn);
            self.conductor.closed(self.now, conn);
            self.tell(id, Input::ControlDown);
        }
    }

    /// Hands a fact to a node and carries out what it orders.
    pub fn tell(&mut self, id: ActorId, input: Input<'_>) {
        if self.actors[id.0].alive {
            self.actors[id.0].node.handle(self.now, input);
            self.drain(id);
        }
    }

    /// Runs for a span; the source produces `len` bytes every `every`, with a join point every `gop` segments.
    pub fn stream(&mut self, span: Micros, every: Micros, len: usize, gop: usize) {
        let end = self.now + span;
        while self.now < end {
            let next = (self.now + every).min(end);
            self.produce(len, self.produced.len().is_multiple_of(gop));
            self.run_until(next);
        }
    }

    /// Carries out all events up to a time.
    pub fn run_until(&mut self, until: Micros) {
        self.obey_conductor();
        while self.events.peek().is_some_and(|next| next.0.at <= until) {
            let Reverse(next) = self.events.pop().expect("peeked");
            self.now = self.now.max(next.at);
            self.happen(next.event);
            self.obey_conductor();
        }
        self.now = until;
    }

    fn schedule(&mut self, after: Micros, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse(Scheduled { at: self.now + after, order: self.scheduled, event }));
    }

    /// An event for a frozen node waits until it thaws.
    fn thaw(&self, event: &Event) -> Option<Micros> {
        let id = match event {
            Event::Timer(id, _) | Event::ControlOpened(id, _) | Event::ToNode(id, ..) => *id,
            Event::LinkUp(id, _) | Event::LinkLost(id, _) | Event::Signal(id, ..) => *id,
            Event::SetupOver(id, _) => *id,
            Event::Frame { to, .. } => *to,
            Event::Acknowledged(id, ..) => *id,
            Event::ConductorTimer | Event::ToConductor(..) | Event::ConductorLost(_) => return None,
        };
        let until = self.actors[id.0].frozen_until;
        (until > self.now).then(|| until.since(self.now))
    }

    fn happen(&mut self, event: Event) {
        if let Some(wait) = self.thaw(&event) {
            return self.schedule(wait, event);
        }
        match event {
            Event::Timer(id, number) if self.actors[id.0].timers == number => self.tell(id, Input::Tick),
            Event::Timer(..) => {}
            Event::ConductorTimer => self.conductor.tick(self.now),
            Event::ControlOpened(id, conn) => self.open_control(id, conn),
            Event::ToNode(id, conn, bytes) => {
                if self.actors[id.0].conn == Some(conn) {
                    self.tell(id, Input::Control(&bytes));
                }
            }
            Event::ToConductor(conn, bytes) => {
                if self.conns.contains_key(&conn) {
                    self.conductor.message(self.now, conn, &bytes);
                }
            }
            Event::ConductorLost(conn) => {
                if self.conns.remove(&conn).is_some() {
                    self.conductor.closed(self.now, conn);
                }
            }
            Event::LinkUp(id, link) => self.link_up(id, link),
            Event::LinkLost(id, link) => self.link_lost(id, link),
            Event::SetupOver(id, link) => self.end_setup(id, link),
            Event::Signal(id, link, bytes) => self.tell(id, Input::LinkSignal(link, &bytes)),
            Event::Frame { to, link, lane, bytes, from, back } => {
                self.schedule(self.network.delay, Event::Acknowledged(from, back, bytes.len() as u32));
                if self.actors[to.0].wires.get(&link).is_some_and(|wire| wire.open) {
                    self.tell(to, Input::Frame(link, lane, &bytes));
                }
            }
            Event::Acknowledged(id, link, len) => self.acknowledge(id, link, len),
        }
    }

    fn open_control(&mut self, id: ActorId, conn: Conn) {
        if self.now < self.control_cut_until && id != ActorId::SOURCE {
            return self.tell(id, Input::ControlDown);
        }
        if self.actors[id.0].alive {
            self.actors[id.0].conn = Some(conn);
            self.conns.insert(conn, id);
            self.conductor.opened(self.now, conn, id == ActorId::SOURCE);
            self.tell(id, Input::ControlUp);
        }
    }

    fn link_up(&mut self, id: ActorId, link: LinkId) {
        let loses = self.chance.permille(self.network.first_frames_lost_permille);
        let Some(wire) = self.actors[id.0].wires.get_mut(&link) else { return };
        wire.open = true;
        wire.loses_until = if loses { self.now + FIRST_FRAMES } else { Micros(0) };
        self.tell(id, Input::LinkUp(link, CREDIT));
    }

    fn link_lost(&mut self, id: ActorId, link: LinkId) {
        if self.actors[id.0].wires.remove(&link).is_some() {
            self.tell(id, Input::LinkDown(link));
        }
    }

    fn end_setup(&mut self, id: ActorId, link: LinkId) {
        if self.actors[id.0].wires.get(&link).is_some_and(|wire| !wire.open) {
            self.actors[id.0].wires.remove(&link);
            self.tell(id, Input::LinkFailed(link));
        }
    }

    fn acknowledge(&mut self, id: ActorId, link: LinkId, len: u32) {
        let Some(wire) = self.actors[id.0].wires.get_mut(&link) else { return };
        wire.in_flight = wire.in_flight.saturating_sub(len);
        let credit = CREDIT.saturating_sub(wire.in_flight);
        self.tell(id, Input::Writable(link, credit));
    }

    /// Carries out a node's orders.
    fn drain(&mut self, id: ActorId) {
        while let Some(output) = self.actors[id.0].node.poll() {
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
        self.conns_opened += 1;
        let conn = Conn(self.conns_opened);
        self.schedule(Micros(self.network.control_delay.0 * 3), Event::ControlOpened(id, conn));
    }

    fn close_control(&mut self, id: ActorId) {
        if let Some(conn) = self.actors[id.0].conn.take() {
            self.schedule(self.network.control_delay, Event::ConductorLost(conn));
        }
    }

    fn send_to_conductor(&mut self, id: ActorId, bytes: Vec<u8>) {
        let Some(conn) = self.actors[id.0].conn else { return };
        let sure = id == ActorId::SOURCE || matches!(Up::decode(&bytes), Ok(Up::Hello(_) | Up::Leave));
        for after in self.network.control_arrivals(sure, &mut self.chance) {
            self.schedule(after, Event::ToConductor(conn, bytes.clone()));
        }
    }

    fn obey_conductor(&mut self) {
        while let Some(order) = self.conductor.poll() {
            match order {
                Order::Send(conn, bytes) => self.send_to_node(conn, &bytes),
                Order::Close(conn) => self.hang_up(conn),
                Order::SetTimer(at) => self.schedule(at.since(self.now), Event::ConductorTimer),
            }
        }
    }

    fn send_to_node(&mut self, conn: Conn, bytes: &[u8]) {
        let Some(id) = self.conns.get(&conn).copied() else { return };
        let sure = id == ActorId::SOURCE || matches!(Down::decode(bytes), Ok(Down::Welcome(_) | Down::Refuse(_)));
        for after in self.network.control_arrivals(sure, &mut self.chance) {
            self.schedule(after, Event::ToNode(id, conn, bytes.to_vec()));
        }
    }

    fn hang_up(&mut self, conn: Conn) {
        if let Some(id) = self.conns.remove(&conn)
            && self.actors[id.0].conn.take_if(|open| *open == conn).is_some()
        {
            self.tell(id, Input::ControlDown);
        }
    }

    /// The offering side's description is its own address in this world.
    fn open_link(&mut self, id: ActorId, link: LinkId, side: Side) {
        self.actors[id.0].wires.insert(link, Wire::default());
        self.schedule(SETUP_MAX, Event::SetupOver(id, link));
        if side == Side::Offer {
            let address = [(id.0 as u64).to_le_bytes(), u64::from(link.0).to_le_bytes()].concat();
            self.schedule(Micros(1), Event::Signal(id, link, address));
        }
    }

    /// The answering side got the description: the link opens after its round trips.
    fn pair(&mut self, id: ActorId, link: LinkId, address: &[u8]) {
        let field = |at: usize| Some(u64::from_le_bytes(address.get(at..at + 8)?.try_into().ok()?));
        let (Some(actor), Some(other_link)) = (field(0), field(8)) else { return };
        let (other, other_link) = (ActorId(actor as usize), LinkId(other_link as u32));
        let reachable = self.actors.get(other.0).is_some_and(|other| other.alive);
        let Some(here) = self.actors[id.0].wires.get_mut(&link).filter(|_| reachable) else { return };
        here.other = Some((other, other_link));
        if let Some(there) = self.actors[other.0].wires.get_mut(&other_link) {
            there.other = Some((id, link));
            let setup = Micros(self.network.delay.0 * 2 * self.network.setup_round_trips);
            self.schedule(setup, Event::LinkUp(id, link));
            self.schedule(setup, Event::LinkUp(other, other_link));
        }
    }

    fn close_link(&mut self, id: ActorId, link: LinkId) {
        let wire = self.actors[id.0].wires.remove(&link);
        if let Some((other, other_link)) = wire.and_then(|wire| wire.other) {
            self.schedule(self.network.delay, Event::LinkLost(other, other_link));
        }
    }

    fn send(&mut self, id: ActorId, link: LinkId, lane: Lane, payload: Payload) {
        let actor = &mut self.actors[id.0];
        let bytes: Rc<[u8]> = match payload {
            Payload::Bytes(bytes) => bytes.into(),
            Payload::Piece { seq, index } => {
                actor.node.piece_frame(seq, index).expect("a piece ordered is here").into()
            }
        };
        let Some(wire) = actor.wires.get_mut(&link) else { return };
        let Some((to, back)) = wire.other.filter(|_| wire.open) else { return };
        if self.now < wire.loses_until {
            return;
        }
        wire.in_flight += bytes.len() as u32;
        let sending = Micros(bytes.len() as u64 * 1_000_000 / self.network.uplink_bytes_per_second);
        actor.uplink_free = actor.uplink_free.max(self.now) + sending;
        let travels = actor.uplink_free + self.network.travel(&mut self.chance);
        let arrives = travels.max(wire.arrives[lane as usize]);
        wire.arrives[lane as usize] = arrives;
        let frame = Event::Frame { to, link: back, lane, bytes, from: id, back: link };
        self.schedule(arrives.since(self.now), frame);
    }

    fn set_timer(&mut self, id: ActorId, at: Micros) {
        self.actors[id.0].timers += 1;
        let number = self.actors[id.0].timers;
        self.schedule(at.since(self.now), Event::Timer(id, number));
    }

    fn deliver(&mut self, id: ActorId, output: &Output) {
        let actor = &mut self.actors[id.0];
        let received = &mut actor.received;
        match output {
            Output::Deliver(seq) => {
                let mut payload = Vec::new();
                let whole = actor.node.payload(*seq, &mut payload);
                let right = self.produced.get(seq.0 as usize).is_some_and(|produced| **produced == *payload);
                let expected = received.first.is_none() || *seq == received.next;
                received.wrong += u64::from(!whole || !right || !expected);
                received.longest_gap = match received.first {
                    Some(_) => received.longest_gap.max(self.now.since(received.last_at)),
                    None => Micros(0),
                };
                if received.first.is_none() {
                    (received.first, received.first_at) = (Some(*seq), self.now);
                }
                (received.next, received.last_at) = (seq.next(), self.now);
            }
            Output::Skip(from, to) => {
                received.skipped += to.0 - from.0;
                received.next = *to;
            }
            Output::Ended => received.ended = true,
            Output::Refused(reason) => received.refused = Some(*reason),
            _ => {}
        }
    }
}

/// The user's word that a node shall not relay, for [`World::tell`].
pub fn do_not_relay() -> Input<'static> {
    Input::Relay(false)
}
