//! A config while it is put together: values that know where they were set.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::place::Place;

/// A value, where it was set, and what it was set over.
#[derive(Clone, Default)]
pub struct Setting {
    /// The value.
    pub tree: Tree,
    /// Where it was set.
    pub place: Place,
    /// What it has replaced.
    pub over: Option<Box<Place>>,
    /// As it was written, where texts need no quotes.
    pub raw: Option<Arc<str>>,
    /// Whether it must not be shown.
    pub secret: bool,
}

/// A value.
#[derive(Clone)]
pub enum Tree {
    /// A text, number, truth value; null for a number that is not finite.
    Leaf(Value),
    /// A list.
    List(Vec<Setting>),
    /// A table.
    Table(Table),
}

/// A table's fields by key.
pub type Table = BTreeMap<String, Field>;

/// A field of a table.
#[derive(Clone, Debug)]
pub struct Field {
    /// Where its key was written first.
    pub key: Place,
    /// What it is.
    pub setting: Setting,
}

impl Default for Tree {
    fn default() -> Self {
        Self::Table(Table::new())
    }
}

impl Tree {
    /// A value from elsewhere, all of it set at one place.
    pub fn from_json(value: Value, place: &Place) -> Self {
        match value {
            Value::Array(items) => {
                Self::List(items.into_iter().map(|item| Setting::new(Self::from_json(item, place), place)).collect())
            }
            Value::Object(fields) => {
                let field = |value| Field::new(Setting::new(Self::from_json(value, place), place));
                Self::Table(fields.into_iter().map(|(key, value)| (key, field(value))).collect())
            }
            leaf => Self::Leaf(leaf),
        }
    }

    /// Its fields, if it is a table.
    pub fn table(&self) -> Option<&Table> {
        match self {
            Self::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Leaf(Value::String(text)) => Some(text),
            _ => None,
        }
    }
}

impl Field {
    /// A field whose key stands where its value does.
    pub fn new(setting: Setting) -> Self {
        Self { key: setting.place.clone(), setting }
    }
}

impl Setting {
    /// A value set at a place.
    pub fn new(tree: Tree, place: &Place) -> Self {
        Self { tree, place: place.clone(), over: None, raw: None, secret: false }
    }

    /// Puts a later layer on top: tables are merged, everything else is replaced.
    pub fn merge(&mut self, upper: Self) {
        match (&mut self.tree, upper.tree) {
            (Tree::Table(lower), Tree::Table(upper)) => {
                upper.into_iter().for_each(|(key, field)| put(lower, key, field))
            }
            (lower, tree) => {
                *lower = tree;
                let over = std::mem::replace(&mut self.place, upper.place);
                self.over = Some(Box::new(over)).filter(|over| !over.is_default());
                self.raw = upper.raw;
                self.secret |= upper.secret;
            }
        }
    }

    /// What is at a path of keys such as `strategy.config`.
    pub fn at<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<&Self> {
        path.into_iter().try_fold(self, |here, key| match &here.tree {
            Tree::Table(table) => Some(&table.get(key)?.setting),
            Tree::List(items) => items.get(key.parse::<usize>().ok()?),
            Tree::Leaf(_) => None,
        })
    }

    /// The plain value.
    pub fn to_json(&self) -> Value {
        match &self.tree {
            Tree::Leaf(value) => value.clone(),
            Tree::List(items) => items.iter().map(Self::to_json).collect(),
            Tree::Table(table) => {
                let fields = table.iter().map(|(key, field)| (key.clone(), field.setting.to_json()));
                Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }
}

/// Never the value, which may be a secret that nobody has recognised yet.
impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Setting({})", self.place)
    }
}

fn put(table: &mut Table, key: String, field: Field) {
    match table.get_mut(&key) {
        Some(there) => there.setting.merge(field.setting),
        None => drop(table.insert(key, field)),
    }
}
