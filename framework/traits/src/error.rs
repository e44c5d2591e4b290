//! How a plug-in fails.

use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a failure means to the framework, which decides by it whether to try again; never by the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ErrorClass {
    /// What was asked makes no sense; asking again is of no use.
    Invalid,
    /// The plug-in does not do that; see its capabilities.
    Unsupported,
    /// What was asked for is not there.
    NotFound,
    /// Something else is there already.
    Conflict,
    /// The other side refuses, for want of rights for example.
    Denied,
    /// Too much was asked in too short a time.
    RateLimited,
    /// The other side cannot be reached, or is in trouble of its own; it may be fine later.
    Unavailable,
    /// It took too long.
    Timeout,
    /// A mistake of the plug-in.
    Internal,
    /// The plug-in panicked; the instance is not used again.
    Panicked,
}

impl ErrorClass {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Invalid,
        Self::Unsupported,
        Self::NotFound,
        Self::Conflict,
        Self::Denied,
        Self::RateLimited,
        Self::Unavailable,
        Self::Timeout,
        Self::Internal,
        Self::Panicked,
    ];

    /// Whether the same call may succeed later.
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable | Self::Timeout)
    }

    /// Its name in metrics and interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unsupported => "unsupported",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::RateLimited => "rate-limited",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
            Self::Panicked => "panicked",
        }
    }
}

/// Why a plug-in could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PluginError {
    /// What it means.
    pub class: ErrorClass,
    /// For people: what was found and what was expected. No secrets.
    pub message: String,
    /// Not before this time, if the other side said so.
    pub retry_after: Option<Duration>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl PluginError {
    /// A failure of this class.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), retry_after: None, source: None }
    }

    /// What was asked makes no sense.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Invalid, message)
    }

    /// The plug-in does not do that.
    pub fn unsupported(what: &str) -> Self {
        Self::new(ErrorClass::Unsupported, format!("{what} is not supported"))
    }

    /// The other side cannot be reached or is in trouble.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Unavailable, message)
    }

    /// The same with what caused it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same, not to be tried again before this time has passed.
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }
}

impl From<std::io::Error> for PluginError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let class = match error.kind() {
            ErrorKind::NotFound => ErrorClass::NotFound,
            ErrorKind::PermissionDenied => ErrorClass::Denied,
            ErrorKind::AlreadyExists | ErrorKind::AddrInUse => ErrorClass::Conflict,
            ErrorKind::InvalidInput | ErrorKind::InvalidData => ErrorClass::Invalid,
            ErrorKind::TimedOut => ErrorClass::Timeout,
            _ => ErrorClass::Unavailable,
        };
        Self::new(class, error.to_string()).because(error)
    }
}
