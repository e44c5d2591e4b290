//! The config of the recording.

use std::path::PathBuf;

use peerstream_sdk::prelude::*;

/// When what was written reaches the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sync {
    /// With each segment: a power failure costs the last one.
    #[default]
    Each,
    /// When the system likes: a power failure costs the last seconds; the end of the process, however sudden, nothing.
    System,
}

/// Where the recording goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The file; when there is one already the next free name with a number, such as `show-2.mp4`.
    pub path: PathBuf,
    /// When what was written reaches the disk: `each` or `system`.
    pub sync: Sync,
}

impl Default for Config {
    fn default() -> Self {
        Self { path: "recording.mp4".into(), sync: Sync::Each }
    }
}

impl PluginConfig for Config {
    fn validate(&self, violations: &mut Violations) {
        violations.push_if(self.path.file_name().is_none(), "path", "names no file");
    }
}
