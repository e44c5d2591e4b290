//! The config of the sink.

use std::path::PathBuf;

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::telemetry::Interest;

/// Where the lines go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The file; its folder must be there.
    pub path: PathBuf,
    /// A file of this size, in bytes, is put aside and a new one begun.
    pub bytes_max: u64,
    /// Old files that are kept.
    pub old_files_max: u32,
    /// Whether figures of the whole broadcast are written.
    pub figures: bool,
    /// Whether events are written.
    pub events: bool,
    /// Whether reports of every node are written: many lines.
    pub reports: bool,
}

impl Default for Config {
    /// At most about 400 MB of figures and events.
    fn default() -> Self {
        Self {
            path: "telemetry.jsonl".into(),
            bytes_max: 64 * 1024 * 1024,
            old_files_max: 5,
            figures: true,
            events: true,
            reports: false,
        }
    }
}

impl Config {
    pub(crate) fn interest(&self) -> Interest {
        Interest { figures: self.figures, events: self.events, reports: self.reports }
    }
}

impl PluginConfig for Config {
    fn validate(&self, violations: &mut Violations) {
        violations.push_if(self.path.file_name().is_none(), "path", "names no file");
        violations.push_if(self.bytes_max < 4_096, "bytes_max", "is below 4096, expected at least 4096");
        violations.push_if(self.old_files_max > 1_000, "old_files_max", "is above 1000, expected at most 1000");
    }
}
