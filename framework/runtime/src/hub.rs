//! Drives a coordinator: control connections in, its orders out.
//!
//! One task owns the coordinator. Each connection has a bounded queue of messages to its node; a node that does not
//! read them is disconnected, so that it costs a bounded amount of memory and nobody else any time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use peerstream_coordinator::{ConnId, Coordinator, Happened, Input, Output, Overview, Story, Trial};
use peerstream_protocol::id::Seq;
use peerstream_protocol::time::Micros;
use peerstream_protocol::withheld::{TooMany, Withheld};
use peerstream_traits::ladder::BoxedLadder;
use peerstream_traits::strategy::BoxedStrategy;
use peerstream_traits::telemetry::Event;
use tokio::sync::{broadcast, mpsc, oneshot};
use tracing::{debug, error, info, warn};

pub use peerstream_coordinator::Origin;

use crate::clock::Clock;
use crate::feed;
use crate::guarded::Guarded;
use crate::plugins::telemetry::Telemetry;

/// Messages of all connections that wait for the coordinator; a full queue stops reading from the sockets.
pub const HUB_QUEUE_MAX: usize = 1024;
/// Messages that wait for one node to read them.
pub const SESSION_QUEUE_MAX: usize = 128;

/// Happenings that wait for whoever follows along; a slow one misses the oldest and is told how many.
pub const HAPPENINGS_MAX: usize = 1024;

/// Counters of a hub since its start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Control connections accepted.
    pub opened: AtomicU64,
    /// Connections closed because their node did not read [`SESSION_QUEUE_MAX`] messages.
    pub slow_readers: AtomicU64,
}

enum Request {
    Open(ConnId, Origin, mpsc::Sender<Vec<u8>>),
    Message(ConnId, Vec<u8>),
    Overview(oneshot::Sender<Overview>),
    Story(String, oneshot::Sender<Option<Story>>),
    SwitchStrategy(Box<Successor>, oneshot::Sender<Result<Trial, String>>),
    SwitchLadder(Option<BoxedLadder>),
    Withhold(Withholding, oneshot::Sender<Result<Withheld, TooMany>>),
}

/// A part of the broadcast that nobody is to see, or everybody again: the first segment, and the one after the last.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Withholding {
    Withhold(Seq, Seq),
    Restore(Seq, Seq),
}

/// A strategy that is to take over.
pub struct Successor {
    /// What it is called, for people.
    pub name: String,
    /// The strategy.
    pub strategy: BoxedStrategy,
    /// Takes over, under its name, should that one fail.
    pub fallback: Option<(String, BoxedStrategy)>,
}

/// A handle to the task that owns a coordinator; cheap to clone. The task ends with the last handle and connection.
#[derive(Clone, Debug)]
pub struct Hub {
    requests: mpsc::Sender<Request>,
    // Without bound, but each connection puts in at most one.
    closed: mpsc::UnboundedSender<ConnId>,
    next: Arc<AtomicU64>,
    counters: Arc<Counters>,
    happenings: broadcast::Sender<Happened>,
}

/// One control connection, as the host's side of a socket sees it. Dropping it tells the coordinator.
#[derive(Debug)]
pub struct Connection {
    id: ConnId,
    hub: Hub,
    incoming: mpsc::Receiver<Vec<u8>>,
}

impl Hub {
    /// Starts the task.
    pub fn spawn(coordinator: Coordinator, clock: Clock) -> Self {
        Self::spawn_with(coordinator, clock, None)
    }

    /// Starts the task, with sinks that are told what happens.
    pub(crate) fn spawn_with(coordinator: Coordinator, clock: Clock, telemetry: Option<Telemetry>) -> Self {
        let coordinator = coordinator.with_happened();
        let (happenings, _) = broadcast::channel(HAPPENINGS_MAX);
        let (requests, inbox) = mpsc::channel(HUB_QUEUE_MAX);
        let (closed, closings) = mpsc::unbounded_channel();
        let counters = Arc::new(Counters::default());
        let task = Task {
            coordinator,
            clock,
            sessions: HashMap::new(),
            timer: None,
            counters: counters.clone(),
            telemetry,
            happenings: happenings.clone(),
        };
        tokio::spawn(task.run(inbox, closings));
        Self { requests, closed, next: Arc::default(), counters, happenings }
    }

    /// Opens a connection for a node; `None` when the coordinator has stopped.
    pub async fn connect(&self, origin: Origin) -> Option<Connection> {
        let id = ConnId(self.next.fetch_add(1, Relaxed));
        let (to_node, incoming) = mpsc::channel(SESSION_QUEUE_MAX);
        self.requests.send(Request::Open(id, origin, to_node)).await.ok()?;
        Some(Connection { id, hub: self.clone(), incoming })
    }

    /// What to show people about the overlay; `None` when the coordinator has stopped.
    pub async fn overview(&self) -> Option<Overview> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Overview(reply)).await.ok()?;
        answer.await.ok()
    }

    /// The story of the node of this name, such as `n5`; `None` when it is not known or the coordinator has stopped.
    pub async fn story(&self, name: String) -> Option<Story> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Story(name, reply)).await.ok()?;
        answer.await.ok().flatten()
    }

    /// What happens to nodes from now on.
    pub fn happenings(&self) -> broadcast::Receiver<Happened> {
        self.happenings.subscribe()
    }

    /// Lets another strategy take over the running overlay, unless its plan would be rejected; then nothing changes, and the
    /// answer says why.
    pub async fn switch_strategy(&self, successor: Successor) -> Result<Trial, String> {
        let (reply, answer) = oneshot::channel();
        let stopped = || "the coordinator has stopped".to_owned();
        let request = Request::SwitchStrategy(Box::new(successor), reply);
        self.requests.send(request).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Another ladder policy is asked from now on; the coordinator's own when none is given.
    pub async fn switch_ladder(&self, policy: Option<BoxedLadder>) {
        let _ = self.requests.send(Request::SwitchLadder(policy)).await;
    }

    /// Tells all nodes, and those that come later, what is withheld; gives all that is then. `None` when the coordinator has
    /// stopped.
    pub(crate) async fn withhold(&self, what: Withholding) -> Option<Result<Withheld, TooMany>> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Withhold(what, reply)).await.ok()?;
        answer.await.ok()
    }

    /// The counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

impl Connection {
    /// Hands a node's message to the coordinator; waits while it is busy. False when it has stopped.
    pub async fn send(&self, message: Vec<u8>) -> bool {
        self.hub.requests.send(Request::Message(self.id, message)).await.is_ok()
    }

    /// The next message for the node; `None` when the coordinator has ended the connection. Safe to cancel.
    pub async fn recv(&mut self) -> Option<Vec<u8>> {
        self.incoming.recv().await
    }

    /// Both directions at once: what hands messages in, and where messages come out.
    pub fn split(&mut self) -> (ConnectionSender<'_>, &mut mpsc::Receiver<Vec<u8>>) {
        (ConnectionSender { id: self.id, requests: &self.hub.requests }, &mut self.incoming)
    }
}

/// Hands messages of one node to the coordinator.
#[derive(Debug)]
pub struct ConnectionSender<'a> {
    id: ConnId,
    requests: &'a mpsc::Sender<Request>,
}

impl ConnectionSender<'_> {
    /// See [`Connection::send`].
    pub async fn send(&self, message: Vec<u8>) -> bool {
        self.requests.send(Request::Message(self.id, message)).await.is_ok()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.incoming.close();
        let _ = self.hub.closed.send(self.id);
    }
}

struct Task {
    coordinator: Coordinator,
    clock: Clock,
    sessions: HashMap<ConnId, mpsc::Sender<Vec<u8>>>,
    timer: Option<Micros>,
    counters: Arc<Counters>,
    /// Told what happens.
    telemetry: Option<Telemetry>,
    /// Those who follow along.
    happenings: broadcast::Sender<Happened>,
}

impl Task {
    async fn run(mut self, mut inbox: mpsc::Receiver<Request>, mut closings: mpsc::UnboundedReceiver<ConnId>) {
        self.drain();
        loop {
            let due = self.clock.instant(self.timer.unwrap_or(Micros(u64::MAX)));
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(due) => {
                    self.timer = None;
                    self.feed(Input::Tick);
                }
                Some(id) = closings.recv() => {
                    // What the node said before it went, a goodbye for example, is still in the queue.
                    for request in std::iter::from_fn(|| inbox.try_recv().ok()).take(HUB_QUEUE_MAX) {
                        self.on_request(request);
                    }
                    self.close(id);
                }
                request = inbox.recv() => match request {
                    Some(request) => self.on_request(request),
                    None => break,
                },
            }
        }
    }

    fn on_request(&mut self, request: Request) {
        match request {
            // A connection can end before its opening is handled; its closing has then come and gone.
            Request::Open(_, _, to_node) if to_node.is_closed() => {}
            Request::Open(conn, origin, to_node) => {
                self.sessions.insert(conn, to_node);
                self.counters.opened.fetch_add(1, Relaxed);
                self.feed(Input::Opened { conn, origin });
            }
            Request::Message(conn, message) if self.sessions.contains_key(&conn) => {
                self.feed(Input::Message(conn, &message));
            }
            Request::Message(..) => {}
            Request::Overview(reply) => {
                let _ = reply.send(self.coordinator.overview());
            }
            Request::Story(name, reply) => {
                let _ = reply.send(self.coordinator.story(&name));
            }
            Request::SwitchStrategy(successor, reply) => drop(reply.send(self.switch_strategy(*successor))),
            Request::SwitchLadder(policy) => self.coordinator.switch_ladder(policy),
            Request::Withhold(what, reply) => drop(reply.send(self.withhold(what))),
        }
    }

    fn withhold(&mut self, what: Withholding) -> Result<Withheld, TooMany> {
        let now = self.clock.now();
        match what {
            Withholding::Withhold(first, end) => self.coordinator.withhold(now, first, end),
            Withholding::Restore(first, end) => self.coordinator.restore(now, first, end),
        }?;
        self.drain();
        Ok(self.coordinator.withheld().clone())
    }

    /// Tries the successor on a copy of the overlay first.
    fn switch_strategy(&mut self, successor: Successor) -> Result<Trial, String> {
        let Successor { name, strategy, fallback } = successor;
        let mut strategy = Guarded::boxed(strategy);
        let trial = self.coordinator.try_strategy(strategy.as_mut())?;
        info!(strategy = name, ops = trial.ops, moves = trial.moves, "another strategy takes over");
        self.coordinator.set_fallback(fallback);
        self.coordinator.switch_strategy(self.clock.now(), &name, strategy);
        self.drain();
        Ok(trial)
    }

    fn close(&mut self, conn: ConnId) {
        if self.sessions.remove(&conn).is_some() {
            self.feed(Input::Closed(conn));
        }
    }

    fn feed(&mut self, input: Input<'_>) {
        self.coordinator.handle(self.clock.now(), input);
        self.drain();
    }

    fn drain(&mut self) {
        let mut slow = Vec::new();
        loop {
            while let Some(output) = self.coordinator.poll() {
                match output {
                    Output::Send(conn, message) => slow.extend(self.send(conn, message).err()),
                    Output::Close(conn) => drop(self.sessions.remove(&conn)),
                    Output::Overloaded { members, struggling, shed } => {
                        self.tell(feed::overloaded(members, struggling, shed));
                        warn!(
                            members,
                            struggling, shed, "more than half of the audience cannot keep up; some are turned away"
                        );
                    }
                    Output::StrategyReplaced { failed, by, why } => {
                        self.tell(feed::strategy_replaced(&failed, &by, &why));
                        error!(failed, by, why, "the strategy failed; another one has taken over the overlay");
                    }
                    Output::SetTimer(at) => self.timer = Some(at),
                }
            }
            let Some(conn) = slow.pop() else { break };
            self.coordinator.handle(self.clock.now(), Input::Closed(conn));
        }
        for happened in self.coordinator.take_happened() {
            self.telemetry.iter().for_each(|telemetry| feed::happened(telemetry, &self.clock, &happened));
            // Nobody may be listening.
            let _ = self.happenings.send(happened);
        }
    }

    fn tell(&self, event: Event) {
        self.telemetry.iter().for_each(|telemetry| feed::tell(telemetry, &self.clock, self.clock.now(), event.clone()));
    }

    /// Queues a message, or gives the connection that must be closed because its node does not read.
    fn send(&mut self, conn: ConnId, message: Vec<u8>) -> Result<(), ConnId> {
        let Some(session) = self.sessions.get(&conn) else { return Ok(()) };
        match session.try_send(message) {
            Ok(()) => Ok(()),
            // Its closing is on the way.
            Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => {
                debug!(conn = conn.0, "control connection closed because its node does not read");
                self.counters.slow_readers.fetch_add(1, Relaxed);
                self.sessions.remove(&conn);
                Err(conn)
            }
        }
    }
}
