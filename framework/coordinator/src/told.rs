//! What a node is told: written once, kept small, compared with what it was told before.

use peerstream_protocol::control::{Assignment, Edge, LINKS_MAX, When};
use peerstream_protocol::id::{NodeId, Stripes, Term};

/// The edges of an assignment in a quarter of its memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Told(Box<[Entry]>);

/// One edge: the whole stream, at once or after another child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    peer: NodeId,
    part: Part,
    /// A child that waits for another one: that one's place among the children, from 1.
    after: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    Parent,
    Child,
    Backup,
    Back,
    Standby,
}

/// An assignment being written, the most important edges first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writer {
    entries: Vec<Entry>,
    dropped: u64,
}

impl Writer {
    pub(crate) fn parent(&mut self, parent: Option<NodeId>) {
        parent.into_iter().for_each(|parent| self.push(parent, Part::Parent, 0));
    }

    /// The children, each with the other one of its pair. A child may be the present parent while the two change places.
    pub(crate) fn children(&mut self, children: &[(NodeId, Option<NodeId>)]) {
        let place = |pair: NodeId| children.iter().position(|(child, _)| *child == pair).map_or(0, |at| at + 1);
        for (child, pair) in children {
            self.push(*child, Part::Child, u8::try_from(pair.map_or(0, place)).unwrap_or(u8::MAX));
        }
    }

    /// The two of a dumbbell back each other up, so a backup may be named twice.
    pub(crate) fn backup(&mut self, backup: Option<NodeId>) {
        let backup = backup.filter(|backup| !self.has(*backup, &[Part::Parent]));
        backup.into_iter().for_each(|backup| self.push(backup, Part::Backup, 0));
    }

    pub(crate) fn backs(&mut self, backs: impl Iterator<Item = NodeId>) {
        for peer in backs {
            if !self.has(peer, &[Part::Child]) {
                self.push(peer, Part::Back, 0);
            }
        }
    }

    pub(crate) fn standby(&mut self, peers: impl Iterator<Item = NodeId>) {
        for peer in peers {
            if !self.entries.iter().any(|entry| entry.peer == peer) {
                self.push(peer, Part::Standby, 0);
            }
        }
    }

    /// Begins anew, in the same memory.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.dropped = 0;
    }

    /// Whether that is what was told.
    pub(crate) fn says(&self, told: &Told) -> bool {
        *self.entries == *told.0
    }

    /// What was written.
    pub(crate) fn told(&self) -> Told {
        Told(self.entries.as_slice().into())
    }

    /// How many edges had to be left out.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn push(&mut self, peer: NodeId, part: Part, after: u8) {
        if self.entries.len() < LINKS_MAX {
            self.entries.push(Entry { peer, part, after });
        } else {
            self.dropped += 1;
        }
    }

    fn has(&self, peer: NodeId, parts: &[Part]) -> bool {
        self.entries.iter().any(|entry| entry.peer == peer && parts.contains(&entry.part))
    }
}

impl Told {
    /// Everyone named; some twice.
    pub(crate) fn peers(&self) -> impl Iterator<Item = NodeId> {
        self.0.iter().map(|entry| entry.peer)
    }

    pub(crate) fn names(&self, peer: NodeId) -> bool {
        self.0.iter().any(|entry| entry.peer == peer)
    }

    /// The message that says so.
    pub(crate) fn assignment(&self, term: Term, version: u64) -> Assignment {
        let children: Vec<_> = self.of(Part::Child).collect();
        let child = |entry: &&Entry| {
            let when = match entry.after {
                0 => When::Now,
                place => When::ReleasedBy(children.get(usize::from(place) - 1)?.peer),
            };
            Some(Edge { peer: entry.peer, stripes: Stripes::ALL, when })
        };
        let now = |part| self.of(part).map(|entry| Edge::now(entry.peer));
        Assignment {
            term,
            version,
            parents: now(Part::Parent).collect(),
            // One whose pair had to be left out waits for a copy.
            children: children.iter().filter_map(child).collect(),
            backup: now(Part::Backup).next(),
            backs: now(Part::Back).collect(),
            standby: now(Part::Standby).collect(),
        }
    }

    fn of(&self, part: Part) -> impl Iterator<Item = &Entry> {
        self.0.iter().filter(move |entry| entry.part == part)
    }
}
