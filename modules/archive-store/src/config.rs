//! The config of the archive.

use std::path::{Path, PathBuf};

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

/// A bucket of S3 or of what speaks like it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct S3 {
    /// The bucket; empty to keep recordings on the local disk.
    pub bucket: String,
    /// The server, such as `https://s3.eu-central-1.amazonaws.com`; empty for Amazon's.
    pub endpoint: String,
    /// The region; `auto` where there are none.
    pub region: String,
    /// A folder within the bucket; empty for none.
    pub prefix: String,
    /// Who asks.
    pub access_key_id: Secret,
    /// Their secret.
    pub secret_access_key: Secret,
    /// The bucket is part of the host's name, not of the path.
    pub virtual_host: bool,
}

/// Where recordings are, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder of the spool, and of all recordings unless they are in a bucket; created when it is not there.
    pub folder: PathBuf,
    /// When what was written reaches the disk: `each` or `system`.
    pub sync: Sync,
    /// A block ends at the first key frame after so many seconds. The shorter, the sooner it is in the backend; each is two objects.
    pub block_seconds: u32,
    /// A block ends at the first key frame after so many bytes, and at four times as many in any case.
    pub block_bytes: u32,
    /// What waits for the backend takes no more room, in bytes; beyond it segments are dropped, which the manifest names.
    pub spool_bytes_max: u64,
    /// What is older is deleted, in hours; 0 to keep it for ever.
    pub keep_hours: u32,
    /// All recordings together are no larger, in bytes: the oldest parts are deleted. 0 for no bound but the disk.
    pub bytes_max: u64,
    /// A bucket instead of the local disk; needs a host that was built with the feature `s3`.
    pub s3: S3,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            folder: "recordings".into(),
            sync: Sync::Each,
            block_seconds: 20,
            block_bytes: 8 * 1024 * 1024,
            spool_bytes_max: 4 * 1024 * 1024 * 1024,
            keep_hours: 0,
            bytes_max: 0,
            s3: S3::default(),
        }
    }
}

/// A block is no larger than this times four, so that it fits into memory when it is shipped.
const BLOCK_BYTES_MAX: u32 = 64 * 1024 * 1024;

impl PluginConfig for Config {
    fn validate(&self, violations: &mut Violations) {
        violations.push_if(self.folder.as_os_str().is_empty(), "folder", "is empty, expected a path");
        violations.push_if(self.block_seconds == 0, "block_seconds", "is 0, expected at least 1");
        violations.push_if(
            self.block_bytes == 0 || self.block_bytes > BLOCK_BYTES_MAX,
            "block_bytes",
            format!("is {}, expected 1 to {BLOCK_BYTES_MAX}", self.block_bytes),
        );
        violations.push_if(self.spool_bytes_max == 0, "spool_bytes_max", "is 0, expected the size of some blocks");
        if !self.s3.bucket.is_empty() {
            let message = "this host was built without S3, expected one built with `--features s3`";
            violations.push_if(!cfg!(feature = "s3"), "s3.bucket", message);
            violations.push_if(self.s3.region.is_empty(), "s3.region", "is empty, expected a region or `auto`");
        }
    }
}

impl Config {
    /// The folder of what is being written and what waits.
    pub(crate) fn spool(&self) -> PathBuf {
        self.folder.join(".spool")
    }

    pub(crate) fn is_local(&self) -> bool {
        self.s3.bucket.is_empty()
    }

    /// The first folder above that is there.
    pub(crate) fn nearest(&self) -> &Path {
        let there = self.folder.ancestors().find(|folder| folder.as_os_str().is_empty() || folder.exists());
        there.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }
}
