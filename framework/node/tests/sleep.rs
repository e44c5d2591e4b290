//! A machine that slept, or whose network has changed, does not wait for what is dead.

#[allow(dead_code)]
mod fed;

use fed::{Fed, Maker};
use peerstream_node::{Input, Output};
use peerstream_protocol::time::Micros;

/// Lets time go by in steps of 100 ms; what the control connection is ordered to do.
fn wait(fed: &mut Fed, ms: u64) -> Vec<Output> {
    let mut orders = Vec::new();
    for _ in 0..ms / 100 {
        fed.now += Micros::from_millis(100);
        orders.extend(fed.give(Input::Tick));
    }
    orders.retain(|order| matches!(order, Output::OpenControl(_) | Output::CloseControl));
    orders
}

fn fed() -> Fed {
    Fed::new(&Maker::new().cert, 0)
}

#[test]
fn a_silent_coordinator_is_waited_for_only_when_nothing_has_happened() {
    let mut fed = fed();
    assert!(wait(&mut fed, 6_000).is_empty());
    fed.give(Input::Woke);
    assert_eq!(wait(&mut fed, 5_000), [Output::CloseControl, Output::OpenControl(0)]);
}

#[test]
fn time_that_jumps_is_a_sleep() {
    let mut fed = fed();
    fed.now += Micros::from_secs(3_600);
    let at_once = fed.give(Input::Tick);
    assert!(!at_once.contains(&Output::CloseControl), "the connection may have lived");
    assert_eq!(wait(&mut fed, 5_000), [Output::CloseControl, Output::OpenControl(0)]);
}

#[test]
fn a_connection_that_is_waited_for_is_opened_at_once() {
    let mut fed = fed();
    for _ in 0..6 {
        fed.give(Input::ControlDown);
        while !wait(&mut fed, 100).contains(&Output::OpenControl(0)) {}
    }
    fed.give(Input::ControlDown);
    let woke = fed.give(Input::Woke);
    assert!(woke.contains(&Output::OpenControl(0)), "{woke:?}");
}
