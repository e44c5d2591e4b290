//! The states of a case, and who may take it from one to another. The table is all there is: nothing else changes a state.

use core::fmt;

use serde::{Deserialize, Serialize};

/// How a case stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The claimant is still writing.
    Draft,
    /// The claimant must confirm their mail address.
    EmailPending,
    /// On the log; the handlers are being asked.
    Received,
    /// Something that the law demands is missing, and was asked for.
    Deficient,
    /// Waits for a person.
    Screened,
    /// Decided: the notice holds.
    Accepted,
    /// Decided: it does not.
    Rejected,
    /// What was decided has been done.
    Actioned,
    /// The streamer has objected.
    CounterReceived,
    /// The claimant has gone to court.
    SuitFiled,
    /// What was done is undone.
    Restored,
    /// Over.
    Closed,
}

/// What takes a case from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The notice is sent in and must be confirmed.
    Submit,
    /// The notice is sent in, and nothing is to be confirmed.
    Receive,
    /// The operator enters a notice that came by post.
    Enter,
    /// The mail address is confirmed.
    Confirm,
    /// Nobody has sent it in, or confirmed it, in time.
    Expire,
    /// What is missing is asked for.
    Ask,
    /// It came.
    Complete,
    /// It did not come in time.
    Lapse,
    /// A person is to decide.
    Screen,
    /// The notice holds.
    Accept,
    /// It does not.
    Reject,
    /// All that was decided has been tried.
    Act,
    /// The streamer objects.
    Counter,
    /// The claimant has gone to court.
    Suit,
    /// What was done is to be undone.
    Restore,
    /// What was done is to be undone, and a person decides anew.
    Reopen,
    /// The claimant takes the notice back.
    Withdraw,
    /// The case is over.
    Close,
}

/// Sorts of [`Actor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum By {
    Claimant,
    Streamer,
    Operator,
    Handler,
    Clock,
}

/// Who takes a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "actor", deny_unknown_fields)]
pub enum Actor {
    /// Who complains.
    Claimant,
    /// Whose stream it is.
    Streamer,
    /// A person at the host's desk.
    Operator,
    /// A plug-in.
    Handler {
        /// Its name in the config.
        name: String,
        /// Its plug-in, and the crate or file that it comes from, with its version or hash.
        origin: String,
    },
    /// The host itself, because something is due.
    Clock,
}

impl Actor {
    /// Which sort of actor it is.
    pub const fn sort(&self) -> By {
        match self {
            Self::Claimant => By::Claimant,
            Self::Streamer => By::Streamer,
            Self::Operator => By::Operator,
            Self::Handler { .. } => By::Handler,
            Self::Clock => By::Clock,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handler { name, origin } => write!(f, "handler {name} ({origin})"),
            Self::Claimant => f.write_str("claimant"),
            Self::Streamer => f.write_str("streamer"),
            Self::Operator => f.write_str("operator"),
            Self::Clock => f.write_str("clock"),
        }
    }
}

/// One row of the table: from any of these states to that one, by any of those.
pub struct Transition {
    /// What happens.
    pub step: Step,
    /// From these states.
    pub from: &'static [State],
    /// To this one.
    pub to: State,
    /// By these.
    pub by: &'static [By],
}

const fn row(step: Step, from: &'static [State], to: State, by: &'static [By]) -> Transition {
    Transition { step, from, to, by }
}

/// All transitions there are. A step has one row.
pub const TRANSITIONS: &[Transition] = {
    use By::*;
    use State::*;
    const ALIVE: &[State] =
        &[EmailPending, Received, Deficient, Screened, Accepted, Rejected, Actioned, CounterReceived, SuitFiled];
    &[
        row(Step::Submit, &[Draft], EmailPending, &[Claimant]),
        row(Step::Receive, &[Draft], Received, &[Claimant]),
        row(Step::Enter, &[Draft], Received, &[Operator]),
        row(Step::Confirm, &[EmailPending], Received, &[Claimant, Operator]),
        row(Step::Expire, &[Draft, EmailPending], Closed, &[Clock]),
        row(Step::Ask, &[Received, Screened], Deficient, &[Clock, Handler, Operator]),
        row(Step::Complete, &[Deficient], Received, &[Claimant, Operator]),
        row(Step::Lapse, &[Deficient], Closed, &[Clock]),
        row(Step::Screen, &[Received, Deficient], Screened, &[Handler, Clock, Operator]),
        row(Step::Accept, &[Received, Screened, Deficient], Accepted, &[Handler, Operator]),
        row(Step::Reject, &[Received, Screened, Deficient], Rejected, &[Handler, Operator]),
        row(Step::Act, &[Accepted], Actioned, &[Clock]),
        row(Step::Counter, &[Actioned], CounterReceived, &[Streamer, Operator]),
        row(Step::Suit, &[Actioned, CounterReceived], SuitFiled, &[Claimant, Operator]),
        row(Step::Restore, &[CounterReceived, Actioned, SuitFiled], Restored, &[Clock, Operator]),
        row(Step::Reopen, &[Rejected, Accepted, Actioned, Restored, Closed], Screened, &[Operator]),
        row(Step::Withdraw, ALIVE, Closed, &[Claimant]),
        row(Step::Close, &[Rejected, Actioned, Restored, SuitFiled], Closed, &[Operator]),
    ]
};

/// A step that may not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{step}` is not possible in the state `{state}` by the {by}")]
pub struct Illegal {
    /// The state.
    pub state: State,
    /// The step.
    pub step: Step,
    /// By whom.
    pub by: By,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Draft,
        Self::EmailPending,
        Self::Received,
        Self::Deficient,
        Self::Screened,
        Self::Accepted,
        Self::Rejected,
        Self::Actioned,
        Self::CounterReceived,
        Self::SuitFiled,
        Self::Restored,
        Self::Closed,
    ];

    /// The state after a step.
    ///
    /// # Errors
    /// The step may not be taken in this state, or not by this actor.
    pub fn after(self, step: Step, by: By) -> Result<Self, Illegal> {
        let row = TRANSITIONS.iter().find(|row| row.step == step);
        let row = row.filter(|row| row.from.contains(&self) && row.by.contains(&by));
        row.map(|row| row.to).ok_or(Illegal { state: self, step, by })
    }

    /// The steps that somebody may take now.
    pub fn steps(self, by: By) -> Vec<Step> {
        let rows = TRANSITIONS.iter().filter(|row| row.from.contains(&self) && row.by.contains(&by));
        rows.map(|row| row.step).collect()
    }

    /// Whether nobody has decided yet.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Draft | Self::EmailPending | Self::Received | Self::Deficient | Self::Screened)
    }

    /// Its word in interfaces.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::EmailPending => "email-pending",
            Self::Received => "received",
            Self::Deficient => "deficient",
            Self::Screened => "screened",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Actioned => "actioned",
            Self::CounterReceived => "counter-received",
            Self::SuitFiled => "suit-filed",
            Self::Restored => "restored",
            Self::Closed => "closed",
        }
    }

    /// The state of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

impl Step {
    /// Its word in interfaces.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Receive => "receive",
            Self::Enter => "enter",
            Self::Confirm => "confirm",
            Self::Expire => "expire",
            Self::Ask => "ask",
            Self::Complete => "complete",
            Self::Lapse => "lapse",
            Self::Screen => "screen",
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Act => "act",
            Self::Counter => "counter",
            Self::Suit => "suit",
            Self::Restore => "restore",
            Self::Reopen => "reopen",
            Self::Withdraw => "withdraw",
            Self::Close => "close",
        }
    }
}

impl By {
    const fn word(self) -> &'static str {
        match self {
            Self::Claimant => "claimant",
            Self::Streamer => "streamer",
            Self::Operator => "operator",
            Self::Handler => "handler",
            Self::Clock => "clock",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ACTORS: [By; 5] = [By::Claimant, By::Streamer, By::Operator, By::Handler, By::Clock];

    fn reachable(from: State, by: &[By]) -> BTreeSet<State> {
        let mut found = BTreeSet::from([from]);
        loop {
            let next = found.iter().flat_map(|state| {
                let rows = TRANSITIONS.iter().filter(|row| row.from.contains(state));
                rows.filter(|row| row.by.iter().any(|actor| by.contains(actor))).map(|row| row.to).collect::<Vec<_>>()
            });
            let next: BTreeSet<_> = next.chain(found.iter().copied()).collect();
            if next.len() == found.len() {
                return found;
            }
            found = next;
        }
    }

    #[test]
    fn a_step_has_one_row() {
        let steps: BTreeSet<_> = TRANSITIONS.iter().map(|row| row.step).collect();
        assert_eq!(steps.len(), TRANSITIONS.len());
    }

    #[test]
    fn every_state_can_be_reached_and_every_case_can_end() {
        assert_eq!(reachable(State::Draft, &ACTORS).len(), State::ALL.len());
        for state in State::ALL {
            assert!(reachable(state, &ACTORS).contains(&State::Closed), "{state}");
        }
    }

    #[test]
    fn nothing_is_done_unless_a_handler_or_the_operator_has_accepted() {
        let others = [By::Claimant, By::Streamer, By::Clock];
        let reached = reachable(State::Draft, &others);
        assert!(!reached.contains(&State::Accepted) && !reached.contains(&State::Actioned), "{reached:?}");
        assert!(!reached.contains(&State::Rejected));
    }

    #[test]
    fn the_streamer_can_object_and_nothing_else() {
        let steps: BTreeSet<_> = State::ALL.iter().flat_map(|state| state.steps(By::Streamer)).collect();
        assert_eq!(steps, BTreeSet::from([Step::Counter]));
    }

    #[test]
    fn what_the_table_does_not_name_is_refused() {
        let mut allowed = 0;
        for state in State::ALL {
            for step in TRANSITIONS.iter().map(|row| row.step) {
                for by in ACTORS {
                    match state.after(step, by) {
                        Ok(_) => allowed += 1,
                        Err(illegal) => assert_eq!(illegal, Illegal { state, step, by }),
                    }
                }
            }
        }
        assert_eq!(allowed, TRANSITIONS.iter().map(|row| row.from.len() * row.by.len()).sum::<usize>());
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for state in State::ALL {
            assert_eq!(State::of_word(state.word()), Some(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.word());
        }
        for row in TRANSITIONS {
            assert_eq!(serde_json::to_value(row.step).unwrap(), row.step.word());
        }
    }
}
