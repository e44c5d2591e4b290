//! Reads the head of a request: bytes in, no input or output of its own.

/// A longer head is refused.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// More headers are refused.
const HEADERS_MAX: usize = 64;

/// What a client asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Such as `PUT`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Behind the question mark; may be empty.
    pub query: String,
    headers: Vec<(String, String)>,
}

/// Why a head cannot be read: the sentence that the client gets.
pub type Refused = &'static str;

impl Head {
    /// Reads a head and how many bytes it takes; none if its end is not there yet.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, Refused> {
        let Some(len) = end(bytes) else {
            let long = bytes.len() > HEAD_BYTES_MAX;
            return if long { Err("the head of the request is too long") } else { Ok(None) };
        };
        if len > HEAD_BYTES_MAX {
            return Err("the head of the request is too long");
        }
        // Old clients send Latin-1 in their headers.
        let text: String = match std::str::from_utf8(&bytes[..len]) {
            Ok(text) => text.into(),
            Err(_) => bytes[..len].iter().map(|&byte| char::from(byte)).collect(),
        };
        let mut lines = text.lines();
        let mut head = request(lines.next().unwrap_or_default())?;
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or("a header has no colon")?;
            if head.headers.len() == HEADERS_MAX {
                return Err("the request has too many headers");
            }
            head.headers.push((name.trim().to_ascii_lowercase(), value.trim().into()));
        }
        Ok(Some((head, len)))
    }

    /// The value of a header, named in lower case; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// User and password, as basic authentication has them.
    pub fn credentials(&self) -> Option<(String, String)> {
        let (scheme, code) = self.header("authorization").split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = String::from_utf8(base64(code.trim())?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some((user.into(), password.into()))
    }
}

/// Where the empty line ends.
fn end(bytes: &[u8]) -> Option<usize> {
    let after = |at: usize| match bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    };
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').find_map(|(at, _)| after(at))
}

fn request(line: &str) -> Result<Head, Refused> {
    let mut words = line.split_ascii_whitespace();
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("a request of HTTP was expected");
    };
    let spoken = version.starts_with("HTTP/1.") || version.starts_with("ICE/1.");
    if !spoken || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err("a request of HTTP was expected");
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok(Head { method: method.into(), path: path.into(), query: query.into(), headers: Vec::new() })
}

/// Decodes Base64 with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUT: &[u8] = b"PUT /live HTTP/1.1\r\nAuthorization: Basic c291cmNlOmhhY2ttZQ==\r\nExpect: 100-continue\r\nIce-Name: Radio\r\n\r\nOggS";

    #[test]
    fn a_request_is_read_when_it_is_whole() {
        let (head, len) = Head::read(PUT).unwrap().unwrap();
        assert_eq!((&PUT[len..], head.method.as_str(), head.path.as_str()), (&b"OggS"[..], "PUT", "/live"));
        assert_eq!((head.header("ice-name"), head.header("ice-url")), ("Radio", ""));
        assert_eq!(head.credentials(), Some(("source".into(), "hackme".into())));
        assert!((0..len).all(|len| Head::read(&PUT[..len]) == Ok(None)));
    }

    #[test]
    fn old_clients_are_understood() {
        let text = b"SOURCE /live ICE/1.0\nice-name: Caf\xe9\n\n";
        let (head, _) = Head::read(text).unwrap().unwrap();
        assert_eq!((head.method.as_str(), head.header("ice-name")), ("SOURCE", "Café"));
        let (head, _) = Head::read(b"GET /admin/metadata?mode=updinfo&song=x HTTP/1.0\r\n\r\n").unwrap().unwrap();
        assert_eq!((head.path.as_str(), head.query.as_str()), ("/admin/metadata", "mode=updinfo&song=x"));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in
            ["hello\r\n\r\n", "\x16\x03\x01 x HTTP/1.1\n\n", "GET / FTP/1.0\n\n", "GET / HTTP/1.1\nno colon\n\n"]
        {
            assert!(Head::read(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(Head::read(&[b'x'; HEAD_BYTES_MAX + 1]).is_err());
        let many = format!("GET / HTTP/1.1\n{}\n", "a: b\n".repeat(100));
        assert!(Head::read(many.as_bytes()).is_err());
    }

    #[test]
    fn base64_is_read() {
        let known = [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg", "foob")];
        known.iter().for_each(|(code, text)| assert_eq!(base64(code).unwrap(), text.as_bytes()));
        assert_eq!(base64("a b"), None);
    }
}
