//! A node and what surrounds it: its place and line, its end of each link, what it got and showed.

use peerstream_node::{LinkId, Node};
use peerstream_protocol::control::Reason;
use peerstream_protocol::id::Seq;
use peerstream_protocol::time::Micros;

use crate::conductor::Conn;
use crate::memo::Memo;
use crate::network::Access;
use crate::player::Player;
use crate::replay::Replay;
use crate::wire::Wire;

/// A node of the world, dead or alive; 0 is the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActorId(pub usize);

impl ActorId {
    /// The source.
    pub const SOURCE: Self = Self(0);
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
    /// What is delivered next need not go on from the last.
    pub turned: bool,
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
    pub(super) node: Option<Box<Node<Memo>>>,
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
    pub(super) frozen_until: Micros,
    pub(super) conn: Option<Conn>,
    pub(super) wires: Vec<(LinkId, Wire)>,
    /// What of starters is under way to it over the control connection.
    pub(super) control_wire: Wire,
    pub(super) uplink_free: Micros,
    pub(super) downlink_free: Micros,
    /// When the node wants its timer, and when the next one is in the queue.
    pub(super) timer: Micros,
    pub(super) timer_queued: Option<Micros>,
    /// What it got.
    pub received: Received,
    /// What was shown.
    pub player: Player,
    /// What is shown to one that has gone back in time.
    pub replay: Option<Replay>,
    /// How often it has asked the archive, or said that it wants no more.
    pub(super) fetch: u32,
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

    pub(super) fn wire(&mut self, link: LinkId) -> Option<&mut Wire> {
        self.wires.iter_mut().find(|(id, _)| *id == link).map(|(_, wire)| wire)
    }

    /// The nodes at the other ends of its open links, with when each last delivered a piece.
    pub fn open_links(&self) -> impl Iterator<Item = (ActorId, Micros)> {
        let open = self.wires.iter().filter(|(_, wire)| wire.open);
        open.filter_map(|(_, wire)| wire.other.map(|(other, _)| (ActorId(other), wire.fed)))
    }
}
