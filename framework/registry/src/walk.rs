//! Holds a part of the config against a schema: says all that is wrong, takes texts for what they mean, finds secrets.

use serde_json::Value;

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::nearest::did_you_mean;
use crate::place::Place;
use crate::schema::{Schema, format_words, has_format, list, quoted};
use crate::secret;
use crate::tree::{Field, Setting, Table, Tree};

/// Names offered when one is not known.
const OFFERED_MAX: usize = 24;
/// Letters of a text that a message repeats.
const TEXT_LETTERS_MAX: usize = 60;

/// What is walked over.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Such as ``strategy `dumbbell` `` or `section [serve]`.
    pub what: String,
    /// The path of the part in the whole config, such as `strategy.config`.
    pub path: String,
    /// What `plugins describe` is asked for more.
    pub describe: Option<String>,
    /// Sections of the whole config, to tell an unknown option from a misplaced section.
    pub sections: Vec<String>,
    /// The defaults, to tell.
    pub defaults: Value,
    /// What the framework has put into the table besides the schema's options.
    pub besides: &'static [&'static str],
    /// Options that belong into a table below, and that table's key.
    pub below: (&'static str, Vec<String>),
    /// Who chose what is walked over, if that was not the file.
    pub chosen: Option<Place>,
}

impl Scope {
    /// A part of the config with nothing special about it.
    pub fn of(what: String, path: &str, defaults: &Value) -> Self {
        let (path, defaults) = (path.to_owned(), defaults.clone());
        Self {
            what,
            path,
            describe: None,
            sections: Vec::new(),
            defaults,
            besides: &[],
            below: ("", Vec::new()),
            chosen: None,
        }
    }
}

/// Walks over a part of the config; true if the schema is satisfied.
pub fn walk(schema: Schema<'_>, setting: &mut Setting, scope: &Scope, problems: &mut Vec<Diagnostic>) -> bool {
    let mut found = Vec::new();
    let path = scope.path.clone();
    Walk { scope, found: &mut found }.value(schema, setting, &path);
    let fine = found.iter().all(|problem| problem.severity() != crate::code::Severity::Error);
    problems.append(&mut found);
    fine
}

struct Walk<'a> {
    scope: &'a Scope,
    found: &'a mut Vec<Diagnostic>,
}

impl Walk<'_> {
    fn value(&mut self, schema: Schema<'_>, setting: &mut Setting, path: &str) {
        let schema = schema.resolve();
        if schema.is_secret() {
            return secret::resolve(setting, path, self.found);
        }
        as_meant(schema, setting);
        if matches!(setting.tree, Tree::Leaf(Value::Null)) {
            return; // Said when it was read.
        }
        if let Some(choices) = schema.choices() {
            return self.choice(&choices, setting, path);
        }
        if let Some(variants) = schema.variants() {
            return self.variant(variants, schema, setting, path);
        }
        if !accepts(schema, &setting.tree) {
            return self.wrong_type(schema, setting, path);
        }
        match &mut setting.tree {
            Tree::Table(table) => self.table(schema, table, &setting.place, path),
            Tree::List(_) => self.list(schema, setting, path),
            Tree::Leaf(_) => self.leaf(schema, setting, path),
        }
    }

    fn table(&mut self, schema: Schema<'_>, table: &mut Table, place: &Place, path: &str) {
        if !schema.is_closed() && schema.additional().is_none() {
            return;
        }
        for (key, field) in table.iter_mut() {
            let below = joined(path, key);
            match schema.property(key).or_else(|| schema.additional()) {
                Some(schema) => self.value(schema, &mut field.setting, &below),
                None => self.unknown(schema, key, field, path),
            }
        }
        for key in schema.required().filter(|key| !table.contains_key(*key)) {
            let words = schema.property(key).map(Schema::words).unwrap_or_default();
            let message = format!("`{}` is missing", joined(path, key));
            let found = Diagnostic::new(Code::MissingOption, place.clone(), message);
            self.found.push(found.label(format!("expected `{key}`, {words}")));
        }
    }

    fn unknown(&mut self, schema: Schema<'_>, key: &str, field: &Field, path: &str) {
        secret::mask_within(&field.setting);
        if schema.holds_secrets() {
            secret::mask(&field.setting);
        }
        let known = schema.fields().map(|(key, _)| key).chain(self.scope.besides.iter().copied());
        let mut label = did_you_mean(key, known);
        let (table, options) = &self.scope.below;
        if label.is_empty() && path == self.scope.path && options.iter().any(|option| option == key) {
            label = format!("it belongs into [{path}.{table}]");
        }
        if label.is_empty() && self.scope.sections.iter().any(|section| section == key) {
            let problem = misplaced(key, field, path);
            return self.found.push(problem);
        }
        let within = if path == self.scope.path { String::new() } else { format!(" in `{path}`") };
        let message = format!("unknown option `{}`{within} for {}", clipped(key), self.scope.what);
        let mut found = Diagnostic {
            over: field.setting.over.clone(),
            ..Diagnostic::new(Code::UnknownOption, field.key.clone(), message)
        };
        found = found.label(label).note(self.valid(schema, path));
        if let Some(place) = self.scope.chosen.as_ref().filter(|place| !place.is_default()) {
            found = found.note(format!("{} was chosen by {place}", self.scope.what));
        }
        if let Some(what) = &self.scope.describe {
            found = found.note(format!("see: peerstream plugins describe {what}"));
        }
        self.found.push(found);
    }

    /// `valid options: fanout (integer 1–8, default 2), ...`
    fn valid(&self, schema: Schema<'_>, path: &str) -> String {
        let defaults = path.strip_prefix(&self.scope.path).unwrap_or_default();
        let defaults = defaults.split('.').filter(|key| !key.is_empty());
        let defaults = defaults.fold(&self.scope.defaults, |here, key| &here[key]);
        let options: Vec<_> = schema.fields().map(|(key, field)| option(key, field, &defaults[key])).collect();
        let shown = options.iter().take(OFFERED_MAX).cloned().collect::<Vec<_>>().join(", ");
        match options.len() {
            0 => "it has no options".to_owned(),
            count if count > OFFERED_MAX => format!("valid options: {shown} and {} more", count - OFFERED_MAX),
            _ => format!("valid options: {shown}"),
        }
    }

    fn list(&mut self, schema: Schema<'_>, setting: &mut Setting, path: &str) {
        let length = schema.length();
        let Tree::List(items) = &mut setting.tree else { return };
        if let Some(schema) = schema.items() {
            items.iter_mut().enumerate().for_each(|(at, item)| self.value(schema, item, &format!("{path}[{at}]")));
        }
        let count = items.len();
        if !length.contains(count as f64) {
            let message = format!("`{path}` has {count} items");
            let expected = format!("expected {}", length.words());
            self.found.push(Diagnostic::at(Code::OutOfRange, setting, message).label(expected));
        }
    }

    fn leaf(&mut self, schema: Schema<'_>, setting: &Setting, path: &str) {
        match &setting.tree {
            Tree::Leaf(Value::Number(number)) => {
                let found = number.as_f64().and_then(|value| schema.range().miss(value));
                self.found.extend(found.map(|(miss, expected)| {
                    let message = format!("`{path}` = {number} is {miss}");
                    Diagnostic::at(Code::OutOfRange, setting, message).label(format!("expected {expected}"))
                }));
            }
            Tree::Leaf(Value::String(text)) => self.text(schema, text, setting, path),
            _ => {}
        }
    }

    fn text(&mut self, schema: Schema<'_>, text: &str, setting: &Setting, path: &str) {
        let length = schema.length();
        if !length.contains(text.chars().count() as f64) {
            let message = format!("`{path}` has {} letters", text.chars().count());
            let expected = format!("expected {}", length.words());
            self.found.push(Diagnostic::at(Code::OutOfRange, setting, message).label(expected));
        }
        if let Some(format) = schema.format().filter(|format| !has_format(text, format)) {
            let message = format!("`{path}` is `{}`", clipped(text));
            let expected = format!("expected {}", format_words(format).unwrap_or(format));
            self.found.push(Diagnostic::at(Code::BadFormat, setting, message).label(expected));
        }
    }

    fn choice(&mut self, choices: &[&Value], setting: &Setting, path: &str) {
        let Tree::Leaf(value) = &setting.tree else { return self.expected(&words(choices), setting, path) };
        if choices.contains(&value) {
            return;
        }
        let label =
            did_you_mean(value.as_str().unwrap_or_default(), choices.iter().filter_map(|choice| choice.as_str()));
        let message = format!("`{path}` is {}, expected {}", found(&setting.tree), words(choices));
        self.found.push(Diagnostic::at(Code::NotAChoice, setting, message).label(label));
    }

    /// An enum whose variants hold values: the first variant that can be meant is walked over.
    fn variant<'s>(
        &mut self,
        variants: impl Iterator<Item = Schema<'s>> + Clone,
        whole: Schema<'_>,
        setting: &mut Setting,
        path: &str,
    ) {
        let meant = variants.filter(|variant| may_be_meant(*variant, &setting.tree)).collect::<Vec<_>>();
        match meant.as_slice() {
            [] => self.expected(&whole.words(), setting, path),
            [first, ..] => self.value(*first, setting, path),
        }
    }

    fn wrong_type(&mut self, schema: Schema<'_>, setting: &Setting, path: &str) {
        self.expected(&schema.words(), setting, path);
    }

    fn expected(&mut self, expected: &str, setting: &Setting, path: &str) {
        secret::mask_within(setting);
        let message = format!("`{path}` is {}", found(&setting.tree));
        self.found.push(Diagnostic::at(Code::WrongType, setting, message).label(format!("expected {expected}")));
    }
}

/// A section's name below another section's header: TOML takes it for an option of that section.
fn misplaced(key: &str, field: &Field, path: &str) -> Diagnostic {
    let message = format!("`{key}` is a section of its own, not an option of [{path}]");
    let found = Diagnostic::new(Code::Misplaced, field.key.clone(), message);
    let Place::File { source, span } = &field.key else { return found };
    match source.header_above(span.start) {
        Some((offset, header)) => {
            let place = Place::File { source: source.clone(), span: offset..offset + header.len() };
            found
                .label(format!("this line belongs to {header} because of the header above"))
                .note(format!("the header is at {place}; begin the section with [{key}] on a line of its own"))
        }
        None => found.note(format!("begin the section with [{key}] on a line of its own")),
    }
}

/// A value from the environment or a flag is a text if a text is expected, whatever it looks like.
fn as_meant(schema: Schema<'_>, setting: &mut Setting) {
    let Some(raw) = &setting.raw else { return };
    let is_text = setting.tree.text().is_some();
    let wants_text = schema.types() == ["string"]
        || schema.choices().is_some_and(|choices| choices.iter().all(|choice| choice.is_string()));
    if wants_text && !is_text {
        setting.tree = Tree::Leaf(raw.as_ref().into());
    }
}

fn accepts(schema: Schema<'_>, tree: &Tree) -> bool {
    let types = schema.types();
    let one_of = |names: &[&str]| types.is_empty() || names.iter().any(|name| types.contains(name));
    match tree {
        Tree::Table(_) => one_of(&["object"]),
        Tree::List(_) => one_of(&["array"]),
        Tree::Leaf(Value::String(_)) => one_of(&["string"]),
        Tree::Leaf(Value::Bool(_)) => one_of(&["boolean"]),
        Tree::Leaf(Value::Number(number)) if number.is_f64() => one_of(&["number"]),
        Tree::Leaf(Value::Number(_)) => one_of(&["integer", "number"]),
        Tree::Leaf(_) => false,
    }
}

/// Whether a variant fits what tells variants apart: constants, and keys that must be there.
fn may_be_meant(variant: Schema<'_>, tree: &Tree) -> bool {
    if let Some(choices) = variant.choices() {
        return matches!(tree, Tree::Leaf(value) if choices.contains(&value));
    }
    let Tree::Table(table) = tree else { return accepts(variant, tree) };
    let constant = |key: &str| variant.property(key).and_then(|field| field.resolve().choices());
    let fits = |key: &str| match (constant(key), table.get(key)) {
        (_, None) => false,
        (Some(choices), Some(field)) => choices.contains(&&field.setting.to_json()),
        (None, Some(_)) => true,
    };
    accepts(variant, tree) && variant.required().all(fits)
}

fn option(key: &str, field: Schema<'_>, default: &Value) -> String {
    let words = field.words();
    let default = match default {
        Value::Null | Value::Object(_) => String::new(),
        _ if field.is_secret() => String::new(),
        value => format!("default {value}"),
    };
    let details = [words, default].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    if details.is_empty() { key.to_owned() } else { format!("{key} ({details})") }
}

fn words(choices: &[&Value]) -> String {
    list(choices.iter().map(|choice| quoted(choice)))
}

/// What was found, in a few words.
fn found(tree: &Tree) -> String {
    match tree {
        Tree::Table(_) => "a table".to_owned(),
        Tree::List(_) => "a list".to_owned(),
        Tree::Leaf(Value::String(text)) => format!("the text `{}`", clipped(text)),
        Tree::Leaf(other) => format!("`{other}`"),
    }
}

/// The beginning of a text.
pub(crate) fn clipped(text: &str) -> String {
    if text.chars().count() <= TEXT_LETTERS_MAX {
        return text.to_owned();
    }
    text.chars().take(TEXT_LETTERS_MAX).chain(['…']).collect()
}

/// `a.b`
pub(crate) fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
