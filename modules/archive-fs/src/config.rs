//! The config of the archive.

use std::path::PathBuf;

use peerstream_sdk::prelude::*;

/// When what was written reaches the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sync {
    /// With each segment: what is kept survives a power failure.
    #[default]
    Each,
    /// When the system likes: a power failure costs the last seconds; the end of the process, however sudden, nothing.
    System,
}

/// Where recordings are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder of all recordings, created when it is not there.
    pub folder: PathBuf,
    /// When what was written reaches the disk: `each` or `system`.
    pub sync: Sync,
    /// A recording is no larger, in bytes; what comes beyond is refused. 0 for no bound but the disk.
    pub recording_bytes_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { folder: "recordings".into(), sync: Sync::Each, recording_bytes_max: 0 }
    }
}

impl PluginConfig for Config {
    fn validate(&self, violations: &mut Violations) {
        violations.push_if(self.folder.as_os_str().is_empty(), "folder", "is empty, expected a path");
    }
}
