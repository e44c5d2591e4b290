//! What `plugins describe` says.

use std::fmt::Write as _;

use crate::entry::Entry;
use crate::schema::Schema;
use crate::starter::example;
use crate::toml_text::inline;

/// All about a plug-in, for people: its options with types and defaults, and how they are written.
pub fn describe(entry: &Entry) -> String {
    let mut out = format!("{}: {}\n", entry.id(), entry.summary);
    let _ = writeln!(out, "{}, from {}\n", entry.stability.word(), entry.origin);
    let schema = Schema::new(&entry.schema);
    match schema.fields().next() {
        None => out.push_str("It has no options.\n"),
        Some(_) => {
            out.push_str("options:\n");
            options(&mut out, schema, &entry.defaults, "");
        }
    }
    let path = if entry.kind.is_many() { format!("{}.NAME", entry.kind) } else { entry.kind.to_string() };
    let _ = write!(out, "\nin a config:\n\n[{path}]\nuse = \"{}\"\n", entry.name);
    let lines = example(entry);
    if !lines.is_empty() {
        let _ = write!(out, "\n[{path}.config]\n{lines}");
    }
    out
}

fn options(out: &mut String, schema: Schema<'_>, defaults: &serde_json::Value, prefix: &str) {
    for (key, field) in schema.fields() {
        let (resolved, default) = (field.resolve(), &defaults[key]);
        let known = match default {
            serde_json::Value::Null => "not set".to_owned(),
            _ if resolved.is_secret() => "empty".to_owned(),
            value => inline(value),
        };
        let words = [field.words(), format!("default {known}")].into_iter().filter(|part| !part.is_empty());
        let _ = writeln!(out, "  {prefix}{key}  ({})", words.collect::<Vec<_>>().join(", "));
        for line in field.about().lines() {
            let _ = writeln!(out, "      {}", line.trim());
        }
        if default.is_object() && resolved.properties().is_some() {
            options(out, resolved, default, &format!("{prefix}{key}."));
        }
    }
}
