//! Compliance handlers: what becomes of notices about what is broadcast.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
pub use peerstream_takedown::action::{ACTIONS_MAX, Action, Segments};
pub use peerstream_takedown::docket::{Comparison, Docket, Lane, Verdict};
pub use peerstream_takedown::hex::Digest;
pub use peerstream_takedown::notice::{Claimant, Material, Notice, Profile, Work};
pub use peerstream_takedown::state::{Actor, State, Step};
use serde::{Deserialize, Serialize};

use crate::{Lifecycle, PluginError};

/// A case and how it stands. The framework owns the number, the states and the log; handlers decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// What the log tells of it: number, revision, state, stream, evidence, what was done.
    #[serde(flatten)]
    pub docket: Docket,
    /// The notice. Who complains is empty once that was erased.
    pub notice: Notice,
    /// Notices of the same claimant that were rejected.
    pub claimant_rejected: u32,
    /// What counts against the streamer.
    pub strikes: u32,
}

/// What there is to look at beside the notice. The files are the host's: a handler reads them and leaves them as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Evidence {
    /// What was streamed in the range, signed by its source: an evidence bundle.
    pub bundle: Option<Stored>,
    /// The segments in it.
    pub segments: Option<Segments>,
    /// What is wrong with the bundle, or why there is none; empty when every signature in it holds.
    pub faults: Vec<String>,
    /// The copy of the work that the claimant has sent.
    pub copy: Option<Stored>,
    /// The statements that the claimant has made, with the text as it was shown.
    pub statements: Vec<Sworn>,
}

/// A file of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// Where it is.
    pub path: PathBuf,
    /// The BLAKE3 hash of its bytes.
    pub blake3: Digest,
    /// How many bytes.
    pub bytes: u64,
}

/// A statement that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sworn {
    /// Its name, such as `good-faith`.
    pub id: String,
    /// The version of its text.
    pub version: u32,
    /// The text, the day filled in.
    pub text: String,
}

/// A step that a case has taken. What it has led to is in the case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state now.
    pub to: State,
    /// What happened.
    pub step: Step,
    /// Who did it.
    pub by: Actor,
    /// When, microseconds since 1970.
    pub at_us: u64,
}

/// What a handler wants done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "decision", deny_unknown_fields)]
pub enum Decision {
    /// Nothing; the next handler is asked.
    Pass,
    /// The case waits for a person.
    Queue,
    /// The notice lacks something; who complains is asked for these.
    NeedInfo {
        /// What is missing, for people.
        fields: Vec<String>,
    },
    /// The notice is refused.
    Reject {
        /// Why; who complains is told.
        reason: String,
    },
    /// These are carried out, in order, and logged; at most [`ACTIONS_MAX`].
    Act {
        /// What is done.
        actions: Vec<Action>,
        /// Why, for the log.
        note: String,
    },
}

/// Decides what becomes of notices. Handlers form a chain, in the order of their names in the config; the first decision
/// other than [`Decision::Pass`] holds. A handler that fails or takes too long leaves the case open, and nothing is done.
#[async_trait]
pub trait ComplianceHandler: Lifecycle {
    /// The profiles it knows; it is not asked about others.
    fn profiles(&self) -> Vec<Profile> {
        Profile::ALL.to_vec()
    }

    /// Decides. The same case and revision twice must give the same decision and do nothing twice.
    async fn assess(&self, case: &Case, evidence: &Evidence) -> Result<Decision, PluginError>;

    /// A case has taken a step. Told once, in order for each case, and not again after a failure; nothing waits for it.
    async fn on_transition(&self, _case: &Case, _transition: &Transition) -> Result<(), PluginError> {
        Ok(())
    }
}

/// A handler as the runtime holds it.
pub type SharedHandler = Arc<dyn ComplianceHandler>;
