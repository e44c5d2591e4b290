//! Whoever answers the nodes' control connections: the coordinator, or a test's script.

use peerstream_protocol::time::Micros;

/// A control connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Conn(pub u64);

/// Where a control connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The source.
    Source,
    /// A viewer whose network others share.
    Network(u32),
    /// A viewer of whose network nothing is known.
    Anywhere,
}

/// What a conductor asks of the world.
#[derive(Clone, Debug)]
pub enum Order {
    /// Send to a node.
    Send(Conn, Vec<u8>),
    /// End a connection.
    Close(Conn),
    /// Call `tick` at this time.
    SetTimer(Micros),
}

/// Answers control connections.
pub trait Conductor {
    /// A connection opened; the source's is the first.
    fn opened(&mut self, now: Micros, conn: Conn, from: From);
    /// A message came.
    fn message(&mut self, now: Micros, conn: Conn, bytes: &[u8]);
    /// A connection ended.
    fn closed(&mut self, now: Micros, conn: Conn);
    /// The timer fired.
    fn tick(&mut self, now: Micros);
    /// The next order.
    fn poll(&mut self) -> Option<Order>;
}
