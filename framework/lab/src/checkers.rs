//! The overlay's properties, checked on a running world. Named as in the design: P1..P6.

use std::collections::{BTreeMap, BTreeSet};

use peerstream_protocol::id::NodeId;
use peerstream_protocol::time::Micros;

use crate::conductor::Conductor;
use crate::world::{ActorId, World};

/// Looks at a world now and then and remembers what was wrong.
#[derive(Debug, Default)]
pub struct Checker {
    /// Nodes that followed their feeders in a circle, and since when.
    circles: BTreeMap<ActorId, Micros>,
    /// What was found.
    pub violations: Vec<String>,
}

/// A circle of feeders is reported when data does not cure it within this time: `feeds_me` is a memory of up to a second.
const CIRCLE_MAX: Micros = Micros::from_millis(1_500);

impl Checker {
    /// P3 (following the feeders ends at the source) and P4 (copies out), for all living nodes.
    pub fn check<C: Conductor>(&mut self, world: &World<C>) {
        let feeders: BTreeMap<NodeId, Vec<NodeId>> = world
            .living()
            .filter_map(|id| {
                let status = world.status(id);
                status.node.map(|node| (node, status.feeders))
            })
            .collect();
        for id in world.living() {
            let status = world.status(id);
            if status.fed.len() > 3 {
                self.violations.push(format!("P4: {id:?} feeds {:?} at {:?}", status.fed, world.now()));
            }
            let Some(node) = status.node else { continue };
            match only_circles(node, &feeders) {
                true => self.note_circle(id, world.now()),
                false => {
                    self.circles.remove(&id);
                }
            }
        }
    }

    fn note_circle(&mut self, id: ActorId, now: Micros) {
        let since = *self.circles.entry(id).or_insert(now);
        if now.since(since) > CIRCLE_MAX {
            self.violations.push(format!("P3: {id:?} has been fed in a circle since {since:?}"));
            self.circles.insert(id, now);
        }
    }
}

/// Whether every way up from a node comes back to itself.
fn only_circles(node: NodeId, feeders: &BTreeMap<NodeId, Vec<NodeId>>) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = vec![node];
    let mut circle = false;
    while let Some(at) = next.pop() {
        let Some(up) = feeders.get(&at) else { return false };
        if up.is_empty() {
            return false;
        }
        for feeder in up {
            circle |= *feeder == node;
            if seen.insert(*feeder) {
                next.push(*feeder);
            }
        }
    }
    circle
}
