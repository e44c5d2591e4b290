//! The rules that every tree strategy keeps, also through the binary interface.

use peerstream_dumbbell::Dumbbell;
use peerstream_loader::Loaded;
use peerstream_sdk::dynamic::{self, Library};
use peerstream_sdk::testkit::strategy::{Make, compare, of};
use peerstream_sdk::traits::Registration;
use serde_json::json;

peerstream_sdk::strategy_suite!(Dumbbell);

struct Linked;

impl Library for Linked {
    const PLUGINS: &'static [Registration] = &[Registration::strategy::<Dumbbell>("dumbbell", "0")];
}

/// Steps of coming and going, about four events each.
fn steps() -> usize {
    std::env::var("PEERSTREAM_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(5_000)
}

#[test]
fn the_plans_are_the_same_through_the_binary_interface() {
    static API: dynamic::Api = dynamic::api::<Linked>();
    let loaded = Loaded::of_table(&API).unwrap().remove(0);
    let loaded: Make = Box::new(move || loaded.build_direct(&json!({})).unwrap());
    for seed in [1, 2] {
        compare(&of::<Dumbbell>(), &loaded, seed, steps() / 2).unwrap();
    }
}
