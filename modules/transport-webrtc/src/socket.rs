//! The UDP socket under a peer connection.
//!
//! Three habits of the WebRTC driver cost throughput over distance, and all three are cured here without touching it:
//!
//! - it reads up to 64 datagrams before it acknowledges any, which starves browsers that grow their window by
//!   acknowledgements: [`PacedSocket`] says "nothing there" after a few;
//! - it sends in bursts that overflow a browser's 128 KiB socket buffer: datagrams leave through a [`Pacer`];
//! - it leaves the kernel's buffers at their defaults and turns on offloads that make bursts: neither happens here.

use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, TcpListener, UdpSocket as StdSocket};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, RecvMeta, Runtime, TokioRuntime,
    Transmit,
};

use crate::config::Config;
use crate::counters::Counters;
use crate::pacer::{Datagram, Pacer};

/// A socket that closes sends at most this many datagrams that still wait, among them the goodbye.
const LAST_WORDS_MAX: usize = 64;
/// The finest sleep of the runtime.
const TICK: Duration = Duration::from_millis(1);

/// Tokio, with [`PacedSocket`] in place of its UDP sockets.
#[derive(Debug)]
pub(crate) struct PacedRuntime {
    tokio: TokioRuntime,
    options: SocketOptions,
    counters: Arc<Counters>,
}

#[derive(Clone, Copy, Debug)]
struct SocketOptions {
    buffer_bytes: usize,
    per_wakeup: u32,
    per_ms: u32,
    queue_max: usize,
}

impl PacedRuntime {
    pub(crate) fn new(config: &Config, counters: Arc<Counters>) -> Self {
        let options = SocketOptions {
            buffer_bytes: config.socket_buffer_bytes,
            per_wakeup: config.datagrams_per_wakeup,
            per_ms: config.datagrams_per_ms,
            queue_max: config.pacer_queue_datagrams,
        };
        Self { tokio: TokioRuntime, options, counters }
    }
}

impl Runtime for PacedRuntime {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        self.tokio.spawn(future)
    }

    fn wrap_udp_socket(&self, socket: StdSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(PacedSocket::new(socket, self.options, Arc::clone(&self.counters))?))
    }

    fn wrap_tcp_listener(&self, listener: TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        self.tokio.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(
        &'a self,
        remote: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = io::Result<Arc<dyn AsyncTcpStream>>> + Send + 'a>> {
        self.tokio.connect_tcp(remote)
    }

    fn resolve_host<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        self.tokio.resolve_host(host)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        self.tokio.sleep(duration)
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        self.tokio.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.tokio.block_on(future);
    }

    fn yield_now(&self) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        self.tokio.yield_now()
    }

    fn name(&self) -> &'static str {
        "tokio, paced"
    }
}

/// A UDP socket that reads a few datagrams per wake-up and sends at a steady rate.
#[derive(Debug)]
pub(crate) struct PacedSocket {
    line: Arc<Line>,
    per_wakeup: u32,
    /// Datagrams read since the driver was last told that nothing is there.
    taken: AtomicU32,
    pacing: AbortHandle,
}

/// The part that the pacing task shares.
#[derive(Debug)]
struct Line {
    socket: UdpSocket,
    pacer: Mutex<Pacer>,
    waiting: Notify,
    counters: Arc<Counters>,
    started: Instant,
}

impl PacedSocket {
    fn new(socket: StdSocket, options: SocketOptions, counters: Arc<Counters>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        enlarge_buffers(&socket, options.buffer_bytes)?;
        let line = Arc::new(Line {
            socket: UdpSocket::from_std(socket)?,
            pacer: Mutex::new(Pacer::new(options.per_ms, options.queue_max)),
            waiting: Notify::new(),
            counters,
            started: Instant::now(),
        });
        let pacing = tokio::spawn(Arc::clone(&line).pace()).abort_handle();
        Ok(Self { line, per_wakeup: options.per_wakeup, taken: AtomicU32::new(0), pacing })
    }
}

impl AsyncUdpSocket for PacedSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.line.socket.local_addr()
    }

    /// Never waits: what may not leave yet is queued, and dropped when the queue is full, as a network would.
    fn poll_send(&self, _: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        self.line.send(transmit.destination, transmit.contents);
        Poll::Ready(Ok(transmit.contents.len()))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if self.taken.load(Ordering::Relaxed) >= self.per_wakeup {
            self.taken.store(0, Ordering::Relaxed);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut buf = ReadBuf::new(&mut bufs[0]);
        let Poll::Ready(received) = self.line.socket.poll_recv_from(cx, &mut buf) else {
            self.taken.store(0, Ordering::Relaxed);
            return Poll::Pending;
        };
        let from = received?;
        self.taken.fetch_add(1, Ordering::Relaxed);
        self.line.counters.datagram_received();
        let length = buf.filled().len();
        meta[0] = RecvMeta::default();
        meta[0].addr = from;
        meta[0].len = length;
        meta[0].stride = length.max(1);
        Poll::Ready(Ok(1))
    }
}

impl Drop for PacedSocket {
    fn drop(&mut self) {
        self.pacing.abort();
        let socket = SockRef::from(&self.line.socket);
        let mut pacer = self.line.pacer();
        for _ in 0..LAST_WORDS_MAX {
            let Some(datagram) = pacer.pop_last_words() else { break };
            // Not through the reactor: it may be gone already.
            let _ = socket.send_to(&datagram.bytes, &datagram.to.into());
        }
    }
}

impl Line {
    fn send(&self, to: SocketAddr, bytes: &[u8]) {
        let mut pacer = self.pacer();
        if pacer.take_turn(self.started.elapsed()) && self.try_send(to, bytes).is_some() {
            return;
        }
        let was_empty = pacer.is_empty();
        if !pacer.push(Datagram { to, bytes: bytes.into() }) {
            self.counters.pacer_dropped();
        } else if was_empty {
            self.waiting.notify_one();
        }
    }

    /// Sends what waits, a few datagrams per tick. Ends by abort.
    async fn pace(self: Arc<Self>) {
        loop {
            self.waiting.notified().await;
            while !self.pacer().is_empty() {
                tokio::time::sleep(TICK).await;
                if self.send_due().is_none() {
                    // An error here is one the next attempt meets too, and counts.
                    let _ = self.socket.writable().await;
                }
            }
        }
    }

    /// Sends what may leave now; nothing when the kernel's buffer is full.
    fn send_due(&self) -> Option<()> {
        let mut pacer = self.pacer();
        while let Some(datagram) = pacer.pop(self.started.elapsed()) {
            if self.try_send(datagram.to, &datagram.bytes).is_none() {
                pacer.put_back(datagram);
                return None;
            }
        }
        Some(())
    }

    /// Returns nothing when the datagram should be tried again; one that the kernel refuses is lost and counted.
    fn try_send(&self, to: SocketAddr, bytes: &[u8]) -> Option<()> {
        match self.socket.try_send_to(bytes, to) {
            Ok(_) => self.counters.datagram_sent(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(_) => self.counters.pacer_dropped(),
        }
        Some(())
    }

    fn pacer(&self) -> std::sync::MutexGuard<'_, Pacer> {
        // Nothing in here panics while it holds the lock; if it did, the queue would still be whole.
        self.pacer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn enlarge_buffers(socket: &StdSocket, bytes: usize) -> io::Result<()> {
    static CLAMPED: Once = Once::new();
    let socket = SockRef::from(socket);
    socket.set_recv_buffer_size(bytes)?;
    socket.set_send_buffer_size(bytes)?;
    let got = socket.recv_buffer_size()?;
    if got < bytes {
        CLAMPED.call_once(|| {
            tracing::warn!(
                wanted = bytes,
                got,
                "the kernel limits socket buffers; raise net.core.rmem_max and wmem_max"
            );
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn paced(options: SocketOptions) -> (PacedSocket, StdSocket, Arc<Counters>) {
        let counters = Arc::new(Counters::default());
        let socket = StdSocket::bind("127.0.0.1:0").unwrap();
        let other = StdSocket::bind("127.0.0.1:0").unwrap();
        other.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let socket = PacedSocket::new(socket, options, Arc::clone(&counters)).unwrap();
        socket.line.socket.writable().await.unwrap();
        (socket, other, counters)
    }

    const OPTIONS: SocketOptions = SocketOptions { buffer_bytes: 1 << 20, per_wakeup: 2, per_ms: 4, queue_max: 16 };

    async fn receive(socket: &PacedSocket) -> usize {
        let mut bytes = [0; 2000];
        socket.recv_from(&mut bytes).await.unwrap().0
    }

    #[tokio::test]
    async fn a_burst_is_handed_over_a_few_datagrams_at_a_time() {
        let (socket, other, _) = paced(OPTIONS).await;
        for _ in 0..4 {
            other.send_to(b"ping", socket.local_addr().unwrap()).unwrap();
        }
        assert_eq!(receive(&socket).await, 4);
        let probe = || {
            let mut bytes = [0; 2000];
            let mut meta = [RecvMeta::default()];
            let mut cx = Context::from_waker(std::task::Waker::noop());
            socket.poll_recv(&mut cx, &mut [IoSliceMut::new(&mut bytes)], &mut meta).is_ready()
        };
        assert_eq!([probe(), probe(), probe(), probe()], [true, false, true, true]);
    }

    #[tokio::test]
    async fn what_exceeds_the_queue_is_dropped_and_counted() {
        let (socket, other, counters) = paced(OPTIONS).await;
        let to = other.local_addr().unwrap();
        for _ in 0..100 {
            socket.send_to(b"pong", to).await.unwrap();
        }
        let dropped = counters.snapshot().pacer_dropped_datagrams;
        assert!((60..=68).contains(&dropped), "16 at once and 16 waiting of 100, {dropped} dropped");
    }

    #[tokio::test]
    async fn what_waits_is_sent_before_the_socket_closes() {
        let (socket, other, _) = paced(SocketOptions { queue_max: 64, ..OPTIONS }).await;
        let to = other.local_addr().unwrap();
        for _ in 0..40 {
            socket.send_to(b"pong", to).await.unwrap();
        }
        drop(socket);
        for _ in 0..40 {
            assert_eq!(other.recv_from(&mut [0; 16]).unwrap().0, 4);
        }
    }
}
