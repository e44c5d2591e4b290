//! Takes over a topology, of whatever shape.

use std::collections::VecDeque;

use peerstream_sdk::overlay::{Member, Topology};
use peerstream_sdk::protocol::id::{NodeId, Stripes};

use crate::backups;
use crate::edges::{Touched, Wiring};
use crate::helpers;
use crate::node::{Cause, Node, Slot};
use crate::pairs::Pairs;
use crate::place::Place;
use crate::preference::{Peer, Preference};
use crate::tree::Tree;

/// Seats everyone as in the running topology as far as it has the shape of the trees, the others as newcomers.
pub(crate) fn adopt(tree: &mut Tree, wiring: &mut Wiring, preference: &mut impl Preference, topology: &Topology) {
    seat_as_they_are(tree, preference, topology);
    let strange = topology.iter().filter(|(id, _)| *id != NodeId::SOURCE && tree.nodes.find(*id).is_none());
    let mut strange: Vec<_> = strange.map(|(id, member)| (Node::new(id, member), member)).collect();
    strange.sort_by_key(|(node, _)| (node.ability.is_leaf(), node.age()));
    let strange: Vec<_> = strange.into_iter().map(|(node, member)| (node.id, member)).collect();
    for node in strange {
        let slot = insert(tree, preference, node);
        tree.settle_in(slot, Cause::Adopted, preference);
    }
    tree.seat_waiting(preference);
    for (id, member) in topology.iter() {
        if let Some(slot) = tree.nodes.find(id) {
            adopt_edges(tree, wiring, slot, member);
        }
    }
}

fn insert(tree: &mut Tree, preference: &mut impl Preference, (id, member): (NodeId, &Member)) -> Slot {
    let slot = tree.nodes.insert(Node::new(id, member));
    preference.on_came(Peer::of(slot), id, member.network);
    slot
}

fn seat_as_they_are(tree: &mut Tree, preference: &mut impl Preference, topology: &Topology) {
    let mut todo = VecDeque::from([(NodeId::SOURCE, None)]);
    while let Some((parent, place)) = todo.pop_front() {
        for (child, place) in seating(tree, topology, parent, place) {
            let member = topology.get(child).expect("it is somebody's child");
            let slot = insert(tree, preference, (child, member));
            let weak = tree.nodes[slot].ability.is_leaf();
            tree.put(place, slot, Cause::Adopted);
            if !weak {
                todo.push_back((child, Some(place)));
            }
        }
    }
}

/// Which of the parent's children sit where: at the side of the one that backs them up, if it is seated already.
fn seating(tree: &Tree, topology: &Topology, parent: NodeId, place: Option<Place>) -> Vec<(NodeId, Place)> {
    let children = topology.get(parent).map(Member::children).unwrap_or_default().iter().map(|(child, _)| *child);
    let mut children: Vec<_> = children.filter(|child| tree.nodes.find(*child).is_none()).collect();
    let places: Vec<_> = match place {
        Some(place) => tree.forest.children(place).collect(),
        None => tree.forest.roots().collect(),
    };
    let mut seats = Vec::new();
    let mut free = Vec::new();
    for place in places {
        let fed_by_twin = tree.forest.parent(place) == Some(place.twin());
        let twin = if fed_by_twin { Some(NodeId::SOURCE) } else { tree.seat(place.twin()).map(|twin| twin.id) };
        let backed = |child: &NodeId| twin.is_some() && topology.get(*child).and_then(Member::backup) == twin;
        match children.iter().position(backed) {
            Some(at) => seats.push((children.remove(at), place)),
            None => free.push(place),
        }
    }
    seats.extend(children.into_iter().zip(free));
    seats
}

/// Notes the edges that a node has, as a start for those it shall have.
fn adopt_edges(tree: &mut Tree, wiring: &mut Wiring, slot: Slot, member: &Member) {
    let find = |tree: &Tree, id: NodeId| match id {
        NodeId::SOURCE => Slot::SOURCE,
        id => tree.nodes.find(id).unwrap_or(Slot::NONE),
    };
    // Who gets its stripes from several gets a parent as if it had none.
    let parent = member.parent().filter(|_| member.parents().len() == 1 && member.fed() == Stripes::ALL);
    let parent = parent.map_or(Slot::NONE, |id| find(tree, id));
    let backup = member.backup().map_or(Slot::NONE, |id| find(tree, id));
    let mut standby = [Slot::NONE; 2];
    let place = tree.nodes[slot].place;
    let above = if place == Place::NONE { None } else { tree.forest.parent(place) };
    let grandparent = above.and_then(|above| tree.feeder(above));
    let known: Vec<_> = member.standby().iter().map(|id| find(tree, *id)).collect();
    let first = usize::from(known.first().is_some_and(|first| Some(*first) != grandparent) && known.len() == 1);
    known.into_iter().zip(&mut standby[first..]).for_each(|(from, to)| *to = from);
    (tree.nodes[slot].parent, tree.nodes[slot].grandparent) = (parent, standby[0]);
    wiring.touch_as(tree, Touched { slot, backup, helper: standby[1] });
    backups::set(tree, slot, backup);
    let helper = standby[1];
    if !matches!(helper, Slot::NONE | Slot::SOURCE) && helpers::holds(tree, &Pairs::default(), helper, slot) {
        helpers::set(tree, slot, helper);
    }
    wiring.doubt(tree, slot);
}
