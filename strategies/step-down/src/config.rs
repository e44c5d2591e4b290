//! The config of the policy.

use peerstream_sdk::prelude::*;

/// How fast leaves go down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Seconds for which too many must have struggled before the first ones go. 0: at once.
    pub hold_s: u64,
    /// Seconds between two batches.
    pub pause_s: u64,
    /// A batch is this part of all members, in thousandths, and at least one.
    #[schemars(range(min = 1, max = 1000))]
    pub batch_permille: u32,
    /// Seconds that one that went down is left alone.
    pub dwell_s: u64,
}

impl Default for Config {
    /// Two percent every five seconds.
    fn default() -> Self {
        Self { hold_s: 0, pause_s: 5, batch_permille: 20, dwell_s: 20 }
    }
}

impl PluginConfig for Config {
    fn validate(&self, violations: &mut Violations) {
        let wrong = !(1..=1_000).contains(&self.batch_permille);
        violations.push_if(wrong, "batch_permille", format!("is {}, expected 1 to 1000", self.batch_permille));
    }
}
