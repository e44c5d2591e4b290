//! Who carries out what was decided.

use async_trait::async_trait;
use peerstream_takedown::action::{Action, Segments};
use peerstream_takedown::ledger::Hidden;
use peerstream_traits::PluginError;
use peerstream_traits::compliance::Case;

/// Carries out what a handler or the operator decides, and undoes it.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Ends the live stream or hides a range; gives what was hidden. The same twice does nothing twice.
    async fn carry_out(&self, case: &Case, action: &Action) -> Result<Option<Hidden>, PluginError>;

    /// Shows parts of a broadcast again that no case hides any more.
    async fn show(&self, epoch: u64, parts: &[Segments]) -> Result<(), PluginError>;
}
