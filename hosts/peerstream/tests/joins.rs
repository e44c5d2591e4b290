//! Measures joining over real WebSockets: CPU time of the host's process per join, and bytes on the control connections.
//!
//!     cargo build --release
//!     PEERSTREAM_BIN=$PWD/target/release/peerstream cargo test --release --test joins -- --ignored --nocapture
//!
//! A viewer here is its control connection alone: it greets, answers each assignment with a report that all is as it should
//! be, and exchanges offer and answer with each new neighbour but the source. All others concerned do the same. Nobody
//! leaves, and the reports of every second are not among it.
//!
//! `PEERSTREAM_JOINS` (5000), `PEERSTREAM_AT_ONCE` (32, joins under way at a time) and `PEERSTREAM_SIGNAL_BYTES` (91, what a
//! browser's description with two candidates has) scale it. Each side needs as many files as there are viewers.

mod common;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use common::{Server, get};
use futures_util::{SinkExt, StreamExt};
use peerstream::protocol::WIRE_VERSION;
use peerstream::protocol::control::{Assignment, Down, Hello, LinkReport, Report, Role, Up};
use peerstream::protocol::id::{NodeId, Stripes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// The first byte of an offer and of an answer; the coordinator does not look inside.
const OFFER: u8 = 1;
const ANSWER: u8 = 2;
/// All is over when nothing was received for this long.
const QUIET: Duration = Duration::from_millis(500);

struct Scale {
    joins: usize,
    at_once: usize,
    signal_bytes: usize,
}

/// What all viewers together have done.
#[derive(Debug, Default)]
struct Tally {
    /// Viewers that have reported a parent.
    joined: AtomicU64,
    /// Bytes to the host and from it.
    up: AtomicU64,
    down: AtomicU64,
    /// Of those, the bytes of the upgrade to a WebSocket.
    upgrade: AtomicU64,
    messages_up: AtomicU64,
    messages_down: AtomicU64,
    signals: AtomicU64,
}

/// A socket whose bytes are counted.
struct Counted {
    stream: TcpStream,
    tally: Arc<Tally>,
    /// Bytes of this socket, both directions.
    bytes: u64,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = (buf.filled().len() - before) as u64;
        self.bytes += read;
        self.tally.down.fetch_add(read, Relaxed);
        result
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = result {
            self.bytes += written as u64;
            self.tally.up.fetch_add(written as u64, Relaxed);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A viewer's control connection.
struct Viewer {
    socket: WebSocketStream<Counted>,
    tally: Arc<Tally>,
    node: NodeId,
    neighbours: BTreeSet<NodeId>,
    signal_bytes: usize,
}

impl Viewer {
    async fn connect(address: SocketAddr, tally: Arc<Tally>, signal_bytes: usize) -> Self {
        let stream = TcpStream::connect(address).await.expect("the host takes a connection");
        stream.set_nodelay(true).unwrap();
        let counted = Counted { stream, tally: tally.clone(), bytes: 0 };
        let config = WebSocketConfig::default().read_buffer_size(4 * 1024).write_buffer_size(0);
        let url = format!("ws://{address}/api/v1/control");
        let (socket, _) = client_async_with_config(url, counted, Some(config)).await.expect("the host upgrades it");
        tally.upgrade.fetch_add(socket.get_ref().bytes, Relaxed);
        Self { socket, tally, node: NodeId::SOURCE, neighbours: BTreeSet::new(), signal_bytes }
    }

    async fn send(&mut self, message: &Up) {
        self.tally.messages_up.fetch_add(1, Relaxed);
        self.socket.send(Message::Binary(message.encode().into())).await.expect("the host reads");
    }

    async fn signal(&mut self, to: NodeId, sort: u8, attempt: u32) {
        self.tally.signals.fetch_add(1, Relaxed);
        self.send(&Up::Signal { to, attempt, payload: vec![sort; self.signal_bytes] }).await;
    }

    /// Does as it is told until the end; gives its place back once it has reported a parent.
    async fn live(mut self, place: OwnedSemaphorePermit) {
        let hello = Hello {
            wire: WIRE_VERSION,
            stream: None,
            role: Role::Viewer,
            capacity: 2,
            relay: true,
            untried: false,
            resume: None,
            ticket: Vec::new(),
        };
        self.send(&Up::Hello(hello)).await;
        let mut place = Some(place);
        while let Some(Ok(message)) = self.socket.next().await {
            self.tally.messages_down.fetch_add(1, Relaxed);
            match Down::decode(&message.into_data()).expect("the host sends control messages") {
                Down::Welcome(welcome) => self.node = welcome.node,
                Down::Assign(assignment) => {
                    self.obey(&assignment).await;
                    if !assignment.parents.is_empty() && place.take().is_some() {
                        self.tally.joined.fetch_add(1, Relaxed);
                    }
                }
                Down::Signal { from, attempt, payload } if payload[0] == OFFER => {
                    self.signal(from, ANSWER, attempt).await;
                }
                Down::Signal { .. } => {}
                other => panic!("unexpected: {other:?}"),
            }
        }
    }

    /// The node with the larger id offers, as real ones do.
    async fn obey(&mut self, assignment: &Assignment) {
        let peers = assignment.peers();
        let offered = |peer: &&NodeId| **peer != NodeId::SOURCE && **peer < self.node;
        let offers: Vec<_> = peers.difference(&self.neighbours).filter(offered).copied().collect();
        for peer in offers {
            self.signal(peer, OFFER, 1).await;
        }
        self.neighbours = peers;
        self.send(&Up::Report(obeyed(assignment))).await;
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

/// A host that takes them all from one address, and sends nobody the stream over the control connection.
fn host(joins: usize) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let room = joins + 100;
    let text = format!(
        "[stun]\nlisten = \"127.0.0.1:0\"\n[limits]\nnodes = {room}\nconnections = {room}\n\
         connections_per_address = {room}\njoins_per_address_burst = {room}\njoins_per_address_per_second = {room}\n\
         starter_bytes_per_second = 0\n"
    );
    std::fs::write(&path, text).unwrap();
    (Server::data(&["--config", path.to_str().unwrap()]), folder)
}

/// All join; returns when it is quiet.
async fn join_all(scale: &Scale, address: SocketAddr, tally: &Arc<Tally>) {
    let places = Arc::new(Semaphore::new(scale.at_once));
    for _ in 0..scale.joins {
        let place = places.clone().acquire_owned().await.unwrap();
        let (tally, signal_bytes) = (tally.clone(), scale.signal_bytes);
        tokio::spawn(async move { Viewer::connect(address, tally, signal_bytes).await.live(place).await });
    }
    let mut received = 0;
    while tally.down.load(Relaxed) != received {
        received = tally.down.load(Relaxed);
        tokio::time::sleep(QUIET).await;
    }
}

fn measure(scale: &Scale) {
    let (server, _folder) = host(scale.joins);
    let address = server.url.strip_prefix("http://").and_then(|url| url.strip_suffix('/')).unwrap().parse().unwrap();
    // The first request finds everything cold.
    get(&format!("{}healthz", server.url));
    let tally = Arc::<Tally>::default();
    let (before, start) = (server.process.cpu_seconds(), Instant::now());
    let viewers = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    viewers.block_on(join_all(scale, address, &tally));
    let (used, took) = (server.process.cpu_seconds() - before, start.elapsed().saturating_sub(QUIET));
    assert_eq!(tally.joined.load(Relaxed), scale.joins as u64, "everybody has a parent");
    let each = |count: &AtomicU64| count.load(Relaxed) as f64 / scale.joins as f64;
    println!(
        "{} joins in {:.1} s, {} at once, signals of {} bytes: {:.0} joins per core-second ({:.0} us each)",
        scale.joins,
        took.as_secs_f64(),
        scale.at_once,
        scale.signal_bytes,
        scale.joins as f64 / used,
        used * 1e6 / scale.joins as f64,
    );
    println!(
        "each: {:.0} bytes to the host and {:.0} from it, {:.0} of both being the upgrade; {:.1} messages to it ({:.1} signals) and {:.1} from it",
        each(&tally.up),
        each(&tally.down),
        each(&tally.upgrade),
        each(&tally.messages_up),
        each(&tally.signals),
        each(&tally.messages_down),
    );
}

#[test]
#[ignore = "a measurement"]
fn many_viewers_join() {
    let setting = |name, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    measure(&Scale {
        joins: setting("PEERSTREAM_JOINS", 5_000),
        at_once: setting("PEERSTREAM_AT_ONCE", 32),
        signal_bytes: setting("PEERSTREAM_SIGNAL_BYTES", 91),
    });
}
