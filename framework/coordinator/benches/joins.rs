//! How fast one core takes viewers in, and how much memory each of them costs.
//!
//! Everything of the coordinator is in it: greeting, strategy, topology and its validation, assignments written and
//! encoded, reports read. Left out are sockets and their encryption. `join` is the newcomer's part: connection, hello, and
//! the report that confirms its parent. `join, all report` has everyone who got an assignment answer with a report, too.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::VecDeque;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use peerstream_coordinator::{Config, ConnId, Coordinator, Input, Limits, Origin, Output};
use peerstream_dumbbell::Dumbbell;
use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::control::{Assignment, Down, Hello, LinkReport, Report, Role, Up};
use peerstream_protocol::crypto::SecretKey;
use peerstream_protocol::id::{Epoch, Stripes, Term};
use peerstream_protocol::segment::Kind;
use peerstream_protocol::time::Micros;

/// Memory in use, in bytes.
static USED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; only a counter is kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        USED.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        USED.fetch_add(size, Relaxed);
        USED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// An audience of nodes that do as they are told.
struct Audience {
    coordinator: Coordinator,
    now: Micros,
    timer: Micros,
    conns: u64,
    orders: VecDeque<(ConnId, Vec<u8>)>,
    /// Whether everyone who gets an assignment answers it, and not only the newcomer.
    all_report: bool,
}

impl Audience {
    fn new(all_report: bool) -> Self {
        let publisher = SecretKey::from_seed(&[1; 32]);
        let everyone = 1 << 24;
        let limits =
            Limits { nodes_max: everyone, connections_max: everyone, addresses_max: everyone, ..Limits::default() };
        let config = Config {
            term: Term(1),
            follows: false,
            cert: EpochCert::issue(&publisher, Epoch(1), publisher.public(), u64::MAX),
            kind: Kind::Media,
            ice: vec!["stun:?:3478".to_owned()],
            strategy: "dumbbell".into(),
            secret: [3; 32],
            wall_at_zero_us: 0,
            limits,
        };
        let now = Micros::from_secs(1);
        let coordinator = Coordinator::new(config, Box::new(Dumbbell::default()), now);
        let mut audience = Self { coordinator, now, timer: now, conns: 0, orders: VecDeque::new(), all_report };
        audience.open(Origin::Source, Role::Source);
        audience
    }

    fn open(&mut self, origin: Origin, role: Role) -> ConnId {
        let conn = ConnId(self.conns);
        self.conns += 1;
        self.input(Input::Opened { conn, origin });
        let wire = peerstream_protocol::WIRE_VERSION;
        let hello = Hello {
            wire,
            stream: None,
            role,
            capacity: 2,
            relay: true,
            untried: false,
            resume: None,
            ticket: Vec::new(),
        };
        self.input(Input::Message(conn, &Up::Hello(hello).encode()));
        conn
    }

    /// A viewer joins and everyone concerned has answered.
    fn join(&mut self) -> ConnId {
        self.now += Micros(10);
        if self.now >= self.timer {
            self.input(Input::Tick);
        }
        let address = (u128::from(self.conns) << 64).to_be_bytes();
        let conn = self.open(Origin::Address(address), Role::Viewer);
        while let Some((to, bytes)) = self.orders.pop_front() {
            if to != conn && !self.all_report {
                continue;
            }
            if let Ok(Down::Assign(assignment)) = Down::decode(&bytes) {
                self.input(Input::Message(to, &Up::Report(obeyed(&assignment)).encode()));
            }
        }
        conn
    }

    fn leave(&mut self, conn: ConnId) {
        self.input(Input::Message(conn, &Up::Leave.encode()));
        self.orders.clear();
    }

    fn input(&mut self, input: Input<'_>) {
        self.coordinator.handle(self.now, input);
        while let Some(order) = self.coordinator.poll() {
            match order {
                Output::Send(conn, bytes) => self.orders.push_back((conn, bytes)),
                Output::SetTimer(at) => self.timer = at,
                _ => {}
            }
        }
    }
}

/// The report of a node whose links are as its assignment says.
fn obeyed(assignment: &Assignment) -> Report {
    let Assignment { term, version, parents, children, backup, backs, standby } = assignment;
    let link = |peer, feeds_me, fed_by_me| {
        let (feeds_me, fed_by_me) = (Stripes::all_if(feeds_me), Stripes::all_if(fed_by_me));
        LinkReport { peer, open: true, feeds_me, fed_by_me, rtt_ms: 20 }
    };
    let mut links: Vec<LinkReport> = parents.iter().map(|edge| link(edge.peer, true, false)).collect();
    links.extend(children.iter().map(|edge| link(edge.peer, false, true)));
    for edge in backup.iter().chain(backs).chain(standby) {
        if links.iter().all(|link| link.peer != edge.peer) {
            links.push(link(edge.peer, false, false));
        }
    }
    Report { term: *term, version: *version, backup: backup.map(|edge| edge.peer), links, ..Report::default() }
}

/// What this thread has had of a core, where the system tells, so that other load does not count.
fn cpu_time() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = stat.and_then(|stat| stat.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

/// So many joins beyond the audience's size; they leave again untimed.
fn joins(audience: &mut Audience, times: u64) -> Duration {
    const BATCH: u64 = 1_000;
    let mut spent = Duration::ZERO;
    let mut left = times;
    while left > 0 {
        let batch = left.min(BATCH);
        let start = cpu_time();
        let conns: Vec<_> = (0..batch).map(|_| audience.join()).collect();
        spent += cpu_time() - start;
        conns.into_iter().rev().for_each(|conn| audience.leave(conn));
        left -= batch;
    }
    spent
}

/// An audience of this size; says what it cost.
fn filled(name: &str, nodes: u64, all_report: bool) -> Audience {
    let before = USED.load(Relaxed);
    let mut audience = Audience::new(all_report);
    let start = cpu_time();
    for _ in 0..nodes {
        audience.join();
    }
    let micros = (cpu_time() - start).as_secs_f64() * 1e6 / nodes as f64;
    // What is remembered for a few seconds only does not count.
    audience.now += Micros::from_secs(6);
    audience.input(Input::Tick);
    audience.orders = VecDeque::new();
    let bytes = (USED.load(Relaxed) - before) as u64 / nodes;
    println!("{name}, {nodes} nodes: {bytes} bytes per node, {micros:.2} us per join while filling");
    let counters = audience.coordinator.counters();
    assert_eq!((counters.joined, counters.groups_rejected, counters.starving), (nodes, 0, 0));
    audience
}

fn sizes() -> Vec<u64> {
    let given = std::env::var("PEERSTREAM_NODES").ok();
    let given = given.map(|sizes| sizes.split(',').filter_map(|size| size.parse().ok()).collect());
    given.unwrap_or_else(|| vec![1_000, 10_000, 100_000])
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("coordinator");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(3));
    for nodes in sizes() {
        for (name, all_report) in [("join", false), ("join, all report", true)] {
            let mut audience = None;
            group.bench_function(BenchmarkId::new(name, nodes), |b| {
                let audience = audience.get_or_insert_with(|| filled(name, nodes, all_report));
                b.iter_custom(|times| joins(audience, times));
            });
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
