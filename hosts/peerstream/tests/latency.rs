//! Measures delivery: latency from the source's standard input to each watcher's standard output, and CPU time.
//!
//!     cargo build --release
//!     PEERSTREAM_BIN=target/release/peerstream cargo test --test latency -- --ignored --nocapture
//!
//! `PEERSTREAM_WATCHERS` (50), `PEERSTREAM_MBIT` (4) and `PEERSTREAM_SECONDS` (20) scale it.

mod common;

use std::io::Read;
use std::process::ChildStdout;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use common::{Process, Server, noise};

/// Records per second; each begins with the microseconds at which it was written.
const RECORDS_PER_SECOND: usize = 10;
/// The pipe cuts data into units of this many bytes.
const UNIT: usize = 16 * 1024;
/// The first records find caches cold and links new, and are not counted.
const WARM_UP: usize = RECORDS_PER_SECOND;

struct Scale {
    watchers: usize,
    mbit: f64,
    seconds: usize,
}

fn setting(name: &str, default: f64) -> f64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Reads records to the end: the microseconds each took.
fn latencies(mut stdout: ChildStdout, record: usize, origin: Instant) -> Vec<u64> {
    let mut all = Vec::new();
    let mut buffer = vec![0; record];
    while stdout.read_exact(&mut buffer).is_ok() {
        let sent = u64::from_le_bytes(buffer[..8].try_into().unwrap());
        all.push((origin.elapsed().as_micros() as u64).saturating_sub(sent));
    }
    all
}

fn percentile(sorted: &[u64], part: f64) -> f64 {
    let index = ((sorted.len() - 1) as f64 * part) as usize;
    sorted[index] as f64 / 1000.0
}

fn measure(scale: &Scale) -> Vec<u64> {
    // Whole units of the pipe; the rest of a record would wait there for the next one.
    let record = ((scale.mbit * 1e6 / 8.0) as usize / RECORDS_PER_SECOND).next_multiple_of(UNIT);
    let origin = Instant::now();
    let mut server = Server::data(&[]);
    let mut watchers = Vec::new();
    let mut readers = Vec::new();
    for index in 0..scale.watchers {
        let mut watcher: Process = server.watch(&["-o", "-"]);
        let stdout = watcher.child.stdout.take().unwrap();
        readers.push(spawn(move || latencies(stdout, record, origin)));
        watchers.push(watcher);
        server.wait_for_fed(index + 1);
    }
    let cpu = |server: &Server, watchers: &[Process]| {
        watchers.iter().map(Process::cpu_seconds).sum::<f64>() + server.process.cpu_seconds()
    };
    let before = cpu(&server, &watchers);
    let start = Instant::now();
    let mut bytes = noise(1, record);
    for index in 0..scale.seconds * RECORDS_PER_SECOND {
        let due = Duration::from_secs(1) * index as u32 / RECORDS_PER_SECOND as u32;
        sleep(due.saturating_sub(start.elapsed()));
        bytes[..8].copy_from_slice(&(origin.elapsed().as_micros() as u64).to_le_bytes());
        server.write(&bytes);
    }
    sleep(Duration::from_secs(1));
    let used = cpu(&server, &watchers) - before;
    let depth = server.metric("peerstream_depth");
    server.input = None;
    watchers.iter_mut().for_each(|watcher| assert_eq!(watcher.wait().code(), Some(0)));
    let each: Vec<Vec<u64>> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    let sent = scale.seconds * RECORDS_PER_SECOND;
    let short = each.iter().filter(|one| one.len() < sent).count();
    let gbit = each.iter().map(Vec::len).sum::<usize>() as f64 * record as f64 * 8.0 / 1e9;
    let mut all: Vec<u64> = each.iter().flat_map(|one| one.iter().skip(WARM_UP)).copied().collect();
    all.sort_unstable();
    println!(
        "{} watchers, {} Mbit/s, {} s: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms, {:.2} CPU-s/Gbit, {short} incomplete, depth {}",
        scale.watchers,
        scale.mbit,
        scale.seconds,
        percentile(&all, 0.5),
        percentile(&all, 0.99),
        percentile(&all, 1.0),
        used / gbit,
        depth,
    );
    assert_eq!(short, 0, "every watcher gets every record");
    all
}

#[test]
#[ignore = "a measurement"]
fn latency_and_cpu_time_of_a_tree() {
    measure(&Scale {
        watchers: setting("PEERSTREAM_WATCHERS", 50.0) as usize,
        mbit: setting("PEERSTREAM_MBIT", 4.0),
        seconds: setting("PEERSTREAM_SECONDS", 20.0) as usize,
    });
}

#[test]
fn four_watchers_get_records_within_a_second() {
    let all = measure(&Scale { watchers: 4, mbit: 1.0, seconds: 3 });
    assert!(percentile(&all, 0.5) < 1000.0);
}
