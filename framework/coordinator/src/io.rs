//! The coordinator's border: what a driver tells it and what it asks of its driver.

use peerstream_overlay::maybe::Number;
use peerstream_protocol::time::Micros;

/// One control connection, named by the driver; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

impl Number for ConnId {
    fn number(self) -> u64 {
        self.0
    }

    fn of(number: u64) -> Self {
        Self(number)
    }
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// This very process: the source, or a helper beside it. Free of the limits per address.
    Source,
    /// An IPv6 address, or an IPv4 address mapped into IPv6 (`::ffff:a.b.c.d`).
    Address([u8; 16]),
}

/// A past fact told by the driver.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A control connection is open.
    Opened {
        /// Its name.
        conn: ConnId,
        /// Where it comes from.
        origin: Origin,
    },
    /// A message arrived on a connection.
    Message(ConnId, &'a [u8]),
    /// A connection ended, other than by [`Output::Close`].
    Closed(ConnId),
    /// The timer fired, or time just passed.
    Tick,
}

/// An order to the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a message.
    Send(ConnId, Vec<u8>),
    /// Close a connection once what was sent is out; nothing more is expected of it.
    Close(ConnId),
    /// For people: more than half of all nodes cannot keep up, and some were turned away.
    Overloaded {
        /// Members without the source.
        members: usize,
        /// Those that do not get the stream as they should.
        struggling: usize,
        /// Those turned away just now.
        shed: usize,
    },
    /// For people: the strategy failed, and another one has taken over.
    StrategyReplaced {
        /// What the failed one is called.
        failed: String,
        /// What the one that took over is called.
        by: String,
        /// Why it failed.
        why: String,
    },
    /// Call with [`Input::Tick`] at this time; replaces the earlier order.
    SetTimer(Micros),
}
