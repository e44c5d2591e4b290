//! The links a member last reported.

use peerstream_protocol::control::LinkReport;
use peerstream_protocol::id::{NodeId, Stripes};
use smallvec::SmallVec;

/// A round trip has clearly changed when it is off by more than this, and by more than this part of it.
const CHANGE_MS: u16 = 2;
const CHANGE_PART: u16 = 8;
/// Links whose last word is kept without asking for memory.
const LINKS_EXPECTED: usize = 12;

/// Links in three quarters of their memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Links(Box<[Link]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    /// Counter and term.
    peer: (u32, u32),
    rtt_ms: u16,
    /// The round trip that the strategy was last told; 0 if none.
    told_ms: u16,
    open: bool,
    feeds_me: Stripes,
    fed_by_me: Stripes,
}

impl Links {
    /// Takes in what is reported now; in the same memory when there are as many links as before.
    pub(crate) fn set(&mut self, links: &[LinkReport]) {
        let packed = links.iter().map(|link| Link {
            peer: link.peer.halves(),
            rtt_ms: link.rtt_ms,
            told_ms: 0,
            open: link.open,
            feeds_me: link.feeds_me,
            fed_by_me: link.fed_by_me,
        });
        if self.0.len() == links.len() {
            self.0.iter_mut().zip(packed).for_each(|(old, new)| *old = new);
        } else {
            self.0 = packed.collect();
        }
    }

    /// The same, and names the peers whose round trip is known for the first time or has clearly changed.
    pub(crate) fn set_telling(&mut self, links: &[LinkReport], mut tell: impl FnMut(NodeId, u16)) {
        let told = |link: &LinkReport| {
            let known = self.0.iter().find(|known| known.peer == link.peer.halves());
            known.map_or(0, |known| known.told_ms)
        };
        let told: SmallVec<[u16; LINKS_EXPECTED]> = links.iter().map(told).collect();
        self.set(links);
        for (link, told_ms) in self.0.iter_mut().zip(told) {
            link.told_ms = told_ms;
            let changed = link.rtt_ms.abs_diff(told_ms) > CHANGE_MS.max(told_ms / CHANGE_PART);
            if link.open && link.rtt_ms > 0 && (told_ms == 0 || changed) {
                link.told_ms = link.rtt_ms;
                tell(NodeId::from_halves(link.peer.0, link.peer.1), link.rtt_ms);
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = LinkReport> {
        self.0.iter().map(|link| LinkReport {
            peer: NodeId::from_halves(link.peer.0, link.peer.1),
            open: link.open,
            feeds_me: link.feeds_me,
            fed_by_me: link.fed_by_me,
            rtt_ms: link.rtt_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_those_reported_last() {
        let mut links = Links::default();
        let link = |n: u64, open| LinkReport {
            peer: NodeId(n << 31),
            open,
            feeds_me: Stripes(u8::from(open)),
            fed_by_me: Stripes::ALL,
            rtt_ms: 9,
        };
        for report in [vec![link(1, true), link(5, false)], vec![link(2, false), link(3, true)], vec![]] {
            links.set(&report);
            assert!(links.iter().eq(report));
        }
    }

    #[test]
    fn a_round_trip_is_told_when_it_is_new_or_has_clearly_changed() {
        let mut links = Links::default();
        let link = |n: u64, rtt_ms| LinkReport {
            peer: NodeId(n),
            open: rtt_ms != 5,
            feeds_me: Stripes::NONE,
            fed_by_me: Stripes::NONE,
            rtt_ms,
        };
        let mut told = |report: &[LinkReport]| {
            let mut told = Vec::new();
            links.set_telling(report, |peer, rtt_ms| told.push((peer.0, rtt_ms)));
            told
        };
        assert_eq!(told(&[link(1, 0), link(2, 40), link(3, 5)]), [(2, 40)]);
        assert_eq!(told(&[link(2, 45), link(1, 1)]), [(1, 1)]);
        assert_eq!(told(&[link(1, 3), link(2, 46)]), [(2, 46)]);
        assert_eq!(told(&[link(1, 4), link(2, 46)]), [(1, 4)]);
    }
}
