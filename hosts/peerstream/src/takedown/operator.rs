//! The operator's desk: the queue, a case, decisions. Behind a login of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, Request, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use peerstream::takedown::{Desk, Notes, Order};
use peerstream::traits::casebook::{self, CASES_MAX, ENTRIES_MAX};
use peerstream::traits::compliance::{Action, Actor, Case, Decision, Lane, Notice, Profile, State as CaseState};
use peerstream::traits::takedown::lumen;
use peerstream::traits::takedown::outbox::{self, Posted};
use peerstream::traits::takedown::record::Person;
use peerstream::traits::takedown::state::By;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use super::answer::{Problem, read};
use super::claimant::desk;
use super::{NOTICE_BYTES_MAX, take_in};
use crate::dashboard::login::Role;
use crate::dashboard::{answers, visitor};
use crate::excerpt::play;
use crate::server::Shared;

/// Pages of other origins cannot send this header without leave, which nobody gives them.
pub const OWN_PAGE: &str = "x-peerstream-desk";
/// Cases that are listed at once, unless it is said.
const LISTED: usize = 100;
/// Bytes of a file that are read at once.
const READ_BYTES: usize = 64 * 1024;

type Answer = Result<Response, Problem>;

/// The routes, all but the login behind it.
pub fn routes(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let behind = Router::new()
        .route("/api/v1/takedown/desk/session", get(session))
        .route("/api/v1/takedown/desk/cases", get(list).post(enter))
        .route("/api/v1/takedown/desk/cases/{case}", get(case))
        .route("/api/v1/takedown/desk/cases/{case}/evidence", get(evidence))
        .route("/api/v1/takedown/desk/cases/{case}/excerpt", get(excerpt))
        .route("/api/v1/takedown/desk/cases/{case}/copy", get(copy))
        .route("/api/v1/takedown/desk/cases/{case}/lumen", get(lumen))
        .route("/api/v1/takedown/desk/cases/{case}/decide", post(decide))
        .route("/api/v1/takedown/desk/cases/{case}/act", post(act))
        .route("/api/v1/takedown/desk/cases/{case}/suit", post(suit))
        .route("/api/v1/takedown/desk/cases/{case}/counter", post(counter))
        .route("/api/v1/takedown/desk/cases/{case}/complete", post(complete))
        .route("/api/v1/takedown/desk/cases/{case}/hold", post(hold))
        .route("/api/v1/takedown/desk/cases/{case}/{order}", post(order))
        .route("/api/v1/takedown/desk/drafts", get(drafts))
        .route("/api/v1/takedown/desk/drafts/{draft}/confirm", post(vouch))
        .route("/api/v1/takedown/desk/letters", get(letters))
        .route("/api/v1/takedown/desk/log", get(log))
        .route("/api/v1/takedown/desk/counts", get(counts))
        .route_layer(from_fn_with_state(shared.clone(), enter_desk));
    let before = Router::new()
        .route("/api/v1/takedown/desk/login", post(login).layer(from_fn_with_state(shared.clone(), take_in)))
        .route("/api/v1/takedown/desk/logout", post(logout));
    behind.merge(before).layer(DefaultBodyLimit::max(NOTICE_BYTES_MAX))
}

/// Lets the operator through; what changes something must come from the desk's own page or a program.
async fn enter_desk(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let may_look = matches!(*request.method(), Method::GET | Method::HEAD);
    match visitor::role_at(&shared.takedown.login, &shared, address, request.headers()) {
        Ok(Some(Role::Owner)) if may_look || visitor::is_page_of(request.headers(), OWN_PAGE) => {
            next.run(request).await
        }
        Ok(Some(Role::Owner)) => (StatusCode::FORBIDDEN, "not from the desk's own page\n").into_response(),
        Ok(_) => visitor::refuse(crate::dashboard::login::Refused::Wrong),
        Err(refused) => visitor::refuse(refused),
    }
}

async fn login(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !visitor::is_page_of(&headers, OWN_PAGE) {
        return (StatusCode::FORBIDDEN, "not from the desk's own page\n").into_response();
    }
    answers::let_in(&shared.takedown.login, &shared, address, &headers, &body, Role::Owner)
}

async fn logout(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if !visitor::is_page_of(&headers, OWN_PAGE) {
        return (StatusCode::FORBIDDEN, "not from the desk's own page\n").into_response();
    }
    answers::let_out(&shared.takedown.login, &headers)
}

async fn session(State(shared): State<Arc<Shared>>) -> Answer {
    let desk = desk(&shared)?;
    let head = desk.head().await?;
    Ok(Json(json!({
        "profiles": desk.profiles(),
        "handlers": desk.handlers(),
        "mail": desk.has_mail(),
        "stream": shared.broadcast.publisher().to_string(),
        "epoch": shared.broadcast.epoch().0,
        "operator": desk.operator().to_string(),
        "entries": head.entries,
        "log_head": head.hash,
    }))
    .into_response())
}

/// Which cases are wanted.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    state: String,
    profile: String,
    lane: String,
    stream: String,
    text: String,
    skip: usize,
    max: Option<usize>,
}

impl Wanted {
    fn query(self) -> Result<casebook::Query, Problem> {
        let bad = |field: &str, word: &str| {
            let message = format!("`{}` is no {field}", word.escape_debug());
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message)
        };
        let words = self.state.split(',').filter(|word| !word.is_empty());
        let states = words.map(|word| CaseState::of_word(word).ok_or_else(|| bad("state", word)));
        let profile = match self.profile.as_str() {
            "" => None,
            word => Some(Profile::of_word(word).ok_or_else(|| bad("profile", word))?),
        };
        let lane = match self.lane.as_str() {
            "" => None,
            "fast" => Some(Lane::Fast),
            "normal" => Some(Lane::Normal),
            "slow" => Some(Lane::Slow),
            word => return Err(bad("lane", word)),
        };
        Ok(casebook::Query {
            states: states.collect::<Result<_, _>>()?,
            profile,
            lane,
            stream: Some(self.stream).filter(|text| !text.is_empty()),
            claimant_key: None,
            text: Some(self.text).filter(|text| !text.is_empty()),
            skip: self.skip,
            max: self.max.unwrap_or(LISTED).min(CASES_MAX - 1),
        })
    }
}

async fn list(State(shared): State<Arc<Shared>>, Query(wanted): Query<Wanted>) -> Answer {
    let desk = desk(&shared)?;
    let mut query = wanted.query()?;
    // One more than is shown tells whether there are more.
    let max = query.max;
    query.max += 1;
    let cases = desk.cases(query).await?;
    let counts: serde_json::Map<_, _> =
        desk.counts().await?.into_iter().map(|(state, count)| (state.word().to_owned(), count.into())).collect();
    let shown = &cases[..cases.len().min(max)];
    let mails = desk.mails(shown.iter().map(|case| case.docket.id).collect()).await?;
    let rows: Vec<_> = shown.iter().zip(&mails).map(|(case, mails)| row(case, mails)).collect();
    Ok(Json(json!({ "cases": rows, "more": cases.len() > max, "counts": counts })).into_response())
}

fn row(case: &Case, mails: &outbox::Mails) -> Value {
    let docket = &case.docket;
    json!({
        "case": docket.id,
        "revision": docket.revision,
        "state": docket.state,
        "profile": docket.profile,
        "lane": docket.lane,
        "channel": docket.channel,
        "stream": docket.stream,
        "epoch": docket.epoch,
        "received_us": docket.received_us,
        "due_us": docket.due_us(),
        "title": case.notice.work.title,
        "claimant": case.notice.claimant.name,
        "from_ms": docket.material.from_ms,
        "to_ms": docket.material.to_ms,
        "comparison": docket.comparison.as_ref().map(|it| it.verdict),
        "evidence": docket.evidence.as_ref().is_some_and(|it| it.bundle.is_some()),
        "claimant_rejected": case.claimant_rejected,
        "strikes": case.strikes,
        "hold": docket.hold,
        "mails": mails,
    })
}

async fn case(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> Answer {
    shown(&desk(&shared)?, id).await
}

async fn shown(desk: &Desk, id: u64) -> Answer {
    let case = desk.case(id).await?;
    let entries = desk.entries(Some(id), 0, ENTRIES_MAX).await?;
    let mut said = [None, None];
    for (place, said) in said.iter_mut().zip([case.docket.counter, case.docket.suit]) {
        if let Some(said) = said {
            *place = desk.record(said.record).await?;
        }
    }
    let [counter, suit] = said.map(|record| record.map(|record| json!(record.body)["body"].take()));
    let steps = case.docket.state.steps(By::Operator);
    let evidence = desk.evidence(case.clone()).await?;
    let (letters, _) = desk.letters(Some(id)).await?;
    Ok(Json(json!({
        "case": case,
        "entries": entries.iter().map(|it| &it.entry).collect::<Vec<_>>(),
        "steps": steps,
        "statements": evidence.statements,
        "counter": counter,
        "suit": suit,
        "strikes": case.strikes,
        "letters": letters.iter().map(letter).collect::<Vec<_>>(),
        "receipt": desk.receipt(id).await?,
    }))
    .into_response())
}

async fn evidence(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> Answer {
    let desk = desk(&shared)?;
    let docket = desk.case(id).await?.docket;
    let bundle = docket.evidence.and_then(|evidence| evidence.bundle).ok_or_else(|| without(id, "evidence"))?;
    send(desk.file(id, bundle).await?, format!("case-{id}.psbundle")).await
}

fn without(case: u64, what: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown", format!("case {case} has no {what}"))
}

/// What was streamed, to be played by the desk's page.
async fn excerpt(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> Answer {
    let desk = desk(&shared)?;
    let docket = desk.case(id).await?.docket;
    let bundle = docket.evidence.and_then(|evidence| evidence.bundle).ok_or_else(|| without(id, "evidence"))?;
    let cannot = |why| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", why);
    let (mime, pieces) = play(desk.file(id, bundle).await?).await.map_err(cannot)?;
    let pieces = stream::unfold(pieces, |mut pieces| async move {
        let piece = pieces.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), pieces))
    });
    Ok(([(CONTENT_TYPE, mime)], Body::from_stream(pieces)).into_response())
}

async fn copy(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> Answer {
    let desk = desk(&shared)?;
    let copy = desk.case(id).await?.docket.copy.ok_or_else(|| without(id, "copy"))?;
    // What strangers have sent is never opened by its name.
    send(desk.file(id, copy).await?, format!("case-{id}-copy.bin")).await
}

/// A file as a download, a piece at a time.
async fn send(path: PathBuf, name: String) -> Answer {
    let gone = |_| Problem::unknown();
    let file = tokio::fs::File::open(path).await.map_err(gone)?;
    let length = file.metadata().await.map_err(gone)?.len();
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; READ_BYTES];
        let count = file.read(&mut piece).await?;
        piece.truncate(count);
        Ok::<_, std::io::Error>((count > 0).then_some((Bytes::from(piece), file)))
    });
    let head = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, length.to_string()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((head, Body::from_stream(pieces)).into_response())
}

/// What goes into an export.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Export {
    names: bool,
}

async fn lumen(State(shared): State<Arc<Shared>>, Path(id): Path<u64>, Query(export): Query<Export>) -> Answer {
    let desk = desk(&shared)?;
    let Case { docket, notice, .. } = desk.case(id).await?;
    let person = Person { claimant: notice.claimant.clone(), signature: notice.signature.clone() };
    let host = lumen::Host {
        name: shared.title.clone().unwrap_or_else(|| "a PeerStream host".into()),
        url: format!("{}/", desk.rules().url),
    };
    Ok(Json(lumen::export(&docket, &notice, export.names.then_some(&person), &host)).into_response())
}

/// A body with a revision beside what it is about.
fn with_revision(body: &[u8]) -> Result<(Value, Option<u32>), Problem> {
    let mut value: Value = if body.is_empty() { json!({}) } else { read(body)? };
    let object = value.as_object_mut();
    let object = object.ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "malformed", "expected an object"))?;
    let revision = object.remove("revision").filter(|it| !it.is_null());
    let revision = revision.map(parse::<u32>).transpose()?;
    Ok((value, revision))
}

fn parse<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_json::from_value(value).map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "malformed", error.to_string()))
}

async fn ordered(shared: &Shared, id: u64, order: Order, notes: Notes) -> Answer {
    let desk = desk(shared)?;
    desk.order(id, order, notes).await?;
    shown(&desk, id).await
}

async fn decide(State(shared): State<Arc<Shared>>, Path(id): Path<u64>, body: Bytes) -> Answer {
    let (value, revision) = with_revision(&body)?;
    let decision: Decision = parse(value)?;
    ordered(&shared, id, Order::Decide(decision), Notes { revision, note: String::new() }).await
}

/// More that is to be done.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct More {
    actions: Vec<Action>,
    #[serde(default)]
    note: String,
}

async fn act(State(shared): State<Arc<Shared>>, Path(id): Path<u64>, body: Bytes) -> Answer {
    let (value, revision) = with_revision(&body)?;
    let More { actions, note } = parse(value)?;
    ordered(&shared, id, Order::Act(actions), Notes { revision, note }).await
}

async fn suit(State(shared): State<Arc<Shared>>, Path(id): Path<u64>, body: Bytes) -> Answer {
    let (value, revision) = with_revision(&body)?;
    let desk = desk(&shared)?;
    desk.sue(id, Actor::Operator, revision, parse(value)?).await?;
    shown(&desk, id).await
}

async fn counter(State(shared): State<Arc<Shared>>, Path(id): Path<u64>, body: Bytes) -> Answer {
    let (value, revision) = with_revision(&body)?;
    let desk = desk(&shared)?;
    desk.counter(id, Actor::Operator, revision, parse(value)?).await?;
    shown(&desk, id).await
}

async fn complete(State(shared): State<Arc<Shared>>, Path(id): Path<u64>, body: Bytes) -> Answer {
    let desk = desk(&shared)?;
    let notice: Notice = read(&body)?;
    desk.complete(id, Actor::Operator, notice).await?;
    shown(&desk, id).await
}

/// Whether all of a case is kept.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hold {
    hold: bool,
    #[serde(default)]
    note: String,
}

async fn hold(State(shared): State<Arc<Shared>>, Path(id): Path<u64>, body: Bytes) -> Answer {
    let (value, revision) = with_revision(&body)?;
    let Hold { hold, note } = parse(value)?;
    ordered(&shared, id, Order::Hold(hold), Notes { revision, note }).await
}

/// What is said beside an order; a note may come as `text`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Said {
    #[serde(alias = "text")]
    note: String,
}

async fn order(State(shared): State<Arc<Shared>>, Path((id, word)): Path<(u64, String)>, body: Bytes) -> Answer {
    let order = match word.as_str() {
        "undo" => Order::Reopen,
        "restore" => Order::Restore,
        "close" => Order::Close,
        "note" => Order::Note,
        "erase" => Order::Erase,
        _ => return Err(Problem::unknown()),
    };
    let (value, revision) = with_revision(&body)?;
    let Said { note } = parse(value)?;
    ordered(&shared, id, order, Notes { revision, note }).await
}

/// A notice that came by post.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entering {
    notice: Notice,
    #[serde(default = "post_channel")]
    channel: String,
}

fn post_channel() -> String {
    "post".into()
}

async fn enter(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let desk = desk(&shared)?;
    let Entering { notice, channel } = read(&body)?;
    let broadcast = &shared.broadcast;
    let (docket, _) = desk.enter(notice, &channel, &broadcast.publisher().to_string(), broadcast.epoch().0).await?;
    let mut answer = shown(&desk, docket.id).await?;
    *answer.status_mut() = StatusCode::CREATED;
    Ok(answer)
}

async fn drafts(State(shared): State<Arc<Shared>>) -> Answer {
    let drafts = desk(&shared)?.pending().await?;
    let rows = drafts.into_iter().map(|it| json!({ "draft": it.id, "expires_us": it.expires_us, "notice": it.notice }));
    Ok(Json(json!({ "drafts": rows.collect::<Vec<_>>() })).into_response())
}

async fn vouch(State(shared): State<Arc<Shared>>, Path(draft): Path<String>) -> Answer {
    let desk = desk(&shared)?;
    let docket = desk.vouch(&draft, &shared.broadcast.publisher().to_string()).await?;
    shown(&desk, docket.id).await
}

/// About which case.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct About {
    case: Option<u64>,
}

/// Mails about a case, or those about all of them that were not sent; without their texts: a link to confirm is its claimant's alone.
async fn letters(State(shared): State<Arc<Shared>>, Query(About { case }): Query<About>) -> Answer {
    let (letters, counts) = desk(&shared)?.letters(case).await?;
    let rows: Vec<_> = letters.iter().map(letter).collect();
    let (waiting, given_up) = (counts.waiting, counts.given_up);
    Ok(Json(json!({ "letters": rows, "waiting": waiting, "given_up": given_up })).into_response())
}

/// The address is known for as long as the mail waits.
fn letter(it: &Posted) -> Value {
    let (case, draft) = match &it.about {
        outbox::About::Case(case) => (Some(case), None),
        outbox::About::Draft(draft) => (None, Some(draft)),
    };
    json!({
        "letter": it.id,
        "case": case,
        "draft": draft,
        "to": it.whom,
        "address": it.letter.as_ref().map(|letter| letter.to()),
        "subject": it.subject,
        "state": it.fate(),
        "put_us": it.put_us,
        "tries": it.tries,
        "next_us": it.next_us,
        "sent_us": it.sent_us,
        "problem": it.problem,
    })
}

/// From which entry on.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Since {
    from: u64,
}

/// The log as it is kept, a line for each entry, whatever its length.
async fn log(State(shared): State<Arc<Shared>>, Query(Since { from }): Query<Since>) -> Answer {
    let desk = desk(&shared)?;
    let pages = stream::try_unfold((desk, from), |(desk, from)| async move {
        let entries = desk.entries(None, from, ENTRIES_MAX).await.map_err(std::io::Error::other)?;
        let Some(last) = entries.last() else { return Ok(None) };
        let next = last.entry.number + 1;
        let mut page = Vec::new();
        for signed in &entries {
            page.extend(signed.line());
            page.push(b'\n');
        }
        Ok::<_, std::io::Error>(Some((Bytes::from(page), (desk, next))))
    });
    let head =
        [(CONTENT_TYPE, "application/x-ndjson"), (CONTENT_DISPOSITION, "attachment; filename=\"takedown-log.jsonl\"")];
    Ok((head, Body::from_stream(pages)).into_response())
}

async fn counts(State(shared): State<Arc<Shared>>) -> Answer {
    let desk = desk(&shared)?;
    let stream = shared.broadcast.publisher().to_string();
    let strikes = desk.strikes(&stream).await?;
    let states: serde_json::Map<_, _> =
        desk.counts().await?.into_iter().map(|(state, count)| (state.word().to_owned(), count.into())).collect();
    Ok(Json(json!({ "states": states, "strikes": { stream: strikes } })).into_response())
}
