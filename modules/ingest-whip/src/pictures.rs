//! Takes H.264 pictures out of RTP (RFC 6184: single units, STAP-A, FU-A).

use bytes::{Bytes, BytesMut};
use peerstream_media::mux::SAMPLE_BYTES_MAX;

const AGGREGATE: u8 = 24;
const FRAGMENT: u8 = 28;
const KEY: u8 = 5;
const SEQUENCE_SET: u8 = 7;
const PICTURE_SET: u8 = 8;
const DELIMITER: u8 = 9;

/// A whole picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The count of its RTP packets.
    pub count: u32,
    /// It needs no other.
    pub key: bool,
    /// Its units, each after its length in four bytes, as MP4 has them; without parameter sets.
    pub bytes: Bytes,
}

/// Puts pictures together from packets in order. What belongs to a lost packet is dropped, up to the next key picture.
#[derive(Debug, Default)]
pub struct Pictures {
    count: Option<u32>,
    units: BytesMut,
    key: bool,
    /// The unit that is being put together.
    partial: Option<BytesMut>,
    /// Something of the picture is missing.
    broken: bool,
    /// Nothing can be shown before the next key picture.
    has_key: bool,
    sequence_set: Bytes,
    picture_set: Bytes,
    dropped: u64,
}

impl Pictures {
    /// Takes the next packet; `last` is its marker bit. Gives the picture that is whole with it, or the one before if its end is
    /// only seen now.
    pub fn push(&mut self, count: u32, last: bool, payload: &Bytes) -> Option<Picture> {
        let earlier = if self.count.is_some_and(|earlier| earlier != count) { self.take() } else { None };
        self.count = Some(count);
        if self.unpack(payload).is_none() {
            self.broken = true;
        }
        if last && earlier.is_none() { self.take() } else { earlier }
    }

    /// Packets are missing here.
    pub fn lost(&mut self) {
        self.broken = true;
        self.partial = None;
        self.has_key = false;
    }

    /// Whether the next picture of use is a key picture, so that asking for one is worth it.
    pub fn needs_key(&self) -> bool {
        !self.has_key
    }

    /// Pictures that were dropped because something of them, or of one before, was missing.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The parameter sets as a configuration record (`avcC`), once there are any.
    pub fn record(&self) -> Option<Vec<u8>> {
        let &[_, profile, constraints, level, ..] = &self.sequence_set[..] else { return None };
        if self.picture_set.is_empty() {
            return None;
        }
        let mut record = vec![1, profile, constraints, level, 0xff, 0xe1];
        record.extend((self.sequence_set.len() as u16).to_be_bytes());
        record.extend(&self.sequence_set);
        record.push(1);
        record.extend((self.picture_set.len() as u16).to_be_bytes());
        record.extend(&self.picture_set);
        Some(record)
    }

    fn take(&mut self) -> Option<Picture> {
        let (bytes, key, count) = (self.units.split().freeze(), self.key, self.count.take());
        let broken = std::mem::take(&mut self.broken) || self.partial.take().is_some();
        self.key = false;
        if bytes.is_empty() && !broken {
            return None;
        }
        self.has_key = !broken && (key || self.has_key);
        if !self.has_key {
            self.dropped += 1;
            return None;
        }
        Some(Picture { count: count?, key, bytes })
    }

    /// Takes the units out of a packet; none if it is damaged.
    fn unpack(&mut self, payload: &Bytes) -> Option<()> {
        let first = *payload.first()?;
        match first & 0x1f {
            AGGREGATE => {
                let mut rest = payload.slice(1..);
                while !rest.is_empty() {
                    let len = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
                    rest = rest.slice(2..);
                    if len > rest.len() {
                        return None;
                    }
                    let unit = rest.split_to(len);
                    self.unit(&unit)?;
                }
                Some(())
            }
            FRAGMENT => self.fragment(first, payload),
            1..=23 => self.unit(payload),
            _ => None,
        }
    }

    fn fragment(&mut self, first: u8, payload: &Bytes) -> Option<()> {
        let header = *payload.get(1)?;
        let (starts, ends) = (header & 0x80 != 0, header & 0x40 != 0);
        if starts {
            let mut partial = BytesMut::with_capacity(64 * 1024);
            partial.extend_from_slice(&[first & 0xe0 | header & 0x1f]);
            self.partial = Some(partial);
        }
        let partial = self.partial.as_mut()?;
        if partial.len() + payload.len() > SAMPLE_BYTES_MAX {
            self.partial = None;
            return None;
        }
        partial.extend_from_slice(&payload[2..]);
        if ends {
            let unit = self.partial.take()?.freeze();
            self.unit(&unit)?;
        }
        Some(())
    }

    fn unit(&mut self, unit: &Bytes) -> Option<()> {
        let kind = unit.first()? & 0x1f;
        let set = |unit: &Bytes| (unit.len() <= usize::from(u16::MAX)).then(|| unit.clone());
        match kind {
            SEQUENCE_SET => self.sequence_set = set(unit)?,
            PICTURE_SET => self.picture_set = set(unit)?,
            DELIMITER => {}
            _ => {
                if self.units.len() + unit.len() + 4 > SAMPLE_BYTES_MAX {
                    return None;
                }
                self.key |= kind == KEY;
                self.units.extend_from_slice(&(unit.len() as u32).to_be_bytes());
                self.units.extend_from_slice(unit);
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETS: &[u8] = &[0x78, 0, 5, 0x67, 0x42, 0xe0, 0x1f, 0xaa, 0, 2, 0x68, 0xce];

    fn push(pictures: &mut Pictures, count: u32, last: bool, payload: &[u8]) -> Option<Picture> {
        pictures.push(count, last, &Bytes::copy_from_slice(payload))
    }

    #[test]
    fn sets_become_a_record_and_units_a_picture() {
        let mut pictures = Pictures::default();
        assert_eq!(push(&mut pictures, 1, false, SETS), None);
        let record = pictures.record().unwrap();
        assert_eq!(record, [1, 0x42, 0xe0, 0x1f, 0xff, 0xe1, 0, 5, 0x67, 0x42, 0xe0, 0x1f, 0xaa, 1, 0, 2, 0x68, 0xce]);
        let picture = push(&mut pictures, 1, true, &[0x65, 1, 2]).unwrap();
        assert_eq!((picture.key, &picture.bytes[..]), (true, &[0, 0, 0, 3, 0x65, 1, 2][..]));
    }

    #[test]
    fn fragments_are_put_together() {
        let mut pictures = Pictures::default();
        assert_eq!(push(&mut pictures, 9, false, &[0x7c, 0x85, 1, 2]), None);
        assert_eq!(push(&mut pictures, 9, false, &[0x7c, 0x05, 3]), None);
        let picture = push(&mut pictures, 9, true, &[0x7c, 0x45, 4]).unwrap();
        assert_eq!((picture.key, &picture.bytes[..]), (true, &[0, 0, 0, 5, 0x65, 1, 2, 3, 4][..]));
    }

    #[test]
    fn a_picture_whose_marker_is_lost_ends_with_the_next_count() {
        let mut pictures = Pictures::default();
        assert_eq!(push(&mut pictures, 1, false, &[0x65, 1]), None);
        let picture = push(&mut pictures, 2, false, &[0x61, 2]).unwrap();
        assert_eq!((picture.count, picture.key), (1, true));
    }

    #[test]
    fn after_a_loss_nothing_comes_before_a_key_picture() {
        let mut pictures = Pictures::default();
        assert!(push(&mut pictures, 1, true, &[0x65, 1]).is_some());
        pictures.lost();
        assert!(pictures.needs_key());
        assert_eq!(push(&mut pictures, 2, true, &[0x61, 2]), None);
        assert_eq!(push(&mut pictures, 3, true, &[0x61, 3]), None);
        assert!(push(&mut pictures, 4, true, &[0x65, 4]).is_some_and(|picture| picture.key));
        assert!(push(&mut pictures, 5, true, &[0x61, 5]).is_some());
        assert_eq!((pictures.dropped(), pictures.needs_key()), (2, false));
    }

    #[test]
    fn damaged_packets_cost_their_picture_only_until_the_next_key() {
        let mut pictures = Pictures::default();
        for damaged in [&[0x78, 0][..], &[0x78, 0, 9, 1], &[0x7c], &[0x7c, 0x05, 1], &[0x1f, 1], &[]] {
            assert_eq!(push(&mut pictures, 1, true, damaged), None, "{damaged:?}");
            assert!(push(&mut pictures, 2, true, &[0x65, 4]).is_some());
        }
    }
}
