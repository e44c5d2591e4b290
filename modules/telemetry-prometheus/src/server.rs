//! The page that Prometheus reads.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::debug;

use crate::series::Series;
use crate::text;

/// Connections at the same time; more of them wait.
pub const CONNECTIONS_MAX: usize = 32;
/// A request's head must arrive, and an idle connection say something, within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) series: Mutex<Series>,
    pub(crate) stale_after_us: u64,
}

/// Serves until it is dropped; so do its connections.
pub(crate) async fn serve(listener: TcpListener, page: Arc<Page>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let place = places.clone().acquire_owned().await.expect("never closed");
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((socket, _)) => {
                let page = page.clone();
                connections.spawn(async move {
                    connection(socket, page).await;
                    drop(place);
                });
            }
            Err(error) => {
                debug!(%error, "connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(socket: TcpStream, page: Arc<Page>) {
    let service = service_fn(move |request| {
        let answer = answer(&request, &page);
        async { Ok::<_, Infallible>(answer) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(16 * 1024);
    if let Err(error) = http.serve_connection(TokioIo::new(socket), service).await {
        debug!(%error, "connection ended");
    }
}

fn answer(request: &Request<Incoming>, page: &Page) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            let text = text::text(page.series.lock().expect("no holder panics").fresh(page.stale_after_us));
            let mut response = Response::new(Full::from(text));
            response.headers_mut().insert(CONTENT_TYPE, text::CONTENT_TYPE.parse().expect("a header's value"));
            response
        }
        (_, "/metrics") => {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "");
            response.headers_mut().insert(ALLOW, "GET, HEAD".parse().expect("a header's value"));
            response
        }
        _ => plain(StatusCode::NOT_FOUND, "not found; figures are at /metrics\n"),
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}
