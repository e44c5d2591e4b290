//! Carries out what compliance handlers decide about the broadcast of this process.

use std::sync::Weak;

use async_trait::async_trait;
use peerstream_traits::archive::RestrictMode;
use peerstream_traits::compliance::{Action, Case};
use peerstream_traits::{ErrorClass, PluginError};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tracing::warn;

use crate::broadcast::{END_GRACE, State};
use crate::peer::{Peer, Production};
use crate::plugins::archive::Archives;
use crate::plugins::compliance::Carrier;

/// What it takes to end the stream or to withhold a part of its recording.
pub(crate) struct Enforcement {
    pub(crate) source: Weak<Peer>,
    /// Ends the input.
    pub(crate) pump: AbortHandle,
    pub(crate) state: watch::Sender<State>,
    pub(crate) archives: Archives,
}

#[async_trait]
impl Carrier for Enforcement {
    async fn carry_out(&self, case: &Case, action: &Action) -> Result<(), PluginError> {
        match action {
            Action::StopStream => self.stop_stream(case).await,
            Action::HideRange { from_s, to_s } => {
                let (from_s, to_s) = (*from_s, *to_s);
                if !(from_s.is_finite() && to_s.is_finite() && from_s < to_s) {
                    return Err(PluginError::invalid(format!("from {from_s} s to {to_s} s is no range")));
                }
                if self.archives.is_empty() {
                    return Err(PluginError::new(ErrorClass::NotFound, "there is no archive"));
                }
                self.archives.hide(from_s, to_s, RestrictMode::Hide).await
            }
            Action::NotifyPublisher => {
                // The publisher runs this host: its log is where they look.
                warn!(case = case.id, regime = ?case.notice.regime, subject = case.notice.subject, "a complaint concerns this stream");
                Ok(())
            }
        }
    }
}

impl Enforcement {
    async fn stop_stream(&self, case: &Case) -> Result<(), PluginError> {
        let source = self.source.upgrade().ok_or_else(|| PluginError::unavailable("the broadcast has ended"))?;
        self.pump.abort();
        let _ = source.produce(Production::End).await;
        self.state.send_replace(State::TakenDown(format!("complaint {}", case.id)));
        tokio::time::sleep(END_GRACE).await;
        source.leave().await;
        Ok(())
    }
}
