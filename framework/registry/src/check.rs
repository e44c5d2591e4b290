//! Checks a config part by part: all that is wrong is said at once.

use peerstream_traits::{Kind, Stability, Violation};
use serde_json::{Value, json};

use crate::code::Code;
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::entry::Entry;
use crate::layout::{Layout, Section, Slot};
use crate::nearest::did_you_mean;
use crate::place::Place;
use crate::registry::Registry;
use crate::schema::{Schema, filled};
use crate::secret;
use crate::spec::Spec;
use crate::tree::{Field, Setting, Table, Tree};
use crate::walk::{Scope, clipped, joined, walk};

/// Instances of one kind.
pub const INSTANCES_MAX: usize = 32;
/// Letters of an instance's name.
pub const INSTANCE_LETTERS_MAX: usize = 32;

/// What belongs to the framework in a plug-in's section.
const FRAMEWORK_KEYS: &[&str] = &["use", "config"];

/// A check under way.
pub(crate) struct Checker<'a> {
    registry: &'a Registry,
    layout: &'a Layout,
    sections: Vec<String>,
    pub(crate) problems: Vec<Diagnostic>,
    pub(crate) config: Config,
}

/// A part of the config and what it is held against.
struct Part<'a> {
    scope: Scope,
    schema: &'a Value,
    check: &'a dyn Fn(&Value) -> Vec<Violation>,
    /// Where to point when what is wrong was not written.
    fallback: Setting,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(registry: &'a Registry, layout: &'a Layout, root: Setting, problems: Vec<Diagnostic>) -> Self {
        let sections = layout.names().map(str::to_owned).collect();
        Self { registry, layout, sections, problems, config: Config { root, ..Config::default() } }
    }

    pub(crate) fn check(&mut self) {
        let mut root = std::mem::take(&mut self.config.root);
        let Tree::Table(table) = &mut root.tree else { return };
        for (key, field) in table.iter().filter(|(key, _)| !self.sections.contains(key)) {
            self.problems.push(self.unknown_section(key, field));
        }
        let layout = self.layout;
        for section in &layout.sections {
            let value = self.section(section, table.get_mut(section.name));
            self.config.sections.insert(section.name, value);
            self.config.remember(section.name, &section.shape.defaults);
        }
        for slot in &layout.slots {
            self.slot(slot, table);
        }
        self.config.root = root;
    }

    fn unknown_section(&self, key: &str, field: &Field) -> Diagnostic {
        secret::mask_within(&field.setting);
        let mut label = did_you_mean(key, self.sections.iter().map(String::as_str));
        let owns = |section: &&Section| Schema::new(&section.shape.schema).property(key).is_some();
        if let (true, Some(owner)) = (label.is_empty(), self.layout.sections.iter().find(owns)) {
            label = format!("did you mean `{key}` in [{}]?", owner.name);
        }
        let found =
            Diagnostic::new(Code::UnknownSection, field.key.clone(), format!("unknown section `{}`", clipped(key)));
        let over = field.setting.over.clone();
        Diagnostic { over, ..found }.label(label).note(format!("known sections: {}", self.sections.join(", ")))
    }

    fn section(&mut self, section: &Section, field: Option<&mut Field>) -> Value {
        let Some(field) = field else { return section.shape.defaults.clone() };
        let what = format!("section [{}]", section.name);
        let scope = Scope { sections: self.sections.clone(), ..Scope::of(what, section.name, &section.shape.defaults) };
        let fallback = Setting::new(Tree::default(), &field.key);
        let part = Part { scope, schema: &section.shape.schema, check: &section.shape.check, fallback };
        self.part(&part, &mut field.setting)
    }

    /// Walks over a part, fills it up and has it checked. Gives its value, the defaults if it is wrong.
    fn part(&mut self, part: &Part<'_>, setting: &mut Setting) -> Value {
        let schema = Schema::new(part.schema);
        if !walk(schema, setting, &part.scope, &mut self.problems) {
            return part.scope.defaults.clone();
        }
        let value = filled(schema, &part.scope.defaults, Some(&setting.to_json()));
        for violation in (part.check)(&value) {
            self.problems.push(refused(part, setting, &violation));
        }
        value
    }

    fn slot(&mut self, slot: &'a Slot, root: &mut Table) {
        let kind = slot.kind;
        match root.get_mut(kind.word()) {
            None => self.default_instance(slot),
            Some(field) if kind.is_many() => self.instances(slot, field),
            Some(field) => {
                let spec = self.instance(slot, kind.word(), kind.word(), field);
                self.config.specs.extend(spec);
            }
        }
    }

    fn default_instance(&mut self, slot: &Slot) {
        let Some(name) = slot.default.filter(|_| !slot.kind.is_many()) else { return };
        match self.registry.find(slot.kind, name) {
            Some(entry) => {
                let spec = Spec { around: slot.shape.defaults.clone(), ..Spec::defaults(entry) };
                self.remember(slot, slot.kind.word(), entry);
                self.config.specs.push(spec);
            }
            None => {
                let problem = self.unknown_plugin(slot.kind, name, &Setting::default());
                self.problems.push(problem);
            }
        }
    }

    fn instances(&mut self, slot: &'a Slot, field: &mut Field) {
        let kind = slot.kind;
        let Tree::Table(table) = &mut field.setting.tree else {
            secret::mask_within(&field.setting);
            return self.problems.push(unnamed(kind, &field.key));
        };
        if table.len() > INSTANCES_MAX {
            let message = format!("[{kind}] has {} instances, expected at most {INSTANCES_MAX}", table.len());
            return self.problems.push(Diagnostic::new(Code::BadInstance, field.key.clone(), message));
        }
        for (name, field) in table {
            if !matches!(field.setting.tree, Tree::Table(_)) {
                self.problems.push(unnamed(kind, &field.key));
                continue;
            }
            if !is_instance_name(name) {
                self.problems.push(bad_instance(kind, name, &field.key));
            }
            let spec = self.instance(slot, &format!("{kind}.{name}"), name, field);
            self.config.specs.extend(spec);
        }
    }

    fn instance(&mut self, slot: &'a Slot, path: &str, instance: &str, field: &mut Field) -> Option<Spec> {
        let Tree::Table(table) = &mut field.setting.tree else {
            self.problems.push(no_table(path, &field.setting));
            return None;
        };
        let (used, mut config) = (table.remove("use"), table.remove("config"));
        let entry = self.used(slot, path, used.as_ref(), &field.key);
        let around = self.around(slot, path, entry, field);
        let told = used.as_ref().map(|used| used.setting.clone());
        let fallback = told.unwrap_or_else(|| Setting::new(Tree::default(), &field.key));
        let options = entry.map(|entry| self.options(path, entry, config.as_mut(), fallback));
        if let (None, Some(config)) = (&options, &config) {
            secret::mask(&config.setting);
        }
        if let Tree::Table(table) = &mut field.setting.tree {
            table.extend(used.map(|field| ("use".to_owned(), field)));
            table.extend(config.map(|field| ("config".to_owned(), field)));
        }
        let (entry, options) = (entry?, options?);
        self.remember(slot, path, entry);
        let (instance, plugin) = (instance.to_owned(), entry.name.clone());
        Some(Spec { kind: slot.kind, instance, plugin, options, around })
    }

    /// The plug-in that a section names.
    fn used(&mut self, slot: &Slot, path: &str, used: Option<&Field>, section: &Place) -> Option<&'a Entry> {
        let registry = self.registry;
        let Some(used) = used else {
            let found = slot.default.and_then(|name| registry.find(slot.kind, name));
            if found.is_none() {
                self.problems.push(self.missing_use(slot.kind, path, section));
            }
            return found;
        };
        let Some(name) = used.setting.tree.text() else {
            let message = format!("`{path}.use` is not a name");
            let found = Diagnostic::at(Code::WrongType, &used.setting, message);
            self.problems.push(found.label(format!("expected the name of a {} plug-in, in quotes", slot.kind)));
            return None;
        };
        let Some(entry) = registry.find(slot.kind, name) else {
            self.problems.push(self.unknown_plugin(slot.kind, name, &used.setting));
            return None;
        };
        if entry.stability == Stability::Deprecated {
            let message = format!("{} `{}` is deprecated: {}", slot.kind, entry.name, entry.summary);
            self.problems.push(Diagnostic::at(Code::Deprecated, &used.setting, message));
        }
        Some(entry)
    }

    /// What the framework is told beside `use` and `config`.
    fn around(&mut self, slot: &'a Slot, path: &str, entry: Option<&Entry>, field: &mut Field) -> Value {
        let options = entry.map(|entry| Schema::new(&entry.schema).fields().map(|(key, _)| key.to_owned()).collect());
        let scope = Scope {
            sections: self.sections.clone(),
            besides: FRAMEWORK_KEYS,
            below: ("config", options.unwrap_or_default()),
            ..Scope::of(format!("section [{path}]"), path, &slot.shape.defaults)
        };
        let fallback = Setting::new(Tree::default(), &field.key);
        let part = Part { scope, schema: &slot.shape.schema, check: &slot.shape.check, fallback };
        self.part(&part, &mut field.setting)
    }

    fn options(&mut self, path: &str, entry: &Entry, config: Option<&mut Field>, fallback: Setting) -> Value {
        let what = format!("{} `{}`", entry.kind, entry.name);
        let scope = Scope {
            sections: self.sections.clone(),
            describe: Some(entry.id()),
            chosen: Some(fallback.place.clone()).filter(|place| !matches!(place, Place::File { .. })),
            ..Scope::of(what, &format!("{path}.config"), &entry.defaults)
        };
        let part = Part { scope, schema: &entry.schema, check: &*entry.check, fallback };
        match config {
            Some(config) => self.part(&part, &mut config.setting),
            // Even the defaults may be refused, such as by a plug-in that must be told where to write.
            None => self.part(&part, &mut Setting::default()),
        }
    }

    fn unknown_plugin(&self, kind: Kind, name: &str, used: &Setting) -> Diagnostic {
        let message = format!("no {kind} plug-in named `{}`", clipped(name));
        Diagnostic::at(Code::UnknownPlugin, used, message).label(self.registry.alternatives(kind, name))
    }

    fn missing_use(&self, kind: Kind, path: &str, section: &Place) -> Diagnostic {
        let message = format!("[{path}] does not say which plug-in to use");
        let instance = path.rsplit('.').next().unwrap_or(path);
        let label = match self.registry.find(kind, instance) {
            Some(entry) => format!("did you mean: use = \"{}\"", entry.name),
            None => "expected: use = \"NAME\"".to_owned(),
        };
        let available = self.registry.alternatives(kind, "");
        Diagnostic::new(Code::MissingUse, section.clone(), message).label(label).note(available)
    }

    /// Keeps what an instance would have without a word of the user.
    fn remember(&mut self, slot: &Slot, path: &str, entry: &Entry) {
        self.config.remember(path, &slot.shape.defaults);
        self.config.remember(&format!("{path}.config"), &entry.defaults);
        if slot.default == Some(entry.name.as_str()) {
            self.config.remember(path, &json!({ "use": entry.name }));
        }
    }
}

/// What is at a path such as `retry.max`, or the nearest thing above it.
pub(crate) fn nearest_setting<'a>(setting: &'a Setting, path: &str) -> &'a Setting {
    let keys = path.split(['.', '[', ']']).filter(|key| !key.is_empty());
    let mut here = setting;
    for key in keys {
        let Some(next) = here.at([key]) else { break };
        here = next;
    }
    here
}

fn refused(part: &Part<'_>, setting: &Setting, Violation { path, message }: &Violation) -> Diagnostic {
    let nearest = nearest_setting(setting, path);
    let written = !std::ptr::eq(nearest, setting) && !nearest.place.is_default();
    let setting = if written { nearest } else { &part.fallback };
    let message = match path.as_str() {
        "" | "." => format!("{}: {message}", part.scope.what),
        path => format!("`{}` {message}", joined(&part.scope.path, path)),
    };
    Diagnostic::at(Code::Refused, setting, message)
}

fn unnamed(kind: Kind, place: &Place) -> Diagnostic {
    let message = format!("[{kind}] holds instances, each a table with a name of its own");
    Diagnostic::new(Code::Unnamed, place.clone(), message).label(format!("expected a header [{kind}.NAME]"))
}

fn no_table(path: &str, setting: &Setting) -> Diagnostic {
    let message = format!("`{path}` is not a table");
    let label = format!("expected [{path}] with use = \"NAME\"");
    Diagnostic::at(Code::WrongType, setting, message).label(label)
}

fn bad_instance(kind: Kind, name: &str, place: &Place) -> Diagnostic {
    let name: String = name.chars().take(INSTANCE_LETTERS_MAX).collect();
    let label = format!("expected 1 to {INSTANCE_LETTERS_MAX} lower-case letters, digits, `-` or `_`");
    let message = format!("`{name}` is not a name for an instance of {kind}");
    Diagnostic::new(Code::BadInstance, place.clone(), message).label(label)
}

fn is_instance_name(name: &str) -> bool {
    let allowed = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_".contains(letter);
    (1..=INSTANCE_LETTERS_MAX).contains(&name.len()) && name.chars().all(allowed)
}
