//! The layers of a config: files in their order, the environment, `--set`, flags. Later ones win.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::parse;
use crate::place::Place;
use crate::source::Source;
use crate::tree::{Field, Setting, Table, Tree};

/// A config file is no larger, in bytes.
pub const FILE_BYTES_MAX: u64 = 256 * 1024;
/// Config files.
pub const FILES_MAX: usize = 32;
/// What an environment variable begins with that sets an option.
pub const ENVIRONMENT_PREFIX: &str = "PEERSTREAM_";

/// The layers put on top of each other so far, and what is wrong with them.
#[derive(Debug, Default)]
pub struct Layers {
    pub(crate) root: Setting,
    pub(crate) problems: Vec<Diagnostic>,
    files: usize,
}

impl Layers {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A file on top.
    pub fn file(&mut self, path: &Path) {
        let name = path.display().to_string();
        match read(path) {
            Ok(text) => self.text(&name, text),
            Err(why) => {
                let place = Place::File { source: Arc::new(Source::new(&name, "")), span: 0..0 };
                self.problems.push(Diagnostic::new(Code::Unreadable, place, format!("config file {name} {why}")));
            }
        }
    }

    /// A text as if it were in a file of this name.
    pub fn text(&mut self, name: &str, text: impl Into<String>) {
        self.files += 1;
        if self.files > FILES_MAX {
            let place = Place::Flag("command line".into());
            let message = format!("there are more than {FILES_MAX} config files");
            return self.problems.push(Diagnostic::new(Code::Unreadable, place, message));
        }
        let source = Arc::new(Source::new(name, text));
        let layer = parse::document(&source, &mut self.problems);
        self.root.merge(layer);
    }

    /// The environment on top: `PEERSTREAM_SECTION__KEY` sets `section.key`. Variables without `__` are not for us.
    pub fn environment(&mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) {
        let mut ours: Vec<_> =
            variables.into_iter().filter_map(|(name, value)| Some((path_of(&name)?, value))).collect();
        ours.sort();
        for ((name, path), value) in ours {
            let place = Place::Environment(name.as_str().into());
            let Some(value) = value.to_str() else {
                self.problems.push(Diagnostic::new(Code::BadOverride, place, format!("{name} is not UTF-8")));
                continue;
            };
            let value = parse::value(value, &place, &mut self.problems);
            self.put(&path, value, Match::Dashes);
        }
    }

    /// `a.b=value` on top, as `--set` takes it.
    pub fn set(&mut self, flag: &str) {
        let Some((key, text)) = flag.split_once('=') else { return self.bad_set(flag) };
        let (key, text) = (key.trim(), text.trim());
        let path: Vec<_> = key.split('.').map(str::to_owned).collect();
        let place = Place::Set(key.into());
        if path.len() > parse::DEPTH_MAX || path.iter().any(String::is_empty) {
            return self.bad_set(key);
        }
        let value = parse::value(text, &place, &mut self.problems);
        self.put(&path, value, Match::Exact);
    }

    /// What an ordinary flag says, on top.
    pub fn flag(&mut self, flag: &str, path: &[&str], value: impl Into<Value>) {
        let place = Place::Flag(flag.into());
        let path: Vec<_> = path.iter().map(|key| (*key).to_owned()).collect();
        self.put(&path, Setting::new(Tree::from_json(value.into(), &place), &place), Match::Exact);
    }

    /// A whole section in the place of what lower layers say, as a command such as `demo` wants it.
    pub fn replace(&mut self, by: &str, section: &str, value: Value) {
        if let Tree::Table(table) = &mut self.root.tree {
            table.remove(section);
        }
        self.flag(by, &[section], value);
    }

    /// A whole section at the bottom: it counts only if no layer says anything of that section.
    pub fn otherwise(&mut self, by: &str, section: &str, value: Value) {
        let said = matches!(&self.root.tree, Tree::Table(table) if table.contains_key(section));
        if !said {
            self.flag(by, &[section], value);
        }
    }

    fn bad_set(&mut self, flag: &str) {
        let place = Place::Set(flag.into());
        let message = format!("--set {flag} is not understood");
        self.problems.push(Diagnostic::new(Code::BadOverride, place, message).label("expected SECTION.KEY=VALUE"));
    }

    fn put(&mut self, path: &[String], value: Setting, keys: Match) {
        let place = value.place.clone();
        let path = keys.found_in(&self.root, path);
        let wrap = |value: Setting, key: String| {
            let fields = Table::from([(key, Field { key: place.clone(), setting: value })]);
            Setting::new(Tree::Table(fields), &place)
        };
        let layer = path.into_iter().rev().fold(value, wrap);
        self.root.merge(layer);
    }
}

/// How the keys of a path are looked for in what is there.
#[derive(Clone, Copy)]
enum Match {
    Exact,
    /// Variables cannot have dashes in their names: `my_sink` is `my-sink` if there is one.
    Dashes,
}

impl Match {
    fn found_in(self, root: &Setting, path: &[String]) -> Vec<String> {
        let mut here = Some(root);
        let mut found = Vec::new();
        for key in path {
            let table = here.and_then(|setting| setting.tree.table());
            let dashed = |table: &Table| table.keys().find(|known| known.replace('-', "_") == *key).cloned();
            let known = match self {
                Self::Exact => None,
                Self::Dashes => table.filter(|table| !table.contains_key(key)).and_then(dashed),
            };
            let key = known.unwrap_or_else(|| key.clone());
            here = table.and_then(|table| table.get(&key)).map(|field| &field.setting);
            found.push(key);
        }
        found
    }
}

/// The path that a variable sets, if it is for us.
fn path_of(name: &OsStr) -> Option<(String, Vec<String>)> {
    let name = name.to_str()?;
    let path = name.strip_prefix(ENVIRONMENT_PREFIX)?;
    let keys: Vec<_> = path.split("__").map(str::to_lowercase).collect();
    let ours = keys.len() > 1 && keys.len() <= parse::DEPTH_MAX && keys.iter().all(|key| !key.is_empty());
    ours.then(|| (name.to_owned(), keys))
}

fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("has more than {FILE_BYTES_MAX} bytes"));
    }
    Ok(text)
}
