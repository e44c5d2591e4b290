//! Two transports with a slow line from one to the other: in which order, and when, a segment's frames arrive.
//!
//! The measurements behind "a header travels on the lane of its pieces" (`docs/transport.md`) and behind what packet trains tell
//! (`docs/measuring.md`):
//!
//!     cargo test --release -p peerstream-transport-webrtc --test uplink -- --ignored --nocapture

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use peerstream_sdk::protocol::signal::{Address, Signal};
use peerstream_sdk::traits::transport::{EVENT_QUEUE_MAX, IceServers, Lane, Link, LinkEvent, Side, Transport};
use peerstream_transport_webrtc::{Config, WebRtc};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until, timeout};

/// Of the line from the sender to the receiver; the other direction is not limited.
const BYTES_PER_SECOND: f64 = 250_000.0;
const HEADER: usize = 275;
const PIECE: usize = 4096;
const PIECES: usize = 4;
/// From one segment to the next: the line is idle again.
const PERIOD: Duration = Duration::from_millis(150);
/// Timers wake late by so much.
const TIMER: Duration = Duration::from_millis(2);
/// Packets of a train over each link.
const PACKETS: usize = 8;
const SOON: Duration = Duration::from_secs(10);

/// The line by which everything leaves one sender.
#[derive(Clone)]
struct Uplink {
    bytes_per_second: f64,
    idle_at: Arc<Mutex<tokio::time::Instant>>,
}

impl Uplink {
    fn new(bytes_per_second: f64) -> Self {
        Self { bytes_per_second, idle_at: Arc::new(Mutex::new(tokio::time::Instant::now())) }
    }

    /// When so many bytes that come now have left. Timers wake late, and what came meanwhile has not waited for them.
    fn takes(&self, bytes: usize) -> tokio::time::Instant {
        let mut idle_at = self.idle_at.lock().unwrap();
        let came_at = tokio::time::Instant::now() - TIMER;
        *idle_at = (*idle_at).max(came_at) + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        *idle_at
    }
}

/// One end of a link and what it says.
struct End {
    link: Box<dyn Link>,
    events: mpsc::Receiver<LinkEvent>,
}

impl End {
    fn open(side: Side) -> Self {
        let config = Config { bind_addresses: vec!["127.0.0.1".parse().unwrap()], ..Config::default() };
        let (sender, events) = mpsc::channel(EVENT_QUEUE_MAX);
        Self { link: WebRtc::new(config).unwrap().open(side, &IceServers::default(), sender), events }
    }

    async fn event(&mut self) -> LinkEvent {
        timeout(SOON, self.events.recv()).await.expect("an event in time").expect("the link speaks")
    }

    async fn frame(&mut self) -> Bytes {
        loop {
            if let LinkEvent::Frame(_, bytes) = self.event().await {
                return bytes;
            }
        }
    }
}

/// A line between two UDP peers: what one sends to its port leaves the other port for the other peer.
struct Line {
    /// The port that stands for the second peer, and the one that stands for the first.
    ports: [u16; 2],
}

impl Line {
    async fn new(uplink: &Uplink) -> Self {
        let mut sockets = Vec::new();
        for _ in 0..2 {
            sockets.push(Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap()));
        }
        let ports = [0, 1].map(|at: usize| sockets[at].local_addr().unwrap().port());
        let peers = [tokio::sync::watch::channel(None).0, tokio::sync::watch::channel(None).0].map(Arc::new);
        for (from, pace) in [(0, Some(uplink.clone())), (1, None)] {
            let (inlet, outlet) = (Arc::clone(&sockets[from]), Arc::clone(&sockets[1 - from]));
            let (ours, theirs) = (Arc::clone(&peers[from]), peers[1 - from].subscribe());
            tokio::spawn(async move {
                let mut datagram = [0; 2048];
                loop {
                    let (length, peer) = inlet.recv_from(&mut datagram).await.unwrap();
                    ours.send_replace(Some(peer));
                    if let Some(pace) = &pace {
                        sleep_until(pace.takes(length)).await;
                    }
                    let to: Option<SocketAddr> = *theirs.borrow();
                    if let Some(to) = to {
                        let _ = outlet.send_to(&datagram[..length], to).await;
                    }
                }
            });
        }
        Self { ports }
    }

    /// The same set-up message with the line's port as the only address.
    fn lead(signal: &Bytes, port: u16) -> Option<Bytes> {
        let Ok(Signal::Description(mut description)) = Signal::decode(signal) else { return None };
        let v4 = |candidate: &&_| matches!(address_of(candidate), Address::Ip(ip) if ip.is_ipv4());
        let mut candidate = description.candidates().iter().find(v4)?.clone();
        candidate.port = port;
        description.retain(|_| false);
        description.push(candidate).ok()?;
        Some(Signal::Description(description).encode().into())
    }
}

fn address_of(candidate: &peerstream_sdk::protocol::signal::Candidate) -> &Address {
    &candidate.address
}

/// A sender and a receiver with the line between them.
async fn connected(uplink: &Uplink) -> (End, End) {
    let line = Line::new(uplink).await;
    let mut ends = [End::open(Side::Offer), End::open(Side::Answer)];
    let mut up = [false; 2];
    while up != [true; 2] {
        let [a, b] = &mut ends;
        let (event, from) = tokio::select! {
            event = a.event(), if !up[0] => (event, 0),
            event = b.event(), if !up[1] => (event, 1),
        };
        match event {
            // The sender is to see the port that leads to the receiver, and the other way round.
            LinkEvent::Signal(signal) => {
                if let Some(signal) = Line::lead(&signal, line.ports[1 - from]) {
                    ends[1 - from].link.signal(signal);
                }
            }
            LinkEvent::Up { .. } => up[from] = true,
            event => panic!("unexpected {event:?}"),
        }
    }
    let [sender, receiver] = ends;
    (sender, receiver)
}

/// Sends a segment's frames at once, the header first, and tells when each arrived: the header as 0, pieces from 1 on.
async fn segment(sender: &End, receiver: &mut End, header_lane: Lane) -> Vec<(u8, Duration)> {
    let begin = Instant::now();
    sender.link.try_send(header_lane, Bytes::from(vec![0; HEADER])).unwrap();
    for piece in 1..=PIECES {
        sender.link.try_send(Lane::Pieces, Bytes::from(vec![piece as u8; PIECE])).unwrap();
    }
    let mut arrived = Vec::new();
    while arrived.len() <= PIECES {
        let frame = receiver.frame().await;
        arrived.push((frame[0], begin.elapsed()));
    }
    arrived
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_slow_uplink_a_header_on_the_lane_of_its_pieces_arrives_before_them() {
    let (sender, mut receiver) = connected(&Uplink::new(BYTES_PER_SECOND)).await;
    for _ in 0..5 {
        let arrived = segment(&sender, &mut receiver, Lane::Pieces).await;
        let order: Vec<_> = arrived.iter().map(|(frame, _)| *frame).collect();
        assert_eq!(order, [0, 1, 2, 3, 4], "{arrived:?}");
        sleep(PERIOD).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn when_a_header_arrives_by_its_lane() {
    let (sender, mut receiver) = connected(&Uplink::new(BYTES_PER_SECOND)).await;
    for lane in [Lane::Control, Lane::Pieces] {
        for _ in 0..10 {
            let mut arrived = segment(&sender, &mut receiver, lane).await;
            arrived.sort();
            let ms: Vec<_> = arrived.iter().map(|(_, at)| format!("{:.0}", at.as_secs_f64() * 1e3)).collect();
            println!("header on {lane:?}: header {} ms, pieces {} ms", ms[0], ms[1..].join(", "));
            sleep(PERIOD).await;
        }
    }
}

/// What a train of packets over these links says of the uplink in bytes per second, as `framework/node/src/train.rs` sends it.
async fn train(senders: &[End], receivers: &mut Vec<End>, size: usize) -> f64 {
    for sender in (0..PACKETS).flat_map(|_| senders) {
        sender.link.try_send(Lane::Control, Bytes::from(vec![0; size])).unwrap();
    }
    let waiting: Vec<_> = receivers.drain(..).map(|receiver| tokio::spawn(dispersion(receiver))).collect();
    let mut dispersions = Duration::ZERO;
    for one in waiting {
        let (receiver, dispersion) = one.await.unwrap();
        receivers.push(receiver);
        dispersions += dispersion;
    }
    let between = (PACKETS - 1) * senders.len() * size;
    (between * senders.len()) as f64 / dispersions.as_secs_f64()
}

/// From the first packet to the last.
async fn dispersion(mut receiver: End) -> (End, Duration) {
    receiver.frame().await;
    let first = Instant::now();
    for _ in 1..PACKETS {
        receiver.frame().await;
    }
    (receiver, first.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn what_packet_trains_tell_of_an_uplink() {
    // Of a stream of 2 Mbit/s: a tenth of a second of it over four links, one packet at most of what a train may hold.
    let size = 250_000 / 10 / 32;
    for mbps in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0] {
        let uplink = Uplink::new(mbps * 125_000.0);
        for links in [1, 2, 4] {
            let (mut senders, mut receivers) = (Vec::new(), Vec::new());
            for _ in 0..links {
                let (sender, receiver) = connected(&uplink).await;
                senders.push(sender);
                receivers.push(receiver);
            }
            sleep(Duration::from_secs(1)).await;
            let mut told = Vec::new();
            for _ in 0..5 {
                told.push(format!("{:.1}", train(&senders, &mut receivers, size).await / 125_000.0));
                sleep(Duration::from_millis(300)).await;
            }
            println!("{mbps} Mbit/s, {links} links: {} Mbit/s", told.join(", "));
        }
    }
}
