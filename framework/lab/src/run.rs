//! Runs a scenario.

use std::cmp::Reverse;

use peerstream_coordinator::Limits;
use peerstream_node::{Input, Keeping};
use peerstream_overlay::TreeStrategy;
use peerstream_protocol::id::Term;
use peerstream_protocol::segment::Kind;
use peerstream_protocol::time::Micros;

use crate::audience::{Audience, bytes_per_second, seconds_to_micros};
use crate::chance::Chance;
use crate::checkers::{Checker, Survey};
use crate::coordinated::Coordinated;
use crate::data::Data;
use crate::measures::{Measures, RECOVERY, Vanished, snapshot};
use crate::network::{Network, from_ms};
use crate::past::Travellers;
use crate::queue::Queue;
use crate::report::{Report, SAMPLES_MAX};
use crate::scenario::{Arrivals, Fault, Problems, Scenario};
use crate::world::{ActorId, Broadcast, Departure, Flaw, Scale, World, broadcast_keys};

/// The source is there before anybody else.
const SOURCE_ALONE: Micros = Micros::from_secs(1);
/// All is surveyed this often.
const SURVEY: Micros = Micros::from_secs(1);
/// Those that starve are looked for this often.
const WATCH: Micros = Micros::from_millis(250);
/// The coordinator's whole view is taken this often, in surveys.
const OVERVIEW_EVERY: u64 = 10;
/// Fewer departures say nothing about the moves per departure.
const DEPARTURES_MIN: u64 = 100;
/// Viewers beyond those of the steady state that a coordinator admits.
const ROOM: usize = 4;
/// Those that go back in time come so long before the first one goes, within this long.
const LATE_BEFORE: Micros = Micros::from_secs(10);
const LATE_WITHIN: Micros = Micros::from_secs(5);
/// How far back a node keeps anything.
const KEPT_FOR: Micros = Micros::from_secs(86_400);
/// The players of those that have gone back play on this often.
const PLAY: Micros = Micros::from_millis(250);

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Share of the simulated time that is over.
    pub done: f64,
    /// Simulated seconds.
    pub simulated_s: f64,
    /// Viewers there.
    pub viewers: usize,
    /// Events carried out.
    pub events: u64,
}

/// What happens beside the nodes' own doing.
#[derive(Debug)]
enum Action {
    Produce,
    Survey,
    Watch,
    Arrive,
    Found(Option<Micros>),
    Depart(ActorId),
    Begin,
    Fault(usize),
    /// One viewer is struck by one of the faults that have begun.
    Spoil(ActorId, usize),
    ComeLate,
    GoBack(usize),
    PlayPast,
    Recovered(Box<Vanished>),
}

/// Runs a scenario with a strategy and reports; the same seed gives the same report.
///
/// `strategies` makes the coordinator's strategy, once, and anew for each coordinator that restarts. `progress` hears of
/// each simulated second.
///
/// Payloads are scaled down: a piece of 62 kB is a few dozen bytes in memory. The network, the credit of links and the
/// report go by the bytes they stand for; headers and control messages are real. Keys and signatures are real too, each
/// distinct message being checked once.
pub fn run(
    scenario: &Scenario,
    data: &Data,
    seed: u64,
    strategies: &mut dyn FnMut() -> Box<dyn TreeStrategy + Send>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Report, Problems> {
    scenario.validate()?;
    let mut run = Run::new(scenario, data, seed, strategies)?;
    run.go(progress);
    Ok(run.report(seed))
}

struct Run<'a> {
    scenario: &'a Scenario,
    strategies: &'a mut dyn FnMut() -> Box<dyn TreeStrategy + Send>,
    audience: Audience,
    chance: Chance,
    world: World<Coordinated>,
    actions: Queue<Action>,
    checker: Checker,
    measures: Measures,
    /// Bytes of payload that nodes see of a segment.
    payload: usize,
    begin: Micros,
    end: Micros,
    settled: Micros,
    /// What newcomers do wrong from now on: a share of them, with this uplink if any.
    flaws: Vec<(f64, Flaw, Option<u64>)>,
    travellers: Travellers,
    terms: u64,
    surveys: u64,
}

impl<'a> Run<'a> {
    fn new(
        scenario: &'a Scenario,
        data: &Data,
        seed: u64,
        strategies: &'a mut dyn FnMut() -> Box<dyn TreeStrategy + Send>,
    ) -> Result<Self, Problems> {
        let mut chance = Chance::new(seed);
        let audience = Audience::new(scenario, data, &mut chance)?;
        let strategy = strategies();
        let (_, cert) = broadcast_keys();
        let limits = limits(scenario, scale(scenario));
        let conductor = Coordinated::limited(limits, Term(1), cert, kind(scenario), strategy, Micros(0));
        let source = audience.source(&mut chance);
        let network = network(scenario, &audience, seed);
        let scale = scale(scenario);
        let mut world =
            World::of(seed, network, conductor, Broadcast { kind: kind(scenario), access: source, scale: Some(scale) });
        world.set_segment(Micros::from_millis(scenario.stream.segment_ms));
        let begin = SOURCE_ALONE + seconds_to_micros(scenario.warm_up_s);
        let end = begin + seconds_to_micros(scenario.minutes * 60.0);
        let settled = end + seconds_to_micros(scenario.settle_s);
        let stride = (settled.0 / 1_000_000 / SAMPLES_MAX as u64) + 1;
        let measures = Measures::new(stride);
        let mut run = Self {
            scenario,
            strategies,
            audience,
            chance,
            world,
            actions: Queue::default(),
            checker: Checker::default(),
            measures,
            payload: scale.payload(),
            begin,
            end,
            settled,
            flaws: Vec::new(),
            travellers: Travellers::default(),
            terms: 1,
            surveys: 0,
        };
        run.plan();
        Ok(run)
    }

    /// Puts down all that is known beforehand.
    fn plan(&mut self) {
        for action in [Action::Produce, Action::Survey, Action::Watch] {
            self.actions.push(SOURCE_ALONE, action);
        }
        self.actions.push(self.begin, Action::Begin);
        for (index, fault) in self.scenario.faults.iter().enumerate() {
            let at = match fault.at_s() {
                before if before < 0.0 => Micros(self.begin.since(seconds_to_micros(-before)).0.max(SOURCE_ALONE.0)),
                after => self.begin + seconds_to_micros(after),
            };
            self.actions.push(at, Action::Fault(index));
        }
        self.plan_past();
        match self.scenario.people.arrivals {
            Arrivals::Steady => self.plan_found(),
            Arrivals::Cold => self.next_arrival(SOURCE_ALONE),
            Arrivals::Flash { over_s } => {
                let viewers = self.scenario.viewers as u64;
                let apart = |n: u64| Micros(seconds_to_micros(over_s).0 * n / viewers);
                (0..viewers).for_each(|n| self.actions.push(self.begin + apart(n), Action::Found(None)));
                self.next_arrival(self.begin + seconds_to_micros(over_s));
            }
        }
    }

    /// Latecomers come, and go back.
    fn plan_past(&mut self) {
        let Some(past) = &self.scenario.past else { return };
        if past.archive_mbps > 0.0 {
            self.world.keep_archive(bytes_per_second(past.archive_mbps));
        }
        let begin = self.begin + seconds_to_micros(past.at_s);
        let apart = |span: Micros, n: usize| Micros(span.0 * n as u64 / past.viewers as u64);
        for n in 0..past.viewers {
            let comes = Micros(begin.0 - LATE_BEFORE.0 + apart(LATE_WITHIN, n).0);
            self.actions.push(comes, Action::ComeLate);
            self.actions.push(begin + apart(seconds_to_micros(past.over_s), n), Action::GoBack(n));
        }
        self.actions.push(begin, Action::PlayPast);
    }

    /// The audience of the steady state comes within the first half of the warm-up, the longest present first.
    fn plan_found(&mut self) {
        let mut found: Vec<_> = (0..self.scenario.viewers).map(|_| self.audience.found(&mut self.chance)).collect();
        found.sort_by_key(|(age, _)| Reverse(*age));
        let span = self.begin.since(SOURCE_ALONE).0 / 2;
        let count = found.len() as u64;
        for (n, (_, remains)) in found.into_iter().enumerate() {
            self.actions.push(SOURCE_ALONE + Micros(span * n as u64 / count), Action::Found(remains));
        }
        self.next_arrival(SOURCE_ALONE + Micros(span));
    }

    /// Newcomers are a Poisson process that keeps the audience at its size.
    fn next_arrival(&mut self, after: Micros) {
        let apart = self.audience.session_mean() / self.scenario.viewers as f64;
        let at = after + seconds_to_micros(apart * self.chance.exponential());
        if apart.is_finite() && at < self.end {
            self.actions.push(at, Action::Arrive);
        }
    }

    fn go(&mut self, progress: &mut dyn FnMut(&Progress)) {
        while let Some((at, action)) = self.actions.pop(self.settled) {
            self.world.run_until(at);
            if let Action::Survey = action {
                progress(&Progress {
                    done: at.0 as f64 / self.settled.0.max(1) as f64,
                    simulated_s: at.0 as f64 / 1e6,
                    viewers: self.world.living().count(),
                    events: self.world.tally.events,
                });
            }
            self.act(action);
        }
        self.world.run_until(self.settled);
    }

    fn act(&mut self, action: Action) {
        let now = self.world.now();
        match action {
            Action::Produce => {
                let stream = &self.scenario.stream;
                let join_point = stream.data || self.world.produced().is_multiple_of(stream.gop);
                self.world.produce(self.payload, join_point);
                self.actions.push(now + self.world.segment(), Action::Produce);
            }
            Action::Survey => {
                self.survey();
                self.actions.push(now + SURVEY, Action::Survey);
            }
            Action::Watch => {
                self.checker.watch_starving(&self.world);
                self.actions.push(now + WATCH, Action::Watch);
            }
            Action::Arrive => {
                let stays = self.audience.session(&mut self.chance);
                self.join(stays);
                self.next_arrival(now);
            }
            Action::Found(stays) => {
                let flash = matches!(self.scenario.people.arrivals, Arrivals::Flash { .. });
                let stays = if flash { self.audience.session(&mut self.chance) } else { stays };
                self.join(stays);
            }
            Action::Depart(id) => {
                let how = self.audience.departure(&mut self.chance);
                self.depart(id, how);
            }
            Action::Begin => self.measures.begin(&mut self.world),
            Action::ComeLate => {
                let id = self.join(None);
                self.travellers.come(id);
            }
            Action::GoBack(n) => {
                let behind_s = self.scenario.past.as_ref().map_or(0.0, |past| past.behind_s);
                self.travellers.go_back(&mut self.world, n, seconds_to_micros(behind_s));
            }
            Action::PlayPast => {
                self.world.play_past();
                if now < self.end {
                    self.actions.push(now + PLAY, Action::PlayPast);
                } else {
                    self.travellers.note(&self.world);
                }
            }
            Action::Fault(index) => self.fail(&self.scenario.faults[index]),
            Action::Spoil(id, index) => self.spoil(id, index),
            Action::Recovered(failure) => {
                let at_s = failure.at.since(self.begin).0 as f64 / 1e6;
                self.measures.on_recovered(&mut self.world, &failure, at_s);
            }
        }
    }

    fn survey(&mut self) {
        let survey = Survey::of(&self.world);
        self.checker.survey(&survey);
        let at_s = (self.world.now().0 as f64 - self.begin.0 as f64) / 1e6;
        self.measures.on_second(&mut self.world, &survey, at_s);
        if self.surveys.is_multiple_of(OVERVIEW_EVERY) {
            self.measures.on_overview(&self.world.conductor.overview());
        }
        self.surveys += 1;
    }

    fn join(&mut self, stays: Option<Micros>) -> ActorId {
        let mut newcomer = self.audience.viewer(&mut self.chance);
        let (mut flaw, mut flawed) = (Flaw::default(), false);
        for (share, of_some, uplink) in &self.flaws {
            if self.chance.happens(*share) {
                flaw = *of_some;
                flawed = true;
                newcomer.access.uplink = uplink.unwrap_or(newcomer.access.uplink);
            }
        }
        let id = self.world.join_as(newcomer);
        let actor = self.world.actor_mut(id);
        (actor.flaw, actor.flawed) = (flaw, flawed);
        actor.player.set_target(self.scenario.stream.playout_ms.map(from_ms));
        if let Some(past) = &self.scenario.past {
            let bytes_max = scale(self.scenario).seen((past.keep_mb * 1e6) as u64) as usize;
            let keeping = Keeping { bytes_max, span: KEPT_FOR, host: past.archive_mbps > 0.0 };
            self.world.tell(id, Input::Keeping(keeping));
        }
        self.measures.joined += 1;
        if let Some(leaves) = stays.map(|stays| self.world.now() + stays).filter(|leaves| *leaves < self.end) {
            self.actions.push(leaves, Action::Depart(id));
        }
        id
    }

    fn depart(&mut self, id: ActorId, how: Departure) {
        if self.world.actor(id).is_alive() {
            self.world.depart(id, how);
            self.measures.on_gone(&self.world, id);
            self.measures.departed += 1;
        }
    }

    // Faults.

    fn fail(&mut self, fault: &Fault) {
        match *fault {
            Fault::Vanish { share, .. } => self.vanish(share),
            Fault::Kill { viewer, .. } if viewer < self.world.actors() => {
                self.depart(ActorId(viewer), Departure::Closed);
            }
            Fault::Kill { .. } => {}
            Fault::ControlDrop { for_s, .. } => {
                self.checker.on_control_dropped();
                self.world.cut_control(seconds_to_micros(for_s));
            }
            Fault::CoordinatorRestart { for_s, .. } => self.restart_coordinator(seconds_to_micros(for_s)),
            Fault::Freeze { for_s, share, .. } => {
                for id in self.some(share) {
                    self.world.freeze(id, seconds_to_micros(for_s));
                }
            }
            Fault::OneWay { for_s, share, .. } => self.world.cut_one_way(share, seconds_to_micros(for_s)),
            Fault::Underperform { share, uplink_mbps, late_ms, over_s, .. } => {
                let flaw = Flaw { mute: false, late: from_ms(late_ms) };
                self.spoil_some(share, seconds_to_micros(over_s), (flaw, Some(bytes_per_second(uplink_mbps))));
            }
            Fault::Lie { share, .. } => {
                self.spoil_some(share, Micros(0), (Flaw { mute: true, ..Flaw::default() }, None));
            }
        }
    }

    /// This share of the viewers, drawn one by one.
    fn some(&mut self, share: f64) -> Vec<ActorId> {
        let living: Vec<_> = self.world.living().collect();
        living.into_iter().filter(|_| self.chance.happens(share)).collect()
    }

    fn vanish(&mut self, share: f64) {
        let gone = self.some(share);
        for id in &gone {
            self.depart(*id, Departure::Silent);
        }
        let survivors: Vec<_> = self.world.living().filter(|id| self.world.actor(*id).player.is_live()).collect();
        let at = self.world.now();
        for id in &survivors {
            let actor = self.world.actor_mut(*id);
            actor.player.mark();
            actor.received.mark(at);
        }
        let failure = Vanished { at, vanished: gone.len() as u64, survivors };
        let until = (at + RECOVERY).min(self.settled);
        self.actions.push(until, Action::Recovered(Box::new(failure)));
    }

    fn restart_coordinator(&mut self, span: Micros) {
        self.terms += 1;
        self.checker.on_control_dropped();
        let (_, cert) = broadcast_keys();
        let (strategy, now) = ((self.strategies)(), self.world.now());
        let term = Term(self.terms);
        let kind = kind(self.scenario);
        let limits = limits(self.scenario, scale(self.scenario));
        let next = Coordinated::limited(limits, term, cert, kind, strategy, now);
        self.world.replace_conductor(next, span);
    }

    /// This share of those who are there is spoilt within that time, and of the newcomers from now on.
    fn spoil_some(&mut self, share: f64, within: Micros, (flaw, uplink): (Flaw, Option<u64>)) {
        let index = self.flaws.len();
        self.flaws.push((share, flaw, uplink));
        let struck = self.some(share);
        let (now, count) = (self.world.now(), struck.len() as u64);
        for (n, id) in (0..).zip(struck) {
            match within {
                Micros(0) => self.spoil(id, index),
                within => self.actions.push(now + Micros(within.0 * n / count), Action::Spoil(id, index)),
            }
        }
    }

    fn spoil(&mut self, id: ActorId, index: usize) {
        let (_, flaw, uplink) = self.flaws[index];
        let actor = self.world.actor_mut(id);
        (actor.flaw, actor.flawed) = (flaw, true);
        actor.access.uplink = uplink.unwrap_or(actor.access.uplink);
    }

    // The report.

    fn report(mut self, seed: u64) -> Report {
        for id in self.world.living().collect::<Vec<_>>() {
            self.world.judge_overdue(id);
            self.measures.on_gone(&self.world, id);
        }
        let (survey, overview) = (Survey::of(&self.world), self.world.conductor.overview());
        let tree = self.measures.tree(&self.world, &overview);
        let bounds = &self.scenario.bounds;
        if self.scenario.settle_s > 0.0 {
            self.checker.quiet(&overview, &survey, bounds);
        }
        if tree.departures >= DEPARTURES_MIN {
            self.checker.moves(tree.moves_per_departure, tree.assignments_per_change, bounds);
        }
        let tally = self.world.tally;
        self.checker.releases(tally.releases, tally.releases_early, &self.world.early_releases);
        let [lag_ms, screen_lag_ms, startup_ms, longest_freeze_ms] = self.measures.distributions();
        Report {
            scenario: self.scenario.clone(),
            seed,
            trace: format!("{:016x}", tally.trace),
            events: tally.events,
            simulated_s: self.world.now().0 as f64 / 1e6,
            audience: self.measures.audience(),
            viewing: self.measures.viewing(),
            lag_ms,
            screen_lag_ms,
            levels: self.measures.levels(),
            startup_ms,
            longest_freeze_ms,
            recoveries: self.measures.recoveries.clone(),
            feeding: self.measures.feeding(&self.world),
            past: self.travellers.report(),
            uplinks: self.measures.uplinks(),
            tree,
            control: self.measures.control(&self.world),
            coordinator: overview.counters,
            checks: self.checker.checks().to_vec(),
            series: std::mem::take(&mut self.measures.series),
            snapshot: snapshot(&self.world, &survey, &overview),
        }
    }
}

/// Room for all that a scenario may bring.
fn scale(scenario: &Scenario) -> Scale {
    let pieces = scenario.stream.pieces;
    Scale { pieces, piece_bytes: scenario.stream.segment_bytes() / pieces as u64 }
}

fn limits(scenario: &Scenario, scale: Scale) -> Limits {
    let latecomers = scenario.past.as_ref().map_or(0, |past| past.viewers);
    let room = (scenario.viewers + latecomers) * ROOM + 1_000;
    let starters = scale.seen(bytes_per_second(scenario.network.starter_mbps));
    Limits {
        nodes_max: room,
        connections_max: room * 2,
        addresses_max: room * 2,
        starter_bytes_per_second: starters,
        ..Limits::default()
    }
}

fn kind(scenario: &Scenario) -> Kind {
    if scenario.stream.data { Kind::Data } else { Kind::Media }
}

fn network(scenario: &Scenario, audience: &Audience, seed: u64) -> Network {
    let network = &scenario.network;
    Network {
        paths: audience.paths(),
        networks: network.networks,
        jitter: from_ms(network.jitter_ms),
        loss: network.loss,
        control_round_trips: network.control_round_trips,
        setup_round_trips: network.setup_round_trips,
        unreachable: network.unreachable,
        first_frames_lost: network.first_frames_lost,
        control_lost: network.control.lost,
        control_doubled: network.control.doubled,
        control_late: from_ms(network.control.late_ms),
        seed,
    }
}
