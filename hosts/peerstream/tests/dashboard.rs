//! The dashboard's commands, and the dashboard in a terminal.

mod common;

use common::{Process, Server, command, get, until};

const PASSWORD: &str = "correct horse";

fn post(server: &Server, path: &str) -> (u16, String) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request = agent.post(format!("{}api/v1/dashboard/{path}", server.url)).header("x-peerstream-dashboard", "1");
    let mut response = request.header("authorization", format!("Bearer {PASSWORD}")).send_empty().unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

fn stream(server: &Server) -> serde_json::Value {
    serde_json::from_str(&get(&format!("{}api/v1/stream", server.url)).1).unwrap()
}

fn started(folder: &tempfile::TempDir) -> (Server, std::path::PathBuf) {
    let config = folder.path().join("config.toml");
    std::fs::write(&config, format!("[dashboard]\npassword = \"{PASSWORD}\"\n")).unwrap();
    let server = Server::demo(&["--config", config.to_str().unwrap()]);
    until("the stream is live", || stream(&server)["state"] == "live");
    (server, config)
}

#[test]
fn a_broadcast_ends_and_begins_anew_with_the_config_as_it_is_then() {
    let folder = tempfile::tempdir().unwrap();
    let (server, config) = started(&folder);
    let before = stream(&server);
    assert_eq!(post(&server, "end").0, 204);
    assert_eq!(stream(&server)["state"], "ended");
    assert_eq!(post(&server, "end").0, 204, "an end can be wished twice");
    std::fs::write(&config, "[nonsense]\n").unwrap();
    let (status, why) = post(&server, "restart");
    assert!(status == 409 && why.contains("nonsense"), "{status} {why}");
    assert_eq!(stream(&server)["epoch"], before["epoch"]);
    std::fs::write(&config, format!("[serve]\ntitle = \"anew\"\n[dashboard]\npassword = \"{PASSWORD}\"\n")).unwrap();
    assert_eq!(post(&server, "restart").0, 204);
    // Between the two broadcasts connections wait.
    until("another broadcast is live", || stream(&server)["state"] == "live");
    let after = stream(&server);
    assert_eq!((&after["title"], &after["publisher"]), (&"anew".into(), &before["publisher"]));
    assert!(after["epoch"].as_u64() > before["epoch"].as_u64());
}

#[test]
fn the_health_of_the_input_is_told_in_metrics() {
    let server = Server::demo(&[]);
    until("two key frames have come in", || server.metric("peerstream_input_join_distance_ms") > 0);
    assert!(server.metric("peerstream_input_units_total") >= server.metric("peerstream_input_join_points_total"));
    assert!(server.metric("peerstream_input_bytes_total") > 1_000);
    assert_eq!(server.metric("peerstream_input_oversized_total"), 0);
    assert_eq!(server.metric("peerstream_nodes_relaying"), 0);
}

#[test]
fn viewers_see_the_end_and_those_who_come_later_get_the_new_broadcast() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _) = started(&folder);
    let mut watch = server.watch(&["-o", "/dev/null"]);
    server.wait_for_fed(1);
    assert_eq!(post(&server, "restart").0, 204);
    assert!(watch.wait().success(), "it ends with the stream: {}", watch.log());
    let _again = server.watch(&["-o", "/dev/null"]);
    server.wait_for_fed(1);
}

#[test]
fn without_a_terminal_top_writes_lines_and_a_wrong_token_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _) = started(&folder);
    let top = |flags: &[&str]| Process::start(command().args(["top", "--url", &server.url]).args(flags));
    for flags in [&["--token", PASSWORD][..], &[]] {
        let mut top = top(flags);
        let lines = std::io::BufRead::lines(std::io::BufReader::new(top.child.stdout.take().unwrap()));
        let line = lines.map_while(Result::ok).find(|line| line.starts_with("live viewers=0"));
        assert!(line.is_some_and(|line| line.contains("room=")), "{}", top.log());
    }
    let mut wrong = top(&["--token", "wrong"]);
    assert!(!wrong.wait().success());
    assert!(wrong.log().contains("--token") && !wrong.log().contains("wrong"), "{}", wrong.log());
}
