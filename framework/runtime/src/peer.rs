//! Drives one node over real sockets. It holds no decision: facts go in, orders are carried out.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
pub use peerstream_node::Keeping;
use peerstream_node::{self as node, Input, LinkId, Node, Output, Payload, Produced, Status};
use peerstream_protocol::control::Role;
use peerstream_protocol::crypto::PublicKey;
use peerstream_protocol::frame::Lane;
use peerstream_protocol::id::{NodeId, Seq};
use peerstream_protocol::segment::Init;
use peerstream_protocol::time::Micros;
use peerstream_traits::ingest::Unit;
use peerstream_traits::transport::{IceServers, LinkEvent, SendError, SharedTransport};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::{Instrument, debug, info, warn};

use crate::clock::Clock;
use crate::control::{self, Control, Endpoint};
use crate::ice;
use crate::links::Links;
use crate::logbook::Logbook;
use crate::output::{self, Cause, Delivery, Reader, Writer};
use crate::plugins::archive::Archives;
use crate::recent::Recent;

/// Commands, produced segments among them, that wait for the node; whoever produces faster waits.
pub const COMMAND_QUEUE_MAX: usize = 16;
/// Children a page or an ordinary viewer feeds.
pub const CAPACITY: u8 = 2;
/// How long a polite goodbye may take.
pub const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a peer is from its start.
#[derive(Clone)]
pub struct Config {
    /// The publisher's key when it is known beforehand; otherwise the coordinator's word is taken.
    pub stream: Option<PublicKey>,
    /// Viewer or helper.
    pub role: Role,
    /// Children it can feed; one spare copy comes on top.
    pub capacity: u8,
    /// May relay at all.
    pub relay: bool,
    /// Coordinators, tried in order.
    pub endpoints: Vec<Endpoint>,
    /// Opens the links.
    pub transport: SharedTransport,
    /// What it keeps beyond what is live, for viewers that go back in time.
    pub keeping: Keeping,
}

impl Config {
    /// A viewer with the defaults of a page.
    pub fn viewer(endpoints: Vec<Endpoint>, transport: SharedTransport) -> Self {
        Self {
            stream: None,
            role: Role::Viewer,
            capacity: CAPACITY,
            relay: true,
            endpoints,
            transport,
            keeping: Keeping::default(),
        }
    }
}

/// What a driver dropped or lost since its start; the node counts the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames a transport did not take; beyond its credit or size they cost the link.
    pub frames_refused: u64,
    /// Control connections given up because [`control::CONTROL_QUEUE_MAX`] messages were not read.
    pub control_overflows: u64,
    /// Segments dropped because whoever reads the deliveries was too slow.
    pub output_dropped: u64,
    /// Segments of a source dropped because the disk beside its key was too slow to reserve their numbers.
    pub unreserved: u64,
}

/// A peer as people want to see it.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The node's own account.
    pub status: Status,
    /// The driver's.
    pub counters: Counters,
}

/// What a source's ingest hands to its node.
#[derive(Clone, Debug)]
pub enum Production {
    /// The codec header of the units that follow.
    Init(Init),
    /// One segment.
    Unit(Unit),
    /// The input has ended.
    End,
}

/// The peer has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer has ended")]
pub struct Gone;

enum Command {
    Produce(Production),
    Snapshot(oneshot::Sender<Snapshot>),
    Relay(bool),
    Leave,
}

/// A handle to a running peer. Dropping it ends the peer without a goodbye.
#[derive(Debug)]
pub struct Peer {
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

/// Starts a viewer or helper. What it delivers comes out of the reader; a helper delivers nothing but events.
pub fn spawn(config: Config) -> (Peer, Reader) {
    spawn_with(config, None, Clock::start())
}

/// Starts a source, whose segments these keep.
pub(crate) fn spawn_source(config: Config, source: node::Source, clock: Clock, keepers: Keepers) -> (Peer, Reader) {
    spawn_any(config, Some(source), clock, keepers)
}

/// Starts a node with everything settable; a source has its own key and the clock its coordinator uses.
pub fn spawn_with(config: Config, source: Option<node::Source>, clock: Clock) -> (Peer, Reader) {
    spawn_any(config, source, clock, Keepers::default())
}

/// Who is handed what a source produces.
#[derive(Default)]
pub(crate) struct Keepers {
    pub(crate) archives: Option<Archives>,
    pub(crate) recent: Option<Recent>,
    pub(crate) logbook: Option<Logbook>,
}

impl Drop for Keepers {
    fn drop(&mut self) {
        self.recent.iter().for_each(Recent::end);
    }
}

fn spawn_any(config: Config, source: Option<node::Source>, clock: Clock, keepers: Keepers) -> (Peer, Reader) {
    let (commands, inbox) = mpsc::channel(COMMAND_QUEUE_MAX);
    let (writer, reader) = output::queue();
    let span = tracing::info_span!("peer", role = ?config.role);
    let driver = Driver { keepers, ..Driver::new(config, source, clock, writer) };
    let task = tokio::spawn(driver.run(inbox).instrument(span));
    (Peer { commands, task }, reader)
}

impl Peer {
    /// Hands the source's input over, in order; waits while the node is busy.
    pub async fn produce(&self, production: Production) -> Result<(), Gone> {
        self.commands.send(Command::Produce(production)).await.map_err(|_| Gone)
    }

    /// How the node stands.
    pub async fn snapshot(&self) -> Result<Snapshot, Gone> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Snapshot(reply)).await.map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }

    /// The user's word on relaying.
    pub async fn relay(&self, allowed: bool) -> Result<(), Gone> {
        self.commands.send(Command::Relay(allowed)).await.map_err(|_| Gone)
    }

    /// Says goodbye and ends, within [`LEAVE_TIMEOUT`].
    pub async fn leave(&self) {
        let goodbye = async {
            let _ = self.commands.send(Command::Leave).await;
            self.commands.closed().await;
        };
        let _ = tokio::time::timeout(LEAVE_TIMEOUT, goodbye).await;
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A fact from outside, before it is told to the node.
enum Event {
    Timer,
    Control(control::Event),
    Link(LinkId, Option<LinkEvent>),
    Command(Option<Command>),
}

struct Driver {
    node: Node,
    clock: Clock,
    timer: Option<Micros>,
    endpoints: Vec<Endpoint>,
    /// The endpoint in use; its host stands in for `?` in ICE urls.
    endpoint: usize,
    control: Option<Control>,
    /// Told in the log once, not with every attempt.
    control_lost: bool,
    links: Links,
    output: Writer,
    keepers: Keepers,
    counters: Counters,
    /// Failures found while orders were carried out, told to the node after the last order. At most one per order.
    failures: VecDeque<Failure>,
}

enum Failure {
    Control,
    Link(LinkId),
}

impl Driver {
    fn new(config: Config, source: Option<node::Source>, clock: Clock, output: Writer) -> Self {
        let Config { stream, role, capacity, relay, endpoints, transport, keeping } = config;
        let seed = crate::random_seed();
        let config = node::Config { stream, role, capacity, relay, seed, endpoints: endpoints.len(), source };
        let mut node = Node::new(config, clock.now());
        node.handle(clock.now(), Input::Keeping(keeping));
        Self {
            node,
            clock,
            timer: None,
            endpoints,
            endpoint: 0,
            control: None,
            control_lost: false,
            links: Links::new(transport),
            output,
            keepers: Keepers::default(),
            counters: Counters::default(),
            failures: VecDeque::new(),
        }
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        self.carry_out();
        loop {
            match self.next(&mut commands).await {
                Event::Timer => self.tell(Input::Tick),
                Event::Control(event) => self.on_control(event),
                Event::Link(id, event) => self.on_link(id, event),
                Event::Command(Some(Command::Leave)) => break self.leave().await,
                Event::Command(Some(command)) => self.on_command(command),
                Event::Command(None) => break,
            }
        }
    }

    async fn next(&mut self, commands: &mut mpsc::Receiver<Command>) -> Event {
        let due = self.clock.instant(self.timer.unwrap_or(Micros(u64::MAX)));
        let timed = self.timer.is_some();
        let connected = self.control.is_some();
        let control = async {
            match &mut self.control {
                Some(control) => control.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep_until(due), if timed => {
                self.timer = None;
                Event::Timer
            }
            event = control, if connected => Event::Control(event),
            (id, event) = self.links.next() => Event::Link(id, event),
            command = commands.recv() => Event::Command(command),
        }
    }

    fn on_control(&mut self, event: control::Event) {
        match event {
            control::Event::Up => {
                if std::mem::take(&mut self.control_lost) {
                    info!("control connection is back");
                }
                self.tell(Input::ControlUp);
            }
            control::Event::Message(message) => self.tell(Input::Control(&message)),
            control::Event::Down => {
                if !std::mem::replace(&mut self.control_lost, true) {
                    warn!("control connection is lost; trying again");
                }
                self.control = None;
                self.tell(Input::ControlDown);
            }
        }
    }

    fn on_link(&mut self, id: LinkId, event: Option<LinkEvent>) {
        match event {
            Some(LinkEvent::Frame(lane, frame)) => self.tell(Input::Frame(id, lane, &frame)),
            Some(LinkEvent::Writable { credit }) => self.tell(Input::Writable(id, saturate(credit))),
            Some(LinkEvent::Up { credit }) => self.tell(Input::LinkUp(id, saturate(credit))),
            Some(LinkEvent::Signal(payload)) => self.tell(Input::LinkSignal(id, &payload)),
            Some(LinkEvent::Failed { reason }) => {
                debug!(link = id.0, reason, "link could not be opened");
                self.tell(Input::LinkFailed(id));
            }
            Some(LinkEvent::Down { reason }) => {
                debug!(link = id.0, reason, "link ended");
                self.tell(Input::LinkDown(id));
            }
            None => self.tell(Input::LinkDown(id)),
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Produce(production) => self.produce(production),
            Command::Relay(allowed) => self.tell(Input::Relay(allowed)),
            Command::Snapshot(reply) => {
                self.counters.output_dropped = self.output.dropped();
                let _ = reply.send(Snapshot { status: self.node.status(), counters: self.counters });
            }
            Command::Leave => unreachable!("ends the loop"),
        }
    }

    fn produce(&mut self, production: Production) {
        let is_init = matches!(production, Production::Init(_));
        let is_end = matches!(production, Production::End);
        if is_init || self.reserve() {
            self.produce_reserved(production);
        } else {
            self.counters.unreserved += 1;
        }
        if let Some(logbook) = self.keepers.logbook.as_ref().filter(|_| is_end) {
            logbook.end();
        }
    }

    /// Whether the next segment may be signed.
    fn reserve(&self) -> bool {
        match (&self.keepers.logbook, self.node.produces_next()) {
            (Some(logbook), Some((seq, _))) => logbook.reserve(seq),
            _ => true,
        }
    }

    fn produce_reserved(&mut self, production: Production) {
        let before = self.produced();
        match production {
            Production::Init(init) => {
                self.keepers.archives.iter().for_each(|archives| archives.init(&init));
                self.keepers.recent.iter().for_each(|recent| recent.init(&init));
                self.tell(Input::Produced(Produced::Init(init)));
            }
            Production::Unit(unit) => {
                self.tell(Input::Produced(Produced::Unit {
                    payload: &unit.payload,
                    pts_us: unit.pts_us,
                    duration_us: unit.duration_us,
                    join_point: unit.join_point,
                    discontinuity: unit.discontinuity,
                }));
                self.keep(before, &unit.payload);
            }
            Production::End => {
                self.tell(Input::Produced(Produced::End));
                self.keep(before, &Bytes::new());
            }
        }
    }

    fn produced(&self) -> Option<Seq> {
        self.node.produced_header().map(|header| header.core.seq)
    }

    /// Hands on what was just produced, if anything was.
    fn keep(&self, before: Option<Seq>, payload: &Bytes) {
        let Some(header) = self.node.produced_header().filter(|header| before != Some(header.core.seq)) else { return };
        if let (Some(logbook), Some((_, chain))) = (&self.keepers.logbook, self.node.produces_next()) {
            logbook.signed(&header.core, chain);
        }
        self.keepers.archives.iter().for_each(|archives| archives.segment(header, payload));
        if let Some(recent) = &self.keepers.recent {
            let core = &header.core;
            let pieces = (0..core.piece_count()).filter_map(|index| self.node.piece_frame(core.seq, index as u8));
            recent.segment(header, pieces);
        }
    }

    async fn leave(&mut self) {
        self.node.handle(self.clock.now(), Input::Leave);
        // The connection on which the goodbye is queued must be flushed, not only closed.
        let mut leaving = None;
        while let Some(output) = self.node.poll() {
            match output {
                Output::CloseControl => leaving = self.control.take().or(leaving),
                output => self.carry_out_one(output),
            }
        }
        self.links.close_all();
        if let Some(control) = leaving.or(self.control.take()) {
            control.flush().await;
        }
    }

    /// Tells the node a fact and carries out what it orders, until nothing is left to tell.
    fn tell(&mut self, input: Input<'_>) {
        self.node.handle(self.clock.now(), input);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        loop {
            while let Some(output) = self.node.poll() {
                self.carry_out_one(output);
            }
            let now = self.clock.now();
            match self.failures.pop_front() {
                Some(Failure::Control) => self.node.handle(now, Input::ControlDown),
                Some(Failure::Link(id)) => self.node.handle(now, Input::LinkDown(id)),
                None => break,
            }
        }
    }

    fn carry_out_one(&mut self, output: Output) {
        match output {
            Output::Send(id, lane, payload) => self.send(id, lane, payload),
            Output::Deliver(seq) => self.deliver(seq),
            Output::SetTimer(at) => self.timer = Some(at),
            Output::Control(message) => self.send_control(message),
            Output::OpenControl(index) => self.open_control(index),
            Output::CloseControl => self.control = None,
            Output::Open(id, peer, side) => self.open_link(id, peer, side),
            Output::Signal(id, payload) => self.links.signal(id, payload),
            Output::Close(id) => self.links.close(id),
            Output::Begin(kind) => self.output.push(Delivery::Begin(kind)),
            Output::Init => {
                self.node.init().cloned().into_iter().for_each(|init| self.output.push(Delivery::Init(init)))
            }
            Output::Skip(from, to) => self.output.push(Delivery::Gap { from, to, cause: Cause::Lost }),
            Output::Ended => self.output.push(Delivery::Ended),
            Output::Refused(reason) => self.output.push(Delivery::Refused(reason)),
            Output::WrongPublisher(key) => self.output.push(Delivery::WrongPublisher(key)),
            // There is no media element whose rate or position could be set, and no fallback was allowed.
            Output::Rate(_) | Output::Seek(_) | Output::Fetch(_) | Output::EndFetch => {}
            // Nobody here goes back in time.
            Output::Turn | Output::FetchPast(..) | Output::EndFetchPast => {}
        }
    }

    fn send(&mut self, id: LinkId, lane: Lane, payload: Payload) {
        let frame = match payload {
            Payload::Bytes(bytes) => Bytes::from(bytes),
            Payload::Piece { seq, index } => match self.node.piece_frame(seq, index) {
                Some(frame) => Bytes::copy_from_slice(frame),
                None => return,
            },
        };
        match self.links.try_send(id, lane, frame) {
            Ok(()) => {}
            // The link's own `Down` is on the way.
            Err(SendError::Closed) => self.counters.frames_refused += 1,
            Err(error) => {
                // A frame lost on a reliable lane cannot be made good, so the link goes.
                warn!(link = id.0, %error, "link closed");
                self.counters.frames_refused += 1;
                self.links.close(id);
                self.failures.push_back(Failure::Link(id));
            }
        }
    }

    fn deliver(&mut self, seq: Seq) {
        let mut bytes = Vec::new();
        if self.node.payload(seq, &mut bytes) {
            self.output.push(Delivery::Segment { seq, bytes: bytes.into() });
        } else {
            self.output.push(Delivery::Gap { from: seq, to: seq.next(), cause: Cause::Lost });
        }
    }

    fn send_control(&mut self, message: Vec<u8>) {
        let Some(control) = &self.control else { return };
        if let Err(error) = control.try_send(message) {
            self.counters.control_overflows += u64::from(matches!(error, TrySendError::Full(_)));
            self.control = None;
            self.failures.push_back(Failure::Control);
        }
    }

    fn open_control(&mut self, index: usize) {
        match self.endpoints.get(index) {
            Some(endpoint) => {
                self.endpoint = index;
                self.control = Some(Control::open(endpoint));
            }
            None => self.failures.push_back(Failure::Control),
        }
    }

    fn open_link(&mut self, id: LinkId, peer: NodeId, side: node::Side) {
        let host = self.endpoints.get(self.endpoint).and_then(Endpoint::host);
        let servers = IceServers { urls: ice::resolve(self.node.ice(), host) };
        debug!(link = id.0, %peer, ?side, "link is being opened");
        self.links.open(id, side, &servers);
    }
}

fn saturate(credit: usize) -> u32 {
    credit.try_into().unwrap_or(u32::MAX)
}
