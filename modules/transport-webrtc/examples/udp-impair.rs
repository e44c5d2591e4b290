//! A bad network between two UDP peers: delay, jitter, loss, and a bottleneck with a bounded queue.
//!
//! ```text
//! cargo run --release --example udp-impair -- --delay-ms 20 --loss 0.01 --jitter-ms 5 --rate-mbit 100 --queue-bytes 1000000
//! ```
//!
//! Prints `{"a":PORT,"b":PORT}`: tell peer A that peer B lives at port `a`, and peer B that peer A lives at port `b`.
//! The first address that sends to a port is its peer, as behind a NAT. Runs until its input closes, then prints what
//! it counted. Order is kept; delays are one way; a rate of 0 means no bottleneck, so bursts arrive as bursts.

use std::collections::HashMap;
use std::io::Read;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Datagrams under way in one direction; beyond it they are dropped, whatever the other settings.
const UNDER_WAY_MAX: usize = 65_536;
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

#[derive(Clone, Copy, Debug)]
struct Path {
    delay: Duration,
    jitter: Duration,
    loss: f64,
    bytes_per_second: f64,
    queue_bytes: f64,
}

#[derive(Debug, Default)]
struct Counters {
    forwarded: AtomicU64,
    lost: AtomicU64,
    queue_dropped: AtomicU64,
    homeless: AtomicU64,
}

/// One of the two ports and the peer that uses it.
#[derive(Debug)]
struct Port {
    socket: UdpSocket,
    peer: OnceLock<SocketAddr>,
}

fn main() {
    let options = options();
    let number = |name: &str, default: f64| options.get(name).map_or(default, |text| parse(name, text));
    let path = Path {
        delay: Duration::from_secs_f64(number("delay-ms", 20.0) / 1000.0),
        jitter: Duration::from_secs_f64(number("jitter-ms", 0.0) / 1000.0),
        loss: number("loss", 0.0),
        bytes_per_second: number("rate-mbit", 0.0) * 1e6 / 8.0,
        queue_bytes: number("queue-bytes", 1e6),
    };
    let seed = number("seed", 1.0) as u64;
    let (a, b) = (Arc::new(port()), Arc::new(port()));
    let counters = Arc::new(Counters::default());
    forward(&a, &b, path, seed * 2 + 1, &counters);
    forward(&b, &a, path, seed * 2 + 2, &counters);
    println!("{{\"a\":{},\"b\":{}}}", port_number(&a), port_number(&b));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    println!(
        "{{\"forwarded\":{},\"lost\":{},\"queue_dropped\":{},\"homeless\":{}}}",
        counters.forwarded.load(Relaxed),
        counters.lost.load(Relaxed),
        counters.queue_dropped.load(Relaxed),
        counters.homeless.load(Relaxed)
    );
}

fn options() -> HashMap<String, String> {
    let mut words = std::env::args().skip(1);
    let mut options = HashMap::new();
    while let Some(name) = words.next() {
        let known = ["delay-ms", "jitter-ms", "loss", "rate-mbit", "queue-bytes", "seed"];
        match (name.strip_prefix("--").filter(|name| known.contains(name)), words.next()) {
            (Some(name), Some(value)) => options.insert(name.to_owned(), value),
            _ => panic!("found {name}, expected one of {known:?} after two dashes, and a value"),
        };
    }
    options
}

fn parse(name: &str, text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("--{name} is {text}, expected a number"))
}

fn port() -> Port {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let options = socket2::SockRef::from(&socket);
    options.set_recv_buffer_size(SOCKET_BUFFER_BYTES).expect("a larger buffer");
    options.set_send_buffer_size(SOCKET_BUFFER_BYTES).expect("a larger buffer");
    Port { socket, peer: OnceLock::new() }
}

fn port_number(port: &Port) -> u16 {
    port.socket.local_addr().expect("the socket is bound").port()
}

/// Starts the two threads of one direction: one stamps what arrives with its departure, one waits for that.
fn forward(from: &Arc<Port>, to: &Arc<Port>, path: Path, seed: u64, counters: &Arc<Counters>) {
    let (sender, receiver) = mpsc::sync_channel::<(Instant, Box<[u8]>)>(UNDER_WAY_MAX);
    let (from, to_late) = (Arc::clone(from), Arc::clone(to));
    let (counted, counted_late) = (Arc::clone(counters), Arc::clone(counters));
    thread::spawn(move || {
        let mut schedule = Schedule::new(path, seed);
        let mut buffer = [0; 65_536];
        loop {
            // Errors are the unreachable answers of a peer that is gone.
            let Ok((length, source)) = from.socket.recv_from(&mut buffer) else { continue };
            if *from.peer.get_or_init(|| source) != source {
                counted.homeless.fetch_add(1, Relaxed);
                continue;
            }
            match schedule.due(length, Instant::now()) {
                Fate::At(due) => {
                    if sender.try_send((due, buffer[..length].into())).is_err() {
                        counted.queue_dropped.fetch_add(1, Relaxed);
                    }
                }
                Fate::Lost => drop(counted.lost.fetch_add(1, Relaxed)),
                Fate::QueueFull => drop(counted.queue_dropped.fetch_add(1, Relaxed)),
            }
        }
    });
    thread::spawn(move || {
        for (due, datagram) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let sent = to_late.peer.get().is_some_and(|peer| to_late.socket.send_to(&datagram, peer).is_ok());
            let counter = if sent { &counted_late.forwarded } else { &counted_late.homeless };
            counter.fetch_add(1, Relaxed);
        }
    });
}

enum Fate {
    At(Instant),
    Lost,
    QueueFull,
}

/// When each datagram of one direction arrives.
struct Schedule {
    path: Path,
    random: u64,
    /// When the bottleneck has sent what it holds.
    idle_at: Instant,
    last_due: Instant,
}

impl Schedule {
    fn new(path: Path, seed: u64) -> Self {
        let now = Instant::now();
        Self { path, random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, idle_at: now, last_due: now }
    }

    fn due(&mut self, length: usize, now: Instant) -> Fate {
        if self.random() < self.path.loss {
            return Fate::Lost;
        }
        let mut leaves = now;
        if self.path.bytes_per_second > 0.0 {
            let backlog = self.idle_at.saturating_duration_since(now).as_secs_f64() * self.path.bytes_per_second;
            if backlog + length as f64 > self.path.queue_bytes {
                return Fate::QueueFull;
            }
            self.idle_at = self.idle_at.max(now) + Duration::from_secs_f64(length as f64 / self.path.bytes_per_second);
            leaves = self.idle_at;
        }
        let jitter = self.path.jitter.mul_f64(self.random());
        self.last_due = self.last_due.max(leaves + self.path.delay + jitter);
        Fate::At(self.last_due)
    }

    /// A number from 0 to 1, by xorshift.
    fn random(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }
}
