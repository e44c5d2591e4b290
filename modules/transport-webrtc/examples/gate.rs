//! The native end of the gate: one link to a browser, one bulk transfer, one line of result.
//!
//! `gate/gate.mjs` runs it. Arguments: `offer|answer send|receive OUR_PORT THEIR_PORT MESSAGE_BYTES SECONDS`. The other
//! side is told that this end lives at 127.0.0.1:OUR_PORT, and this end that the other lives at THEIR_PORT; both are ports of
//! `udp-impair`. Lines in and out are JSON:
//! `{"sdp":"..."}` carries a description, `{"up":MS}` says that the link is open and how long that took, `{"result":{...}}` the
//! figures, and `{"down_ms":MS}` when a receiver noticed that the browser closed.

use std::io::Write;
use std::time::{Duration, Instant};

use bytes::Bytes;
use peerstream_sdk::protocol::signal::{self, Candidate, Signal};
use peerstream_sdk::traits::transport::{EVENT_QUEUE_MAX, IceServers, Lane, Link, LinkEvent, Side, Transport};
use peerstream_transport_webrtc::{Config, WebRtc};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};
use tokio::sync::mpsc;

/// The sender begins this long after the link opened, so that the receiver is ready.
const QUIET: Duration = Duration::from_millis(100);

struct Run {
    side: Side,
    sends: bool,
    /// Where each side is told that the other lives.
    ports: Ports,
    message_bytes: usize,
    span: Duration,
}

#[derive(Clone, Copy)]
struct Ports {
    ours: u16,
    theirs: u16,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let run = arguments();
    let transport = WebRtc::new(config()).expect("valid options");
    let (sender, mut events) = mpsc::channel(EVENT_QUEUE_MAX);
    let link = transport.open(run.side, &IceServers::default(), sender);
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let (credit, took) = open(&run, &*link, &mut events, &mut lines).await;
    say(&json!({ "up": took.as_millis() as u64 }));
    let cpu = cpu_seconds();
    let bytes = match run.sends {
        true => send(&run, &*link, &mut events, credit).await,
        false => receive(&run, &mut events).await,
    };
    let counters = transport.counters();
    say(&json!({ "result": {
        "bytes": bytes,
        "mbit_per_second": bytes as f64 * 8.0 / 1e6 / run.span.as_secs_f64(),
        "cpu_seconds": cpu_seconds() - cpu,
        "datagrams_sent": counters.datagrams_sent,
        "datagrams_received": counters.datagrams_received,
        "pacer_dropped": counters.pacer_dropped_datagrams,
    }}));
    if !run.sends {
        say(&json!({ "down_ms": until_down(&mut events).await }));
    }
    link.close();
    tokio::time::sleep(QUIET).await;
    // The runtime would wait for a line of input that never comes.
    std::process::exit(0);
}

fn arguments() -> Run {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [side, role, ours, theirs, message_bytes, seconds] = &words[..] else {
        panic!("expected: offer|answer send|receive OUR_PORT THEIR_PORT MESSAGE_BYTES SECONDS");
    };
    Run {
        side: if side == "offer" { Side::Offer } else { Side::Answer },
        sends: role == "send",
        ports: Ports { ours: ours.parse().expect("a port"), theirs: theirs.parse().expect("a port") },
        message_bytes: message_bytes.parse().expect("a number of bytes"),
        span: Duration::from_secs_f64(seconds.parse().expect("a number of seconds")),
    }
}

/// The defaults, with options from `GATE_CONFIG` (JSON) for experiments; loopback only, since the forwarder is there.
fn config() -> Config {
    let mut config: Config = match std::env::var("GATE_CONFIG") {
        Ok(text) => serde_json::from_str(&text).expect("GATE_CONFIG holds options"),
        Err(_) => Config::default(),
    };
    config.bind_addresses = vec!["127.0.0.1".parse().expect("an address")];
    config
}

/// Passes set-up messages on until the link is up; returns the credit and the time since the other side was described.
async fn open(
    run: &Run,
    link: &dyn Link,
    events: &mut mpsc::Receiver<LinkEvent>,
    lines: &mut Lines<BufReader<Stdin>>,
) -> (usize, Duration) {
    let mut described = Instant::now();
    loop {
        tokio::select! {
            line = lines.next_line() => {
                let line = line.expect("readable input").expect("the script speaks until the link is up");
                let value: Value = serde_json::from_str(&line).expect("a JSON line");
                described = Instant::now();
                let side = if run.side == Side::Offer { signal::Side::Answer } else { signal::Side::Offer };
                let sdp = value["sdp"].as_str().expect("a description");
                let signal = Signal::from_sdp(side, sdp).expect("a description of a data channel");
                link.signal(Bytes::from(led_to(run.ports.theirs, signal).expect("a description").encode()));
            }
            event = events.recv() => match event.expect("the link speaks") {
                LinkEvent::Signal(bytes) => {
                    let signal = Signal::decode(&bytes).expect("our own signals decode");
                    if let Some(sdp) = led_to(run.ports.ours, signal).and_then(|signal| signal.to_sdp()) {
                        say(&json!({ "sdp": sdp }));
                    }
                }
                LinkEvent::Up { credit } => return (credit, described.elapsed()),
                event => panic!("unexpected {event:?}"),
            },
        }
    }
}

/// Replaces the candidates of a description by the forwarder's port; other signals are dropped.
fn led_to(port: u16, signal: Signal) -> Option<Signal> {
    let Signal::Description(mut description) = signal else { return None };
    description.retain(|_| false);
    let line = format!("candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host");
    description.push(Candidate::from_line(&line).expect("a candidate")).expect("room for one");
    Some(Signal::Description(description))
}

async fn send(run: &Run, link: &dyn Link, events: &mut mpsc::Receiver<LinkEvent>, mut credit: usize) -> u64 {
    tokio::time::sleep(QUIET).await;
    let frame = Bytes::from(vec![0x5a; run.message_bytes]);
    let end = Instant::now() + run.span;
    let mut bytes = 0;
    while Instant::now() < end {
        while credit >= frame.len() {
            link.try_send(Lane::Pieces, frame.clone()).expect("within the credit");
            credit -= frame.len();
            bytes += frame.len() as u64;
        }
        match tokio::time::timeout(end.saturating_duration_since(Instant::now()), events.recv()).await {
            Ok(Some(LinkEvent::Writable { credit: now })) => credit = now,
            Ok(Some(LinkEvent::Signal(_))) => {}
            Ok(event) => panic!("unexpected {event:?}"),
            Err(_) => break,
        }
    }
    // The script reads the receiver's count, which is the result.
    bytes
}

/// Counts bytes for the span that begins with the first frame.
async fn receive(run: &Run, events: &mut mpsc::Receiver<LinkEvent>) -> u64 {
    let mut bytes = 0;
    let mut end = None;
    loop {
        let limit = end.unwrap_or_else(|| tokio::time::Instant::now() + run.span);
        match tokio::time::timeout_at(limit, events.recv()).await {
            Ok(Some(LinkEvent::Frame(_, frame))) => {
                end.get_or_insert_with(|| tokio::time::Instant::now() + run.span);
                bytes += frame.len() as u64;
            }
            Ok(Some(LinkEvent::Signal(_))) => {}
            Ok(event) => panic!("unexpected {event:?}"),
            Err(_) => return bytes,
        }
    }
}

/// The browser closes after it has sent; returns when that was noticed, in milliseconds since the epoch.
async fn until_down(events: &mut mpsc::Receiver<LinkEvent>) -> Option<u64> {
    let down = async {
        while let Some(event) = events.recv().await {
            if let LinkEvent::Down { .. } = event {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                return now.ok().map(|now| now.as_millis() as u64);
            }
        }
        None
    };
    tokio::time::timeout(Duration::from_secs(10), down).await.ok().flatten()
}

/// CPU time of this process, all threads.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn say(value: &Value) {
    println!("{value}");
    let _ = std::io::stdout().flush();
}
