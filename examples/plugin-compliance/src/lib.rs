//! A compliance handler: asks for the source copy where a notice has none, and leaves the rest to people.
//!
//! What the law demands is asked for by the host itself. This is about what a host may ask for besides; a notice that lacks it must not be
//! refused, so it asks once.

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::compliance::{Case, ComplianceHandler, Decision, Evidence};

/// The options.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether a copy of the work is asked for when there is none.
    pub copy: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { copy: true }
    }
}

impl PluginConfig for Config {}

/// The handler.
pub struct Mine {
    config: Config,
}

impl Plugin for Mine {
    const NAME: &'static str = "ask-first";
    const SUMMARY: &'static str = "asks once for what helps, and queues the rest";
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self { config })
    }
}

impl Lifecycle for Mine {}

#[async_trait]
impl ComplianceHandler for Mine {
    async fn assess(&self, case: &Case, evidence: &Evidence) -> Result<Decision, PluginError> {
        let was_asked = !case.docket.asked.is_empty();
        if self.config.copy && evidence.copy.is_none() && !was_asked {
            return Ok(Decision::NeedInfo { fields: vec!["a copy of the work, or where it can be seen".into()] });
        }
        Ok(Decision::Queue)
    }
}

peerstream_sdk::export_plugin! { compliance: Mine }
