//! From TOML to a tree that knows where everything stands.

use std::ops::Range;
use std::sync::Arc;

use serde_json::{Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::place::Place;
use crate::source::Source;
use crate::tree::{Field, Setting, Table, Tree};

/// Tables and lists are nested no deeper.
pub const DEPTH_MAX: usize = 32;

/// Words in keys whose values are not shown when a line cannot be parsed.
const SECRET_WORDS: [&str; 6] = ["secret", "token", "password", "passphrase", "key", "credential"];

/// Reads a file's text; says all that is wrong with it.
pub fn document(source: &Arc<Source>, problems: &mut Vec<Diagnostic>) -> Setting {
    let (table, errors) = DeTable::parse_recoverable(source.text());
    if !errors.is_empty() {
        problems.extend(errors.iter().map(|error| syntax(source, error)));
        return Setting::default();
    }
    let place = Place::File { source: Arc::clone(source), span: 0..0 };
    let mut reader = Reader { place: |span| Place::File { source: Arc::clone(source), span }, problems };
    Setting::new(Tree::Table(reader.table(table.get_ref(), 0)), &place)
}

/// Reads a value that stands outside of a file: TOML, or else a text without quotes.
pub fn value(text: &str, place: &Place, problems: &mut Vec<Diagnostic>) -> Setting {
    let mut reader = Reader { place: |_| place.clone(), problems };
    let tree = match DeValue::parse(text) {
        Ok(value) => reader.tree(value.get_ref(), place, 0),
        Err(_) => Tree::Leaf(text.into()),
    };
    Setting { raw: Some(text.into()), ..Setting::new(tree, place) }
}

fn syntax(source: &Arc<Source>, error: &toml::de::Error) -> Diagnostic {
    let span = error.span().unwrap_or(0..0);
    mask_if_secret(source, span.start);
    let place = Place::File { source: Arc::clone(source), span };
    Diagnostic::new(Code::Syntax, place, format!("invalid TOML: {}", error.message().to_lowercase()))
}

/// A line that cannot be parsed may hold a secret all the same.
fn mask_if_secret(source: &Source, offset: usize) {
    let span = source.line_span(source.position(offset).line);
    let line = &source.text()[span.clone()];
    let Some((key, value)) = line.split_once('=') else { return };
    let key = key.to_lowercase();
    if SECRET_WORDS.iter().any(|word| key.contains(word)) {
        source.mask(span.end - value.len()..span.end);
    }
}

struct Reader<'a, P> {
    place: P,
    problems: &'a mut Vec<Diagnostic>,
}

impl<P: Fn(Range<usize>) -> Place> Reader<'_, P> {
    fn table(&mut self, table: &DeTable<'_>, depth: usize) -> Table {
        let fields = table.iter().map(|(key, value)| {
            let place = (self.place)(key.span());
            let setting = self.setting(value, &place, depth);
            (key.get_ref().to_string(), Field { key: place, setting })
        });
        fields.collect()
    }

    fn setting(&mut self, value: &Spanned<DeValue<'_>>, key: &Place, depth: usize) -> Setting {
        // A table that dotted keys or headers make up stands where its key does.
        let place = if matches!(value.get_ref(), DeValue::Table(_)) { key.clone() } else { (self.place)(value.span()) };
        Setting::new(self.tree(value.get_ref(), &place, depth), &place)
    }

    fn tree(&mut self, value: &DeValue<'_>, place: &Place, depth: usize) -> Tree {
        if depth >= DEPTH_MAX {
            self.too_deep(place);
            return Tree::Leaf(Value::Null);
        }
        match value {
            DeValue::Table(table) => Tree::Table(self.table(table, depth + 1)),
            DeValue::Array(items) => {
                Tree::List(items.iter().map(|item| self.setting(item, &(self.place)(item.span()), depth + 1)).collect())
            }
            DeValue::String(text) => Tree::Leaf(text.as_ref().into()),
            DeValue::Boolean(truth) => Tree::Leaf((*truth).into()),
            DeValue::Integer(digits) => self.integer(digits.as_str(), digits.radix(), place),
            DeValue::Float(digits) => self.float(digits.as_str(), place),
            DeValue::Datetime(time) => Tree::Leaf(time.to_string().into()),
        }
    }

    fn integer(&mut self, digits: &str, radix: u32, place: &Place) -> Tree {
        let signed = i64::from_str_radix(digits, radix).ok().map(Value::from);
        let value = signed.or_else(|| u64::from_str_radix(digits, radix).ok().map(Value::from));
        if value.is_none() {
            let message = "a whole number has more than 64 bits".to_owned();
            self.problems.push(Diagnostic::new(Code::OutOfRange, place.clone(), message));
        }
        Tree::Leaf(value.unwrap_or(Value::Null))
    }

    fn float(&mut self, digits: &str, place: &Place) -> Tree {
        let number = digits.parse().ok().and_then(Number::from_f64);
        if number.is_none() {
            let message = format!("`{digits}` is not a finite number");
            self.problems.push(Diagnostic::new(Code::OutOfRange, place.clone(), message));
        }
        Tree::Leaf(number.map_or(Value::Null, Value::Number))
    }

    fn too_deep(&mut self, place: &Place) {
        let message = format!("values are nested deeper than {DEPTH_MAX} levels");
        self.problems.push(Diagnostic::new(Code::TooDeep, place.clone(), message));
    }
}
