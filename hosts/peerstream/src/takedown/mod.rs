//! Notices about what is broadcast: the API for claimants, the streamer and the operator. See `docs/takedown.md`.

mod answer;
mod claimant;
mod command;
mod operator;
mod options;
mod puzzle;
mod setup;
mod story;
mod streamer;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post, put};
use peerstream::key::Publisher;
use peerstream::takedown::CHUNK_BYTES_MAX;

use crate::allowance::Allowance;
use crate::dashboard::{Login, private, visitor};
use crate::server::Shared;

pub use command::{TakedownCommand, run};
pub use options::Takedown as Options;
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
}

impl Intake {
    /// With the publisher's secrets: tokens and cookies of before a restart are known.
    pub fn new(options: Options, publisher: &Publisher) -> Self {
        let allowance = |(burst, per_second)| Allowance::new(burst, per_second);
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
        .route(
            "/api/v1/takedown/drafts/{draft}/{part}",
            put(claimant::upload).layer(DefaultBodyLimit::max(CHUNK_BYTES_MAX)),
        );
    let streamers = Router::new()
        .route("/api/v1/dashboard/takedowns", get(streamer::list))
        .route("/api/v1/dashboard/takedowns/{case}/counter", post(streamer::counter))
        .layer(DefaultBodyLimit::max(NOTICE_BYTES_MAX))
        .route_layer(from_fn_with_state(shared.clone(), visitor::command));
    claimants.merge(streamers).merge(operator::routes(shared)).layer(from_fn(private))
}

#[cfg(test)]
mod tests;
