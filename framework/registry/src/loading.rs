//! The section `[plugins]`: which dynamic libraries may be loaded.

use std::collections::BTreeMap;
use std::path::PathBuf;

use peerstream_traits::{PluginConfig, Violations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Libraries that a config may name.
pub const LIBRARIES_MAX: usize = 64;

/// Which dynamic libraries may be loaded. Without folders none is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Loading {
    /// Folders whose libraries may be loaded; only root or the service's user may write to them. None: nothing is loaded.
    pub dirs: Vec<PathBuf>,
    /// What a file must show before it is loaded: the `sha256` given for it, a `signature`, or `none`.
    pub require: Require,
    /// Whose signatures count, as public keys of 64 hexadecimal digits: those that `peerstream keygen` shows.
    pub trusted_keys: Vec<String>,
    /// The libraries, each under a name of your own.
    pub load: BTreeMap<String, Library>,
}

/// What a file must show before it is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Require {
    /// That it is the file whose hash the config gives.
    #[default]
    Sha256,
    /// That somebody trusted has signed it.
    Signature,
    /// Nothing: for development.
    None,
}

/// A dynamic library.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Library {
    /// The file's name, in one of the folders.
    #[schemars(extend("format" = "file-name"))]
    pub file: String,
    /// The SHA-256 of what is in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "sha256"))]
    pub sha256: Option<String>,
}

impl PluginConfig for Loading {
    fn validate(&self, violations: &mut Violations) {
        let count = self.load.len();
        violations.push_if(
            count > LIBRARIES_MAX,
            "load",
            format!("has {count} libraries, expected at most {LIBRARIES_MAX}"),
        );
        let nowhere = count > 0 && self.dirs.is_empty();
        violations.push_if(nowhere, "dirs", "is empty, expected the folders of the libraries to load");
        for key in &self.trusted_keys {
            let wrong = peerstream_protocol::crypto::PublicKey::from_hex(key).is_none();
            violations.push_if(wrong, "trusted_keys", format!("has `{key}`, expected 64 hexadecimal digits"));
        }
        for (name, library) in &self.load {
            let unpinned = self.require == Require::Sha256 && library.sha256.is_none();
            let message = "has no sha256, which `require` asks for";
            violations.push_if(unpinned, format!("load.{name}"), message);
        }
    }
}
