//! The kinds of plug-ins.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a plug-in is for. Each kind has one trait and one section of the config, both of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Decides who feeds whom.
    Strategy,
    /// Decides what becomes of those who cannot keep up.
    Ladder,
    /// Takes figures and events elsewhere.
    Telemetry,
    /// Keeps what was broadcast.
    Archive,
    /// Handles complaints about what is broadcast.
    Compliance,
    /// Decides who may join.
    Admission,
    /// Opens links between nodes.
    Transport,
    /// Brings the live input.
    Ingest,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Strategy,
        Self::Ladder,
        Self::Telemetry,
        Self::Archive,
        Self::Compliance,
        Self::Admission,
        Self::Transport,
        Self::Ingest,
    ];

    /// Its name in configs and commands, and of its section.
    pub fn word(self) -> &'static str {
        match self {
            Self::Strategy => "strategy",
            Self::Ladder => "ladder",
            Self::Telemetry => "telemetry",
            Self::Archive => "archive",
            Self::Compliance => "compliance",
            Self::Admission => "admission",
            Self::Transport => "transport",
            Self::Ingest => "ingest",
        }
    }

    /// The kind of this name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Whether it may come from a dynamic library. Transport and ingest are on the path of every byte and tied to the
    /// runtime; they are linked in.
    pub fn is_loadable(self) -> bool {
        !matches!(self, Self::Transport | Self::Ingest)
    }

    /// Whether a config may have several of it, each with a name of its own: `[telemetry.NAME]`.
    pub fn is_many(self) -> bool {
        matches!(self, Self::Telemetry | Self::Archive | Self::Compliance | Self::Ingest)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
