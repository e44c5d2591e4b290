//! What the index of a recording says of one segment.

use peerstream_protocol::header::{Flags, Header};
use peerstream_protocol::id::Seq;
use peerstream_protocol::segment::InitId;

/// Bytes of a line as it travels between a host and a loaded plug-in.
pub const LINE_BYTES: usize = 8 + 8 + 8 + 4 + 1 + 16 + 4 + 1;
/// Lines that are asked for at once, at most: a day of five segments a second and some.
pub const LINES_MAX: usize = 1 << 19;

/// What the index of a recording says of one segment: enough to find it by time and to list it, without a look at its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number.
    pub seq: Seq,
    /// The source's wall clock when it was complete, microseconds since 1970.
    pub wall_us: u64,
    /// Presentation time, microseconds on the payload's own timeline.
    pub pts_us: u64,
    /// Microseconds; 0 for data.
    pub duration_us: u32,
    /// Its marks.
    pub flags: Flags,
    /// The init it needs.
    pub init: InitId,
    /// Bytes of payload.
    pub payload_len: u32,
    /// Whether it is hidden or erased, and so not given out.
    pub withheld: bool,
}

impl Line {
    /// The line of this segment.
    pub fn of(header: &Header, withheld: bool) -> Self {
        let core = &header.core;
        Self {
            seq: core.seq,
            wall_us: core.wall_us,
            pts_us: core.pts_us,
            duration_us: core.duration_us,
            flags: core.flags,
            init: core.init,
            payload_len: core.payload_len,
            withheld,
        }
    }

    /// The line as it travels: its fields in order, numbers with the lowest byte first.
    pub fn encode(&self) -> [u8; LINE_BYTES] {
        let mut bytes = [0; LINE_BYTES];
        bytes[..8].copy_from_slice(&self.seq.0.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.wall_us.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.pts_us.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.duration_us.to_le_bytes());
        bytes[28] = self.flags.0;
        bytes[29..45].copy_from_slice(&self.init.0);
        bytes[45..49].copy_from_slice(&self.payload_len.to_le_bytes());
        bytes[49] = self.withheld.into();
        bytes
    }

    /// Reads what [`Self::encode`] wrote. Any bytes are a line.
    pub fn decode(bytes: &[u8; LINE_BYTES]) -> Self {
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        Self {
            seq: Seq(u64_at(0)),
            wall_us: u64_at(8),
            pts_us: u64_at(16),
            duration_us: u32_at(24),
            flags: Flags(bytes[28]),
            init: InitId(bytes[29..45].try_into().expect("16 bytes")),
            payload_len: u32_at(45),
            withheld: bytes[49] != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let line = Line {
            seq: Seq(1 << 40),
            wall_us: 3,
            pts_us: 1 << 50,
            duration_us: 200_000,
            flags: Flags::JOIN_POINT.with(Flags::END),
            init: InitId([7; 16]),
            payload_len: 9,
            withheld: true,
        };
        assert_eq!(Line::decode(&line.encode()), line);
        assert_eq!(Line::decode(&Line { withheld: false, ..line }.encode()), Line { withheld: false, ..line });
    }
}
