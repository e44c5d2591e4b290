//! Two transports in one process, over loopback.

use std::time::Duration;

use bytes::Bytes;
use peerstream_sdk::protocol::signal::Signal;
use peerstream_sdk::traits::transport::{
    CREDIT_BYTES, EVENT_QUEUE_MAX, FRAME_BYTES_MAX, IceServers, Lane, Link, LinkEvent, SendError, Side, Transport,
};
use peerstream_transport_webrtc::{Config, Ports, WebRtc, stun};
use tokio::sync::mpsc;

/// Shorter than the time after which a silent peer counts as gone.
const SOON: Duration = Duration::from_secs(5);

/// One end of a link and what it says.
struct End {
    link: Box<dyn Link>,
    events: mpsc::Receiver<LinkEvent>,
    transport: WebRtc,
}

impl End {
    fn open(config: Config, side: Side) -> Self {
        let transport = WebRtc::new(config).unwrap();
        let (sender, events) = mpsc::channel(EVENT_QUEUE_MAX);
        let link = transport.open(side, &IceServers::default(), sender);
        Self { link, events, transport }
    }

    async fn event(&mut self) -> LinkEvent {
        tokio::time::timeout(SOON, self.events.recv()).await.expect("an event in time").expect("the link speaks")
    }

    async fn frame(&mut self) -> (Lane, Bytes) {
        loop {
            if let LinkEvent::Frame(lane, bytes) = self.event().await {
                return (lane, bytes);
            }
        }
    }

    /// Sends a frame when there is credit for it, taking events meanwhile.
    async fn send(&mut self, credit: &mut usize, lane: Lane, frame: Bytes) {
        while *credit < frame.len() {
            if let LinkEvent::Writable { credit: now } = self.event().await {
                *credit = now;
            }
        }
        *credit -= frame.len();
        self.link.try_send(lane, frame).unwrap();
    }
}

fn loopback() -> Config {
    Config { bind_addresses: vec!["127.0.0.1".parse().unwrap()], ..Config::default() }
}

async fn connected(config: Config) -> (End, End) {
    let mut a = End::open(config.clone(), Side::Offer);
    let mut b = End::open(config, Side::Answer);
    join(&mut a, &mut b).await;
    (a, b)
}

/// Carries set-up messages until both ends are up.
async fn join(a: &mut End, b: &mut End) {
    let (mut a_up, mut b_up) = (false, false);
    while !(a_up && b_up) {
        let (event, from_a) = tokio::select! {
            event = a.event(), if !a_up => (event, true),
            event = b.event(), if !b_up => (event, false),
        };
        match (event, from_a) {
            (LinkEvent::Signal(signal), true) => b.link.signal(signal),
            (LinkEvent::Signal(signal), false) => a.link.signal(signal),
            (LinkEvent::Up { credit }, from_a) => {
                assert_eq!(credit, CREDIT_BYTES);
                *(if from_a { &mut a_up } else { &mut b_up }) = true;
            }
            (event, _) => panic!("unexpected {event:?}"),
        }
    }
}

#[tokio::test]
async fn both_lanes_carry_frames_both_ways() {
    let (mut a, mut b) = connected(loopback()).await;
    let largest = Bytes::from(vec![7; FRAME_BYTES_MAX]);
    a.link.try_send(Lane::Control, Bytes::from_static(b"hello")).unwrap();
    a.link.try_send(Lane::Pieces, largest.clone()).unwrap();
    let mut got = [b.frame().await, b.frame().await];
    got.sort();
    assert_eq!(got, [(Lane::Control, Bytes::from_static(b"hello")), (Lane::Pieces, largest)]);
    b.link.try_send(Lane::Pieces, Bytes::from_static(b"back")).unwrap();
    assert_eq!(a.frame().await, (Lane::Pieces, Bytes::from_static(b"back")));
    assert_eq!(a.transport.counters().links_opened, 1);
}

#[tokio::test]
async fn frames_that_cannot_be_taken_are_refused() {
    let (a, _b) = connected(loopback()).await;
    let refused =
        |link: &dyn Link, length: usize| link.try_send(Lane::Pieces, Bytes::from(vec![0; length])).unwrap_err();
    assert_eq!(refused(&*a.link, FRAME_BYTES_MAX + 1), SendError::TooLarge);
    let taken = (0..).take_while(|_| a.link.try_send(Lane::Pieces, Bytes::from(vec![0; 32 << 10])).is_ok()).count();
    assert_eq!(taken, 2 * CREDIT_BYTES / (32 << 10), "the current-thread runtime sent nothing meanwhile");
    assert_eq!(refused(&*a.link, 1), SendError::Full);
    a.link.close();
    assert_eq!(refused(&*a.link, 1), SendError::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_lane_keeps_order_while_pieces_flow() {
    let (mut a, mut b) = connected(loopback()).await;
    let sender = tokio::spawn(async move {
        let mut credit = CREDIT_BYTES;
        for number in 0..200_u32 {
            a.send(&mut credit, Lane::Control, Bytes::copy_from_slice(&number.to_be_bytes())).await;
            a.send(&mut credit, Lane::Pieces, Bytes::from(vec![1; 8 << 10])).await;
        }
        a
    });
    let mut control = Vec::new();
    let mut pieces = 0;
    while control.len() < 200 || pieces < 200 {
        match b.frame().await {
            (Lane::Control, number) => control.push(u32::from_be_bytes(number[..].try_into().unwrap())),
            (Lane::Pieces, _) => pieces += 1,
        }
    }
    assert!(control.iter().copied().eq(0..200));
    drop(sender.await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_frame_is_not_starved_by_pieces() {
    // The receiver's window is smaller than what the sender has to send, so pieces always wait inside the stack.
    let mut a = End::open(loopback(), Side::Offer);
    let mut b = End::open(Config { window_bytes: 64 << 10, ..loopback() }, Side::Answer);
    join(&mut a, &mut b).await;
    let sender = tokio::spawn(async move {
        let mut credit = CREDIT_BYTES;
        for number in 0..512 {
            a.send(&mut credit, Lane::Pieces, Bytes::from(vec![0; 8 << 10])).await;
            if number == 64 {
                a.send(&mut credit, Lane::Control, Bytes::from_static(b"urgent")).await;
            }
        }
        a
    });
    let mut pieces = 0;
    while let (Lane::Pieces, _) = b.frame().await {
        pieces += 1;
    }
    assert!(pieces < 200, "{pieces} of 512 pieces came before the control frame that was sent after 65");
    drop(sender.await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_does_not_read_stops_the_sender_and_loses_nothing() {
    let (mut a, mut b) = connected(loopback()).await;
    const FRAME: usize = 1 << 10;
    const FRAMES: u32 = 4000;
    let (progress, sent) = tokio::sync::watch::channel(0);
    let sender = tokio::spawn(async move {
        let mut credit = CREDIT_BYTES;
        for number in 0..FRAMES {
            let mut frame = vec![0; FRAME];
            frame[..4].copy_from_slice(&number.to_be_bytes());
            while credit < FRAME {
                let Some(event) = a.events.recv().await else { return a };
                if let LinkEvent::Writable { credit: now } = event {
                    credit = now;
                }
            }
            credit -= FRAME;
            a.link.try_send(Lane::Control, Bytes::from(frame)).unwrap();
            progress.send_replace(number + 1);
        }
        a
    });
    // The sender stands still once queues and windows are full: far from all is sent.
    let mut before = u32::MAX;
    while *sent.borrow() != before || before == 0 {
        before = *sent.borrow();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(before < FRAMES, "{before} frames were sent to an owner that reads nothing");
    for number in 0..FRAMES {
        let (_, frame) = b.frame().await;
        assert_eq!(frame[..4], number.to_be_bytes(), "in order, none missing");
    }
    drop(sender.await.unwrap());
}

#[tokio::test]
async fn the_other_side_learns_of_a_close_at_once() {
    let (a, mut b) = connected(loopback()).await;
    a.link.try_send(Lane::Control, Bytes::from_static(b"last words")).unwrap();
    assert_eq!(b.frame().await.1, "last words");
    drop(a.link);
    assert!(matches!(b.event().await, LinkEvent::Down { .. }));
    assert!(tokio::time::timeout(SOON, b.events.recv()).await.unwrap().is_none(), "nothing follows");
    assert_eq!(b.transport.counters().links_down, 1);
}

#[test]
fn a_peer_that_vanishes_without_a_word_is_noticed() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (ours, theirs) = (runtime(), runtime());
    let config = Config { silence_timeout_ms: 1000, ..loopback() };
    let mut b = theirs.block_on(async { End::open(config.clone(), Side::Answer) });
    ours.block_on(async {
        let mut a = End::open(config, Side::Offer);
        join(&mut a, &mut b).await;
        theirs.shutdown_background();
        assert!(matches!(a.event().await, LinkEvent::Down { .. }));
    });
}

#[tokio::test]
async fn a_closed_link_says_nothing_more() {
    let (mut a, _b) = connected(loopback()).await;
    a.link.close();
    a.link.close();
    let end = tokio::time::timeout(SOON, a.events.recv()).await.expect("the channel ends");
    assert!(end.is_none(), "{end:?}");
}

#[tokio::test]
async fn a_link_without_a_peer_fails_in_time() {
    let mut a = End::open(Config { setup_timeout_ms: 200, ..loopback() }, Side::Offer);
    loop {
        match a.event().await {
            LinkEvent::Signal(_) => {}
            LinkEvent::Failed { reason } => break assert!(reason.contains("200 ms"), "{reason}"),
            event => panic!("unexpected {event:?}"),
        }
    }
    assert_eq!(a.transport.counters().links_failed, 1);
}

#[tokio::test]
async fn garbage_signals_are_counted_and_do_no_harm() {
    let mut a = End::open(loopback(), Side::Offer);
    assert!(matches!(a.event().await, LinkEvent::Signal(_)));
    a.link.signal(Bytes::from_static(b"\xffgarbage"));
    a.link.signal(Bytes::new());
    a.link.signal(Bytes::from(vec![0; 70_000]));
    let mut counted = 0;
    for _ in 0..100 {
        counted = a.transport.counters().malformed_signals;
        if counted == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(counted, 3);
}

#[tokio::test]
async fn a_description_names_a_port_of_the_range() {
    let ports = Ports { first: 41_000, last: 41_200 };
    let mut a = End::open(Config { ports: Some(ports), ..loopback() }, Side::Offer);
    let LinkEvent::Signal(bytes) = a.event().await else { panic!("a description comes first") };
    let Ok(Signal::Description(description)) = Signal::decode(&bytes) else { panic!("a description comes first") };
    assert!(!description.candidates().is_empty());
    for candidate in description.candidates() {
        assert!((ports.first..=ports.last).contains(&candidate.port), "{candidate:?}");
    }
}

#[tokio::test]
async fn a_link_asks_the_stun_server() {
    let server = stun::Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let transport = WebRtc::new(loopback()).unwrap();
    let servers = IceServers { urls: vec![format!("stun:{}", server.local_addr()), "nonsense".to_owned()] };
    let (sender, _events) = mpsc::channel(EVENT_QUEUE_MAX);
    let _link = transport.open(Side::Offer, &servers, sender);
    let asked = async {
        while server.counters().answered == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, asked).await.expect("a request in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_acknowledges_often_enough_for_a_browser() {
    let (mut a, mut b) = connected(loopback()).await;
    let before = b.transport.counters();
    let sender = tokio::spawn(async move {
        let mut credit = CREDIT_BYTES;
        for _ in 0..256 {
            a.send(&mut credit, Lane::Pieces, Bytes::from(vec![0; 16 << 10])).await;
        }
        a
    });
    for _ in 0..256 {
        b.frame().await;
    }
    let after = b.transport.counters();
    let received = after.datagrams_received - before.datagrams_received;
    let sent = after.datagrams_sent - before.datagrams_sent;
    assert!(received > 3000, "{received} datagrams carried 4 MiB");
    assert!(sent * 3 >= received, "{sent} datagrams sent for {received} received: browsers would starve");
    drop(sender.await.unwrap());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn closed_links_leave_no_sockets_and_no_tasks() {
    let sockets = || {
        let entries = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        entries
            .filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:")))
            .count()
    };
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    // Other tests of this process open sockets too; these are told apart by their number.
    const LINKS: usize = 60;
    let tasks_before = tasks();
    let mut ends = Vec::new();
    for _ in 0..LINKS / 2 {
        ends.push(connected(loopback()).await);
    }
    let open = sockets();
    assert!(open >= LINKS, "{open} sockets for {LINKS} links");
    drop(ends);
    for _ in 0..200 {
        if tasks() == tasks_before && sockets() + LINKS / 2 < open {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} tasks of {tasks_before} and {} sockets of {open} are left", tasks(), sockets());
}
