//! Takes the packets of sound out of Ogg: bytes in, packets out, no input or output of its own.

use std::sync::OnceLock;

use bytes::{Buf as _, Bytes, BytesMut};

/// The header of a page without its list of segments.
const HEADER_BYTES: usize = 27;
/// A packet longer than this is cut off; only comments with pictures are.
pub const PACKET_BYTES_MAX: usize = 64 * 1024;
/// This much without a page is no Ogg, in bytes.
const NO_PAGE_BYTES_MAX: usize = 256 * 1024;

const CONTINUED: u8 = 1;
const BEGINS: u8 = 2;

/// What is not Ogg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoOgg;

/// A packet of the stream that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// At most [`PACKET_BYTES_MAX`].
    pub bytes: Bytes,
    /// The first of a stream: another track has begun.
    pub begins: bool,
    /// Whether the end is there.
    pub whole: bool,
}

/// Reads pages and follows one stream of sound after the other.
///
/// A stream begins with a packet that the caller knows; pages of other streams are passed over. Damaged pages are dropped and
/// counted, with the packets that reached into them.
#[derive(Debug)]
pub struct Reader {
    buffer: BytesMut,
    known: fn(&[u8]) -> bool,
    follows: Option<Followed>,
    ready: std::collections::VecDeque<Packet>,
    /// Bytes passed over since the last page.
    passed: usize,
    damaged: u64,
}

/// The stream that is followed.
#[derive(Debug)]
struct Followed {
    serial: u32,
    next_page: u32,
    begun: bool,
    partial: BytesMut,
    whole: bool,
    /// A packet is being gathered, even if it has no bytes yet.
    open: bool,
}

/// Where a page's parts are.
struct Page {
    flags: u8,
    serial: u32,
    number: u32,
    segments: Vec<u8>,
}

impl Reader {
    /// Follows streams whose first packet `known` knows.
    pub fn new(known: fn(&[u8]) -> bool) -> Self {
        Self { buffer: BytesMut::new(), known, follows: None, ready: Default::default(), passed: 0, damaged: 0 }
    }

    /// Pages that were dropped because they were damaged.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Takes the next bytes, in pieces of any size.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), NoOgg> {
        self.buffer.extend_from_slice(bytes);
        while self.read_page()? {}
        Ok(())
    }

    /// The next packet.
    pub fn poll(&mut self) -> Option<Packet> {
        self.ready.pop_front()
    }

    /// Reads a page; false if there is none yet.
    fn read_page(&mut self) -> Result<bool, NoOgg> {
        self.find_page()?;
        let Some(page_len) = page_len(&self.buffer) else { return Ok(false) };
        if self.buffer.len() < page_len {
            return Ok(false);
        }
        if checksum(&self.buffer[..page_len]) != number(&self.buffer, 22) {
            self.damaged += 1;
            self.pass(4);
            return Ok(true);
        }
        let mut bytes = self.buffer.split_to(page_len).freeze();
        let segments = bytes[HEADER_BYTES..HEADER_BYTES + usize::from(bytes[26])].to_vec();
        let page = Page { flags: bytes[5], serial: number(&bytes, 14), number: number(&bytes, 18), segments };
        bytes.advance(HEADER_BYTES + page.segments.len());
        self.passed = 0;
        self.take_page(&page, &bytes);
        Ok(true)
    }

    /// Passes over what is before the next page.
    fn find_page(&mut self) -> Result<(), NoOgg> {
        let found = self.buffer.windows(4).position(|four| four == b"OggS");
        // The beginning of a name may be at the end.
        let passed = found.unwrap_or(self.buffer.len().saturating_sub(3));
        self.pass(passed);
        if self.passed > NO_PAGE_BYTES_MAX { Err(NoOgg) } else { Ok(()) }
    }

    fn pass(&mut self, len: usize) {
        self.buffer.advance(len);
        self.passed += len;
    }

    fn take_page(&mut self, page: &Page, body: &Bytes) {
        if page.flags & BEGINS != 0 {
            let first = page.segments.iter().take_while(|&&len| len == 255).count();
            let len: usize = page.segments.iter().take(first + 1).map(|&len| usize::from(len)).sum();
            if !(self.known)(&body[..len]) {
                return;
            }
            self.follows = Some(Followed {
                serial: page.serial,
                next_page: page.number,
                begun: false,
                partial: BytesMut::new(),
                whole: true,
                open: false,
            });
        }
        let Some(followed) = self.follows.as_mut().filter(|followed| followed.serial == page.serial) else { return };
        followed.take(page, body, &mut self.ready);
    }
}

impl Followed {
    fn take(&mut self, page: &Page, body: &Bytes, ready: &mut std::collections::VecDeque<Packet>) {
        let missing = page.number != self.next_page;
        self.next_page = page.number.wrapping_add(1);
        let continued = page.flags & CONTINUED != 0;
        if missing || !continued {
            self.drop_partial();
        }
        // The rest of a packet whose beginning is lost.
        let mut skip = continued && !self.open;
        let mut at = 0;
        for &len in &page.segments {
            let segment = &body[at..at + usize::from(len)];
            at += usize::from(len);
            if !skip {
                self.gather(segment);
            }
            if len < 255 {
                if !skip {
                    ready.push_back(self.packet());
                }
                skip = false;
            }
        }
    }

    fn gather(&mut self, segment: &[u8]) {
        self.open = true;
        let room = PACKET_BYTES_MAX - self.partial.len();
        self.whole &= segment.len() <= room;
        self.partial.extend_from_slice(&segment[..segment.len().min(room)]);
    }

    fn packet(&mut self) -> Packet {
        self.open = false;
        let begins = !std::mem::replace(&mut self.begun, true);
        Packet { bytes: self.partial.split().freeze(), begins, whole: std::mem::replace(&mut self.whole, true) }
    }

    fn drop_partial(&mut self) {
        self.open = false;
        self.whole = true;
        self.partial.clear();
    }
}

/// How long the page at the front is; none if that is not there yet.
fn page_len(bytes: &[u8]) -> Option<usize> {
    let count = usize::from(*bytes.get(26)?);
    let segments = bytes.get(HEADER_BYTES..HEADER_BYTES + count)?;
    Some(HEADER_BYTES + count + segments.iter().map(|&len| usize::from(len)).sum::<usize>())
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

/// Ogg's checksum of a page, whose own four bytes count as zero.
pub(crate) fn checksum(page: &[u8]) -> u32 {
    static TABLE: OnceLock<[u32; 256]> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        std::array::from_fn(|byte| {
            (0..8).fold((byte as u32) << 24, |sum, _| sum << 1 ^ if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 })
        })
    });
    page.iter().enumerate().fold(0, |sum, (at, &byte)| {
        let byte = if (22..26).contains(&at) { 0 } else { byte };
        sum << 8 ^ table[(sum >> 24 ^ u32::from(byte)) as usize & 0xff]
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A page with these lengths of segments.
    pub(crate) fn page(flags: u8, serial: u32, number: u32, segments: &[u8], body: &[u8]) -> Vec<u8> {
        let mut page = b"OggS\0".to_vec();
        page.push(flags);
        page.extend([0; 8]);
        page.extend(serial.to_le_bytes());
        page.extend(number.to_le_bytes());
        page.extend([0; 4]);
        page.push(segments.len() as u8);
        page.extend(segments);
        page.extend(body);
        let sum = checksum(&page);
        page[22..26].copy_from_slice(&sum.to_le_bytes());
        page
    }

    fn packets(bytes: &[u8], piece: usize) -> (Vec<Packet>, u64) {
        let mut reader = Reader::new(|packet| packet.starts_with(b"head"));
        let mut packets = Vec::new();
        for piece in bytes.chunks(piece) {
            reader.push(piece).unwrap();
            packets.extend(std::iter::from_fn(|| reader.poll()));
        }
        (packets, reader.damaged())
    }

    fn texts(bytes: &[u8]) -> Vec<String> {
        packets(bytes, 7).0.iter().map(|packet| String::from_utf8_lossy(&packet.bytes).into_owned()).collect()
    }

    #[test]
    fn packets_come_whole_however_the_bytes_are_divided() {
        let long = [b'x'; 300];
        let bytes = [
            page(BEGINS, 1, 0, &[5], b"head1"),
            page(0, 1, 1, &[3, 255], &[b"one", &long[..255]].concat()),
            page(CONTINUED, 1, 2, &[45, 0, 3], &[&long[..45], b"two"].concat()),
        ]
        .concat();
        let all = packets(&bytes, usize::MAX);
        assert_eq!(all, packets(&bytes, 1));
        let lengths: Vec<_> = all.0.iter().map(|packet| packet.bytes.len()).collect();
        assert_eq!((lengths, all.1), (vec![5, 3, 300, 0, 3], 0));
        assert!(all.0[0].begins && !all.0[1].begins);
    }

    #[test]
    fn another_track_begins_and_streams_nobody_knows_are_passed_over() {
        let bytes = [
            page(BEGINS, 9, 0, &[7], b"fishead"),
            page(BEGINS, 1, 0, &[5], b"head1"),
            page(0, 9, 1, &[4], b"bone"),
            page(0, 1, 1, &[3], b"one"),
            page(BEGINS, 2, 0, &[5], b"head2"),
            page(0, 1, 2, &[4], b"late"),
            page(0, 2, 1, &[3], b"two"),
        ];
        assert_eq!(texts(&bytes.concat()), ["head1", "one", "head2", "two"]);
    }

    #[test]
    fn a_damaged_page_costs_what_is_in_it() {
        let mut bad = page(0, 1, 1, &[3, 255], &[b'b'; 258]);
        bad[60] ^= 1;
        let begin = page(BEGINS, 1, 0, &[5], b"head1");
        let after = page(CONTINUED, 1, 2, &[9, 4], b"rest of itgood");
        let after = [&after[..], &page(0, 1, 3, &[4], b"fine")].concat();
        let bytes = [&begin[..], b"noise OggS noise", &bad, &after].concat();
        let (packets, damaged) = packets(&bytes, 5);
        let texts: Vec<_> = packets.iter().map(|packet| &packet.bytes[..]).collect();
        assert_eq!(texts.last(), Some(&&b"fine"[..]), "{texts:?}");
        assert!(!texts.iter().any(|text| text.starts_with(b"rest")) && damaged >= 1, "{damaged}");
    }

    #[test]
    fn a_packet_without_end_is_cut_off_and_noise_is_no_ogg() {
        let mut bytes = page(BEGINS, 1, 0, &[5], b"head1");
        let body = [b'p'; 255 * 255];
        for number in 1..=20 {
            let flags = if number > 1 { CONTINUED } else { 0 };
            bytes.extend(page(flags, 1, number, &[255; 255], &body));
        }
        bytes.extend(page(CONTINUED, 1, 21, &[1], b"e"));
        let (packets, _) = packets(&bytes, 4096);
        assert_eq!((packets[1].bytes.len(), packets[1].whole), (PACKET_BYTES_MAX, false));
        let mut reader = Reader::new(|_| true);
        let refused = (0..100).any(|_| reader.push(&[0x55; 8192]).is_err());
        assert!(refused && reader.buffer.len() < 8192 + 4);
    }
}
