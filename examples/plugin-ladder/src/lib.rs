//! A ladder policy: as many as have no place go down at once, and one more every `pause_s` seconds while too many struggle.

use peerstream_sdk::prelude::*;

/// The options.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Seconds between two that go down because they struggle (1 to 600).
    #[schemars(range(min = 1, max = 600))]
    pub pause_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { pause_s: 5 }
    }
}

impl PluginConfig for Config {}

/// The policy.
pub struct Mine {
    config: Config,
    last: Option<Micros>,
}

impl Plugin for Mine {
    const NAME: &'static str = "one-by-one";
    const SUMMARY: &'static str = "one at a time, and at once whoever has no place";
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self { config, last: None })
    }
}

impl LadderPolicy for Mine {
    fn decide(&mut self, overload: &Overload<'_>) -> Vec<(NodeId, Rung)> {
        let pause = Micros::from_secs(self.config.pause_s);
        let rests = self.last.is_some_and(|last| overload.now.since(last) < pause);
        let count = overload.unplaced.max(usize::from(!rests));
        if count > 0 {
            self.last = Some(overload.now);
        }
        overload.leaves.iter().take(count).map(|leaf| (*leaf, Rung::Lower)).collect()
    }
}

peerstream_sdk::export_plugin! { ladder: Mine }
