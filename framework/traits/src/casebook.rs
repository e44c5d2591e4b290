//! Where cases are kept: the log, what it tells of each case, records, drafts, letters that wait. Files are kept beside it.

use peerstream_protocol::crypto::PublicKey;
use peerstream_takedown::hex::Digest;
use peerstream_takedown::ledger::Head;
use peerstream_takedown::{Docket, Draft, Lane, Posted, Profile, Record, Signed, State};

pub use peerstream_takedown::outbox::{GIVEN_UP_MAX, LETTERS_MAX, SENT_MAX};

use crate::PluginError;

/// A query gives no more cases at a time.
pub const CASES_MAX: usize = 500;
/// Entries of the log that are given at a time.
pub const ENTRIES_MAX: usize = 1_000;
/// Letters that are given at a time.
pub const LETTERS_GIVEN_MAX: usize = 500;

/// An entry and all that changes with it: kept together or not at all.
#[derive(Debug)]
pub struct Change<'a> {
    /// The entry; it follows the last one.
    pub entry: &'a Signed,
    /// The case after it.
    pub docket: &'a Docket,
    /// Records that are new.
    pub records: &'a [Record],
    /// The draft that has become the case; it is deleted with its letters, and its token is the case's.
    pub draft: Option<&'a Draft>,
    /// Letters that it causes.
    pub letters: &'a [Posted],
    /// Whether the personal records of the case go, and all letters about it.
    pub erase: bool,
}

/// How many letters there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LetterCounts {
    /// They wait to be sent.
    pub waiting: u64,
    /// They were given up.
    pub given_up: u64,
}

/// Which cases are wanted. What is not said does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// In one of these states.
    pub states: Vec<State>,
    /// Under these rules.
    pub profile: Option<Profile>,
    /// In this lane.
    pub lane: Option<Lane>,
    /// About this stream.
    pub stream: Option<String>,
    /// Of this claimant.
    pub claimant_key: Option<Digest>,
    /// Whose notice or claimant has this text in it, whatever the case.
    pub text: Option<String>,
    /// Leave out so many first.
    pub skip: usize,
    /// At most so many; no more than [`CASES_MAX`].
    pub max: usize,
}

/// Keeps cases. What it has said it keeps is there after a crash. Calls block; there is one at a time.
pub trait Casebook: Send {
    /// The end of the log, as it is kept.
    fn head(&mut self) -> Result<Head, PluginError>;

    /// Keeps an entry and what changes with it. Fails, and keeps nothing, if the entry's number is not the next one.
    fn commit(&mut self, change: &Change<'_>) -> Result<(), PluginError>;

    /// The number of the next case.
    fn next_case(&mut self) -> Result<u64, PluginError>;

    /// A case.
    fn docket(&mut self, case: u64) -> Result<Option<Docket>, PluginError>;

    /// Cases by lane, then by what is due first, then by number.
    fn dockets(&mut self, query: &Query) -> Result<Vec<Docket>, PluginError>;

    /// How many cases are in each state.
    fn counts(&mut self) -> Result<Vec<(State, u64)>, PluginError>;

    /// Cases on which the host has work to do or of which something is due by this time, by lane and number, at most [`CASES_MAX`].
    fn pending(&mut self, now_us: u64) -> Result<Vec<u64>, PluginError>;

    /// Cases that have not changed since this time and still hold personal data, at most [`CASES_MAX`].
    fn unchanged_since(&mut self, since_us: u64) -> Result<Vec<u64>, PluginError>;

    /// Entries from a number on, of one case or of all, at most `max`.
    fn entries(&mut self, case: Option<u64>, from: u64, max: usize) -> Result<Vec<Signed>, PluginError>;

    /// A record, if it was not erased.
    fn record(&mut self, hash: &Digest) -> Result<Option<Record>, PluginError>;

    /// How many cases count against a stream.
    fn strikes(&mut self, stream: &str) -> Result<u32, PluginError>;

    /// How many notices of a claimant were rejected.
    fn rejected(&mut self, claimant_key: &Digest) -> Result<u32, PluginError>;

    /// The case of a token, by the hash under which it is kept.
    fn case_of(&mut self, token: &Digest) -> Result<Option<u64>, PluginError>;

    /// Keeps a draft, or what has changed of it, and a letter that it causes.
    fn put_draft(&mut self, draft: &Draft, letter: Option<&Posted>) -> Result<(), PluginError>;

    /// A draft.
    fn draft(&mut self, id: &str) -> Result<Option<Draft>, PluginError>;

    /// The draft that a token from a mail confirms.
    fn draft_of_confirmation(&mut self, confirmation: &Digest) -> Result<Option<Draft>, PluginError>;

    /// Drafts that wait for their mail address to be confirmed, at most [`CASES_MAX`].
    fn drafts_pending(&mut self) -> Result<Vec<Draft>, PluginError>;

    /// Deletes drafts that have expired, with their letters, and gives their names.
    fn expire_drafts(&mut self, now_us: u64) -> Result<Vec<String>, PluginError>;

    /// How many drafts there are.
    fn drafts(&mut self) -> Result<usize, PluginError>;

    /// Letters that can be sent at this time, those that have waited longest first.
    fn letters_due(&mut self, now_us: u64, max: usize) -> Result<Vec<Posted>, PluginError>;

    /// Keeps what has become of a letter, if it is still there. Of those given up the last [`GIVEN_UP_MAX`] are kept, of those sent the last
    /// [`SENT_MAX`].
    fn update_letter(&mut self, letter: &Posted) -> Result<(), PluginError>;

    /// Deletes a letter: a mail server has taken it, and nobody is to know it any more.
    fn remove_letter(&mut self, id: &str) -> Result<(), PluginError>;

    /// Letters about one case, or those about all cases and drafts that were not sent, the latest first, at most `max` and
    /// [`LETTERS_GIVEN_MAX`].
    fn letters(&mut self, case: Option<u64>, max: usize) -> Result<Vec<Posted>, PluginError>;

    /// How many letters there are.
    fn letter_counts(&mut self) -> Result<LetterCounts, PluginError>;

    /// Has what was erased vanish from the files as well, as far as that can be done. Called after something was erased, at the start, and now and
    /// then; there may be nothing to do.
    fn scrub(&mut self) -> Result<(), PluginError>;
}

/// A casebook as the runtime holds it.
pub type BoxedCasebook = Box<dyn Casebook>;

/// Whether the log in a casebook is this operator's, told by its first and its last entry: it may have been begun with another key, or gone on
/// with. What stands between is for those who verify the whole log.
///
/// # Errors
/// The number of an entry that this key has not signed as it stands there, or the casebook's.
pub fn is_of(book: &mut dyn Casebook, operator: &PublicKey) -> Result<(), NotOurs> {
    let last = book.head()?.entries;
    for number in [last.min(1), last].into_iter().filter(|number| *number > 0) {
        let entry = book.entries(None, number, 1)?.pop().filter(|it| it.entry.number == number);
        if !entry.is_some_and(|it| it.is_by(operator)) {
            return Err(NotOurs::Entry { number, operator: *operator });
        }
    }
    Ok(())
}

/// Why a casebook cannot be gone on with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotOurs {
    /// An entry of its log is somebody else's.
    #[error(
        "the log of cases is not this host's: {operator}, the operator's key of this host, has not signed its entry {number}. A log of two keys \
         proves nothing: start with the publisher's key that it was begun with, or have cases kept elsewhere and leave these as they are"
    )]
    Entry {
        /// Its number.
        number: u64,
        /// The key that should have signed it.
        operator: PublicKey,
    },
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] PluginError),
}
