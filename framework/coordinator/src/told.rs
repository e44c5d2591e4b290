//! Writes what a node is told.

use peerstream_protocol::control::{Edge, EdgePacker, LINKS_MAX, PackedEdges, When};
use peerstream_protocol::id::{NodeId, Stripes};
use smallvec::SmallVec;

use crate::slots::Child;

/// All that is asked of a node, the most important first.
pub(crate) struct Draft<'a, P, B, S> {
    /// Each with its stripes; one that has several places is named several times.
    pub(crate) parents: P,
    /// Each with the other one of its pair. A child may be the present parent while the two change places.
    pub(crate) children: &'a [Child],
    /// The two of a dumbbell back each other up, so a backup may be named twice.
    pub(crate) backup: Option<NodeId>,
    pub(crate) backs: B,
    pub(crate) standby: S,
}

/// Writes one assignment after another in the same memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writer {
    packer: EdgePacker,
    /// Who is named so far, and for what.
    named: Vec<(NodeId, Stripes)>,
    dropped: u64,
}

impl std::hash::Hash for Writer {
    /// What was last written decides nothing.
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

impl Writer {
    /// Writes an assignment of at most [`LINKS_MAX`] edges.
    pub(crate) fn write(
        &mut self,
        draft: Draft<
            '_,
            impl Iterator<Item = (NodeId, Stripes)>,
            impl Iterator<Item = NodeId>,
            impl Iterator<Item = NodeId>,
        >,
    ) {
        let Draft { parents, children, backup, backs, standby } = draft;
        let Self { packer, named, dropped } = self;
        packer.clear();
        named.clear();
        *dropped = 0;
        let mut name = |named: &mut Vec<(NodeId, Stripes)>, peer: NodeId, stripes: Stripes| {
            let room = named.len() < LINKS_MAX;
            if room {
                named.push((peer, stripes));
            } else {
                *dropped += 1;
            }
            room
        };

        let mut merged: SmallVec<[(NodeId, Stripes); 2]> = SmallVec::new();
        for (parent, stripes) in parents {
            match merged.iter_mut().find(|(known, _)| *known == parent) {
                Some((_, known)) => *known = known.with(stripes),
                None => merged.push((parent, stripes)),
            }
        }
        let parents = merged.iter().filter(|(parent, stripes)| name(named, *parent, *stripes));
        packer.list(parents.map(|(peer, stripes)| Edge { peer: *peer, stripes: *stripes, when: When::Now }));
        let told = &children[..children.len().min(LINKS_MAX - named.len())];
        packer.list(children.iter().filter(|child| name(named, child.node, child.stripes)).filter_map(|child| {
            let when = match child.pair.get() {
                None => When::Now,
                Some(pair) if told.iter().any(|other| other.node == pair) => When::ReleasedBy(pair),
                // One whose pair had to be left out waits for a copy.
                Some(_) => return None,
            };
            Some(Edge { peer: child.node, stripes: child.stripes, when })
        }));
        // Who gives or gets the whole stream as a matter of course needs no helping; who gives or gets a part of it may.
        let whole = |named: &[(NodeId, Stripes)], peer: NodeId| named.contains(&(peer, Stripes::ALL));
        let is_parent = |peer: NodeId| merged.contains(&(peer, Stripes::ALL));
        let backup = backup.filter(|backup| !is_parent(*backup) && name(named, *backup, Stripes::ALL));
        packer.list(backup.into_iter().map(Edge::now));
        let fed = |peer: NodeId| told.iter().any(|child| child.node == peer && child.stripes == Stripes::ALL);
        packer.list(backs.filter(|peer| !fed(*peer) && name(named, *peer, Stripes::ALL)).map(Edge::now));
        let standby = standby.filter(|peer| !whole(named, *peer) && name(named, *peer, Stripes::ALL));
        packer.list(standby.map(Edge::now));
    }

    /// Whether that is what was told.
    pub(crate) fn says(&self, told: &PackedEdges) -> bool {
        self.packer.says(told)
    }

    /// What was written.
    pub(crate) fn told(&self) -> PackedEdges {
        self.packer.packed()
    }

    /// How many edges had to be left out.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}
