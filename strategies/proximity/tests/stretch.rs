//! How much longer the way through the trees is than the direct one, and what that costs in moves.
//!
//! `PEERSTREAM_RTT=matrix.tsv cargo test --release -p peerstream-proximity --test stretch -- --ignored --nocapture` takes the
//! round trips of a file and says it for ten thousand viewers.

#[allow(dead_code)]
#[path = "../../dumbbell/tests/audience/mod.rs"]
mod audience;
#[allow(dead_code)]
mod live;

use live::{Hosts, Live, Sort};
use peerstream_dumbbell::{Counters, Dumbbell, Paired, Preference};
use peerstream_proximity::Proximity;
use peerstream_sdk::protocol::time::Micros;

/// Quantiles of the lag over the same of the direct way, moves per departure, and what the order of age has lost.
#[derive(Debug)]
#[allow(dead_code)]
struct Figures {
    stretch: [f64; 2],
    repairs: f64,
    optimising: f64,
    links: f64,
    older: [f64; 2],
    unbacked: f64,
    hops: u32,
}

/// Lets the audience live for so many minutes, then measures for as many more, a sample a minute.
fn figures<P: Preference>(strategy: Paired<P>, sort: Sort, seed: u64, minutes: [u64; 2]) -> Figures {
    let mut live = Live::new(strategy, Hosts::any(), sort, seed);
    live.run(Micros::from_secs(60 * minutes[0]));
    let (before, departures, links) = (live.strategy.counters(), live.departures, live.links);
    let mut stretch = [0.0; 2];
    for _ in 0..minutes[1] {
        live.run(Micros::from_secs(60));
        stretch.iter_mut().zip(live.stretch()).for_each(|(mean, now)| *mean += now / minutes[1] as f64);
    }
    let (after, departures) = (live.strategy.counters(), (live.departures - departures) as f64);
    let per_departure = |of: fn(&Counters) -> u64| (of(&after) - of(&before)) as f64 / departures;
    let optimising = per_departure(|counters| 2 * counters.exchanges + counters.settled);
    Figures {
        stretch,
        repairs: per_departure(|counters| counters.moves) - optimising,
        optimising,
        links: (live.links - links) as f64 / departures,
        older: [live.older(1), live.older(2)],
        unbacked: after.unbacked as f64 / live.topology.len() as f64,
        hops: live.topology.iter().filter_map(|(node, _)| live.topology.depth(node)).max().unwrap_or(0),
    }
}

#[test]
fn the_way_is_less_than_half_as_long_as_in_the_dumbbell_for_few_moves() {
    let sort = Sort { viewers: 1_000, access_ms: [1.0, 10.0], networks: true };
    let near = figures(Proximity::default(), sort, 1, [10, 5]);
    let plain = figures(Dumbbell::default(), sort, 1, [10, 5]);
    println!("{near:?}\n{plain:?}");
    assert!((0..2).all(|quantile| near.stretch[quantile] < plain.stretch[quantile] / 2.0));
    // 0.2, and what was saved up just before: 0.202 with some 500 departures is one move.
    assert!(near.optimising <= 0.21 && near.optimising + near.repairs <= 0.9);
    assert!(near.unbacked <= 0.01 && near.hops <= plain.hops + 1);
}

#[test]
fn without_knowing_who_is_in_one_network_it_is_still_better_than_the_dumbbell() {
    let sort = Sort { viewers: 1_000, access_ms: [1.0, 10.0], networks: false };
    let near = figures(Proximity::default(), sort, 2, [10, 5]);
    let plain = figures(Dumbbell::default(), sort, 2, [10, 5]);
    println!("{near:?}\n{plain:?}");
    assert!((0..2).all(|quantile| near.stretch[quantile] < plain.stretch[quantile] / 1.5));
    assert!(near.optimising <= 0.46 && near.optimising + near.repairs <= 0.9);
}

fn env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
#[ignore = "minutes; figures for docs/measuring.md"]
fn ten_thousand_viewers() {
    let viewers = env("PEERSTREAM_VIEWERS", 10_000) as usize;
    let access = [[0.0, 0.0], [1.0, 10.0], [2.0, 20.0]];
    let some = env("PEERSTREAM_ACCESS", 3) as usize;
    for access_ms in access.into_iter().enumerate().filter(|(at, _)| some == 3 || some == *at).map(|(_, it)| it) {
        for seed in 1..=env("PEERSTREAM_SEEDS", 5) {
            let minutes = [env("PEERSTREAM_WARM_UP", 30), 10];
            let sort = Sort { viewers, access_ms, networks: true };
            println!("{access_ms:?} seed {seed}");
            println!("  dumbbell          {:.2?}", figures(Dumbbell::default(), sort, seed, [5, 10]));
            println!("  proximity         {:.2?}", figures(Proximity::default(), sort, seed, minutes));
            if env("PEERSTREAM_UNKNOWN", 0) == 1 {
                let unknown = Sort { networks: false, ..sort };
                println!("  networks unknown  {:.2?}", figures(Proximity::default(), unknown, seed, minutes));
            }
        }
    }
}
