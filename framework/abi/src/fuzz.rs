//! The body of the fuzz target: whatever a strategy writes, the overlay stays what it is meant to be.

use peerstream_overlay::{Member, Plan, Topology};
use peerstream_protocol::id::{NodeId, Stripes};
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
        let fed: usize = member.children().iter().map(|(_, stripes)| stripes.count()).sum();
        let most = (usize::from(member.capacity) + 1) * usize::from(Stripes::COUNT);
        assert!(fed <= most, "{node} has too many children");
        assert!(node == NodeId::SOURCE || !feeds_itself(&topology, node), "{node} is in a circle");
    }
    let mut mirror = Mirror::default();
    mirror.restore(&write_topology(&topology));
    assert_eq!(digest(mirror.topology()), digest(&topology));
}

fn feeds_itself(topology: &Topology, node: NodeId) -> bool {
    Stripes::each().any(|stripe| {
        let up = |at: NodeId| topology.get(at)?.parent_of(stripe);
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
