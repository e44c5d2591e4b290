//! Takes secrets out of what people read.

use std::borrow::Cow;

/// What stands in the place of a secret.
const HIDDEN: &str = "[redacted]";
/// Characters that end a URL inside a line.
const ENDS: [char; 7] = ['\'', '"', '<', '>', '|', '`', ','];

/// Shows URLs without user, password, query and stream key, and hides texts it was told.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    secrets: Vec<(String, String)>,
}

impl Redactor {
    /// One that knows no secrets, but how URLs are shown.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hides a text wherever it appears; one of less than four bytes is not worth it.
    #[must_use]
    pub fn hide(mut self, secret: &str) -> Self {
        if secret.len() >= 4 {
            self.secrets.push((secret.into(), shown_url(secret).unwrap_or_else(|| HIDDEN.into())));
        }
        self
    }

    /// A line as people may see it.
    pub fn show<'a>(&self, line: &'a str) -> Cow<'a, str> {
        let mut shown = Cow::Borrowed(line);
        for (secret, instead) in &self.secrets {
            // A shown URL may be in the line already: it holds no secret and is not replaced twice.
            if secret != instead && shown.contains(secret.as_str()) {
                shown = shown.replace(secret, instead).into();
            }
        }
        match urls_shown(&shown) {
            Some(changed) => changed.into(),
            None => shown,
        }
    }
}

/// The line with all its URLs as they are shown; none if there is no URL.
fn urls_shown(line: &str) -> Option<String> {
    let mut shown = String::new();
    let mut rest = line;
    line.find("://")?;
    while let Some(at) = rest.find("://") {
        let scheme = |char: char| char.is_ascii_alphanumeric() || matches!(char, '+' | '-' | '.');
        let start = rest[..at].trim_end_matches(scheme).len();
        let len = rest[at + 3..].find(|char: char| char.is_whitespace() || ENDS.contains(&char));
        let end = len.map_or(rest.len(), |len| at + 3 + len);
        shown.push_str(&rest[..start]);
        shown.push_str(&shown_url(&rest[start..end]).unwrap_or_default());
        rest = &rest[end..];
    }
    shown.push_str(rest);
    Some(shown)
}

/// A URL without what may be secret in it; none if it is no URL.
fn shown_url(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    // The last `@`, wherever it is: passwords are not always encoded as they should be.
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => (format!("{HIDDEN}@"), rest),
        None => (String::new(), rest),
    };
    let (place, query) = match rest.split_once(['?', '#']) {
        Some((place, _)) => (place, format!("?{HIDDEN}")),
        None => (rest, String::new()),
    };
    // The last part of an RTMP path is the stream key.
    let place = match place.rsplit_once('/') {
        Some((before, key)) if scheme.starts_with("rtmp") && !key.is_empty() => format!("{before}/{HIDDEN}"),
        _ => place.to_owned(),
    };
    Some(format!("{scheme}://{user}{place}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(line: &str) -> String {
        Redactor::new().show(line).into_owned()
    }

    #[test]
    fn a_url_is_shown_without_user_query_and_stream_key() {
        assert_eq!(show("rtsp://admin:geheim@cam.local/1"), "rtsp://[redacted]@cam.local/1");
        assert_eq!(show("srt://h:9000?passphrase=geheim&x=1"), "srt://h:9000?[redacted]");
        assert_eq!(show("opening 'rtmp://h/live/geheim' failed"), "opening 'rtmp://h/live/[redacted]' failed");
        assert_eq!(show("a http://x/1 b https://u:geheim@y/2: no"), "a http://x/1 b https://[redacted]@y/2: no");
    }

    #[test]
    fn passwords_with_odd_characters_do_not_leak() {
        for password in ["a/geheim", "a?geheim", "a@geheim", "geheim#1"] {
            let shown = show(&format!("rtsp://user:{password}@host/path"));
            assert!(!shown.contains("geheim"), "{shown}");
        }
    }

    #[test]
    fn what_was_told_is_hidden_outside_of_urls_too() {
        let redactor = Redactor::new().hide("geheim1").hide("rtsp://u:p@h/x");
        assert_eq!(redactor.show("key geheim1, rtsp://u:p@h/x"), "key [redacted], rtsp://[redacted]@h/x");
        assert_eq!(redactor.show("nothing"), "nothing");
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_shown(line in ".*") {
            let redactor = Redactor::new().hide("geheim");
            let around = format!("{line}geheim{line}");
            proptest::prop_assert!(!redactor.show(&around).contains("geheim"));
            let shown = redactor.show(&line).into_owned();
            proptest::prop_assert_eq!(redactor.show(&shown).replace(HIDDEN, ""), shown.replace(HIDDEN, ""));
        }
    }
}
