//! What has changed, as a plan.

use peerstream_sdk::overlay::{GROUP_OPS_MAX, Standbys};
use peerstream_sdk::prelude::*;

use crate::forest::Forest;
use crate::side::Side;

/// Edges to take away, two parents, a backup and the standbys.
const OPS_PER_NODE: usize = 5;

/// Adds what makes the edges of everybody who was touched what they shall be. One group, so that only the end has to be
/// valid; standbys, which can be told apart, get their own if there are too many.
pub(crate) fn plan(forest: &mut Forest, topology: &Topology, plan: &mut Plan) {
    let mut touched: Vec<_> = Side::BOTH.into_iter().flat_map(|side| forest[side].take_touched()).collect();
    touched.sort_unstable();
    touched.dedup();
    touched.retain(|id| forest.viewers.contains_key(id));
    let members = || touched.iter().filter_map(|id| Some((*id, topology.get(*id)?)));
    let mut group = Group::default();
    members().for_each(|(id, member)| feed(forest, id, member, &mut group));
    if touched.len() > GROUP_OPS_MAX / OPS_PER_NODE {
        plan.push(std::mem::take(&mut group));
    }
    members().for_each(|(id, member)| stand_by(forest, id, member, &mut group));
    if !group.ops().is_empty() {
        plan.push(group);
    }
}

/// Parents, and no backup: one would send what the node has from its other parent too.
fn feed(forest: &Forest, id: NodeId, member: &Member, group: &mut Group) {
    let cut = is_cut(forest, id, member);
    if cut {
        group.detach(id);
    } else if member.backup().is_some() {
        group.set_backup(id, None);
    }
    for side in Side::BOTH {
        let has = member.parent_of(side.stripe()).filter(|_| !cut);
        if let Some(parent) = forest[side].parent(id).filter(|parent| Some(*parent) != has) {
            group.set_parent(id, side.stripe(), parent);
        }
    }
}

/// For each half whoever feeds the parent, first for the half that others get from this node.
fn stand_by(forest: &Forest, id: NodeId, member: &Member, group: &mut Group) {
    let helpers = forest.homeward(id).into_iter().filter_map(|side| forest[side].helper(id));
    let wanted: Standbys = helpers.collect();
    let has = if is_cut(forest, id, member) { &[] } else { member.standby() };
    if has != &*wanted {
        group.set_standby(id, wanted.iter().copied());
    }
}

/// Whether it has a parent in a tree in which it shall have none: all its edges go, and those that shall be come back.
fn is_cut(forest: &Forest, id: NodeId, member: &Member) -> bool {
    let lost = |side: Side| member.parent_of(side.stripe()).is_some() && forest[side].parent(id).is_none();
    Side::BOTH.into_iter().any(lost)
}
