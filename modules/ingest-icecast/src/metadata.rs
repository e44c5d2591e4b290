//! Reads what is played from the query of a metadata update.

use crate::comments::joined;

/// An update: `mode=updinfo&mount=/live&song=...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// For which mount; empty if that is not said.
    pub mount: String,
    /// What is played; empty for nothing.
    pub title: String,
}

impl Update {
    /// Reads a query; none if it is no update.
    pub fn read(query: &str) -> Option<Self> {
        let field = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(known, _)| *known == name).map(|(_, value)| decoded(value))
        };
        let text = |name: &str| field(name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        if text("mode")? != "updinfo" {
            return None;
        }
        let charset = text("charset").unwrap_or_default().to_ascii_lowercase();
        let shown = |name: &str| field(name).map(|bytes| in_charset(bytes, &charset)).unwrap_or_default();
        let title = match shown("song") {
            song if song.is_empty() => joined(&shown("artist"), &shown("title")),
            song => song,
        };
        Some(Self { mount: text("mount").unwrap_or_default(), title })
    }
}

/// Without the codes of characters.
fn decoded(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [byte, after @ ..] = rest {
        let hex = after.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        let (byte, used) = match (byte, hex) {
            (b'%', Some(code)) => (code, 2),
            (b'+', _) => (b' ', 0),
            (&byte, _) => (byte, 0),
        };
        bytes.push(byte);
        rest = &after[used..];
    }
    bytes
}

/// As text: in the character set that was told, else as UTF-8 if it is that, else as Latin-1.
fn in_charset(bytes: Vec<u8>, charset: &str) -> String {
    let latin = |bytes: &[u8]| bytes.iter().map(|&byte| char::from(byte)).collect();
    if charset.starts_with("iso-8859-1") || charset.starts_with("latin") || charset.starts_with("windows-1252") {
        return latin(&bytes);
    }
    String::from_utf8(bytes).unwrap_or_else(|error| latin(error.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(query: &str) -> String {
        Update::read(query).unwrap().title
    }

    #[test]
    fn titles_come_in_either_character_set() {
        assert_eq!(title("mode=updinfo&song=Bj%C3%B6rk+-+J%c3%b3ga"), "Björk - Jóga");
        assert_eq!(title("mode=updinfo&song=Bj%F6rk"), "Björk");
        assert_eq!(title("mode=updinfo&charset=ISO-8859-1&song=%C3%B6"), "Ã¶");
        assert_eq!(title("mode=updinfo&charset=UTF-8&song=%C3%B6"), "ö");
        assert_eq!(title("mode=updinfo&artist=Miles&title=So%20What"), "Miles - So What");
        assert_eq!(title("mode=updinfo"), "");
    }

    #[test]
    fn what_is_no_update_is_none_and_broken_codes_stay() {
        assert_eq!(Update::read("mode=listclients"), None);
        assert_eq!(Update::read(""), None);
        assert_eq!(title("mode=updinfo&song=100%&mount=/live"), "100%");
        assert_eq!(title("mode=updinfo&song=%zz%4"), "%zz%4");
        assert_eq!(Update::read("song=x&mode=updinfo&mount=%2Flive").unwrap().mount, "/live");
    }
}
