//! A config file to begin with: every option with its default, made from the schemas.

use std::fmt::Write as _;

use peerstream_traits::Kind;
use serde_json::{Value, json};

use crate::entry::Entry;
use crate::layout::{Layout, Slot};
use crate::registry::Registry;
use crate::schema::Schema;
use crate::toml_text::{inline, key};

/// Letters of a line of comment.
const COMMENT_LETTERS: usize = 110;
/// Tables within tables that are shown.
const DEPTH_MAX: usize = 8;

/// A config file that shows every option, as a comment, with its default. `chosen` names plug-ins to use instead of the
/// default ones.
pub fn starter(registry: &Registry, layout: &Layout, chosen: &[(Kind, String)]) -> String {
    let mut out = Starter::default();
    for name in layout.names() {
        if let Some(section) = layout.sections.iter().find(|section| section.name == name) {
            out.section(name, true, Schema::new(&section.shape.schema).about());
            out.options(Schema::new(&section.shape.schema), &section.shape.defaults, "");
        } else if let Some(slot) = layout.slots.iter().find(|slot| slot.kind.word() == name) {
            out.kind(registry, slot, chosen);
        }
    }
    out.text
}

/// The options of a plug-in as the lines of its `config` table.
pub(crate) fn example(entry: &Entry) -> String {
    let mut out = Starter::default();
    out.options(Schema::new(&entry.schema), &entry.defaults, "");
    out.text
}

/// A value to show for an option that has no default.
pub(crate) fn placeholder(schema: Schema<'_>, depth: usize) -> Value {
    let schema = if schema.example().is_some() { schema } else { schema.resolve() };
    if schema.is_secret() {
        return json!({ "env": "NAME" });
    }
    if let Some(first) = schema.example() {
        return first.clone();
    }
    if let Some(first) = schema.choices().and_then(|choices| choices.first().copied()) {
        return first.clone();
    }
    match schema.types().first().copied() {
        Some("integer" | "number") => json!(schema.range().least.unwrap_or_default().max(0.0) as i64),
        Some("boolean") => json!(false),
        Some("array") => json!([]),
        Some("object") if depth < DEPTH_MAX => schema
            .fields()
            .map(|(key, field)| (key.to_owned(), placeholder(field, depth + 1)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        _ => match schema.format() {
            Some("socket-address") => json!("0.0.0.0:8080"),
            Some("ip" | "ipv4") => json!("192.0.2.1"),
            Some("sha256") => json!("0".repeat(64)),
            _ => json!("..."),
        },
    }
}

#[derive(Default)]
struct Starter {
    text: String,
}

impl Starter {
    fn section(&mut self, path: &str, active: bool, about: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.comment(about);
        let _ = writeln!(self.text, "{}[{path}]", if active { "" } else { "#" });
    }

    fn kind(&mut self, registry: &Registry, slot: &Slot, chosen: &[(Kind, String)]) {
        let named: Vec<_> =
            chosen.iter().filter(|(kind, _)| *kind == slot.kind).map(|(_, name)| name.as_str()).collect();
        let names = if named.is_empty() { slot.default.into_iter().collect() } else { named };
        let entries: Vec<_> = names.iter().filter_map(|name| registry.find(slot.kind, name)).collect();
        if entries.is_empty() {
            self.open_slot(registry, slot);
        }
        for entry in entries {
            let path = match slot.kind.is_many() {
                true => format!("{}.{}", slot.kind, key(&entry.name)),
                false => slot.kind.to_string(),
            };
            self.slot(registry, slot, &path, entry);
        }
    }

    /// A kind of which nothing is used.
    fn open_slot(&mut self, registry: &Registry, slot: &Slot) {
        let kind = slot.kind;
        let path = if kind.is_many() { format!("{kind}.NAME") } else { kind.to_string() };
        self.section(&path, false, &known(registry, kind));
        let _ = writeln!(self.text, "#use = \"...\"");
        self.options(Schema::new(&slot.shape.schema), &slot.shape.defaults, "");
    }

    fn slot(&mut self, registry: &Registry, slot: &Slot, path: &str, entry: &Entry) {
        self.section(path, true, &known(registry, slot.kind));
        let _ = writeln!(self.text, "use = {}", inline(&entry.name.as_str().into()));
        self.options(Schema::new(&slot.shape.schema), &slot.shape.defaults, "");
        let schema = Schema::new(&entry.schema);
        if schema.fields().next().is_some() {
            self.section(&format!("{path}.config"), true, &format!("{}: {}", entry.name, entry.summary));
            self.options(schema, &entry.defaults, "");
        }
    }

    fn options(&mut self, schema: Schema<'_>, defaults: &Value, prefix: &str) {
        let depth = prefix.matches('.').count();
        for (name, field) in schema.fields() {
            let resolved = field.resolve();
            let default = &defaults[name];
            let path = format!("{prefix}{}", key(name));
            if default.is_object() && resolved.properties().is_some() && depth < DEPTH_MAX {
                self.options(resolved, default, &format!("{path}."));
                continue;
            }
            self.comment(field.about());
            let value = if default.is_null() { placeholder(field, 0) } else { default.clone() };
            if let (Some(item), true) =
                (resolved.additional(), default.as_object().is_some_and(serde_json::Map::is_empty))
            {
                let _ = writeln!(self.text, "#{path}.NAME = {}", inline(&placeholder(item, 0)));
                continue;
            }
            let note = if default.is_null() { "  # not set" } else { "" };
            let _ = writeln!(self.text, "#{path} = {}{note}", inline(&value));
        }
    }

    fn comment(&mut self, text: &str) {
        let mut line = String::new();
        for word in text.split_whitespace() {
            if !line.is_empty() && line.chars().count() + word.chars().count() > COMMENT_LETTERS {
                let _ = writeln!(self.text, "#{line}");
                line.clear();
            }
            line.push(' ');
            line.push_str(word);
        }
        if !line.is_empty() {
            let _ = writeln!(self.text, "#{line}");
        }
    }
}

fn known(registry: &Registry, kind: Kind) -> String {
    let known = registry.of_kind(kind).map(|entry| format!("\"{}\" ({})", entry.name, entry.summary));
    let known = known.collect::<Vec<_>>().join(", ");
    format!("{} Known: {}.", about(kind), if known.is_empty() { "none is part of this program" } else { &known })
}

fn about(kind: Kind) -> &'static str {
    match kind {
        Kind::Strategy => "Who feeds whom.",
        Kind::Ladder => "What becomes of those who cannot keep up.",
        Kind::Telemetry => "Where figures and events go; one table for each sink.",
        Kind::Archive => "Where what was broadcast is kept; one table for each archive.",
        Kind::Compliance => "Who handles complaints; one table for each handler.",
        Kind::Admission => "Who may join.",
        Kind::Transport => "How nodes are linked.",
        Kind::Ingest => "Where the live input comes from; one table for each input. One is on air at a time.",
    }
}
