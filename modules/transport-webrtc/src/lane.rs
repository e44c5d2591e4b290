//! The reading side of one data channel.

use std::sync::Arc;

use peerstream_sdk::traits::transport::{FRAME_BYTES_MAX, Lane, LinkEvent};
use tokio::sync::{mpsc, watch};
use webrtc::data_channel::{DataChannel, DataChannelEvent};

use crate::outbox::Outbox;
use crate::peer::Note;

/// Reads one lane until it ends.
pub(crate) struct Reader {
    pub(crate) lane: Lane,
    pub(crate) channel: Arc<dyn DataChannel>,
    pub(crate) outbox: Arc<Outbox>,
    /// Becomes true once the owner was told that the link is open; frames wait for it.
    pub(crate) up: watch::Receiver<bool>,
    pub(crate) notes: mpsc::UnboundedSender<Note>,
}

impl Reader {
    /// Hands frames to the owner. While the owner's queue is full nothing is read here, then the driver stops reading,
    /// then the peer's window closes: at most the 256 messages of the driver's own queue wait per lane.
    pub(crate) async fn run(mut self) {
        while let Some(event) = self.channel.poll().await {
            let goes_on = match event {
                DataChannelEvent::OnOpen => self.notes.send(Note::Open).ok(),
                DataChannelEvent::OnMessage(message) if message.data.len() > FRAME_BYTES_MAX => {
                    let _ = self.notes.send(Note::Oversized);
                    None
                }
                DataChannelEvent::OnMessage(message) => self.deliver(message.data.freeze()).await,
                DataChannelEvent::OnClosing | DataChannelEvent::OnClose => None,
                _ => Some(()),
            };
            if goes_on.is_none() {
                break;
            }
        }
        let _ = self.notes.send(Note::Ended);
    }

    async fn deliver(&mut self, frame: bytes::Bytes) -> Option<()> {
        self.up.wait_for(|up| *up).await.ok()?;
        self.outbox.send(LinkEvent::Frame(self.lane, frame)).await
    }
}
