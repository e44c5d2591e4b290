//! Writes Ogg: packets in, pages out.

/// The first page of a stream.
const BEGINS: u8 = 2;
/// The last one.
const ENDS: u8 = 4;
/// Lengths in one page.
const LACES_MAX: usize = 255;

/// Makes the pages of one stream.
#[derive(Debug)]
pub(crate) struct Pages {
    serial: u32,
    number: u32,
    /// The time of what was written last, in the codec's samples.
    granule: u64,
}

impl Pages {
    /// Those of a stream with this number, which should differ from that of other streams.
    pub(crate) fn new(serial: u32) -> Self {
        Self { serial, number: 0, granule: 0 }
    }

    /// A page with nothing but this packet, which is a header.
    pub(crate) fn header(&mut self, packet: &[u8], out: &mut Vec<u8>) {
        let flags = if self.number == 0 { BEGINS } else { 0 };
        self.page(flags, &laces(packet.len()), packet, out);
    }

    /// Pages with these packets; each has its length in samples. A packet of more than a page is passed over; no codec has one.
    pub(crate) fn packets(&mut self, packets: &[(&[u8], u32)], out: &mut Vec<u8>) {
        let (mut lengths, mut body) = (Vec::new(), Vec::new());
        for (packet, samples) in packets {
            let laces = laces(packet.len());
            if laces.len() > LACES_MAX {
                continue;
            }
            if lengths.len() + laces.len() > LACES_MAX {
                self.page(0, &lengths, &body, out);
                (lengths, body) = (Vec::new(), Vec::new());
            }
            lengths.extend(laces);
            body.extend_from_slice(packet);
            self.granule += u64::from(*samples);
        }
        if !lengths.is_empty() {
            self.page(0, &lengths, &body, out);
        }
    }

    /// The end of the stream, a page with nothing in it.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) {
        self.page(ENDS, &[], &[], out);
    }

    fn page(&mut self, flags: u8, laces: &[u8], body: &[u8], out: &mut Vec<u8>) {
        let at = out.len();
        out.extend(b"OggS\0");
        out.push(flags);
        out.extend(self.granule.to_le_bytes());
        out.extend(self.serial.to_le_bytes());
        out.extend(self.number.to_le_bytes());
        out.extend([0; 4]);
        out.push(laces.len() as u8);
        out.extend(laces);
        out.extend(body);
        let sum = checksum(&out[at..]);
        out[at + 22..at + 26].copy_from_slice(&sum.to_le_bytes());
        self.number = self.number.wrapping_add(1);
    }
}

/// A packet's length as Ogg writes it: 255 as often as it fits, then the rest.
fn laces(len: usize) -> Vec<u8> {
    let mut laces = vec![255; len / 255];
    laces.push((len % 255) as u8);
    laces
}

/// The checksum of a page whose own four bytes are zero.
fn checksum(page: &[u8]) -> u32 {
    page.iter().fold(0, |sum: u32, &byte| {
        let shifted = sum ^ u32::from(byte) << 24;
        (0..8).fold(shifted, |sum, _| sum << 1 ^ if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_as_the_format_says() {
        let mut out = Vec::new();
        let mut pages = Pages::new(0x0102_0304);
        pages.header(b"OpusHead", &mut out);
        assert_eq!(&out[..6], b"OggS\0\x02");
        assert_eq!((&out[14..22], out[26], out[27]), (&[4, 3, 2, 1, 0, 0, 0, 0][..], 1, 8));
        // A packet of exactly 255 bytes needs a zero behind it.
        assert_eq!((laces(255), laces(256), laces(0)), (vec![255, 0], vec![255, 1], vec![0]));
    }

    #[test]
    fn what_does_not_fit_into_a_page_goes_to_the_next() {
        let packet = [7; 1_000];
        let (mut out, mut pages) = (Vec::new(), Pages::new(1));
        pages.packets(&[(&packet[..], 960); 100], &mut out);
        assert_eq!(out.windows(4).filter(|four| four == b"OggS").count(), 2, "four lengths each, 63 packets in a page");
        assert_eq!(pages.granule, 96_000);
    }
}
