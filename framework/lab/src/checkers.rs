//! The overlay's properties P1 to P10, checked on a running world.
//!
//! | | says | looked at |
//! |---|---|---|
//! | P1 | when quiet, every node's links equal the overlay | once, at the end of the quiet time |
//! | P2 | whatever is lost, doubled or late, the last assignment is in force | the same |
//! | P3 | following the feeders ends at the source | each survey: every second |
//! | P4 | copies out are never more than capacity and one | each survey |
//! | P5 | a living feeder is not let go before another one feeds | each release, as it happens |
//! | P6 | who may ask somebody who has the stream (parent, backup, standbys) is fed within a second | four times a second |
//! | P7 | children older than their parent are few, weak ones aside | at the end of the quiet time |
//! | P8 | no level is deeper than the optimum and one | the same |
//! | P9 | moves per departure, and assignments per change, are few | at the end of the measured time |
//! | P10 | control connections that drop change nobody's name, and nobody is taken for dead | each survey after one dropped |
//!
//! A survey costs about a microsecond per node. P6 costs a comparison per node, and more only for those that starve.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use peerstream_coordinator::Overview;
use peerstream_node::Status;
use peerstream_protocol::id::{NodeId, Stripes};
use peerstream_protocol::time::Micros;

use crate::conductor::Conductor;
use crate::report::Check;
use crate::scenario::Bounds;
use crate::world::{ActorId, World};

/// What is said of each property in a report.
const STATEMENTS: [&str; 10] = [
    "when quiet, every node's links equal the overlay",
    "whatever is lost, doubled or late, the last assignment is in force",
    "following the feeders ends at the source",
    "copies out are never more than capacity and one",
    "a living feeder is not let go before another one feeds",
    "who has a living way to the source among its links is fed within a second",
    "children older than their parent are few",
    "no level is deeper than the optimum and the bound",
    "moves per departure, and assignments per change, are few",
    "control connections that drop change nobody's name",
];

/// Examples kept of each property's violations.
const EXAMPLES_MAX: usize = 8;
/// A circle of feeders is reported when data does not cure it within this time: `feeds_me` is a memory of up to a second.
const CIRCLE_MAX: Micros = Micros::from_millis(1_500);
/// A node that could be fed and is not is reported after this long.
const UNFED_MAX: Micros = Micros::from_secs(1);
/// Nodes are ordered by age among those that can relay, and of a newcomer that is known only once its uplink was measured: of
/// two that came within this time of each other the one that was measured first is the older one.
const MEASURED_WITHIN: Micros = Micros::from_secs(5);
/// A helper that got something within this time has a way to the source.
const HELPER_FED: Micros = Micros::from_millis(500);

/// One node, seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Who.
    pub id: ActorId,
    /// Children it offers to feed.
    pub capacity: u8,
    /// How it stands.
    pub status: Status,
}

/// All living nodes and the source, seen at one moment.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// When.
    pub now: Micros,
    /// Who, by number.
    pub nodes: Vec<Seen>,
    by_name: HashMap<NodeId, usize>,
}

impl Survey {
    /// Looks at everybody.
    pub fn of<C: Conductor>(world: &World<C>) -> Self {
        let everybody = std::iter::once(ActorId::SOURCE).chain(world.living());
        let seen = |id| Seen { id, capacity: world.actor(id).capacity, status: world.status(id) };
        Self::new(world.now(), everybody.map(seen).collect())
    }

    /// What was seen, of whomever.
    pub fn new(now: Micros, nodes: Vec<Seen>) -> Self {
        let named = nodes.iter().enumerate().filter_map(|(at, seen)| seen.status.node.map(|name| (name, at)));
        let by_name = named.collect();
        Self { now, nodes, by_name }
    }

    /// The node of that name.
    pub fn named(&self, name: NodeId) -> Option<&Seen> {
        self.by_name.get(&name).map(|at| &self.nodes[*at])
    }

    /// For each node how many hops its nearest way to a node without feeders is, which the source is; none for those that
    /// have only circles above them.
    pub fn hops(&self) -> Vec<Option<u32>> {
        self.hops_from(|seen| {
            let known = seen.status.feeders.iter().all(|feeder| self.by_name.contains_key(feeder));
            !known || seen.status.feeders.is_empty()
        })
    }

    /// The same to the source itself; none for those whose ways up all end before it, at a feeder that has gone.
    pub fn hops_to_source(&self) -> Vec<Option<u32>> {
        self.hops_from(|seen| seen.id == ActorId::SOURCE)
    }

    fn hops_from(&self, is_top: impl Fn(&Seen) -> bool) -> Vec<Option<u32>> {
        let mut hops = vec![None; self.nodes.len()];
        let mut below: Vec<(usize, usize)> = Vec::new();
        let mut reached = Vec::new();
        for (at, seen) in self.nodes.iter().enumerate() {
            let known = seen.status.feeders.iter().filter_map(|feeder| self.by_name.get(feeder));
            below.extend(known.map(|feeder| (*feeder, at)));
            if is_top(seen) {
                hops[at] = Some(0);
                reached.push(at);
            }
        }
        below.sort_unstable();
        let mut next = 0;
        while let Some(feeder) = reached.get(next).copied() {
            next += 1;
            let from = below.partition_point(|(above, _)| *above < feeder);
            for (_, node) in below[from..].iter().take_while(|(above, _)| *above == feeder) {
                if hops[*node].is_none() {
                    hops[*node] = hops[feeder].map(|hops: u32| hops + 1);
                    reached.push(*node);
                }
            }
        }
        hops
    }
}

/// Looks at a world now and then and remembers what was wrong.
#[derive(Debug)]
pub struct Checker {
    checks: [Check; 10],
    /// Nodes that followed their feeders in a circle, and since when.
    circles: BTreeMap<ActorId, Micros>,
    /// Nodes that could be fed and are not, since when, and whether that was reported.
    unfed: BTreeMap<ActorId, (Micros, bool)>,
    names: BTreeMap<ActorId, NodeId>,
    /// Control connections have dropped.
    control_dropped: bool,
}

impl Default for Checker {
    fn default() -> Self {
        let check = |at: usize| Check {
            name: format!("P{}", at + 1),
            statement: STATEMENTS[at].to_owned(),
            ..Check::default()
        };
        Self {
            checks: std::array::from_fn(check),
            circles: BTreeMap::new(),
            unfed: BTreeMap::new(),
            names: BTreeMap::new(),
            control_dropped: false,
        }
    }
}

impl Checker {
    /// Surveys a world and checks P3, P4 and P10.
    pub fn check<C: Conductor>(&mut self, world: &World<C>) {
        self.survey(&Survey::of(world));
    }

    /// What was found so far, as texts.
    pub fn violations(&self) -> Vec<String> {
        self.checks.iter().flat_map(|check| check.examples.clone()).collect()
    }

    /// What was found so far.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// From now on names must stay.
    pub fn on_control_dropped(&mut self) {
        self.control_dropped = true;
    }

    fn look(&mut self, property: usize, holds: bool, example: impl FnOnce() -> String) {
        let check = &mut self.checks[property - 1];
        check.looked += 1;
        if !holds {
            check.violations += 1;
            if check.examples.len() < EXAMPLES_MAX {
                check.examples.push(format!("P{property}: {}", example()));
            }
        }
    }

    /// P3, P4 and P10, for all that were seen.
    pub fn survey(&mut self, survey: &Survey) {
        let hops = survey.hops();
        for (seen, hops) in survey.nodes.iter().zip(hops) {
            let most = (usize::from(seen.capacity) + 1) * usize::from(Stripes::COUNT);
            self.look(4, seen.status.stripes_out <= most, || {
                format!("{:?} feeds {:?} at {:?}", seen.id, seen.status.fed, survey.now)
            });
            self.watch_circle(seen.id, hops.is_none(), survey.now);
            if self.control_dropped {
                let earlier = self.names.get(&seen.id).copied();
                let stays = earlier.is_none() || seen.status.node.is_none() || earlier == seen.status.node;
                self.look(10, stays, || {
                    format!("{:?} was {earlier:?} and is {:?} at {:?}", seen.id, seen.status.node, survey.now)
                });
            }
            if let Some(name) = seen.status.node {
                self.names.insert(seen.id, name);
            }
        }
    }

    fn watch_circle(&mut self, id: ActorId, circle: bool, now: Micros) {
        if !circle {
            self.circles.remove(&id);
            return self.look(3, true, String::new);
        }
        let since = *self.circles.entry(id).or_insert(now);
        let cured = now.since(since) <= CIRCLE_MAX;
        self.look(3, cured, || format!("{id:?} has been fed in a circle since {since:?}"));
        if !cured {
            self.circles.insert(id, now);
        }
    }

    /// P5, as the world counted it.
    pub fn releases(&mut self, releases: u64, early: u64, examples: &[String]) {
        let check = &mut self.checks[4];
        (check.looked, check.violations) = (releases, early);
        check.examples = examples.iter().map(|example| format!("P5: {example}")).collect();
    }

    /// P6: looks at those that get nothing although one of their links leads to somebody who does and could help.
    pub fn watch_starving<C: Conductor>(&mut self, world: &World<C>) {
        let now = world.now();
        let quiet = Micros(world.segment().0 * 2) + Micros::from_millis(200);
        for id in world.living() {
            let actor = world.actor(id);
            let received = &actor.received;
            let starves = received.first.is_some() && now.since(received.last_at) > quiet && !received.ended;
            // What is live is not shown to those who have gone back, so it is not known here whether they get it.
            if !starves || actor.replay.is_some() || actor.is_frozen(now) || !could_be_helped(world, id) {
                self.unfed.remove(&id);
                continue;
            }
            let (since, said) = *self.unfed.entry(id).or_insert((now, false));
            let overdue = now.since(since) > UNFED_MAX;
            if overdue && !said {
                self.unfed.insert(id, (since, true));
            }
            if !said {
                self.look(6, !overdue, || format!("{id:?} could be fed and is not since {since:?}"));
            }
        }
        self.unfed.retain(|id, _| world.actor(*id).is_alive());
    }

    /// What must hold when it has been quiet for long: P1, P2, P7, P8.
    pub fn quiet(&mut self, overview: &Overview, survey: &Survey, bounds: &Bounds) {
        let by_id: HashMap<NodeId, _> = overview.nodes.iter().map(|node| (node.id, node)).collect();
        let (mut pairs, mut inverted) = (0_u64, 0_u64);
        for node in overview.nodes.iter().filter(|node| node.id != NodeId::SOURCE) {
            let seen = survey.named(node.id).map(|seen| &seen.status);
            let feeders = seen.map(|status| status.feeders.clone()).unwrap_or_default();
            let fed: BTreeSet<_> = seen.into_iter().flat_map(|status| status.fed.iter().copied()).collect();
            let settled = node.confirmed && node.issued_parents == node.parents;
            let parents = node.parents.iter().copied().collect::<BTreeSet<_>>();
            let links = node.parent.is_some()
                && feeders.iter().copied().collect::<BTreeSet<_>>() == parents
                && fed == node.children.iter().copied().collect();
            self.look(1, settled && links, || format!("{node:?} is fed by {feeders:?} and feeds {fed:?}"));
            self.look(2, node.version == node.version_reported, || {
                format!("{} reported {} of {}", node.id, node.version_reported, node.version)
            });
            if let Some(parent) = node.parent.and_then(|parent| by_id.get(&parent)).filter(|p| p.id != NodeId::SOURCE) {
                pairs += u64::from(node.relay);
                inverted += u64::from(node.relay && node.age > parent.age + MEASURED_WITHIN);
            }
        }
        if pairs > 0 {
            let share = inverted as f64 / pairs as f64;
            self.look(7, share <= bounds.inverted, || format!("{inverted} of {pairs} children are older"));
        }
        let (deepest, optimum) = (overview.depth_max.saturating_sub(1), optimum(overview));
        self.look(8, deepest <= optimum + bounds.levels, || format!("level {deepest}, the optimum is {optimum}"));
    }

    /// P9, from counts over the measured time.
    pub fn moves(&mut self, per_departure: f64, assignments_per_change: f64, bounds: &Bounds) {
        let few = per_departure <= bounds.moves_per_departure && assignments_per_change <= bounds.assignments_per_move;
        self.look(9, few, || {
            format!("{per_departure:.2} moves per departure, {assignments_per_change:.1} assignments per change")
        });
    }
}

/// Whether one of a node's open links leads to somebody whom it may ask, who lives, is ahead, gets the stream and has a copy to
/// spare.
fn could_be_helped<C: Conductor>(world: &World<C>, id: ActorId) -> bool {
    let (now, next) = (world.now(), world.actor(id).received.next);
    let name = world.name(id);
    world.actor(id).open_links().any(|(other, _)| {
        let helper = world.actor(other);
        let fed = other == ActorId::SOURCE
            || (helper.received.next > next && now.since(helper.received.last_at) < HELPER_FED);
        if !helper.is_alive() || helper.is_frozen(now) || helper.flaw.mute || !fed || !world.may_ask(id, other) {
            return false;
        }
        let status = world.status(other);
        let free = status.relay
            && !status.weak_uplink
            && status.stripes_out <= usize::from(helper.capacity) * usize::from(Stripes::COUNT);
        free && name.is_none_or(|name| !status.feeders.contains(&name))
    })
}

/// The deepest level that these members need at least: those that relay first, weak ones as leaves; 0 is the roots.
pub fn optimum(overview: &Overview) -> u32 {
    let viewers = || overview.nodes.iter().filter(|node| node.id != NodeId::SOURCE);
    let weak = viewers().filter(|node| !node.relay || node.capacity < 2).count();
    optimum_of(viewers().count() - weak, weak)
}

fn optimum_of(mut relays: usize, mut weak: usize) -> u32 {
    let (mut level, mut places) = (0, 2_usize);
    loop {
        let inner = relays.min(places);
        let leaves = weak.min(places - inner);
        (relays, weak) = (relays - inner, weak - leaves);
        if relays + weak == 0 || inner == 0 {
            return level;
        }
        (level, places) = (level + 1, inner * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: u64, feeders: &[u64], fed: &[u64]) -> Seen {
        let names = |ids: &[u64]| ids.iter().map(|id| NodeId(*id)).collect();
        let stripes_out = fed.len() * usize::from(Stripes::COUNT);
        let (feeders, fed) = (names(feeders), names(fed));
        let status = Status { node: Some(NodeId(name)), feeders, fed, stripes_out, ..Status::default() };
        Seen { id: ActorId(name as usize), capacity: 2, status }
    }

    fn broken(checker: &Checker) -> Vec<&str> {
        checker.checks().iter().filter(|check| check.violations > 0).map(|check| check.name.as_str()).collect()
    }

    /// Surveys the same nodes at 0, 1 and 2 seconds.
    fn surveyed(nodes: &[Seen]) -> Checker {
        let mut checker = Checker::default();
        (0..3).for_each(|second| checker.survey(&Survey::new(Micros::from_secs(second), nodes.to_vec())));
        checker
    }

    #[test]
    fn a_tree_breaks_nothing() {
        let nodes = [seen(0, &[], &[1]), seen(1, &[0], &[2]), seen(2, &[1], &[])];
        assert!(broken(&surveyed(&nodes)).is_empty());
        assert_eq!(Survey::new(Micros(0), nodes.to_vec()).hops(), [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn who_is_below_a_node_that_has_gone_is_not_taken_for_a_root() {
        let survey = Survey::new(Micros(0), vec![seen(0, &[], &[]), seen(2, &[1], &[3]), seen(3, &[2], &[])]);
        assert_eq!(survey.hops(), [Some(0), Some(0), Some(1)]);
        assert_eq!(survey.hops_to_source(), [Some(0), None, None]);
    }

    #[test]
    fn a_lasting_circle_breaks_p3_and_a_short_one_does_not() {
        let circle = [seen(0, &[], &[]), seen(1, &[2], &[2]), seen(2, &[1], &[1])];
        assert_eq!(broken(&surveyed(&circle)), ["P3"]);
        let mut checker = Checker::default();
        checker.survey(&Survey::new(Micros(0), circle.to_vec()));
        checker.survey(&Survey::new(Micros::from_secs(1), vec![seen(0, &[], &[1]), seen(1, &[0], &[])]));
        assert!(broken(&checker).is_empty());
    }

    #[test]
    fn a_fourth_copy_breaks_p4() {
        assert_eq!(broken(&surveyed(&[seen(0, &[], &[1, 2, 3, 4])])), ["P4"]);
    }

    #[test]
    fn another_name_after_a_drop_breaks_p10_and_before_it_does_not() {
        let mut checker = Checker::default();
        let renamed = Seen { id: ActorId(1), ..seen(7, &[], &[]) };
        checker.survey(&Survey::new(Micros(0), vec![seen(1, &[], &[])]));
        checker.survey(&Survey::new(Micros(0), vec![renamed]));
        assert!(broken(&checker).is_empty());
        checker.on_control_dropped();
        checker.survey(&Survey::new(Micros(0), vec![seen(1, &[], &[])]));
        assert_eq!(broken(&checker), ["P10"]);
    }

    #[test]
    fn too_many_moves_break_p9() {
        let mut checker = Checker::default();
        checker.moves(0.5, 4.0, &Bounds::default());
        assert!(broken(&checker).is_empty());
        checker.moves(2.5, 4.0, &Bounds::default());
        assert_eq!(broken(&checker), ["P9"]);
    }

    /// A small broadcast that has become quiet, as its coordinator and its survey show it, after something was done to
    /// them; who is broken.
    fn quiet(spoil: impl FnOnce(&mut Overview, &mut Survey)) -> Vec<String> {
        let (_, cert) = crate::world::broadcast_keys();
        let strategy = Box::new(peerstream_dumbbell::Dumbbell::default());
        let conductor = crate::Coordinated::new(cert, peerstream_protocol::segment::Kind::Media, strategy);
        let network = crate::Network::default();
        let mut world = World::new(1, network, conductor, peerstream_protocol::segment::Kind::Media);
        world.run_until(Micros::from_millis(200));
        for _ in 0..8 {
            world.join(true);
            world.stream(Micros::from_secs(1), Micros::from_millis(200), 1_000, 5);
        }
        world.stream(Micros::from_secs(10), Micros::from_millis(200), 1_000, 5);
        let (mut overview, mut survey) = (world.conductor.overview(), Survey::of(&world));
        spoil(&mut overview, &mut survey);
        let mut checker = Checker::default();
        checker.quiet(&overview, &survey, &Bounds::default());
        broken(&checker).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn a_quiet_broadcast_breaks_nothing() {
        assert!(quiet(|_, _| {}).is_empty());
    }

    #[test]
    fn links_that_differ_from_the_overlay_break_p1() {
        assert_eq!(quiet(|overview, _| overview.nodes[3].confirmed = false), ["P1"]);
        assert_eq!(quiet(|_, survey| survey.nodes[3].status.feeders.push(NodeId(77))), ["P1"]);
        assert_eq!(quiet(|_, survey| survey.nodes[1].status.fed.clear()), ["P1"]);
    }

    #[test]
    fn an_assignment_that_never_arrived_breaks_p2() {
        assert_eq!(quiet(|overview, _| overview.nodes[3].version_reported -= 1), ["P2"]);
    }

    #[test]
    fn a_child_older_than_its_parent_breaks_p7() {
        assert_eq!(quiet(|overview, _| overview.nodes[7].age = Micros::from_secs(1_000)), ["P7"]);
    }

    #[test]
    fn which_of_two_newcomers_was_measured_first_is_no_matter_of_age() {
        let older_than_its_parent_by = |seconds| {
            quiet(|overview, _| {
                let parent = overview.nodes[7].parent;
                let parent = overview.nodes.iter().find(|node| Some(node.id) == parent).expect("it has one");
                overview.nodes[7].age = parent.age + Micros::from_secs(seconds);
            })
        };
        assert!(older_than_its_parent_by(5).is_empty());
        assert_eq!(older_than_its_parent_by(6), ["P7"]);
    }

    #[test]
    fn a_chain_breaks_p8() {
        assert_eq!(quiet(|overview, _| overview.depth_max = 8), ["P8"]);
    }

    /// 1 is fed by the source, 2 by 1; 3 is fed too, and 2 believes that 3 is its backup, which 3 is only when fed by a stranger.
    fn betrayed() -> World<crate::script::Script> {
        use peerstream_protocol::control::{Assignment, Edge, When};
        let (_, cert) = crate::world::broadcast_keys();
        let kind = peerstream_protocol::segment::Kind::Media;
        let script = crate::script::Script::new(cert, kind);
        let mut world = World::new(1, crate::Network::default(), script, kind);
        world.run_until(Micros::from_millis(200));
        for _ in 0..3 {
            world.join(true);
            world.run_until(world.now() + Micros::from_millis(200));
        }
        let edge = |id| Edge::now(NodeId(id));
        let of = |parents: &[u64], children: &[u64]| Assignment {
            parents: parents.iter().map(|id| edge(*id)).collect(),
            children: children.iter().map(|id| edge(*id)).collect(),
            ..Assignment::default()
        };
        world.conductor.assign(NodeId(0), of(&[], &[1, 3]));
        world.conductor.assign(NodeId(1), of(&[0], &[2]));
        let never = Edge { when: When::FedBy(NodeId(77)), ..edge(2) };
        world.conductor.assign(NodeId(3), Assignment { children: vec![never], ..of(&[0], &[]) });
        world.conductor.assign(NodeId(2), Assignment { backup: Some(edge(3)), ..of(&[1], &[]) });
        world
    }

    #[test]
    fn help_that_is_refused_breaks_p6() {
        let mut world = betrayed();
        let mut checker = Checker::default();
        let mut watch = |world: &mut World<_>, quarters: usize| {
            for _ in 0..quarters {
                world.stream(Micros::from_millis(250), Micros::from_millis(125), 1_000, 8);
                checker.watch_starving(world);
            }
            broken(&checker).len()
        };
        assert_eq!(watch(&mut world, 10), 0);
        world.kill(ActorId(1));
        assert_eq!(watch(&mut world, 10), 1);
        assert_eq!(broken(&checker), ["P6"]);
    }

    #[test]
    fn the_only_feeder_let_go_breaks_p5() {
        let mut world = betrayed();
        world.stream(Micros::from_secs(3), Micros::from_millis(100), 1_000, 10);
        assert_eq!(world.tally.releases_early, 0);
        world.release_everything(ActorId(2));
        let (tally, mut checker) = (world.tally, Checker::default());
        checker.releases(tally.releases, tally.releases_early, &world.early_releases);
        assert_eq!(broken(&checker), ["P5"]);
    }

    #[test]
    fn the_optimum_puts_those_that_relay_first() {
        for (relays, weak, level) in [(2, 0, 0), (3, 0, 1), (6, 0, 1), (7, 0, 2), (2, 4, 1), (1, 3, 1), (9_998, 2, 12)]
        {
            assert_eq!(optimum_of(relays, weak), level, "{relays} and {weak}");
        }
    }
}
