//! The life of an instance as people see it.

use serde::Serialize;

/// How an instance stands: `built` -> `starting` -> `running` <-> `degraded` -> `stopping` -> `stopped` or `failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Made, and nothing was done with it yet.
    Built,
    /// Being started.
    Starting,
    /// It works.
    Running,
    /// It works less well than it should, or could not be started and will be tried again.
    Degraded,
    /// Being stopped.
    Stopping,
    /// It has ended as it should.
    Stopped,
    /// It does not work.
    Failed,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Built, Self::Starting, Self::Running, Self::Degraded, Self::Stopping, Self::Stopped, Self::Failed];

    /// Its name in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Degraded => "degraded",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }

    /// Whether this may follow. The same state again, for another reason, may.
    pub fn may_become(self, next: Self) -> bool {
        use State::{Built, Degraded, Failed, Running, Starting, Stopped, Stopping};
        match self {
            Built => matches!(next, Starting | Stopping),
            Starting => matches!(next, Running | Degraded | Failed | Stopping),
            Running => matches!(next, Running | Degraded | Failed | Stopping),
            Degraded => matches!(next, Starting | Running | Degraded | Failed | Stopping),
            // One that says of itself that it has failed may say that it is well again.
            Failed => matches!(next, Running | Degraded | Failed | Stopping),
            Stopping => matches!(next, Stopped | Failed),
            Stopped => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_follows_the_end() {
        assert!(State::ALL.iter().all(|next| !State::Stopped.may_become(*next)));
    }

    #[test]
    fn whatever_happens_an_instance_can_be_stopped_once() {
        let stoppable = State::ALL.iter().filter(|state| state.may_become(State::Stopping)).count();
        assert_eq!(stoppable, State::ALL.len() - 2);
        assert!(!State::Stopping.may_become(State::Running));
    }

    #[test]
    fn nothing_runs_that_was_not_started() {
        assert!(!State::Built.may_become(State::Running) && !State::Built.may_become(State::Degraded));
    }
}
