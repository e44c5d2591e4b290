//! Options that must not be seen.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

/// A password, token or key among the options. In a config it is a text, `{ env = "NAME" }` or `{ file = "PATH" }`; the framework
/// resolves it before the plug-in sees it. It is never shown: not in logs, not in errors, not by `config show`.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// What is shown in its place.
    pub const SHOWN: &'static str = "[redacted]";
    /// The schema's `format` by which the framework knows it.
    pub const FORMAT: &'static str = "secret";

    /// Keeps a text from being seen.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether this is what somebody shows, in a time that does not tell where the two differ. An empty secret is nobody's.
    pub fn is(&self, shown: &[u8]) -> bool {
        let differences = shown.iter().zip(self.0.as_bytes()).fold(0, |all, (a, b)| all | (a ^ b));
        !self.is_empty() && shown.len() == self.0.len() && std::hint::black_box(differences) == 0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "Secret(none)" } else { "Secret([redacted])" })
    }
}

/// Never the text: what is written is for people to read.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { Self::SHOWN })
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": Self::FORMAT })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_compared_as_a_whole_and_an_empty_one_is_nobodys() {
        let secret = Secret::new("abc");
        assert!(secret.is(b"abc"));
        assert!(!secret.is(b"ab") && !secret.is(b"abd") && !secret.is(b"abc ") && !Secret::default().is(b""));
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(secret.reveal(), "hunter2");
        for shown in [format!("{secret:?}"), serde_json::to_string(&secret).unwrap()] {
            assert!(shown.contains("redacted") && !shown.contains("hunter2"), "{shown}");
        }
    }
}
