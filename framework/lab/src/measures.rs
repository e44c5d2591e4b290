//! What is measured as a run goes on, second by second.

use std::collections::BTreeMap;

use peerstream_coordinator::{Counters, Overview};
use peerstream_protocol::id::{NodeId, Stripes};
use peerstream_protocol::time::Micros;

use crate::checkers::{Survey, optimum};
use crate::coordinated::Coordinated;
use crate::quantiles::Distribution;
use crate::report::{
    Audience, ControlLoad, Feeding, Level, Recovery, SAMPLES_MAX, SNAPSHOT_MAX, Sample, Tree, TreeNode, Uplinks,
    Viewing,
};
use crate::world::{ActorId, Tally, World};

/// Tenths of a copy told apart.
const COPIES_TENTHS: usize = 64;
/// A viewer that got nothing within this time had its chance.
const NEVER_STARTED: Micros = Micros::from_secs(10);
/// How long survivors of a mass failure are watched.
pub(crate) const RECOVERY: Micros = Micros::from_secs(30);
/// A survivor that got nothing for this long at the end of that has not recovered.
const NOT_FED: Micros = Micros::from_secs(2);

/// The counts at the beginning of a span.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    at: Micros,
    tally: Tally,
    counters: Counters,
    source_sent: u64,
    produced: u64,
    due: u64,
    lost: u64,
    joined: u64,
    departed: u64,
}

/// A mass failure that is being watched.
#[derive(Debug)]
pub(crate) struct Vanished {
    pub(crate) at: Micros,
    pub(crate) vanished: u64,
    pub(crate) survivors: Vec<ActorId>,
}

/// All that is measured.
#[derive(Debug, Default)]
pub(crate) struct Measures {
    begun: Mark,
    last: Mark,
    pub(crate) joined: u64,
    pub(crate) departed: u64,
    peak: u64,
    /// Viewing of those who have left.
    gone: Viewing,
    longest_freeze_ms: Distribution,
    startup_ms: Distribution,
    screen_lag_ms: Distribution,
    lags: Vec<Distribution>,
    levels: Vec<u64>,
    surveys: u64,
    without_backup: (u64, u64),
    propagation_ms: Distribution,
    unicast_ms: Distribution,
    uplink_use: Distribution,
    queue_ms: Distribution,
    copies_tenths: Vec<u64>,
    takeovers: u64,
    viewer_seconds: u64,
    never_started: u64,
    refused: u64,
    /// What each viewer had counted when last seen.
    counted: Vec<Counted>,
    shared_percent: Distribution,
    pub(crate) series: Vec<Sample>,
    pub(crate) recoveries: Vec<Recovery>,
    measuring: bool,
    /// Seconds per sample of the series.
    stride: u64,
}

/// What a viewer had counted when last seen.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    /// Bytes on its line.
    sent: u64,
    takeovers: u64,
    payload_sent: u64,
    /// Payload received, repeats aside.
    payload_new: u64,
}

/// Who watched for less than this shared nothing to speak of.
const SHARED_AFTER_MS: f64 = 60_000.0;

impl Measures {
    /// Nothing measured yet; the series will have an entry for so many seconds.
    pub(crate) fn new(stride: u64) -> Self {
        Self { stride, ..Self::default() }
    }

    fn mark(&self, world: &World<Coordinated>) -> Mark {
        let source = world.status(ActorId::SOURCE).counters;
        Mark {
            at: world.now(),
            tally: world.tally,
            counters: world.conductor.counters(),
            source_sent: source.payload_sent,
            produced: source.produced,
            due: 0,
            lost: 0,
            joined: self.joined,
            departed: self.departed,
        }
    }

    /// The warm-up is over: what counts begins now.
    pub(crate) fn begin(&mut self, world: &mut World<Coordinated>) {
        self.begun = self.mark(world);
        self.measuring = true;
        let now = world.now();
        (self.gone, self.longest_freeze_ms, self.startup_ms) = Default::default();
        self.never_started = 0;
        for id in world.living().collect::<Vec<_>>() {
            world.actor_mut(id).player.measure_from(now);
        }
        self.peak = 0;
    }

    /// A viewer goes: what it saw is counted. It must have been told to judge what was overdue.
    pub(crate) fn on_gone(&mut self, world: &World<Coordinated>, id: ActorId) {
        let actor = world.actor(id);
        let (player, received) = (&actor.player, &actor.received);
        let segment_ms = world.segment().0 as f64 / 1e3;
        self.refused += u64::from(received.refusals);
        if received.first.is_none() {
            self.never_started += u64::from(world.now().since(actor.joined) >= NEVER_STARTED);
            return;
        }
        self.startup_ms.add(received.first_at.since(actor.joined).0 as f64 / 1e3);
        self.longest_freeze_ms.add(player.longest_freeze as f64 * segment_ms);
        if player.due as f64 * segment_ms >= SHARED_AFTER_MS {
            let Counted { payload_sent, payload_new, .. } = self.counted.get(id.0).copied().unwrap_or_default();
            self.shared_percent.add(ratio(payload_sent as f64 * 100.0, payload_new as f64));
        }
        let gone = &mut self.gone;
        gone.viewers += 1;
        gone.watched_s += player.due as f64 * segment_ms / 1e3;
        gone.lost_s += player.lost as f64 * segment_ms / 1e3;
        gone.settled_watched_s += player.settled.0 as f64 * segment_ms / 1e3;
        gone.settled_lost_s += player.settled.1 as f64 * segment_ms / 1e3;
        if !actor.flawed {
            gone.good_watched_s += player.due as f64 * segment_ms / 1e3;
            gone.good_lost_s += player.lost as f64 * segment_ms / 1e3;
        }
        gone.freezes += u64::from(player.freezes);
        gone.viewers_with_freeze += u64::from(player.freezes > 0);
        gone.viewers_with_freeze_over_1s += u64::from(player.longest_freeze as f64 * segment_ms > 1_000.0);
        gone.segments_lost_for_good += received.skipped;
    }

    /// A second has passed.
    pub(crate) fn on_second(&mut self, world: &mut World<Coordinated>, survey: &Survey, at_s: f64) {
        let hops = survey.hops_to_source();
        let mut sample = Sample { at_s, ..Sample::default() };
        let mut lost = (self.gone_segments(world), 0);
        let (mut level_sum, mut fed, mut use_sum, mut relays) = (0_u64, 0_u64, 0.0, 0_u64);
        self.counted.resize(world.actors(), Counted::default());
        for (seen, hops) in survey.nodes.iter().zip(hops).filter(|(seen, _)| seen.id != ActorId::SOURCE) {
            let id = seen.id;
            world.judge_overdue(id);
            let actor = world.actor_mut(id);
            actor.player.set_hop(seen.status.hop);
            sample.viewers += 1;
            sample.playing += u32::from(actor.player.is_live());
            lost.0.0 += actor.player.due;
            lost.0.1 += actor.player.lost;
            lost.1 += actor.received.skipped;
            if let (Some(hops), false) = (hops.filter(|hops| *hops > 0), seen.status.feeders.is_empty()) {
                actor.level = (hops - 1).min(250) as u8;
                level_sum += u64::from(hops - 1);
                fed += 1;
                sample.level_max = sample.level_max.max(hops - 1);
                if self.measuring {
                    let level = usize::from(actor.level);
                    self.levels.resize(self.levels.len().max(level + 1), 0);
                    self.levels[level] += 1;
                }
            }
            let counters = &seen.status.counters;
            let (sent, takeovers) = (actor.sent, counters.takeovers);
            let payload_new = counters.payload_received - counters.payload_repeated;
            let counted = Counted { sent, takeovers, payload_sent: counters.payload_sent, payload_new };
            let before = std::mem::replace(&mut self.counted[id.0], counted);
            let queue = std::mem::take(&mut actor.queued_max);
            let (uplink, delay) = (actor.access.uplink, actor.player.delay);
            if seen.status.relay {
                relays += 1;
                use_sum += (sent - before.sent) as f64 * 100.0 / uplink as f64;
            }
            if self.measuring {
                self.takeovers += takeovers.saturating_sub(before.takeovers);
                delay.into_iter().for_each(|delay| self.screen_lag_ms.add(delay.0 as f64 / 1e3));
                if seen.status.relay {
                    self.note_uplink(world, sent - before.sent, uplink, queue);
                }
            }
        }
        self.peak = self.peak.max(u64::from(sample.viewers));
        self.viewer_seconds += u64::from(sample.viewers) * u64::from(self.measuring);
        self.surveys += u64::from(self.measuring);
        self.note_ways(world, survey);
        self.note_lags(world, &mut sample);
        sample.level_mean = ratio(level_sum as f64, fed as f64) as f32;
        sample.uplink_percent = ratio(use_sum, relays as f64) as f32;
        self.close_sample(world, sample, lost.0);
    }

    /// How long the ways from the source are, along the overlay and directly.
    fn note_ways(&mut self, world: &World<Coordinated>, survey: &Survey) {
        if !self.measuring {
            return;
        }
        for stripe in world.conductor.trees() {
            self.note_ways_of(stripe, world, survey);
        }
    }

    fn note_ways_of(&mut self, stripe: Stripes, world: &World<Coordinated>, survey: &Survey) {
        let mut below: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        world.conductor.parents(stripe).for_each(|(node, parent)| below.entry(parent).or_default().push(node));
        let mut reached = vec![(NodeId::SOURCE, ActorId::SOURCE, Micros(0))];
        while let Some((name, id, lag)) = reached.pop() {
            if id != ActorId::SOURCE {
                self.propagation_ms.add(lag.0 as f64 / 1e3);
                self.unicast_ms.add(world.one_way(ActorId::SOURCE, id).0 as f64 / 1e3);
            }
            for child in below.remove(&name).unwrap_or_default() {
                let Some(seen) = survey.named(child) else { continue };
                reached.push((child, seen.id, lag + world.one_way(id, seen.id)));
            }
        }
    }

    fn gone_segments(&self, world: &World<Coordinated>) -> (u64, u64) {
        let segment_s = world.segment().0 as f64 / 1e6;
        ((self.gone.watched_s / segment_s).round() as u64, (self.gone.lost_s / segment_s).round() as u64)
    }

    fn note_uplink(&mut self, world: &World<Coordinated>, sent: u64, uplink: u64, queue: Micros) {
        self.uplink_use.add(sent as f64 * 100.0 / uplink as f64);
        self.queue_ms.add(queue.0 as f64 / 1e3);
        let stream = world.stream_bytes_per_second().max(1.0);
        let tenths = ((sent as f64 * 10.0 / stream) as usize).min(COPIES_TENTHS - 1);
        self.copies_tenths.resize(self.copies_tenths.len().max(tenths + 1), 0);
        self.copies_tenths[tenths] += 1;
    }

    fn note_lags(&mut self, world: &mut World<Coordinated>, sample: &mut Sample) {
        let mut second = Distribution::default();
        self.lags.resize(world.lags.len(), Distribution::default());
        for (level, lags) in world.lags.iter_mut().enumerate().filter(|(_, lags)| !lags.is_empty()) {
            second.add_all(lags);
            if self.measuring {
                self.lags[level].add_all(lags);
            }
            lags.clear();
        }
        (sample.lag_p50_ms, sample.lag_p95_ms) = (second.quantile(0.5) as f32, second.quantile(0.95) as f32);
    }

    /// The sample is written down when its stride is over.
    fn close_sample(&mut self, world: &World<Coordinated>, mut sample: Sample, (due, lost): (u64, u64)) {
        let span = world.now().since(self.last.at).0 as f64 / 1e6;
        let wanted = self.stride.max(1) as f64 - 0.5;
        if span < wanted || self.series.len() >= SAMPLES_MAX {
            return;
        }
        let (mark, last) = (Mark { due, lost, ..self.mark(world) }, self.last);
        let viewers = f64::from(sample.viewers.max(1));
        let bytes = |tally: &Tally| tally.control_in + tally.control_out;
        // The counts begin anew when measuring does.
        sample.lost_share =
            ratio(mark.lost.saturating_sub(last.lost) as f64, mark.due.saturating_sub(last.due) as f64).min(1.0);
        sample.source_copies =
            ratio((mark.source_sent - last.source_sent) as f64, (mark.produced - last.produced) as f64) as f32;
        sample.moves = (mark.counters.moves.saturating_sub(last.counters.moves) as f64 / span) as f32;
        sample.joins = ((mark.joined - last.joined) as f64 / span) as f32;
        sample.departures = ((mark.departed - last.departed) as f64 / span) as f32;
        sample.control_bytes = ((bytes(&mark.tally) - bytes(&last.tally)) as f64 / span / viewers) as f32;
        self.series.push(sample);
        self.last = mark;
    }

    /// What the coordinator shows, now and then.
    pub(crate) fn on_overview(&mut self, overview: &Overview) {
        if self.measuring {
            self.without_backup.0 += overview.without_backup as u64;
            self.without_backup.1 += overview.members as u64;
        }
    }

    /// The measured time of a mass failure's survivors is over.
    pub(crate) fn on_recovered(&mut self, world: &mut World<Coordinated>, failure: &Vanished, at_s: f64) {
        let (mut fed_again, mut in_time) = (Distribution::default(), Distribution::default());
        let (mut unfrozen, mut short, mut unfed) = (0_u64, 0_u64, 0_u64);
        let segment_ms = world.segment().0 as f64 / 1e3;
        let now = world.now();
        for id in failure.survivors.iter().copied().filter(|id| world.actor(*id).is_alive()).collect::<Vec<_>>() {
            world.judge_overdue(id);
            let actor = world.actor(id);
            let after_ms = |at: Micros| at.since(failure.at).0 as f64 / 1e3;
            fed_again.add(actor.received.fed_again_at(now, world.segment()).map_or(0.0, after_ms));
            in_time.add(after_ms(actor.player.freeze_ended));
            unfrozen += u64::from(actor.player.longest_since_mark == 0);
            short += u64::from(actor.player.longest_since_mark as f64 * segment_ms <= 1_000.0);
            unfed += u64::from(now.since(actor.received.last_at) > NOT_FED);
        }
        let fed_again_ms = fed_again.quantiles();
        let survivors = fed_again_ms.count;
        self.recoveries.push(Recovery {
            at_s,
            vanished: failure.vanished,
            survivors,
            fed_again_ms,
            in_time_ms: in_time.quantiles(),
            without_freeze: ratio(unfrozen as f64, survivors as f64),
            without_freeze_over_1s: ratio(short as f64, survivors as f64),
            not_recovered: unfed,
        });
    }

    // The report.

    pub(crate) fn audience(&self) -> Audience {
        Audience {
            joined: self.joined,
            departed: self.departed,
            peak: self.peak,
            never_started: self.never_started,
            refused: self.refused,
        }
    }

    pub(crate) fn viewing(&self) -> Viewing {
        let gone = &self.gone;
        Viewing {
            lost_share: ratio(gone.lost_s, gone.watched_s),
            good_lost_share: ratio(gone.good_lost_s, gone.good_watched_s),
            settled_lost_share: ratio(gone.settled_lost_s, gone.settled_watched_s),
            ..*gone
        }
    }

    pub(crate) fn levels(&self) -> Vec<Level> {
        let viewers = |level: usize| ratio(self.levels[level] as f64, self.surveys as f64);
        let lag = |level: usize| self.lags.get(level).map(Distribution::quantiles).unwrap_or_default();
        let level = |level: usize| Level { level: level as u32, viewers: viewers(level), lag_ms: lag(level) };
        (0..self.levels.len()).map(level).collect()
    }

    pub(crate) fn distributions(&self) -> [crate::report::Quantiles; 4] {
        let mut lag = Distribution::default();
        self.lags.iter().for_each(|level| lag.add_all(level));
        [&lag, &self.screen_lag_ms, &self.startup_ms, &self.longest_freeze_ms].map(Distribution::quantiles)
    }

    pub(crate) fn feeding(&self, world: &World<Coordinated>) -> Feeding {
        let end = self.mark(world);
        let (source, peers, starters) = (
            end.tally.payload_from_source - self.begun.tally.payload_from_source,
            end.tally.payload_from_peers - self.begun.tally.payload_from_peers,
            end.tally.payload_from_starters - self.begun.tally.payload_from_starters,
        );
        let all = (source + peers + starters) as f64;
        let viewing = self.viewing();
        let segments = viewing.watched_s / (world.segment().0 as f64 / 1e6);
        let (mut repeated, mut received) = (0, 0);
        for id in world.living() {
            let counters = world.status(id).counters;
            repeated += counters.payload_repeated;
            received += counters.payload_received;
        }
        Feeding {
            by_peers: ratio(peers as f64, all),
            by_source: ratio(source as f64, all),
            by_starters: ratio(starters as f64, all),
            repeated: ratio(repeated as f64, received as f64),
            failed: ratio(viewing.segments_lost_for_good as f64, segments),
            source_copies: ratio(
                (end.source_sent - self.begun.source_sent) as f64,
                (end.produced - self.begun.produced) as f64,
            ),
        }
    }

    pub(crate) fn uplinks(&self) -> Uplinks {
        Uplinks {
            use_percent: self.uplink_use.quantiles(),
            copies_tenths: self.copies_tenths.clone(),
            shared_percent: self.shared_percent.quantiles(),
            queue_ms: self.queue_ms.quantiles(),
        }
    }

    pub(crate) fn tree(&self, world: &World<Coordinated>, overview: &Overview) -> Tree {
        let (begun, end) = (&self.begun, self.mark(world));
        let moves = end.counters.moves.saturating_sub(begun.counters.moves);
        let departures = end.departed - begun.departed;
        let assignments = end.counters.assignments.saturating_sub(begun.counters.assignments);
        let changes = moves + departures + (end.joined - begun.joined);
        let moved = |of: fn(&Counters) -> u64| {
            ratio(of(&end.counters).saturating_sub(of(&begun.counters)) as f64, departures as f64)
        };
        Tree {
            moves,
            departures,
            moves_per_departure: ratio(moves as f64, departures as f64),
            nodes_moved_per_departure: moved(|counters| counters.nodes_moved),
            optimising_moves_per_departure: moved(|counters| counters.nodes_moved_to_optimise),
            propagation_ms: self.propagation_ms.quantiles(),
            unicast_ms: self.unicast_ms.quantiles(),
            assignments_per_change: ratio(assignments as f64, changes as f64),
            inverted: inverted(overview),
            level_max: overview.depth_max.saturating_sub(1),
            level_optimum: optimum(overview),
            without_backup: ratio(self.without_backup.0 as f64, self.without_backup.1 as f64),
            without_parent: overview.without_parent as u64,
            takeovers_per_viewer_minute: ratio(self.takeovers as f64 * 60.0, self.viewer_seconds as f64),
        }
    }

    pub(crate) fn control(&self, world: &World<Coordinated>) -> ControlLoad {
        let (begun, end) = (&self.begun.tally, &world.tally);
        let span = world.now().since(self.begun.at).0 as f64 / 1e6;
        let bytes = (end.control_in + end.control_out - begun.control_in - begun.control_out) as f64;
        let per_viewer = ratio(bytes, self.viewer_seconds as f64);
        let (mut overhead, mut payload) = (0, 0);
        for counters in world.living().map(|id| world.status(id).counters) {
            overhead += counters.overhead_sent;
            payload += counters.payload_sent;
        }
        ControlLoad {
            bytes_per_viewer_second: per_viewer,
            share_of_stream: ratio(per_viewer, world.stream_bytes_per_second()),
            messages_in_per_second: ratio((end.messages_in - begun.messages_in) as f64, span),
            messages_out_per_second: ratio((end.messages_out - begun.messages_out) as f64, span),
            peer_overhead: ratio(overhead as f64, payload as f64 * world.payload_scale()),
        }
    }
}

/// Share of the children that relay and are older than their parent.
fn inverted(overview: &Overview) -> f64 {
    let by_id: std::collections::HashMap<NodeId, _> = overview.nodes.iter().map(|node| (node.id, node)).collect();
    let pairs = overview.nodes.iter().filter(|node| node.relay).filter_map(|node| {
        let parent = node.parent.filter(|parent| *parent != NodeId::SOURCE)?;
        Some(node.age > by_id.get(&parent)?.age)
    });
    let (all, older) = pairs.fold((0_u64, 0_u64), |(all, older), is_older| (all + 1, older + u64::from(is_older)));
    ratio(older as f64, all as f64)
}

/// The trees for a picture: those nearest to the source.
pub(crate) fn snapshot(world: &World<Coordinated>, survey: &Survey, overview: &Overview) -> Vec<TreeNode> {
    let mut nodes: Vec<_> = overview.nodes.iter().collect();
    nodes.sort_by_key(|node| (node.level.unwrap_or(u32::MAX), node.id));
    let text = |id: NodeId| id.to_string();
    let tree_node = |node: &&peerstream_coordinator::NodeOverview| {
        let seen = survey.named(node.id);
        let actor = seen.map(|seen| world.actor(seen.id));
        TreeNode {
            node: text(node.id),
            place: node.place.clone(),
            parent: node.parent.map(text),
            fed_by: seen.into_iter().flat_map(|seen| &seen.status.feeders).map(|id| text(*id)).collect(),
            backup: node.backup.map(text),
            level: node.level.and_then(|hops| hops.checked_sub(1)),
            relay: node.relay,
            age_s: node.age.0 as f64 / 1e6,
            lag_ms: actor.map_or(0.0, |actor| actor.player.lag.0 as f64 / 1e3),
            uplink_mbps: actor.map_or(0.0, |actor| actor.access.uplink as f64 / 125_000.0),
        }
    };
    nodes.iter().take(SNAPSHOT_MAX).map(tree_node).collect()
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
