//! Who decides: the strategy can be replaced while the overlay runs, and one that fails is.

use peerstream_overlay::{Context, InBatches, LadderPolicy, Plan, TreeStrategy};
use peerstream_protocol::id::{NodeId, Stripes};
use peerstream_protocol::time::Micros;

use crate::coordinator::Coordinator;
use crate::io::Output;

/// Plans in a row that may be rejected before the strategy starts afresh.
const REJECTIONS_MAX: u32 = 3;
/// A strategy that has to start afresh again within this time is replaced.
const PROBATION: Micros = Micros::from_secs(60);

/// A strategy and what it is called.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) strategy: Box<dyn TreeStrategy + Send>,
}

/// A strategy that leaves a member without a parent for so long, and does not say that there is no place, starts afresh.
const NEGLECT_MAX: Micros = Micros::from_secs(5);

/// What a strategy would do if it took over now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Operations of its plan.
    pub ops: usize,
    /// Nodes that would have another parent.
    pub moves: usize,
}

/// Trouble with the strategy in the past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Trouble {
    /// Plans in a row with a rejected group.
    pub(crate) rejections: u32,
    restarted: Option<Micros>,
    /// A member that has no parent, and since when it is the first of those.
    neglected: Option<(NodeId, Micros)>,
}

impl Coordinator {
    /// What takes over when the strategy fails. Without one, a strategy that fails starts afresh each time.
    pub fn with_fallback(mut self, name: &str, strategy: Box<dyn TreeStrategy + Send>) -> Self {
        self.set_fallback(Some((name.to_owned(), strategy)));
        self
    }

    /// See [`Self::with_fallback`].
    pub fn set_fallback(&mut self, fallback: Option<(String, Box<dyn TreeStrategy + Send>)>) {
        self.fallback = fallback.map(|(name, strategy)| Named { name, strategy });
    }

    /// Lets a strategy take over a copy of the overlay and says what it would do, or why its plan would be rejected.
    pub fn try_strategy(&self, strategy: &mut dyn TreeStrategy) -> Result<Trial, String> {
        let mut topology = self.topology.clone();
        let mut plan = Plan::default();
        let now = Micros(self.wall_us());
        strategy.attach(&Context { topology: &topology, now, source: NodeId::SOURCE }, &mut plan);
        if let Some(why) = strategy.failure() {
            return Err(why);
        }
        for group in plan.groups() {
            topology.commit(group).map_err(|reject| format!("its plan would be rejected: {reject}"))?;
        }
        let parents = |topology: &peerstream_overlay::Topology, node| topology.get(node).map(|m| m.parents().to_vec());
        let moved = |node: &NodeId| parents(&topology, *node) != parents(&self.topology, *node);
        let moves = self.topology.iter().map(|(node, _)| node).filter(moved).count();
        Ok(Trial { ops: plan.groups().iter().map(|group| group.ops().len()).sum(), moves })
    }

    /// Another strategy takes over the overlay as it is. See [`Self::handle`] for `now`, and poll afterwards.
    pub fn switch_strategy(&mut self, now: Micros, name: &str, strategy: Box<dyn TreeStrategy + Send>) {
        self.now = self.now.max(now);
        self.config.strategy = name.to_owned();
        self.strategy = strategy;
        self.trouble = Trouble::default();
        if self.adoption.is_none() {
            self.attach_strategy();
        }
        self.handle(now, crate::io::Input::Tick);
    }

    /// Another ladder policy is asked from now on; its own one when none is given.
    pub fn switch_ladder(&mut self, policy: Option<Box<dyn LadderPolicy + Send>>) {
        self.ladder = policy.unwrap_or_else(|| Box::new(InBatches::default()));
    }

    /// A strategy that has failed is replaced; one whose plans are rejected starts afresh once before.
    pub(crate) fn mind_strategy(&mut self) {
        if let Some(why) = self.strategy.failure() {
            return self.replace_strategy(why);
        }
        if self.trouble.rejections >= REJECTIONS_MAX {
            self.restart_strategy("its plans are rejected again and again");
        } else if self.is_neglectful() {
            self.restart_strategy("it leaves members without a parent");
        }
    }

    /// Whether a member has been without a parent for long although the strategy does not say that there is no place.
    fn is_neglectful(&self) -> bool {
        self.trouble.neglected.is_some_and(|(_, since)| self.now.since(since) >= NEGLECT_MAX)
    }

    /// Looks for members that the strategy does not care for. Only one that can be replaced is watched like that.
    pub(crate) fn watch_neglect(&mut self) {
        if self.fallback.is_none() || self.adoption.is_some() {
            return;
        }
        let mut members = self.topology.iter().filter(|(node, _)| *node != NodeId::SOURCE);
        let first = members.find(|(_, member)| member.fed() != Stripes::ALL).map(|(node, _)| node);
        let first = first.filter(|_| self.strategy.waiting() == 0);
        self.trouble.neglected = first.map(|node| match self.trouble.neglected {
            Some((known, since)) if known == node => (node, since),
            _ => (node, self.now),
        });
    }

    fn restart_strategy(&mut self, why: &str) {
        let before = self.trouble.restarted.replace(self.now);
        (self.trouble.rejections, self.trouble.neglected) = (0, None);
        let again = before.is_some_and(|before| self.now.since(before) < PROBATION);
        if again && self.fallback.is_some() {
            return self.replace_strategy(why.to_owned());
        }
        self.counters.strategy_restarts += 1;
        self.attach_strategy();
    }

    fn replace_strategy(&mut self, why: String) {
        let Some(Named { name, strategy }) = self.fallback.take() else { return };
        self.counters.strategies_replaced += 1;
        let failed = std::mem::replace(&mut self.config.strategy, name);
        self.push(Output::StrategyReplaced { failed, by: self.config.strategy.clone(), why });
        self.strategy = strategy;
        self.trouble = Trouble::default();
        self.events.clear();
        self.attach_strategy();
    }
}
