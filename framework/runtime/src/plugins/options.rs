//! What a config can say about the layers around an instance; the same for all plug-ins of a kind.

use std::time::Duration;

use peerstream_traits::{PluginConfig, Violations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an instance is begun, watched and ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Lifecycle {
    /// The host does not start without it; otherwise it is tried again while the host runs.
    pub required: bool,
    /// Milliseconds that a start may take.
    pub start_timeout_ms: u64,
    /// Milliseconds between two questions how it is.
    pub health_interval_ms: u64,
    /// Milliseconds that an end may take, what waits in its queue included.
    pub stop_timeout_ms: u64,
    /// Milliseconds until a failed start is tried again; doubles each time.
    pub restart_first_ms: u64,
    /// The longest pause between two starts, in milliseconds.
    pub restart_max_ms: u64,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            required: false,
            start_timeout_ms: 10_000,
            health_interval_ms: 5_000,
            stop_timeout_ms: 5_000,
            restart_first_ms: 1_000,
            restart_max_ms: 60_000,
        }
    }
}

/// What becomes of a record for which there is no room. Nothing ever waits for a sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// The oldest ones that wait make room.
    #[default]
    DropOldest,
    /// The new one is dropped.
    DropNewest,
    /// Every second one that waits is dropped, so that what is left is spread over the whole time.
    Sample,
}

/// Records that wait for a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// At most so many.
    pub items_max: usize,
    /// At most so many bytes of memory, about.
    pub bytes_max: usize,
    /// What becomes of those for which there is no room.
    pub when_full: WhenFull,
}

impl Default for Queue {
    fn default() -> Self {
        Self { items_max: 32_768, bytes_max: 16 * 1024 * 1024, when_full: WhenFull::DropOldest }
    }
}

/// Records that are handed over together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Batch {
    /// At most so many.
    pub items_max: usize,
    /// Milliseconds that the first one waits for others.
    pub linger_ms: u64,
}

impl Default for Batch {
    fn default() -> Self {
        Self { items_max: 1_024, linger_ms: 500 }
    }
}

/// How often and when a call that failed for the time being is made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Calls in all, the first one included.
    pub calls_max: u32,
    /// Milliseconds until the second call; doubles each time.
    pub first_ms: u64,
    /// The longest pause in milliseconds, unless the other side asks for a longer one.
    pub pause_max_ms: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { calls_max: 5, first_ms: 250, pause_max_ms: 15_000 }
    }
}

/// The layers around a telemetry sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// How it is begun, watched and ended.
    pub lifecycle: Lifecycle,
    /// Records that wait.
    pub queue: Queue,
    /// Records that are handed over together.
    pub batch: Batch,
    /// Milliseconds that it may take over a batch.
    pub timeout_ms: u64,
    /// What follows a failure.
    pub retry: Retry,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            lifecycle: Lifecycle::default(),
            queue: Queue::default(),
            batch: Batch::default(),
            timeout_ms: 10_000,
            retry: Retry::default(),
        }
    }
}

/// The layers around an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Archive {
    /// How it is begun, watched and ended.
    pub lifecycle: Lifecycle,
    /// Segments that wait for it; those for which there is no room are missing in the recording.
    pub items_max: usize,
    /// Bytes of segments that wait for it.
    pub bytes_max: usize,
    /// Milliseconds that it may take over a segment.
    pub timeout_ms: u64,
    /// What follows a failure; a segment that is given up is missing in the recording.
    pub retry: Retry,
    /// It may be used beside a compliance handler although nothing can be withheld from it.
    pub allow_unrestrictable: bool,
}

impl Default for Archive {
    /// A minute or two of 4 Mbit/s.
    fn default() -> Self {
        Self {
            lifecycle: Lifecycle { stop_timeout_ms: 15_000, ..Lifecycle::default() },
            items_max: 8_192,
            bytes_max: 64 * 1024 * 1024,
            timeout_ms: 10_000,
            retry: Retry { calls_max: 10, ..Retry::default() },
            allow_unrestrictable: false,
        }
    }
}

/// The layers around a compliance handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Compliance {
    /// How it is begun, watched and ended.
    pub lifecycle: Lifecycle,
    /// Milliseconds that it may take over a case.
    pub timeout_ms: u64,
    /// What follows a failure for the time being; after it the case stays open and nothing is done.
    pub retry: Retry,
}

impl Default for Compliance {
    fn default() -> Self {
        Self {
            lifecycle: Lifecycle::default(),
            timeout_ms: 30_000,
            retry: Retry { calls_max: 4, first_ms: 2_000, pause_max_ms: 60_000 },
        }
    }
}

/// What a policy that fails or takes too long means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Nobody may join.
    #[default]
    Closed,
    /// Everybody may join.
    Open,
}

/// The layers around an admission policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admission {
    /// How it is begun, watched and ended.
    pub lifecycle: Lifecycle,
    /// Milliseconds that it may take over a newcomer.
    pub timeout_ms: u64,
    /// Newcomers that it is asked about at the same time; the others are told to come back.
    pub at_once_max: usize,
    /// What a failure means.
    pub on_failure: OnFailure,
}

impl Default for Admission {
    fn default() -> Self {
        Self { lifecycle: Lifecycle::default(), timeout_ms: 2_000, at_once_max: 1_024, on_failure: OnFailure::Closed }
    }
}

/// For those that have no other layer, such as a transport.
impl PluginConfig for Lifecycle {
    fn validate(&self, violations: &mut Violations) {
        lifecycle(self, "", violations);
    }
}

impl PluginConfig for Telemetry {
    fn validate(&self, violations: &mut Violations) {
        lifecycle(&self.lifecycle, "lifecycle.", violations);
        positive(self.queue.items_max as u64, "queue.items_max", violations);
        positive(self.queue.bytes_max as u64, "queue.bytes_max", violations);
        positive(self.batch.items_max as u64, "batch.items_max", violations);
        positive(self.timeout_ms, "timeout_ms", violations);
        retry(&self.retry, violations);
    }
}

impl PluginConfig for Archive {
    fn validate(&self, violations: &mut Violations) {
        lifecycle(&self.lifecycle, "lifecycle.", violations);
        positive(self.items_max as u64, "items_max", violations);
        positive(self.bytes_max as u64, "bytes_max", violations);
        positive(self.timeout_ms, "timeout_ms", violations);
        retry(&self.retry, violations);
    }
}

impl PluginConfig for Compliance {
    fn validate(&self, violations: &mut Violations) {
        lifecycle(&self.lifecycle, "lifecycle.", violations);
        positive(self.timeout_ms, "timeout_ms", violations);
        retry(&self.retry, violations);
    }
}

impl PluginConfig for Admission {
    fn validate(&self, violations: &mut Violations) {
        lifecycle(&self.lifecycle, "lifecycle.", violations);
        positive(self.timeout_ms, "timeout_ms", violations);
        positive(self.at_once_max as u64, "at_once_max", violations);
    }
}

fn lifecycle(options: &Lifecycle, under: &str, violations: &mut Violations) {
    positive(options.start_timeout_ms, &format!("{under}start_timeout_ms"), violations);
    positive(options.health_interval_ms, &format!("{under}health_interval_ms"), violations);
    positive(options.stop_timeout_ms, &format!("{under}stop_timeout_ms"), violations);
    positive(options.restart_first_ms, &format!("{under}restart_first_ms"), violations);
}

fn retry(options: &Retry, violations: &mut Violations) {
    positive(options.calls_max.into(), "retry.calls_max", violations);
}

fn positive(value: u64, path: &str, violations: &mut Violations) {
    violations.push_if(value == 0, path, "is 0, expected at least 1");
}

/// Milliseconds of a config.
pub(crate) fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<O: PluginConfig>(text: &str) -> usize {
        let options: O = serde_json::from_str(text).expect("readable");
        let mut violations = Violations::default();
        options.validate(&mut violations);
        violations.into_vec().len()
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(check::<Lifecycle>("{}") + check::<Telemetry>("{}") + check::<Archive>("{}"), 0);
        assert_eq!(check::<Compliance>("{}") + check::<Admission>("{}"), 0);
    }

    #[test]
    fn all_that_is_wrong_is_told_and_unknown_options_are_refused() {
        assert_eq!(check::<Telemetry>(r#"{"queue": {"items_max": 0}, "timeout_ms": 0, "retry": {"calls_max": 0}}"#), 3);
        assert!(serde_json::from_str::<Telemetry>(r#"{"queue": {"max_items": 1}}"#).is_err());
        assert!(serde_json::from_str::<Telemetry>(r#"{"queue": {"when_full": "block"}}"#).is_err());
    }
}
