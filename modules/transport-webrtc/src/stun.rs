//! A STUN server: tells a node the public address its datagrams come from.
//!
//! It answers Binding requests and nothing else, keeps no state, and never sends more than about twice what it
//! received, so that it is of no use for reflecting traffic at somebody.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rtc::stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Message, Setter};
use rtc::stun::xoraddr::XorMappedAddress;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

/// Larger datagrams are no Binding requests, in bytes.
const REQUEST_BYTES_MAX: usize = 548;
/// After a failed read the server pauses for this long.
const ERROR_PAUSE: Duration = Duration::from_millis(1);

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    counters: Arc<Counters>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Counters {
    answered: AtomicU64,
    ignored: AtomicU64,
}

/// What a server counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Binding requests answered.
    pub answered: u64,
    /// Datagrams that were something else, or whose answer could not be sent.
    pub ignored: u64,
}

impl Server {
    /// Starts to answer on a UDP address.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        let address = socket.local_addr()?;
        let counters = Arc::new(Counters::default());
        let task = tokio::spawn(serve(socket, Arc::clone(&counters))).abort_handle();
        Ok(Self { address, counters, task })
    }

    /// Returns the address it answers on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns what was counted since the start.
    pub fn counters(&self) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot { answered: read(&self.counters.answered), ignored: read(&self.counters.ignored) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, counters: Arc<Counters>) {
    // One byte more, so that what is too large shows.
    let mut datagram = [0; REQUEST_BYTES_MAX + 1];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut datagram).await else {
            // A former client that is unreachable, or a broken socket, on which the loop must not spin.
            tokio::time::sleep(ERROR_PAUSE).await;
            continue;
        };
        let sent = match answer(&datagram[..length], from) {
            Some(response) => socket.try_send_to(&response, from).is_ok(),
            None => false,
        };
        let counter = if sent { &counters.answered } else { &counters.ignored };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns the response to a Binding request, and nothing for anything else.
fn answer(request: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    if request.len() > REQUEST_BYTES_MAX || !rtc::stun::message::is_stun_message(request) {
        return None;
    }
    let mut message = Message::new();
    message.unmarshal_binary(request).ok()?;
    if message.typ != BINDING_REQUEST {
        return None;
    }
    let mut response = Message::new();
    response.typ = BINDING_SUCCESS;
    response.transaction_id = message.transaction_id;
    response.write_header();
    XorMappedAddress { ip: plain(from.ip()), port: from.port() }.add_to(&mut response).ok()?;
    Some(response.raw)
}

/// A socket bound to `::` sees IPv4 clients as mapped addresses.
fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// The body of the STUN fuzz target: answers are short and go to requests only.
#[doc(hidden)]
pub fn fuzz_answer(data: &[u8]) {
    let from = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 40_000));
    if let Some(response) = answer(data, from) {
        assert!(data.len() >= 20 && response.len() <= 44);
    }
}

#[cfg(test)]
mod tests {
    use rtc::stun::message::{Getter, TransactionId};

    use super::*;

    const REQUEST: [u8; 20] = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

    #[tokio::test]
    async fn a_request_is_answered_with_the_senders_address_and_garbage_is_ignored() {
        let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.connect(server.local_addr()).await.unwrap();
        client.send(b"garbage").await.unwrap();
        client.send(&[0; 1400]).await.unwrap();
        client.send(&REQUEST).await.unwrap();
        let mut bytes = [0; 100];
        let received = client.recv(&mut bytes);
        let length = tokio::time::timeout(Duration::from_secs(5), received).await.expect("an answer").unwrap();

        let mut response = Message::new();
        response.unmarshal_binary(&bytes[..length]).unwrap();
        let mut seen = XorMappedAddress::default();
        seen.get_from(&response).unwrap();
        assert_eq!(response.transaction_id, TransactionId([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]));
        assert_eq!(SocketAddr::new(seen.ip, seen.port), client.local_addr().unwrap());
        assert_eq!(server.counters(), Snapshot { answered: 1, ignored: 2 });
    }

    #[test]
    fn answers_are_at_most_about_twice_the_request() {
        let v4 = answer(&REQUEST, "192.0.2.1:9".parse().unwrap()).unwrap();
        let v6 = answer(&REQUEST, "[2001:db8::1]:9".parse().unwrap()).unwrap();
        let mapped = answer(&REQUEST, "[::ffff:192.0.2.1]:9".parse().unwrap()).unwrap();
        assert_eq!((v4.len(), v6.len()), (32, 44));
        assert_eq!(mapped, v4);
    }

    #[test]
    fn other_messages_are_not_answered() {
        let from = "192.0.2.1:9".parse().unwrap();
        for (class, name) in
            [(0x0101_u16, "a success"), (0x0111, "an error"), (0x0011, "an indication"), (3, "an allocation")]
        {
            let mut message = REQUEST;
            message[..2].copy_from_slice(&class.to_be_bytes());
            assert_eq!(answer(&message, from), None, "{name}");
        }
        let mut lying = REQUEST.to_vec();
        lying[3] = 200;
        assert_eq!(answer(&lying, from), None);
        for length in 0..REQUEST.len() {
            assert_eq!(answer(&REQUEST[..length], from), None);
        }
    }
}
