//! Secrets: where they are taken from, and how they stay unseen.

use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::place::Place;
use crate::tree::{Setting, Table, Tree};

/// A file with a secret is no larger, in bytes.
pub const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Puts the secret itself in the place of a text, `{ env = "NAME" }` or `{ file = "PATH" }`.
pub fn resolve(setting: &mut Setting, path: &str, problems: &mut Vec<Diagnostic>) {
    let found = match &setting.tree {
        Tree::Leaf(Value::String(text)) => {
            let text = text.clone();
            warn_if_plain(setting, path, &text, problems);
            Ok(text)
        }
        Tree::Table(table) => from_table(table, setting, path),
        Tree::Leaf(_) if setting.raw.is_some() => Ok(setting.raw.as_deref().unwrap_or_default().to_owned()),
        _ => Err(bad(setting, path)),
    };
    if !matches!(setting.tree, Tree::Table(_)) || matches!(&found, Err(problem) if problem.code == Code::BadSecret) {
        mask(setting);
    }
    // A secret that could not be found is empty, so that the rest can be looked at.
    let text = found.unwrap_or_else(|problem| {
        problems.push(problem);
        String::new()
    });
    setting.tree = Tree::Leaf(text.into());
    setting.secret = true;
}

/// Keeps what is in a table or list from being shown, of which nobody knows what is secret in it.
pub(crate) fn mask_within(setting: &Setting) {
    if !matches!(setting.tree, Tree::Leaf(_)) {
        mask(setting);
    }
}

/// Keeps all that is written there from being shown; of a table, what is in its fields.
pub(crate) fn mask(setting: &Setting) {
    match &setting.tree {
        Tree::Table(table) => table.values().for_each(|field| mask(&field.setting)),
        Tree::List(items) if !items.is_empty() => items.iter().for_each(mask),
        _ => setting.place.mask(),
    }
}

fn warn_if_plain(setting: &Setting, path: &str, text: &str, problems: &mut Vec<Diagnostic>) {
    let plain = matches!(setting.place, Place::File { .. } | Place::Set(_)) && !text.is_empty();
    if plain {
        let message = format!("the secret `{path}` is written out");
        let note = "better: { env = \"NAME\" } or { file = \"PATH\" }";
        problems.push(Diagnostic::at(Code::PlainSecret, setting, message).note(note));
    }
}

fn from_table(table: &Table, setting: &Setting, path: &str) -> Result<String, Diagnostic> {
    let mut fields = table.iter().map(|(key, field)| (key.as_str(), &field.setting));
    let (Some((key, value)), None) = (fields.next(), fields.next()) else { return Err(bad(setting, path)) };
    match (key, value.tree.text()) {
        ("env", Some(name)) => from_environment(name).map_err(|why| {
            let message = format!("the secret `{path}` cannot be had: environment variable {name} {why}");
            Diagnostic::at(Code::SecretNotSet, value, message)
        }),
        ("file", Some(file)) => from_file(Path::new(file)).map_err(|why| {
            let message = format!("the secret `{path}` cannot be had: {file} {why}");
            Diagnostic::at(Code::SecretUnreadable, value, message)
        }),
        _ => Err(bad(setting, path)),
    }
}

fn from_environment(name: &str) -> Result<String, &'static str> {
    // `var` panics on names that no variable can have.
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err("is not a name of a variable");
    }
    match std::env::var(name) {
        Ok(text) if text.is_empty() => Err("is empty"),
        Ok(text) => Ok(text),
        Err(std::env::VarError::NotPresent) => Err("is not set"),
        Err(std::env::VarError::NotUnicode(_)) => Err("is not UTF-8"),
    }
}

/// The file's text without the end of its last line.
fn from_file(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(format!("has more than {SECRET_BYTES_MAX} bytes"));
    }
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn bad(setting: &Setting, path: &str) -> Diagnostic {
    let message = format!("`{path}` is not a secret");
    let label = "expected a text, { env = \"NAME\" } or { file = \"PATH\" }";
    Diagnostic::at(Code::BadSecret, setting, message).label(label)
}
