//! What the coordinator shows people: for the dashboard, the API and the metrics.

use peerstream_protocol::control::{Figures, LinkReport, Role};
use peerstream_protocol::id::{NodeId, Term};
use peerstream_protocol::time::Micros;
use serde::{Deserialize, Serialize};

use crate::performance::Fault;

/// The whole of what a coordinator shows at one moment. Making one costs time in proportion to the members.
#[derive(Clone, Debug, Serialize)]
pub struct Overview {
    /// The reign.
    pub term: Term,
    /// The coordinator's time.
    pub now: Micros,
    /// Whether it still listens for what an earlier coordinator has left.
    pub adopting: bool,
    /// The strategy's name.
    pub strategy: String,
    /// Members without the source.
    pub members: usize,
    /// Open control connections, greeted or not.
    pub connections: usize,
    /// Nodes whose new parent could not be issued yet.
    pub waiting: usize,
    /// Nodes that have a place but nobody as backup.
    pub without_backup: usize,
    /// Nodes that the strategy has given no parent.
    pub without_parent: usize,
    /// Nodes that do not get the stream as they should.
    pub struggling: usize,
    /// Whether that is more than half of all.
    pub overloaded: bool,
    /// The most hops from the source in the target overlay.
    pub depth_max: u32,
    /// All members with the source, by id.
    pub nodes: Vec<NodeOverview>,
    /// What has happened since the start.
    pub counters: Counters,
}

/// One node as the coordinator sees it.
#[derive(Clone, Debug, Serialize)]
pub struct NodeOverview {
    /// Its name.
    pub id: NodeId,
    /// Viewer, helper or source.
    pub role: Role,
    /// Where the strategy has it, in the strategy's words, such as `A5`.
    pub place: Option<String>,
    /// Hops from the source in the target overlay; 1 for a root.
    pub level: Option<u32>,
    /// Who shall feed it; the first stripe, if its stripes come from several.
    pub parent: Option<NodeId>,
    /// All who shall feed it, in the order of their stripes.
    pub parents: Vec<NodeId>,
    /// Who it was told to take as its parents, if that differs for the moment.
    pub issued_parents: Vec<NodeId>,
    /// Whether it has said that these feed it.
    pub confirmed: bool,
    /// Whom it shall feed.
    pub children: Vec<NodeId>,
    /// Who feeds it when its parent fails.
    pub backup: Option<NodeId>,
    /// To whom it keeps open, unused links.
    pub standby: Vec<NodeId>,
    /// Children it can feed.
    pub capacity: u8,
    /// Whether it may feed others.
    pub relay: bool,
    /// Microseconds since it joined.
    pub age: Micros,
    /// Whether its control connection is open.
    pub connected: bool,
    /// Microseconds since its last control message.
    pub silent: Micros,
    /// Whether a neighbour says that it has fallen silent.
    pub suspected: bool,
    /// Whether it does not get the stream as it should.
    pub struggling: bool,
    /// Why it is said to underperform.
    pub fault: Option<Fault>,
    /// Version of its latest assignment.
    pub version: u64,
    /// Latest version it has reported.
    pub version_reported: u64,
    /// Releases that had to be enforced because it never said that its new parent feeds it.
    pub releases_enforced: u32,
    /// Its links, as it last reported them.
    pub links: Vec<LinkReport>,
    /// Its figures, as it last reported them.
    pub figures: Figures,
}

/// What has happened since the coordinator's start. Every bound has a counter of what it dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Nodes that joined.
    pub joined: u64,
    /// Nodes that came back with their session after their connection broke.
    pub resumed: u64,
    /// Nodes of an earlier coordinator that kept their names.
    pub adopted: u64,
    /// Places held for nodes of an earlier coordinator that others have links to.
    pub places_held: u64,
    /// Nodes that said goodbye.
    pub left: u64,
    /// Nodes taken for dead on the word of their neighbours.
    pub died_suspected: u64,
    /// Nodes taken for dead because their connection ended and nobody has a link to them.
    pub died_disconnected: u64,
    /// Nodes taken for dead because they said nothing and nobody has a link to them.
    pub died_silent: u64,
    /// Moments at which most connections had vanished at once and nobody was taken for dead for that.
    pub mass_losses: u64,
    /// Suspicions reported by neighbours.
    pub suspicions: u64,
    /// Times a suspect was asked for a sign of life.
    pub probes: u64,
    /// Times a node was found to underperform, and the strategy was told.
    pub underperforming: u64,
    /// Nodes turned away because too many could not keep up.
    pub shed: u64,
    /// Suspicions, failed links and the like about nodes that are no neighbours.
    pub reports_unfounded: u64,
    /// Links that could not be opened.
    pub links_failed: u64,
    /// Times a node said that nobody feeds it.
    pub starving: u64,
    /// Moves: a node was told to take another parent than its first.
    pub moves: u64,
    /// Nodes that the strategy has moved to another place; those that keep a parent who moves are not among them.
    pub nodes_moved: u64,
    /// Those of them that it moved although nothing asked for it.
    pub nodes_moved_to_optimise: u64,
    /// Groups of plans that were committed.
    pub groups_committed: u64,
    /// Groups of plans that were rejected.
    pub groups_rejected: u64,
    /// Fresh starts of the strategy after its plans were rejected again and again.
    pub strategy_restarts: u64,
    /// Strategies that failed and were replaced.
    pub strategies_replaced: u64,
    /// Assignments sent for the first time.
    pub assignments: u64,
    /// Assignments sent again.
    pub assignments_repeated: u64,
    /// Links left out of an assignment because it had too many.
    pub assignment_links_dropped: u64,
    /// Releases enforced because a child never said that its new parent feeds it.
    pub releases_enforced: u64,
    /// Nodes carried by their backup because their new parent could not be issued.
    pub carried: u64,
    /// Times a viewer that has gone back in time asked for nodes that keep what it wants to see.
    pub past_asked: u64,
    /// Those that asked too often, or when too many did.
    pub past_refused: u64,
    /// Nodes named to them.
    pub keepers_named: u64,
    /// Signals passed on.
    pub signals: u64,
    /// Signals to a node that is not a neighbour.
    pub signals_unfounded: u64,
    /// Signals to a node whose connection is not open.
    pub signals_undeliverable: u64,
    /// Signals beyond a node's rate.
    pub signals_dropped: u64,
    /// Connections closed because there were too many.
    pub connections_refused: u64,
    /// Connections closed because no hello came in time.
    pub hello_timeouts: u64,
    /// Joins refused because the coordinator was full.
    pub joins_refused_full: u64,
    /// Joins refused because too many came from one address.
    pub joins_refused_address: u64,
    /// Joins refused for another wire version or stream, or a false claim to be the source.
    pub joins_refused_other: u64,
    /// Newcomers that were sent the stream over the control connection until a parent fed them.
    pub starters: u64,
    /// Newcomers for whom there was no budget for that.
    pub starters_refused: u64,
    /// Bytes of that.
    pub starter_bytes: u64,
    /// Joins that used the allowance shared by addresses beyond what is remembered.
    pub addresses_shared: u64,
    /// Hellos that offered more children than is allowed.
    pub capacity_clamped: u64,
    /// Control messages from nodes.
    pub messages_in: u64,
    /// Bytes of control messages from nodes.
    pub bytes_in: u64,
    /// Control messages to nodes.
    pub messages_out: u64,
    /// Bytes of control messages to nodes; `starter_bytes` of them are media.
    pub bytes_out: u64,
    /// Messages beyond a connection's rate.
    pub messages_dropped: u64,
    /// Messages that could not be read.
    pub malformed: u64,
    /// Messages that make no sense at that moment, such as a report before the hello.
    pub unexpected: u64,
    /// Connections closed for breaking the rules.
    pub misbehaved: u64,
}
