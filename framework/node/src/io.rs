//! The node's border: what a driver tells it and what it asks of its driver.

use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::control::{Reason, Role};
use peerstream_protocol::crypto::{Hash, PublicKey, SecretKey};
use peerstream_protocol::frame::Lane;
use peerstream_protocol::id::{NodeId, Seq};
use peerstream_protocol::segment::{Init, Kind, PieceSize};
use peerstream_protocol::time::Micros;

/// One attempt at a link, named by the node; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u32);

/// Which side of a link's set-up a node takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Sends the first description.
    Offer,
    /// Answers the description of the other side.
    Answer,
}

/// What a node is from its start.
#[derive(Debug)]
pub struct Config {
    /// The publisher's key when it is known beforehand; otherwise the coordinator's word is taken once.
    pub stream: Option<PublicKey>,
    /// Viewer, helper or source.
    pub role: Role,
    /// Children it can feed; two for a page.
    pub capacity: u8,
    /// May relay at all.
    pub relay: bool,
    /// The one source of chance.
    pub seed: [u8; 32],
    /// How many coordinators' addresses the driver knows; tried in order.
    pub endpoints: usize,
    /// The source's key and clock; present exactly when `role` is [`Role::Source`].
    pub source: Option<Source>,
}

/// What only the source has.
#[derive(Debug)]
pub struct Source {
    /// Signs the segments of this epoch.
    pub key: SecretKey,
    /// The publisher's word for that key.
    pub cert: EpochCert,
    /// Media or data.
    pub kind: Kind,
    /// Microseconds since 1970 at the node's time zero.
    pub wall_at_zero_us: u64,
    /// The size of all pieces; the smallest that keeps a mean segment within 16 pieces when absent.
    pub piece_size: Option<PieceSize>,
    /// Where the epoch goes on whose earlier source was cut short; none when it begins.
    pub resume: Option<Resume>,
}

/// Where a source goes on in an epoch that it has not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The first number that was not signed; not 0.
    pub next: Seq,
    /// The hash of the header before it. Zero when it is not known: then the number before `next` was not signed either, so that
    /// no neighbour contradicts it.
    pub prev: Hash,
}

/// What the source produces, in order.
#[derive(Clone, Debug)]
pub enum Produced<'a> {
    /// The codec header for the following units.
    Init(Init),
    /// One segment's payload.
    Unit {
        /// At most [`peerstream_protocol::segment::PAYLOAD_BYTES_MAX`] bytes.
        payload: &'a [u8],
        /// Microseconds on the payload's own timeline.
        pts_us: u64,
        /// Microseconds.
        duration_us: u32,
        /// A viewer can start here.
        join_point: bool,
        /// The timeline or codec breaks before this unit.
        discontinuity: bool,
    },
    /// The input has ended.
    End,
}

/// How the media element stands; sent at least five times a second while it plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayerState {
    /// Play head, microseconds on the payload's timeline.
    pub position_us: u64,
    /// Where the buffered range around (or just before) the play head begins.
    pub range_start_us: u64,
    /// Where that range ends.
    pub range_end_us: u64,
    /// Where the next range begins and ends, when there is a later one.
    pub next_range_us: Option<(u64, u64)>,
    /// Where the last range ends.
    pub latest_us: u64,
    /// How much is buffered ahead of the play head; holes are not counted.
    pub ahead_us: u64,
    /// The user has paused it.
    pub paused: bool,
    /// Data for the position is there and the element is not seeking.
    pub ready: bool,
}

/// How the viewer, or whoever embeds the player, wants it to play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Playout {
    /// Accept a stall when a node dies, for less lag: down to 150 ms instead of 400 ms are kept in store.
    pub daring: bool,
    /// Bridge over lost segments, so that playing goes on without waiting for a join point; see [`crate::Node::playable`].
    pub bridges: bool,
    /// The host sends the stream over HTTP when the overlay does not; see [`Output::Fetch`].
    pub fallback: bool,
    /// No link can be made here at all.
    pub linkless: bool,
}

/// What a node does about the past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keeping {
    /// Bytes of segments kept beyond what is live, for those who go back in time; 0 for none.
    pub bytes_max: usize,
    /// How far back viewers may go; nothing older is kept. 0: not at all.
    pub span: Micros,
    /// The host gives out what nobody keeps; see [`Output::FetchPast`].
    pub host: bool,
}

/// A past or imperative fact told by the driver.
#[derive(Debug)]
pub enum Input<'a> {
    /// The control connection asked for is open.
    ControlUp,
    /// It ended or could not be opened.
    ControlDown,
    /// A message from the coordinator.
    Control(&'a [u8]),
    /// Both lanes of a link are open and take `credit` bytes.
    LinkUp(LinkId, u32),
    /// An open link ended.
    LinkDown(LinkId),
    /// A link never opened.
    LinkFailed(LinkId),
    /// The transport has a set-up message for the other side of a link.
    LinkSignal(LinkId, &'a [u8]),
    /// A frame arrived.
    Frame(LinkId, Lane, &'a [u8]),
    /// A link takes this many bytes now (absolute).
    Writable(LinkId, u32),
    /// The source's input; ignored by any other role.
    Produced(Produced<'a>),
    /// How the media element stands.
    Player(PlayerState),
    /// How it is to be played from now on.
    Playout(Playout),
    /// The user wants to be at the live edge at once.
    ReturnToEdge,
    /// The host sent a frame in answer to [`Output::Fetch`].
    Fetched(&'a [u8]),
    /// The host sends no more, or did not begin.
    FetchEnded,
    /// What it does about the past from now on.
    Keeping(Keeping),
    /// Play from so far behind the newest segment, until the user wants to be at the live edge; see [`Output::Turn`].
    GoBack(Micros),
    /// The host sent a frame in answer to [`Output::FetchPast`].
    PastFetched(&'a [u8]),
    /// It has sent all that it has of what was asked for, which may be nothing; false: its answer broke off, or there was none.
    PastFetchEnded(bool),
    /// The machine slept, or its network has changed: connections may be dead although nothing was heard of it.
    Woke,
    /// The user's word on relaying.
    Relay(bool),
    /// The node is leaving; its goodbye comes out at once.
    Leave,
    /// The timer fired, or time just passed.
    Tick,
}

/// What goes into a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The piece frame that [`crate::Node::piece_frame`] lends.
    Piece {
        /// The segment.
        seq: Seq,
        /// Which piece.
        index: u8,
    },
    /// These bytes.
    Bytes(Vec<u8>),
}

/// An order to the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Open a control connection to this endpoint (an index below `Config::endpoints`); end the present one first.
    OpenControl(usize),
    /// End the control connection; no `ControlDown` is expected.
    CloseControl,
    /// Send to the coordinator.
    Control(Vec<u8>),
    /// Start a link with the transport, using the ICE servers of [`crate::Node::ice`].
    Open(LinkId, NodeId, Side),
    /// A set-up message of the other side for a link's transport.
    Signal(LinkId, Vec<u8>),
    /// Close a link; nothing more is expected of it.
    Close(LinkId),
    /// Send a frame; the node has taken it off the link's credit.
    Send(LinkId, Lane, Payload),
    /// A new epoch begins: forget what was played. What it carries is told.
    Begin(Kind),
    /// From the next delivery on [`crate::Node::init`] is needed.
    Init,
    /// Hand this segment to the player or the output, in order; its bytes come from [`crate::Node::payload`].
    Deliver(Seq),
    /// These segments are given up: `from` up to, not including, `to`.
    Skip(Seq, Seq),
    /// Play at this rate, in thousandths.
    Rate(u16),
    /// Have the host send the stream over HTTP, from this segment on, or from its newest join point. Comes only if
    /// [`Playout::fallback`] was told.
    Fetch(Option<Seq>),
    /// It need not send any more.
    EndFetch,
    /// What is delivered next does not go on where the last delivery ended: forget what is buffered. The next delivery has its
    /// init.
    Turn,
    /// Have the host send these segments over HTTP: from the first one on so many. At most one such order is open.
    FetchPast(Seq, u32),
    /// It need not send them.
    EndFetchPast,
    /// Set the play head, microseconds on the payload's timeline.
    Seek(u64),
    /// The epoch has ended.
    Ended,
    /// The coordinator turned the node away.
    Refused(Reason),
    /// The publisher's key offered is not the expected one; nothing was accepted.
    WrongPublisher(PublicKey),
    /// Call with `Tick` at this time; replaces the earlier order.
    SetTimer(Micros),
}
