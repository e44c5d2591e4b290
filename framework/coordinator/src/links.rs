//! The links a member last reported.

use peerstream_protocol::control::LinkReport;
use peerstream_protocol::id::NodeId;

/// Links in three quarters of their memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Links(Box<[Link]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    /// Counter and term.
    peer: (u32, u32),
    rtt_ms: u16,
    open: bool,
    feeds_me: bool,
    fed_by_me: bool,
}

impl Links {
    /// Takes in what is reported now; in the same memory when there are as many links as before.
    pub(crate) fn set(&mut self, links: &[LinkReport]) {
        let packed = links.iter().map(|link| Link {
            peer: link.peer.halves(),
            rtt_ms: link.rtt_ms,
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
        let link =
            |n: u64, open| LinkReport { peer: NodeId(n << 31), open, feeds_me: !open, fed_by_me: open, rtt_ms: 9 };
        for report in [vec![link(1, true), link(5, false)], vec![link(2, false), link(3, true)], vec![]] {
            links.set(&report);
            assert!(links.iter().eq(report));
        }
    }
}
