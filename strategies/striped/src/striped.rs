//! The strategy: answers what happens with moves in the two trees.

use std::collections::BTreeMap;

use peerstream_sdk::overlay::Moved;
use peerstream_sdk::prelude::*;

use crate::adopt;
use crate::edges;
use crate::explain;
use crate::forest::{Forest, Viewer, ability, source_room};
use crate::side::Side;
use crate::tree::Spot;

/// One that served badly feeds nobody for so long.
const DEMOTED_FOR: Micros = Micros::from_secs(120);

/// Two trees, one for each half of the segments.
#[derive(Clone, Debug)]
pub struct Striped {
    forest: Forest,
    /// What the source could feed in each tree when the trees were begun.
    source_room: usize,
    /// Since when who feeds nobody because it served badly.
    demoted: BTreeMap<NodeId, Micros>,
}

impl Default for Striped {
    /// A strategy for an empty overlay; [`TreeStrategy::attach`] takes over one that runs.
    fn default() -> Self {
        Self { forest: Forest::new(0), source_room: 0, demoted: BTreeMap::new() }
    }
}

impl Striped {
    /// Pairs that cannot connect and were not remembered because there were too many.
    pub fn pairs_dropped(&self) -> u64 {
        self.forest.pairs.dropped()
    }

    /// Starts from the topology as it is.
    fn start(&mut self, context: &Context<'_>, plan: &mut Plan) {
        self.source_room = source_room(context.topology);
        let before = std::mem::replace(&mut self.forest, Forest::new(self.source_room));
        (self.forest.pairs, self.forest.moves) = (before.pairs, before.moves);
        self.demoted.clear();
        adopt::adopt(&mut self.forest, context.topology);
        self.forest.relieve();
        edges::plan(&mut self.forest, context.topology, plan);
    }

    /// All who leave, or feed no more, are taken out, and then what they leave behind is closed: nobody is moved below
    /// somebody who is about to go.
    fn on_gone(&mut self, topology: &Topology, events: &[Event]) {
        for event in events {
            match event {
                Event::Left(node) => {
                    self.demoted.remove(node);
                    self.forest.leave(*node);
                }
                Event::Changed(node) => self.on_less(topology, *node),
                _ => {}
            }
        }
        self.forest.close();
    }

    /// A viewer can feed fewer than before, or none.
    fn on_less(&mut self, topology: &Topology, node: NodeId) {
        let (Some(member), Some(viewer)) = (topology.get(node), self.forest.viewers.get_mut(&node)) else { return };
        (viewer.able, viewer.extra_room) = ability(member);
        let Viewer { able, extra_room, home, .. } = *viewer;
        let Some(side) = home else { return };
        if !able {
            self.forest.step_down(node);
        } else if let Some(Spot::At(place)) = self.forest[side].spot(node) {
            let surplus = self.forest[side].set_feeding(place, true, extra_room);
            self.forest.adrift[side as usize].extend(surplus);
        }
    }

    fn on_joined(&mut self, topology: &Topology, node: NodeId) {
        let Some(member) = topology.get(node).filter(|_| node != NodeId::SOURCE) else { return };
        self.forest.viewers.entry(node).or_insert_with(|| Viewer::new(member));
        self.forest.settle(node);
    }

    /// A viewer that can feed others feeds again if it did not.
    fn restore(&mut self, node: NodeId) {
        self.demoted.remove(&node);
        self.forest.settle(node);
    }

    /// One that feeds others becomes a leaf of both trees, if there is room for those whom it fed.
    fn on_underperforms(&mut self, node: NodeId, now: Micros) {
        let Some(side) = self.forest.viewers.get(&node).and_then(|viewer| viewer.home) else { return };
        let (tree, fed) = (&self.forest[side], self.forest[side].fed_by(node));
        if fed == 0 || tree.open.len() + tree.roomy.len() < fed + 2 {
            return;
        }
        self.forest.step_down(node);
        self.forest.close();
        self.demoted.insert(node, now);
    }

    /// A pair that cannot connect: the child goes elsewhere.
    fn on_link_failed(&mut self, a: NodeId, b: NodeId, now: Micros) {
        self.forest.pairs.insert(a, b, now);
        for (side, (child, parent)) in Side::BOTH.into_iter().flat_map(|side| [(side, (a, b)), (side, (b, a))]) {
            if self.forest[side].parent(child) == Some(parent) {
                self.forest.move_away(side, child);
            }
        }
        self.forest.close();
    }

    fn on_tick(&mut self, now: Micros) {
        self.forest.pairs.forget_old(now);
        let over = |(node, since): (&NodeId, &Micros)| (now.since(*since) >= DEMOTED_FOR).then_some(*node);
        let over: Vec<_> = self.demoted.iter().filter_map(over).collect();
        over.into_iter().for_each(|node| self.restore(node));
        self.forest.tidy();
    }

    /// Places for those who wait, if need be from those who served badly.
    fn seat_waiting(&mut self) {
        self.forest.relieve();
        while self.forest.waiting() > 0 {
            let Some(node) = self.demoted.keys().next().copied() else { return };
            self.restore(node);
            self.forest.relieve();
        }
    }
}

impl Plugin for Striped {
    const NAME: &'static str = "striped";
    const SUMMARY: &'static str =
        "two trees, one for each half of the segments: everybody uploads about what they watch";
    type Config = NoOptions;

    fn build(_: NoOptions, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self::default())
    }
}

impl TreeStrategy for Striped {
    fn attach(&mut self, context: &Context<'_>, plan: &mut Plan) {
        *self = Self::default();
        self.start(context, plan);
    }

    fn on_events(&mut self, context: &Context<'_>, events: &[Event], plan: &mut Plan) {
        let rejected = events.iter().any(|event| matches!(event, Event::Rejected { .. }));
        if rejected || source_room(context.topology) != self.source_room {
            return self.start(context, plan);
        }
        self.on_gone(context.topology, events);
        for event in events {
            match *event {
                Event::Joined(node) => self.on_joined(context.topology, node),
                Event::Changed(node) => self.restore(node),
                Event::Underperforms(node) => self.on_underperforms(node, context.now),
                Event::LinkFailed { a, b } => self.on_link_failed(a, b, context.now),
                Event::Tick => self.on_tick(context.now),
                _ => {}
            }
        }
        self.seat_waiting();
        edges::plan(&mut self.forest, context.topology, plan);
    }

    fn waiting(&self) -> usize {
        self.forest.waiting()
    }

    fn moved(&self) -> Moved {
        Moved { all: self.forest.moves, to_optimise: 0 }
    }

    fn place(&self, node: NodeId) -> Option<String> {
        self.forest.viewers.get(&node).map(|_| explain::name(&self.forest, node))
    }

    fn explain(&self, node: NodeId) -> Option<String> {
        explain::story(&self.forest, node)
    }
}
