//! One scenario both ways: real native nodes on emulated wires, and the same in the lab. Needs root and iproute2.
//!
//!     cargo build --release
//!     PEERSTREAM_BIN=target/release/peerstream cargo test --release --test truth -- --ignored --nocapture
//!
//! `PEERSTREAM_WATCHERS` (50), `PEERSTREAM_SECONDS` (60) and `PEERSTREAM_KILLS` (6) scale it.

#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc;
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use common::wires::{Hosts, Wires};
use common::{Process, command, get, noise, until};

/// Bytes of one record, one segment each; it begins with the microseconds at which it was written.
const RECORD: usize = 16 * 1024;
const PERIOD: Duration = Duration::from_millis(100);
/// From the last join to the first record that counts.
const SETTLE: Duration = Duration::from_secs(5);
const WIRES: Wires = Wires { delay: Duration::from_millis(25), uplink: 10e6 };

struct Scale {
    watchers: usize,
    seconds: u64,
    kills: usize,
}

/// Lags of each level in milliseconds, and records that survivors did not get.
#[derive(Debug, Default)]
struct Outcome {
    lags: BTreeMap<u32, Vec<f64>>,
    lost: u64,
}

impl Outcome {
    fn print(&mut self, name: &str) {
        for (level, lags) in &mut self.lags {
            lags.sort_by(f64::total_cmp);
            let at = |part: f64| lags[((lags.len() - 1) as f64 * part) as usize];
            println!("{name}: level {level}: {} segments, p50 {:.1} ms, p95 {:.1} ms", lags.len(), at(0.5), at(0.95));
        }
        println!("{name}: {} segments lost", self.lost);
    }
}

/// One record as a watcher got it.
struct Arrival {
    index: u64,
    at: Duration,
    lag: Duration,
}

fn read(mut stdout: ChildStdout, origin: Instant) -> Vec<Arrival> {
    let mut all = Vec::new();
    let mut record = vec![0; RECORD];
    while stdout.read_exact(&mut record).is_ok() {
        let number = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().unwrap());
        let at = origin.elapsed();
        all.push(Arrival { index: number(8), at, lag: at.saturating_sub(Duration::from_micros(number(0))) });
    }
    all
}

/// The level of each node, by name, at a time.
type Levels = BTreeMap<u64, u32>;

fn levels(hosts: &Hosts) -> Levels {
    let overlay = hosts.inside(0, || get("http://10.77.0.1:8080/api/v1/overlay").1);
    let overlay: serde_json::Value = serde_json::from_str(&overlay).unwrap();
    let nodes = overlay["nodes"].as_array().unwrap().iter();
    nodes.filter_map(|node| Some((name(&node["id"])?, node["level"].as_u64()? as u32))).collect()
}

fn name(id: &serde_json::Value) -> Option<u64> {
    id.as_u64().or_else(|| id.as_str()?.strip_prefix('n')?.parse().ok())
}

struct Watcher {
    process: Process,
    name: u64,
    arrivals: JoinHandle<Vec<Arrival>>,
    killed: bool,
}

fn join(hosts: &Hosts, host: usize, known: &Levels, origin: Instant) -> Watcher {
    let mut watch = command();
    watch.args(["watch", "http://10.77.0.1:8080/", "-o", "-"]);
    let mut process = Process::start(&mut hosts.command(host, &watch));
    let stdout = process.child.stdout.take().unwrap();
    let mut name = None;
    until("the watcher is placed", || {
        name = levels(hosts).into_keys().find(|name| !known.contains_key(name));
        name.is_some()
    });
    Watcher { process, name: name.unwrap(), arrivals: spawn(move || read(stdout, origin)), killed: false }
}

/// Writes a record every period until it is told to stop.
fn produce(mut input: ChildStdin, origin: Instant, stopped: &mpsc::Receiver<()>) {
    let mut record = noise(1, RECORD);
    let start = Instant::now();
    for index in 0u32.. {
        let due = (PERIOD * index).saturating_sub(start.elapsed());
        if stopped.recv_timeout(due) != Err(mpsc::RecvTimeoutError::Timeout) {
            return;
        }
        record[..8].copy_from_slice(&(origin.elapsed().as_micros() as u64).to_le_bytes());
        record[8..16].copy_from_slice(&u64::from(index).to_le_bytes());
        std::io::Write::write_all(&mut input, &record).expect("the broadcast takes input");
    }
}

/// A broadcast over wires: the host at host 0, a watcher at each of the others; some are killed, evenly spread.
fn broadcast(scale: &Scale) -> Outcome {
    let hosts = Hosts::new(scale.watchers + 1, WIRES);
    let origin = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let mut serve = command();
    serve.args(["serve", "--kind", "data", "--listen", "10.77.0.1:8080", "--key"]).arg(folder.path().join("key"));
    let mut server = Process::start(hosts.command(0, &serve).stdin(Stdio::piped()));
    let mut first = String::new();
    BufReader::new(server.child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("watch at"), "{first}{}", server.log());
    let input = server.child.stdin.take().unwrap();
    let (stop, stopped) = mpsc::channel();
    let source = spawn(move || produce(input, origin, &stopped));
    let mut watchers: Vec<Watcher> = Vec::new();
    for host in 1..=scale.watchers {
        let known = watchers.iter().map(|watcher| (watcher.name, 0)).chain([(0, 0)]).collect();
        watchers.push(join(&hosts, host, &known, origin));
    }
    sleep(SETTLE);
    let begin = origin.elapsed();
    let samples = observe(&hosts, &mut watchers, scale, origin);
    stop.send(()).unwrap();
    source.join().unwrap();
    sum_up(watchers, begin, &samples)
}

/// Lets time pass; kills; notes the levels every second.
fn observe(hosts: &Hosts, watchers: &mut [Watcher], scale: &Scale, origin: Instant) -> Vec<(Duration, Levels)> {
    let mut samples = Vec::new();
    let apart = scale.seconds / (scale.kills as u64 + 1);
    for second in 0..scale.seconds {
        let kill = (second / apart.max(1)) as usize;
        if second % apart.max(1) == 0 && (1..=scale.kills).contains(&kill) {
            let watcher = &mut watchers[kill * 3 - 2];
            watcher.process.signal("KILL");
            watcher.killed = true;
        }
        samples.push((origin.elapsed(), levels(hosts)));
        sleep(Duration::from_secs(1));
    }
    samples
}

fn sum_up(watchers: Vec<Watcher>, begin: Duration, samples: &[(Duration, Levels)]) -> Outcome {
    let mut outcome = Outcome::default();
    for mut watcher in watchers {
        if !watcher.killed {
            watcher.process.wait();
        }
        drop(watcher.process);
        let arrivals = watcher.arrivals.join().unwrap();
        let ordered = arrivals.windows(2).map(|pair| pair[1].index.saturating_sub(pair[0].index + 1));
        outcome.lost += if watcher.killed { 0 } else { ordered.sum() };
        for arrival in arrivals.iter().filter(|arrival| arrival.at >= begin) {
            let known = samples.iter().rev().find(|(at, _)| *at <= arrival.at);
            if let Some(level) = known.and_then(|(_, levels)| levels.get(&watcher.name)) {
                outcome.lags.entry(*level).or_default().push(arrival.lag.as_secs_f64() * 1_000.0);
            }
        }
    }
    outcome
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
#[ignore = "needs root; a measurement"]
fn the_lab_and_real_nodes_agree() {
    let scale = Scale {
        watchers: setting("PEERSTREAM_WATCHERS", 50) as usize,
        seconds: setting("PEERSTREAM_SECONDS", 60),
        kills: setting("PEERSTREAM_KILLS", 6) as usize,
    };
    broadcast(&scale).print("real");
}
