//! One scenario both ways: real native nodes on emulated wires, and the same in the lab. Needs root and iproute2.
//!
//!     cargo build --release
//!     PEERSTREAM_BIN=target/release/peerstream cargo test --release --test truth -- --ignored --nocapture
//!
//! `PEERSTREAM_WATCHERS` (50), `PEERSTREAM_SECONDS` (60) and `PEERSTREAM_KILLS` (6) scale it, `PEERSTREAM_PERIOD_MS` (100) is
//! the time from one record to the next, `PEERSTREAM_SEED` (1) is the lab's.

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
use peerstream_dumbbell::Dumbbell;
use peerstream_lab::data::Data;
use peerstream_lab::scenario::{Class, Delays, Fault, Network, People, Sessions, Stream};
use peerstream_lab::{Report, Scenario};

/// Bytes of one record, one segment each; it begins with the microseconds at which it was written.
const RECORD: usize = 16 * 1024;
/// The source's name.
const SOURCE: u64 = 0;
/// From the last join to the first record that counts.
const SETTLE: Duration = Duration::from_secs(5);
const WIRES: Wires = Wires { delay: Duration::from_millis(25), uplink: 10e6 };

struct Scale {
    watchers: usize,
    seconds: u64,
    kills: usize,
    /// From one record to the next.
    period: Duration,
}

impl Scale {
    /// Seconds from one kill to the next.
    fn apart(&self) -> u64 {
        (self.seconds / (self.kills as u64 + 1)).max(1)
    }

    /// Which watcher dies at a kill, both from 1: every third, and so inner ones.
    fn victim(kill: usize) -> usize {
        kill * 3 - 1
    }
}

/// Lag of one level in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Lag {
    segments: u64,
    p50: f64,
    p95: f64,
}

impl Lag {
    fn of(mut lags: Vec<f64>) -> Self {
        lags.sort_by(f64::total_cmp);
        let at = |part: f64| lags[((lags.len() - 1) as f64 * part) as usize];
        Self { segments: lags.len() as u64, p50: at(0.5), p95: at(0.95) }
    }
}

/// Lag by level, 0 being the roots, and records that watchers did not get.
#[derive(Debug)]
struct Outcome {
    levels: BTreeMap<u32, Lag>,
    lost: u64,
}

impl Outcome {
    fn of_lab(report: &Report) -> Self {
        let levels = report.levels.iter().filter(|level| level.lag_ms.count > 0);
        let lag = |it: &peerstream_lab::report::Quantiles| Lag { segments: it.count, p50: it.p50, p95: it.p95 };
        Self {
            levels: levels.map(|level| (level.level, lag(&level.lag_ms))).collect(),
            lost: report.viewing.segments_lost_for_good,
        }
    }

    /// A table of this and the lab's, with the lab's ratio to this and its difference.
    fn print_beside(&self, lab: &Self) {
        let compare =
            |real: f64, lab: f64| format!("{real:.0} / {lab:.0} ms ({:.2}, {:+.0} ms)", lab / real, lab - real);
        println!("real / lab\n| level | segments | p50 | p95 |\n|---|---|---|---|");
        for level in 0..64 {
            let line = match (self.levels.get(&level), lab.levels.get(&level)) {
                (None, None) => continue,
                (Some(real), Some(lab)) => {
                    let (p50, p95) = (compare(real.p50, lab.p50), compare(real.p95, lab.p95));
                    format!("{} / {} | {p50} | {p95}", real.segments, lab.segments)
                }
                (Some(real), None) => format!("{} / 0 | {:.0} / - | {:.0} / -", real.segments, real.p50, real.p95),
                (None, Some(lab)) => format!("0 / {} | - / {:.0} | - / {:.0}", lab.segments, lab.p50, lab.p95),
            };
            println!("| {level} | {line} |");
        }
        println!("segments lost: {} / {}", self.lost, lab.lost);
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

/// The level at which each node is fed, by name, at a time, 0 being the roots; none while it is fed by nobody known.
type Levels = BTreeMap<u64, Option<u32>>;

/// The levels by who feeds whom as the nodes themselves report it, which may differ from whom they were told to take.
fn levels(hosts: &Hosts) -> Levels {
    let overlay = hosts.inside(0, || get("http://10.77.0.1:8080/api/v1/overlay").1);
    let overlay: serde_json::Value = serde_json::from_str(&overlay).unwrap();
    let feeders = |node: &serde_json::Value| {
        let links = node["links"].as_array().unwrap().iter();
        links.filter(|link| link["feeds_me"] != 0).filter_map(|link| name(&link["peer"])).collect()
    };
    let nodes = overlay["nodes"].as_array().unwrap().iter();
    levels_of(&nodes.filter_map(|node| Some((name(&node["id"])?, feeders(node)))).collect())
}

/// Counts as the lab does: the nearest way up to the source.
fn levels_of(feeders: &BTreeMap<u64, Vec<u64>>) -> Levels {
    let mut hops = BTreeMap::from([(SOURCE, 0)]);
    for above in 0.. {
        let is_above = |feeder| hops.get(feeder) == Some(&above);
        let below = feeders.iter().filter(|(node, of)| !hops.contains_key(node) && of.iter().any(is_above));
        let below: Vec<_> = below.map(|(node, _)| (*node, above + 1)).collect();
        if below.is_empty() {
            break;
        }
        hops.extend(below);
    }
    feeders.keys().map(|node| (*node, hops.get(node).and_then(|hops: &u32| hops.checked_sub(1)))).collect()
}

fn name(id: &serde_json::Value) -> Option<u64> {
    match id.as_str()? {
        "source" => Some(SOURCE),
        name => name.strip_prefix('n')?.parse().ok(),
    }
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

/// Writes a record every so often until it is told to stop.
fn produce(mut input: ChildStdin, period: Duration, origin: Instant, stopped: &mpsc::Receiver<()>) {
    let mut record = noise(1, RECORD);
    let start = Instant::now();
    for index in 0u32.. {
        let due = (period * index).saturating_sub(start.elapsed());
        if stopped.recv_timeout(due) != Err(mpsc::RecvTimeoutError::Timeout) {
            return;
        }
        record[..8].copy_from_slice(&(origin.elapsed().as_micros() as u64).to_le_bytes());
        record[8..16].copy_from_slice(&u64::from(index).to_le_bytes());
        std::io::Write::write_all(&mut input, &record).expect("the broadcast takes input");
    }
}

/// A broadcast over wires: the host at host 0, a watcher at each of the others; some are killed, evenly spread. Tells how
/// long it took until all had joined, too.
fn broadcast(scale: &Scale) -> (Outcome, Duration) {
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
    let period = scale.period;
    let source = spawn(move || produce(input, period, origin, &stopped));
    let (mut watchers, begin_joining) = (Vec::<Watcher>::new(), Instant::now());
    for host in 1..=scale.watchers {
        let known = watchers.iter().map(|watcher| (watcher.name, None)).chain([(SOURCE, None)]).collect();
        watchers.push(join(&hosts, host, &known, origin));
    }
    let joining = begin_joining.elapsed();
    sleep(SETTLE);
    let begin = origin.elapsed();
    let samples = observe(&hosts, &mut watchers, scale, origin);
    stop.send(()).unwrap();
    source.join().unwrap();
    (sum_up(watchers, begin, &samples), joining)
}

/// Lets time pass; kills; notes the levels every second.
fn observe(hosts: &Hosts, watchers: &mut [Watcher], scale: &Scale, origin: Instant) -> Vec<(Duration, Levels)> {
    let mut samples = Vec::new();
    let start = Instant::now();
    for second in 0..scale.seconds {
        sleep(Duration::from_secs(second).saturating_sub(start.elapsed()));
        let kill = (second / scale.apart()) as usize;
        if second % scale.apart() == 0 && (1..=scale.kills).contains(&kill) {
            let watcher = &mut watchers[Scale::victim(kill) - 1];
            watcher.process.signal("KILL");
            watcher.killed = true;
        }
        samples.push((origin.elapsed(), last_known(levels(hosts), samples.last())));
    }
    sleep(Duration::from_secs(scale.seconds).saturating_sub(start.elapsed()));
    samples
}

/// Who is between two feeders counts where it was.
fn last_known(mut now: Levels, before: Option<&(Duration, Levels)>) -> Levels {
    for (node, level) in now.iter_mut().filter(|(_, level)| level.is_none()) {
        *level = before.and_then(|(_, before)| *before.get(node)?);
    }
    now
}

fn sum_up(watchers: Vec<Watcher>, begin: Duration, samples: &[(Duration, Levels)]) -> Outcome {
    let (mut lags, mut lost) = (BTreeMap::<u32, Vec<f64>>::new(), 0);
    for mut watcher in watchers {
        if !watcher.killed {
            watcher.process.wait();
        }
        drop(watcher.process);
        let arrivals = watcher.arrivals.join().unwrap();
        let ordered = arrivals.windows(2).map(|pair| pair[1].index.saturating_sub(pair[0].index + 1));
        lost += if watcher.killed { 0 } else { ordered.sum() };
        for arrival in arrivals.iter().filter(|arrival| arrival.at >= begin) {
            let known = samples.iter().rev().find(|(at, _)| *at <= arrival.at);
            if let Some(level) = known.and_then(|(_, levels)| *levels.get(&watcher.name)?) {
                lags.entry(level).or_default().push(arrival.lag.as_secs_f64() * 1_000.0);
            }
        }
    }
    Outcome { levels: lags.into_iter().map(|(level, lags)| (level, Lag::of(lags))).collect(), lost }
}

/// The same for the lab: as many viewers joining one after the other in the same time, the same ones killed, the same
/// wires. Nobody's line is a bottleneck inwards.
fn scenario(scale: &Scale, joining: Duration) -> Scenario {
    let delay_ms = WIRES.delay.as_secs_f64() * 1e3;
    let uplink_mbps = WIRES.uplink / 1e6;
    let kill = |kill| Fault::Kill { at_s: (kill as u64 * scale.apart()) as f64, viewer: Scale::victim(kill) };
    Scenario {
        name: "truth".to_owned(),
        viewers: scale.watchers,
        minutes: scale.seconds as f64 / 60.0,
        // The lab's audience comes in the first half of it.
        warm_up_s: joining.as_secs_f64().max(SETTLE.as_secs_f64()) * 2.0,
        settle_s: 0.0,
        stream: Stream {
            bitrate_mbps: RECORD as f64 * 8.0 / scale.period.as_secs_f64() / 1e6,
            segment_ms: scale.period.as_millis() as u64,
            pieces: RECORD.div_ceil(4096),
            data: true,
            ..Stream::default()
        },
        network: Network {
            delays: Delays::Uniform { min_ms: delay_ms, max_ms: delay_ms },
            access_ms: [0.0; 2],
            jitter_ms: 0.0,
            classes: vec![Class { uplink_mbps, downlink_mbps: 1e3, ..Class::default() }],
            source_uplink_mbps: uplink_mbps,
            coordinator_ms: [delay_ms; 2],
            // TCP and the upgrade; there is no TLS.
            control_round_trips: 2,
            clock_drift_ppm: 0.0,
            ..Network::default()
        },
        people: People { sessions: Sessions::Stay, ..People::default() },
        faults: (1..=scale.kills).map(kill).collect(),
        ..Scenario::default()
    }
}

fn simulate(scenario: &Scenario) -> Outcome {
    let seed = setting("PEERSTREAM_SEED", 1);
    let report =
        peerstream_lab::run(scenario, &Data::default(), seed, &mut || Box::new(Dumbbell::default()), &mut |_| {});
    Outcome::of_lab(&report.unwrap())
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
        period: Duration::from_millis(setting("PEERSTREAM_PERIOD_MS", 100)),
    };
    let (real, joining) = broadcast(&scale);
    real.print_beside(&simulate(&scenario(&scale, joining)));
}
