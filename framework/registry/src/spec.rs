//! An instance as the config wants it.

use std::fmt;

use peerstream_traits::{Kind, PluginConfig};
use serde_json::{Value, json};

use crate::entry::Entry;

/// An instance as the config wants it: enough to make it, and to see whether another config wants the same.
#[derive(Clone, PartialEq)]
pub struct Spec {
    /// What it is for.
    pub kind: Kind,
    /// Its name: that of its kind, or the one after the dot in `[telemetry.NAME]`.
    pub instance: String,
    /// The plug-in, as the registry names it.
    pub plugin: String,
    /// All of the plug-in's options, checked, with secrets in the clear.
    pub options: Value,
    /// All of the framework's options for the instance, checked.
    pub around: Value,
}

/// How an instance differs from that of another config.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// It is new.
    Added(Spec),
    /// It is no longer wanted.
    Removed(Spec),
    /// Another plug-in is wanted, or other options: before and after.
    Changed(Box<(Spec, Spec)>),
}

impl Spec {
    /// An instance named as its kind, with the plug-in's defaults.
    pub fn defaults(entry: &Entry) -> Self {
        let instance = entry.kind.word().to_owned();
        let (options, around) = (entry.defaults.clone(), json!({}));
        Self { kind: entry.kind, instance, plugin: entry.name.clone(), options, around }
    }

    /// The framework's options as their own type.
    pub fn around<T: PluginConfig>(&self) -> T {
        serde_json::from_value(self.around.clone()).unwrap_or_default()
    }
}

/// Never the options, which may hold secrets.
impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}` ({})", self.kind, self.instance, self.plugin)
    }
}

/// What has changed from one config to another, by kind and instance.
pub fn changes(before: &[Spec], after: &[Spec]) -> Vec<Change> {
    let same = |a: &Spec, b: &Spec| a.kind == b.kind && a.instance == b.instance;
    let removed = before.iter().filter(|old| !after.iter().any(|new| same(old, new)));
    let added_or_changed = after.iter().filter_map(|new| match before.iter().find(|old| same(old, new)) {
        None => Some(Change::Added(new.clone())),
        Some(old) if old != new => Some(Change::Changed(Box::new((old.clone(), new.clone())))),
        Some(_) => None,
    });
    removed.cloned().map(Change::Removed).chain(added_or_changed).collect()
}
