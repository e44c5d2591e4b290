//! The links of one node and what they say, merged.

use std::task::{Context, Poll};

use bytes::Bytes;
use peerstream_node::{LinkId, Side};
use peerstream_protocol::frame::Lane;
use peerstream_traits::transport::{self, EVENT_QUEUE_MAX, IceServers, Link, LinkEvent, SendError, SharedTransport};
use tokio::sync::mpsc;

struct Entry {
    id: LinkId,
    link: Box<dyn Link>,
    events: mpsc::Receiver<LinkEvent>,
}

/// The links that are being set up or open: few (a node's assignment bounds them), so a list that is walked.
pub(crate) struct Links {
    transport: SharedTransport,
    entries: Vec<Entry>,
    /// Where the next walk begins, so that a busy link does not silence the others.
    turn: usize,
}

impl Links {
    pub(crate) fn new(transport: SharedTransport) -> Self {
        Self { transport, entries: Vec::new(), turn: 0 }
    }

    pub(crate) fn open(&mut self, id: LinkId, side: Side, servers: &IceServers) {
        let side = match side {
            Side::Offer => transport::Side::Offer,
            Side::Answer => transport::Side::Answer,
        };
        let (sender, events) = mpsc::channel(EVENT_QUEUE_MAX);
        let link = self.transport.open(side, servers, sender);
        self.entries.push(Entry { id, link, events });
    }

    pub(crate) fn signal(&self, id: LinkId, payload: Vec<u8>) {
        if let Some(entry) = self.entries.iter().find(|entry| entry.id == id) {
            entry.link.signal(payload.into());
        }
    }

    pub(crate) fn try_send(&self, id: LinkId, lane: Lane, frame: Bytes) -> Result<(), SendError> {
        let entry = self.entries.iter().find(|entry| entry.id == id).ok_or(SendError::Closed)?;
        entry.link.try_send(lane, frame)
    }

    pub(crate) fn close(&mut self, id: LinkId) {
        if let Some(index) = self.entries.iter().position(|entry| entry.id == id) {
            self.entries.swap_remove(index).link.close();
        }
    }

    pub(crate) fn close_all(&mut self) {
        self.entries.drain(..).for_each(|entry| entry.link.close());
    }

    /// The next event of any link, the links taking turns. `None` in the pair: the link ended without a word.
    pub(crate) async fn next(&mut self) -> (LinkId, Option<LinkEvent>) {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<(LinkId, Option<LinkEvent>)> {
        let count = self.entries.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            let entry = &mut self.entries[index];
            if let Poll::Ready(event) = entry.events.poll_recv(context) {
                let id = entry.id;
                self.turn = index + 1;
                if matches!(event, None | Some(LinkEvent::Down { .. } | LinkEvent::Failed { .. })) {
                    self.entries.swap_remove(index);
                }
                return Poll::Ready((id, event));
            }
        }
        Poll::Pending
    }
}
