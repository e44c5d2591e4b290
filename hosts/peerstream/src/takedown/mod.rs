//! Notices about what is broadcast: the API for claimants, the streamer and the operator. See `docs/takedown.md`.

mod answer;
mod bodies;
mod claimant;
mod command;
mod operator;
mod options;
mod puzzle;
mod refusals;
mod setup;
mod story;
mod streamer;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post, put};
use peerstream::key::Publisher;

use crate::admission::network_name;
use crate::allowance::Allowance;
use crate::dashboard::{Login, private, visitor};
use crate::server::Shared;

use answer::Problem;
use bodies::Bodies;
pub use command::{TakedownCommand, run};
pub use options::Takedown as Options;
pub use refusals::Refusals;
#[cfg(test)]
use setup::casebook;
pub use setup::setup;

/// Drafts from one address at once, and per second after that.
const DRAFTS: (u32, f64) = (5, 1.0 / 60.0);
/// Drafts from one wider network: a /24 of IPv4, a /48 of IPv6.
const DRAFTS_PER_NETWORK: (u32, f64) = (30, 1.0 / 10.0);
/// Notices with one mail address.
const NOTICES_PER_MAIL: (u32, f64) = (10, 1.0 / 300.0);
/// Notices with mail addresses of one domain: large ones have many people.
const NOTICES_PER_DOMAIN: (u32, f64) = (60, 1.0 / 20.0);
/// Questions about cases, confirmations and the like from one address.
const QUESTIONS: (u32, f64) = (60, 1.0);
/// A notice is no larger, in bytes of its JSON.
pub const NOTICE_BYTES_MAX: usize = 128 * 1024;

/// Requests of strangers whose bodies are held at once, altogether and of one address: not more than 64 MiB.
const NOTICES_AT_ONCE: (usize, usize) = (512, 16);
/// The body of a notice comes within this time.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pieces of uploads that are held at once, altogether and of one address: not more than 64 MiB.
const PIECES_AT_ONCE: (usize, usize) = (64, 4);
/// A piece of an upload comes within this time.
const PIECE_TIMEOUT: Duration = Duration::from_secs(25);

/// What the API of notices shares.
#[derive(Debug)]
pub struct Intake {
    /// As the config has it.
    pub options: Options,
    /// Who may sit at the desk.
    pub login: Login,
    puzzles: puzzle::Puzzles,
    drafts: Allowance,
    drafts_per_network: Allowance,
    per_mail: Allowance,
    per_domain: Allowance,
    questions: Allowance,
    notices: Bodies,
    pieces: Bodies,
}

impl Intake {
    /// With the publisher's secrets: tokens and cookies of before a restart are known.
    pub fn new(options: Options, publisher: &Publisher) -> Self {
        let allowance = |(burst, per_second)| Allowance::new(burst, per_second);
        let bodies = |(max, per_network_max), patience| Bodies::new(max, per_network_max, patience);
        Self {
            login: Login::new(
                &publisher.desk_secret(),
                &format!("desk_{}", &publisher.public().to_string()[..8]),
                &options.password,
                options.links,
            ),
            puzzles: puzzle::Puzzles::new(options.puzzle_bits),
            drafts: allowance(DRAFTS),
            drafts_per_network: allowance(DRAFTS_PER_NETWORK),
            per_mail: allowance(NOTICES_PER_MAIL),
            per_domain: allowance(NOTICES_PER_DOMAIN),
            questions: allowance(QUESTIONS),
            notices: bodies(NOTICES_AT_ONCE, NOTICE_TIMEOUT),
            pieces: bodies(PIECES_AT_ONCE, PIECE_TIMEOUT),
            options,
        }
    }
}

/// The routes. Pages of others may read none of the answers.
pub fn routes(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let claimants = Router::new()
        .route("/api/v1/takedown", get(claimant::info))
        .route("/api/v1/takedown/challenge", post(claimant::challenge))
        .route("/api/v1/takedown/drafts", post(claimant::begin))
        .route("/api/v1/takedown/drafts/{draft}", get(claimant::draft).put(claimant::rewrite))
        .route("/api/v1/takedown/drafts/{draft}/submit", post(claimant::submit))
        .route("/api/v1/takedown/confirm", post(claimant::confirm))
        .route("/api/v1/takedown/status", post(claimant::status))
        .route("/api/v1/takedown/cases/{case}", get(claimant::case).put(claimant::complete))
        .route("/api/v1/takedown/cases/{case}/withdraw", post(claimant::withdraw))
        .route("/api/v1/takedown/cases/{case}/suit", post(claimant::suit))
        .route("/api/v1/takedown/drafts/{draft}/{part}", delete(claimant::discard))
        .layer(DefaultBodyLimit::max(NOTICE_BYTES_MAX))
        .layer(from_fn_with_state(shared.clone(), take_in))
        // It knows its claimant before it takes anything in.
        .route("/api/v1/takedown/drafts/{draft}/{part}", put(claimant::upload));
    let streamers = Router::new()
        .route("/api/v1/dashboard/takedowns", get(streamer::list))
        .route("/api/v1/dashboard/takedowns/{case}/counter", post(streamer::counter))
        .layer(DefaultBodyLimit::max(NOTICE_BYTES_MAX))
        .route_layer(from_fn_with_state(shared.clone(), visitor::command));
    let all = claimants.merge(streamers).merge(operator::routes(shared));
    all.layer(from_fn_with_state(shared.clone(), counted)).layer(from_fn(private))
}

/// Counts what is refused, by its reason.
async fn counted(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let asked = shared.counters.takedown().asked();
    let response = next.run(request).await;
    asked.answered(&response);
    response
}

/// Takes in the whole body of somebody whom nobody knows, before anything else is done for them.
async fn take_in(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    match shared.takedown.notices.take(&network_name(address.ip()), body, NOTICE_BYTES_MAX).await {
        Ok(taken) => next.run(Request::from_parts(head, Body::from(taken.bytes.clone()))).await,
        Err(untaken) => Problem::from(untaken).into_response(),
    }
}

#[cfg(test)]
mod tests;
