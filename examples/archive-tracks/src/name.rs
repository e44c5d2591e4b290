//! Names of files, made of what people write.

/// Bytes of a name without its number and ending.
const BYTES_MAX: usize = 120;

/// A title as a name on any file system; never empty.
pub(crate) fn of_title(title: &str) -> String {
    let plain = |char: char| if char.is_control() || r#"/\:*?"<>|"#.contains(char) { '_' } else { char };
    let mut name: String = title.chars().map(plain).collect();
    while name.len() > BYTES_MAX {
        name.pop();
    }
    // Dots in front hide a file, dots and spaces at the end are lost on some systems.
    let name = name.trim_matches(|char: char| char == '.' || char.is_whitespace());
    if name.is_empty() { "untitled".into() } else { name.into() }
}

/// Artist and title of `ARTIST - TITLE`; only a title if there is no artist.
pub(crate) fn artist(title: &str) -> (Option<&str>, &str) {
    match title.split_once(" - ") {
        Some((artist, title)) if !artist.trim().is_empty() => (Some(artist.trim()), title.trim()),
        _ => (None, title.trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_title_leads_out_of_its_folder() {
        for (title, name) in
            [("../../etc/passwd", "_.._etc_passwd"), ("", "untitled"), ("...", "untitled"), ("AC/DC", "AC_DC")]
        {
            assert_eq!(of_title(title), name);
        }
        assert!(of_title(&"ü".repeat(200)).len() <= BYTES_MAX);
    }

    #[test]
    fn an_artist_is_before_a_dash() {
        assert_eq!(artist("Miles Davis - So What"), (Some("Miles Davis"), "So What"));
        assert_eq!(artist("News-Flash"), (None, "News-Flash"));
    }
}
