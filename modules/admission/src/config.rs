//! The configs of the policies.

use peerstream_sdk::prelude::*;

/// A shared secret is no shorter, in bytes.
pub const SECRET_BYTES_MIN: usize = 32;
/// A puzzle is no harder, in bits: a page tries some hundred thousand numbers a second.
pub const BITS_MAX: u8 = 26;

/// Who makes tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenConfig {
    /// The secret that whoever makes tokens shares with this host; at least 32 bytes.
    pub secret: Secret,
    /// Seconds that somebody who was let in may come back after their connection broke, even if their token has expired by then.
    pub stay_s: u64,
    /// Seconds by which clocks may differ.
    pub leeway_s: u64,
}

impl Default for TokenConfig {
    fn default() -> Self {
        Self { secret: Secret::default(), stay_s: 12 * 3600, leeway_s: 30 }
    }
}

impl PluginConfig for TokenConfig {
    fn validate(&self, violations: &mut Violations) {
        let found = self.secret.reveal().len();
        let message = format!("has {found} bytes, expected at least {SECRET_BYTES_MIN}");
        violations.push_if(found < SECRET_BYTES_MIN, "secret", message);
        violations.push_if(self.stay_s == 0, "stay_s", "is 0, expected at least 1");
        violations.push_if(self.leeway_s > 600, "leeway_s", "is above 600, expected at most 600");
    }
}

/// How hard it is to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkConfig {
    /// Zero bits that an answer's hash begins with: each one more doubles the work, about 65,000 numbers for 16.
    #[schemars(range(min = 1, max = 26))]
    pub bits: u8,
    /// Seconds in which a puzzle must be solved.
    pub valid_s: u64,
    /// Seconds that somebody who was let in may come back without another puzzle.
    pub stay_s: u64,
}

impl Default for WorkConfig {
    fn default() -> Self {
        Self { bits: 16, valid_s: 120, stay_s: 3_600 }
    }
}

impl PluginConfig for WorkConfig {
    fn validate(&self, violations: &mut Violations) {
        let message = format!("is {}, expected 1 to {BITS_MAX}", self.bits);
        violations.push_if(!(1..=BITS_MAX).contains(&self.bits), "bits", message);
        violations.push_if(self.valid_s == 0, "valid_s", "is 0, expected at least 1");
        violations.push_if(self.stay_s == 0, "stay_s", "is 0, expected at least 1");
    }
}
