//! Why a node is where it is, in words.

use crate::node::{Cause, Slot};
use crate::tree::Tree;

/// A few sentences for people.
pub(crate) fn story(tree: &Tree, slot: Slot) -> String {
    let node = &tree.nodes[slot];
    if !node.is_placed() {
        return "waits for a place: too few nodes relay".to_owned();
    }
    let (place, level) = (node.place, tree.forest.level(node.place));
    let children = node.children;
    let seat = tree.seat(place);
    let cause = cause(seat.map_or(Cause::Joined, |seat| seat.cause));
    let kind = match (node.ability.is_leaf(), children) {
        (true, _) => "It does not relay for two, so it stays a leaf.".to_owned(),
        (false, 0) => "It feeds nobody yet.".to_owned(),
        (false, children) => format!("It feeds {children}."),
    };
    let named = |slot: Slot| tree.name(slot).map(|id| id.to_string());
    let parent = tree.feeder(place).and_then(named).unwrap_or_else(|| "nobody".to_owned());
    let backup = named(node.backup).map_or("nobody backs it up".to_owned(), |backup| format!("{backup} backs it up"));
    let asks: Vec<_> = [node.grandparent, node.helper].into_iter().filter_map(named).collect();
    let asks = if asks.is_empty() { String::new() } else { format!(", it asks {} in need", asks.join(" and ")) };
    let ago = tree.now_s().saturating_sub(seat.map_or(0, |seat| seat.placed_s));
    format!("{place} on level {level}: {ago} s ago it {cause}. {kind} {parent} feeds it, {backup}{asks}.")
}

fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Joined => "took the shallowest place",
        Cause::Adopted => "was found there",
        Cause::Rose => "moved up, the older child of the node that was there",
        Cause::RoseNearer => "moved up, the child with which the others lag less",
        Cause::Exchanged => "changed places with another node, so that they and those below them lag less",
        Cause::Settled => "moved there, once it was known where it is",
        Cause::BestUplink => "moved up, the best uplink below the single root",
        Cause::CalledUp => "came from the last level, since the children of the node that was there do not relay",
        Cause::Compacted => "moved up from the last level into a hole",
        Cause::GaveWay => "gave way to a node that relays",
        Cause::Demoted => "was put at the bottom, since it underperformed",
        Cause::StoppedRelaying => "was put there, since it stopped relaying",
        Cause::Unreachable => "was put there, since it or another one could not reach its parent",
    }
}
