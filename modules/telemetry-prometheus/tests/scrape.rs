//! The sink as Debian's Prometheus sees it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::telemetry::{Figure, FigureKind, Record, TelemetrySink, What};
use peerstream_telemetry_prometheus::{Config, Prometheus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(60);

fn figure(name: &str, kind: FigureKind, value: f64, labels: &[(&str, &str)]) -> Record {
    let labels: BTreeMap<_, _> = labels.iter().map(|(label, value)| ((*label).into(), (*value).into())).collect();
    let figure = Figure { name: name.into(), help: format!("help of {name}"), kind, value, labels };
    Record { at_us: 1, what: What::Figure(figure) }
}

async fn sink(listen: &str) -> Prometheus {
    let config = Config { listen: listen.into(), ..Config::default() };
    let sink = Prometheus::build(config, &BuildContext::new("prometheus")).unwrap();
    sink.start().await.unwrap();
    let records = vec![
        figure("nodes", FigureKind::Gauge, 42.0, &[]),
        figure("coordinator_joined", FigureKind::Counter, 1234.0, &[]),
        figure("plugin_state", FigureKind::Gauge, 1.0, &[("name", "odd \"one\"\n"), ("state", "running")]),
    ];
    assert_eq!(sink.write(records.into()).await.unwrap().accepted, 3);
    sink
}

async fn get(address: SocketAddr, path: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Whether a tool is there; a missing one fails where all must be there.
fn has(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    assert!(found || std::env::var_os("PEERSTREAM_REQUIRE_TOOLS").is_none(), "{tool} is missing");
    found
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn prometheus(folder: &Path, target: SocketAddr, listen: SocketAddr) -> Killed {
    let config = folder.join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: peerstream\n  static_configs:\n  - targets: ['{target}']\n"
    );
    std::fs::write(&config, text).unwrap();
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address={listen}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Killed(child)
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_what_was_written() {
    if !has("prometheus") {
        return;
    }
    let sink = sink("127.0.0.1:0").await;
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _prometheus = prometheus(folder.path(), sink.address().unwrap(), free);
    let began = Instant::now();
    for (query, value) in [
        ("peerstream_nodes", "\"42\""),
        ("peerstream_coordinator_joined_total", "\"1234\""),
        ("peerstream_plugin_state%7Bstate=%22running%22%7D", "odd \\\"one\\\"\\n"),
    ] {
        loop {
            let answer = match TcpStream::connect(free).await {
                Ok(_) => get(free, &format!("/api/v1/query?query={query}")).await,
                Err(_) => String::new(),
            };
            if answer.contains(value) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{query}: {answer}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_finds_nothing_wrong() {
    if !has("promtool") {
        return;
    }
    let sink = sink("127.0.0.1:0").await;
    let answer = get(sink.address().unwrap(), "/metrics").await;
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut promtool.stdin.take().unwrap(), page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{}{page}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let first = sink("127.0.0.1:0").await;
    let address = first.address().unwrap().to_string();
    let config = Config { listen: address.clone(), ..Config::default() };
    let second = Prometheus::build(config, &BuildContext::new("second")).unwrap();
    let error = second.start().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Conflict);
    assert!(error.message.contains(&address), "{error}");
    // Stop frees the port, is safe twice, and without a start.
    for sink in [&first, &first, &second] {
        sink.stop(Duration::from_secs(1)).await.unwrap();
    }
    while second.start().await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(second.health(), Health::Ok);
}
