//! What nobody plays or gives out any more: all nodes are told, and what this host sends over HTTP leaves it out.

use peerstream_protocol::id::Seq;
use peerstream_protocol::withheld::TooMany;

use crate::hub::{Hub, Withholding};
use crate::logbook::Logbook;
use crate::recent::Recent;

/// Why a part of a broadcast was not withheld, or not given out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WithholdError {
    /// Nothing has changed.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// The broadcast is over.
    #[error("the coordinator has stopped")]
    Stopped,
}

/// Withholds parts of the broadcast of this process; cheap to clone.
#[derive(Clone)]
pub(crate) struct Withholder {
    hub: Hub,
    recent: Recent,
    logbook: Option<Logbook>,
}

impl Withholder {
    pub(crate) fn new(hub: Hub, recent: Recent, logbook: Option<Logbook>) -> Self {
        Self { hub, recent, logbook }
    }

    /// Withholds again what was withheld before the broadcast was cut short.
    pub(crate) async fn go_on(&self, withheld: Vec<(Seq, Seq)>) {
        for (first, end) in withheld {
            // It cannot be too many: they were no more before.
            let _ = self.withhold(first, end).await;
        }
    }

    /// Nobody plays or gives out the segments from `first` up to, not including, `end` from now on, nor do those that come later.
    pub(crate) async fn withhold(&self, first: Seq, end: Seq) -> Result<(), WithholdError> {
        self.change(Withholding::Withhold(first, end)).await
    }

    /// They may be played and given out again. Viewers have dropped what they kept of them.
    pub(crate) async fn restore(&self, first: Seq, end: Seq) -> Result<(), WithholdError> {
        self.change(Withholding::Restore(first, end)).await
    }

    async fn change(&self, what: Withholding) -> Result<(), WithholdError> {
        let withheld = self.hub.withhold(what).await.ok_or(WithholdError::Stopped)??;
        self.logbook.iter().for_each(|logbook| logbook.withhold(&withheld));
        self.recent.withhold(withheld);
        Ok(())
    }
}
