//! The real coordinator and the real reconcilers as a model for the checker `stateright`.
//!
//! A state is the whole coordinator, the reconciler of every node, and what is under way between them. Links are
//! abstracted to what the reconciler knows of them; data has no volume, only a way it comes from. Nobody's clock runs
//! but the coordinator's, a second at a time.

mod host;
mod peer;
mod scenario;
mod state;

use std::collections::BTreeSet;
use std::sync::Arc;

use peerstream_protocol::id::NodeId;
use stateright::{Checker, HasDiscoveries, Model, Property};

pub use scenario::{Mutant, Scenario, Troubles};
use state::{CAPACITY, State};

/// After any loss, doubling and reordering everyone goes by the last assignment.
pub const LATEST: &str = "P2 everyone ends with the last assignment";
/// Whoever is fed is fed from the source; nobody feeds himself.
pub const NO_CYCLE: &str = "P3 the feeders of a node never form a circle";
/// No node that has lost nobody is ever without the stream.
pub const SOURCE_ABOVE: &str = "P3 kept feeders lead to the source";
pub const COPIES: &str = "P4 nobody sends more copies than its capacity and one";
pub const NOT_TORN: &str = "P5 no old parent goes before a new one feeds, but for releases two seconds late";
/// Quiet and delivered, links equal the overlay.
pub const DELIVERED: &str = "P1 links equal the overlay when all is quiet";
/// The scenario is not empty.
const REACHED: &str = "the plans are carried out";

/// A scenario as a model.
pub struct Overlay(Arc<Scenario>);

/// What can happen next.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Plan,
    Deliver {
        to: NodeId,
        which: usize,
    },
    DeliverTwice {
        to: NodeId,
        which: usize,
    },
    LoseAssignment {
        to: NodeId,
        which: usize,
    },
    Report(NodeId),
    ReportLate(NodeId),
    LoseReport(NodeId),
    DeliverReport(usize),
    Open(NodeId, NodeId),
    FailLink(NodeId, NodeId),
    Receive {
        from: NodeId,
        to: NodeId,
    },
    NewPiece {
        from: NodeId,
        to: NodeId,
    },
    Second,
    Cut(NodeId),
    Resume(NodeId),
    Join,
    Leave(NodeId),
    Die(NodeId),
    Notice {
        node: NodeId,
        gone: NodeId,
    },
    /// Everything has arrived; from here on nothing goes wrong, and time passes.
    Settle,
}

/// Where the whole is on its way.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Phase {
    Running(Box<State>),
    /// All is quiet.
    Settled {
        latest: bool,
        delivered: Result<(), String>,
    },
}

impl Phase {
    fn running(&self) -> Option<&State> {
        match self {
            Self::Running(state) => Some(state),
            Self::Settled { .. } => None,
        }
    }
}

impl Model for Overlay {
    type State = Phase;
    type Action = Action;

    fn init_states(&self) -> Vec<Phase> {
        vec![Phase::Running(Box::new(State::start(&self.0)))]
    }

    fn actions(&self, phase: &Phase, actions: &mut Vec<Action>) {
        let Phase::Running(state) = phase else { return };
        due(state, actions);
        if state.has_plan() {
            actions.push(Action::Plan);
        } else if actions.is_empty() {
            actions.push(Action::Settle);
        }
        troubles(state, actions);
    }

    fn next_state(&self, last: &Phase, action: Action) -> Option<Phase> {
        let Phase::Running(last) = last else { return None };
        let mut state = last.clone();
        if action == Action::Settle {
            let delivered = state.settle();
            return Some(Phase::Settled { latest: state.check_latest().is_ok(), delivered });
        }
        act(&mut state, action);
        Some(Phase::Running(state))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(LATEST, |_, phase| !matches!(phase, Phase::Settled { latest: false, .. })),
            Property::always(NO_CYCLE, |_, phase: &Phase| phase.running().is_none_or(has_no_cycle)),
            Property::always(COPIES, |_, phase: &Phase| phase.running().is_none_or(keeps_to_its_copies)),
            Property::always(NOT_TORN, |_, phase: &Phase| phase.running().is_none_or(is_not_torn)),
            Property::always(DELIVERED, |_, phase| !matches!(phase, Phase::Settled { delivered: Err(_), .. })),
            Property::sometimes(REACHED, |_, phase| matches!(phase, Phase::Settled { delivered: Ok(()), .. })),
        ];
        if self.0.troubles.deaths + self.0.troubles.leaves == 0 {
            properties.push(Property::always(SOURCE_ABOVE, |_, phase: &Phase| {
                phase.running().is_none_or(leads_to_the_source)
            }));
        }
        properties
    }
}

fn has_no_cycle(state: &State) -> bool {
    state.peers.keys().all(|node| !state.above(*node).contains(node))
}

fn leads_to_the_source(state: &State) -> bool {
    let fed = |node: &NodeId| state.peers[node].reconciler.feeders().any(|feeder| state.feeds(feeder, *node));
    state.peers.keys().all(|node| !fed(node) || state.has_data(*node))
}

fn keeps_to_its_copies(state: &State) -> bool {
    state.peers.values().all(|peer| peer.reconciler.fed().count() <= CAPACITY + 1)
}

fn is_not_torn(state: &State) -> bool {
    state.torn <= state.host.counters().releases_enforced
}

/// What happens sooner or later by itself.
fn due(state: &State, actions: &mut Vec<Action>) {
    let under_way = state.down.keys().map(|to| Action::Deliver { to: *to, which: 0 });
    actions.extend(under_way);
    actions.extend((0..state.late.len()).map(Action::DeliverReport));
    actions.extend(state.openable().into_iter().map(|(a, b)| Action::Open(a, b)));
    actions.extend(state.wire.keys().map(|(from, to)| Action::Receive { from: *from, to: *to }));
    for node in state.peers.keys().copied() {
        if state.news(node).is_some() {
            actions.push(Action::Report(node));
        }
        if state.peers[&node].conn.is_none() {
            actions.push(Action::Resume(node));
        }
        for other in state.everyone() {
            if state.can_confirm(other, node) {
                actions.push(Action::NewPiece { from: other, to: node });
            }
            if state.can_notice(node, other) {
                actions.push(Action::Notice { node, gone: other });
            }
        }
    }
}

/// What may go wrong, or come from outside, a few times.
fn troubles(state: &State, actions: &mut Vec<Action>) {
    let left = state.left;
    let when = |left: u8, action: Action| (left > 0).then_some(action);
    for (to, under_way) in &state.down {
        for which in 0..under_way.len() {
            let to = *to;
            actions.extend(when(left.lost, Action::LoseAssignment { to, which }));
            actions.extend(when(left.doubled, Action::DeliverTwice { to, which }));
            actions.extend(when(left.late, Action::Deliver { to, which }).filter(|_| which > 0));
        }
    }
    for (a, b) in state.openable() {
        actions.extend(when(left.failed_links, Action::FailLink(a, b)));
    }
    for node in state.peers.keys().copied() {
        if state.news(node).is_some() {
            actions.extend(when(left.late, Action::ReportLate(node)));
            actions.extend(when(left.lost, Action::LoseReport(node)));
        }
        if node == NodeId::SOURCE {
            continue;
        }
        if state.peers[&node].conn.is_some() {
            actions.extend(when(left.cut, Action::Cut(node)));
            actions.extend(when(left.leaves, Action::Leave(node)));
        }
        actions.extend(when(left.deaths, Action::Die(node)));
    }
    actions.extend(when(left.joins, Action::Join));
    actions.extend(when(left.seconds, Action::Second));
}

fn act(state: &mut State, action: Action) {
    match action {
        Action::Plan => state.next_plan(),
        Action::Deliver { to, which } => {
            state.left.late -= u8::from(which > 0);
            state.deliver(to, which, false);
        }
        Action::DeliverTwice { to, which } => {
            state.left.doubled -= 1;
            state.deliver(to, which, true);
        }
        Action::LoseAssignment { to, which } => {
            state.left.lost -= 1;
            state.lose_assignment(to, which);
        }
        Action::Report(node) => state.report(node),
        Action::ReportLate(node) => {
            state.left.late -= 1;
            state.report_late(node, true);
        }
        Action::LoseReport(node) => {
            state.left.lost -= 1;
            state.report_late(node, false);
        }
        Action::DeliverReport(which) => state.deliver_late(which),
        Action::Open(a, b) => state.open(a, b),
        Action::FailLink(a, b) => {
            state.left.failed_links -= 1;
            state.fail_link(a, b);
        }
        Action::Receive { from, to } => state.receive(from, to),
        Action::NewPiece { from, to } => state.confirm(from, to),
        Action::Second => {
            state.left.seconds -= 1;
            state.second();
        }
        Action::Cut(node) => {
            state.left.cut -= 1;
            state.cut(node);
        }
        Action::Resume(node) => state.resume(node),
        Action::Join => {
            state.left.joins -= 1;
            state.join();
        }
        Action::Leave(node) => {
            state.left.leaves -= 1;
            state.leave(node);
        }
        Action::Die(node) => {
            state.left.deaths -= 1;
            state.die(node);
        }
        Action::Notice { node, gone } => state.notice(node, gone),
        Action::Settle => unreachable!("settling is a state of its own"),
    }
}

/// Threads of one exploration.
const THREADS: usize = 2;

/// Explores everything; all properties must hold everywhere. Says how much that was.
pub fn explore(name: &str, scenario: Scenario) {
    let began = std::time::Instant::now();
    let checker = Overlay(Arc::new(scenario)).checker().threads(THREADS).spawn_bfs().join();
    let (states, steps, depth) = (checker.unique_state_count(), checker.state_count(), checker.max_depth());
    println!("{name}: {states} states, {steps} steps, depth {depth}, {:.1} s", began.elapsed().as_secs_f32());
    let mut found = checker.discoveries();
    assert!(found.remove(REACHED).is_some(), "{REACHED}");
    if let Some((property, path)) = found.into_iter().next() {
        let last = format!("{:#?}", path.last_state());
        panic!("{property}\n{:#?}\n{last}", path.into_actions());
    }
}

/// Explores until this property is seen broken, which it must be.
pub fn explore_until_broken(property: &'static str, scenario: Scenario) {
    let enough = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let checker = Overlay(Arc::new(scenario)).checker().threads(THREADS).finish_when(enough).spawn_bfs().join();
    let found = checker.discovery(property).map(|path| path.into_actions());
    println!("{property}: {found:?}");
    assert!(found.is_some(), "the checker finds no case where this fails: {property}");
}

/// The ways through the scenario in that many orders, and on each of them every death of one viewer at every step.
pub fn every_death(scenario: Scenario, orders: u64) {
    let troubles = Troubles { deaths: 1, ..scenario.troubles };
    let model = Overlay(Arc::new(Scenario { troubles, ..scenario }));
    for order in 0..orders {
        let mut chance = order;
        let mut phase = model.init_states().remove(0);
        while let Phase::Running(state) = &phase {
            for node in state.peers.keys().copied().filter(|node| *node != NodeId::SOURCE) {
                let without = model.next_state(&phase, Action::Die(node)).expect("it is alive");
                walk_on(&model, without, chance);
            }
            phase = step(&model, &phase, &mut chance);
        }
    }
}

fn walk_on(model: &Overlay, mut phase: Phase, mut chance: u64) {
    while phase.running().is_some() {
        phase = step(model, &phase, &mut chance);
    }
}

/// One of the things that can happen, other than a death, after which everything must hold.
fn step(model: &Overlay, phase: &Phase, chance: &mut u64) -> Phase {
    *chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let mut actions = Vec::new();
    model.actions(phase, &mut actions);
    actions.retain(|action| !matches!(action, Action::Die(_)));
    let action = actions.swap_remove((*chance >> 33) as usize % actions.len());
    let next = model.next_state(phase, action.clone()).expect("it is still running");
    for property in model.properties().into_iter().filter(|property| property.name != REACHED) {
        assert!((property.condition)(model, &next), "{} after {action:?}: {next:#?}", property.name);
    }
    next
}
