//! One JSON Schema for whole config files, for editors.

use peerstream_traits::Secret;
use serde_json::{Map, Value, json};

use crate::layout::{Layout, Slot};
use crate::registry::Registry;

/// One JSON Schema for whole config files with these plug-ins, for editors.
pub fn document(registry: &Registry, layout: &Layout) -> Value {
    let mut parts = Map::new();
    let mut properties = Map::new();
    for section in &layout.sections {
        let name = format!("section-{}", section.name);
        properties.insert(section.name.to_owned(), reference(&name));
        parts.insert(name.clone(), embedded(&section.shape.schema, &name));
    }
    for slot in &layout.slots {
        let name = format!("kind-{}", slot.kind);
        let one = reference(&name);
        let many = json!({ "type": "object", "additionalProperties": one });
        properties.insert(slot.kind.to_string(), if slot.kind.is_many() { many } else { one.clone() });
        parts.insert(name.clone(), kind(registry, slot, &name));
        for entry in registry.of_kind(slot.kind) {
            let name = part_of(slot, &entry.name);
            parts.insert(name.clone(), embedded(&entry.schema, &name));
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "a config of PeerStream",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "$defs": parts,
    })
}

fn part_of(slot: &Slot, name: &str) -> String {
    format!("{}-{name}", slot.kind)
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// The section of a kind: the options of `config` follow from `use`.
fn kind(registry: &Registry, slot: &Slot, name: &str) -> Value {
    let mut schema = embedded(&slot.shape.schema, name);
    let names: Vec<_> = registry.of_kind(slot.kind).map(|entry| entry.name.as_str()).collect();
    let cases = names.iter().map(|name| {
        let used = json!({ "properties": { "use": { "const": name } }, "required": ["use"] });
        let used =
            if slot.default == Some(name) { json!({ "properties": { "use": { "const": name } } }) } else { used };
        json!({ "if": used, "then": { "properties": { "config": reference(&part_of(slot, name)) } } })
    });
    let cases: Vec<_> = cases.collect();
    let mut named = json!({ "description": "Which plug-in to use.", "examples": names, "type": "string" });
    if let Some(default) = slot.default {
        named["default"] = default.into();
    } else {
        schema["required"] = json!(["use"]);
    }
    schema["properties"]["use"] = named;
    schema["properties"]["config"] = json!({ "type": "object" });
    if !cases.is_empty() {
        schema["allOf"] = cases.into();
    }
    schema
}

/// A schema as a part of another one: references lead to where it is put, tables are closed, secrets may be references.
fn embedded(schema: &Value, name: &str) -> Value {
    match schema {
        Value::Object(fields) if is_secret(fields) => secret(fields),
        Value::Object(fields) => {
            let mut all: Map<_, _> = fields.iter().map(|(key, value)| (key.clone(), moved(key, value, name))).collect();
            all.remove("$schema");
            if all.get("properties").is_some_and(Value::is_object) && !all.contains_key("additionalProperties") {
                all.insert("additionalProperties".to_owned(), false.into());
            }
            Value::Object(all)
        }
        Value::Array(items) => items.iter().map(|item| embedded(item, name)).collect(),
        other => other.clone(),
    }
}

fn moved(key: &str, value: &Value, name: &str) -> Value {
    match (key, value.as_str().and_then(|text| text.strip_prefix("#/"))) {
        ("$ref", Some(rest)) => format!("#/$defs/{name}/{rest}").into(),
        ("default", _) => value.clone(),
        _ => embedded(value, name),
    }
}

fn is_secret(fields: &Map<String, Value>) -> bool {
    fields.get("format").and_then(Value::as_str) == Some(Secret::FORMAT)
}

fn secret(fields: &Map<String, Value>) -> Value {
    let from = |key: &str| json!({ "type": "object", "properties": { key: { "type": "string" } }, "required": [key], "additionalProperties": false });
    let mut schema = json!({ "anyOf": [{ "type": "string" }, from("env"), from("file")] });
    if let Some(about) = fields.get("description") {
        schema["description"] = about.clone();
    }
    schema
}
