//! The rules of options, which all kinds have.

use peerstream_traits::{Facts, Plugin, PluginConfig};
use serde_json::{Value, json};

use super::Rule;

/// Says all that is wrong with options.
pub type Check = Box<dyn Fn(&Value) -> Vec<peerstream_traits::Violation>>;

/// What is known of a plug-in without an instance.
pub struct Make {
    /// Its name.
    pub name: String,
    /// The JSON Schema of its options.
    pub schema: Value,
    /// Its options when none are given.
    pub defaults: Value,
    /// All that is wrong with options.
    pub check: Check,
}

/// What is known of a type.
pub fn of<P: Plugin>() -> Make
where
    P::Config: PluginConfig,
{
    let Facts { name, schema, defaults, check, .. } = Facts::of::<P>();
    Make { name: name.to_owned(), schema: schema(), defaults: defaults(), check: Box::new(check) }
}

/// The rules.
pub const RULES: &[Rule<Make>] = &[
    Rule {
        name: "the_default_options_can_be_used",
        why: "a plug-in that is only named must do something good",
        check: defaults_are_valid,
    },
    Rule {
        name: "the_schema_knows_every_default",
        why: "configs are checked, completed and documented by the schema",
        check: schema_knows_defaults,
    },
    Rule {
        name: "an_unknown_option_is_refused",
        why: "a mistyped option that is silently ignored costs somebody an evening",
        check: unknown_is_refused,
    },
    Rule {
        name: "every_option_is_documented",
        why: "`peerstream plugins describe` is what people read",
        check: documented,
    },
    Rule { name: "the_name_is_lower_case_with_dashes", why: "all names in a config look alike", check: name_is_plain },
];

/// A secret has no good default: that one is missing is fine.
fn defaults_are_valid(make: &Make) -> Result<(), String> {
    let is_secret = |path: &str| make.schema["properties"][path]["format"] == peerstream_traits::Secret::FORMAT;
    let found: Vec<_> = (make.check)(&make.defaults).into_iter().filter(|it| !is_secret(&it.path)).collect();
    if found.is_empty() { Ok(()) } else { Err(format!("{found:?}")) }
}

fn properties(make: &Make) -> impl Iterator<Item = (&String, &Value)> {
    make.schema["properties"].as_object().into_iter().flatten()
}

fn schema_knows_defaults(make: &Make) -> Result<(), String> {
    let known: Vec<_> = properties(make).map(|(name, _)| name).collect();
    let Some(defaults) = make.defaults.as_object() else { return Err("the options are no struct".to_owned()) };
    match defaults.keys().find(|name| !known.contains(name)) {
        Some(name) => Err(format!("the schema does not know `{name}`; it knows {known:?}")),
        None => Ok(()),
    }
}

fn unknown_is_refused(make: &Make) -> Result<(), String> {
    let mut options = make.defaults.clone();
    options["no_such_option"] = json!(1);
    if (make.check)(&options).is_empty() {
        return Err("`no_such_option` is taken; is `deny_unknown_fields` missing?".to_owned());
    }
    Ok(())
}

fn documented(make: &Make) -> Result<(), String> {
    match properties(make).find(|(_, schema)| schema["description"].as_str().is_none_or(str::is_empty)) {
        Some((name, _)) => Err(format!("`{name}` has no doc comment")),
        None => Ok(()),
    }
}

fn name_is_plain(make: &Make) -> Result<(), String> {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let fine = !make.name.is_empty() && make.name.len() <= 64 && make.name.chars().all(plain);
    if fine { Ok(()) } else { Err(format!("the name is `{}`", make.name)) }
}
