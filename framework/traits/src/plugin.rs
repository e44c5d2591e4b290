//! What every plug-in says about itself.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::PluginError;

/// How far a plug-in can be relied on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stability {
    /// May change or go without notice.
    #[default]
    Experimental,
    /// Options may change with notice.
    Beta,
    /// Options stay as they are.
    Stable,
    /// Something better is there; it will go.
    Deprecated,
}

impl Stability {
    /// Its name in interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Self::Experimental => "experimental",
            Self::Beta => "beta",
            Self::Stable => "stable",
            Self::Deprecated => "deprecated",
        }
    }
}

/// A type of plug-in: its name, its options, and how an instance is made.
pub trait Plugin: Sized + Send + 'static {
    /// What a config's `use` says; lower case with dashes, unique within its kind.
    const NAME: &'static str;
    /// What it does, in one line.
    const SUMMARY: &'static str;
    /// How far it can be relied on.
    const STABILITY: Stability = Stability::Experimental;
    /// Its options.
    type Config: PluginConfig;

    /// Makes an instance. Has no effects: opens nothing, spawns nothing, reads nothing.
    fn build(config: Self::Config, context: &BuildContext<'_>) -> Result<Self, PluginError>;
}

/// What an instance may know when it is made.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BuildContext<'a> {
    /// Its name in the config: that of its kind, or the one after the dot in `[telemetry.NAME]`.
    pub instance: &'a str,
}

impl<'a> BuildContext<'a> {
    /// For an instance of this name.
    pub fn new(instance: &'a str) -> Self {
        Self { instance }
    }
}

/// The options of a plug-in: an ordinary struct with `#[derive(Serialize, Deserialize, JsonSchema)]` and
/// `#[serde(default, deny_unknown_fields)]`, whose doc comments become the documentation of the options.
///
/// The defaults are good for production. No `flatten` and no `untagged`: the framework checks a config against the schema, and
/// takes every object for closed.
pub trait PluginConfig: Serialize + DeserializeOwned + JsonSchema + Default + Send + 'static {
    /// Says all that is wrong beyond what the schema can tell. Has no effects.
    fn validate(&self, _violations: &mut Violations) {}
}

/// The config of a plug-in that has no options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NoOptions {}

impl PluginConfig for NoOptions {}

/// Something wrong with an option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The option, as a path from the plug-in's options: `retry.max`; empty for all of them together.
    pub path: String,
    /// What was found and what is expected: `is 300, expected 1 to 8`.
    pub message: String,
}

/// All that is wrong with a config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    found: Vec<Violation>,
}

impl Violations {
    /// Adds one.
    pub fn push(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.found.push(Violation { path: path.into(), message: message.into() });
    }

    /// Adds one if something is wrong.
    pub fn push_if(&mut self, wrong: bool, path: impl Into<String>, message: impl Into<String>) {
        if wrong {
            self.push(path, message);
        }
    }

    /// All of them in the order they were found.
    pub fn into_vec(self) -> Vec<Violation> {
        self.found
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

/// All in one line, for where a config is checked outside of a host.
impl std::fmt::Display for Violations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, Violation { path, message }) in self.found.iter().enumerate() {
            let between = if index > 0 { "; " } else { "" };
            let space = if path.is_empty() { "" } else { " " };
            write!(f, "{between}{path}{space}{message}")?;
        }
        Ok(())
    }
}
