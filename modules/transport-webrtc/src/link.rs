//! The owner's handle of a link.

use std::sync::Arc;

use bytes::Bytes;
use peerstream_sdk::traits::transport::{FRAME_BYTES_MAX, IceServers, Lane, Link, LinkEvent, SendError, Side};
use tokio::sync::{Notify, mpsc};

use crate::Shared;
use crate::outbox::{Account, Outbox};
use crate::session::{Inputs, Session};

/// Set-up messages that wait for the session; more are dropped and counted.
const SIGNALS_MAX: usize = 64;

/// A link; dropping it closes it.
pub(crate) struct Handle {
    shared: Arc<Shared>,
    account: Arc<Account>,
    signals: mpsc::Sender<Bytes>,
    /// Unbounded as a channel; the account bounds the bytes in it.
    frames: mpsc::UnboundedSender<(Lane, Bytes)>,
    closing: Arc<Notify>,
}

impl Handle {
    pub(crate) fn open(shared: Arc<Shared>, side: Side, servers: &IceServers, events: mpsc::Sender<LinkEvent>) -> Self {
        let account = Arc::new(Account::default());
        let outbox = Arc::new(Outbox::new(events, Arc::clone(&account)));
        let (signals, signals_in) = mpsc::channel(SIGNALS_MAX);
        let (frames, frames_in) = mpsc::unbounded_channel();
        let closing = Arc::new(Notify::new());
        let inputs = Inputs { signals: signals_in, frames: frames_in, closing: Arc::clone(&closing) };
        let session = Session::new(Arc::clone(&shared), side, outbox);
        tokio::spawn(session.run(servers.clone(), inputs));
        Self { shared, account, signals, frames, closing }
    }
}

impl Link for Handle {
    fn signal(&self, payload: Bytes) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.signals.try_send(payload) {
            self.shared.counters.malformed_signal();
        }
    }

    fn try_send(&self, lane: Lane, frame: Bytes) -> Result<(), SendError> {
        if frame.len() > FRAME_BYTES_MAX {
            return Err(SendError::TooLarge);
        }
        self.account.take(frame.len())?;
        self.frames.send((lane, frame)).map_err(|_| SendError::Closed)
    }

    fn close(&self) {
        self.account.close();
        self.closing.notify_one();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}
