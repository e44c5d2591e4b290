//! Text that strangers write: what of it is kept, and how much.

/// What is wrong with a field of a form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Invalid {
    /// The field, such as `claimant.email`.
    pub field: String,
    /// What was found, and what was expected.
    pub message: String,
}

impl Invalid {
    /// Of a field.
    pub fn new(field: &str, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), message: message.into() }
    }
}

/// Text without characters that show nothing but change how others are shown: controls, directions, tags. Lines end with `\n`.
pub fn tidy(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let kept: String = text.chars().filter(|c| matches!(c, '\n' | '\t') || !is_hidden(*c)).collect();
    kept.trim().to_owned()
}

/// The same in one line.
pub fn tidy_line(text: &str) -> String {
    tidy(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Tidies a field of at most so many characters.
pub fn field(name: &str, text: &mut String, chars_max: usize) -> Result<(), Invalid> {
    within(name, text, chars_max, tidy)
}

/// Tidies a field of one line and at most so many characters.
pub fn line(name: &str, text: &mut String, chars_max: usize) -> Result<(), Invalid> {
    within(name, text, chars_max, tidy_line)
}

fn within(name: &str, text: &mut String, chars_max: usize, tidy: fn(&str) -> String) -> Result<(), Invalid> {
    *text = tidy(text);
    let count = text.chars().count();
    if count > chars_max {
        return Err(Invalid::new(name, format!("has {count} characters, expected at most {chars_max}")));
    }
    Ok(())
}

/// Whether a mail can be sent to it: one address without a name, comments or quotes.
pub fn is_mail(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~-.".contains(c);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (1..=64).contains(&local.len())
        && local.chars().all(atom)
        && local.split('.').all(|part| !part.is_empty())
        && domain.len() <= 253
        && domain.contains('.')
        && domain.split('.').all(label)
}

/// Whether it is the address of a page: `https://` or `http://`, and no blanks.
pub fn is_page(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || "<>\"'`\\".contains(c)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_changes_how_others_are_shown_is_dropped_and_the_rest_is_kept() {
        let text = "a\u{202e}gpj.exe\0\u{7}\r\n<script>=1+1</script> \u{200b}é\u{200d}漢";
        assert_eq!(tidy(text), "agpj.exe\n<script>=1+1</script> é\u{200d}漢");
        assert_eq!(tidy_line("a\r\nBcc: b@example.org"), "a Bcc: b@example.org");
    }

    #[test]
    fn addresses_are_plain_ones() {
        for good in ["a@example.org", "a.b+c@mail.example.co.uk", "x@xn--bcher-kva.example"] {
            assert!(is_mail(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "a@",
            "@b.org",
            "a@b",
            "a b@c.org",
            "a@b..org",
            "a..b@c.org",
            "<a@b.org>",
            "a@b.org,c@d.org",
            "a@b.org\nBcc: c@d.org",
            "\"a\"@b.org",
            "a@-b.org",
            "a@[127.0.0.1]",
            "a@b.org ",
            "ä@b.org",
        ] {
            assert!(!is_mail(bad), "{bad}");
        }
    }

    #[test]
    fn pages_are_named_by_their_address_and_nothing_else_is() {
        assert!(is_page("https://example.org/a?b=c#d"));
        for bad in
            ["javascript:alert(1)", "https://", "http://a b", "https://a/\"onclick=", "data:text/html,x", "ftp://a"]
        {
            assert!(!is_page(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn tidy_text_is_tidy(text in "\\PC*|.*") {
            prop_assert_eq!(tidy(&tidy(&text)), tidy(&text));
            let line = tidy_line(&text);
            prop_assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
            prop_assert_eq!(tidy_line(&line), line);
        }
    }
}
