//! A compliance handler: asks for what a notice lacks, and leaves the rest to people.

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::compliance::{Case, ComplianceHandler, Decision};

/// The options.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether a notice must have a signature.
    pub signed: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { signed: true }
    }
}

impl PluginConfig for Config {}

/// The handler.
pub struct Mine {
    config: Config,
}

impl Plugin for Mine {
    const NAME: &'static str = "ask-first";
    const SUMMARY: &'static str = "asks for what is missing, and queues the rest";
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self { config })
    }
}

impl Lifecycle for Mine {}

#[async_trait]
impl ComplianceHandler for Mine {
    async fn assess(&self, case: &Case) -> Result<Decision, PluginError> {
        let notice = &case.notice;
        let unsigned = notice.signature.as_deref().unwrap_or_default().is_empty();
        let checks = [
            ("name", notice.claimant.name.is_empty()),
            ("email", notice.claimant.email.is_empty()),
            ("subject", notice.subject.is_empty()),
            ("explanation", notice.explanation.is_empty()),
            ("signature", self.config.signed && unsigned),
        ];
        let fields: Vec<_> = checks.iter().filter(|(_, lacks)| *lacks).map(|(name, _)| (*name).to_owned()).collect();
        Ok(if fields.is_empty() { Decision::Queue } else { Decision::NeedInfo { fields } })
    }
}

peerstream_sdk::export_plugin! { compliance: Mine }
