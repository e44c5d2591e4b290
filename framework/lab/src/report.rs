//! What a run found. Written as JSON by whoever wants it so; nothing in it depends on the machine.

use peerstream_coordinator::Counters;
use serde::{Deserialize, Serialize};

use crate::scenario::Scenario;

/// The outcome of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// What was simulated.
    pub scenario: Scenario,
    /// The seed; the same one gives the same report.
    pub seed: u64,
    /// A hash over all that happened, in order.
    pub trace: String,
    /// Events carried out.
    pub events: u64,
    /// Simulated time, warm-up and settling included.
    pub simulated_s: f64,
    /// Who watched.
    pub audience: Audience,
    /// What they saw.
    pub viewing: Viewing,
    /// From the source's clock to a whole segment at a viewer, in ms, over all segments delivered while live.
    pub lag_ms: Quantiles,
    /// From the source's clock to the screen, in ms, over all viewers, each second.
    pub screen_lag_ms: Quantiles,
    /// The same as `lag_ms` by level; index 0 is the roots.
    pub levels: Vec<Level>,
    /// From opening the page to the first segment, in ms.
    pub startup_ms: Quantiles,
    /// The longest freeze of each viewer, in ms (0 for those without one).
    pub longest_freeze_ms: Quantiles,
    /// How the survivors of each [`crate::scenario::Fault::Vanish`] fared.
    pub recoveries: Vec<Recovery>,
    /// Who fed the viewers.
    pub feeding: Feeding,
    /// How those fared that went back in time, if any did.
    #[serde(default)]
    pub past: Option<Past>,
    /// What the uplinks carried.
    pub uplinks: Uplinks,
    /// The trees.
    pub tree: Tree,
    /// The control connections.
    pub control: ControlLoad,
    /// What the coordinator counted.
    pub coordinator: Counters,
    /// The properties P1 to P10.
    pub checks: Vec<Check>,
    /// How all this went over time; at most [`SAMPLES_MAX`] entries, equally spaced.
    pub series: Vec<Sample>,
    /// The trees at the end of the measured time; the [`SNAPSHOT_MAX`] nodes nearest to the source.
    pub snapshot: Vec<TreeNode>,
}

/// Entries of [`Report::series`] at most.
pub const SAMPLES_MAX: usize = 600;
/// Nodes of [`Report::snapshot`] at most.
pub const SNAPSHOT_MAX: usize = 2_048;

/// Quantiles of a distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// How many values.
    pub count: u64,
    /// The mean.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// 95 of 100 are no larger.
    pub p95: f64,
    /// 99 of 100 are no larger.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// Who watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Audience {
    /// Pages opened, those of the warm-up included.
    pub joined: u64,
    /// Viewers that left.
    pub departed: u64,
    /// Most viewers at once.
    pub peak: u64,
    /// Viewers that stayed for ten seconds or more and never got a segment.
    pub never_started: u64,
    /// Refusals by the coordinator.
    pub refused: u64,
}

/// What the viewers saw in the measured time.
///
/// The lab's player starts the playout target behind the newest segment it has. A segment's deadline is its time at the
/// source plus the viewer's playout delay, which follows what the viewer receives (the least lag of the last second) by at
/// most 5 % of real time, as a player that changes its rate. When everything in a second came late, the player starts the
/// target behind again, as a real one that has run dry. From a viewer's first played segment until it leaves, each segment
/// that is not whole at its deadline counts its duration as lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Viewing {
    /// Viewing time, in seconds: the durations of all segments that were due.
    pub watched_s: f64,
    /// Of that, segments that were late or never came, in seconds.
    pub lost_s: f64,
    /// `lost_s / watched_s`.
    pub lost_share: f64,
    /// Viewing time from ten seconds after each viewer's first segment on, in seconds.
    pub settled_watched_s: f64,
    /// Of that, lost.
    pub settled_lost_s: f64,
    /// `settled_lost_s / settled_watched_s`.
    pub settled_lost_share: f64,
    /// The viewing time of those that no `underperform` or `lie` fault has struck, in seconds; newcomers with the fault
    /// are struck from the start.
    pub good_watched_s: f64,
    /// Of that, what was lost, in seconds.
    pub good_lost_s: f64,
    /// `good_lost_s / good_watched_s`.
    pub good_lost_share: f64,
    /// Segments that viewers gave up.
    pub segments_lost_for_good: u64,
    /// Freezes: runs of lost segments.
    pub freezes: u64,
    /// Viewers with a freeze.
    pub viewers_with_freeze: u64,
    /// Viewers with a freeze of more than a second.
    pub viewers_with_freeze_over_1s: u64,
    /// Viewers that had a first segment.
    pub viewers: u64,
}

/// The viewers of one level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// 0 for the roots.
    pub level: u32,
    /// Viewers there, on average.
    pub viewers: f64,
    /// Lag of what they receive, in ms.
    pub lag_ms: Quantiles,
}

/// How those who stayed fared after many vanished at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// When, in seconds from the end of the warm-up.
    pub at_s: f64,
    /// Who vanished.
    pub vanished: u64,
    /// Who was playing and stayed.
    pub survivors: u64,
    /// Until each was fed again, in ms: 0 for those that felt nothing, which is no silence of more than two segments' time that began
    /// within two seconds, else the end of the last such silence before the first second without one.
    pub fed_again_ms: Quantiles,
    /// Until each had everything in time for good, in ms: 0 for those that missed no deadline in these 30 s, else the end of
    /// their last freeze, with what departures meanwhile did.
    #[serde(default)]
    pub in_time_ms: Quantiles,
    /// Share of survivors without any freeze.
    pub without_freeze: f64,
    /// Share of survivors without a freeze of more than a second.
    pub without_freeze_over_1s: f64,
    /// Survivors that were not fed at the end of the 30 s.
    pub not_recovered: u64,
}

/// Who fed the viewers, in shares of the payload that viewers received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Feeding {
    /// By other viewers.
    pub by_peers: f64,
    /// By the source.
    pub by_source: f64,
    /// By the source over control connections, to newcomers.
    #[serde(default)]
    pub by_starters: f64,
    /// Received more than once.
    pub repeated: f64,
    /// Of the segments due, those that never came.
    pub failed: f64,
    /// Copies of the stream that the source sent, on average over the measured time.
    pub source_copies: f64,
}

/// Who fed those that went back in time, and what they saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// Viewers that went.
    pub viewers: u64,
    /// Of these, viewers that other viewers gave anything.
    pub given_by_peers: u64,
    /// Share of what they fetched that other viewers gave; what they had kept themselves is not counted.
    pub by_peers: f64,
    /// Share that the host gave.
    pub by_host: f64,
    /// Copies of the stream that the host sent for it, on average from when the first went until the measured time was over.
    pub host_copies: f64,
    /// From going back to the first picture, in ms.
    pub startup_ms: Quantiles,
    /// How long they played, in seconds.
    pub watched_s: f64,
    /// How long they waited for more after that, in seconds.
    pub waited_s: f64,
    /// Segments that nobody gave.
    pub segments_lost: u64,
    /// Segments shown that were not the source's.
    pub wrong: u64,
}

/// What the viewers' uplinks carried, measured over each second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Uplinks {
    /// Use of the uplinks of viewers that may relay, in percent.
    pub use_percent: Quantiles,
    /// Copies of the stream sent by each viewer that relays: how many viewer-seconds per tenth of a copy, from 0.
    pub copies_tenths: Vec<u64>,
    /// What each viewer sent of what it got, over all its time, in percent: those who watched for a minute of the measured
    /// time.
    #[serde(default)]
    pub shared_percent: Quantiles,
    /// The longest wait in an uplink's queue, in ms, per viewer and second.
    pub queue_ms: Quantiles,
}

/// The trees, on average over the samples unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    /// New parents of nodes that already had one, in the measured time: about two for each node that moves up.
    pub moves: u64,
    /// Departures in that time.
    pub departures: u64,
    /// `moves / departures`.
    pub moves_per_departure: f64,
    /// Nodes that the strategy moved to another place, per departure; those that keep a parent who moves are not counted.
    #[serde(default)]
    pub nodes_moved_per_departure: f64,
    /// Those of them that were moved although nothing asked for it, per departure.
    #[serde(default)]
    pub optimising_moves_per_departure: f64,
    /// The delays of all links on the way from the source to each viewer in the overlay, added up, over all viewers and
    /// seconds, in ms.
    #[serde(default)]
    pub propagation_ms: Quantiles,
    /// The delay of each viewer from the source itself, in ms, over the same viewers and seconds.
    #[serde(default)]
    pub unicast_ms: Quantiles,
    /// Assignments sent per join, move or departure.
    pub assignments_per_change: f64,
    /// Share of children older than their parent, weak nodes aside, at the end of the measured time.
    pub inverted: f64,
    /// The deepest level of the overlay at the end of the measured time; 0 is the roots.
    pub level_max: u32,
    /// The deepest level that as many nodes, of which as many relay, need.
    pub level_optimum: u32,
    /// Share of nodes with a place and no backup.
    pub without_backup: f64,
    /// Nodes without a parent at the end of the measured time.
    pub without_parent: u64,
    /// Times a helper took over, per viewer and minute.
    pub takeovers_per_viewer_minute: f64,
}

/// What the control connections carried, without WebSocket, TLS and TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ControlLoad {
    /// Bytes per viewer and second, both directions.
    pub bytes_per_viewer_second: f64,
    /// The same as a share of the stream.
    pub share_of_stream: f64,
    /// Messages per second into the coordinator.
    pub messages_in_per_second: f64,
    /// Messages per second out of it.
    pub messages_out_per_second: f64,
    /// Bytes between nodes besides the payload, as a share of the payload (headers are not scaled).
    pub peer_overhead: f64,
}

/// One property and how often it was broken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Such as `P3`.
    pub name: String,
    /// What it says.
    pub statement: String,
    /// How often it was looked at; 0 when the run gave no occasion.
    pub looked: u64,
    /// How often it did not hold.
    pub violations: u64,
    /// The first few.
    pub examples: Vec<String>,
}

/// One moment, or the time since the moment before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds from the end of the warm-up; negative before.
    pub at_s: f64,
    /// Viewers there.
    pub viewers: u32,
    /// Viewers that play.
    pub playing: u32,
    /// Share of the viewing time that was lost.
    pub lost_share: f64,
    /// Median lag of what is received, in ms.
    pub lag_p50_ms: f32,
    /// 95 of 100 lag no more than this.
    pub lag_p95_ms: f32,
    /// Mean level at which viewers are fed.
    pub level_mean: f32,
    /// The deepest level at which one is fed.
    pub level_max: u32,
    /// Mean use of the uplinks of those who relay, in percent.
    pub uplink_percent: f32,
    /// Copies of the stream that the source sends.
    pub source_copies: f32,
    /// Moves per second.
    pub moves: f32,
    /// Joins per second.
    pub joins: f32,
    /// Departures per second.
    pub departures: f32,
    /// Control bytes per viewer and second.
    pub control_bytes: f32,
}

/// One node of the snapshot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TreeNode {
    /// Its name.
    pub node: String,
    /// Where the strategy has it, such as `A5`.
    pub place: Option<String>,
    /// Who shall feed it.
    pub parent: Option<String>,
    /// Who feeds it.
    pub fed_by: Vec<String>,
    /// Who feeds it when its parent fails.
    pub backup: Option<String>,
    /// Hops from the source in the overlay, less one.
    pub level: Option<u32>,
    /// Whether it may relay.
    pub relay: bool,
    /// Seconds since it joined.
    pub age_s: f64,
    /// Lag of what it receives, in ms.
    pub lag_ms: f64,
    /// Its uplink.
    pub uplink_mbps: f64,
}

impl Report {
    /// The properties that did not hold.
    pub fn broken(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.violations > 0)
    }
}
