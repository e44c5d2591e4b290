//! The real coordinator, with a scripted strategy, as a part of a state.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use peerstream_coordinator::{Coordinator, Counters, Input, Output, Overview};
use peerstream_overlay::{Context, Event, Group, Plan, Topology, TreeStrategy};
use peerstream_protocol::id::{NodeId, Stripes};
use peerstream_protocol::time::Micros;

use crate::world::config;

/// Asks for what the scenario hands it; whoever has no parent goes to the highest place that is free. It remembers
/// nothing from one event to the next.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Option<Group>>>);

impl TreeStrategy for Script {
    fn attach(&mut self, _: &Context<'_>, _: &mut Plan) {}

    fn on_events(&mut self, context: &Context<'_>, _: &[Event], plan: &mut Plan) {
        let mut scratch = context.topology.clone();
        if let Some(group) = self.0.lock().unwrap().take().filter(|group| scratch.commit(group).is_ok()) {
            plan.push(group);
        }
        let lone = |(id, _): &(NodeId, _)| *id != NodeId::SOURCE && scratch.depth(*id).is_none();
        let orphans: Vec<_> = scratch.iter().filter(lone).map(|(id, _)| id).collect();
        for orphan in orphans {
            place(&mut scratch, orphan).into_iter().for_each(|group| plan.push(group));
        }
    }
}

fn place(scratch: &mut Topology, node: NodeId) -> Option<Group> {
    let mut anchored: Vec<_> = scratch.iter().filter_map(|(id, _)| Some((scratch.depth(id)?, id))).collect();
    anchored.sort();
    anchored.into_iter().find_map(|(_, parent)| {
        let mut group = Group::default();
        group.set_parent(node, Stripes::ALL, parent);
        scratch.commit(&group).is_ok().then_some(group)
    })
}

/// The coordinator. The lock is there because a strategy need not bear being looked at by several threads.
pub struct Host {
    coordinator: Mutex<Coordinator>,
    script: Script,
}

impl Host {
    pub fn new(now: Micros) -> Self {
        let script = Script::default();
        let coordinator = Mutex::new(Coordinator::new(config(), Box::new(script.clone()), now));
        Self { coordinator, script }
    }

    /// The group is asked for at the next event.
    pub fn script(&mut self, group: Group) {
        *self.script.0.lock().unwrap() = Some(group);
    }

    pub fn handle(&mut self, now: Micros, input: Input<'_>) -> Vec<Output> {
        let coordinator = self.coordinator.get_mut().unwrap();
        coordinator.handle(now, input);
        std::iter::from_fn(|| coordinator.poll()).collect()
    }

    pub fn overview(&self) -> Overview {
        self.coordinator.lock().unwrap().overview()
    }

    pub fn counters(&self) -> Counters {
        self.coordinator.lock().unwrap().counters()
    }
}

impl Clone for Host {
    fn clone(&self) -> Self {
        let script = Script::default();
        let coordinator = self.coordinator.lock().unwrap().fork(Box::new(script.clone()));
        Self { coordinator: Mutex::new(coordinator), script }
    }
}

impl Hash for Host {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.coordinator.lock().unwrap().fingerprint(state);
    }
}

impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        let fingerprint = |host: &Self| {
            let mut hasher = DefaultHasher::new();
            host.hash(&mut hasher);
            hasher.finish()
        };
        fingerprint(self) == fingerprint(other)
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.coordinator.lock().unwrap().fmt(f)
    }
}
