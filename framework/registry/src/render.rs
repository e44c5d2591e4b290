//! How a report is shown: to people, to programs, to GitHub.

use std::fmt::Write as _;
use std::ops::Range;

use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Report};
use crate::place::Place;
use crate::source::{Position, Source};

/// No more errors and warnings are shown; the rest is counted.
pub const SHOWN_MAX: usize = 50;

/// Letters of a line that are shown.
const LINE_LETTERS_MAX: usize = 200;

/// Room for line numbers.
const MARGIN_MIN: usize = 2;

impl Report {
    /// For people: each with its line, the part underlined, and what helps.
    pub fn human(&self) -> String {
        let mut out = self.shown().map(human).collect::<Vec<_>>().join("\n");
        let more = self.diagnostics.len().saturating_sub(SHOWN_MAX);
        if more > 0 {
            let _ = write!(out, "\nand {more} more; the first {SHOWN_MAX} are shown\n");
        }
        out
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "errors": self.errors(),
            "warnings": self.warnings(),
            "diagnostics": self.shown().map(object).collect::<Vec<_>>(),
        })
    }

    /// As commands of a GitHub workflow, which shows them in the changed lines.
    pub fn github(&self) -> String {
        self.shown().map(github).collect()
    }

    fn shown(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().take(SHOWN_MAX)
    }
}

fn human(found: &Diagnostic) -> String {
    let mut out = format!("{}[{}]: {}\n", found.severity().word(), found.code, found.message);
    let mut notes = Vec::new();
    let margin = match &found.place {
        Place::File { source, span } => frame(&mut out, source, span.clone(), &found.label),
        _ => {
            notes.extend(Some(found.label.clone()).filter(|label| !label.is_empty()));
            MARGIN_MIN
        }
    };
    notes.extend(found.provenance());
    notes.extend(found.notes.iter().cloned());
    for note in notes {
        let _ = writeln!(out, "{:margin$}= {note}", "");
    }
    out
}

/// The line with the part underlined; gives the width of the margin.
fn frame(out: &mut String, source: &Source, span: Range<usize>, label: &str) -> usize {
    if source.text().is_empty() {
        let _ = writeln!(out, "{:MARGIN_MIN$}┌─ {}", "", source.name());
        return MARGIN_MIN;
    }
    let Position { line, column } = source.position(span.start);
    let number = line.to_string();
    let margin = number.len().max(MARGIN_MIN);
    let shown = source.line(line, LINE_LETTERS_MAX);
    let _ = writeln!(out, "{:margin$}┌─ {}:{line}:{column}", "", source.name());
    let _ = writeln!(out, "{}", format!("{number:>margin$}│ {shown}").trim_end());
    let before = (column - 1).min(LINE_LETTERS_MAX);
    let marks = "^".repeat(letters(source, span, line).min(LINE_LETTERS_MAX));
    let _ = writeln!(out, "{}", format!("{:margin$}│ {:before$}{marks} {label}", "", "").trim_end());
    margin
}

/// How much of the line is underlined.
fn letters(source: &Source, span: Range<usize>, line: usize) -> usize {
    let end = span.end.min(source.line_span(line).end).max(span.start);
    source.text().get(span.start..end).unwrap_or_default().chars().count().max(1)
}

fn object(found: &Diagnostic) -> Value {
    let mut value = json!({
        "code": found.code.word(),
        "severity": found.severity().word(),
        "message": found.message,
        "label": found.label,
        "notes": found.notes,
        "set_by": found.place.to_string(),
    });
    if let Some(over) = &found.over {
        value["overrides"] = over.to_string().into();
    }
    if let (Place::File { source, .. }, Some(position)) = (&found.place, found.place.position()) {
        value["file"] = source.name().into();
        value["line"] = position.line.into();
        value["column"] = position.column.into();
    }
    value
}

fn github(found: &Diagnostic) -> String {
    let place = match (&found.place, found.place.position()) {
        (Place::File { source, .. }, Some(position)) => {
            let file = escaped(source.name()).replace(',', "%2C").replace(':', "%3A");
            format!("file={file},line={},col={},", position.line, position.column)
        }
        _ => String::new(),
    };
    let details = std::iter::once(found.line()).chain(found.provenance()).collect::<Vec<_>>().join("; ");
    format!("::{} {place}title={}::{}\n", found.severity().word(), found.code, escaped(&details))
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}
