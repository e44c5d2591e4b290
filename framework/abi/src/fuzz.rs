//! The body of the fuzz target: whatever a strategy writes, the overlay stays what it is meant to be.

use peerstream_overlay::{Member, Plan, Topology};
use peerstream_protocol::id::NodeId;
use peerstream_protocol::time::Micros;

use crate::lane::{Mirror, digest, read_plan, write_topology};
use crate::record::read_ops;

/// Members of the overlay.
const MEMBERS: u64 = 24;

/// Reads bytes as a plan and commits it.
///
/// # Panics
/// Panics when a plan makes a circle or an overlay that a copy of it does not equal.
pub fn plan(bytes: &[u8]) {
    let mut topology = Topology::new(2);
    for name in 1..=MEMBERS {
        let member = Member::new((name % 4) as u8, name % 5 != 0, Micros(name));
        topology.insert(NodeId(name), member).expect("a name is given once");
    }
    let Some(ops) = read_ops(bytes) else { return };
    // Names near those that are there, so that plans get somewhere.
    let near = |name: u64| if name < 256 { name % (MEMBERS + 2) } else { name };
    let ops = ops.map(|mut op| {
        (op.node, op.target, op.second) = (near(op.node), near(op.target), near(op.second));
        op
    });
    let mut plan = Plan::default();
    if read_plan(ops, &mut plan).is_err() {
        return;
    }
    for group in plan.groups() {
        let _ = topology.commit(group);
    }
    for (node, member) in topology.iter() {
        assert!(member.children().len() <= usize::from(member.capacity) + 1, "{node} has too many children");
        assert!(
            node == NodeId::SOURCE || member.parent().is_none() || !feeds_itself(&topology, node),
            "{node} is in a circle"
        );
    }
    let mut mirror = Mirror::default();
    mirror.restore(&write_topology(&topology));
    assert_eq!(digest(mirror.topology()), digest(&topology));
}

fn feeds_itself(topology: &Topology, node: NodeId) -> bool {
    (0..8).map(|bit| 1_u8 << bit).any(|stripe| {
        let up = |at: NodeId| {
            let parents = topology.get(at)?.parents();
            parents.iter().find(|(_, fed)| fed.0 & stripe != 0).map(|(parent, _)| *parent)
        };
        let mut at = up(node);
        for _ in 0..=topology.len() {
            match at {
                None => return false,
                Some(here) if here == node => return true,
                Some(here) => at = up(here),
            }
        }
        true
    })
}
