//! A strategy whose panic is no trouble but its own.

use std::sync::Mutex;

use peerstream_overlay::{Context, Event, Moved, Plan, TreeStrategy};
use peerstream_protocol::id::NodeId;
use peerstream_traits::PluginError;
use peerstream_traits::strategy::BoxedStrategy;

use crate::plugins::call_now;

/// Calls a strategy. After a panic it is not called again, and the coordinator puts another one in its place.
pub(crate) struct Guarded {
    strategy: BoxedStrategy,
    failure: Mutex<Option<String>>,
}

impl Guarded {
    pub(crate) fn boxed(strategy: BoxedStrategy) -> BoxedStrategy {
        Box::new(Self { strategy, failure: Mutex::default() })
    }

    /// Takes what the strategy plans, unless it panics.
    fn plan(&mut self, plan: &mut Plan, decide: impl FnOnce(&mut BoxedStrategy, &mut Plan)) {
        if self.failure.get_mut().expect("no holder panics").is_some() {
            return;
        }
        let mut planned = Plan::default();
        let strategy = &mut self.strategy;
        match call_now(|| decide(strategy, &mut planned)) {
            Ok(()) => *plan = planned,
            Err(panic) => self.fail(&panic),
        }
    }

    fn look<T: Default>(&self, look: impl FnOnce(&BoxedStrategy) -> T) -> T {
        call_now(|| look(&self.strategy)).unwrap_or_else(|panic| {
            self.fail(&panic);
            T::default()
        })
    }

    fn fail(&self, panic: &PluginError) {
        *self.failure.lock().expect("no holder panics") = Some(format!("it {}", panic.message));
    }
}

impl TreeStrategy for Guarded {
    fn attach(&mut self, context: &Context<'_>, plan: &mut Plan) {
        self.plan(plan, |strategy, plan| strategy.attach(context, plan));
    }

    fn on_events(&mut self, context: &Context<'_>, events: &[Event], plan: &mut Plan) {
        self.plan(plan, |strategy, plan| strategy.on_events(context, events, plan));
    }

    fn failure(&self) -> Option<String> {
        let failure = self.failure.lock().expect("no holder panics").clone();
        failure.or_else(|| self.strategy.failure())
    }

    fn wants_round_trips(&self) -> bool {
        self.look(|strategy| strategy.wants_round_trips())
    }

    fn moved(&self) -> Moved {
        self.look(|strategy| strategy.moved())
    }

    fn waiting(&self) -> usize {
        self.look(|strategy| strategy.waiting())
    }

    fn place(&self, node: NodeId) -> Option<String> {
        self.look(|strategy| strategy.place(node))
    }

    fn explain(&self, node: NodeId) -> Option<String> {
        self.look(|strategy| strategy.explain(node))
    }
}

#[cfg(test)]
mod tests {
    use peerstream_overlay::Topology;
    use peerstream_protocol::time::Micros;

    use super::*;

    struct Nervous;

    impl TreeStrategy for Nervous {
        fn attach(&mut self, _: &Context<'_>, plan: &mut Plan) {
            plan.group().detach(NodeId(1));
        }

        fn on_events(&mut self, _: &Context<'_>, events: &[Event], plan: &mut Plan) {
            plan.group().detach(NodeId(2));
            assert!(events.is_empty(), "too much");
        }
    }

    #[test]
    fn a_panic_ends_the_strategy_and_nothing_else() {
        let mut guarded = Guarded::boxed(Box::new(Nervous));
        let topology = Topology::new(2);
        let context = Context { topology: &topology, now: Micros(1), source: NodeId::SOURCE };
        let mut plan = Plan::default();
        guarded.attach(&context, &mut plan);
        assert_eq!((plan.groups().len(), guarded.failure()), (1, None));
        let mut plan = Plan::default();
        guarded.on_events(&context, &[Event::Tick], &mut plan);
        assert_eq!(guarded.failure().as_deref(), Some("it panicked: too much"));
        // A plan that was not finished is none.
        assert_eq!(plan, Plan::default());
        guarded.on_events(&context, &[], &mut plan);
        assert_eq!(plan, Plan::default());
    }
}
