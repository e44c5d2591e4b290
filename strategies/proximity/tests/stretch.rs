//! How much longer the way through the trees is than the direct one, and what that costs in moves.

#[allow(dead_code)]
#[path = "../../dumbbell/tests/audience/mod.rs"]
mod audience;
#[allow(dead_code)]
mod live;

use live::{Hosts, Live};
use peerstream_dumbbell::{Config, Counters, Dumbbell, Paired, Preference};
use peerstream_proximity::{Budget, Nearness, Proximity};
use peerstream_sdk::protocol::time::Micros;

fn env<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[derive(Debug, Default, Clone)]
struct Figures {
    stretch: [f64; 2],
    repairs: f64,
    exchanges: f64,
    settled: f64,
    links: f64,
    older: [f64; 2],
    unbacked: f64,
    deepest: u32,
}

fn figures<P: Preference + 'static>(strategy: Paired<P>, viewers: usize, access: [f64; 2], seed: u64) -> Figures {
    let mut live = Live::new(strategy, Hosts::any(), viewers, access, seed);
    live.run(Micros::from_secs(env("WARM", 1_800)));
    let (before, departures, links) = (live.strategy.counters(), live.departures, live.links);
    let mut stretch = [0.0; 2];
    let samples: u64 = env("SAMPLES", 10);
    for _ in 0..samples {
        live.run(Micros::from_secs(60));
        let now = live.stretch();
        (0..2).for_each(|at| stretch[at] += now[at] / samples as f64);
    }
    if let Some(live) = (&live as &dyn std::any::Any).downcast_ref::<Live<Proximity>>() {
        errors(live);
    }
    let departures = (live.departures - departures) as f64;
    let after = live.strategy.counters();
    let per = |of: fn(&Counters) -> u64| (of(&after) - of(&before)) as f64 / departures;
    let (exchanges, settled) = (2.0 * per(|it| it.exchanges), per(|it| it.settled));
    let nodes = live.topology.iter().map(|(node, _)| node);
    Figures {
        stretch,
        repairs: per(|it| it.moves) - exchanges - settled,
        exchanges,
        settled,
        links: (live.links - links) as f64 / departures,
        older: [live.older(1), live.older(2)],
        unbacked: after.unbacked as f64 / viewers as f64,
        deepest: nodes.filter_map(|node| live.topology.depth(node)).max().unwrap_or(0),
    }
}

fn errors(live: &Live<Proximity>) {
    use peerstream_sdk::protocol::id::NodeId;
    let nodes: Vec<NodeId> = live.topology.iter().map(|(n, _)| n).collect();
    let mut chance = audience::Chance(3);
    let mut by = [vec![], vec![], vec![]];
    for _ in 0..100_000 {
        let a = nodes[(chance.number() % nodes.len() as u64) as usize];
        let b = nodes[(chance.number() % nodes.len() as u64) as usize];
        if a == b {
            continue;
        }
        let age = live.now.since(live.topology.get(a).unwrap().joined_at).0 / 1_000_000;
        let s = &live.strategy;
        let d = s.preference().distance(s.peer_of(a).unwrap(), s.peer_of(b).unwrap()) as f64;
        let t = live.one_way(a, b);
        by[if age < 60 {
            0
        } else if age < 600 {
            1
        } else {
            2
        }]
        .push((d - t).abs() / t);
    }
    for e in &mut by {
        e.sort_by(f64::total_cmp);
    }
    println!(
        "   errors p50/p90 by age: {:?}",
        by.map(|e| (e.len(), (e[e.len() / 2] * 100.0) as u32, (e[e.len() * 9 / 10] * 100.0) as u32))
    );
}

fn access() -> [f64; 2] {
    match env("ACCESS", 2) {
        0 => [0.0, 0.0],
        1 => [1.0, 10.0],
        _ => [2.0, 20.0],
    }
}

#[test]
#[ignore = "minutes"]
fn tune() {
    let viewers = env("VIEWERS", 10_000);
    let d = Budget::default();
    let budget = Budget {
        exchanges: env("R", d.exchanges),
        settling: env("SETTLE", d.settling),
        settling_age_s: env("AGE", d.settling_age_s),
        settling_gain_ms: env("GAIN", d.settling_gain_ms),
    };
    for seed in 1..=env("SEEDS", 2) {
        let start = std::time::Instant::now();
        let it = if env("PLAIN", 0) == 1 {
            figures(Dumbbell::default(), viewers, access(), seed)
        } else {
            figures(Proximity::with(Config::default(), Nearness::new(budget)), viewers, access(), seed)
        };
        println!(
            "seed {seed}: {:.2}/{:.2} repairs {:.3} exch {:.3} settled {:.3} links {:.2} older {:.2} {:.2} unbacked {:.3} deepest {} [{:.0?}]",
            it.stretch[0],
            it.stretch[1],
            it.repairs,
            it.exchanges,
            it.settled,
            it.links,
            it.older[0],
            it.older[1],
            it.unbacked,
            it.deepest,
            start.elapsed()
        );
    }
}
