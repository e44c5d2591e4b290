//! The signed unit.

use serde::{Deserialize, Serialize};

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// Fragmented MP4 with an init.
    Media,
    /// Any bytes.
    Data,
}
