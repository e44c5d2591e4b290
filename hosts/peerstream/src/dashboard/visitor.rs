//! Who asks, and whether they may have what they ask for.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use peerstream::clock::wall;

use super::login::{Login, Refused, Role};
use crate::admission::network_name;
use crate::server::Shared;

/// Pages of other origins cannot send this header without leave, which nobody gives them.
pub const OWN_PAGE: &str = "x-peerstream-dashboard";

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visitor {
    /// A program on this machine, without a login.
    Here,
    /// Somebody who is logged in.
    LoggedIn(Role),
}

impl Visitor {
    /// May see paths, addresses and reasons.
    pub fn sees_all(self) -> bool {
        self != Self::LoggedIn(Role::Guest)
    }
}

/// Lets those through that are logged in, or ask from this machine where that is enough. Handlers find a [`Visitor`].
pub async fn look(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let here = may_look(&shared, &request);
    match role(&shared, address, request.headers()) {
        Ok(Some(role)) => request.extensions_mut().insert(Visitor::LoggedIn(role)),
        Ok(None) if here => request.extensions_mut().insert(Visitor::Here),
        Ok(None) => return refuse(Refused::Wrong),
        Err(refused) => return refuse(refused),
    };
    next.run(request).await
}

/// Lets those through that are logged in; a program on this machine looks as a guest. Handlers find a [`Role`].
pub async fn enter(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    match role(&shared, address, request.headers()) {
        Ok(Some(role)) => request.extensions_mut().insert(role),
        Ok(None) if may_look(&shared, &request) && !is_browser(request.headers()) => {
            request.extensions_mut().insert(Role::Guest)
        }
        Ok(None) => return refuse(Refused::Wrong),
        Err(refused) => return refuse(refused),
    };
    next.run(request).await
}

/// Lets the streamer through, from the dashboard's own page or a program.
pub async fn command(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    match role(&shared, address, request.headers()) {
        Ok(Some(Role::Owner)) if is_own_page(request.headers()) => next.run(request).await,
        Ok(Some(Role::Owner)) => (StatusCode::FORBIDDEN, "not from the dashboard's own page\n").into_response(),
        Ok(Some(Role::Guest)) => (StatusCode::FORBIDDEN, "this link is for looking only\n").into_response(),
        Ok(None) => refuse(Refused::Wrong),
        Err(refused) => refuse(refused),
    }
}

fn may_look(shared: &Shared, request: &Request) -> bool {
    let near = request.extensions().get::<FromThisMachine>().is_some();
    shared.dashboard.options.open_to_this_machine && near && is_for_itself(request.headers())
}

/// Whether a page asks, which can show a login.
fn is_browser(headers: &HeaderMap) -> bool {
    headers.contains_key("sec-fetch-site")
}

/// As whom somebody is logged in: by a bearer token, else by a cookie.
fn role(shared: &Shared, address: SocketAddr, headers: &HeaderMap) -> Result<Option<Role>, Refused> {
    role_at(&shared.dashboard.login, shared, address, headers)
}

/// The same for another login.
pub fn role_at(
    login: &Login,
    shared: &Shared,
    address: SocketAddr,
    headers: &HeaderMap,
) -> Result<Option<Role>, Refused> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if let Some(token) = bearer {
        let entered = login.enter(token.trim(), &network_name(address.ip()), Instant::now());
        return entered.inspect_err(|_| shared.counters.login_refused()).map(Some);
    }
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let cookie = pairs.find(|(name, _)| *name == login.cookie_name());
    Ok(cookie.and_then(|(_, value)| login.role_of_cookie(value, wall())))
}

/// An answer to those who may not.
pub fn refuse(refused: Refused) -> Response {
    match refused {
        Refused::Wrong => {
            let realm = [(WWW_AUTHENTICATE, "Bearer realm=\"peerstream\"")];
            (StatusCode::UNAUTHORIZED, realm, "log in at /dashboard, or send a token\n").into_response()
        }
        Refused::TooOften => {
            let text = "too many wrong passwords or tokens from your network; try again in a minute\n";
            (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "60")], text).into_response()
        }
    }
}

/// Whether a request was sent by the dashboard's page or by a program, and not by a page of somebody else.
pub fn is_own_page(headers: &HeaderMap) -> bool {
    is_page_of(headers, OWN_PAGE)
}

/// The same for a page that sends another header.
pub fn is_page_of(headers: &HeaderMap, name: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text(ORIGIN.as_str()).map(|origin| origin.split_once("://").map_or("", |(_, host)| host));
    headers.contains_key(name) && (origin.is_none() || origin == text(HOST.as_str()))
}

/// A request that came over a connection from this machine.
#[derive(Clone, Copy, Debug)]
pub struct FromThisMachine;

impl FromThisMachine {
    /// Of a connection between these addresses.
    pub fn of(here: SocketAddr, there: SocketAddr) -> Option<Self> {
        let [here, there] = [here, there].map(|address| address.ip().to_canonical());
        (there.is_loopback() || here == there).then_some(Self)
    }
}

/// Whether a program asks for itself: not a proxy that passes a request on, nor a page in a browser.
fn is_for_itself(headers: &HeaderMap) -> bool {
    const PASSED_ON: [&str; 7] =
        ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "via", "origin"];
    let from_page = headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
    let passed_on = PASSED_ON.iter().any(|name| headers.contains_key(*name));
    !passed_on && !from_page && is_literal(headers)
}

/// Whether the host was named by its address: a page could have its own name lead to this machine.
fn is_literal(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return true };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_a_program_on_this_machine_that_asks_for_itself_is_here() {
        let near =
            |here: &str, there: &str| FromThisMachine::of(here.parse().unwrap(), there.parse().unwrap()).is_some();
        assert!(near("127.0.0.1:80", "127.0.0.1:4000") && near("[::1]:80", "[::1]:4000"));
        assert!(near("[::ffff:192.0.2.1]:80", "192.0.2.1:4000") && !near("192.0.2.1:80", "192.0.2.2:4000"));
        let host = ("host", "127.0.0.1:8080");
        assert!(is_for_itself(&headers(&[host])));
        assert!(is_for_itself(&headers(&[("host", "[::1]:8080")])));
        assert!(is_for_itself(&headers(&[("host", "localhost:8080"), ("sec-fetch-site", "same-origin")])));
        assert!(!is_for_itself(&headers(&[host, ("x-forwarded-for", "192.0.2.1")])));
        assert!(!is_for_itself(&headers(&[host, ("origin", "https://elsewhere.example")])));
        assert!(!is_for_itself(&headers(&[host, ("sec-fetch-site", "cross-site")])));
        assert!(!is_for_itself(&headers(&[("host", "rebound.example:8080")])));
    }

    #[test]
    fn commands_of_other_pages_are_known() {
        let own = (OWN_PAGE, "1");
        assert!(is_own_page(&headers(&[own])));
        assert!(is_own_page(&headers(&[own, ("origin", "http://a:1"), ("host", "a:1")])));
        assert!(!is_own_page(&headers(&[own, ("origin", "http://b:1"), ("host", "a:1")])));
        assert!(!is_own_page(&headers(&[own, ("origin", "null"), ("host", "a:1")])));
        assert!(!is_own_page(&headers(&[])));
    }
}
