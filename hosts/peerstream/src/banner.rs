//! What a broadcaster sees first.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

use peerstream::protocol::crypto::PublicKey;
use peerstream::traits::ingest::Instruction;

use crate::dashboard::Login;

/// Addresses of other networks that are shown.
const LAN_URLS_MAX: usize = 4;

/// Writes a line to standard output; it does not matter whether anybody reads it.
pub fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// What to type to go on air, where to watch, how to pin, how to stop.
pub fn show(listen: SocketAddr, publisher: PublicKey, login: &Login, instructions: &[Instruction]) {
    for Instruction { program, text } in instructions {
        line(&format!("{program}: {}", told(text, listen)));
    }
    let urls = urls(listen);
    let first = &urls[0];
    line(&format!("watch at {first}"));
    for url in &urls[1..] {
        line(&format!("      or {url}  (from other devices)"));
    }
    match login.owner_token() {
        Some(token) => line(&format!("dashboard {first}dashboard#token={token}  (for you alone)")),
        None => line(&format!("dashboard {first}dashboard  (with your password)")),
    }
    line(&format!("publisher {publisher}"));
    line(&format!("in a terminal: peerstream watch '{first}#{publisher}' -o - | vlc -"));
    line("stop with Ctrl-C");
}

/// Where notices are decided.
pub fn show_desk(listen: SocketAddr, login: &Login) {
    let first = &urls(listen)[0];
    match login.owner_token() {
        Some(token) => line(&format!("takedown desk {first}takedown/queue#token={token}  (for the operator alone)")),
        None => line(&format!("takedown desk {first}takedown/queue  (with the operator's password)")),
    }
}

/// An instruction with the address of this machine that others are most likely to reach.
fn told(text: &str, listen: SocketAddr) -> String {
    let reachable = urls(listen).pop().unwrap_or_default();
    let page = reachable.trim_end_matches('/');
    let host = page.trim_start_matches("http://").rsplit_once(':').map_or("", |(host, _)| host);
    text.replace("PAGE", page).replace("HOST", host)
}

fn urls(listen: SocketAddr) -> Vec<String> {
    let url = |address: IpAddr| format!("http://{}/", SocketAddr::new(address, listen.port()));
    if !listen.ip().is_unspecified() {
        return vec![url(listen.ip())];
    }
    let mut urls = vec![url(IpAddr::from([127, 0, 0, 1]))];
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let others = interfaces.iter().map(if_addrs::Interface::ip).filter(|ip| ip.is_ipv4() && !ip.is_loopback());
    urls.extend(others.take(LAN_URLS_MAX).map(url));
    urls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_for_everybody_is_shown_as_one_that_can_be_opened() {
        let urls = urls("0.0.0.0:8080".parse().unwrap());
        assert_eq!(urls[0], "http://127.0.0.1:8080/");
        assert!(urls.iter().all(|url| !url.contains("0.0.0.0")));
    }

    #[test]
    fn instructions_name_this_machine() {
        let text = "server rtmp://HOST:1935/live or PAGE/live";
        let told = told(text, "10.0.0.7:8080".parse().unwrap());
        assert_eq!(told, "server rtmp://10.0.0.7:1935/live or http://10.0.0.7:8080/live");
    }

    #[test]
    fn only_the_address_listened_on_is_shown() {
        assert_eq!(urls("[::1]:80".parse().unwrap()), ["http://[::1]:80/"]);
    }
}
