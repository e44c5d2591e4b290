//! A case as its entries in the log tell it. Nothing else changes a docket, so that whoever has the log has all cases.

use serde::{Deserialize, Serialize};

use crate::action::{ACTIONS_MAX, Action};
use crate::calendar::{DAY_US, Date};
use crate::hex::Digest;
use crate::ledger::{Evidence, File, Happening, Hidden, Intake, Signed};
use crate::notice::{Material, Profile};
use crate::state::{Actor, Illegal, State, Step};
use crate::statement::Agreed;

/// Actions of one case, in all decisions together.
pub const DONE_MAX: usize = 64;
/// What is missing or asked for has no more fields.
pub const ASKED_MAX: usize = 32;
/// A note or a reason is no longer, in characters.
pub const NOTE_CHARS_MAX: usize = 4_000;
/// What was hidden may be shown again so many business days after a counter-notice, not earlier.
pub const RESTORE_BUSINESS_DAYS_MIN: u32 = 10;
/// And so many, not later.
pub const RESTORE_BUSINESS_DAYS_MAX: u32 = 14;
/// A claimant of whom so many notices were rejected is looked at last.
pub const REJECTED_SLOW_MIN: u32 = 3;

/// How soon a person should look at a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// The copy of the work matches what was streamed.
    Fast,
    /// As usual.
    Normal,
    /// The copy does not match, the mail address is not confirmed, or many notices of this claimant were rejected.
    Slow,
}

/// What a comparison of the copy of the work with what was streamed has found. It sorts the queue and decides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is the same.
    Match,
    /// It may be.
    Unclear,
    /// It is not.
    Mismatch,
    /// They could not be compared.
    NotCompared,
}

/// A comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// What was found.
    pub verdict: Verdict,
    /// Scores and places, or why there was no comparison, for people.
    pub detail: String,
    /// The tools and their versions.
    pub tools: Vec<String>,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// Whether the notice holds.
    pub accepted: bool,
    /// Why.
    pub reason: String,
    /// Who has decided.
    pub by: Actor,
    /// When.
    pub at_us: u64,
}

/// An action that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What.
    pub action: Action,
    /// When.
    pub at_us: u64,
    /// Which segments it has hidden, if it has.
    pub hidden: Option<Hidden>,
    /// Why it could not be done.
    pub error: Option<String>,
    /// How it stands now.
    pub standing: Standing,
}

/// Whether something that was done still is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It stands.
    Stands,
    /// It is to be undone.
    ToUndo,
    /// It has been undone.
    Undone,
    /// It has failed, or there is nothing to undo.
    Past,
}

/// Something that was said, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The hash of the record.
    pub record: Digest,
    /// When it came.
    pub at_us: u64,
}

/// A case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Docket {
    /// Its number on this host, from 1.
    pub id: u64,
    /// Grows with each entry.
    pub revision: u32,
    /// How it stands.
    pub state: State,
    /// Under which rules.
    pub profile: Profile,
    /// By which way it came.
    pub channel: String,
    /// The publisher's key of the stream, 64 hexadecimal digits.
    pub stream: String,
    /// The broadcast.
    pub epoch: u64,
    /// When it came in, microseconds since 1970.
    pub received_us: u64,
    /// When something last happened.
    pub changed_us: u64,
    /// How soon a person should look at it.
    pub lane: Lane,
    /// Whether the claimant's mail address was confirmed.
    pub confirmed: bool,
    /// Where the material is, without words.
    pub material: Material,
    /// The hash of the notice.
    pub notice_hash: Digest,
    /// The hash of who complains.
    pub claimant_hash: Digest,
    /// The same for all notices of the same claimant.
    pub claimant_key: Digest,
    /// What they have agreed to.
    pub statements: Vec<Agreed>,
    /// What the law demands and is not there.
    pub missing: Vec<String>,
    /// What the claimant was asked for.
    pub asked: Vec<String>,
    /// Until then, if they were.
    pub answer_by_us: Option<u64>,
    /// The latest decision.
    pub ruling: Option<Ruling>,
    /// What is still to be done.
    pub to_do: Vec<Action>,
    /// What was tried.
    pub done: Vec<Done>,
    /// The streamer's objection.
    pub counter: Option<Said>,
    /// What was hidden is not shown again before.
    pub restore_from_us: Option<u64>,
    /// And not later.
    pub restore_by_us: Option<u64>,
    /// The court action.
    pub suit: Option<Said>,
    /// What is kept of the broadcast.
    pub evidence: Option<Evidence>,
    /// The copy of the work.
    pub copy: Option<File>,
    /// The bundle that the claimant has sent.
    pub bundle: Option<File>,
    /// Both compared.
    pub comparison: Option<Comparison>,
    /// Nothing may be erased.
    pub hold: bool,
    /// When personal data was erased.
    pub erased_us: Option<u64>,
    /// The number of the entry with which it began.
    pub entry: u64,
    /// That entry's hash.
    pub entry_hash: Digest,
}

/// Why an entry cannot follow what is there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotPossible {
    /// The step may not be taken.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// A case begins with a notice, once.
    #[error("case {0} does not begin with a notice, or begins twice")]
    Beginning(u64),
    /// It is about something that is not so.
    #[error("case {case}: {why}")]
    Nothing {
        /// The case.
        case: u64,
        /// What is not so.
        why: &'static str,
    },
}

/// When a counter-notice that came at a time has what was hidden shown again: not before the first, not after the second.
pub fn restoration(counter_us: u64) -> (u64, u64) {
    let day = Date::of_us(counter_us);
    // A day is over when the next one begins.
    let after = |count| day.after_business_days(count).plus(1).start_us();
    (after(RESTORE_BUSINESS_DAYS_MIN), after(RESTORE_BUSINESS_DAYS_MAX))
}

/// The latest time to answer when something is asked at a time, so many business days later.
pub fn answer_by(asked_us: u64, business_days: u32) -> u64 {
    Date::of_us(asked_us).after_business_days(business_days).plus(1).start_us()
}

impl Docket {
    /// The case that an entry begins.
    ///
    /// # Errors
    /// The entry does not begin one.
    pub fn open(signed: &Signed) -> Result<Self, NotPossible> {
        let entry = &signed.entry;
        let Happening::Received(intake) = &entry.what else { return Err(NotPossible::Beginning(entry.case)) };
        // A notice that waited for its mail to be confirmed was never in the log before.
        let from = if intake.step == Step::Confirm { State::EmailPending } else { State::Draft };
        let state = from.after(intake.step, entry.by.sort())?;
        if state != State::Received {
            return Err(NotPossible::Beginning(entry.case));
        }
        Ok(Self::of(entry.case, state, intake, signed))
    }

    fn of(id: u64, state: State, intake: &Intake, signed: &Signed) -> Self {
        Self {
            id,
            revision: 1,
            state,
            profile: intake.profile,
            channel: intake.channel.clone(),
            stream: intake.stream.clone(),
            epoch: intake.epoch,
            received_us: signed.entry.at_us,
            changed_us: signed.entry.at_us,
            lane: intake.lane,
            confirmed: intake.confirmed,
            material: intake.material.clone(),
            notice_hash: intake.notice,
            claimant_hash: intake.claimant,
            claimant_key: intake.claimant_key,
            statements: intake.statements.clone(),
            missing: intake.missing.clone(),
            asked: Vec::new(),
            answer_by_us: None,
            ruling: None,
            to_do: Vec::new(),
            done: Vec::new(),
            counter: None,
            restore_from_us: None,
            restore_by_us: None,
            suit: None,
            evidence: None,
            copy: intake.copy,
            bundle: intake.bundle,
            comparison: None,
            hold: false,
            erased_us: None,
            entry: signed.entry.number,
            entry_hash: signed.hash,
        }
    }

    /// What an entry changes.
    ///
    /// # Errors
    /// It cannot follow; the docket is as it was.
    pub fn apply(&mut self, signed: &Signed) -> Result<(), NotPossible> {
        let entry = &signed.entry;
        if matches!(entry.what, Happening::Received(_)) || entry.case != self.id {
            return Err(NotPossible::Beginning(entry.case));
        }
        let state = match entry.what.step() {
            Some(step) => self.state.after(step, entry.by.sort())?,
            None => self.state,
        };
        self.permits(&entry.what, &entry.by, entry.at_us)?;
        self.take(&entry.what, &entry.by, entry.at_us);
        self.state = state;
        self.revision += 1;
        self.changed_us = entry.at_us;
        Ok(())
    }

    /// What the table of states does not say.
    fn permits(&self, what: &Happening, by: &Actor, at_us: u64) -> Result<(), NotPossible> {
        let nothing = |why| Err(NotPossible::Nothing { case: self.id, why });
        let room = |actions: &[Action]| {
            actions.len() <= ACTIONS_MAX && self.done.len() + self.to_do.len() + actions.len() <= DONE_MAX
        };
        match what {
            Happening::Accepted { actions, .. } | Happening::Ordered { actions, .. } if !room(actions) => {
                nothing("more is to be done than one case may have")
            }
            Happening::Ordered { .. } if !matches!(self.state, State::Accepted | State::Actioned) => {
                nothing("nothing is ordered about a notice that is not accepted")
            }
            Happening::Done { action, .. } if self.to_do.first() != Some(action) => {
                nothing("something was done that was not next")
            }
            Happening::Acted if !self.to_do.is_empty() => nothing("not all was tried"),
            Happening::Undone { index, .. }
                if self.done.get(*index).is_none_or(|it| it.standing != Standing::ToUndo) =>
            {
                nothing("something was undone that was not to be")
            }
            Happening::Restored { .. } if *by == Actor::Clock && self.due(at_us, Some(0)) != Some(Step::Restore) => {
                nothing("it was restored before its time")
            }
            Happening::Lapsed if self.due(at_us, None) != Some(Step::Lapse) => nothing("it lapsed before its time"),
            Happening::Asked { fields, .. } if fields.len() > ASKED_MAX => nothing("too much was asked for"),
            Happening::Erased { .. } if self.hold => nothing("something was erased that is held"),
            Happening::Erased { .. } if self.erased_us.is_some() => nothing("something was erased twice"),
            _ => Ok(()),
        }
    }

    fn take(&mut self, what: &Happening, by: &Actor, at_us: u64) {
        match what {
            Happening::Asked { fields, answer_by_us } => {
                (self.asked, self.answer_by_us) = (fields.clone(), Some(*answer_by_us));
            }
            Happening::Completed { notice, claimant, statements, material, missing } => {
                (self.notice_hash, self.claimant_hash, self.answer_by_us) = (*notice, *claimant, None);
                (self.statements, self.material, self.missing) =
                    (statements.clone(), material.clone(), missing.clone());
                // Another range needs other evidence.
                (self.evidence, self.comparison) = (None, None);
            }
            Happening::Accepted { actions, note } => {
                self.ruling = Some(Ruling { accepted: true, reason: note.clone(), by: by.clone(), at_us });
                (self.to_do, self.answer_by_us) = (actions.clone(), None);
            }
            Happening::Ordered { actions, .. } => self.to_do.extend_from_slice(actions),
            Happening::Rejected { reason } => {
                self.ruling = Some(Ruling { accepted: false, reason: reason.clone(), by: by.clone(), at_us });
                self.answer_by_us = None;
            }
            Happening::Done { action, hidden, error } => self.did(action, hidden.clone(), error.clone(), at_us),
            Happening::Undone { index, error } => self.undid(*index, error.clone()),
            Happening::Countered { counter, restore_from_us, restore_by_us, .. } => {
                self.counter = Some(Said { record: *counter, at_us });
                (self.restore_from_us, self.restore_by_us) = (*restore_from_us, *restore_by_us);
            }
            Happening::Sued { suit } => {
                self.suit = Some(Said { record: *suit, at_us });
                (self.restore_from_us, self.restore_by_us) = (None, None);
            }
            Happening::Restored { .. } | Happening::Withdrawn => self.undo_all(),
            Happening::Reopened { .. } => {
                self.undo_all();
                self.ruling = None;
            }
            Happening::Screened { .. } | Happening::Lapsed => self.answer_by_us = None,
            Happening::Evidence(evidence) => self.evidence = Some(evidence.clone()),
            Happening::Compared(comparison) => self.compared(comparison),
            Happening::Held { hold, .. } => self.hold = *hold,
            Happening::Erased { .. } => self.erased_us = Some(at_us),
            Happening::Received(_)
            | Happening::Acted
            | Happening::Closed { .. }
            | Happening::LeftOpen { .. }
            | Happening::Noted { .. } => {}
        }
    }

    fn did(&mut self, action: &Action, hidden: Option<Hidden>, error: Option<String>, at_us: u64) {
        self.to_do.remove(0);
        if *action == Action::Restore && error.is_none() {
            self.undo_all();
        }
        let stands = error.is_none() && action.can_be_undone();
        let standing = if stands { Standing::Stands } else { Standing::Past };
        self.done.push(Done { action: action.clone(), at_us, hidden, error, standing });
    }

    fn undid(&mut self, index: usize, error: Option<String>) {
        // What cannot be undone stands, and a person sees why.
        self.done[index].standing = if error.is_none() { Standing::Undone } else { Standing::Stands };
        self.done[index].error = error;
    }

    fn undo_all(&mut self) {
        self.to_do.clear();
        (self.restore_from_us, self.restore_by_us, self.answer_by_us) = (None, None, None);
        let standing = self.done.iter_mut().filter(|it| it.standing == Standing::Stands);
        standing.for_each(|it| it.standing = Standing::ToUndo);
    }

    fn compared(&mut self, comparison: &Comparison) {
        self.lane = match (self.lane, comparison.verdict) {
            (Lane::Slow, _) | (_, Verdict::Mismatch) => Lane::Slow,
            (_, Verdict::Match) => Lane::Fast,
            (lane, _) => lane,
        };
        self.comparison = Some(comparison.clone());
    }

    /// When the clock is to look at it, if ever.
    pub fn due_us(&self) -> Option<u64> {
        [self.answer_by_us, self.restore_from_us].into_iter().flatten().min()
    }

    /// What is due by now.
    pub fn due(&self, now_us: u64, restore_at_us: Option<u64>) -> Option<Step> {
        let past = |at: Option<u64>| at.is_some_and(|at| at <= now_us);
        match self.state {
            State::Deficient if past(self.answer_by_us) => Some(Step::Lapse),
            State::CounterReceived if past(restore_at_us) && past(self.restore_from_us) => Some(Step::Restore),
            _ => None,
        }
    }

    /// Actions of this case that are to be undone, by their places among what was done.
    pub fn to_undo(&self) -> Vec<usize> {
        let places = self.done.iter().enumerate().filter(|(_, it)| it.standing == Standing::ToUndo);
        places.map(|(index, _)| index).collect()
    }

    /// Whether there is something that the host has to do.
    pub fn has_work(&self) -> bool {
        matches!(self.state, State::Received | State::Accepted) || !self.to_do.is_empty() || !self.to_undo().is_empty()
    }

    /// What this case hides at present.
    pub fn hides(&self) -> impl Iterator<Item = &Hidden> {
        self.done.iter().filter(|it| it.standing == Standing::Stands).filter_map(|it| it.hidden.as_ref())
    }

    /// Whether it counts against the streamer.
    pub fn is_strike(&self) -> bool {
        self.done.iter().any(|it| it.action == Action::Strike && it.standing == Standing::Stands)
    }

    /// Whether it counts against the claimant.
    pub fn is_rejected(&self) -> bool {
        self.ruling.as_ref().is_some_and(|ruling| !ruling.accepted)
    }

    /// Whether personal data may be erased: nothing is under way, nobody holds it, and so many days have passed.
    pub fn may_be_erased(&self, now_us: u64, retention_days: u32) -> bool {
        let ended = matches!(self.state, State::Closed | State::Rejected | State::Restored | State::Actioned);
        let old = now_us >= self.changed_us.saturating_add(u64::from(retention_days) * DAY_US);
        ended && old && !self.hold && self.erased_us.is_none()
    }
}

/// The lane of a notice that comes in.
pub fn lane(confirmed: bool, rejected_before: u32) -> Lane {
    if confirmed && rejected_before < REJECTED_SLOW_MIN { Lane::Normal } else { Lane::Slow }
}

#[cfg(test)]
mod tests;
