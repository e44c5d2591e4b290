//! The dashboard: who may see it, and what it shows.

pub mod answers;
mod board;
mod command;
mod feed;
pub mod login;
mod moments;
mod outlook;
mod rows;
mod tally;
mod uplinks;
pub mod visitor;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Router, extract::Request, middleware::Next};
use peerstream::protocol::crypto::PublicKey;
use peerstream::traits::ingest::Instruction;
use tokio::sync::{Semaphore, mpsc};

use crate::api;
use crate::config::{Dashboard as Options, Limits, Source};
use crate::server::Shared;

pub use board::Board;
pub use command::{Command, Wish};
pub use login::Login;

/// What is shown as a password or token comes in a body of this size at most, in bytes.
const BODY_BYTES_MAX: usize = 1024;

/// The dashboard of one broadcast.
#[derive(Debug)]
pub struct Dashboard {
    /// As the config has it.
    pub options: Options,
    /// Who may see it.
    pub login: Login,
    /// What it shows.
    pub board: Board,
    /// Places for those who watch.
    places: Arc<Semaphore>,
    /// Nodes that the host takes.
    nodes_max: usize,
    budget_mbps: u32,
    /// What streamers' programs are told to go on air.
    instructions: Vec<Instruction>,
    /// Where the streamer's wishes go.
    wishes: mpsc::Sender<Wish>,
    /// Whether the streamer has ended the broadcast, so that the host waits for a restart.
    pub closed: AtomicBool,
}

impl Dashboard {
    /// With what streamers are to type into their programs; shown to the streamer alone.
    pub fn with_instructions(self, instructions: Vec<Instruction>) -> Self {
        Self { instructions, ..self }
    }

    /// With a secret of the publisher, see [`Login::new`].
    pub fn new(
        options: Options,
        secret: &[u8; 32],
        stream: PublicKey,
        source: &Source,
        limits: &Limits,
        wishes: mpsc::Sender<Wish>,
    ) -> Self {
        Self {
            login: Login::new(secret, &stream.to_string()[..8], &options.password, options.links),
            options,
            board: Board::new(),
            places: Arc::new(Semaphore::new(feed::WATCHERS_MAX)),
            nodes_max: limits.nodes,
            budget_mbps: source.budget_mbps,
            instructions: Vec::new(),
            wishes,
            closed: AtomicBool::new(false),
        }
    }
}

/// Its routes; those for the streamer alone are behind a login, and none may be read by pages of others.
pub fn routes(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let behind = Router::new()
        .route("/api/v1/dashboard/session", get(answers::session))
        .route("/api/v1/dashboard/feed", get(feed::feed))
        .route("/api/v1/dashboard/nodes/{name}", get(api::node))
        .route_layer(from_fn_with_state(shared.clone(), visitor::enter));
    let before = Router::new()
        .route("/api/v1/dashboard/login", post(answers::login))
        .route("/api/v1/dashboard/logout", post(answers::logout))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    let commands = Router::new()
        .route("/api/v1/dashboard/end", post(command::end))
        .route("/api/v1/dashboard/restart", post(command::restart))
        .route_layer(from_fn_with_state(shared.clone(), visitor::command));
    behind.merge(before).merge(commands).layer(from_fn(private))
}

/// Marks an answer as one that pages of others may not read.
pub async fn private(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.extensions_mut().insert(Private);
    response
}

/// An answer for the dashboard's own page alone.
#[derive(Clone, Copy, Debug)]
pub struct Private;

#[cfg(test)]
mod tests {
    use peerstream::coordinator::{Counters, NodeOverview, Overview};
    use peerstream::protocol::control::{Figures, Role};
    use peerstream::protocol::id::{NodeId, Term};
    use peerstream::protocol::time::Micros;

    /// A node that is fine; 0 is the source.
    pub fn node(id: u64, parent: Option<u64>) -> NodeOverview {
        let name = |id: u64| if id == 0 { NodeId::SOURCE } else { NodeId::from_halves(id as u32, 1) };
        NodeOverview {
            id: name(id),
            role: if id == 0 { Role::Source } else { Role::Viewer },
            place: None,
            level: Some(id.checked_ilog2().map_or(0, |level| level + 1)),
            parent: parent.map(name),
            parents: parent.map(name).into_iter().collect(),
            issued_parents: vec![],
            confirmed: true,
            children: vec![],
            backup: None,
            standby: vec![],
            capacity: 2,
            relay: true,
            age: Micros::from_secs(10),
            connected: true,
            silent: Micros(0),
            suspected: false,
            struggling: false,
            fault: None,
            version: 1,
            version_reported: 1,
            releases_enforced: 0,
            links: vec![],
            figures: Figures::default(),
        }
    }

    /// An overview of these nodes.
    pub fn overview(nodes: Vec<NodeOverview>) -> Overview {
        Overview {
            term: Term(1),
            now: Micros::from_secs(100),
            adopting: false,
            strategy: "dumbbell".into(),
            members: nodes.iter().filter(|node| node.role != Role::Source).count(),
            connections: 0,
            waiting: 0,
            without_backup: 0,
            without_parent: 0,
            struggling: 0,
            overloaded: false,
            depth_max: 1,
            nodes,
            counters: Counters::default(),
        }
    }
}
