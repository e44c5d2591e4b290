//! What happens to nodes, for those who watch: the latest, and how many more there were.

use std::collections::VecDeque;

use peerstream::coordinator::{Happened, Happening};
use peerstream::protocol::id::NodeId;
use peerstream::protocol::time::Micros;
use serde::Serialize;
use serde_json::{Value, json};

use super::rows::name;

/// Happenings told with one look; of more the number.
pub const TOLD_MAX: usize = 40;
/// Happenings kept for somebody who comes later.
pub const KEPT_MAX: usize = 100;

/// The same of the same node within this time is one happening: a node that starves says so with every report.
const SAME: Micros = Micros::from_secs(10);

/// The latest happenings.
#[derive(Default)]
pub struct Moments {
    kept: VecDeque<Value>,
    /// When each of those kept happened, and what.
    latest: VecDeque<Happened>,
    fresh: Vec<(bool, Value)>,
    more: u64,
}

impl Moments {
    /// Takes one in. What is wrong goes before comings, goings and moves when there are too many.
    pub fn add(&mut self, happened: &Happened, term: u32) {
        let same = |known: &&Happened| known.node == happened.node && known.what == happened.what;
        let known = self.latest.iter().rev().find(same);
        if known.is_some_and(|known| happened.at.since(known.at) < SAME) {
            return;
        }
        let row = row(happened, term);
        let grave = is_grave(&happened.what);
        if self.kept.len() >= KEPT_MAX {
            self.kept.pop_front();
            self.latest.pop_front();
        }
        self.kept.push_back(row.clone());
        self.latest.push_back(*happened);
        if self.fresh.len() < TOLD_MAX {
            return self.fresh.push((grave, row));
        }
        self.more += 1;
        if grave && let Some(minor) = self.fresh.iter_mut().find(|(grave, _)| !grave) {
            *minor = (true, row);
        }
    }

    /// Some were not even seen.
    pub fn miss(&mut self, count: u64) {
        self.more += count;
    }

    /// What has come in since the last call, and how many more there were.
    pub fn take(&mut self) -> (Vec<Value>, u64) {
        let fresh = std::mem::take(&mut self.fresh).into_iter().map(|(_, row)| row).collect();
        (fresh, std::mem::take(&mut self.more))
    }

    /// The latest ones.
    pub fn kept(&self) -> impl Iterator<Item = &Value> {
        self.kept.iter()
    }
}

fn is_grave(what: &Happening) -> bool {
    !matches!(
        what,
        Happening::Joined | Happening::Adopted | Happening::Resumed | Happening::Left | Happening::Moved { .. }
    )
}

/// When in milliseconds, whom, what, and who or why.
fn row(happened: &Happened, term: u32) -> Value {
    let node = |id: NodeId| name(id, term);
    let (what, about) = match happened.what {
        Happening::Joined => ("joined", Value::Null),
        Happening::Adopted => ("adopted", Value::Null),
        Happening::Disconnected => ("disconnected", Value::Null),
        Happening::Resumed => ("resumed", Value::Null),
        Happening::Moved { to } => ("moved", node(to)),
        Happening::Suspected { by } => ("suspected", node(by)),
        Happening::LinkFailed { with } => ("link-failed", node(with)),
        Happening::Starving => ("starving", Value::Null),
        Happening::Rescued { by } => ("rescued", node(by)),
        Happening::Underperforms { fault } => ("underperforms", word(fault)),
        Happening::Died { death } => ("died", word(death)),
        Happening::Left => ("left", Value::Null),
        Happening::TurnedAway { reason } => ("turned-away", word(reason)),
    };
    json!([happened.at.0 / 1000, node(happened.node), what, about])
}

/// A reason that is one word.
fn word(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use peerstream::coordinator::Death;

    use super::*;

    fn happened(n: u64, what: Happening) -> Happened {
        Happened { at: Micros(n * 1000), node: NodeId::from_halves(n as u32, 1), what }
    }

    #[test]
    fn a_flood_of_newcomers_does_not_hide_a_death() {
        let mut moments = Moments::default();
        (1..=200).for_each(|n| moments.add(&happened(n, Happening::Joined), 1));
        moments.add(&happened(7, Happening::Died { death: Death::Suspected }), 1);
        let (told, more) = moments.take();
        assert_eq!((told.len(), more), (TOLD_MAX, 161));
        assert!(told.contains(&json!([7, 7, "died", "suspected"])), "{told:?}");
        assert_eq!(moments.kept().count(), KEPT_MAX);
        assert_eq!(moments.take(), (vec![], 0));
    }

    #[test]
    fn what_a_node_says_again_and_again_is_told_once() {
        let mut moments = Moments::default();
        (0..1_000).for_each(|_| moments.add(&happened(3, Happening::Starving), 1));
        moments.add(&Happened { at: Micros::from_secs(60), ..happened(3, Happening::Starving) }, 1);
        assert_eq!(moments.take().0.len(), 2);
    }

    #[test]
    fn a_move_names_the_parent() {
        let mut moments = Moments::default();
        moments.add(&happened(3, Happening::Moved { to: NodeId::SOURCE }), 1);
        assert_eq!(moments.take().0, [json!([3, 3, "moved", 0])]);
    }
}
