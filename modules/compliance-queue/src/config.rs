//! The config of the queue.

use std::path::PathBuf;

use peerstream_sdk::prelude::*;

/// Where complaints wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder, created when it is not there. The files name who complains.
    pub folder: PathBuf,
    /// Files that wait, at most; beyond it cases stay open in the host's log and are offered again at its next start.
    pub cases_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { folder: "complaints".into(), cases_max: 10_000 }
    }
}

impl PluginConfig for Config {
    fn validate(&self, violations: &mut Violations) {
        violations.push_if(self.folder.as_os_str().is_empty(), "folder", "is empty, expected a path");
        violations.push_if(self.cases_max == 0, "cases_max", "is 0, expected at least 1");
    }
}
