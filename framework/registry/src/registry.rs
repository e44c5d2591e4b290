//! All plug-ins that can be used, by kind and name.

use std::collections::BTreeMap;
use std::fmt;

use peerstream_traits::admission::SharedPolicy;
use peerstream_traits::archive::SharedArchive;
use peerstream_traits::compliance::SharedHandler;
use peerstream_traits::ingest::BoxedIngest;
use peerstream_traits::ladder::BoxedLadder;
use peerstream_traits::strategy::BoxedStrategy;
use peerstream_traits::telemetry::SharedSink;
use peerstream_traits::transport::SharedTransport;
use peerstream_traits::{BuildContext, Kind, PluginError, Registration};

use crate::entry::{Entry, Make, Origin};
use crate::nearest::did_you_mean;
use crate::spec::Spec;

/// All plug-ins that can be used, by kind and name. Nothing is chosen that is not named.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    entries: BTreeMap<(Kind, String), Entry>,
}

/// Why the plug-ins cannot be gathered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryError {
    /// None is linked in.
    Empty,
    /// Two are of the same kind and name.
    Clash {
        /// Kind and name.
        id: String,
        /// Where the first comes from.
        first: Box<Origin>,
        /// Where the second comes from.
        second: Box<Origin>,
    },
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str(
                "no plug-ins are linked into this program: name each plug-in crate in the code (`use my_plugin as _;`), \
                 or add registrations one by one where the platform runs nothing before main",
            ),
            Self::Clash { id, first, second } => {
                write!(f, "two plug-ins are named {id}: one of {first}, one of {second}; leave one out")
            }
        }
    }
}

impl std::error::Error for RegistryError {}

impl Registry {
    /// Those that are linked in.
    pub fn linked() -> Result<Self, RegistryError> {
        let registry = Self::of(inventory::iter::<Registration>)?;
        if registry.entries.is_empty() { Err(RegistryError::Empty) } else { Ok(registry) }
    }

    /// These and no others: for platforms that run nothing before main, and for tests.
    pub fn of<'a>(registrations: impl IntoIterator<Item = &'a Registration>) -> Result<Self, RegistryError> {
        let mut registry = Self::default();
        registrations.into_iter().try_for_each(|registration| registry.add(Entry::linked(registration)))?;
        Ok(registry)
    }

    /// Adds one, such as one of a library. Its `make` must be of its kind.
    ///
    /// # Panics
    /// Panics if it is not.
    pub fn add(&mut self, entry: Entry) -> Result<(), RegistryError> {
        assert_eq!(entry.kind, entry.make.kind(), "{} makes something of another kind", entry.id());
        let key = (entry.kind, entry.name.clone());
        if let Some(there) = self.entries.get(&key) {
            let origins = [&there.origin, &entry.origin].map(|origin| Box::new(origin.clone()));
            let [first, second] = origins;
            return Err(RegistryError::Clash { id: entry.id(), first, second });
        }
        self.entries.insert(key, entry);
        Ok(())
    }

    /// All of them, by kind, then by name.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Those of a kind by name.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Entry> {
        self.entries().filter(move |entry| entry.kind == kind)
    }

    /// The one that `use` names: `name`, or `crate/name`.
    pub fn find(&self, kind: Kind, name: &str) -> Option<&Entry> {
        let (qualifier, name) = match name.rsplit_once('/') {
            Some((qualifier, name)) => (Some(qualifier), name),
            None => (None, name),
        };
        let entry = self.entries.get(&(kind, name.to_owned()))?;
        qualifier.is_none_or(|qualifier| entry.origin.qualifier() == qualifier).then_some(entry)
    }

    /// What to say when there is none of this name: what may have been meant, and which there are.
    pub fn alternatives(&self, kind: Kind, name: &str) -> String {
        let names: Vec<_> = self.of_kind(kind).map(|entry| entry.name.as_str()).collect();
        let plain = name.rsplit('/').next().unwrap_or(name);
        let meant = match names.iter().find(|known| **known == plain).and_then(|_| self.find(kind, plain)) {
            Some(entry) => format!("did you mean `{}/{plain}`?", entry.origin.qualifier()),
            None => did_you_mean(plain, names.iter().copied()),
        };
        let available = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        format!("{meant} available: {available}").trim_start().to_owned()
    }
}

macro_rules! builders {
    ($($(#[$doc:meta])* $method:ident => $variant:ident, $made:ty;)*) => {
        impl Registry {
            $(
                $(#[$doc])*
                pub fn $method(&self, spec: &Spec) -> Result<$made, PluginError> {
                    match &self.wanted(Kind::$variant, spec)?.make {
                        Make::$variant(make) => make(&spec.options, &BuildContext::new(&spec.instance)),
                        other => Err(PluginError::invalid(format!("{} makes a {}", spec.plugin, other.kind()))),
                    }
                }
            )*
        }
    };
}

builders! {
    /// Makes a strategy.
    strategy => Strategy, BoxedStrategy;
    /// Makes a ladder policy.
    ladder => Ladder, BoxedLadder;
    /// Makes a telemetry sink.
    telemetry => Telemetry, SharedSink;
    /// Makes an archive.
    archive => Archive, SharedArchive;
    /// Makes a compliance handler.
    compliance => Compliance, SharedHandler;
    /// Makes an admission policy.
    admission => Admission, SharedPolicy;
    /// Makes a transport.
    transport => Transport, SharedTransport;
    /// Makes an ingest.
    ingest => Ingest, BoxedIngest;
}

impl Registry {
    fn wanted(&self, kind: Kind, spec: &Spec) -> Result<&Entry, PluginError> {
        let missing = || PluginError::invalid(format!("no {kind} plug-in named `{}`", spec.plugin));
        self.find(kind, &spec.plugin).ok_or_else(missing)
    }
}
