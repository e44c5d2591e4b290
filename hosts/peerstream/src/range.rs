//! HTTP ranges (RFC 9110, section 14): which bytes of a file a request is about.

use axum::http::HeaderMap;
use axum::http::header::{IF_NONE_MATCH, IF_RANGE, RANGE};

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requested {
    /// All of it. Several ranges at once and units other than bytes are answered with that too.
    Whole,
    /// From the first byte up to, not including, the second.
    Part(u64, u64),
    /// Bytes that there are not: 416.
    Nothing,
    /// The copy that whoever asks has is still right: 304.
    Unchanged,
}

impl Requested {
    /// What these headers ask of a file of `total` bytes with this strong tag, quotes included.
    pub fn of(headers: &HeaderMap, total: u64, tag: &str) -> Self {
        if has_copy(headers, tag) {
            return Self::Unchanged;
        }
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        // Only the very same file may be continued; weak tags and dates do not say that.
        if header(IF_RANGE).is_some_and(|given| given.trim() != tag) {
            return Self::Whole;
        }
        header(RANGE).and_then(|range| parse(range, total)).unwrap_or(Self::Whole)
    }
}

/// Whether whoever asks has a copy with this strong tag, quotes included.
pub fn has_copy(headers: &HeaderMap, tag: &str) -> bool {
    let given = headers.get(IF_NONE_MATCH).and_then(|given| given.to_str().ok());
    let is_it = |one: &str| one == "*" || one.trim_start_matches("W/") == tag;
    given.is_some_and(|given| given.split(',').map(str::trim).any(is_it))
}

fn parse(range: &str, total: u64) -> Option<Requested> {
    let (unit, range) = range.split_once('=')?;
    let (first, last) = range.split_once('-').filter(|_| unit.trim().eq_ignore_ascii_case("bytes"))?;
    let (begin, end) = match (first.trim(), last.trim()) {
        ("", "") => return None,
        ("", last) => {
            let last = number(last)?;
            (total.saturating_sub(last), if last == 0 { 0 } else { total })
        }
        (first, "") => (number(first)?, total),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            (first, last.saturating_add(1).min(total))
        }
    };
    Some(if begin < end { Requested::Part(begin, end) } else { Requested::Nothing })
}

/// A number in digits alone; one beyond all bounds is the largest there is.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const TAG: &str = "\"a\"";

    fn asked(headers: &[(HeaderName, &str)]) -> Requested {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
        Requested::of(&headers.collect(), 100, TAG)
    }

    #[test]
    fn a_range_is_what_the_standard_says() {
        let cases = [
            ("bytes=0-0", Requested::Part(0, 1)),
            ("bytes=10-19", Requested::Part(10, 20)),
            ("bytes=90-", Requested::Part(90, 100)),
            ("bytes=90-500", Requested::Part(90, 100)),
            ("bytes=-10", Requested::Part(90, 100)),
            ("bytes=-500", Requested::Part(0, 100)),
            ("bytes=-0", Requested::Nothing),
            ("bytes=100-", Requested::Nothing),
            ("bytes=99999999999999999999999-", Requested::Nothing),
            ("bytes=5-4", Requested::Whole),
            ("bytes=-", Requested::Whole),
            ("bytes=a-b", Requested::Whole),
            ("bytes=0-1,5-6", Requested::Whole),
            ("lines=0-1", Requested::Whole),
            ("nonsense", Requested::Whole),
        ];
        for (range, expected) in cases {
            assert_eq!(asked(&[(RANGE, range)]), expected, "{range}");
        }
        assert_eq!(asked(&[]), Requested::Whole);
    }

    #[test]
    fn a_download_is_continued_only_if_it_is_of_the_same_file() {
        assert_eq!(asked(&[(RANGE, "bytes=1-"), (IF_RANGE, TAG)]), Requested::Part(1, 100));
        for other in ["\"b\"", "W/\"a\"", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert_eq!(asked(&[(RANGE, "bytes=1-"), (IF_RANGE, other)]), Requested::Whole, "{other}");
        }
    }

    #[test]
    fn a_copy_that_is_right_is_not_sent_again() {
        assert_eq!(asked(&[(IF_NONE_MATCH, "\"b\", W/\"a\"")]), Requested::Unchanged);
        assert_eq!(asked(&[(IF_NONE_MATCH, "\"b\"")]), Requested::Whole);
    }
}
