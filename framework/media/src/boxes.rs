//! Reads ISO base media boxes: bounded, never past the end, never a panic.

use peerstream_traits::ingest::IngestError;

/// The four letters that name a box.
pub type FourCc = [u8; 4];

/// What cannot be read, as the error of an ingest.
pub fn malformed(text: impl Into<String>) -> IngestError {
    IngestError::Malformed(text.into())
}

/// The letters of a box as text; unprintable ones as dots.
pub fn letters(name: FourCc) -> String {
    name.iter().map(|&b| if (0x20..0x7f).contains(&b) { b as char } else { '.' }).collect()
}

/// The first bytes of a box: its name, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The four letters.
    pub name: FourCc,
    /// The length of this header, in bytes: 8 or 16.
    pub header_len: usize,
    /// The length of the whole box with its header, in bytes; `None` means to the end of the file.
    pub box_len: Option<u64>,
}

impl Header {
    /// Reads a header; `None` means that more bytes are needed.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let short = reader.u32().ok()?;
        let name = reader.array().ok()?;
        let (header_len, box_len) = match short {
            0 => (8, None),
            1 => (16, Some(reader.u64().ok()?)),
            len => (8, Some(u64::from(len))),
        };
        Some(Self { name, header_len, box_len })
    }
}

/// A box inside another one.
#[derive(Clone, Copy, Debug)]
pub struct Child<'a> {
    /// The four letters.
    pub name: FourCc,
    /// What follows the header.
    pub body: &'a [u8],
    /// Where `body` begins, counted from the start of the bytes that [`children`] was given.
    pub at: usize,
}

/// The boxes in `bytes`, in order; ends after the first that does not fit.
pub fn children(bytes: &[u8]) -> impl Iterator<Item = Result<Child<'_>, IngestError>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        // Up to seven bytes at the end are padding: QuickTime ends lists with a zero word.
        if bytes.len() - at < 8 {
            return None;
        }
        let child = child_at(bytes, at);
        at = child.as_ref().map_or(bytes.len(), |child| child.at + child.body.len());
        Some(child)
    })
}

fn child_at(bytes: &[u8], at: usize) -> Result<Child<'_>, IngestError> {
    let rest = &bytes[at..];
    let header = Header::read(rest).ok_or_else(|| malformed("a box header is cut off"))?;
    let len = header.box_len.map_or(rest.len(), |len| usize::try_from(len).unwrap_or(usize::MAX));
    let body = rest.get(header.header_len..len).ok_or_else(|| {
        let (name, room) = (letters(header.name), rest.len());
        malformed(format!("box '{name}' says it is {len} bytes long, but its parent has {room} left"))
    })?;
    Ok(Child { name: header.name, body, at: at + header.header_len })
}

/// The first box called `name` in `bytes`.
pub fn find<'a>(bytes: &'a [u8], name: &FourCc) -> Result<Option<Child<'a>>, IngestError> {
    for child in children(bytes) {
        let child = child?;
        if &child.name == name {
            return Ok(Some(child));
        }
    }
    Ok(None)
}

/// The body of the box at the end of a path of names, such as `mdia`, `mdhd`.
pub fn descend<'a>(bytes: &'a [u8], path: &[&FourCc]) -> Result<Option<&'a [u8]>, IngestError> {
    let mut body = bytes;
    for name in path {
        match find(body, name)? {
            Some(child) => body = child.body,
            None => return Ok(None),
        }
    }
    Ok(Some(body))
}

/// Reads big-endian numbers from the front of some bytes.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the front.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Passes over `len` bytes.
    pub fn skip(&mut self, len: usize) -> Result<(), IngestError> {
        self.take(len).map(|_| ())
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], IngestError> {
        let left = self.left();
        let end = self.at.checked_add(len).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| malformed(format!("a box is cut off: {len} bytes expected, {left} left")))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], IngestError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, IngestError> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, IngestError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, IngestError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, IngestError> {
        self.array().map(u64::from_be_bytes)
    }

    /// The version and the flags with which a full box begins.
    pub fn version_and_flags(&mut self) -> Result<(u8, u32), IngestError> {
        let word = self.u32()?;
        Ok(((word >> 24) as u8, word & 0x00ff_ffff))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(name: &FourCc, body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes()[..], name, body].concat()
    }

    #[test]
    fn a_header_needs_eight_bytes_or_sixteen_when_it_is_long() {
        assert_eq!(Header::read(b"\0\0\0\x10mda"), None);
        let short = Header::read(b"\0\0\0\x10mdat").unwrap();
        assert_eq!((short.header_len, short.box_len), (8, Some(16)));
        assert_eq!(Header::read(b"\0\0\0\x01mdat\0\0\0"), None);
        let long = Header::read(b"\0\0\0\x01mdat\0\0\0\x01\0\0\0\0").unwrap();
        assert_eq!((long.header_len, long.box_len), (16, Some(1 << 32)));
        assert_eq!(Header::read(b"\0\0\0\0mdat").unwrap().box_len, None);
    }

    #[test]
    fn a_path_leads_to_the_body_of_an_inner_box() {
        let tree = boxed(b"moov", &[boxed(b"free", b"x"), boxed(b"mvex", &boxed(b"trex", b"yes"))].concat());
        assert_eq!(descend(&tree, &[b"moov", b"mvex", b"trex"]).unwrap(), Some(&b"yes"[..]));
        assert_eq!(descend(&tree, &[b"moov", b"trak"]).unwrap(), None);
    }

    #[test]
    fn a_child_longer_than_its_parent_is_refused() {
        let mut tree = boxed(b"trak", b"1234");
        tree[3] = 200;
        let error = children(&tree).next().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "box 'trak' says it is 200 bytes long, but its parent has 12 left");
        tree[..4].copy_from_slice(&3u32.to_be_bytes());
        assert!(children(&tree).next().unwrap().is_err(), "shorter than its own header");
    }
}
