//! Messages between a node and the coordinator.
//!
//! Every message travels in an envelope whose first byte says whether it is plain (0) or sealed (1, reserved for paths
//! through hosts that are not trusted). The rest is postcard.

use serde::{Deserialize, Serialize};

pub use crate::assignment::{Assignment, Edge, EdgePacker, LINKS_MAX, PackedEdges, When};

use crate::DecodeError;
use crate::assignment::put;
use crate::cert::EpochCert;
use crate::crypto::PublicKey;
use crate::frame::FRAME_BYTES_MAX;
use crate::id::{NodeId, Rendition, Seq, Session, Stripes, Term};
use crate::segment::Kind;
use crate::withheld::Withheld;

/// No control message is larger, in bytes: a frame of the stream in its envelope.
pub const CONTROL_BYTES_MAX: usize = FRAME_BYTES_MAX + 64;
/// No control message of a viewer is larger, in bytes.
pub const UP_BYTES_MAX: usize = 16 * 1024;
/// No set-up message for a link is larger, in bytes.
pub const SIGNAL_BYTES_MAX: usize = 2048;
/// No age ticket is larger, in bytes.
pub const TICKET_BYTES_MAX: usize = 255;
/// At most this many ICE server urls, each of at most 255 bytes.
pub const ICE_URLS_MAX: usize = 8;
/// At most this many keepers are ruled out by a node that asks for the past.
pub const BUT_MAX: usize = 8;

const PLAIN: u8 = 0;
const SEALED: u8 = 1;

/// What a node does with the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Plays it.
    #[default]
    Viewer,
    /// Only relays it.
    Helper,
    /// Produces it.
    Source,
}

/// How a link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LinkReport {
    /// The node at the other end.
    pub peer: NodeId,
    /// Open, not only being set up.
    pub open: bool,
    /// The stripes in which it feeds this node and has delivered a piece this node did not have.
    pub feeds_me: Stripes,
    /// The stripes in which this node feeds it.
    pub fed_by_me: Stripes,
    /// Smoothed round trip in milliseconds; 0 when unknown.
    pub rtt_ms: u16,
}

/// What a node tells of itself: at once when its links change, and every second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The reign of the assignment in force.
    pub term: Term,
    /// The version of the assignment in force.
    pub version: u64,
    /// May relay at present, and can as far as it knows; both change at any time.
    pub relay: bool,
    /// Its uplink has not been measured yet.
    pub untried: bool,
    /// Whom the assignment in force names as backup, so that a coordinator that follows another one can keep it.
    pub backup: Option<NodeId>,
    /// At most [`LINKS_MAX`].
    #[serde(with = "packed_links")]
    pub links: Vec<LinkReport>,
    /// What it keeps for others beyond what is live, while it has room for one more guest.
    pub kept: Option<Kept>,
    /// Figures for people; never believed for decisions about the reporter itself.
    pub figures: Figures,
}

/// What a node gives out of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The first segment that it keeps of what it has received live.
    pub from: Seq,
    /// What it has fetched besides, as its own viewer has gone back in time: up to, not including, the second one.
    pub fetched: Option<(Seq, Seq)>,
    /// Guests that it has capacity for besides those that it has, or expects.
    pub room: u8,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            term: Term(0),
            version: 0,
            relay: true,
            untried: false,
            backup: None,
            links: Vec::new(),
            kept: None,
            figures: Figures::default(),
        }
    }
}

/// Links on the wire: the peer, and one number that holds all else, from the lowest bit: open, the stripes in which the peer
/// feeds this node, those in which it is fed, the round trip.
mod packed_links {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{LinkReport, NodeId, Stripes};

    const STRIPES: u32 = Stripes::COUNT as u32;
    const FEEDS: u32 = 1;
    const FED: u32 = FEEDS + STRIPES;
    const ROUND_TRIP: u32 = FED + STRIPES;

    pub(super) fn serialize<S: Serializer>(links: &[LinkReport], serializer: S) -> Result<S::Ok, S::Error> {
        let state = |link: &LinkReport| {
            let stripes = u32::from(link.feeds_me.0) << FEEDS | u32::from(link.fed_by_me.0) << FED;
            u32::from(link.open) | stripes | u32::from(link.rtt_ms) << ROUND_TRIP
        };
        serializer.collect_seq(links.iter().map(|link| (link.peer, state(link))))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<LinkReport>, D::Error> {
        let packed = Vec::<Packed>::deserialize(deserializer)?;
        Ok(packed.into_iter().map(|Packed(link)| link).collect())
    }

    struct Packed(LinkReport);

    impl<'de> Deserialize<'de> for Packed {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let (peer, state) = <(NodeId, u32)>::deserialize(deserializer)?;
            let rtt_ms = u16::try_from(state >> ROUND_TRIP).map_err(D::Error::custom)?;
            let stripes = |at: u32| Stripes((state >> at) as u8).and(Stripes::ALL);
            let (feeds_me, fed_by_me) = (stripes(FEEDS), stripes(FED));
            Ok(Self(LinkReport { peer, open: state & 1 != 0, feeds_me, fed_by_me, rtt_ms }))
        }
    }
}

/// Counters of one node since it joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// The next segment neither received nor given up.
    pub next: Seq,
    /// From the source's clock to reception, in milliseconds.
    pub received_lag_ms: u32,
    /// From the source's clock to the screen, in milliseconds; 0 when not playing.
    pub lag_ms: u32,
    /// Payload bytes received, repeats included.
    pub payload_received: u64,
    /// Payload bytes received that were already there.
    pub payload_repeated: u64,
    /// Payload bytes sent.
    pub payload_sent: u64,
    /// Bytes of headers and other frames sent.
    pub overhead_sent: u64,
    /// Segments delivered to the player.
    pub delivered: u64,
    /// Segments given up.
    pub skipped: u64,
    /// Times the picture stood still.
    pub stalls: u32,
    /// Frames dropped because they were false, malformed or not asked for.
    pub offences: u32,
    /// What its uplink carried when that was last found out, in kilobits per second; 0 while it is not known. No more than ten
    /// copies of the stream, as far as the measurement reaches.
    pub uplink_kbps: u32,
}

/// A node introduces itself, again after every reconnection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`crate::WIRE_VERSION`].
    pub wire: u16,
    /// The stream it wants, if it knows the key.
    pub stream: Option<PublicKey>,
    /// Viewer or helper.
    pub role: Role,
    /// Children it can feed; one spare copy comes on top.
    pub capacity: u8,
    /// May relay, and can as far as it knows.
    pub relay: bool,
    /// Its uplink has not been measured yet.
    pub untried: bool,
    /// Who it was before the connection broke.
    pub resume: Option<(NodeId, Session)>,
    /// The age ticket of an earlier welcome, at most [`TICKET_BYTES_MAX`] bytes; empty when there is none.
    pub ticket: Vec<u8>,
}

/// From a node to the coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Up {
    /// First message of every connection.
    Hello(Hello),
    /// How the links stand.
    Report(Report),
    /// A set-up message for another node.
    Signal {
        /// To whom.
        to: NodeId,
        /// Which attempt at a link, chosen by the offering side.
        attempt: u32,
        /// Opaque to the coordinator, at most [`SIGNAL_BYTES_MAX`].
        payload: Vec<u8>,
    },
    /// A link to this node could not be opened.
    LinkFailed(NodeId),
    /// This node has fallen silent.
    Suspect(NodeId),
    /// No parent, backup or standby feeds this node.
    Starving,
    /// Goodbye.
    Leave,
    /// From the source only: frames for a newcomer that no parent feeds yet, as they would go over a link.
    Starter {
        /// To whom.
        to: NodeId,
        /// At most [`FRAME_BYTES_MAX`] together.
        frames: Vec<Vec<u8>>,
    },
    /// Asks for [`Down::Pong`].
    Ping {
        /// Comes back.
        nonce: u32,
    },
    /// Its viewer has gone back in time: asks for a node that keeps this segment and those after it.
    Past {
        /// The first one.
        from: Seq,
        /// Nodes that it has already, or that did not give it what it asked for; at most [`BUT_MAX`].
        but: Vec<NodeId>,
    },
}

/// Why a node is not, or no longer, served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The coordinator speaks another wire version.
    WireVersion,
    /// The coordinator serves another stream.
    UnknownStream,
    /// As many nodes as it can hold.
    Full,
    /// Too many joins from one address.
    TooManyJoins,
    /// The node broke the rules.
    Misbehaved,
    /// The coordinator took the node for dead; it may join again.
    TakenForDead,
    /// No lower rendition for a node that cannot keep up.
    NoLowerRendition,
}

/// Whom a node has become.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Its name.
    pub node: NodeId,
    /// For a reconnection.
    pub session: Session,
    /// Proves to a later coordinator of the same publisher how old the node is; opaque to the node, at most
    /// [`TICKET_BYTES_MAX`] bytes.
    pub ticket: Vec<u8>,
    /// The coordinator's reign.
    pub term: Term,
    /// Lets the node check the stream.
    pub cert: EpochCert,
    /// The quality it gets.
    pub rendition: Rendition,
    /// Media or data.
    pub kind: Kind,
    /// The source's wall clock now, microseconds since 1970.
    pub wall_us: u64,
    /// Such as `stun:192.0.2.1:3478`, at most [`ICE_URLS_MAX`]; `?` in place of the host, as in `stun:?:3478`, stands for
    /// the host of the node's own control endpoint.
    pub ice: Vec<String>,
}

/// From the coordinator to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Down {
    /// Answers a hello.
    Welcome(Box<Welcome>),
    /// Turns a node away; the connection ends.
    Refuse(Reason),
    /// What to do from now on.
    Assign(Assignment),
    /// A set-up message from another node.
    Signal {
        /// From whom.
        from: NodeId,
        /// Which attempt at a link.
        attempt: u32,
        /// Opaque to the coordinator.
        payload: Vec<u8>,
    },
    /// To the source only: send this newcomer the stream, from a join point on, through the coordinator.
    Start {
        /// The newcomer.
        node: NodeId,
        /// Milliseconds to stay behind the live edge, so that the stream goes on at its place in the tree without a gap.
        behind_ms: u32,
    },
    /// To the source only: no more of that.
    EndStart(NodeId),
    /// Frames of the stream, as they would come over a link, until a parent feeds.
    Starter(Vec<Vec<u8>>),
    /// Answers a ping.
    Pong {
        /// The ping's.
        nonce: u32,
        /// The source's wall clock, microseconds since 1970.
        wall_us: u64,
    },
    /// Somebody suspects this node: it answers at once with a report.
    Probe,
    /// Answers [`Up::Past`]: a node that keeps what was asked for and has room for one more guest, if there is any. The node links
    /// with it.
    Keeper(Option<NodeId>),
    /// This node has gone back in time and will ask for what is kept here: the keeper links with it.
    Guest(NodeId),
    /// All that is withheld from now on; replaces what was said before.
    Withheld(Withheld),
}

fn open(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    match bytes.split_first() {
        _ if bytes.len() > CONTROL_BYTES_MAX => Err(DecodeError::TooLarge),
        Some((&PLAIN, rest)) => Ok(rest),
        Some((&SEALED, _)) => Err(DecodeError::Sealed),
        _ => Err(DecodeError::Malformed),
    }
}

fn within(ok: bool) -> Result<(), DecodeError> {
    if ok { Ok(()) } else { Err(DecodeError::TooLarge) }
}

impl Up {
    /// Writes the message in a plain envelope.
    pub fn encode(&self) -> Vec<u8> {
        crate::to_postcard(PLAIN, self)
    }

    /// Reads a message and checks its bounds.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let message = crate::from_postcard(open(bytes)?)?;
        within(bytes.len() <= UP_BYTES_MAX || matches!(message, Self::Starter { .. }))?;
        match &message {
            Self::Hello(hello) => within(hello.ticket.len() <= TICKET_BYTES_MAX)?,
            Self::Report(report) => within(report.links.len() <= LINKS_MAX)?,
            Self::Signal { payload, .. } => within(payload.len() <= SIGNAL_BYTES_MAX)?,
            Self::Past { but, .. } => within(but.len() <= BUT_MAX)?,
            _ => {}
        }
        Ok(message)
    }
}

impl Down {
    /// Writes the message in a plain envelope.
    pub fn encode(&self) -> Vec<u8> {
        crate::to_postcard(PLAIN, self)
    }

    /// Reads a message and checks its bounds.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let message = crate::from_postcard(open(bytes)?)?;
        match &message {
            Self::Assign(assignment) => within(assignment.edges().count() <= LINKS_MAX)?,
            Self::Signal { payload, .. } => within(payload.len() <= SIGNAL_BYTES_MAX)?,
            Self::Welcome(welcome) => {
                within(welcome.ticket.len() <= TICKET_BYTES_MAX)?;
                within(welcome.ice.len() <= ICE_URLS_MAX && welcome.ice.iter().all(|url| url.len() <= 255))?;
            }
            Self::Withheld(withheld) => withheld.check()?,
            _ => {}
        }
        Ok(message)
    }
}

/// The variant of [`Down::Assign`].
const ASSIGN: u8 = 2;

impl PackedEdges {
    /// The encoded [`Down::Assign`] of these edges.
    pub fn message(&self, term: Term, version: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes().len() + 22);
        bytes.extend_from_slice(&[PLAIN, ASSIGN]);
        put(&mut bytes, term.0);
        put(&mut bytes, version);
        bytes.extend_from_slice(self.bytes());
        bytes
    }
}

/// The body of the control-message fuzz target.
#[doc(hidden)]
pub fn fuzz_decode(data: &[u8]) {
    if let Ok(up) = Up::decode(data) {
        assert_eq!(Up::decode(&up.encode()).as_ref(), Ok(&up), "an accepted message survives a round trip");
    }
    if let Ok(down) = Down::decode(data) {
        assert_eq!(Down::decode(&down.encode()).as_ref(), Ok(&down), "an accepted message survives a round trip");
    }
}
