//! Reads titles from the comments that Ogg carries for each track.

/// More comments are not looked at.
const COMMENTS_MAX: usize = 256;

/// `ARTIST - TITLE`, or what there is of them, from a list of comments as Opus and Vorbis have it; empty if there is none. A list
/// that is cut off is read as far as it goes.
pub fn title(list: &[u8]) -> String {
    let mut rest = list;
    let mut found = (String::new(), String::new());
    let _vendor = text(&mut rest);
    let count = number(&mut rest).unwrap_or(0).min(COMMENTS_MAX);
    for comment in (0..count).map_while(|_| text(&mut rest)) {
        let Some(at) = comment.iter().position(|&byte| byte == b'=') else { continue };
        let (name, value) = (&comment[..at], String::from_utf8_lossy(&comment[at + 1..]));
        let place = match name.to_ascii_lowercase().as_slice() {
            b"artist" => &mut found.0,
            b"title" => &mut found.1,
            _ => continue,
        };
        if place.is_empty() {
            *place = value.trim().into();
        }
    }
    joined(&found.0, &found.1)
}

/// Artist and title as one.
pub fn joined(artist: &str, title: &str) -> String {
    match (artist.is_empty(), title.is_empty()) {
        (false, false) => format!("{artist} - {title}"),
        _ => format!("{artist}{title}"),
    }
}

/// A length and as many bytes.
fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = number(rest)?;
    let (text, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(text)
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    usize::try_from(u32::from_le_bytes(*number)).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A list of comments.
    pub(crate) fn list(comments: &[&str]) -> Vec<u8> {
        let text = |text: &str| [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
        let mut list = text("encoder");
        list.extend((comments.len() as u32).to_le_bytes());
        comments.iter().for_each(|comment| list.extend(text(comment)));
        list
    }

    #[test]
    fn artist_and_title_are_found_in_any_case_and_order() {
        assert_eq!(title(&list(&["x=1", "TITLE=So What", "Artist=Miles"])), "Miles - So What");
        assert_eq!(title(&list(&["title=So What"])), "So What");
        assert_eq!(title(&list(&["date=1959", "no sign"])), "");
    }

    #[test]
    fn a_list_that_is_cut_off_or_lies_is_read_as_far_as_it_goes() {
        let whole = list(&["artist=Miles", "title=So What"]);
        assert!((0..whole.len()).all(|len| "Miles - So What".starts_with(title(&whole[..len]).as_str())));
        assert_eq!(title(&[0xff; 40]), "");
        assert_eq!(title(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 8, 0, 0, 0, b't']), "");
    }
}
