//! The figures of a report: how each is called, what it is measured in, and which way is better.
//!
//! This list is what tables, documents and pages show; `docs/lab.md` defines each of them.

use peerstream_lab::Report;
use serde::Serialize;

/// One figure.
pub struct Figure {
    /// Its name in documents; never changed.
    pub key: &'static str,
    /// Its name in tables.
    pub label: &'static str,
    /// What it is measured in; empty for plain numbers.
    pub unit: &'static str,
    /// Which way is better.
    pub better: Better,
    /// Its value in a report; none when the run gave no occasion.
    pub of: fn(&Report) -> Option<f64>,
}

/// Which way a figure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// The less the better.
    Lower,
    /// The more the better.
    Higher,
    /// It describes the run.
    Neither,
}

/// Figures that belong together.
pub struct Group {
    /// What they are about.
    pub title: &'static str,
    /// In the order they are shown.
    pub figures: &'static [Figure],
}

/// A figure over all seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// What it is measured in.
    pub unit: &'static str,
    /// The median over the seeds that have it.
    pub median: Option<f64>,
    /// The worst of them; none for a figure that has no better and worse.
    pub worst: Option<f64>,
    /// By seed, in the order of the reports.
    pub values: Vec<Option<f64>>,
}

impl Figure {
    /// The figure over these reports.
    pub fn summary<'a>(&self, reports: impl IntoIterator<Item = &'a Report>) -> Summary {
        let values: Vec<_> = reports.into_iter().map(self.of).collect();
        let mut known: Vec<_> = values.iter().flatten().copied().filter(|value| value.is_finite()).collect();
        known.sort_by(f64::total_cmp);
        let worst = match self.better {
            Better::Lower => known.last(),
            Better::Higher => known.first(),
            Better::Neither => None,
        };
        Summary { unit: self.unit, median: median(&known), worst: worst.copied(), values }
    }
}

/// The median of sorted values; the mean of the two in the middle of an even number.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        count if count % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The figure of this name.
pub fn figure(key: &str) -> &'static Figure {
    all().find(|figure| figure.key == key).expect("a figure of the list")
}

/// All figures.
pub fn all() -> impl Iterator<Item = &'static Figure> {
    GROUPS.iter().flat_map(|group| group.figures)
}

/// What a table with one row per run shows.
pub const HEADLINES: [&str; 10] = [
    "lost",
    "frozen_over_1s",
    "lag_p50",
    "lag_p95",
    "startup_p95",
    "source_copies",
    "uplink_p95",
    "moves_per_departure",
    "control_bytes",
    "broken",
];

macro_rules! figures {
    ($($key:literal, $label:literal, $unit:literal, $better:ident, $of:expr;)*) => {
        &[$(Figure { key: $key, label: $label, unit: $unit, better: Better::$better, of: $of }),*]
    };
}

/// All figures by what they are about.
pub const GROUPS: &[Group] = &[
    Group {
        title: "Audience",
        figures: figures![
            "peak", "viewers at once, most", "", Neither, |r| count(r.audience.peak);
            "joined", "pages opened", "", Neither, |r| count(r.audience.joined);
            "departed", "viewers that left", "", Neither, |r| count(r.audience.departed);
            "never_started", "viewers that never started", "", Lower, |r| count(r.audience.never_started);
            "refused", "refusals", "", Lower, |r| count(r.audience.refused);
        ],
    },
    Group {
        title: "Viewing",
        figures: figures![
            "lost", "viewing time lost", "%", Lower, |r| Some(100.0 * r.viewing.lost_share);
            "lost_settled", "the same, from 10 s after a viewer's start", "%", Lower,
                |r| Some(100.0 * r.viewing.settled_lost_share);
            "lost_good", "viewing time lost by those without a fault", "%", Lower,
                |r| (r.viewing.good_watched_s < r.viewing.watched_s).then_some(100.0 * r.viewing.good_lost_share);
            "frozen", "viewers with a freeze", "%", Lower, |r| percent(r.viewing.viewers_with_freeze, r.viewing.viewers);
            "frozen_over_1s", "viewers with a freeze over 1 s", "%", Lower,
                |r| percent(r.viewing.viewers_with_freeze_over_1s, r.viewing.viewers);
            "freeze_p99", "longest freeze of a viewer p99", "ms", Lower, |r| Some(r.longest_freeze_ms.p99);
            "freeze_max", "longest freeze of all", "ms", Lower, |r| Some(r.longest_freeze_ms.max);
        ],
    },
    Group {
        title: "Lag",
        figures: figures![
            "lag_p50", "lag p50", "ms", Lower, |r| Some(r.lag_ms.p50);
            "lag_p95", "lag p95", "ms", Lower, |r| Some(r.lag_ms.p95);
            "lag_p99", "lag p99", "ms", Lower, |r| Some(r.lag_ms.p99);
            "screen_p50", "lag on the screen p50", "ms", Lower, |r| Some(r.screen_lag_ms.p50);
            "screen_p95", "lag on the screen p95", "ms", Lower, |r| Some(r.screen_lag_ms.p95);
        ],
    },
    Group {
        title: "Start-up",
        figures: figures![
            "startup_p50", "start-up p50", "ms", Lower, |r| Some(r.startup_ms.p50);
            "startup_p95", "start-up p95", "ms", Lower, |r| Some(r.startup_ms.p95);
            "startup_max", "start-up, slowest", "ms", Lower, |r| Some(r.startup_ms.max);
        ],
    },
    Group {
        title: "Recovery",
        figures: figures![
            "fed_again_p95", "survivors fed again p95", "ms", Lower, |r| worst_recovery(r, |it| it.fed_again_ms.p95);
            "fed_again_p99", "survivors fed again p99", "ms", Lower, |r| worst_recovery(r, |it| it.fed_again_ms.p99);
            "fed_again_max", "survivors fed again, last", "ms", Lower, |r| worst_recovery(r, |it| it.fed_again_ms.max);
            "in_time_p99", "survivors in time for good p99", "ms", Lower, |r| worst_recovery(r, |it| it.in_time_ms.p99);
            "survivors_frozen", "survivors with a freeze", "%", Lower,
                |r| worst_recovery(r, |it| 100.0 * (1.0 - it.without_freeze));
            "survivors_frozen_over_1s", "survivors with a freeze over 1 s", "%", Lower,
                |r| worst_recovery(r, |it| 100.0 * (1.0 - it.without_freeze_over_1s));
            "not_recovered", "survivors not fed after 30 s", "", Lower, |r| worst_recovery(r, |it| it.not_recovered as f64);
        ],
    },
    Group {
        title: "Feeding",
        figures: figures![
            "by_peers", "payload from other viewers", "%", Higher, |r| Some(100.0 * r.feeding.by_peers);
            "by_starters", "payload over control connections", "%", Lower, |r| Some(100.0 * r.feeding.by_starters);
            "source_copies", "copies sent by the source", "", Lower, |r| Some(r.feeding.source_copies);
            "repeated", "payload received again", "%", Lower, |r| Some(100.0 * r.feeding.repeated);
            "failed", "segments that never came", "%", Lower, |r| Some(100.0 * r.feeding.failed);
        ],
    },
    Group {
        title: "Going back in time",
        figures: figures![
            "past_by_peers", "what was fetched of the past, from other viewers", "%", Higher,
                |r| of_past(r, |it| 100.0 * it.by_peers);
            "past_by_host", "the same, from the host", "%", Lower, |r| of_past(r, |it| 100.0 * it.by_host);
            "past_host_copies", "copies of the stream that the host sent for it", "", Lower,
                |r| of_past(r, |it| it.host_copies);
            "past_without_peers", "viewers that no other viewer gave anything", "", Lower,
                |r| of_past(r, |it| (it.viewers - it.given_by_peers) as f64);
            "past_startup_p50", "from going back to a picture p50", "ms", Lower, |r| of_past(r, |it| it.startup_ms.p50);
            "past_startup_p95", "the same p95", "ms", Lower, |r| of_past(r, |it| it.startup_ms.p95);
            "past_waited", "time in the past that was waited", "%", Lower,
                |r| of_past(r, |it| 100.0 * it.waited_s / (it.watched_s + it.waited_s).max(1e-9));
            "past_lost", "segments of the past that nobody gave", "", Lower, |r| of_past(r, |it| it.segments_lost as f64);
        ],
    },
    Group {
        title: "Uplinks",
        figures: figures![
            "uplink_p50", "use of uplinks p50", "%", Neither, |r| Some(r.uplinks.use_percent.p50);
            "uplink_p95", "use of uplinks p95", "%", Lower, |r| Some(r.uplinks.use_percent.p95);
            "shared_p50", "of what it got, a viewer sent p50", "%", Neither, |r| Some(r.uplinks.shared_percent.p50);
            "shared_p99", "of what it got, a viewer sent p99", "%", Lower, |r| Some(r.uplinks.shared_percent.p99);
            "queue_p99", "wait in an uplink p99", "ms", Lower, |r| Some(r.uplinks.queue_ms.p99);
        ],
    },
    Group {
        title: "Trees",
        figures: figures![
            "level_max", "deepest level", "", Lower, |r| Some(f64::from(r.tree.level_max));
            "level_excess", "levels beyond the optimum", "", Lower,
                |r| Some(f64::from(r.tree.level_max) - f64::from(r.tree.level_optimum));
            "moves_per_departure", "moves per departure", "", Lower, |r| (r.tree.departures > 0).then_some(r.tree.moves_per_departure);
            "nodes_moved", "nodes moved per departure", "", Lower,
                |r| (r.tree.departures > 0).then_some(r.tree.nodes_moved_per_departure);
            "optimising_moves", "of these to optimise", "", Lower,
                |r| (r.tree.departures > 0).then_some(r.tree.optimising_moves_per_departure);
            "stretch_p50", "way through the trees over the direct one p50", "", Lower,
                |r| over_unicast(r, r.tree.propagation_ms.p50, r.tree.unicast_ms.p50);
            "stretch_p95", "the same p95", "", Lower, |r| over_unicast(r, r.tree.propagation_ms.p95, r.tree.unicast_ms.p95);
            "lag_stretch_p50", "lag over the direct way p50", "", Lower, |r| over_unicast(r, r.lag_ms.p50, r.tree.unicast_ms.p50);
            "lag_stretch_p95", "the same p95", "", Lower, |r| over_unicast(r, r.lag_ms.p95, r.tree.unicast_ms.p95);
            "assignments_per_change", "assignments per change", "", Lower, |r| Some(r.tree.assignments_per_change);
            "inverted", "children older than their parent", "%", Lower, |r| Some(100.0 * r.tree.inverted);
            "without_backup", "nodes without a backup", "%", Lower, |r| Some(100.0 * r.tree.without_backup);
            "without_parent", "nodes without a parent at the end", "", Lower, |r| count(r.tree.without_parent);
            "takeovers", "takeovers per viewer and minute", "", Lower, |r| Some(r.tree.takeovers_per_viewer_minute);
        ],
    },
    Group {
        title: "Control",
        figures: figures![
            "control_bytes", "control bytes per viewer", "B/s", Lower, |r| Some(r.control.bytes_per_viewer_second);
            "control_share", "the same, of the stream", "%", Lower, |r| Some(100.0 * r.control.share_of_stream);
            "messages_in", "messages to the coordinator", "1/s", Lower, |r| Some(r.control.messages_in_per_second);
            "messages_out", "messages from the coordinator", "1/s", Lower, |r| Some(r.control.messages_out_per_second);
            "peer_overhead", "overhead between nodes", "%", Lower, |r| Some(100.0 * r.control.peer_overhead);
        ],
    },
    Group {
        title: "Properties",
        figures: figures![
            "broken", "properties broken", "", Lower, |r| Some(r.broken().count() as f64);
        ],
    },
];

fn count(value: u64) -> Option<f64> {
    Some(value as f64)
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
}

fn over_unicast(report: &Report, lag_ms: f64, unicast_ms: f64) -> Option<f64> {
    (report.tree.unicast_ms.count > 0 && unicast_ms > 0.0).then(|| lag_ms / unicast_ms)
}

fn of_past(report: &Report, of: impl Fn(&peerstream_lab::report::Past) -> f64) -> Option<f64> {
    report.past.as_ref().map(of)
}

fn worst_recovery(report: &Report, of: impl Fn(&peerstream_lab::report::Recovery) -> f64) -> Option<f64> {
    report.recoveries.iter().map(of).max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::sample;

    #[test]
    fn keys_are_unique_and_headlines_are_figures() {
        let mut keys: Vec<_> = all().map(|figure| figure.key).collect();
        let listed = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), listed);
        HEADLINES.iter().for_each(|key| assert!(!figure(key).label.is_empty()));
    }

    #[test]
    fn median_and_worst_follow_the_seeds() {
        let reports = [(1, 300.0), (2, 100.0), (3, 200.0)].map(|(seed, lag)| {
            let mut report = sample::report(seed);
            (report.lag_ms.p50, report.feeding.by_peers) = (lag, lag / 400.0);
            report
        });
        let lag = figure("lag_p50").summary(&reports);
        assert_eq!((lag.median, lag.worst), (Some(200.0), Some(300.0)));
        assert_eq!(figure("by_peers").summary(&reports).worst, Some(25.0));
        assert_eq!(figure("peak").summary(&reports).worst, None);
        assert_eq!(median(&[1.0, 2.0]), Some(1.5));
    }

    #[test]
    fn a_figure_without_occasion_is_left_out() {
        let mut report = sample::report(1);
        report.recoveries.clear();
        assert_eq!(figure("fed_again_p95").summary([&report]).median, None);
    }
}
