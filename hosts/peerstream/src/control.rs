//! Control connections of viewers: WebSockets in front of the coordinator, which decides who may stay.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket};
use axum::extract::{ConnectInfo, Query, State, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use peerstream::hub::ConnectionSender;
use peerstream::protocol::control::CONTROL_BYTES_MAX;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::admission::{Place, mapped, network_name};
use crate::entrance::gate;
use crate::server::Shared;

/// A node that says nothing for this long has gone without a word; nodes report every second, hidden pages at least
/// every minute.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// A message that cannot be written in this time will never be.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes read from a socket at a time; each connection has a buffer of this size, and most messages are far smaller.
const READ_BUFFER: usize = 4 * 1024;
/// Messages that are ready together are written together, up to this many bytes at a time.
const WRITE_BUFFER: usize = 16 * 1024;
/// Bytes of a socket that wait to be written; what comes beyond waits in the coordinator's bounded queue.
const WRITE_BUFFER_MAX: usize = 8 * CONTROL_BYTES_MAX;

/// What somebody shows to be let in.
#[derive(Debug, Deserialize)]
pub struct Shown {
    ticket: Option<String>,
}

/// `GET /api/v1/control`
pub async fn upgrade(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Query(Shown { ticket }): Query<Shown>,
    upgrade: WebSocketUpgrade,
) -> Response {
    if !gate(&shared).admits(ticket.as_deref(), &network_name(address.ip())) {
        shared.counters.ticket_refused();
        return (StatusCode::UNAUTHORIZED, "a ticket of api/v1/admission is needed\n").into_response();
    }
    let Some(place) = shared.admission.enter(address.ip()) else {
        shared.counters.address_refused();
        return (StatusCode::TOO_MANY_REQUESTS, "too many control connections from this address\n").into_response();
    };
    upgrade
        .max_message_size(CONTROL_BYTES_MAX)
        .max_frame_size(CONTROL_BYTES_MAX)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(WRITE_BUFFER_MAX)
        .on_upgrade(move |socket| session(socket, address, shared, place))
}

async fn session(socket: WebSocket, address: SocketAddr, shared: Arc<Shared>, _place: Place) {
    let Some(mut connection) = shared.broadcast.connect(mapped(address.ip()).octets()).await else { return };
    let (sink, stream) = socket.split();
    let (sender, messages) = connection.split();
    let mut over = shared.over.subscribe();
    tokio::select! {
        () = read(stream, sender) => {}
        () = write(sink, messages) => {}
        _ = over.wait_for(|over| *over) => {}
    }
}

async fn read(mut stream: SplitStream<WebSocket>, sender: ConnectionSender<'_>) {
    while let Ok(Some(Ok(message))) = timeout(SILENCE_MAX, stream.next()).await {
        let taken = match message {
            Message::Binary(bytes) => sender.send(bytes.into()).await,
            // Not a message of ours; the coordinator counts it and loses patience.
            Message::Text(text) => sender.send(Bytes::from(text).into()).await,
            Message::Ping(_) | Message::Pong(_) => true,
            Message::Close(_) => false,
        };
        if !taken {
            break;
        }
    }
}

async fn write(mut sink: SplitSink<WebSocket, Message>, messages: &mut mpsc::Receiver<Vec<u8>>) {
    while let Some(message) = messages.recv().await {
        if !matches!(timeout(WRITE_TIMEOUT, write_ready(&mut sink, message, messages)).await, Ok(Ok(()))) {
            return;
        }
    }
    let _ = timeout(WRITE_TIMEOUT, sink.send(Message::Close(None))).await;
}

/// Writes a message and all that are ready behind it.
async fn write_ready(
    sink: &mut SplitSink<WebSocket, Message>,
    first: Vec<u8>,
    messages: &mut mpsc::Receiver<Vec<u8>>,
) -> Result<(), axum::Error> {
    sink.feed(Message::Binary(first.into())).await?;
    while let Ok(next) = messages.try_recv() {
        sink.feed(Message::Binary(next.into())).await?;
    }
    sink.flush().await
}
