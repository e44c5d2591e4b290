//! Why a library cannot be used. Each reason has a code that stays.

use std::fmt;
use std::path::PathBuf;

/// Names that come near, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named(pub Vec<String>);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted: Vec<_> = self.0.iter().map(|name| format!("`{name}`")).collect();
        f.write_str(&quoted.join(", "))
    }
}

/// Why a library cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It is in none of the allowed folders.
    #[error("PS0201 {file}: not found in {}{}", searched(.dirs), did_you_mean(.near))]
    NotFound {
        /// As the config names it.
        file: String,
        /// Where it was looked for.
        dirs: Vec<PathBuf>,
        /// Files with a similar name.
        near: Named,
    },
    /// Others than its owner could change it.
    #[error("PS0202 {}: {problem}", .path.display())]
    Unsafe {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// It is not the file that the config means.
    #[error("PS0203 {}: {problem}", .path.display())]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// What is wrong, with what was found and what was expected.
        problem: String,
    },
    /// It speaks another version of the interface.
    #[error("PS0204 {file}: {problem}")]
    Incompatible {
        /// The file's name.
        file: String,
        /// What differs, with both sides' versions.
        problem: String,
    },
    /// The system's loader refuses it.
    #[error("PS0205 {file}: cannot be loaded: {problem}")]
    Refused {
        /// The file's name.
        file: String,
        /// The whole chain of causes, and a hint if one is known.
        problem: String,
    },
    /// It is a library, but not of plug-ins.
    #[error("PS0206 {file}: not a PeerStream plug-in: it has no function `{}`", peerstream_abi::SYMBOL)]
    Foreign {
        /// The file's name.
        file: String,
    },
    /// What it says about itself makes no sense.
    #[error("PS0207 {file}: {problem}")]
    Malformed {
        /// The file's name.
        file: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// It ended the process that tried it.
    #[error("PS0208 {file}: {problem} while it was tried in a process of its own")]
    Crashed {
        /// The file's name.
        file: String,
        /// How the process ended.
        problem: String,
    },
    /// This build cannot load libraries.
    #[error(
        "PS0209 {file}: this build of peerstream cannot load plug-ins ({problem}); link the crate into a host instead"
    )]
    Unsupported {
        /// The file's name.
        file: String,
        /// Why.
        problem: String,
    },
}

impl LoadError {
    /// The code alone, such as `PS0203`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "PS0201",
            Self::Unsafe { .. } => "PS0202",
            Self::Untrusted { .. } => "PS0203",
            Self::Incompatible { .. } => "PS0204",
            Self::Refused { .. } => "PS0205",
            Self::Foreign { .. } => "PS0206",
            Self::Malformed { .. } => "PS0207",
            Self::Crashed { .. } => "PS0208",
            Self::Unsupported { .. } => "PS0209",
        }
    }
}

fn searched(dirs: &[PathBuf]) -> String {
    if dirs.is_empty() {
        return "any folder: `plugins.dirs` is empty, so nothing may be loaded".to_owned();
    }
    dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn did_you_mean(near: &Named) -> String {
    if near.0.is_empty() { String::new() } else { format!("; did you mean {near}?") }
}
