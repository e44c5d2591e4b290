//! Reports made up for tests of what is shown.

use peerstream_lab::report::{
    Audience, Check, ControlLoad, Feeding, Level, Quantiles, Recovery, Report, Sample, Tree, TreeNode, Uplinks, Viewing,
};
use peerstream_lab::scenario::{Fault, Scenario};

use super::document::{Document, Series};

/// `series` series of `seeds` reports; each series lags more than the one before.
pub fn document(series: usize, seeds: u64) -> Document {
    let one = |number: usize| {
        let reports = (1..=seeds).map(|seed| {
            let mut report = report(seed);
            report.lag_ms.p50 *= number as f64;
            report.levels.iter_mut().for_each(|level| level.lag_ms = scaled(level.lag_ms, number as f64));
            report.series.iter_mut().for_each(|sample| sample.lag_p50_ms *= number as f32);
            report
        });
        Series::new(format!("series {number}"), "dumbbell".to_owned(), reports.collect())
    };
    Document::new("peerstream lab run live".to_owned(), (1..=series).map(one).collect())
}

fn scaled(quantiles: Quantiles, by: f64) -> Quantiles {
    let Quantiles { count, mean, p50, p95, p99, max } = quantiles;
    Quantiles { count, mean: mean * by, p50: p50 * by, p95: p95 * by, p99: p99 * by, max: max * by }
}

fn quantiles(p50: f64) -> Quantiles {
    Quantiles { count: 1_000, mean: p50 * 1.1, p50, p95: p50 * 2.0, p99: p50 * 3.0, max: p50 * 5.0 }
}

/// A report of 1,000 viewers with a fault at 60 s.
pub fn report(seed: u64) -> Report {
    let scenario = Scenario {
        name: "live".to_owned(),
        faults: vec![Fault::Vanish { at_s: 60.0, share: 0.25 }],
        ..Scenario::default()
    };
    let lag = 100.0 + 10.0 * seed as f64;
    Report {
        scenario,
        seed,
        trace: format!("{seed:016x}"),
        events: 1_000_000,
        simulated_s: 410.0,
        audience: Audience { joined: 1_500, departed: 490, peak: 1_020, never_started: 0, refused: 0 },
        viewing: Viewing {
            watched_s: 300_000.0,
            lost_s: 90.0,
            lost_share: 0.0003,
            viewers: 1_490,
            viewers_with_freeze: 80,
            viewers_with_freeze_over_1s: 4,
            ..Viewing::default()
        },
        lag_ms: quantiles(lag),
        screen_lag_ms: quantiles(lag + 400.0),
        levels: (0..9)
            .map(|level| Level {
                level,
                viewers: f64::from(2_u32 << level),
                lag_ms: quantiles(40.0 * f64::from(level + 1)),
            })
            .collect(),
        startup_ms: quantiles(600.0),
        longest_freeze_ms: quantiles(20.0),
        recoveries: vec![Recovery {
            at_s: 60.0,
            vanished: 250,
            survivors: 740,
            fed_again_ms: quantiles(150.0),
            in_time_ms: quantiles(300.0),
            without_freeze: 0.8,
            without_freeze_over_1s: 0.98,
            not_recovered: 0,
        }],
        feeding: Feeding {
            by_peers: 0.998,
            by_source: 0.002,
            by_starters: 0.0,
            repeated: 0.003,
            failed: 0.0001,
            source_copies: 2.1,
        },
        past: None,
        uplinks: Uplinks {
            use_percent: quantiles(40.0),
            copies_tenths: (0..28).map(|tenth| if tenth % 10 == 0 { 9_000 } else { 40 * (28 - tenth) }).collect(),
            shared_percent: quantiles(90.0),
            queue_ms: quantiles(8.0),
        },
        tree: Tree {
            moves: 230,
            departures: 490,
            moves_per_departure: 0.47,
            assignments_per_change: 6.0,
            level_max: 8,
            level_optimum: 8,
            ..Tree::default()
        },
        control: ControlLoad {
            bytes_per_viewer_second: 55.0,
            share_of_stream: 0.0002,
            messages_in_per_second: 900.0,
            messages_out_per_second: 200.0,
            peer_overhead: 0.02,
        },
        coordinator: peerstream::coordinator::Counters::default(),
        checks: vec![Check {
            name: "P1".to_owned(),
            statement: "links equal the overlay when quiet".to_owned(),
            looked: 20,
            ..Check::default()
        }],
        series: (0..60).map(|step| moment(step, seed)).collect(),
        snapshot: (1..=60).map(node).collect(),
    }
}

fn moment(step: u32, seed: u64) -> Sample {
    let at_s = f64::from(step) * 5.0;
    let after = (60.0..75.0).contains(&at_s);
    let wave = (f64::from(step) * 0.7 + seed as f64).sin() as f32;
    Sample {
        at_s,
        viewers: if at_s >= 60.0 { 750 } else { 1_000 },
        playing: if at_s >= 60.0 { 745 } else { 995 },
        lost_share: if after { 0.02 } else { 0.0001 },
        lag_p50_ms: 110.0 + 5.0 * wave,
        lag_p95_ms: 240.0 + 20.0 * wave,
        level_mean: 7.2 + 0.1 * wave,
        level_max: 9,
        uplink_percent: 40.0 + wave,
        source_copies: 2.0,
        moves: if after { 30.0 } else { 0.8 + 0.5 * wave },
        joins: 1.6,
        departures: if after { 20.0 } else { 1.6 },
        control_bytes: if after { 220.0 } else { 55.0 + 4.0 * wave },
    }
}

/// The nodes of a dumbbell: odd ones in the tree A, even ones in B.
fn node(number: u32) -> TreeNode {
    let place = number.div_ceil(2);
    let tree = if number % 2 == 1 { 'A' } else { 'B' };
    let parent = (place > 1).then(|| format!("n{}", (place / 2) * 2 - number % 2));
    TreeNode {
        node: format!("n{number}"),
        place: Some(format!("{tree}{place}")),
        fed_by: parent.clone().into_iter().collect(),
        parent,
        level: Some(place.ilog2()),
        relay: !number.is_multiple_of(7),
        age_s: 4_000.0 / f64::from(number),
        lag_ms: 40.0 * f64::from(place.ilog2() + 1),
        uplink_mbps: 10.0,
        ..TreeNode::default()
    }
}
