//! How many more viewers the tree can carry, and what to say before it is full.

use peerstream::coordinator::{NodeOverview, Overview};
use peerstream::protocol::control::Role;
use serde::Serialize;

/// Copies that a node of any of our trees passes on; more capacity is used at the top alone.
const COPIES: u64 = 2;
/// The tree is told to be nearly full when fewer places are left than this share of the audience, in percent,
const NEARLY_PERCENT: u64 = 20;
/// or fewer than this many.
const NEARLY: u64 = 3;
/// A host's own limit is told of from this share on, in percent.
const LIMIT_PERCENT: u64 = 90;
/// The least audience of which a share means something.
const AUDIENCE_MIN: u64 = 4;

/// The room in the tree. A place is one copy of the stream that somebody could send and nobody takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Outlook {
    /// Viewers and helpers that can pass on two copies.
    pub relaying: u64,
    /// Viewers that cannot, or do not want to.
    pub not_relaying: u64,
    /// Viewers that can still join although none of them passes anything on.
    pub places: u64,
    /// Viewers that can still join if they are like those who are here; none when they bring as much as they take.
    pub more: Option<u64>,
    /// Viewers that this host still lets in, by its `limits.nodes`.
    pub limit: u64,
    /// Children that the source feeds itself at most.
    pub direct: u64,
    /// Whether a word is due.
    pub level: Level,
}

/// How full it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// There is room.
    #[default]
    Roomy,
    /// There is little.
    Nearly,
    /// There is none.
    Full,
}

/// Copies a node can pass on, as far as is known.
fn supply(node: &NodeOverview) -> u64 {
    let faulty = node.fault.is_some_and(|fault| fault == peerstream::coordinator::Fault::Relay);
    if node.relay && node.connected && !faulty { u64::from(node.capacity).min(COPIES) } else { 0 }
}

/// The room in this overlay on a host that takes so many nodes.
pub fn outlook(overview: &Overview, nodes_max: usize) -> Outlook {
    let direct =
        overview.nodes.iter().find(|node| node.role == Role::Source).map_or(0, |source| source.capacity.into());
    let members = || overview.nodes.iter().filter(|node| node.role != Role::Source);
    let audience = members().count() as u64;
    let supplied: u64 = members().map(supply).sum();
    let relaying = members().filter(|node| supply(node) >= COPIES).count() as u64;
    let places = (direct + supplied).saturating_sub(audience);
    // Each like those here takes one copy and brings `supplied / audience`.
    let missing = audience.saturating_sub(supplied);
    let more = (missing > 0).then(|| (places * audience).checked_div(missing).unwrap_or(0));
    let limit = (nodes_max as u64).saturating_sub(audience);
    let mut outlook =
        Outlook { relaying, not_relaying: audience - relaying, places, more, limit, direct, level: Level::Roomy };
    outlook.level = level(&outlook, audience, nodes_max as u64);
    outlook
}

fn level(outlook: &Outlook, audience: u64, nodes_max: u64) -> Level {
    if outlook.limit == 0 || (outlook.places == 0 && audience > 0) {
        return Level::Full;
    }
    let few = |left: u64| left < NEARLY.max(audience * NEARLY_PERCENT / 100);
    // Where many pass nothing on, the next ones may all be of that kind.
    let many_weak = outlook.not_relaying * 3 > audience;
    let tree = audience >= AUDIENCE_MIN && (outlook.more.is_some_and(few) || (many_weak && outlook.places < NEARLY));
    let host = audience * 100 >= nodes_max * LIMIT_PERCENT;
    if tree || host { Level::Nearly } else { Level::Roomy }
}

impl Outlook {
    /// What a log says when the level has changed.
    pub fn sentence(&self) -> String {
        let Self { relaying, not_relaying, places, limit, .. } = self;
        match (self.level, self.more) {
            (_, _) if *limit == 0 => "this host has as many viewers as limits.nodes allows".to_owned(),
            (Level::Full, _) => format!(
                "the tree is full: {not_relaying} viewers do not pass the stream on, {relaying} do; further ones who do not \
                 have to wait. A helper (peerstream relay) or a larger [source] budget_mbps makes room"
            ),
            (Level::Nearly, Some(more)) => format!(
                "the tree is nearly full: room for {places} more viewers who do not pass the stream on, or {more} like those \
                 who are here. A helper (peerstream relay) or a larger [source] budget_mbps makes room"
            ),
            (Level::Nearly, None) => format!("this host takes {limit} more viewers; its limits.nodes says so"),
            (Level::Roomy, _) => format!("the tree has room again for {places} viewers who do not pass the stream on"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{node, overview};
    use super::*;

    fn audience(relaying: u64, weak: u64) -> Overview {
        let mut nodes = vec![node(0, None)];
        (1..=relaying).for_each(|id| nodes.push(node(id, Some(0))));
        for id in relaying + 1..=relaying + weak {
            let mut one = node(id, Some(0));
            one.relay = false;
            nodes.push(one);
        }
        overview(nodes)
    }

    #[test]
    fn an_empty_tree_has_room_for_those_the_source_feeds() {
        let outlook = outlook(&audience(0, 0), 1000);
        assert_eq!((outlook.places, outlook.more, outlook.level), (2, None, Level::Roomy));
    }

    #[test]
    fn viewers_that_pass_on_two_copies_make_room_without_end() {
        let outlook = outlook(&audience(10, 0), 1000);
        assert_eq!((outlook.places, outlook.more, outlook.level, outlook.relaying), (12, None, Level::Roomy, 10));
    }

    #[test]
    fn many_that_pass_nothing_on_fill_the_tree() {
        let nearly = outlook(&audience(8, 9), 1000);
        assert_eq!((nearly.places, nearly.level), (1, Level::Nearly));
        assert!(nearly.sentence().contains("room for 1 more"), "{}", nearly.sentence());
        let full = outlook(&audience(8, 10), 1000);
        assert_eq!((full.places, full.more, full.level), (0, Some(0), Level::Full));
    }

    #[test]
    fn few_places_are_enough_where_newcomers_bring_their_own() {
        assert_eq!(outlook(&audience(4, 3), 1000).level, Level::Roomy);
    }

    #[test]
    fn the_hosts_own_limit_counts_as_well() {
        assert_eq!(outlook(&audience(9, 0), 10).level, Level::Nearly);
        assert_eq!(outlook(&audience(10, 0), 10).level, Level::Full);
    }
}
