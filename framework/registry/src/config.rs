//! A config that was checked.

use std::collections::BTreeMap;
use std::fmt;

use peerstream_traits::{Kind, PluginConfig};
use serde_json::Value;

use crate::place::Place;
use crate::spec::Spec;
use crate::tree::{Field, Setting, Table, Tree};

/// A config that was checked: the host's sections, and the instances that are wanted.
#[derive(Default)]
pub struct Config {
    pub(crate) sections: BTreeMap<&'static str, Value>,
    pub(crate) specs: Vec<Spec>,
    /// As it was written, with all layers.
    pub(crate) root: Setting,
    /// What it would be had nothing been written.
    pub(crate) defaults: Setting,
}

/// Never the values, which may be secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("specs", &self.specs).finish_non_exhaustive()
    }
}

impl Config {
    /// A section of the host's.
    pub fn section<T: PluginConfig>(&self, name: &str) -> T {
        let value = self.sections.get(name).cloned();
        value.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default()
    }

    /// All instances that are wanted, by kind, then by name.
    pub fn specs(&self) -> &[Spec] {
        &self.specs
    }

    /// The instances of a kind that are wanted.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Spec> {
        self.specs.iter().filter(move |spec| spec.kind == kind)
    }

    /// Adds what a path has by default.
    pub(crate) fn remember(&mut self, path: &str, defaults: &Value) {
        let place = Place::Default;
        let bottom = Setting::new(Tree::from_json(defaults.clone(), &place), &place);
        let wrap = |setting: Setting, key: &str| {
            Setting::new(Tree::Table(Table::from([(key.to_owned(), Field::new(setting))])), &place)
        };
        self.defaults.merge(path.rsplit('.').fold(bottom, wrap));
    }
}
