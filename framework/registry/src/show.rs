//! Shows a config as one file: all layers merged, secrets never.

use std::fmt::Write as _;

use peerstream_traits::Secret;

use crate::config::Config;
use crate::toml_text::{inline, key};
use crate::tree::{Setting, Table, Tree};

/// Where the origin of a value is written.
const ORIGIN_COLUMN: usize = 48;

impl Config {
    /// All layers as one file. `effective`: with the defaults. `origins`: with where each value was set.
    pub fn show(&self, effective: bool, origins: bool) -> String {
        let mut all = if effective { self.defaults.clone() } else { Setting::default() };
        all.merge(self.root.clone());
        let mut shower = Shower { out: String::new(), origins };
        if let Tree::Table(table) = &all.tree {
            shower.section("", table);
        }
        shower.out
    }
}

struct Shower {
    out: String,
    origins: bool,
}

impl Shower {
    fn section(&mut self, path: &str, table: &Table) {
        let is_section = |setting: &Setting| matches!(&setting.tree, Tree::Table(_)) && !setting.secret;
        let (tables, values): (Vec<_>, Vec<_>) = table.iter().partition(|(_, field)| is_section(&field.setting));
        if !path.is_empty() && (!values.is_empty() || tables.is_empty()) {
            let gap = if self.out.is_empty() { "" } else { "\n" };
            let _ = writeln!(self.out, "{gap}[{path}]");
        }
        for (name, field) in values {
            self.value(name, &field.setting);
        }
        for (name, field) in tables {
            let path = if path.is_empty() { key(name) } else { format!("{path}.{}", key(name)) };
            if let Tree::Table(table) = &field.setting.tree {
                self.section(&path, table);
            }
        }
    }

    fn value(&mut self, name: &str, setting: &Setting) {
        let line = match redacted(setting) {
            serde_json::Value::Null => format!("# {} is not set", key(name)),
            value => format!("{} = {}", key(name), inline(&value)),
        };
        let _ = match self.origins {
            true => writeln!(self.out, "{line:<ORIGIN_COLUMN$} # {}", origin(setting)),
            false => writeln!(self.out, "{line}"),
        };
    }
}

fn origin(setting: &Setting) -> String {
    let over = setting.over.as_ref().map(|over| format!(", overrides {over}")).unwrap_or_default();
    format!("{}{over}", setting.place)
}

/// The plain value without the secrets in it.
fn redacted(setting: &Setting) -> serde_json::Value {
    match &setting.tree {
        Tree::Leaf(value) if setting.secret && value.as_str() == Some("") => "".into(),
        _ if setting.secret => Secret::SHOWN.into(),
        Tree::List(items) => items.iter().map(redacted).collect(),
        Tree::Table(table) => table
            .iter()
            .map(|(key, field)| (key.clone(), redacted(&field.setting)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Tree::Leaf(value) => value.clone(),
    }
}
