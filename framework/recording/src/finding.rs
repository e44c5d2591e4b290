//! What is wrong with a recording.

use std::fmt;

use peerstream_protocol::id::Seq;
use peerstream_protocol::segment::InitId;

use crate::Moment;

/// Findings that a report holds; what is beyond is only counted.
pub const FINDINGS_MAX: usize = 1_000;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The number of the segment concerned, as far as it is known.
    pub seq: Option<Seq>,
    /// When that was by the source's clock, microseconds since 1970: of the segment itself if its header is genuine, else of the last
    /// genuine one before it.
    pub at_us: Option<u64>,
    /// What is wrong.
    pub fault: Fault,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Segments are missing, up to this number exclusively, and the manifest does not name them.
    Missing {
        /// The number after the last one that is missing.
        end: Seq,
    },
    /// The header cannot be read.
    Unreadable,
    /// The header stands where it belongs and is not what the publisher signed.
    HeaderAltered,
    /// The header is not signed for this broadcast and does not belong here: it is another broadcast's, or made up.
    Foreign,
    /// The header is genuine, the payload is not what it says.
    PayloadAltered {
        /// The first byte of the first piece that is wrong.
        from: u64,
        /// The byte after it.
        to: u64,
    },
    /// The segment is genuine and stands behind later ones.
    Reordered,
    /// The segment is genuine and is there a second time.
    Doubled,
    /// Both headers are genuine, and this one says that another one was before it.
    ChainBroken,
    /// The init that it needs is missing.
    InitMissing {
        /// Its id.
        id: InitId,
    },
    /// An init is not what its id says.
    InitAltered {
        /// Its id.
        id: InitId,
    },
    /// More inits than [`INITS_MAX`](crate::INITS_MAX).
    InitsTooMany,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { end } => write!(f, "missing up to segment {}", end.0.saturating_sub(1)),
            Self::Unreadable => f.write_str("altered: its header cannot be read"),
            Self::HeaderAltered => f.write_str("altered: its header is not what the publisher signed"),
            Self::Foreign => f.write_str("foreign: not signed for this broadcast"),
            Self::PayloadAltered { from, to } => write!(f, "altered: bytes {from} to {to} of its payload"),
            Self::Reordered => f.write_str("reordered: it stands behind later ones"),
            Self::Doubled => f.write_str("doubled: it is there a second time"),
            Self::ChainBroken => f.write_str("the chain is broken: another header was signed before it"),
            Self::InitMissing { id } => write!(f, "its init {} is missing", hex(*id)),
            Self::InitAltered { id } => write!(f, "altered: init {}", hex(*id)),
            Self::InitsTooMany => f.write_str("more inits than any broadcast has"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at_us) = self.at_us {
            write!(f, "{}: ", Moment(at_us))?;
        }
        if let Some(seq) = self.seq {
            write!(f, "segment {}: ", seq.0)?;
        }
        self.fault.fmt(f)
    }
}

pub(crate) fn hex(id: InitId) -> String {
    id.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A broadcast goes on after its host was cut short, as the publisher has signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumption {
    /// The first segment after it.
    pub seq: Seq,
    /// When that was complete by the source's clock, microseconds since 1970.
    pub at_us: u64,
    /// Microseconds of which nothing is there: from the segment before it to its beginning.
    pub pause_us: u64,
    /// The first number that is missing right before it; `seq` when none is.
    pub missing_from: Seq,
}

/// What a recording was found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What is wrong, in the order in which it was found; at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// Findings that did not fit.
    pub findings_dropped: u64,
    /// Segments that are genuine, with a payload that is.
    pub whole: u64,
    /// Segments whose header is genuine and whose payload is not given out, or erased.
    pub withheld: u64,
    /// Bytes of payload that are genuine.
    pub payload_bytes: u64,
    /// Numbers that the manifest itself says are missing: `first` included and `end` not.
    pub gaps: Vec<(Seq, Seq)>,
    /// Where the broadcast was cut short and went on; at most [`GAPS_MAX`](crate::GAPS_MAX) of them.
    pub resumed: Vec<Resumption>,
    /// The first and the last genuine segment.
    pub seqs: Option<(Seq, Seq)>,
    /// When they were complete by the source's clock, microseconds since 1970.
    pub wall_us: Option<(u64, u64)>,
    /// Whether the last segment is the one with which the publisher has ended the broadcast. When it is not, nothing proves that no
    /// more was there.
    pub ended: bool,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.findings_dropped == 0
    }
}
