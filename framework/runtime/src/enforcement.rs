//! Carries out what is decided about the broadcast of this process and its recordings.

use std::sync::Weak;

use async_trait::async_trait;
use peerstream_protocol::id::{Epoch, Seq};
use peerstream_takedown::action::{Action, Segments};
use peerstream_takedown::ledger::Hidden;
use peerstream_traits::archive::{RestrictMode, Restriction};
use peerstream_traits::compliance::Case;
use peerstream_traits::{ErrorClass, PluginError};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::broadcast::{END_GRACE, State};
use crate::peer::{Peer, Production};
use crate::plugins::archive::Archives;
use crate::plugins::shelf::Shelf;
use crate::takedown::{Carrier, Indexed};
use crate::withholding::{WithholdError, Withholder};

/// What it takes to end the stream or to withhold a part of a recording.
pub(crate) struct Enforcement {
    pub(crate) stream: String,
    pub(crate) epoch: Epoch,
    pub(crate) source: Weak<Peer>,
    /// Ends the input.
    pub(crate) pump: AbortHandle,
    pub(crate) state: watch::Sender<State>,
    pub(crate) archives: Archives,
    pub(crate) shelf: Shelf,
    pub(crate) withholder: Withholder,
}

#[async_trait]
impl Carrier for Enforcement {
    async fn carry_out(&self, case: &Case, action: &Action) -> Result<Option<Hidden>, PluginError> {
        match *action {
            Action::StopStream => self.stop_stream(case).await.map(|()| None),
            Action::HideRange { from_ms, to_ms } => {
                let epoch = case.docket.epoch;
                let segments = self.hide(epoch, from_ms, to_ms).await?;
                Ok(Some(Hidden { epoch, segments }))
            }
            Action::NotifyPublisher | Action::Strike | Action::Restore => Ok(None),
        }
    }

    async fn show(&self, epoch: u64, parts: &[Segments]) -> Result<(), PluginError> {
        for part in parts {
            if self.shelf.is_empty() {
                self.archives.show(Seq(part.first), Seq(part.end)).await?;
            } else {
                self.restrict(epoch, *part, RestrictMode::Show).await?;
            }
            self.restore(epoch, *part).await?;
        }
        Ok(())
    }
}

impl Enforcement {
    async fn hide(&self, epoch: u64, from_ms: u64, to_ms: u64) -> Result<Segments, PluginError> {
        let segments = match self.shelf.is_empty() {
            // An archive that cannot be read back can withhold what it is keeping now.
            true if epoch == self.epoch.0 => {
                let seconds = |ms: u64| ms as f64 / 1e3;
                let (first, end) = self.archives.hide(seconds(from_ms), seconds(to_ms), RestrictMode::Hide).await?;
                Segments { first: first.0, end: end.0 }
            }
            true => return Err(PluginError::new(ErrorClass::NotFound, "no archive keeps that broadcast")),
            false => {
                let indexed = Indexed::of(&self.shelf, &self.stream, epoch).await?;
                let nothing = || PluginError::new(ErrorClass::NotFound, "nothing of that time is kept");
                let segments = indexed.segments(from_ms, to_ms).ok_or_else(nothing)?;
                self.restrict(epoch, segments, RestrictMode::Hide).await?;
                segments
            }
        };
        self.withhold(epoch, segments).await?;
        Ok(segments)
    }

    async fn restrict(&self, epoch: u64, part: Segments, mode: RestrictMode) -> Result<(), PluginError> {
        let all = self.shelf.recordings().await?;
        let recording = all.iter().find(|it| it.meta.stream == self.stream && it.meta.epoch.0 == epoch);
        let gone = || PluginError::new(ErrorClass::NotFound, "the broadcast is not kept any more");
        let restriction = Restriction { first: Seq(part.first), end: Seq(part.end), mode };
        self.shelf.restrict(&recording.ok_or_else(gone)?.id, &restriction).await
    }

    /// Has viewers drop what they keep of a part, if it is of the present broadcast.
    async fn withhold(&self, epoch: u64, part: Segments) -> Result<(), PluginError> {
        if epoch != self.epoch.0 {
            return Ok(());
        }
        told(self.withholder.withhold(Seq(part.first), Seq(part.end)).await)
    }

    /// Lets viewers keep and play it again.
    async fn restore(&self, epoch: u64, part: Segments) -> Result<(), PluginError> {
        if epoch != self.epoch.0 {
            return Ok(());
        }
        told(self.withholder.restore(Seq(part.first), Seq(part.end)).await)
    }

    async fn stop_stream(&self, case: &Case) -> Result<(), PluginError> {
        if case.docket.epoch != self.epoch.0 {
            return Err(PluginError::new(ErrorClass::NotFound, "that broadcast is over"));
        }
        let source = self.source.upgrade().ok_or_else(|| PluginError::unavailable("the broadcast has ended"))?;
        self.pump.abort();
        let _ = source.produce(Production::End).await;
        self.state.send_replace(State::TakenDown(format!("case {}", case.docket.id)));
        tokio::time::sleep(END_GRACE).await;
        source.leave().await;
        Ok(())
    }
}

/// Whether viewers know; once the broadcast is over there are none to be told.
fn told(result: Result<(), WithholdError>) -> Result<(), PluginError> {
    match result {
        Ok(()) | Err(WithholdError::Stopped) => Ok(()),
        Err(error @ WithholdError::TooMany(_)) => Err(PluginError::unavailable(error.to_string())),
    }
}
