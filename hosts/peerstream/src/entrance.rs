//! Newcomers ask whether they may join.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use peerstream::plugins::admission::{Answer, Gate};
use peerstream::traits::admission::Task;
use serde::{Deserialize, Serialize};

use crate::admission::network_name;
use crate::server::Shared;

/// Questions from one network at once, and per second after that: a school behind one address joins within seconds.
pub const QUESTIONS: (u32, f64) = (250, 50.0);

/// What a newcomer brings.
#[derive(Debug, Deserialize)]
pub struct Question {
    /// A token, or the answer to a puzzle.
    proof: Option<String>,
}

/// The answer of `/api/v1/admission`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Told {
    /// They may join.
    Allow {
        /// To be shown with every control connection, as `?ticket=`.
        ticket: String,
        /// For so many seconds.
        ttl_s: u64,
    },
    /// They must do something first, and ask again with a proof of it.
    Challenge {
        /// What.
        #[serde(flatten)]
        task: Task,
    },
    /// They may not.
    Deny {
        /// For them to read.
        message: String,
    },
}

/// `GET /api/v1/admission?proof=...`
pub async fn ask(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Query(Question { proof }): Query<Question>,
) -> Response {
    let network = network_name(address.ip());
    if !shared.questions.take(&network, Instant::now()) {
        shared.counters.question_refused();
        return busy();
    }
    match gate(&shared).ask(&network, proof).await {
        Answer::Allow { ticket, ttl_s } => Json(Told::Allow { ticket, ttl_s }).into_response(),
        Answer::Challenge(task) => Json(Told::Challenge { task }).into_response(),
        Answer::Deny(message) => Json(Told::Deny { message }).into_response(),
        Answer::Busy => busy(),
    }
}

fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "2")], "too many ask at once; try again\n").into_response()
}

/// Where newcomers are let in.
pub fn gate(shared: &Shared) -> Gate {
    let plugins = shared.broadcast.plugins();
    plugins.map_or_else(|| Gate::open(shared.broadcast.publisher()), |plugins| plugins.gate().clone())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use peerstream::peer;
    use peerstream::plugins::options;
    use peerstream::traits::{BuildContext, Plugin, Secret};
    use peerstream_admission::token::{Claims, sign};
    use peerstream_admission::{Token, TokenConfig, Work, WorkConfig};

    use super::*;
    use crate::cli::StreamArgs;
    use crate::locate::locate;
    use crate::world::{Host, instance};

    fn secret() -> Secret {
        Secret::new("correct horse battery staple, twice")
    }

    async fn invited() -> Host {
        let config = TokenConfig { secret: secret(), ..TokenConfig::default() };
        let token = Token::build(config, &BuildContext::new("admission")).unwrap();
        let door = instance("admission", Arc::new(token) as _, options::Admission::default());
        Host::start(|plugins| plugins.admission = Some(door)).await
    }

    async fn working() -> Host {
        let work =
            Work::build(WorkConfig { bits: 8, ..WorkConfig::default() }, &BuildContext::new("admission")).unwrap();
        let door = instance("admission", Arc::new(work) as _, options::Admission::default());
        Host::start(|plugins| plugins.admission = Some(door)).await
    }

    fn token() -> String {
        sign(&secret(), &Claims { exp: 4e9, nbf: None, stream: None })
    }

    fn args(host: &Host, token: Option<String>) -> StreamArgs {
        StreamArgs { url: host.url.clone(), publisher: None, token }
    }

    async fn status_of_control(host: &Host, query: &str) -> u16 {
        let headers = [
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        host.get(&format!("api/v1/control{query}"), &headers).await.0
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_host_without_a_policy_lets_everybody_in() {
        let host = Host::start(|_| {}).await;
        assert!(host.get("api/v1/stream", &[]).await.1.contains("\"admission\":\"open\""));
        assert!(host.get("api/v1/admission", &[]).await.1.contains("\"verdict\":\"allow\""));
        assert!(locate(&args(&host, None)).await.is_ok());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_control_connection_needs_a_ticket_where_there_is_a_policy() {
        let host = invited().await;
        assert!(host.get("api/v1/stream", &[]).await.1.contains("\"admission\":\"required\""));
        for query in ["", "?ticket=", "?ticket=ffffffff.00", &format!("?ticket={}", token())] {
            assert_eq!(status_of_control(&host, query).await, 401, "{query}");
        }
        let told: Told = serde_json::from_str(&host.get("api/v1/admission", &[]).await.1).unwrap();
        assert_eq!(told, Told::Challenge { task: Task::Token });
        let told = host.get(&format!("api/v1/admission?proof={}", token()), &[]).await.1;
        let Told::Allow { ticket, .. } = serde_json::from_str(&told).unwrap() else { panic!("{told}") };
        assert!(host.shared.broadcast.plugins().unwrap().gate().admits(Some(&ticket), "127.0.0.1"));
        assert!(host.get("metrics", &[]).await.1.contains("\npeerstream_ticket_refusals_total 4\n"));
    }

    /// A native node joins, with all that is demanded of it.
    async fn check_joins(host: &Host, token: Option<String>) {
        let located = locate(&args(host, token)).await.unwrap();
        assert_eq!(located.publisher, host.publisher());
        let transport = crate::assembly::transport().unwrap();
        let (peer, _deliveries) = peer::spawn(peer::Config::viewer(vec![located.endpoint], transport));
        let joined = async {
            while host.shared.broadcast.hub().overview().await.unwrap().members == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), joined).await.expect("it joins");
        peer.leave().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_native_node_solves_the_puzzle_and_joins() {
        check_joins(&working().await, None).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_native_node_shows_its_token_and_joins() {
        let host = invited().await;
        check_joins(&host, Some(token())).await;
        let error = locate(&args(&host, None)).await.unwrap_err().to_string();
        assert!(error.contains("--token"), "{error}");
        let error = format!("{:#}", locate(&args(&host, Some("hunter2".into()))).await.unwrap_err());
        assert!(error.contains("does not let you in") && !error.contains("hunter2"), "{error}");
    }
}
