//! The command line: keys, configs, ports, addresses, and what is said when they are wrong.

mod common;

use std::fs;
use std::net::TcpListener;

use common::{Server, check_fails, run};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn keygen_writes_a_private_key_once_and_shows_the_public_one() {
    let folder = folder();
    let path = folder.path().join("publisher.key");
    let output = run(&["keygen", text(&path)]);
    let public = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert_eq!(public.trim().len(), 64);
    assert!(fs::read_to_string(&path).unwrap().contains(public.trim()));
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&path).unwrap()) & 0o777, 0o600);
    check_fails(&["keygen", text(&path)], 1, &["exists already", text(&path)]);
}

#[cfg(unix)]
#[test]
fn key_that_others_can_read_is_refused_with_the_remedy() {
    let folder = folder();
    let path = folder.path().join("key");
    run(&["keygen", text(&path)]);
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    check_fails(&["serve", "--key", text(&path)], 1, &["chmod 600", text(&path)]);
}

#[test]
fn key_that_is_none_is_refused() {
    let folder = folder();
    let path = folder.path().join("key");
    run(&["keygen", text(&path)]);
    fs::write(&path, "hello\n").unwrap();
    check_fails(&["serve", "--key", text(&path)], 1, &["line 1", "64 hexadecimal digits"]);
    check_fails(&["serve", "--key", text(folder.path())], 1, &["not a regular file"]);
}

#[test]
fn second_broadcast_with_the_same_key_is_refused() {
    let server = Server::data(&[]);
    let key = server.folder.path().join("key");
    check_fails(&["serve", "--listen", "127.0.0.1:0", "--key", text(&key)], 1, &["in use", "--key"]);
}

#[test]
fn port_in_use_is_named_with_a_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = folder();
    let key = folder.path().join("key");
    let arguments = ["serve", "--listen", &address.to_string(), "--key", text(&key)];
    check_fails(&arguments, 1, &[&format!("port {} is in use", address.port()), "--listen"]);
}

#[test]
fn config_mistakes_are_named_with_file_line_and_alternatives() {
    let folder = folder();
    let path = folder.path().join("peerstream.toml");
    let check = |config: &str, words: &[&str]| {
        fs::write(&path, config).unwrap();
        check_fails(&["serve", "--config", text(&path)], 2, &[&[text(&path)], words].concat());
    };
    check("[serve]\n\nlsiten = \"x\"\n", &[":3:1", "lsiten", "did you mean `listen`?"]);
    check("[strategy]\nuse = \"mesh\"\n", &[":2:7", "mesh", "available: dumbbell"]);
    check("[transport]\nuse = \"quic\"\n", &[":2:7", "quic", "available: webrtc"]);
    check("[ingest.x]\nuse = \"hls\"\n", &[":2:7", "hls", "available: clip, ", "pipe"]);
    check("[transport.config]\nwindow_bytes = 1\n", &["window_bytes", "65536"]);
    check("[transport.config]\nwindwo_bytes = 1\n", &["windwo_bytes", "did you mean `window_bytes`?"]);
    check("[ingest.pipe]\nuse = \"pipe\"\nconfig.kind = \"text\"\n", &["`ingest.pipe.config.kind`", "text", "`media`"]);
    check("[strategy]\nfallback = \"dumbel\"\n", &[":2:12", "to fall back on", "did you mean `dumbbell`?"]);
    let load = "[plugins]\ndirs = [\"x\"]\nrequire = \"none\"\n[plugins.load.acme]\nfile = \"acme.so\"\n";
    check(load, &["PS0201", "acme.so", "not found in x", "PS0192", "1 error, 1 warning"]);
    check_fails(&["serve", "--config", "/nowhere/x.toml"], 2, &["/nowhere/x.toml", "cannot be read"]);
}

#[test]
fn all_mistakes_are_told_at_once_with_their_codes() {
    let folder = folder();
    let path = folder.path().join("peerstream.toml");
    fs::write(&path, "[serve]\nlsiten = 1\n[limits]\nnodes = -1\n[strategy]\nuse = \"dumbell\"\n").unwrap();
    check_fails(&["check", text(&path)], 2, &["PS0112", "PS0130", "PS0105", "3 errors"]);
    let output = run(&["check", text(&path), "--format", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["errors"], 3);
    assert_eq!(
        (document["diagnostics"][0]["line"].as_u64(), &document["diagnostics"][0]["code"]),
        (Some(2), &"PS0112".into())
    );
}

#[test]
fn flags_override_set_which_overrides_the_environment_which_overrides_files() {
    let folder = folder();
    let (first, second) = (folder.path().join("1.toml"), folder.path().join("2.toml"));
    fs::write(&first, "[limits]\nnodes = 1\nconnections = 1\njoins_per_address_burst = 1\n").unwrap();
    fs::write(&second, "[limits]\nconnections = 2\n").unwrap();
    let mut show = common::command();
    show.args(["config", "show", "--origins", "--config", text(&first), "--config", text(&second)]);
    show.args(["--set", "limits.joins_per_address_burst=4"]).env("PEERSTREAM_LIMITS__JOINS_PER_ADDRESS_BURST", "3");
    show.env("PEERSTREAM_LIMITS__NODES", "3");
    let shown = String::from_utf8(show.output().unwrap().stdout).unwrap();
    for (line, origin) in [
        ("nodes = 3 ", "environment variable PEERSTREAM_LIMITS__NODES, overrides"),
        ("connections = 2 ", "2.toml:2:15, overrides"),
        ("joins_per_address_burst = 4 ", "--set limits.joins_per_address_burst, overrides environment variable"),
    ] {
        let found = shown.lines().find(|shown| shown.starts_with(line)).unwrap_or_else(|| panic!("{line}: {shown}"));
        assert!(found.contains(origin), "{found}");
    }
    let wrong = ["serve", "--set", "serve.linger_s=1", "--linger", "2", "--input", "", "--config", text(&first)];
    check_fails(&wrong, 2, &["`ingest.pipe.config.input` is empty", "set by --input"]);
}

#[test]
fn a_config_is_checked_and_its_plugins_are_probed() {
    let folder = folder();
    let path = folder.path().join("peerstream.toml");
    fs::write(&path, "[ingest.file]\nuse = \"pipe\"\nconfig.input = \"/nowhere/x.mp4\"\n").unwrap();
    assert!(run(&["check", text(&path)]).status.success());
    check_fails(
        &["check", text(&path), "--probe"],
        5,
        &["ingest", "/nowhere/x.mp4", "transport `transport` (webrtc): ready"],
    );
}

#[test]
fn plugins_are_listed_and_described() {
    let list = run(&["plugins", "list", "--json", "--kind", "ingest"]);
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    let names: Vec<_> = list.as_array().unwrap().iter().map(|plugin| plugin["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"clip") && names.contains(&"pipe"), "{names:?}");
    let described = String::from_utf8(run(&["plugins", "describe", "strategy/dumbbell"]).stdout).unwrap();
    assert!(described.contains("roots  (integer 1–2, default 2)"), "{described}");
    check_fails(&["plugins", "describe", "strategy/dumbell"], 2, &["did you mean `dumbbell`?"]);
    check_fails(&["plugins", "describe", "dumbbell"], 2, &["KIND/NAME"]);
}

#[test]
fn a_config_to_begin_with_is_valid() {
    let folder = folder();
    let path = folder.path().join("peerstream.toml");
    fs::write(&path, run(&["config", "init"]).stdout).unwrap();
    assert!(run(&["check", text(&path), "--deny-warnings"]).status.success());
    let schema: serde_json::Value = serde_json::from_slice(&run(&["config", "schema"]).stdout).unwrap();
    assert!(schema["properties"]["strategy"].is_object());
}

#[test]
fn input_that_is_not_there_is_said_at_once() {
    let folder = folder();
    let key = folder.path().join("key");
    let listen = ["serve", "--listen", "127.0.0.1:0", "--key", text(&key), "--input", "/nowhere/x.mp4"];
    let output = run(&listen);
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("/nowhere/x.mp4"), "{log}");
}

#[test]
fn address_that_leads_nowhere_is_refused() {
    check_fails(&["watch", "example.org:8080"], 1, &["http://example.org:8080"]);
    check_fails(&["watch", "http://127.0.0.1:1/"], 1, &["127.0.0.1", "cannot be reached"]);
    check_fails(&["watch", "http://127.0.0.1:1/", "--publisher", "abc"], 2, &["64 hexadecimal digits"]);
    check_fails(&["relay", "http://127.0.0.1:1/#abc"], 1, &["not a publisher's key"]);
}

#[test]
fn host_that_is_no_peerstream_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            use std::io::{Read, Write};
            let mut socket = socket;
            let _ = socket.read(&mut [0; 4096]);
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
        }
    });
    check_fails(&["watch", &url], 1, &["no peerstream", &url]);
}

#[test]
fn publisher_other_than_the_pinned_one_is_refused() {
    let server = Server::data(&[]);
    let pin = format!("{}#{}", server.url, "ab".repeat(32));
    check_fails(&["watch", &pin], 1, &["another publisher", "nothing was accepted"]);
}
