//! Recordings for ordinary players: a list of them, and HLS. The one on air is among them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, RETRY_AFTER,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use peerstream::plugins::shelf::Shelf;
use peerstream::protocol::id::Seq;
use peerstream::protocol::segment::{Init, InitId, Kind};
use peerstream::traits::archive::{Recording, RecordingId};
use peerstream::traits::{ErrorClass, PluginError};
use peerstream_recording::playlist::{Named, Parts};
use serde::{Deserialize, Serialize};

use crate::admission::network_name;
use crate::egress::Answer;
use crate::entrance::gate;
use crate::range::Requested;
use crate::server::Shared;

/// Recordings that are listed, the latest ones.
const LISTED_MAX: usize = 200;
/// Recordings whose parts are remembered.
const REMEMBERED_MAX: usize = 16;
/// Lines of an index that are read at once.
const LINES_AT_ONCE: usize = 32_768;
/// Lines of one recording that a playlist is made of: four days of five a second.
const LINES_IN_ALL_MAX: usize = 1 << 21;
/// A playlist is not made anew within this time.
const FRESH: Duration = Duration::from_secs(1);
/// After this long the whole index is read again: something may have been hidden or shown.
const READ_AGAIN: Duration = Duration::from_secs(10);
/// What was hidden may be in caches for this long.
const PART_CACHED: &str = "public, max-age=300";
const INIT_CACHED: &str = "public, max-age=31536000, immutable";
const PART_TYPE: &str = "video/mp4";
const PLAYLIST_TYPE: &str = "application/vnd.apple.mpegurl";

/// One recording as it is listed.
#[derive(Debug, Serialize)]
struct Listed {
    id: String,
    title: Option<String>,
    /// When the broadcast began, milliseconds since 1970.
    starts_ms: u64,
    /// Seconds from its first to its last segment by the source's clock, once it has any.
    seconds: Option<f64>,
    /// It is on air.
    live: bool,
    /// Nothing is missing up to its end, and nothing follows.
    complete: bool,
    /// The playlist, from the page's folder.
    hls: String,
}

/// What is remembered of playlists.
#[derive(Debug, Default)]
pub struct Playlists(Mutex<HashMap<RecordingId, Arc<tokio::sync::Mutex<Remembered>>>>);

#[derive(Debug, Default)]
struct Remembered {
    parts: Parts,
    ended: bool,
    /// When it was last read, and when from the beginning.
    read: Option<Instant>,
    read_whole: Option<Instant>,
}

/// Shown to be let in.
#[derive(Debug, Default, Deserialize)]
pub struct Pass {
    ticket: Option<String>,
}

fn refusal(shared: &Shared, pass: &Pass, address: SocketAddr) -> Option<Response> {
    let network = network_name(address.ip());
    if !gate(shared).admits(pass.ticket.as_deref(), &network) {
        shared.counters.ticket_refused();
        return Some((StatusCode::UNAUTHORIZED, "a ticket of api/v1/admission is needed\n").into_response());
    }
    if !shared.questions.take(&network, Instant::now()) {
        shared.counters.question_refused();
        let busy = (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "2")], "too many ask at once\n");
        return Some(busy.into_response());
    }
    None
}

fn failed(error: &PluginError) -> Response {
    let (status, text) = match error.class {
        ErrorClass::NotFound => (StatusCode::NOT_FOUND, "nothing of that is kept here\n"),
        ErrorClass::Unsupported => (StatusCode::NOT_FOUND, "this host keeps no recordings\n"),
        ErrorClass::Denied => (StatusCode::GONE, "this part is withheld\n"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the archive does not answer\n"),
    };
    (status, text).into_response()
}

/// `GET /api/v1/recordings`
pub async fn list(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Query(pass): Query<Pass>,
) -> Response {
    if let Some(refused) = refusal(&shared, &pass, address) {
        return refused;
    }
    let shelf = shared.broadcast.shelf();
    if shelf.is_empty() || !shared.time_shift.hls {
        return Json(Vec::<Listed>::new()).into_response();
    }
    let recordings = match shelf.recordings().await {
        Ok(recordings) => recordings,
        Err(error) => return failed(&error),
    };
    let current = shelf.current();
    let mut listed = Vec::new();
    for recording in recordings.into_iter().filter(|it| is_ours(&shared, it)).take(LISTED_MAX) {
        let live = current.as_ref() == Some(&recording.id) && !recording.manifest.ended;
        listed.push(Listed {
            seconds: length(&shelf, &recording).await,
            live,
            complete: recording.manifest.ended && recording.manifest.gaps.is_empty(),
            starts_ms: recording.meta.epoch.0,
            hls: format!("hls/{}/index.m3u8", recording.id.0),
            id: recording.id.0,
            title: recording.meta.title,
        });
    }
    Json(listed).into_response()
}

/// Media of this publisher.
fn is_ours(shared: &Shared, recording: &Recording) -> bool {
    recording.meta.kind == Kind::Media && recording.meta.stream == shared.broadcast.publisher().to_string()
}

async fn length(shelf: &Shelf, recording: &Recording) -> Option<f64> {
    let (first, end) = (recording.manifest.first, recording.manifest.end);
    let begin = shelf.index(&recording.id, first, 1).await.ok()?.pop()?;
    let last = shelf.index(&recording.id, Seq(end.0.saturating_sub(2)), 2).await.ok()?.pop()?;
    Some(last.wall_us.saturating_sub(begin.wall_us) as f64 / 1e6)
}

/// `GET /hls/RECORDING/NAME`
pub async fn hls(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Path((id, name)): Path<(String, String)>,
    Query(pass): Query<Pass>,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = refusal(&shared, &pass, address) {
        return refused;
    }
    let named = Named::parse(&name).filter(|_| is_id(&id) && shared.time_shift.hls);
    let Some(named) = named else { return (StatusCode::NOT_FOUND, "not found\n").into_response() };
    let id = RecordingId(id);
    let answered = match named {
        Named::Playlist => playlist(&shared, &id, &pass).await,
        Named::Init(init) => header(&shared, &id, init, &headers).await,
        Named::Part(first, end) => part(&shared, &id, (first, end), &headers).await,
    };
    answered.unwrap_or_else(|error| failed(&error))
}

fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    (1..=128).contains(&id.len()) && id.bytes().all(plain) && !id.starts_with('.')
}

async fn playlist(shared: &Shared, id: &RecordingId, pass: &Pass) -> Result<Response, PluginError> {
    let remembered = shared.playlists.remembered(id);
    let mut remembered = remembered.lock().await;
    remembered.read(shared, id).await?;
    let query = pass.ticket.as_ref().map_or(String::new(), |ticket| {
        let ticket: String = url::form_urlencoded::byte_serialize(ticket.as_bytes()).collect();
        format!("?ticket={ticket}")
    });
    let text = remembered.parts.playlist(remembered.ended, &query);
    let cached = if remembered.ended { "public, max-age=10" } else { "public, max-age=1" };
    Ok(([(CONTENT_TYPE, PLAYLIST_TYPE), (CACHE_CONTROL, cached)], text).into_response())
}

impl Playlists {
    /// What is remembered of a recording; another one is forgotten when there are too many.
    fn remembered(&self, id: &RecordingId) -> Arc<tokio::sync::Mutex<Remembered>> {
        let mut all = self.0.lock().expect("no holder panics");
        if all.len() >= REMEMBERED_MAX && !all.contains_key(id) {
            // Those that are being read stay.
            let idle = all.iter().find(|(_, one)| Arc::strong_count(one) == 1).map(|(id, _)| id.clone());
            idle.map(|idle| all.remove(&idle));
        }
        all.entry(id.clone()).or_default().clone()
    }
}

impl Remembered {
    async fn read(&mut self, shared: &Shared, id: &RecordingId) -> Result<(), PluginError> {
        let within = |at: Option<Instant>, span| at.is_some_and(|at| at.elapsed() < span);
        if within(self.read, FRESH) {
            return Ok(());
        }
        let shelf = shared.broadcast.shelf();
        let recording = shelf.recording(id).await?;
        if !is_ours(shared, &recording) {
            return Err(PluginError::new(ErrorClass::NotFound, "a recording of somebody else"));
        }
        let on_air = shelf.current().as_ref() == Some(id) && !recording.manifest.ended;
        let goes_on = within(self.read_whole, READ_AGAIN) && on_air;
        let mut parts = if goes_on { self.parts.clone() } else { Parts::default() };
        let mut lines = 0;
        loop {
            let read = shelf.index(id, parts.next(), LINES_AT_ONCE).await?;
            read.iter().for_each(|line| parts.push(line));
            lines += read.len();
            if read.len() < LINES_AT_ONCE || lines >= LINES_IN_ALL_MAX {
                break;
            }
        }
        if goes_on {
            parts.forget_before(recording.manifest.first);
        } else {
            parts.number_like(&self.parts);
            self.read_whole = Some(Instant::now());
        }
        self.ended = !on_air;
        if self.ended {
            parts.close();
        }
        (self.parts, self.read) = (parts, Some(Instant::now()));
        Ok(())
    }
}

async fn header(shared: &Shared, id: &RecordingId, init: InitId, asked: &HeaderMap) -> Result<Response, PluginError> {
    let encoded = shared.broadcast.shelf().init(id, init).await?;
    let Init { mime, bytes, .. } =
        Init::decode(&encoded).map_err(|_| PluginError::new(ErrorClass::NotFound, "no codec header"))?;
    let bytes = Bytes::from(bytes);
    let tag = format!("\"{:032x}\"", u128::from_be_bytes(init.0));
    let file = File { total: bytes.len() as u64, tag, media_type: mime, cached: INIT_CACHED };
    Ok(file.respond(asked, |begin, end| bytes.slice(begin as usize..end as usize).into()))
}

async fn part(
    shared: &Arc<Shared>,
    id: &RecordingId,
    (first, end): (Seq, Seq),
    asked: &HeaderMap,
) -> Result<Response, PluginError> {
    let lines = shared.broadcast.shelf().index(id, first, (end.0 - first.0) as usize).await?;
    let whole =
        lines.len() as u64 == end.0 - first.0 && lines.iter().zip(first.0..).all(|(line, seq)| line.seq.0 == seq);
    if !whole {
        return Err(PluginError::new(ErrorClass::NotFound, "not all of it is kept"));
    }
    if lines.iter().any(|line| line.withheld || shared.broadcast.recent().withholds(line.seq) && is_on_air(shared, id))
    {
        return Err(PluginError::new(ErrorClass::Denied, "a part of it is withheld"));
    }
    let Some(answer) = shared.egress.enter() else {
        let busy = "too many ask for the past at once\n";
        return Ok((StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], busy).into_response());
    };
    let mut spans = Vec::with_capacity(lines.len());
    let mut total = 0;
    for line in lines {
        spans.push((line.seq, total));
        total += u64::from(line.payload_len);
    }
    let file = File {
        total,
        tag: format!("\"{}-{}-{}\"", id.0, first.0, end.0),
        media_type: PART_TYPE.into(),
        cached: PART_CACHED,
    };
    let (shelf, id) = (shared.broadcast.shelf(), id.clone());
    Ok(file.respond(asked, |begin, end| Reading { shelf, id, spans, at: 0, begin, end, answer }.body()))
}

fn is_on_air(shared: &Shared, id: &RecordingId) -> bool {
    shared.broadcast.shelf().current().as_ref() == Some(id)
}

/// The payloads of consecutive segments, from one byte of them to another.
struct Reading {
    shelf: Shelf,
    id: RecordingId,
    /// Each segment and where it begins.
    spans: Vec<(Seq, u64)>,
    at: usize,
    begin: u64,
    end: u64,
    answer: Answer,
}

impl Reading {
    fn body(mut self) -> Body {
        self.at = self.spans.partition_point(|(_, start)| *start <= self.begin).saturating_sub(1);
        // An archive that fails breaks the connection off: whoever asked knows that not all of it came.
        Body::from_stream(futures_util::stream::try_unfold(self, Self::next))
    }

    async fn next(mut self) -> Result<Option<(Bytes, Self)>, PluginError> {
        let Some((seq, start)) = self.spans.get(self.at).copied().filter(|(_, start)| *start < self.end) else {
            return Ok(None);
        };
        self.at += 1;
        let payload = self.shelf.segment(&self.id, seq).await?.payload;
        let until = self.spans.get(self.at).map_or(self.end, |(_, next)| *next);
        let from = self.begin.saturating_sub(start) as usize;
        let to = (self.end.min(until.max(start)) - start) as usize;
        if to > payload.len() || from > to {
            return Err(PluginError::new(ErrorClass::Conflict, "a segment is not as long as its line says"));
        }
        self.answer.spend(to - from).await;
        Ok(Some((payload.slice(from..to), self)))
    }
}

/// A file of a known size that never changes.
struct File {
    total: u64,
    tag: String,
    media_type: String,
    cached: &'static str,
}

impl File {
    fn respond(self, asked: &HeaderMap, body: impl FnOnce(u64, u64) -> Body) -> Response {
        let Self { total, tag, media_type, cached } = self;
        let (status, range) = match Requested::of(asked, total, &tag) {
            Requested::Whole => (StatusCode::OK, Some((0, total))),
            Requested::Part(begin, end) => (StatusCode::PARTIAL_CONTENT, Some((begin, end))),
            Requested::Nothing => (StatusCode::RANGE_NOT_SATISFIABLE, None),
            Requested::Unchanged => (StatusCode::NOT_MODIFIED, None),
        };
        let mut response = Response::new(range.map_or(Body::empty(), |(begin, end)| body(begin, end)));
        *response.status_mut() = status;
        let mut set = |name: HeaderName, value: &str| {
            // A media type may have letters that no header has.
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(name, value);
            }
        };
        set(ACCEPT_RANGES, "bytes");
        set(ETAG, &tag);
        set(CACHE_CONTROL, cached);
        match (status, range) {
            (StatusCode::PARTIAL_CONTENT, Some((begin, end))) => {
                set(CONTENT_RANGE, &format!("bytes {begin}-{}/{total}", end - 1));
            }
            (StatusCode::RANGE_NOT_SATISFIABLE, _) => set(CONTENT_RANGE, &format!("bytes */{total}")),
            _ => {}
        }
        if let Some((begin, end)) = range {
            set(CONTENT_TYPE, &media_type);
            set(CONTENT_LENGTH, &(end - begin).to_string());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use peerstream::traits::archive::{ArchiveBackend as _, RestrictMode, Restriction};
    use serde_json::Value;

    use super::*;
    use crate::shelved;
    use crate::world::Host;

    async fn listed(host: &Host) -> Value {
        serde_json::from_str(&host.get("api/v1/recordings", &[]).await.1).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_broadcast_on_air_is_listed_and_its_playlist_names_parts_that_are_there() {
        let (host, memory) = shelved::host(60).await;
        let all = listed(&host).await;
        assert_eq!((all[0]["live"].as_bool(), all[0]["complete"].as_bool()), (Some(true), Some(false)));
        assert!(all[0]["seconds"].as_f64().unwrap() > 5.0);
        let hls = all[0]["hls"].as_str().unwrap().to_owned();
        let folder = hls.trim_end_matches("index.m3u8").to_owned();
        let (status, text) = host.get(&hls, &[]).await;
        assert_eq!(status, 200);
        assert!(text.contains("#EXT-X-PLAYLIST-TYPE:EVENT") && !text.contains("ENDLIST"), "{text}");
        let part =
            text.lines().find(|line| line.ends_with(".m4s")).expect("a part is closed after four seconds").to_owned();
        let map = text.lines().find_map(|line| line.strip_prefix("#EXT-X-MAP:URI=\"")?.strip_suffix('"')).unwrap();
        let answer = |name: &str, range: Option<&str>| {
            let url = format!("{}{folder}{name}", host.url);
            let range = range.map(str::to_owned);
            tokio::task::spawn_blocking(move || {
                let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
                let request = agent.get(&url);
                let request = range.iter().fold(request, |request, range| request.header("range", range));
                let mut answer = request.call().unwrap();
                let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
                let of_header = (header("content-type"), header("content-range"));
                (answer.status().as_u16(), of_header, answer.body_mut().read_to_vec().unwrap())
            })
        };
        let (status, (media_type, _), init) = answer(map, None).await.unwrap();
        assert!(status == 200 && media_type.unwrap().starts_with("video/mp4; codecs=") && &init[4..8] == b"ftyp");
        let (status, _, whole) = answer(&part, None).await.unwrap();
        assert!(status == 200 && whole.len() > 10_000);
        // From the middle of one segment to the middle of another.
        let (from, to) = (whole.len() / 3, whole.len() - 1_000);
        let (status, (_, range), some) = answer(&part, Some(&format!("bytes={from}-{}", to - 1))).await.unwrap();
        assert_eq!((status, range), (206, Some(format!("bytes {from}-{}/{}", to - 1, whole.len()))));
        assert!(some == whole[from..to]);
        assert_eq!(answer(&part, Some(&format!("bytes={}-", whole.len()))).await.unwrap().0, 416);
        // What is hidden is neither in the list nor given out.
        let Some(Named::Part(first, _)) = Named::parse(&part) else { panic!("{part}") };
        let restriction = Restriction { first, end: first.next(), mode: RestrictMode::Hide };
        memory.restrict(&RecordingId(String::new()), &restriction).await.unwrap();
        assert_eq!(answer(&part, None).await.unwrap().0, 410);
        let nonsense = ["9-3.m4s", "900000-900010.m4s", "index.html", "init-x.mp4", "%2e%2e%2fkey"];
        for name in nonsense {
            assert_eq!(answer(name, None).await.unwrap().0, 404, "{name}");
        }
        assert_eq!(host.get("hls/other/index.m3u8", &[]).await.0, 404);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_host_without_an_archive_lists_nothing() {
        let host = Host::start(|_| {}).await;
        assert_eq!(listed(&host).await, Value::Array(Vec::new()));
        assert_eq!(host.get("hls/r1/index.m3u8", &[]).await.0, 404);
    }
}
