//! What has happened to whom lately, for people who ask why.

use std::collections::VecDeque;

use peerstream_protocol::control::Reason;
use peerstream_protocol::id::NodeId;
use peerstream_protocol::time::Micros;
use serde::Serialize;

use crate::coordinator::Coordinator;
use crate::overview::NodeOverview;
use crate::performance::Fault;
use crate::verdicts::Death;

/// Happenings remembered, of all nodes together; the oldest make room.
pub const HISTORY_MAX: usize = 16_384;
/// Happenings of one node in its story, at most; the latest.
pub const STORY_MAX: usize = 32;

/// Something that happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Happening {
    /// It joined.
    Joined,
    /// It came from an earlier coordinator.
    Adopted,
    /// Its connection broke.
    Disconnected,
    /// It came back with its session.
    Resumed,
    /// It was told to take a parent.
    Moved {
        /// The parent.
        to: NodeId,
    },
    /// A neighbour says that it has fallen silent.
    Suspected {
        /// The neighbour.
        by: NodeId,
    },
    /// A link could not be opened.
    LinkFailed {
        /// To whom.
        with: NodeId,
    },
    /// Nobody feeds it, by its own word.
    Starving,
    /// Somebody else than its parent feeds it.
    Rescued {
        /// Who.
        by: NodeId,
    },
    /// It was found to underperform.
    Underperforms {
        /// In what way.
        fault: Fault,
    },
    /// It was taken for dead.
    Died {
        /// Why.
        death: Death,
    },
    /// It said goodbye.
    Left,
    /// It was turned away.
    TurnedAway {
        /// Why.
        reason: Reason,
    },
}

/// A happening with whom it concerns, for those who follow along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happened {
    /// When, on the coordinator's clock.
    pub at: Micros,
    /// To whom.
    pub node: NodeId,
    /// What.
    pub what: Happening,
}

/// Happenings that wait for the driver, if it asked for them; what comes beyond is not told.
pub const HAPPENED_MAX: usize = 16_384;

/// A happening and its time.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Moment {
    /// Microseconds ago.
    pub ago: Micros,
    /// What happened.
    #[serde(flatten)]
    pub happening: Happening,
}

/// All that is known of one node.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    /// Its name.
    pub id: NodeId,
    /// How it stands; nothing when it is gone.
    pub now: Option<NodeOverview>,
    /// Where it is and why, in the strategy's words.
    pub place: Option<String>,
    /// What happened to it lately, the oldest first.
    pub moments: Vec<Moment>,
}

/// The latest happenings of all nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(VecDeque<(Micros, NodeId, Happening)>);

impl History {
    fn add(&mut self, node: NodeId, happening: Happening, now: Micros) {
        if self.0.len() >= HISTORY_MAX {
            self.0.pop_front();
        }
        self.0.push_back((now, node, happening));
    }

    fn of(&self, node: NodeId, now: Micros) -> Vec<Moment> {
        let of_node = self.0.iter().rev().filter(|(_, of, _)| *of == node).take(STORY_MAX);
        let moments = of_node.map(|(at, _, happening)| Moment { ago: now.since(*at), happening: *happening });
        let mut moments: Vec<_> = moments.collect();
        moments.reverse();
        moments
    }
}

impl Coordinator {
    pub(crate) fn note(&mut self, node: NodeId, happening: Happening) {
        self.history.add(node, happening, self.now);
        if let Some(happened) = self.happened.as_mut().filter(|happened| happened.len() < HAPPENED_MAX) {
            happened.push(Happened { at: self.now, node, what: happening });
        }
    }

    /// From now on happenings are told by [`Self::take_happened`], which is then to be called after every [`Self::handle`].
    pub fn with_happened(mut self) -> Self {
        self.happened = Some(Vec::new());
        self
    }

    /// What has happened since the last call, the oldest first.
    pub fn take_happened(&mut self) -> Vec<Happened> {
        self.happened.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The story of the node of this name, such as `n5`, be it here or gone lately. Costs time in proportion to the members.
    pub fn story(&self, name: &str) -> Option<Story> {
        let gone = self.history.0.iter().rev().map(|(_, node, _)| *node);
        let id = self.members.keys().chain(gone).find(|node| node.to_string() == name)?;
        let now = self.node_overview(id);
        Some(Story { id, place: self.strategy.explain(id), now, moments: self.history.of(id, self.now) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_a_story_ends_with_the_latest() {
        let mut history = History::default();
        for n in 0..2 * HISTORY_MAX as u64 {
            history.add(NodeId(1 + n % 2), Happening::Moved { to: NodeId(n) }, Micros(n));
        }
        assert_eq!(history.0.len(), HISTORY_MAX);
        let story = history.of(NodeId(2), Micros(2 * HISTORY_MAX as u64));
        assert_eq!(story.len(), STORY_MAX);
        assert_eq!(story.last().unwrap().happening, Happening::Moved { to: NodeId(2 * HISTORY_MAX as u64 - 1) });
        assert!(story.windows(2).all(|pair| pair[0].ago > pair[1].ago));
    }
}
