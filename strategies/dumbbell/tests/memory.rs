//! What a node costs in memory, counted by the allocator.
//!
//! `PEERSTREAM_NODES=1000000 cargo test --release -p peerstream-dumbbell --test memory -- --nocapture` says it for a
//! million.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use peerstream_dumbbell::Dumbbell;
use peerstream_sdk::overlay::{Context, Event, Member, Plan, Topology, TreeStrategy};
use peerstream_sdk::protocol::id::NodeId;
use peerstream_sdk::protocol::time::Micros;

struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; only a counter is kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn bytes() -> usize {
    BYTES.load(Ordering::Relaxed)
}

#[test]
fn a_node_costs_at_most_200_bytes_in_the_strategy_and_300_in_the_topology() {
    let nodes = std::env::var("PEERSTREAM_NODES").ok().and_then(|nodes| nodes.parse().ok()).unwrap_or(60_000);
    let before = bytes();
    let mut topology = Topology::new(2);
    let mut strategy = Dumbbell::default();
    let mut of_strategy = 0;
    for number in 1..=nodes {
        let (node, now) = (NodeId(number as u64), Micros::from_millis(number as u64));
        topology.insert(node, Member::new(2, true, now)).unwrap();
        let mut plan = Plan::default();
        let earlier = bytes();
        let context = Context { topology: &topology, now, source: NodeId::SOURCE };
        strategy.on_events(&context, &[Event::Joined(node)], &mut plan);
        let groups = plan.groups().to_vec();
        drop(plan);
        of_strategy += bytes() as i64 - earlier as i64;
        groups.iter().for_each(|group| of_strategy -= size_of_val(group.ops()) as i64);
        of_strategy -= size_of_val(&groups[..]) as i64;
        groups.iter().for_each(|group| topology.commit(group).unwrap());
    }
    let in_all = (bytes() - before) as f64 / nodes as f64;
    let strategy = of_strategy as f64 / nodes as f64;
    println!("{nodes} nodes: strategy {strategy:.0} bytes per node, topology {:.0}", in_all - strategy);
    assert!(strategy <= 200.0, "{strategy} bytes per node");
    assert!(in_all - strategy <= 300.0, "{} bytes per node", in_all - strategy);
}
