//! The log: entries that are only ever added, each with the hash of the one before and the operator's signature.
//!
//! What is signed is the canonical JSON of an entry: its fields in the order in which they stand here, without blanks. Entries hold no personal
//! data, only hashes of [records](crate::record), so that those can be erased. A log that was cut off at its end still verifies; a receipt of an
//! entry that is cut off shows it.

use std::collections::BTreeMap;

use peerstream_protocol::crypto::{PublicKey, SecretKey, Strict, Verifier as _};
use serde::{Deserialize, Serialize};

use crate::action::{Action, Segments};
use crate::docket::{Comparison, Docket, Lane, NotPossible};
use crate::hex::{Digest, Seal};
use crate::notice::{Material, Profile};
use crate::receipt::Receipt;
use crate::state::{Actor, Step};
use crate::statement::Agreed;

/// A line of the log is no longer, in bytes.
pub const LINE_BYTES_MAX: usize = 256 * 1024;

const PURPOSE: &str = "peerstream takedown entry 1";
const SIGNED: &[u8] = b"peerstream/takedown/entry/1";

/// Something that happened to a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1.
    pub number: u64,
    /// When, microseconds since 1970; never before the entry before.
    pub at_us: u64,
    /// The hash of the entry before; zeros for the first.
    pub prev: Digest,
    /// The case's number.
    pub case: u64,
    /// Who.
    pub by: Actor,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Happening {
    /// A notice was taken in: the case begins.
    Received(Box<Intake>),
    /// What is missing was asked for.
    Asked {
        /// Fields, or words for people.
        fields: Vec<String>,
        /// Until then, microseconds since 1970.
        answer_by_us: u64,
    },
    /// The claimant has sent the notice again.
    Completed {
        /// The hash of the notice.
        notice: Digest,
        /// The hash of who complains.
        claimant: Digest,
        /// What they have agreed to.
        statements: Vec<Agreed>,
        /// Where the material is, without words.
        material: Material,
        /// What is still missing.
        missing: Vec<String>,
    },
    /// Nothing came in time.
    Lapsed,
    /// A person is to decide.
    Screened {
        /// Why, if there is something to say.
        note: String,
    },
    /// The notice holds.
    Accepted {
        /// What is to be done.
        actions: Vec<Action>,
        /// Why.
        note: String,
    },
    /// More is to be done about a notice that holds.
    Ordered {
        /// What.
        actions: Vec<Action>,
        /// Why.
        note: String,
    },
    /// The notice does not hold.
    Rejected {
        /// Why; the claimant is told.
        reason: String,
    },
    /// An action was carried out, or could not be.
    Done {
        /// What.
        action: Action,
        /// Which segments it has hidden, if it has.
        hidden: Option<Hidden>,
        /// Why it could not be done.
        error: Option<String>,
    },
    /// All actions have been tried.
    Acted,
    /// Something that was done has been undone, or could not be.
    Undone {
        /// Its place among what was done, from 0.
        index: usize,
        /// Why it could not be undone.
        error: Option<String>,
    },
    /// The streamer objects.
    Countered {
        /// The hash of what they say.
        counter: Digest,
        /// What they have agreed to.
        statements: Vec<Agreed>,
        /// What was hidden is not shown again before, microseconds since 1970; absent where no law says so.
        restore_from_us: Option<u64>,
        /// And not later than that.
        restore_by_us: Option<u64>,
    },
    /// The claimant has gone to court.
    Sued {
        /// The hash of what they say.
        suit: Digest,
    },
    /// What was done is to be undone.
    Restored {
        /// Why.
        note: String,
    },
    /// What was done is to be undone, and a person decides anew.
    Reopened {
        /// Why.
        note: String,
    },
    /// The claimant takes the notice back.
    Withdrawn,
    /// The case is over.
    Closed {
        /// Why.
        note: String,
    },
    /// What was streamed in the range is kept.
    Evidence(Evidence),
    /// Both are compared.
    Compared(Comparison),
    /// No handler has decided; the case stays as it is.
    LeftOpen {
        /// Why.
        why: String,
    },
    /// Somebody at the desk has something to say.
    Noted {
        /// What. It stays for good: no place for names.
        note: String,
    },
    /// Nothing of the case may be erased, or may be again.
    Held {
        /// Whether.
        hold: bool,
        /// Why.
        note: String,
    },
    /// Personal data and files of the case are no longer kept.
    Erased {
        /// Why.
        note: String,
    },
}

/// How a case begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intake {
    /// How it came.
    pub step: Step,
    /// Under which rules.
    pub profile: Profile,
    /// By which way it came: `web`, or what the operator says, such as `post`.
    pub channel: String,
    /// The publisher's key of the stream, 64 hexadecimal digits.
    pub stream: String,
    /// The broadcast.
    pub epoch: u64,
    /// Where the material is, without words.
    pub material: Material,
    /// The hash of the notice.
    pub notice: Digest,
    /// The hash of who complains.
    pub claimant: Digest,
    /// A hash that is the same for all notices of the same claimant on this host.
    pub claimant_key: Digest,
    /// What they have agreed to.
    pub statements: Vec<Agreed>,
    /// What is missing.
    pub missing: Vec<String>,
    /// Whether their mail address was confirmed.
    pub confirmed: bool,
    /// How soon a person should look at it.
    pub lane: Lane,
    /// The copy of the work that they have sent, if they have.
    pub copy: Option<File>,
    /// The evidence bundle that they have sent, if they have.
    pub bundle: Option<File>,
}

/// A file that is kept beside the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The BLAKE3 hash of its bytes, by which it is found.
    pub blake3: Digest,
    /// How many bytes.
    pub bytes: u64,
}

/// What of the broadcast is kept for a case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The bundle; none when nothing could be had.
    pub bundle: Option<File>,
    /// Where it comes from: `archive`, or `claimant`.
    pub source: String,
    /// Its segments.
    pub segments: Option<Segments>,
    /// From where to where they are in the broadcast, in milliseconds since its start.
    #[serde(default)]
    pub times_ms: Option<(u64, u64)>,
    /// What is wrong with it or why there is none, for people. Empty when every signature holds.
    pub faults: Vec<String>,
}

/// A part of a recording that an action has hidden.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hidden {
    /// The broadcast.
    pub epoch: u64,
    /// Which segments of it.
    pub segments: Segments,
}

impl Happening {
    /// The step that it is; none if it changes no state.
    pub fn step(&self) -> Option<Step> {
        Some(match self {
            Self::Received(intake) => intake.step,
            Self::Asked { .. } => Step::Ask,
            Self::Completed { .. } => Step::Complete,
            Self::Lapsed => Step::Lapse,
            Self::Screened { .. } => Step::Screen,
            Self::Accepted { .. } => Step::Accept,
            Self::Rejected { .. } => Step::Reject,
            Self::Acted => Step::Act,
            Self::Countered { .. } => Step::Counter,
            Self::Sued { .. } => Step::Suit,
            Self::Restored { .. } => Step::Restore,
            Self::Reopened { .. } => Step::Reopen,
            Self::Withdrawn => Step::Withdraw,
            Self::Closed { .. } => Step::Close,
            Self::Ordered { .. }
            | Self::Done { .. }
            | Self::Undone { .. }
            | Self::Evidence(_)
            | Self::Compared(_)
            | Self::LeftOpen { .. }
            | Self::Noted { .. }
            | Self::Held { .. }
            | Self::Erased { .. } => return None,
        })
    }
}

impl Entry {
    /// The canonical bytes.
    pub fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an entry is JSON")
    }

    /// The hash of the canonical bytes.
    pub fn hash(&self) -> Digest {
        Digest::of(PURPOSE, &self.text())
    }
}

/// An entry as it stands in the log: one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The entry.
    pub entry: Entry,
    /// Its hash.
    pub hash: Digest,
    /// The operator's signature over the hash.
    pub signature: Seal,
}

impl Signed {
    /// Signs an entry.
    pub fn new(entry: Entry, operator: &SecretKey) -> Self {
        let hash = entry.hash();
        let signature = Seal(operator.sign(&signed_bytes(&hash)));
        Self { entry, hash, signature }
    }

    /// Whether it is as this key has signed it. What comes before it is not looked at.
    pub fn is_by(&self, operator: &PublicKey) -> bool {
        let is_signed = || Strict::default().verify(operator, &signed_bytes(&self.hash), &self.signature.0);
        self.entry.hash() == self.hash && is_signed()
    }

    /// Its line, without the line break.
    pub fn line(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an entry is JSON")
    }
}

fn signed_bytes(hash: &Digest) -> Vec<u8> {
    [SIGNED, &hash.0].concat()
}

/// The end of a log, to which entries are added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// How many entries there are.
    pub entries: u64,
    /// The hash of the last one.
    pub hash: Digest,
    /// When that was.
    pub at_us: u64,
}

impl Head {
    /// The next entry, for a time that is no earlier than the last one's.
    pub fn next(&self, at_us: u64, case: u64, by: Actor, what: Happening) -> Entry {
        Entry { number: self.entries + 1, at_us: at_us.max(self.at_us), prev: self.hash, case, by, what }
    }

    /// The end behind an entry.
    pub fn of(signed: &Signed) -> Self {
        Self { entries: signed.entry.number, hash: signed.hash, at_us: signed.entry.at_us }
    }
}

/// What is wrong with a log: the first entry that is, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {entry}: {what}")]
pub struct Fault {
    /// The number that the entry should have.
    pub entry: u64,
    /// What is wrong with it.
    pub what: Wrong,
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Wrong {
    /// It is no entry.
    #[error("is no entry of a log: {0}")]
    Malformed(String),
    /// It has another number.
    #[error("has the number {0}: entries are missing, doubled or out of order")]
    Number(u64),
    /// It does not follow the entry before.
    #[error("does not name the hash of the entry before: that one was changed, or entries were taken out")]
    Chain,
    /// Its hash is another one.
    #[error("was changed: its hash is another one")]
    Changed,
    /// Its signature does not hold.
    #[error("is not signed by the operator's key")]
    Signature,
    /// It is earlier than the entry before.
    #[error("is earlier than the entry before")]
    Time,
    /// The case could not have gone this way.
    #[error("{0}")]
    Course(#[from] NotPossible),
}

/// Checks a log line by line, and follows its cases.
#[derive(Debug)]
pub struct Verifier {
    operator: PublicKey,
    strict: Strict,
    head: Head,
    dockets: BTreeMap<u64, Docket>,
}

impl Verifier {
    /// Of a log that is signed by this key.
    pub fn new(operator: PublicKey) -> Self {
        Self { operator, strict: Strict::default(), head: Head::default(), dockets: BTreeMap::new() }
    }

    /// Checks the next line.
    ///
    /// # Errors
    /// What is wrong with it; nothing that follows can be trusted.
    pub fn take(&mut self, line: &[u8]) -> Result<(), Fault> {
        let entry = self.head.entries + 1;
        let fault = |what| Fault { entry, what };
        if line.len() > LINE_BYTES_MAX {
            return Err(fault(Wrong::Malformed(format!(
                "it has {} bytes, expected at most {LINE_BYTES_MAX}",
                line.len()
            ))));
        }
        let signed: Signed =
            serde_json::from_slice(line).map_err(|error| fault(Wrong::Malformed(error.to_string())))?;
        self.check(&signed).map_err(fault)?;
        self.follow(&signed).map_err(|wrong| Fault { entry: signed.entry.number, what: wrong.into() })?;
        self.head = Head::of(&signed);
        Ok(())
    }

    fn check(&mut self, signed: &Signed) -> Result<(), Wrong> {
        let Signed { entry, hash, signature } = signed;
        if entry.hash() != *hash {
            return Err(Wrong::Changed);
        }
        if !self.strict.verify(&self.operator, &signed_bytes(hash), &signature.0) {
            return Err(Wrong::Signature);
        }
        if entry.number != self.head.entries + 1 {
            return Err(Wrong::Number(entry.number));
        }
        if entry.prev != self.head.hash {
            return Err(Wrong::Chain);
        }
        if entry.at_us < self.head.at_us { Err(Wrong::Time) } else { Ok(()) }
    }

    fn follow(&mut self, signed: &Signed) -> Result<(), NotPossible> {
        match self.dockets.get_mut(&signed.entry.case) {
            Some(docket) => docket.apply(signed),
            None => {
                self.dockets.insert(signed.entry.case, Docket::open(signed)?);
                Ok(())
            }
        }
    }

    /// The end of what was checked.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The cases as the log tells them.
    pub fn dockets(&self) -> &BTreeMap<u64, Docket> {
        &self.dockets
    }

    /// Whether the log holds the entry that a receipt was given for.
    pub fn holds(&self, receipt: &Receipt) -> bool {
        let docket = self.dockets.get(&receipt.case);
        docket.is_some_and(|docket| (docket.entry, docket.entry_hash) == (receipt.entry, receipt.head))
    }
}
