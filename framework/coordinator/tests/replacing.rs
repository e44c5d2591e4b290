//! A strategy is replaced while the overlay runs: by another one, or by its fallback when it fails.

mod world;

use peerstream_overlay::{Context, Event, Plan, TreeStrategy};
use peerstream_protocol::id::{NodeId, Stripes};

use crate::world::{World, config};

/// Everybody below whoever has room, nearest to the source first; in trouble once it has been asked often enough.
struct Level {
    trouble: Trouble,
    patience: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    None,
    Fails,
    PlansCycles,
}

impl Level {
    fn boxed(trouble: Trouble, patience: usize) -> Box<dyn TreeStrategy + Send> {
        Box::new(Self { trouble, patience })
    }

    fn is_in(&self, trouble: Trouble) -> bool {
        self.trouble == trouble && self.patience == 0
    }
}

impl TreeStrategy for Level {
    fn attach(&mut self, context: &Context<'_>, plan: &mut Plan) {
        self.on_events(context, &[], plan);
    }

    fn on_events(&mut self, context: &Context<'_>, _: &[Event], plan: &mut Plan) {
        self.patience = self.patience.saturating_sub(1);
        let mut scratch = context.topology.clone();
        let orphan = |node: &NodeId| *node != context.source && context.topology.depth(*node).is_none();
        for node in context.topology.iter().map(|(node, _)| node).filter(orphan) {
            let mut parents: Vec<_> = scratch.iter().filter_map(|(id, _)| Some((scratch.depth(id)?, id))).collect();
            parents.sort();
            if self.is_in(Trouble::PlansCycles) {
                parents = vec![(0, node)];
            }
            for (_, parent) in parents {
                let mut trial = Plan::default();
                trial.group().set_parent(node, Stripes::ALL, parent);
                if self.is_in(Trouble::PlansCycles) || scratch.commit(&trial.groups()[0]).is_ok() {
                    plan.push(trial.groups()[0].clone());
                    break;
                }
            }
        }
    }

    fn failure(&self) -> Option<String> {
        self.is_in(Trouble::Fails).then(|| "it has had enough".to_owned())
    }
}

fn world(strategy: Box<dyn TreeStrategy + Send>) -> World {
    let mut world = World::with(config(), 1, Some(strategy));
    world.coordinator = world.coordinator.with_fallback("steady", Level::boxed(Trouble::None, 0));
    world
}

/// Everybody has a way to the source, and the overlay is that of the strategy of this name.
#[track_caller]
fn check_reached(world: &World, strategy: &str) {
    let overview = world.coordinator.overview();
    assert_eq!(overview.strategy, strategy);
    assert_eq!((overview.without_parent, overview.waiting), (0, 0), "{overview:?}");
}

#[test]
fn a_strategy_that_fails_is_replaced_by_its_fallback_and_nobody_loses_a_parent() {
    let mut world = world(Level::boxed(Trouble::Fails, 25));
    for _ in 0..6 {
        world.join();
        world.run(1_000);
    }
    let before: Vec<_> = world.coordinator.overview().nodes.iter().map(|node| node.parent).collect();
    assert_eq!(world.coordinator.overview().strategy, "script");
    world.run(30_000);
    check_reached(&world, "steady");
    let after: Vec<_> = world.coordinator.overview().nodes.iter().map(|node| node.parent).collect();
    assert_eq!(after, before, "who is fed stays where it is");
    assert!(world.replaced[0].contains("it has had enough"), "{:?}", world.replaced);
    world.join();
    world.run(2_000);
    check_reached(&world, "steady");
}

#[test]
fn a_strategy_whose_plans_are_rejected_again_and_again_is_replaced() {
    let mut world = world(Level::boxed(Trouble::PlansCycles, 5));
    for _ in 0..4 {
        world.join();
        world.run(2_000);
    }
    world.run(10_000);
    check_reached(&world, "steady");
    assert!(world.replaced[0].contains("rejected"), "{:?}", world.replaced);
    assert_eq!(world.coordinator.overview().counters.strategies_replaced, 1);
}

#[test]
fn another_strategy_can_take_over_after_it_was_tried() {
    let mut world = world(Level::boxed(Trouble::None, 0));
    for _ in 0..6 {
        world.join();
    }
    world.run(2_000);
    let mut next = Level::boxed(Trouble::None, 0);
    let trial = world.coordinator.try_strategy(next.as_mut()).unwrap();
    assert_eq!((trial.ops, trial.moves), (0, 0));
    world.coordinator.switch_strategy(world.now, "next", next);
    world.join();
    world.run(2_000);
    check_reached(&world, "next");
}

#[test]
fn a_strategy_that_would_fail_is_not_let_near_the_overlay() {
    let mut world = world(Level::boxed(Trouble::None, 0));
    world.join();
    world.run(1_000);
    let why = world.coordinator.try_strategy(Level::boxed(Trouble::Fails, 1).as_mut()).unwrap_err();
    assert_eq!(why, "it has had enough");
    world.join();
    let cycles = world.coordinator.try_strategy(&mut Detaches).unwrap_err();
    assert!(cycles.contains("would be rejected"), "{cycles}");
    world.run(1_000);
    check_reached(&world, "script");
}

/// Puts everybody below themselves.
struct Detaches;

impl TreeStrategy for Detaches {
    fn attach(&mut self, context: &Context<'_>, plan: &mut Plan) {
        for (node, _) in context.topology.iter().filter(|(node, _)| *node != context.source) {
            plan.group().set_parent(node, Stripes::ALL, node);
        }
    }

    fn on_events(&mut self, _: &Context<'_>, _: &[Event], _: &mut Plan) {}
}

/// Takes no notice of anybody.
struct Absent;

impl TreeStrategy for Absent {
    fn attach(&mut self, _: &Context<'_>, _: &mut Plan) {}

    fn on_events(&mut self, _: &Context<'_>, _: &[Event], _: &mut Plan) {}
}

#[test]
fn a_strategy_that_leaves_members_without_a_parent_is_replaced() {
    let mut world = world(Box::new(Absent));
    world.join();
    world.run(4_000);
    assert_eq!(world.replaced, [""; 0]);
    world.run(12_000);
    check_reached(&world, "steady");
    assert_eq!(world.replaced, ["it leaves members without a parent"]);
}
