//! What is still to be done to objects, for the courier.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::document;

const FILE: &str = "chores.json";

/// What is to be done to the objects of a recording. It is on the disk before anything is done, so that nothing is forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Chores {
    /// Blocks in which payloads are to be written over.
    pub(crate) erase: BTreeSet<u64>,
    /// Blocks that are to go.
    pub(crate) delete: BTreeSet<u64>,
    /// All of it is to go.
    pub(crate) gone: bool,
}

impl Chores {
    pub(crate) fn read(folder: &Path) -> io::Result<Self> {
        Ok(document::read(&folder.join(FILE))?.unwrap_or_default())
    }

    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        document::write(&folder.join(FILE), self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
