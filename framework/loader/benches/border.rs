//! What it costs to cross the binary interface: the same trivial strategy called through its trait, through the table of functions, and
//! through the table on a thread of its own.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use peerstream_loader::{Loaded, LoadedBuild};
use peerstream_sdk::dynamic::{self, Library};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::Registration;
use peerstream_sdk::traits::strategy::BoxedStrategy;
use serde_json::json;

/// Counts, and plans nothing.
#[derive(Default)]
struct Idle {
    seen: u64,
}

impl Plugin for Idle {
    const NAME: &'static str = "idle";
    const SUMMARY: &'static str = "plans nothing";
    type Config = NoOptions;

    fn build(_: NoOptions, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self::default())
    }
}

impl TreeStrategy for Idle {
    fn attach(&mut self, _: &Context<'_>, _: &mut Plan) {}

    fn on_events(&mut self, _: &Context<'_>, events: &[Event], _: &mut Plan) {
        for event in events {
            if let Event::Underperforms(node) = black_box(event) {
                self.seen = self.seen.wrapping_add(node.0);
            }
        }
    }
}

struct Table;

impl Library for Table {
    const PLUGINS: &'static [Registration] = &[Registration::strategy::<Idle>("border", "0")];
}

fn strategies() -> [(&'static str, BoxedStrategy); 3] {
    static API: dynamic::Api = dynamic::api::<Table>();
    let loaded = Loaded::of_table(&API).expect("a sound table").remove(0);
    let Ok(LoadedBuild::Strategy(watched)) = loaded.build(&json!({}), "idle") else { panic!("a strategy") };
    let direct = loaded.build_direct(&json!({})).expect("an instance");
    [("trait", Box::new(Idle::default())), ("table", direct), ("table, own thread", watched)]
}

fn border(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("border");
    let topology = Topology::new(2);
    for size in [1, 16, 256, 4_096] {
        group.throughput(Throughput::Elements(size));
        let events: Vec<_> = (0..size).map(|name| Event::Underperforms(NodeId(name))).collect();
        for (name, mut strategy) in strategies() {
            let context = Context { topology: &topology, now: Micros(1), source: NodeId::SOURCE };
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter_batched_ref(
                    Plan::default,
                    |plan| strategy.on_events(&context, black_box(&events), plan),
                    BatchSize::SmallInput,
                );
            });
        }
    }
}

criterion_group!(benches, border);
criterion_main!(benches);
