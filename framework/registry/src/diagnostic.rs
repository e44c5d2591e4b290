//! Something that is wrong with a config, and all of it together.

use crate::code::{Code, Severity};
use crate::place::Place;
use crate::tree::Setting;

/// Something that is wrong with a config.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// What it is.
    pub code: Code,
    /// What was found and what was expected; lower case, no full stop.
    pub message: String,
    /// Where.
    pub place: Place,
    /// What the value there has replaced.
    pub over: Option<Box<Place>>,
    /// A few words beside the underlined text.
    pub label: String,
    /// What helps: valid alternatives, where to read more.
    pub notes: Vec<String>,
}

impl Diagnostic {
    /// Something at a place.
    pub fn new(code: Code, place: Place, message: String) -> Self {
        Self { code, message, place, over: None, label: String::new(), notes: Vec::new() }
    }

    /// Something about a value.
    pub fn at(code: Code, setting: &Setting, message: String) -> Self {
        Self { over: setting.over.clone(), ..Self::new(code, setting.place.clone(), message) }
    }

    /// The same with words beside the underlined text.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The same with a note.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// How much it matters.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// In one line, for where there is no file to point at: the message, the label and what is valid.
    pub fn line(&self) -> String {
        let label = Some(&self.label).filter(|label| !label.is_empty());
        let valid = self.notes.iter().filter(|note| !note.starts_with("see: "));
        let parts = std::iter::once(&self.message).chain(label).chain(valid);
        parts.map(String::as_str).collect::<Vec<_>>().join("; ")
    }

    /// Who set the value, when that is not where the reader looks first.
    pub fn provenance(&self) -> Option<String> {
        let over = self.over.as_ref().map(|over| format!("overrides {over}"));
        match (&self.place, over) {
            (Place::Default, _) => None,
            (Place::File { .. }, over) => over,
            (place, None) => Some(format!("set by {place}")),
            (place, Some(over)) => Some(format!("set by {place} ({over})")),
        }
    }
}

/// All that is wrong with a config.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order of the files, then by line; what stands in no file comes last.
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Puts them in order.
    pub fn sort(&mut self) {
        self.diagnostics.sort_by_cached_key(|found| match &found.place {
            Place::File { source, span } => (0, source.name().to_owned(), span.start, found.code),
            place => (1, place.to_string(), 0, found.code),
        });
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|found| found.severity() == severity).count()
    }
}
