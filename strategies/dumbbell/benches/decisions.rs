//! How fast the strategy decides: an audience in a steady state, of which viewers leave and join one at a time. The strategy is
//! told of each in a call of its own, or of as many at once as a busy coordinator hands over.

#[allow(dead_code)]
#[path = "../tests/audience/mod.rs"]
mod audience;

use std::time::Duration;

use audience::{Audience, Change};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use peerstream_dumbbell::Dumbbell;
use peerstream_sdk::overlay::{Context, Event, Member, Plan, Topology, TreeStrategy};
use peerstream_sdk::protocol::id::NodeId;
use peerstream_sdk::protocol::time::Micros;

/// Changes that happen between two looks at the clock.
const BATCH: u64 = 256;
/// Changes that are told in one call, where they are told together.
const TOGETHER: usize = 64;

struct World {
    topology: Topology,
    strategy: Dumbbell,
    audience: Audience,
}

impl World {
    fn new(viewers: usize) -> Self {
        let (audience, start, now) = Audience::steady(viewers, 7);
        let mut topology = Topology::new(2);
        let mut strategy = Dumbbell::default();
        for (node, joined_at) in start {
            topology.insert(node, Member::new(2, true, joined_at)).unwrap();
            let plan = decide(&mut strategy, &topology, joined_at, &[Event::Joined(node)]);
            plan.groups().iter().for_each(|group| topology.commit(group).unwrap());
        }
        decide(&mut strategy, &topology, now, &[Event::Tick]);
        let mut world = Self { topology, strategy, audience };
        for _ in 0..viewers as u64 / 4 / BATCH {
            world.with_topology();
        }
        world
    }

    fn happens(&mut self) -> (Micros, Event) {
        let (at, change) = self.audience.next();
        (at, self.enter(at, change))
    }

    fn enter(&mut self, at: Micros, change: Change) -> Event {
        match change {
            Change::Joins(node) => {
                self.topology.insert(node, Member::new(2, true, at)).unwrap();
                Event::Joined(node)
            }
            Change::Leaves(node) => {
                self.topology.remove(node);
                Event::Left(node)
            }
        }
    }

    /// Time for a batch of decisions alone, each told in a call of its own.
    fn one_by_one(&mut self) -> Duration {
        self.alone(1)
    }

    /// The same, with several told in one call.
    fn together(&mut self) -> Duration {
        self.alone(TOGETHER)
    }

    /// Time for a batch of decisions alone; the topology keeps up outside the clock.
    fn alone(&mut self, at_once: usize) -> Duration {
        let mut events = Vec::new();
        let mut joined = Vec::new();
        for _ in 0..BATCH {
            let (at, change) = self.audience.next();
            match change {
                // Who leaves within the batch has to be known until then.
                Change::Leaves(node) if joined.contains(&node) => events.push((at, Event::Left(node))),
                Change::Leaves(_) => events.push((at, self.enter(at, change))),
                Change::Joins(node) => {
                    joined.push(node);
                    events.push((at, self.enter(at, change)));
                }
            }
        }
        let calls: Vec<(Micros, Vec<Event>)> = events
            .chunks(at_once)
            .map(|told| (told[told.len() - 1].0, told.iter().map(|(_, event)| *event).collect()))
            .collect();
        let mut plans = Vec::with_capacity(calls.len());
        let start = cpu_time();
        for (at, told) in &calls {
            plans.push(decide(&mut self.strategy, &self.topology, *at, told));
        }
        let taken = cpu_time() - start;
        std::hint::black_box(plans);
        for (_, event) in &events {
            if let Event::Left(node) = event {
                self.topology.remove(*node);
            }
        }
        taken
    }

    /// Time for a batch of decisions with everything the topology does for them.
    fn with_topology(&mut self) -> Duration {
        let start = cpu_time();
        for _ in 0..BATCH {
            let (at, event) = self.happens();
            let plan = decide(&mut self.strategy, &self.topology, at, &[event]);
            plan.groups().iter().for_each(|group| self.topology.commit(group).unwrap());
        }
        cpu_time() - start
    }
}

/// Time this thread has run: what others do on the machine counts only through its caches.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on every Unix, and `time` outlives the call.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(failed, 0, "no clock of the thread's time");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn decide(strategy: &mut Dumbbell, topology: &Topology, now: Micros, events: &[Event]) -> Plan {
    let mut plan = Plan::default();
    strategy.on_events(&Context { topology, now, source: NodeId::SOURCE }, events, &mut plan);
    plan
}

fn decisions(c: &mut Criterion) {
    let mut group = c.benchmark_group("a join or a leave");
    group.throughput(Throughput::Elements(1)).sample_size(20).warm_up_time(Duration::from_secs(1));
    group.measurement_time(Duration::from_secs(3));
    type Measure = fn(&mut World) -> Duration;
    let kinds: [(&str, Measure); 3] = [
        ("with topology", World::with_topology),
        ("strategy alone", World::one_by_one),
        ("strategy alone, 64 at once", World::together),
    ];
    for viewers in [1_000, 10_000, 100_000, 1_000_000] {
        let mut world = None;
        for (name, measure) in kinds {
            group.bench_function(BenchmarkId::new(name, viewers), |b| {
                let world = world.get_or_insert_with(|| World::new(viewers));
                b.iter_custom(|changes| {
                    let batches = changes.div_ceil(BATCH);
                    let taken: Duration = (0..batches).map(|_| measure(world)).sum();
                    taken.mul_f64(changes as f64 / (batches * BATCH) as f64)
                });
            });
        }
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
