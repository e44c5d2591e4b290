//! Everybody may join.

use std::time::Duration;

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::admission::{AdmissionPolicy, JoinRequest, Verdict};

/// Lets everybody in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open;

impl Plugin for Open {
    const NAME: &'static str = "open";
    const SUMMARY: &'static str = "everybody may join";
    const STABILITY: Stability = Stability::Beta;
    type Config = NoOptions;

    fn build(_: NoOptions, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self)
    }
}

impl Lifecycle for Open {}

#[async_trait]
impl AdmissionPolicy for Open {
    fn is_open(&self) -> bool {
        true
    }

    async fn admit(&self, _: &JoinRequest) -> Result<Verdict, PluginError> {
        Ok(Verdict::allow(Duration::from_secs(24 * 3600)))
    }
}
