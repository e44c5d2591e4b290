//! Complaints come in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use peerstream::plugins::compliance::NotTaken;
use peerstream::traits::compliance::Notice;

use crate::admission::network_name;
use crate::server::Shared;

/// Complaints from one network at once, and per second after that.
pub const COMPLAINTS: (u32, f64) = (5, 1.0 / 60.0);

/// `POST /api/v1/takedown` with a notice as JSON: the case's number, once it is written down. The body is bounded by the route.
pub async fn submit(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    body: Bytes,
) -> Response {
    let Some(desk) = shared.broadcast.plugins().and_then(|plugins| plugins.desk().cloned()) else {
        return (StatusCode::NOT_FOUND, "this host takes no complaints here\n").into_response();
    };
    if !shared.complaints.take(&network_name(address.ip()), Instant::now()) {
        shared.counters.question_refused();
        return later(StatusCode::TOO_MANY_REQUESTS, "60", "too many complaints from your network\n");
    }
    let notice: Notice = match serde_json::from_slice(&body) {
        Ok(notice) => notice,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("this is no notice: {error}\n")).into_response(),
    };
    let broadcast = &shared.broadcast;
    match desk.submit(broadcast.publisher().to_string(), broadcast.epoch().0, notice).await {
        Ok(receipt) => (StatusCode::CREATED, Json(receipt)).into_response(),
        Err(problem @ NotTaken::Busy) => later(StatusCode::SERVICE_UNAVAILABLE, "60", &format!("{problem}\n")),
        Err(problem @ NotTaken::Log(_)) => {
            tracing::error!(error = ?problem, "a complaint could not be taken in");
            later(StatusCode::SERVICE_UNAVAILABLE, "60", &format!("{problem}\n"))
        }
    }
}

fn later(status: StatusCode, seconds: &'static str, text: &str) -> Response {
    (status, [(RETRY_AFTER, seconds)], text.to_owned()).into_response()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use peerstream::plugins::compliance::NOTICE_BYTES_MAX;
    use peerstream::plugins::options;
    use peerstream::traits::{BuildContext, Plugin};
    use peerstream_compliance_queue::{Config, Queue};

    use super::*;
    use crate::world::{Host, instance};

    const NOTICE: &str = r#"{"regime": "dmca", "claimant": {"name": "A. Author", "email": "a@example.org"},
        "subject": "a film", "explanation": "all of it is shown", "from_s": 10, "to_s": 20,
        "statements": {"good-faith": "I have a good faith belief ..."}, "signature": "A. Author"}"#;

    async fn host(folder: &Path) -> Host {
        let config = Config { folder: folder.join("complaints"), ..Config::default() };
        let queue = Queue::build(config, &BuildContext::new("queue")).unwrap();
        Host::start(|plugins| {
            plugins.case_log = Some(folder.join("cases.jsonl"));
            plugins.compliance.push(instance("queue", Arc::new(queue) as _, options::Compliance::default()));
        })
        .await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_notice_becomes_a_case_that_waits_for_a_person() {
        let folder = tempfile::tempdir().unwrap();
        let host = host(folder.path()).await;
        let (status, receipt) = host.post("api/v1/takedown", NOTICE.into()).await;
        let receipt: serde_json::Value = serde_json::from_str(&receipt).unwrap();
        assert_eq!((status, receipt["case"].as_u64()), (201, Some(1)));
        let log = || std::fs::read_to_string(folder.path().join("cases.jsonl")).unwrap();
        while log().lines().count() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert!(log().contains(r#""decision":"queue""#) && log().contains("good faith"));
        let case = std::fs::read_to_string(folder.path().join("complaints/case-000001-r1.json")).unwrap();
        assert!(case.contains("A. Author") && case.contains(&host.publisher().to_string()));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_no_notice_or_too_large_or_too_much_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let host = host(folder.path()).await;
        assert_eq!(host.post("api/v1/takedown", vec![b' '; NOTICE_BYTES_MAX + 1]).await.0, 413);
        let (status, text) = host.post("api/v1/takedown", br#"{"regime": "dmcaa"}"#.to_vec()).await;
        assert!(status == 400 && text.contains("dmcaa") && text.contains("house-rules"), "{text}");
        let mut statuses = Vec::new();
        for _ in 0..6 {
            statuses.push(host.post("api/v1/takedown", NOTICE.into()).await.0);
        }
        assert_eq!(statuses, [201, 201, 201, 201, 429, 429]);
        assert_eq!(host.get("api/v1/takedown", &[]).await.0, 405);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_host_without_handlers_takes_no_complaints() {
        let host = Host::start(|_| {}).await;
        assert_eq!(host.post("api/v1/takedown", NOTICE.into()).await.0, 404);
    }
}
