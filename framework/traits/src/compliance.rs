//! Compliance handlers: what becomes of complaints about what is broadcast.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Lifecycle, PluginError};

/// Under which rules somebody complains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Regime {
    /// A notice of 17 U.S.C. 512(c)(3).
    Dmca,
    /// A notice of article 16 of the EU's Digital Services Act.
    Dsa,
    /// The host's own rules.
    HouseRules,
}

/// A complaint as it came in. Its size is bounded by the framework.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// Under which rules.
    pub regime: Regime,
    /// Who complains: a name and how to reach them.
    pub claimant: Contact,
    /// What work or rule it is about.
    pub subject: String,
    /// What is wrong and where, in their words.
    pub explanation: String,
    /// From this time of the broadcast, in seconds since its start, if they say so.
    #[serde(default)]
    pub from_s: Option<f64>,
    /// To this time of the broadcast, in seconds since its start, if they say so.
    #[serde(default)]
    pub to_s: Option<f64>,
    /// Statements they make, by the name of the statement, such as `good-faith`, with the exact text they agreed to.
    #[serde(default)]
    pub statements: BTreeMap<String, String>,
    /// Their signature: typed names count.
    #[serde(default)]
    pub signature: Option<String>,
}

/// Somebody and how to reach them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Contact {
    /// Their name.
    pub name: String,
    /// Their mail address.
    pub email: String,
    /// A postal address, if given.
    pub address: String,
}

/// A complaint and how it stands. The framework owns the number and the state; handlers decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Its number on this host, from 1.
    pub id: u64,
    /// Grows with each change; a handler sees the same case and revision again after a failure.
    pub revision: u32,
    /// When it came in, microseconds since 1970.
    pub opened_us: u64,
    /// The publisher's key of the stream concerned, 64 hexadecimal digits.
    pub stream: String,
    /// The broadcast concerned.
    pub epoch: u64,
    /// The complaint.
    pub notice: Notice,
}

/// What a handler wants done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "decision")]
pub enum Decision {
    /// Nothing; the next handler is asked.
    Pass,
    /// The case waits for a person.
    Queue,
    /// The complaint lacks something; who complains is asked for these.
    NeedInfo {
        /// What is missing, for people.
        fields: Vec<String>,
    },
    /// The complaint is refused.
    Reject {
        /// Why, for people.
        reason: String,
    },
    /// These are carried out, in order, and logged.
    Act {
        /// What is done.
        actions: Vec<Action>,
        /// Why, for the log.
        note: String,
    },
}

/// Something the framework does about a complaint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum Action {
    /// Ends the live stream.
    StopStream,
    /// Withholds a part of the recording, by seconds since the start of the broadcast.
    HideRange {
        /// From.
        from_s: f64,
        /// To.
        to_s: f64,
    },
    /// Tells the publisher.
    NotifyPublisher,
}

/// Decides what becomes of complaints. Handlers form a chain, in the order of their names in the config; the first decision
/// other than [`Decision::Pass`] holds. A handler that fails or takes too long leaves the case open, and nothing is done.
#[async_trait]
pub trait ComplianceHandler: Lifecycle {
    /// The rules it knows; it is not asked about others.
    fn regimes(&self) -> Vec<Regime> {
        vec![Regime::Dmca, Regime::Dsa, Regime::HouseRules]
    }

    /// Decides. The same case and revision twice must give the same decision and do nothing twice.
    async fn assess(&self, case: &Case) -> Result<Decision, PluginError>;
}

/// A handler as the runtime holds it.
pub type SharedHandler = Arc<dyn ComplianceHandler>;
