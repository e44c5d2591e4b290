//! The web server: pages, API, metrics, control connections.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::{Server, get};

/// A request by hand: the head and the body of the answer.
fn request(server: &Server, method: &str, path: &str, headers: &[&str]) -> (String, Vec<u8>) {
    let host = server.url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let mut socket = TcpStream::connect(host).unwrap();
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    write!(socket, "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n").unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("the head ends");
    (String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase(), answer[end + 4..].to_vec())
}

#[track_caller]
fn check_header(head: &str, line: &str) {
    assert!(head.lines().any(|found| found == line), "`{line}` is not in:\n{head}");
}

#[test]
fn api_describes_the_stream_and_its_overlay() {
    let mut server = Server::data(&[]);
    let stream = |server: &Server| -> serde_json::Value {
        serde_json::from_str(&get(&format!("{}api/v1/stream", server.url)).1).unwrap()
    };
    let facts = stream(&server);
    assert_eq!(facts["publisher"].as_str().unwrap().len(), 64);
    assert_eq!((facts["kind"].as_str(), facts["state"].as_str()), (Some("data"), Some("waiting")));
    server.write(&[1; 20_000]);
    common::until("the stream is live", || stream(&server)["state"] == "live");
    server.input = None;
    common::until("the stream has ended", || stream(&server)["state"] == "ended");
    let overlay = server.overlay();
    assert_eq!((overlay["strategy"].as_str(), overlay["members"].as_u64()), (Some("dumbbell"), Some(0)));
}

#[test]
fn a_node_has_a_story_and_a_stranger_has_none() {
    let server = Server::data(&[]);
    let (status, story) = get(&format!("{}api/v1/nodes/source", server.url));
    let story: serde_json::Value = serde_json::from_str(&story).unwrap();
    assert_eq!((status, story["id"].as_str(), story["now"]["role"].as_str()), (200, Some("source"), Some("Source")));
    assert_eq!(get(&format!("{}api/v1/nodes/n99", server.url)).0, 404);
    assert!(server.metric("peerstream_coordinator_bytes_in_total") > 0);
}

#[test]
fn health_and_metrics_answer() {
    let server = Server::data(&[]);
    assert_eq!(get(&format!("{}healthz", server.url)), (200, "ok\n".into()));
    assert_eq!(server.metric("peerstream_live"), 0);
    assert_eq!(server.metric("peerstream_nodes"), 0);
    assert_eq!(server.metric("peerstream_control_connections_total"), 1);
    let (head, _) = request(&server, "GET", "/metrics", &[]);
    check_header(&head, "content-type: text/plain; version=0.0.4; charset=utf-8");
}

#[test]
fn any_page_may_read_what_the_player_needs() {
    let server = Server::data(&[]);
    let from_elsewhere = |path| request(&server, "GET", path, &["origin: https://elsewhere.example"]).0;
    for path in ["/", "/api/v1/stream", "/healthz", "/nothing"] {
        check_header(&from_elsewhere(path), "access-control-allow-origin: *");
    }
    for path in ["/api/v1/overlay", "/api/v1/plugins", "/metrics", "/api/v1/dashboard/session"] {
        assert!(from_elsewhere(path).starts_with("http/1.1 401"), "{path}");
    }
    check_header(&from_elsewhere("/dashboard"), "x-frame-options: deny");
}

#[test]
fn files_have_types_and_tags_and_are_not_sent_twice() {
    let server = Server::data(&[]);
    let (head, page) = request(&server, "GET", "/", &[]);
    check_header(&head, "content-type: text/html; charset=utf-8");
    assert!(!page.is_empty());
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    let (head, body) = request(&server, "GET", "/", &[&format!("if-none-match: {tag}")]);
    assert!(head.starts_with("http/1.1 304") && body.is_empty(), "{head}");
    let (head, body) = request(&server, "HEAD", "/", &[]);
    check_header(&head, &format!("content-length: {}", page.len()));
    assert!(head.starts_with("http/1.1 200") && body.is_empty(), "{head}");
    assert!(request(&server, "GET", "/dashboard", &[]).0.starts_with("http/1.1 200"));
    assert!(request(&server, "GET", "/../Cargo.toml", &[]).0.starts_with("http/1.1 404"));
    assert!(request(&server, "POST", "/", &[]).0.starts_with("http/1.1 405"));
}

#[test]
fn the_module_travels_compressed_and_is_kept_for_good_where_it_is_asked_for_by_version() {
    let server = Server::data(&[]);
    let page = String::from_utf8(request(&server, "GET", "/", &[]).1).unwrap();
    let asked = page.split_once("./peerstream.wasm?").unwrap().1.split('"').next().unwrap().to_owned();
    let size = |head: &str| -> usize {
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap()
    };
    let module = |query: &str, coding: &str| {
        let coding = format!("accept-encoding: {coding}");
        request(&server, "HEAD", &format!("/peerstream.wasm{query}"), &[&coding]).0
    };
    let (plain, zipped) = (module("", "identity, gzip;q=0"), module("", "deflate, gzip;q=0.8, br"));
    assert!(size(&zipped) * 2 < size(&plain), "{zipped}");
    check_header(&zipped, "content-encoding: gzip");
    assert!(!plain.contains("content-encoding"), "{plain}");
    for head in [&plain, &zipped] {
        check_header(head, "content-type: application/wasm");
        check_header(head, "vary: accept-encoding");
        check_header(head, "cache-control: no-cache");
    }
    check_header(&module(&format!("?{asked}"), "gzip"), "cache-control: public, max-age=31536000, immutable");
    check_header(&module("?v=000000000000", "gzip"), "cache-control: no-cache");
    let tag = zipped.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    assert_ne!(Some(tag), plain.lines().find_map(|line| line.strip_prefix("etag: ")));
    let known = format!("if-none-match: {tag}");
    let (head, _) = request(&server, "GET", "/peerstream.wasm", &["accept-encoding: gzip", &known]);
    assert!(head.starts_with("http/1.1 304"), "{head}");
}

fn open_control(server: &Server) -> TcpStream {
    let host = server.url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let mut socket = TcpStream::connect(host).unwrap();
    let key = "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
    write!(
        socket,
        "GET /api/v1/control HTTP/1.1\r\nhost: {host}\r\nupgrade: websocket\r\nconnection: upgrade\r\n{key}\r\n\r\n"
    )
    .unwrap();
    let mut answer = [0; 1024];
    let len = socket.read(&mut answer).unwrap();
    assert!(answer[..len].starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer[..len]));
    socket
}

/// Seconds until the server ends the connection.
fn time_to_end(mut socket: TcpStream) -> f32 {
    let start = Instant::now();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut rest = Vec::new();
    // A reset is an end, too; only running out of patience is not.
    if let Err(error) = socket.read_to_end(&mut rest) {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "the connection stays open");
    }
    start.elapsed().as_secs_f32()
}

#[test]
fn control_connection_without_a_greeting_is_closed_after_five_seconds() {
    let server = Server::data(&[]);
    let seconds = time_to_end(open_control(&server));
    assert!((4.0..8.0).contains(&seconds), "{seconds}");
    assert_eq!(server.metric("peerstream_coordinator_hello_timeouts_total"), 1);
}

#[test]
fn control_message_beyond_its_bound_ends_the_connection() {
    let server = Server::data(&[]);
    let mut socket = open_control(&server);
    // A masked binary frame that announces 64 KiB.
    let mut frame = vec![0x82, 0xff];
    frame.extend(65_536_u64.to_be_bytes());
    frame.extend([0; 4]);
    frame.resize(frame.len() + 65_536, 7);
    let _ = socket.write_all(&frame);
    assert!(time_to_end(socket) < 3.0);
    assert_eq!(get(&format!("{}healthz", server.url)).0, 200);
}

#[test]
fn connections_from_one_address_have_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("few.toml");
    std::fs::write(&config, "[stun]\nenabled = false\n[limits]\nconnections_per_address = 2\n").unwrap();
    let server = Server::start(&["--kind", "data", "--config", config.to_str().unwrap()]);
    let _open = [open_control(&server), open_control(&server)];
    let upgrade = ["upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="];
    let host = server.url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let mut socket = TcpStream::connect(host).unwrap();
    write!(
        socket,
        "GET /api/v1/control HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n{}\r\n\r\n",
        upgrade.join("\r\n")
    )
    .unwrap();
    let mut answer = [0; 64];
    let len = socket.read(&mut answer).unwrap();
    assert!(answer[..len].starts_with(b"HTTP/1.1 429"), "{}", String::from_utf8_lossy(&answer[..len]));
    assert_eq!(server.metric("peerstream_address_refusals_total"), 1);
}
