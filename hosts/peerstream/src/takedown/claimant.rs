//! What claimants ask for.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use peerstream::clock::wall;
use peerstream::takedown::{CHUNK_BYTES_MAX, Confirmation, Desk, Draft, Part, Submitted};
use peerstream::traits::archive::Seq;
use peerstream::traits::compliance::{Actor, Notice, Profile};
use peerstream::traits::takedown::calendar::Date;
use peerstream::traits::takedown::notice::RANGE_MS_MAX;
use peerstream::traits::takedown::statement::{Of, statements};
use peerstream::traits::takedown::{Docket, Receipt};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Problem, bearer, counter_of, read, seen};
use super::puzzle::Bad;
use crate::admission::{mapped, network_name};
use crate::server::Shared;

type Answer = Result<Response, Problem>;

/// What begins a draft.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Beginning {
    proof: String,
    notice: Notice,
}

/// Where an upload goes on.
#[derive(Deserialize)]
pub struct Offset {
    offset: u64,
}

/// What the mail's link has in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirming {
    token: String,
}

/// A receipt that somebody shows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Showing {
    receipt: Receipt,
}

/// The desk, if there is one.
pub fn desk(shared: &Shared) -> Result<Desk, Problem> {
    shared.broadcast.plugins().and_then(|plugins| plugins.desk().cloned()).ok_or_else(Problem::off)
}

/// Whether one more question of this address is heard.
fn may_ask(shared: &Shared, address: SocketAddr) -> Result<(), Problem> {
    let network = network_name(address.ip());
    if shared.takedown.questions.take(&network, Instant::now()) {
        Ok(())
    } else {
        Err(Problem::too_many("your network"))
    }
}

/// Answers somebody who shows a token. Tokens that are nobody's count as questions, so that they cannot be guessed and cost little.
async fn known_by<T>(
    shared: &Shared,
    address: SocketAddr,
    answer: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    may_ask(shared, address)?;
    let answer = answer.await?;
    shared.takedown.questions.give_back(&network_name(address.ip()));
    Ok(answer)
}

/// A provider's network, wider than a household: a /24 of IPv4, a /48 of IPv6.
fn wide_network(address: IpAddr) -> String {
    let mapped = mapped(address);
    let bits = if mapped.to_ipv4_mapped().is_some() { 8 } else { 80 };
    Ipv6Addr::from_bits(mapped.to_bits() >> bits << bits).to_string()
}

/// `GET /api/v1/takedown`
pub async fn info(State(shared): State<Arc<Shared>>) -> Answer {
    let desk = desk(&shared)?;
    let (broadcast, rules, options) = (&shared.broadcast, desk.rules(), &shared.takedown.options);
    let now_us = wall().as_micros() as u64;
    let today = Date::of_us(now_us);
    let shown = |of: Of| -> Vec<Value> {
        let all = statements(of).map(|it| {
            let agreed = it.agreed(today);
            json!({ "id": it.id, "version": it.version, "locale": it.locale, "text": it.text(today), "sha256": agreed.sha256,
                "required": it.required })
        });
        all.collect()
    };
    let profiles = desk.profiles();
    let mut texts: serde_json::Map<_, _> =
        profiles.iter().map(|profile| (profile.word().to_owned(), shown(Of::Notice(*profile)).into())).collect();
    texts.insert("counter".into(), shown(Of::CounterNotice).into());
    Ok(Json(json!({
        "stream": broadcast.publisher().to_string(),
        "epoch": broadcast.epoch().0,
        "title": shared.title,
        "now_us": now_us,
        "started_us": started_us(&shared).await,
        "profiles": profiles,
        "confirmation": match rules.confirmation {
            Confirmation::Mail => "mail",
            Confirmation::Operator => "operator",
            Confirmation::None => "none",
        },
        "today": today.to_string(),
        "statements": texts,
        "agent": (!options.agent.name.is_empty()).then_some(&options.agent),
        "copy_bytes_max": rules.copy_bytes_max,
        "bundle_bytes_max": rules.bundle_bytes_max,
        "chunk_bytes_max": CHUNK_BYTES_MAX,
        "range_ms_max": RANGE_MS_MAX,
        "archive": !broadcast.shelf().is_empty(),
        "operator": desk.operator().to_string(),
    }))
    .into_response())
}

/// When the broadcast has begun: what milliseconds in a notice count from.
async fn started_us(shared: &Shared) -> u64 {
    let shelf = shared.broadcast.shelf();
    let first = match shelf.current() {
        Some(recording) => shelf.index(&recording, Seq(0), 1).await.ok().and_then(|lines| lines.first().copied()),
        None => None,
    };
    // An epoch's number is when it began, in milliseconds.
    first.map_or(shared.broadcast.epoch().0.saturating_mul(1000), |line| {
        line.wall_us.saturating_sub(line.duration_us.into())
    })
}

/// `POST /api/v1/takedown/challenge`
pub async fn challenge(State(shared): State<Arc<Shared>>, ConnectInfo(address): ConnectInfo<SocketAddr>) -> Answer {
    desk(&shared)?;
    may_ask(&shared, address)?;
    let (puzzle, bits) = shared.takedown.puzzles.puzzle(&network_name(address.ip())).await.ok_or_else(Problem::busy)?;
    Ok(Json(json!({ "puzzle": puzzle, "bits": bits })).into_response())
}

/// `POST /api/v1/takedown/drafts`
pub async fn begin(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    body: Bytes,
) -> Answer {
    let desk = desk(&shared)?;
    let Beginning { proof, notice } = read(&body)?;
    known(&desk, notice.profile)?;
    let (network, now) = (network_name(address.ip()), Instant::now());
    shared.takedown.puzzles.take(&network, &proof).await.map_err(|bad| match bad {
        Bad::Proof => {
            Problem::new(StatusCode::FORBIDDEN, "proof", "the puzzle is not solved, or was used; ask for another one")
        }
        Bad::Busy => Problem::busy(),
    })?;
    // First the wider one, so that nobody fills the memory of addresses with those of one network.
    let wide = wide_network(address.ip());
    if !shared.takedown.drafts_per_network.take(&wide, now) {
        return Err(Problem::too_many("your network"));
    }
    if !shared.takedown.drafts.take(&network, now) {
        shared.takedown.drafts_per_network.give_back(&wide);
        return Err(Problem::too_many("your address"));
    }
    let (draft, token) = desk.begin(notice).await?;
    let body =
        json!({ "draft": draft.id, "token": token, "expires_us": draft.expires_us, "missing": draft.notice.missing() });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

fn known(desk: &Desk, profile: Profile) -> Result<(), Problem> {
    let word = profile.word();
    if desk.profiles().contains(&profile) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid",
        format!("this host takes no notices of the profile {word}"),
    ))
}

/// The draft of a token, and how many bytes of its parts have come.
async fn own_draft(
    shared: &Shared,
    address: SocketAddr,
    id: &str,
    headers: &HeaderMap,
) -> Result<(Draft, [u64; 2]), Problem> {
    let (desk, token) = (desk(shared)?, bearer(headers)?);
    known_by(shared, address, async { Ok(desk.draft(id, &token).await?) }).await
}

/// `GET /api/v1/takedown/drafts/ID`
pub async fn draft(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let (draft, [copy, bundle]) = own_draft(&shared, address, &id, &headers).await?;
    let body = json!({
        "missing": draft.notice.missing(),
        "notice": draft.notice,
        "copy": { "bytes": copy },
        "bundle": { "bytes": bundle },
        "expires_us": draft.expires_us,
    });
    Ok(Json(body).into_response())
}

/// `PUT /api/v1/takedown/drafts/ID`
pub async fn rewrite(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let desk = desk(&shared)?;
    may_ask(&shared, address)?;
    let notice: Notice = read(&body)?;
    known(&desk, notice.profile)?;
    let draft = desk.rewrite(&id, &bearer(&headers)?, notice).await?;
    Ok(Json(json!({ "missing": draft.notice.missing(), "expires_us": draft.expires_us })).into_response())
}

fn part(word: &str) -> Result<Part, Problem> {
    match word {
        "copy" => Ok(Part::Copy),
        "bundle" => Ok(Part::Bundle),
        _ => Err(Problem::unknown()),
    }
}

/// `PUT /api/v1/takedown/drafts/ID/copy?offset=N`, or `bundle`
pub async fn upload(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Path((id, word)): Path<(String, String)>,
    Query(Offset { offset }): Query<Offset>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let part = part(&word)?;
    // Nothing is taken in from somebody who has no draft.
    own_draft(&shared, address, &id, &headers).await?;
    let taken = shared.takedown.pieces.take(&network_name(address.ip()), body, CHUNK_BYTES_MAX).await?;
    let received = desk(&shared)?.upload(&id, &bearer(&headers)?, part, offset, taken.bytes.clone()).await?;
    Ok(Json(json!({ "received": received })).into_response())
}

/// `DELETE /api/v1/takedown/drafts/ID/copy`, or `bundle`
pub async fn discard(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Path((id, word)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let part = part(&word)?;
    own_draft(&shared, address, &id, &headers).await?;
    desk(&shared)?.discard(&id, &bearer(&headers)?, part).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /api/v1/takedown/drafts/ID/submit`
pub async fn submit(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let (desk, token) = (desk(&shared)?, bearer(&headers)?);
    let (draft, _) = own_draft(&shared, address, &id, &headers).await?;
    if let Some((_, domain)) = draft.notice.claimant.email.rsplit_once('@') {
        let (mail, now) = (draft.notice.claimant.email.to_lowercase(), Instant::now());
        if !shared.takedown.per_mail.take(&mail, now) {
            return Err(Problem::too_many("your mail address"));
        }
        if !shared.takedown.per_domain.take(&domain.to_lowercase(), now) {
            return Err(Problem::too_many("mail addresses of your domain"));
        }
    }
    let broadcast = &shared.broadcast;
    let submitted = desk.submit(&id, &token, &broadcast.publisher().to_string(), broadcast.epoch().0).await?;
    told(&desk, submitted).await
}

async fn told(desk: &Desk, submitted: Submitted) -> Answer {
    match submitted {
        Submitted::Pending(confirm_by_us) => {
            let body = json!({ "state": "email-pending", "confirm_by_us": confirm_by_us });
            Ok((StatusCode::ACCEPTED, Json(body)).into_response())
        }
        Submitted::Taken(docket, receipt) => {
            let case = desk.case(docket.id).await?;
            Ok((StatusCode::CREATED, Json(seen(&case, Some(&receipt), None))).into_response())
        }
    }
}

/// `POST /api/v1/takedown/confirm`
pub async fn confirm(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    body: Bytes,
) -> Answer {
    let desk = desk(&shared)?;
    may_ask(&shared, address)?;
    let Confirming { token } = read(&body)?;
    let submitted = desk.confirm(&token, &shared.broadcast.publisher().to_string()).await?;
    told(&desk, submitted).await
}

/// `POST /api/v1/takedown/status`
pub async fn status(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    body: Bytes,
) -> Answer {
    let desk = desk(&shared)?;
    may_ask(&shared, address)?;
    let Showing { receipt } = read(&body)?;
    let case = desk.case(desk.case_of_receipt(receipt.clone()).await?).await?;
    Ok(Json(seen(&case, Some(&receipt), None)).into_response())
}

/// The desk, and the case of the address, whose token whoever asks has shown.
pub struct Own {
    desk: Desk,
    id: u64,
}

impl FromRequestParts<Arc<Shared>> for Own {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Response> {
        let ConnectInfo(address) =
            ConnectInfo::from_request_parts(parts, shared).await.map_err(IntoResponse::into_response)?;
        let Path(id) = Path::from_request_parts(parts, shared).await.map_err(IntoResponse::into_response)?;
        own(shared, address, id, &parts.headers).await.map_err(IntoResponse::into_response)
    }
}

async fn own(shared: &Shared, address: SocketAddr, id: u64, headers: &HeaderMap) -> Result<Own, Problem> {
    let (desk, token) = (desk(shared)?, bearer(headers)?);
    known_by(shared, address, async {
        if desk.case_of(&token).await? == id { Ok(()) } else { Err(Problem::unknown()) }
    })
    .await?;
    Ok(Own { desk, id })
}

async fn shown(desk: &Desk, id: u64) -> Answer {
    let (case, receipt) = (desk.case(id).await?, desk.receipt(id).await?);
    let counter = match counter_of(&case) {
        Some(hash) => desk.record(hash).await?,
        None => None,
    };
    let mut seen = seen(&case, Some(&receipt), counter.as_ref().map(|it| &it.body));
    seen["notice"] = json!(case.notice);
    Ok(Json(seen).into_response())
}

async fn changed(desk: &Desk, docket: Docket) -> Answer {
    shown(desk, docket.id).await
}

/// `GET /api/v1/takedown/cases/ID`
pub async fn case(Own { desk, id }: Own) -> Answer {
    shown(&desk, id).await
}

/// `PUT /api/v1/takedown/cases/ID`
pub async fn complete(Own { desk, id }: Own, body: Bytes) -> Answer {
    changed(&desk, desk.complete(id, Actor::Claimant, read(&body)?).await?).await
}

/// `POST /api/v1/takedown/cases/ID/withdraw`
pub async fn withdraw(Own { desk, id }: Own) -> Answer {
    changed(&desk, desk.withdraw(id).await?).await
}

/// `POST /api/v1/takedown/cases/ID/suit`
pub async fn suit(Own { desk, id }: Own, body: Bytes) -> Answer {
    changed(&desk, desk.sue(id, Actor::Claimant, None, read(&body)?).await?).await
}
