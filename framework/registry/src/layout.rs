//! What a config is made of: the host's own sections, and one section for each kind of plug-in.

use peerstream_traits::{Kind, PluginConfig, Violation, Violations};
use serde_json::{Value, json};

/// What a config is made of.
#[derive(Debug, Default)]
pub struct Layout {
    pub(crate) sections: Vec<Section>,
    pub(crate) slots: Vec<Slot>,
    /// The names of all of them, in the order in which people are shown them.
    names: Vec<&'static str>,
}

/// A section of the host.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
}

/// A section for plug-ins of a kind.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) kind: Kind,
    /// Used when the config names none.
    pub(crate) default: Option<&'static str>,
    /// What the framework can be told beside `use` and `config`.
    pub(crate) shape: Shape,
}

/// A type of options, without the type.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) schema: Value,
    pub(crate) defaults: Value,
    pub(crate) check: fn(&Value) -> Vec<Violation>,
}

impl Layout {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a section of the host's.
    #[must_use]
    pub fn section<T: PluginConfig>(mut self, name: &'static str) -> Self {
        self.names.push(name);
        self.sections.push(Section { name, shape: Shape::of::<T>() });
        self
    }

    /// With a section for plug-ins of a kind; `T` is what the framework can be told beside `use` and `config`. `default` is
    /// used when the config names none, and never for a kind of which there may be many.
    #[must_use]
    pub fn slot<T: PluginConfig>(mut self, kind: Kind, default: Option<&'static str>) -> Self {
        self.names.push(kind.word());
        self.slots.push(Slot { kind, default, shape: Shape::of::<T>() });
        self
    }

    /// The names of all sections, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.names.iter().copied()
    }
}

impl Shape {
    pub(crate) fn of<T: PluginConfig>() -> Self {
        let schema = schemars::schema_for!(T).into();
        let defaults = serde_json::to_value(T::default()).unwrap_or_else(|_| json!({}));
        Self { schema, defaults, check: check::<T> }
    }
}

fn check<T: PluginConfig>(options: &Value) -> Vec<Violation> {
    match serde_path_to_error::deserialize::<_, T>(options) {
        Ok(read) => {
            let mut violations = Violations::default();
            read.validate(&mut violations);
            violations.into_vec()
        }
        Err(error) => vec![Violation { path: error.path().to_string(), message: error.inner().to_string() }],
    }
}
