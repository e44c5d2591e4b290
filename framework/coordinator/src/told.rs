//! Writes what a node is told.

use peerstream_protocol::control::{Edge, EdgePacker, LINKS_MAX, PackedEdges, When};
use peerstream_protocol::id::{NodeId, Stripes};

use crate::slots::Child;

/// All that is asked of a node, the most important first.
pub(crate) struct Draft<'a, B, S> {
    pub(crate) parent: Option<NodeId>,
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
    /// Who is named so far.
    named: Vec<NodeId>,
    dropped: u64,
}

impl std::hash::Hash for Writer {
    /// What was last written decides nothing.
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

impl Writer {
    /// Writes an assignment of at most [`LINKS_MAX`] edges.
    pub(crate) fn write(&mut self, draft: Draft<'_, impl Iterator<Item = NodeId>, impl Iterator<Item = NodeId>>) {
        let Draft { parent, children, backup, backs, standby } = draft;
        let Self { packer, named, dropped } = self;
        packer.clear();
        named.clear();
        *dropped = 0;
        let mut name = |named: &mut Vec<NodeId>, peer: NodeId| {
            let room = named.len() < LINKS_MAX;
            if room {
                named.push(peer);
            } else {
                *dropped += 1;
            }
            room
        };

        packer.list(parent.into_iter().filter(|parent| name(named, *parent)).map(Edge::now));
        let parents = named.len();
        let told = &children[..children.len().min(LINKS_MAX - parents)];
        packer.list(children.iter().filter(|child| name(named, child.node)).filter_map(|child| {
            let when = match child.pair.get() {
                None => When::Now,
                Some(pair) if told.iter().any(|other| other.node == pair) => When::ReleasedBy(pair),
                // One whose pair had to be left out waits for a copy.
                Some(_) => return None,
            };
            Some(Edge { peer: child.node, stripes: Stripes::ALL, when })
        }));
        let backup = backup.filter(|backup| Some(*backup) != parent && name(named, *backup));
        packer.list(backup.into_iter().map(Edge::now));
        let fed = |peer: NodeId| told.iter().any(|child| child.node == peer);
        packer.list(backs.filter(|peer| !fed(*peer) && name(named, *peer)).map(Edge::now));
        packer.list(standby.filter(|peer| !named.contains(peer) && name(named, *peer)).map(Edge::now));
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
