//! The handler.

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::compliance::{Case, ComplianceHandler, Decision, Evidence};

/// Leaves every case to a person.
#[derive(Clone, Copy, Debug)]
pub struct Queue;

impl Plugin for Queue {
    const NAME: &'static str = "queue";
    const SUMMARY: &'static str = "cases wait at the operator's desk for a person to decide";
    const STABILITY: Stability = Stability::Beta;
    type Config = NoOptions;

    fn build(_: NoOptions, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self)
    }
}

impl Lifecycle for Queue {}

#[async_trait]
impl ComplianceHandler for Queue {
    async fn assess(&self, _: &Case, _: &Evidence) -> Result<Decision, PluginError> {
        Ok(Decision::Queue)
    }
}
