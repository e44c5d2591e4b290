//! The control connection of a node: a WebSocket, or a channel when the coordinator is in this process.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{SinkExt, StreamExt};
use peerstream_protocol::control::CONTROL_BYTES_MAX;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{Connector, connect_async_tls_with_config};
use tracing::debug;
use url::Url;

use crate::hub::{Hub, Origin};

/// Messages that wait in each direction of one control connection.
pub const CONTROL_QUEUE_MAX: usize = 256;
/// A connection that is not open after this long counts as failed.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a closing connection may take to send what is left, a goodbye for example.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Where a coordinator is reached.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// At a `ws://` or `wss://` url.
    WebSocket(Url),
    /// The same, with somebody who gets a ticket each time a connection is opened.
    Guarded(Url, Arc<dyn Porter>),
    /// In this process, as its source.
    InProcess(Hub),
}

/// Gets leave to open control connections from a host that does not let everybody in.
#[async_trait]
pub trait Porter: std::fmt::Debug + Send + Sync {
    /// What a connection that is opened now shows as `?ticket=`; nothing when it shows none. An attempt waits for it as long as for
    /// the connection itself.
    async fn ticket(&self) -> Option<String>;

    /// The host did not take it.
    fn refused(&self);
}

/// A text that is not an endpoint.
#[derive(Debug, thiserror::Error)]
#[error("`{url}` is not a control endpoint: {problem}, expected such as ws://example.org/api/v1/control")]
pub struct EndpointError {
    url: String,
    problem: String,
}

impl Endpoint {
    /// Reads a `ws://` or `wss://` url.
    pub fn websocket(text: &str) -> Result<Self, EndpointError> {
        let error = |problem: String| EndpointError { url: text.to_owned(), problem };
        let url = Url::parse(text).map_err(|problem| error(problem.to_string()))?;
        match (url.scheme(), url.host()) {
            ("ws" | "wss", Some(_)) => Ok(Self::WebSocket(url)),
            ("ws" | "wss", None) => Err(error("it has no host".into())),
            (other, _) => Err(error(format!("its scheme is `{other}`"))),
        }
    }

    /// The host viewers know this endpoint by, with brackets around an IPv6 address.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::WebSocket(url) | Self::Guarded(url, _) => url.host_str(),
            Self::InProcess(_) => None,
        }
    }
}

/// What a control connection tells its node's driver.
#[derive(Debug)]
pub(crate) enum Event {
    Up,
    Message(Vec<u8>),
    Down,
}

/// One attempt at a control connection. Dropping it sends what is queued and closes.
#[derive(Debug)]
pub(crate) struct Control {
    outgoing: mpsc::Sender<Vec<u8>>,
    incoming: mpsc::Receiver<Vec<u8>>,
    opened: Option<oneshot::Receiver<()>>,
    task: tokio::task::JoinHandle<()>,
}

/// The other ends of a [`Control`]'s channels.
struct Ends {
    outgoing: mpsc::Receiver<Vec<u8>>,
    incoming: mpsc::Sender<Vec<u8>>,
    opened: oneshot::Sender<()>,
}

impl Control {
    pub(crate) fn open(endpoint: &Endpoint) -> Self {
        let (outgoing, from_node) = mpsc::channel(CONTROL_QUEUE_MAX);
        let (to_node, incoming) = mpsc::channel(CONTROL_QUEUE_MAX);
        let (opened_tx, opened) = oneshot::channel();
        let ends = Ends { outgoing: from_node, incoming: to_node, opened: opened_tx };
        let task = match endpoint {
            Endpoint::WebSocket(url) => {
                let url = url.clone();
                tokio::spawn(async move {
                    websocket(url, ends).await;
                })
            }
            Endpoint::Guarded(url, porter) => tokio::spawn(guarded(url.clone(), porter.clone(), ends)),
            Endpoint::InProcess(hub) => tokio::spawn(in_process(hub.clone(), ends)),
        };
        Self { outgoing, incoming, opened: Some(opened), task }
    }

    /// Queues a message without waiting.
    pub(crate) fn try_send(&self, message: Vec<u8>) -> Result<(), TrySendError<Vec<u8>>> {
        self.outgoing.try_send(message)
    }

    /// The next event; nothing follows `Down`. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Event {
        if let Some(opened) = &mut self.opened {
            let result = opened.await;
            self.opened = None;
            return if result.is_ok() { Event::Up } else { Event::Down };
        }
        self.incoming.recv().await.map_or(Event::Down, Event::Message)
    }

    /// Closes and waits, at most [`FLUSH_TIMEOUT`], until what is queued has been sent.
    pub(crate) async fn flush(self) {
        let Self { outgoing, incoming, task, .. } = self;
        drop((outgoing, incoming));
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, task).await;
    }
}

async fn in_process(hub: Hub, mut ends: Ends) {
    let Some(mut connection) = hub.connect(Origin::Source).await else { return };
    let _ = ends.opened.send(());
    loop {
        tokio::select! {
            message = ends.outgoing.recv() => {
                let Some(message) = message else { return };
                if !connection.send(message).await {
                    return;
                }
            }
            message = connection.recv() => match message {
                // A node that is closing does not read any more, but its goodbye must still go out.
                Some(message) => drop(ends.incoming.send(message).await),
                None => return,
            },
        }
    }
}

async fn guarded(mut url: Url, porter: Arc<dyn Porter>, ends: Ends) {
    let Ok(ticket) = tokio::time::timeout(CONNECT_TIMEOUT, porter.ticket()).await else {
        return debug!(%url, "no ticket in time");
    };
    if let Some(ticket) = ticket {
        url.query_pairs_mut().append_pair("ticket", &ticket);
    }
    if websocket(url, ends).await == Opened::Refused {
        porter.refused();
    }
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opened {
    /// It was open, or could not be opened.
    Other,
    /// The host wants another ticket.
    Refused,
}

async fn websocket(url: Url, ends: Ends) -> Opened {
    let config = WebSocketConfig::default()
        .max_message_size(Some(CONTROL_BYTES_MAX))
        .max_frame_size(Some(CONTROL_BYTES_MAX))
        .read_buffer_size(16 * 1024)
        .write_buffer_size(0);
    let connect = connect_async_tls_with_config(url.as_str(), Some(config), true, Some(connector(&url)));
    let socket = match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
        Ok(Ok((socket, _))) => socket,
        Ok(Err(error)) => {
            debug!(host = url.host_str(), %error, "control connection cannot be opened");
            let refused = matches!(&error, WsError::Http(answer) if answer.status().as_u16() == 401);
            return if refused { Opened::Refused } else { Opened::Other };
        }
        Err(_) => {
            debug!(host = url.host_str(), "control connection cannot be opened in time");
            return Opened::Other;
        }
    };
    let Ends { mut outgoing, incoming, opened } = ends;
    let _ = opened.send(());
    let (mut sink, mut stream) = socket.split();
    let write = async {
        while let Some(message) = outgoing.recv().await {
            sink.send(Message::Binary(message.into())).await?;
        }
        sink.close().await
    };
    let read = async {
        while let Some(message) = stream.next().await {
            match message? {
                // A node that is closing does not read any more, but its goodbye must still go out.
                Message::Binary(bytes) => {
                    let taken = incoming.send(bytes.into()).await;
                    if taken.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
                Message::Close(_) => break,
                _ => {}
            }
        }
        Ok::<_, WsError>(())
    };
    let result = tokio::select! { result = write => result, result = read => result };
    debug!(host = url.host_str(), ?result, "control connection ended");
    Opened::Other
}

fn connector(url: &Url) -> Connector {
    if url.scheme() == "ws" {
        return Connector::Plain;
    }
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Connector::Rustls(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_without_a_websocket_scheme_is_refused_with_an_example() {
        let error = Endpoint::websocket("http://example.org/").unwrap_err().to_string();
        assert!(error.contains("its scheme is `http`") && error.contains("ws://example.org"), "{error}");
        assert!(Endpoint::websocket("example.org").is_err());
    }

    #[test]
    fn host_of_an_ipv6_endpoint_keeps_its_brackets() {
        assert_eq!(Endpoint::websocket("ws://[::1]:8080/x").unwrap().host(), Some("[::1]"));
        assert_eq!(Endpoint::websocket("wss://example.org/x").unwrap().host(), Some("example.org"));
    }
}
