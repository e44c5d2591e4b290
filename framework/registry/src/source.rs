//! A text that a config came from, and where things are in it.

use std::fmt;
use std::ops::Range;
use std::sync::Mutex;

/// A config file's name and text. What was masked is never shown.
pub struct Source {
    name: String,
    text: String,
    line_starts: Vec<usize>,
    /// Where lines begin that look like headers of tables.
    headers: Vec<usize>,
    masks: Mutex<Vec<Range<usize>>>,
}

/// A place in a text, counted from 1; columns are letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The letter in it.
    pub column: usize,
}

impl Source {
    /// A text under the name that messages give it.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let line_starts: Vec<_> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let is_header = |start: &usize| text[*start..].trim_start_matches([' ', '\t']).starts_with('[');
        let headers = line_starts.iter().copied().filter(is_header).collect();
        Self { name: name.into(), text, line_starts, headers, masks: Mutex::default() }
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All of it, with what is masked in it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Keeps a part from being shown.
    pub fn mask(&self, part: Range<usize>) {
        self.masks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(part);
    }

    /// Where an offset is.
    pub fn position(&self, offset: usize) -> Position {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        let before = self.text.get(start..offset.min(self.text.len())).unwrap_or_default();
        Position { line, column: before.chars().count() + 1 }
    }

    /// Where a line is in the text, without its end.
    pub fn line_span(&self, line: usize) -> Range<usize> {
        let start = self.line_starts.get(line.wrapping_sub(1)).copied().unwrap_or(self.text.len());
        let rest = self.text.get(start..).unwrap_or_default();
        start..start + rest.lines().next().unwrap_or_default().len()
    }

    /// The first letters of a line as they may be shown: stars for what is masked, a space for what does not show.
    pub fn line(&self, line: usize, letters_max: usize) -> String {
        let span = self.line_span(line);
        let text = &self.text[span.clone()];
        let end = span.start + text.char_indices().nth(letters_max).map_or(text.len(), |(at, _)| at);
        let masks = self.masks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let masks: Vec<_> = masks.iter().filter(|mask| mask.start < end && mask.end > span.start).cloned().collect();
        let shown = |(at, letter): (usize, char)| match letter {
            _ if masks.iter().any(|mask| mask.contains(&(span.start + at))) => '*',
            letter if letter.is_control() => ' ',
            letter => letter,
        };
        self.text[span.start..end].char_indices().map(shown).collect()
    }

    /// The table header that a place is below, with the offset of it.
    pub fn header_above(&self, offset: usize) -> Option<(usize, String)> {
        let line = self.line_span(self.position(offset).line).start;
        let above = self.headers.partition_point(|start| *start < line);
        let start = *self.headers.get(above.checked_sub(1)?)?;
        let span = self.line_span(self.position(start).line);
        Some((start, self.text[span].trim().to_owned()))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_letters_from_one() {
        let source = Source::new("x", "a = 1\nüb = 2\n");
        assert_eq!(source.position(0), Position { line: 1, column: 1 });
        assert_eq!(source.position("a = 1\nü".len()), Position { line: 2, column: 2 });
        assert_eq!(source.position(1000).line, 3);
    }

    #[test]
    fn what_is_masked_is_never_shown() {
        let source = Source::new("x", "token = \"hunter2\" # mine\n");
        source.mask(8..17);
        assert_eq!(source.line(1, 100), "token = ********* # mine");
    }
}
