//! What is said in JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a library says about itself and its plug-ins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// What it was built with, for people: `peerstream-sdk 0.1.0, rustc 1.95.0`.
    #[serde(default)]
    pub built_with: String,
    /// Its plug-ins; their places in the list are their indices.
    pub plugins: Vec<Described>,
}

/// One plug-in of a library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Described {
    /// Its kind, such as `strategy`.
    pub kind: String,
    /// Its name, lower case with dashes.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does, in one line.
    #[serde(default)]
    pub summary: String,
    /// `experimental`, `beta`, `stable` or `deprecated`.
    #[serde(default)]
    pub stability: Option<String>,
    /// The JSON Schema of its options; absent when it has none.
    #[serde(default)]
    pub schema: Option<Value>,
    /// Its options when none are given.
    #[serde(default)]
    pub defaults: Option<Value>,
}

/// Why a call failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failure {
    /// For people.
    pub message: String,
    /// Not before this time, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

/// What a doer says of itself once, after it was made. What does not concern its kind is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traits {
    /// `TelemetrySink::interest`
    pub interest: Option<Value>,
    /// `ArchiveBackend::capabilities`
    pub capabilities: Option<Value>,
    /// `ComplianceHandler::profiles`
    pub profiles: Option<Value>,
    /// `AdmissionPolicy::is_open`
    pub open: bool,
    /// `TreeStrategy::wants_round_trips`
    pub round_trips: bool,
}

/// An item for an archive. The bytes are beside it: an init's, or a segment's header and then its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    /// The recording.
    pub recording: String,
    /// An init's id, 32 hexadecimal digits; absent for a segment.
    #[serde(default)]
    pub init: Option<String>,
    /// The length of the segment's header in bytes.
    #[serde(default)]
    pub header_len: usize,
}
