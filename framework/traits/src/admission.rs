//! Admission policies: who may join.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Lifecycle, PluginError};

/// What a newcomer shows is no longer, in bytes.
pub const PROOF_BYTES_MAX: usize = 4 * 1024;

/// Somebody who wants to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The publisher's key of the stream, 64 hexadecimal digits.
    pub stream: String,
    /// The network they come from: an IPv4 address, or a /64 of IPv6.
    pub network: String,
    /// What they show: a token, the answer to a challenge; absent the first time. At most [`PROOF_BYTES_MAX`] bytes.
    #[serde(default)]
    pub proof: Option<String>,
    /// Now, microseconds since 1970.
    pub now_us: u64,
}

/// Whether they may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// They may, and again within this time without being asked.
    Allow {
        /// In seconds.
        ttl_s: u64,
    },
    /// They must do something first and come back with a proof of it.
    Challenge {
        /// What the page must do.
        task: Task,
    },
    /// They may not.
    Deny {
        /// For them to read.
        message: String,
    },
}

impl Verdict {
    /// They may for this long.
    pub fn allow(ttl: Duration) -> Self {
        Self::Allow { ttl_s: ttl.as_secs() }
    }

    /// They may not.
    pub fn deny(message: impl Into<String>) -> Self {
        Self::Deny { message: message.into() }
    }
}

/// Something a page can do without its viewer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "task")]
pub enum Task {
    /// Find a number such that SHA-256 of `puzzle:number` begins with this many zero bits; the proof is `puzzle:number`.
    Work {
        /// Letters, digits, dashes and dots.
        puzzle: String,
        /// At most 32.
        bits: u8,
    },
    /// Show a token that the page got from whoever embeds it.
    Token,
}

/// Decides who may join. Asked once for each newcomer; a policy that fails or takes too long is taken as a refusal or a leave,
/// as the config says.
#[async_trait]
pub trait AdmissionPolicy: Lifecycle {
    /// Whether everybody may join, so that nobody need be asked.
    fn is_open(&self) -> bool {
        false
    }

    /// Decides.
    async fn admit(&self, request: &JoinRequest) -> Result<Verdict, PluginError>;
}

/// A policy as the runtime holds it.
pub type SharedPolicy = Arc<dyn AdmissionPolicy>;
