//! A plug-in that can be used, wherever it comes from.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use peerstream_traits::admission::SharedPolicy;
use peerstream_traits::archive::SharedArchive;
use peerstream_traits::compliance::SharedHandler;
use peerstream_traits::ingest::BoxedIngest;
use peerstream_traits::ladder::BoxedLadder;
use peerstream_traits::strategy::BoxedStrategy;
use peerstream_traits::telemetry::SharedSink;
use peerstream_traits::transport::SharedTransport;
use peerstream_traits::{Build, BuildContext, Kind, PluginError, Registration, Stability, Violation};
use serde_json::{Value, json};

/// A plug-in that can be used.
#[derive(Clone)]
pub struct Entry {
    /// What it is for.
    pub kind: Kind,
    /// What `use` says.
    pub name: String,
    /// What it does, in one line.
    pub summary: String,
    /// How far it can be relied on.
    pub stability: Stability,
    /// Where it comes from.
    pub origin: Origin,
    /// The JSON Schema of its options.
    pub schema: Value,
    /// Its options when none are given.
    pub defaults: Value,
    /// Says all that is wrong with options beyond their schema.
    pub check: Check,
    /// Makes an instance; of its kind.
    pub make: Make,
}

/// Says all that is wrong with options beyond their schema.
pub type Check = Arc<dyn Fn(&Value) -> Vec<Violation> + Send + Sync>;

/// Makes an instance of checked options.
pub type MakeOf<T> = Arc<dyn Fn(&Value, &BuildContext<'_>) -> Result<T, PluginError> + Send + Sync>;

/// Makes an instance, by kind.
#[derive(Clone)]
pub enum Make {
    /// See [`Kind::Strategy`].
    Strategy(MakeOf<BoxedStrategy>),
    /// See [`Kind::Ladder`].
    Ladder(MakeOf<BoxedLadder>),
    /// See [`Kind::Telemetry`].
    Telemetry(MakeOf<SharedSink>),
    /// See [`Kind::Archive`].
    Archive(MakeOf<SharedArchive>),
    /// See [`Kind::Compliance`].
    Compliance(MakeOf<SharedHandler>),
    /// See [`Kind::Admission`].
    Admission(MakeOf<SharedPolicy>),
    /// See [`Kind::Transport`].
    Transport(MakeOf<SharedTransport>),
    /// See [`Kind::Ingest`].
    Ingest(MakeOf<BoxedIngest>),
}

impl From<Build> for Make {
    fn from(build: Build) -> Self {
        match build {
            Build::Strategy(make) => Self::Strategy(Arc::new(make)),
            Build::Ladder(make) => Self::Ladder(Arc::new(make)),
            Build::Telemetry(make) => Self::Telemetry(Arc::new(make)),
            Build::Archive(make) => Self::Archive(Arc::new(make)),
            Build::Compliance(make) => Self::Compliance(Arc::new(make)),
            Build::Admission(make) => Self::Admission(Arc::new(make)),
            Build::Transport(make) => Self::Transport(Arc::new(make)),
            Build::Ingest(make) => Self::Ingest(Arc::new(make)),
        }
    }
}

impl Make {
    /// The kind it makes.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Strategy(_) => Kind::Strategy,
            Self::Ladder(_) => Kind::Ladder,
            Self::Telemetry(_) => Kind::Telemetry,
            Self::Archive(_) => Kind::Archive,
            Self::Compliance(_) => Kind::Compliance,
            Self::Admission(_) => Kind::Admission,
            Self::Transport(_) => Kind::Transport,
            Self::Ingest(_) => Kind::Ingest,
        }
    }
}

/// Where a plug-in comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A crate that is linked in.
    Linked {
        /// The crate.
        crate_name: String,
        /// Its version.
        version: String,
    },
    /// A dynamic library.
    Loaded {
        /// The library's file.
        file: PathBuf,
        /// The SHA-256 of what is in it, 64 hexadecimal digits.
        sha256: String,
        /// The version that it says it has.
        version: String,
    },
}

impl Origin {
    /// What may stand before the slash in `use = "crate/name"`: the crate, or the file's name without `lib` and extension.
    pub fn qualifier(&self) -> &str {
        match self {
            Self::Linked { crate_name, .. } => crate_name,
            Self::Loaded { file, .. } => {
                let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
                stem.strip_prefix("lib").unwrap_or(stem)
            }
        }
    }

    /// Its version.
    pub fn version(&self) -> &str {
        match self {
            Self::Linked { version, .. } | Self::Loaded { version, .. } => version,
        }
    }
}

/// Such as `crate peerstream-dumbbell 0.1.0`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linked { crate_name, version } => write!(f, "crate {crate_name} {version}"),
            Self::Loaded { file, sha256, version } => {
                let digits = sha256.get(..12).unwrap_or(sha256);
                write!(f, "{} {version} (sha256 {digits}…)", file.display())
            }
        }
    }
}

impl Entry {
    /// A plug-in that is linked in.
    pub fn linked(registration: &Registration) -> Self {
        let facts = registration.facts;
        Self {
            kind: registration.build.kind(),
            name: facts.name.to_owned(),
            summary: facts.summary.to_owned(),
            stability: facts.stability,
            origin: Origin::Linked {
                crate_name: registration.crate_name.to_owned(),
                version: registration.crate_version.to_owned(),
            },
            schema: (facts.schema)(),
            defaults: (facts.defaults)(),
            check: Arc::new(facts.check),
            make: registration.build.into(),
        }
    }

    /// Its kind and name as `plugins describe` takes them: `strategy/dumbbell`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// What `plugins list --json` says of it.
    pub fn to_json(&self) -> Value {
        let origin = match &self.origin {
            Origin::Linked { crate_name, .. } => json!({ "crate": crate_name }),
            Origin::Loaded { file, sha256, .. } => json!({ "file": file, "sha256": sha256 }),
        };
        json!({
            "kind": self.kind.word(),
            "name": self.name,
            "version": self.origin.version(),
            "summary": self.summary,
            "stability": self.stability.word(),
            "origin": origin,
        })
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.id(), self.origin)
    }
}
