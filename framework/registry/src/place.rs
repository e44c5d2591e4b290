//! Where a value was set.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::source::{Position, Source};

/// Where a value was set. Later ones win over earlier ones.
#[derive(Clone, Debug, Default)]
pub enum Place {
    /// Nowhere: it is a default.
    #[default]
    Default,
    /// In a config file.
    File {
        /// The file.
        source: Arc<Source>,
        /// Which part of it.
        span: Range<usize>,
    },
    /// By an environment variable.
    Environment(Arc<str>),
    /// By `--set`, for this key.
    Set(Arc<str>),
    /// By a flag, such as `--listen`, or by a command.
    Flag(Arc<str>),
}

impl Place {
    /// Line and column, if it is in a file.
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::File { source, span } => Some(source.position(span.start)),
            _ => None,
        }
    }

    /// Whether nobody set it.
    pub fn is_default(&self) -> bool {
        matches!(self, Self::Default)
    }

    /// Keeps what stands there from being shown.
    pub fn mask(&self) {
        if let Self::File { source, span } = self {
            source.mask(span.clone());
        }
    }
}

/// Such as `peerstream.toml:17:1` or `environment variable PEERSTREAM_SERVE__LISTEN`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { source, span } => {
                let Position { line, column } = source.position(span.start);
                write!(f, "{}:{line}:{column}", source.name())
            }
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Set(key) => write!(f, "--set {key}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}
