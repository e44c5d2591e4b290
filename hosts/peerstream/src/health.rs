//! How the plug-ins stand.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use peerstream::plugins::Statuses;

use crate::dashboard::visitor::Visitor;
use crate::server::Shared;

/// `GET /healthz`: `ok`, or `degraded` with the names of those that are not well. Status 503 only when one is required and has failed.
pub async fn respond(State(shared): State<Arc<Shared>>) -> Response {
    let health = statuses(&shared).health();
    let status = if health.required_failed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    // Why is for those who run the host: it may name paths and addresses.
    let name = |trouble: &String| trouble.splitn(3, ": ").take(2).collect::<Vec<_>>().join(": ");
    let lines = std::iter::once(health.status.to_owned()).chain(health.troubles.iter().map(name));
    (status, lines.map(|line| line + "\n").collect::<String>()).into_response()
}

/// `GET /api/v1/plugins`: all instances. Why one is not well, and where it comes from, is not told to guests.
pub async fn plugins(State(shared): State<Arc<Shared>>, Extension(visitor): Extension<Visitor>) -> Response {
    let mut all = statuses(&shared).shown();
    if !visitor.sees_all() {
        for shown in &mut all {
            shown.why = None;
            shown.identity.origin.clear();
        }
    }
    Json(all).into_response()
}

fn statuses(shared: &Shared) -> Statuses {
    shared.broadcast.plugins().map(|plugins| plugins.statuses().clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use async_trait::async_trait;
    use peerstream::plugins::options;
    use peerstream::traits::telemetry::{Batch, TelemetrySink, WriteReport};
    use peerstream::traits::{Health, Lifecycle, PluginError};

    use super::*;
    use crate::world::{Host, instance};

    /// A sink that is as a test says.
    #[derive(Default)]
    struct Sink(Mutex<Health>);

    #[async_trait]
    impl Lifecycle for Sink {
        fn health(&self) -> Health {
            self.0.lock().unwrap().clone()
        }
    }

    #[async_trait]
    impl TelemetrySink for Sink {
        async fn write(&self, batch: Batch) -> Result<WriteReport, PluginError> {
            Ok(WriteReport::all(&batch))
        }
    }

    async fn host(required: bool) -> (Host, Arc<Sink>) {
        let sink = Arc::new(Sink::default());
        let lifecycle = options::Lifecycle { required, health_interval_ms: 10, ..options::Lifecycle::default() };
        let options = options::Telemetry { lifecycle, ..options::Telemetry::default() };
        let host = Host::start(|plugins| plugins.telemetry.push(instance("sink", sink.clone() as _, options))).await;
        (host, sink)
    }

    async fn until_healthz_says(host: &Host, expected: (u16, &str)) {
        while host.get("healthz", &[]).await != (expected.0, expected.1.to_owned()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn health_names_who_is_not_well_and_fails_only_for_a_required_one() {
        for (required, status) in [(false, 200), (true, 503)] {
            let (host, sink) = host(required).await;
            until_healthz_says(&host, (200, "ok\n")).await;
            *sink.0.lock().unwrap() = Health::Degraded { why: "/secret/place is slow".into() };
            until_healthz_says(&host, (200, "degraded\ntelemetry.sink: degraded\n")).await;
            *sink.0.lock().unwrap() = Health::Failed { why: "/secret/place is gone".into() };
            until_healthz_says(&host, (status, "degraded\ntelemetry.sink: failed\n")).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn plugins_are_listed_and_strangers_are_not_told_why() {
        let (host, sink) = host(false).await;
        *sink.0.lock().unwrap() = Health::Failed { why: "/secret/place is gone".into() };
        until_healthz_says(&host, (200, "degraded\ntelemetry.sink: failed\n")).await;
        let (_, here) = host.get("api/v1/plugins", &[]).await;
        let all: serde_json::Value = serde_json::from_str(&here).unwrap();
        let one = &all[0];
        assert_eq!((&one["kind"], &one["name"], &one["plugin"]), (&"telemetry".into(), &"sink".into(), &"fake".into()));
        assert_eq!((&one["state"], &one["why"]), (&"failed".into(), &"/secret/place is gone".into()));
        assert!(
            one["since_us"].as_u64().unwrap() > 0 && one["origin"] == "/secret/place" && one["counters"].is_object()
        );
        let (status, elsewhere) = host.get("api/v1/plugins", &[("x-forwarded-for", "192.0.2.1")]).await;
        assert!(status == 401 && !elsewhere.contains("failed"), "{elsewhere}");
        let token = format!("Bearer {}", host.shared.dashboard.login.guest_token());
        let (_, guest) = host.get("api/v1/plugins", &[("authorization", &token)]).await;
        assert!(guest.contains("\"failed\"") && !guest.contains("secret"), "{guest}");
        let (_, metrics) = host.get("metrics", &[]).await;
        let line = "peerstream_plugin_state{kind=\"telemetry\",name=\"sink\",state=\"failed\"} 1\n";
        assert!(metrics.contains(line) && metrics.contains("\npeerstream_accept_failures_total 0\n"), "{metrics}");
    }
}
