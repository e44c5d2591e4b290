//! The web server of a broadcast: pages, API, metrics and control connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use peerstream::broadcast::Broadcast;
use peerstream::traits::ingest::WEB_BODY_BYTES_MAX;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::debug;

use crate::admission::Admission;
use crate::allowance::Allowance;
use crate::config::{Limits, TimeShift};
use crate::dashboard::{Dashboard, Private, routes, visitor};
use crate::egress::Egress;
use crate::fallback::Budget;
use crate::front::Proxies;
use crate::inputs::{self, Inputs};
use crate::player::Player;
use crate::recordings::{self, Playlists};
use crate::takedown::{self, Intake};
use crate::{api, assets, control, entrance, fallback, health, metrics, segments};

/// A request's head must arrive, and an idle connection say something, within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// A request's body must arrive and its answer begin within this time; how long the answer lasts is not bounded.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// What was sent must be taken within this time: whoever has gone, or does not read, keeps no place.
const TAKEN_TIMEOUT: Duration = Duration::from_secs(20);
/// TCP connections that an address may have beside its control connections.
const SOCKETS_BESIDE: usize = 256;
/// The pause after a connection could not be accepted, when the machine is out of files for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all requests share.
#[derive(Debug)]
pub struct Shared {
    /// The broadcast.
    pub broadcast: Broadcast,
    /// Shown above the player.
    pub title: Option<String>,
    /// What pages are told about relaying.
    pub player: Player,
    /// What answers for inputs.
    pub inputs: Inputs,
    /// Who may open control connections.
    pub admission: Admission,
    /// What is counted.
    pub counters: Arc<metrics::Counters>,
    /// What may be sent to viewers that nobody feeds.
    pub fallback: Arc<Budget>,
    /// Going back in time.
    pub time_shift: TimeShift,
    /// What may be sent of the past.
    pub egress: Arc<Egress>,
    /// What is remembered of recordings.
    pub playlists: Playlists,
    /// How often an address may ask to be let in.
    pub questions: Allowance,
    /// What the API of notices shares.
    pub takedown: Intake,
    /// What the streamer sees.
    pub dashboard: Dashboard,
    /// True when the broadcast is over and control connections are to end.
    pub over: watch::Sender<bool>,
}

/// What the server of a broadcast is made of; each is told about at [`Shared`].
pub struct Parts {
    /// Its figures are to have `counters` among them.
    pub broadcast: Broadcast,
    pub title: Option<String>,
    pub player: Player,
    pub time_shift: TimeShift,
    pub inputs: Inputs,
    /// Control connections from one address.
    pub connections_per_address: usize,
    pub counters: Arc<metrics::Counters>,
    pub dashboard: Dashboard,
    pub takedown: Intake,
}

impl Shared {
    /// Of these parts.
    pub fn new(parts: Parts) -> Self {
        let Parts { broadcast, title, player, time_shift, inputs, .. } = parts;
        let Parts { connections_per_address, counters, dashboard, takedown, .. } = parts;
        Self {
            fallback: counters.fallback().clone(),
            time_shift,
            egress: counters.egress().clone(),
            playlists: Playlists::default(),
            broadcast,
            title,
            player,
            inputs,
            admission: Admission::new(connections_per_address),
            counters,
            questions: Allowance::new(entrance::QUESTIONS.0, entrance::QUESTIONS.1),
            takedown,
            dashboard,
            over: watch::Sender::new(false),
        }
    }
}

/// The routes of a broadcast: what viewers need is open to all, the rest to those who may look.
pub fn router(shared: Arc<Shared>) -> Router {
    let metrics = Router::new().route("/metrics", get(metrics::respond));
    let looking = Router::new()
        .route("/api/v1/overlay", get(api::overlay))
        .route("/api/v1/nodes/{name}", get(api::node))
        .route("/api/v1/plugins", get(health::plugins));
    let (open, looking) = match shared.dashboard.options.open_metrics {
        true => (metrics, looking),
        false => (Router::new(), looking.merge(metrics)),
    };
    open.merge(looking.route_layer(middleware::from_fn_with_state(shared.clone(), visitor::look)))
        .merge(routes(&shared))
        .merge(takedown::routes(&shared))
        .route("/healthz", get(health::respond))
        .route("/api/v1/stream", get(api::stream))
        .route("/api/v1/control", get(control::upgrade))
        .route("/api/v1/live", get(fallback::live))
        .route("/api/v1/segments", get(segments::respond))
        .route("/api/v1/recordings", get(recordings::list))
        .route("/recordings/{recording}", get(recording_page))
        .route("/hls/{recording}/{name}", get(recordings::hls))
        .route("/api/v1/admission", get(entrance::ask))
        .route("/ingest/{name}", any(inputs::answer).layer(DefaultBodyLimit::max(WEB_BODY_BYTES_MAX)))
        .route("/ingest/{name}/{*path}", any(inputs::answer).layer(DefaultBodyLimit::max(WEB_BODY_BYTES_MAX)))
        .fallback(asset)
        .layer(middleware::from_fn(common_headers))
        .with_state(shared)
}

/// The page of any recording; which one, its script reads from the address.
async fn recording_page(request: Request) -> Response {
    file(Method::GET, &Uri::from_static("/recording.html"), &request)
}

async fn asset(method: Method, uri: Uri, request: Request) -> Response {
    let mut response = file(method, &uri, &request);
    if uri.path().starts_with("/dashboard") {
        // Nobody is to be led to its buttons in a frame of theirs.
        response.headers_mut().insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    response
}

fn file(method: Method, uri: &Uri, request: &Request) -> Response {
    match (method, assets::find(uri.path())) {
        (Method::GET | Method::HEAD, Some(asset)) => asset.respond(uri.query(), request.headers()),
        (_, Some(_)) => (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")]).into_response(),
        (_, None) => (StatusCode::NOT_FOUND, "not found\n").into_response(),
    }
}

/// Any page may embed the player, so any page may read what it needs. A WebSocket is not asked for such leave, and there
/// are many of them.
async fn common_headers(request: Request, next: Next) -> Response {
    const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
    let Ok(mut response) = tokio::time::timeout(ANSWER_TIMEOUT, next.run(request)).await else {
        return StatusCode::REQUEST_TIMEOUT.into_response();
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let private = response.extensions().get::<Private>().is_some();
    let headers = response.headers_mut();
    if !private {
        headers.entry(ACCESS_CONTROL_ALLOW_ORIGIN).or_insert(HeaderValue::from_static("*"));
        headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Opens the web server's port.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            let other = SocketAddr::new(address.ip(), address.port().wrapping_add(1).max(1024));
            anyhow!("port {} is in use by another program; choose another one with --listen {other}", address.port())
        }
        std::io::ErrorKind::PermissionDenied => {
            anyhow!("port {} needs more rights; choose one above 1023 with --listen", address.port())
        }
        _ => anyhow!("cannot listen on {address}: {error}; choose another address with --listen"),
    })
}

/// Serves until it is dropped; then all connections but those of nodes end, see [`Shared::over`].
pub async fn serve(listener: &TcpListener, shared: Arc<Shared>, limits: &Limits) -> Result<()> {
    let app = router(shared.clone());
    let accepting = accept(listener, &shared, limits, app);
    tokio::select! {
        result = accepting => result,
        () = shared.dashboard.board.run(&shared) => Ok(()),
    }
}

async fn accept(listener: &TcpListener, shared: &Shared, limits: &Limits, app: Router) -> Result<()> {
    let places = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
    let sockets = Admission::new(limits.connections_per_address.saturating_add(SOCKETS_BESIDE));
    let proxies = Proxies::new(&limits.proxies);
    let mut connections = JoinSet::new();
    loop {
        let place = places.clone().acquire_owned().await.context("semaphore is never closed")?;
        // Those that have ended are forgotten.
        while connections.try_join_next().is_some() {}
        let (socket, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                debug!(%error, "connection cannot be accepted");
                shared.counters.accept_failed();
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Many come through a proxy.
        let own = if proxies.is_one(address.ip()) { None } else { Some(sockets.enter(address.ip())) };
        if let Some(None) = own {
            shared.counters.socket_refused();
            continue;
        }
        let (app, proxies) = (app.clone(), proxies.clone());
        connections.spawn(async move {
            connection(socket, address, proxies, app).await;
            drop((place, own));
        });
    }
}

/// Has the system end a connection whose other side is gone.
fn end_when_gone(socket: &TcpStream) {
    let socket = socket2::SockRef::from(socket);
    let _ = socket.set_keepalive(true);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(TAKEN_TIMEOUT));
}

async fn connection(socket: TcpStream, address: SocketAddr, proxies: Proxies, app: Router) {
    let _ = socket.set_nodelay(true);
    end_when_gone(&socket);
    let near = socket.local_addr().ok().and_then(|here| visitor::FromThisMachine::of(here, address));
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        let visitor = proxies.visitor(address, request.headers());
        request.extensions_mut().insert(ConnectInfo(visitor));
        near.map(|near| request.extensions_mut().insert(near));
        let mut app = app.clone();
        async move { tower_service::Service::call(&mut app, request).await }
    });
    let result = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(32 * 1024)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades()
        .await;
    if let Err(error) = result {
        debug!(%address, %error, "connection ended");
    }
}
