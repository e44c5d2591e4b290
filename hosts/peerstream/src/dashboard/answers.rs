//! Logging in and out, and what a page wants to know once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use peerstream::broadcast;
use peerstream::clock::wall;
use peerstream::traits::ingest::Instruction;
use serde::{Deserialize, Serialize};

use super::login::{Login, Refused, Role, SESSION};
use super::visitor::{is_own_page, refuse};
use crate::admission::network_name;
use crate::server::Shared;

/// What somebody shows to be let in.
#[derive(Deserialize)]
struct Shown {
    /// The password, or a token.
    secret: String,
}

/// The answer of `/api/v1/dashboard/session`.
#[derive(Serialize)]
struct Session {
    role: Role,
    title: Option<String>,
    publisher: String,
    epoch: u64,
    kind: &'static str,
    mime: Option<String>,
    /// Megabits per second for viewers that the source feeds itself; 0 for two viewers.
    budget_mbps: u32,
    /// Why the input failed, for the streamer.
    problem: Option<String>,
    /// The token of the read-only link, for the streamer.
    link: Option<String>,
    /// Who is on air, for the streamer: it names addresses.
    on_air: Option<String>,
    /// Publications so far, and those refused because another one was on air.
    publications: u64,
    refused: u64,
    /// What the streamer was told about the input.
    advice: Vec<String>,
    /// Programs and what to type into them to go on air, for the streamer: it holds keys.
    instructions: Vec<[String; 2]>,
}

/// `POST /api/v1/dashboard/login` with `{"secret": "..."}`: a cookie, and the role.
pub async fn login(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !is_own_page(&headers) {
        return (StatusCode::FORBIDDEN, "not from the dashboard's own page\n").into_response();
    }
    let_in(&shared.dashboard.login, &shared, address, &headers, &body, Role::Guest)
}

/// Lets somebody in who shows what this role or a higher one needs, and gives them a cookie.
pub fn let_in(
    login: &Login,
    shared: &Shared,
    address: SocketAddr,
    headers: &HeaderMap,
    body: &[u8],
    least: Role,
) -> Response {
    let Ok(Shown { secret }) = serde_json::from_slice(body) else {
        return (StatusCode::BAD_REQUEST, "expected {\"secret\": \"...\"}\n").into_response();
    };
    let entered = login.enter(&secret, &network_name(address.ip()), Instant::now());
    match entered.and_then(|role| if role >= least { Ok(role) } else { Err(Refused::Wrong) }) {
        Ok(role) => {
            let cookie = cookie(login.cookie_name(), &login.cookie(role, wall()), SESSION.as_secs(), headers);
            ([(SET_COOKIE, cookie)], Json(serde_json::json!({ "role": role }))).into_response()
        }
        Err(refused) => {
            shared.counters.login_refused();
            refuse(refused)
        }
    }
}

/// Takes the cookie away.
pub fn let_out(login: &Login, headers: &HeaderMap) -> Response {
    let cookie = cookie(login.cookie_name(), "", 0, headers);
    (StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response()
}

/// `POST /api/v1/dashboard/logout`: the cookie is gone.
pub async fn logout(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if !is_own_page(&headers) {
        return (StatusCode::FORBIDDEN, "not from the dashboard's own page\n").into_response();
    }
    let_out(&shared.dashboard.login, &headers)
}

/// Not for scripts, not for other sites, and not over plain HTTP when it came over TLS.
fn cookie(name: &str, value: &str, seconds: u64, headers: &HeaderMap) -> String {
    let secure = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// `GET /api/v1/dashboard/session`: who asks, and what does not change every second.
pub async fn session(State(shared): State<Arc<Shared>>, Extension(role): Extension<Role>) -> Response {
    let broadcast = &shared.broadcast;
    let owner = role == Role::Owner;
    let problem = match &*broadcast.state().borrow() {
        broadcast::State::Failed(why) | broadcast::State::TakenDown(why) if owner => Some(why.clone()),
        _ => None,
    };
    let billing = broadcast.billing();
    Json(Session {
        role,
        title: shared.title.clone(),
        publisher: broadcast.publisher().to_string(),
        epoch: broadcast.epoch().0,
        kind: match broadcast.kind() {
            peerstream::protocol::segment::Kind::Media => "media",
            peerstream::protocol::segment::Kind::Data => "data",
        },
        mime: broadcast.mime(),
        budget_mbps: shared.dashboard.budget_mbps,
        problem,
        link: owner.then(|| shared.dashboard.login.guest_token().to_owned()),
        on_air: billing.on_air.filter(|_| owner && *broadcast.state().borrow() == broadcast::State::Live),
        publications: billing.publications,
        refused: billing.refused,
        instructions: shared
            .dashboard
            .instructions
            .iter()
            .filter(|_| owner)
            .map(|Instruction { program, text }| [program.clone(), text.clone()])
            .collect(),
        advice: if owner { broadcast.advice() } else { Vec::new() },
    })
    .into_response()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use serde_json::{Value, json};

    use super::super::visitor::OWN_PAGE;
    use crate::world::Host;

    const OWN: (&str, &str) = (OWN_PAGE, "1");

    async fn log_in(host: &Host, secret: &str) -> (u16, String) {
        let body = json!({ "secret": secret }).to_string().into_bytes();
        let (status, _, cookie) = host.post_with("api/v1/dashboard/login", &[OWN], body).await;
        (status, cookie.split(';').next().unwrap_or_default().to_owned())
    }

    async fn session(host: &Host, headers: &[(&str, &str)]) -> Value {
        let (status, body) = host.get("api/v1/dashboard/session", headers).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    fn tokens(host: &Host) -> (String, String) {
        let login = &host.shared.dashboard.login;
        (login.owner_token().unwrap().to_owned(), login.guest_token().to_owned())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_login_gives_a_cookie_that_scripts_and_other_sites_cannot_use() {
        let host = Host::start(|_| {}).await;
        let body = json!({ "secret": tokens(&host).0 }).to_string().into_bytes();
        let (status, told, cookie) = host.post_with("api/v1/dashboard/login", &[OWN], body).await;
        assert_eq!((status, told.as_str()), (200, "{\"role\":\"owner\"}"));
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains("Secure"));
        let cookie = cookie.split(';').next().unwrap();
        let session = session(&host, &[("cookie", &format!("other=1; {cookie}"))]).await;
        assert_eq!((&session["role"], &session["link"]), (&json!("owner"), &json!(tokens(&host).1)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn behind_tls_the_cookie_does_not_go_over_plain_http() {
        let host = Host::start(|_| {}).await;
        let body = json!({ "secret": tokens(&host).0 }).to_string().into_bytes();
        let headers = [OWN, ("x-forwarded-proto", "https")];
        assert!(host.post_with("api/v1/dashboard/login", &headers, body).await.2.contains("Secure"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_guest_sees_the_board_and_not_the_link() {
        let host = Host::start(|_| {}).await;
        let (status, cookie) = log_in(&host, &tokens(&host).1).await;
        assert_eq!(status, 200);
        let session = session(&host, &[("cookie", &cookie)]).await;
        assert_eq!((&session["role"], &session["link"]), (&json!("guest"), &Value::Null));
        assert_eq!(host.get("api/v1/dashboard/nodes/source", &[("cookie", &cookie)]).await.0, 200);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_a_login_nothing_is_told_and_guesses_are_bounded() {
        let host = Host::start(|_| {}).await;
        for path in ["session", "feed", "nodes/source"] {
            let path = format!("api/v1/dashboard/{path}");
            for header in [("x-forwarded-for", "192.0.2.1"), ("sec-fetch-site", "same-origin")] {
                assert_eq!(host.get(&path, &[header]).await.0, 401, "{path} {header:?}");
            }
        }
        assert_eq!(session(&host, &[]).await["role"], "guest", "a program on this machine");
        for path in ["end", "restart"] {
            assert_eq!(host.post_with(&format!("api/v1/dashboard/{path}"), &[OWN], vec![]).await.0, 401);
        }
        for _ in 0..super::super::login::TRIES.0 {
            assert_eq!(log_in(&host, "guess").await.0, 401);
        }
        assert_eq!(log_in(&host, "guess").await.0, 429);
        assert_eq!(log_in(&host, &tokens(&host).0).await.0, 200, "nobody locks out who has a token");
        let refused = host.get("metrics", &[]).await.1;
        assert!(refused.contains("\npeerstream_login_refusals_total 11\n"), "{refused}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn other_pages_cannot_log_in_and_read_nothing() {
        let host = Host::start(|_| {}).await;
        let body = json!({ "secret": tokens(&host).0 }).to_string().into_bytes();
        let path = "api/v1/dashboard/login";
        assert_eq!(host.post_with(path, &[], body.clone()).await.0, 403);
        assert_eq!(host.post_with(path, &[OWN, ("origin", "http://elsewhere.example")], body).await.0, 403);
        let foreign = [("origin", "http://elsewhere.example")];
        for path in ["api/v1/overlay", "api/v1/nodes/source", "api/v1/plugins", "metrics"] {
            assert_eq!(host.get(path, &foreign).await.0, 401, "{path}");
            assert_eq!(host.get(path, &[]).await.0, 200, "{path}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_feed_tells_everything_and_then_changes() {
        let host = Host::start(|_| {}).await;
        let (token, url) = (tokens(&host).1, host.url.clone());
        let read = move || {
            let address = url.strip_prefix("http://").unwrap().trim_end_matches('/');
            let mut socket = std::net::TcpStream::connect(address).unwrap();
            let head = format!("host: {address}\r\nauthorization: Bearer {token}\r\n\r\n");
            write!(socket, "GET /api/v1/dashboard/feed HTTP/1.1\r\n{head}").unwrap();
            let mut text = String::new();
            let mut buffer = [0; 4096];
            while text.matches("\n\n").count() < 3 {
                let len = socket.read(&mut buffer).unwrap();
                assert!(len > 0, "it ends: {text}");
                text.push_str(&String::from_utf8_lossy(&buffer[..len]));
            }
            text
        };
        let text = tokio::task::spawn_blocking(read).await.unwrap();
        assert!(text.to_lowercase().contains("content-type: text/event-stream"), "{text}");
        assert!(!text.to_lowercase().contains("access-control-allow-origin"), "{text}");
        let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
        let messages: Vec<_> = messages.collect();
        assert_eq!(messages[0]["all"], true);
        let told = messages.iter().filter_map(|message| message["put"].as_array()).flatten();
        assert!(told.into_iter().any(|node| node[1] == "s"), "{messages:?}");
        assert_eq!(messages.last().unwrap()["sums"]["viewers"], 0);
    }
}
