//! A notice that is not in the log yet: its claimant is still writing, or has to confirm their mail address.

use serde::{Deserialize, Serialize};

use crate::calendar::DAY_US;
use crate::hex::Digest;
use crate::notice::Notice;
use crate::state::State;

/// Drafts that a host keeps, at most; beyond it those give way that are older than [`DRAFT_PRESSED_US`], and if there are none newcomers are told to
/// come back.
pub const DRAFTS_MAX: usize = 4_096;
/// A draft that is not sent in, or not confirmed, is deleted after this time, in microseconds.
pub const DRAFT_TTL_US: u64 = DAY_US;

/// So long a draft stays whatever happens, in microseconds since it was begun or sent in.
pub const DRAFT_PRESSED_US: u64 = 3_600_000_000;

/// A draft. All of it is deleted when it expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// 32 random hexadecimal digits.
    pub id: String,
    /// [`State::Draft`] or [`State::EmailPending`].
    pub state: State,
    /// The hash of the token that its claimant shows; later the token of the case.
    pub token: Digest,
    /// The hash of the token in the mail, while that is awaited.
    pub confirmation: Option<Digest>,
    /// When it is deleted, microseconds since 1970.
    pub expires_us: u64,
    /// What is written so far.
    pub notice: Notice,
}

/// The hash under which a token is kept: who reads the database cannot act as a claimant.
pub fn token_hash(token: &str) -> Digest {
    Digest::of("peerstream takedown token 1", token.as_bytes())
}
