//! Why something could not be done at the site, and so what comes next.

use std::time::Duration;

use peerstream_sdk::prelude::*;

/// What follows a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The same again after a pause; not before this one has passed, if the site said so.
    Later {
        /// For people, without secrets.
        why: String,
        /// What the site asks for.
        pause: Option<Duration>,
    },
    /// The site takes nothing as things are: a wrong password, a quota that is used up. Somebody must do something.
    Refused {
        /// For people, without secrets.
        why: String,
    },
    /// The site does not take this one thing, and will not another time.
    Unfit {
        /// For people, without secrets.
        why: String,
    },
    /// What it was about is not there.
    Gone {
        /// For people, without secrets.
        why: String,
    },
    /// The host ends, or the part is not to be shown any more.
    Stopped,
}

impl Failure {
    pub(crate) fn later(why: impl Into<String>) -> Self {
        Self::Later { why: why.into(), pause: None }
    }

    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into() }
    }

    pub(crate) fn unfit(why: impl Into<String>) -> Self {
        Self::Unfit { why: why.into() }
    }

    /// For people.
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::Later { why, .. } | Self::Refused { why } | Self::Unfit { why } | Self::Gone { why } => why,
            Self::Stopped => "interrupted",
        }
    }
}

/// What cannot be written or read here may be possible later.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::later(format!("the spool: {error}"))
    }
}

impl From<Failure> for PluginError {
    fn from(failure: Failure) -> Self {
        let class = match &failure {
            Failure::Later { .. } | Failure::Stopped => ErrorClass::Unavailable,
            Failure::Refused { .. } => ErrorClass::Denied,
            Failure::Unfit { .. } => ErrorClass::Invalid,
            Failure::Gone { .. } => ErrorClass::NotFound,
        };
        Self::new(class, failure.why())
    }
}
