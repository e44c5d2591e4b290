//! The real coordinator as the conductor of a world.

use peerstream_coordinator::{Config, ConnId, Coordinator, Counters, Input, Limits, Origin, Output, Overview};
use peerstream_overlay::TreeStrategy;
use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::id::{NodeId, Stripes, Term};
use peerstream_protocol::segment::Kind;
use peerstream_protocol::time::Micros;

use crate::conductor::{Conductor, Conn, From, Order};

/// A coordinator with a strategy that the caller hands in.
#[derive(Debug)]
pub struct Coordinated(Coordinator);

impl Coordinated {
    /// The first coordinator of this broadcast.
    pub fn new(cert: EpochCert, kind: Kind, strategy: Box<dyn TreeStrategy + Send>) -> Self {
        Self::of_term(Term(1), cert, kind, strategy, Micros(0))
    }

    /// A coordinator that starts now; any but that of the first term follows an earlier one.
    pub fn of_term(
        term: Term,
        cert: EpochCert,
        kind: Kind,
        strategy: Box<dyn TreeStrategy + Send>,
        now: Micros,
    ) -> Self {
        Self::limited(Limits::default(), term, cert, kind, strategy, now)
    }

    /// The same with limits of its own.
    pub fn limited(
        limits: Limits,
        term: Term,
        cert: EpochCert,
        kind: Kind,
        strategy: Box<dyn TreeStrategy + Send>,
        now: Micros,
    ) -> Self {
        let config = Config {
            term,
            follows: term > Term(1),
            cert,
            kind,
            ice: Vec::new(),
            strategy: String::new(),
            secret: [3; 32],
            wall_at_zero_us: 0,
            limits,
        };
        Self(Coordinator::new(config, strategy, now))
    }

    /// Another strategy takes over the overlay as it is.
    pub fn switch_strategy(&mut self, now: Micros, strategy: Box<dyn TreeStrategy + Send>) {
        self.0.switch_strategy(now, "", strategy);
    }

    /// What the coordinator has counted.
    pub fn counters(&self) -> Counters {
        self.0.counters()
    }

    /// All members that shall have a parent for this stripe, and that parent.
    pub fn parents(&self, stripe: Stripes) -> impl Iterator<Item = (NodeId, NodeId)> {
        self.0.parents(stripe)
    }

    /// Stripes with trees of their own; one when all come the same way.
    pub fn trees(&self) -> impl Iterator<Item = Stripes> {
        Stripes::each().take(if self.0.is_striped() { Stripes::COUNT.into() } else { 1 })
    }

    /// What the coordinator shows people.
    pub fn overview(&self) -> Overview {
        self.0.overview()
    }
}

impl Conductor for Coordinated {
    fn opened(&mut self, now: Micros, conn: Conn, from: From) {
        let origin = match from {
            From::Source => Origin::Source,
            from => Origin::Address(address(from, conn)),
        };
        self.0.handle(now, Input::Opened { conn: ConnId(conn.0), origin });
    }

    fn message(&mut self, now: Micros, conn: Conn, bytes: &[u8]) {
        self.0.handle(now, Input::Message(ConnId(conn.0), bytes));
    }

    fn closed(&mut self, now: Micros, conn: Conn) {
        self.0.handle(now, Input::Closed(ConnId(conn.0)));
    }

    fn tick(&mut self, now: Micros) {
        self.0.handle(now, Input::Tick);
    }

    fn poll(&mut self) -> Option<Order> {
        loop {
            return Some(match self.0.poll()? {
                Output::Send(conn, bytes) => Order::Send(Conn(conn.0), bytes),
                Output::Close(conn) => Order::Close(Conn(conn.0)),
                Output::SetTimer(at) => Order::SetTimer(at),
                Output::Overloaded { .. } | Output::StrategyReplaced { .. } => continue,
            });
        }
    }
}

/// Every simulated viewer has an address of its own; those of one network begin with the same 48 bits.
fn address(from: From, conn: Conn) -> [u8; 16] {
    let network = match from {
        From::Network(network) => u128::from(network),
        _ => (1 << 40) | u128::from(conn.0),
    };
    (((network + 1) << 80) | (u128::from(conn.0 as u16) << 64) | u128::from(conn.0)).to_be_bytes()
}
