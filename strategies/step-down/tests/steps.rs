//! Who goes down when.

use peerstream_sdk::prelude::*;
use peerstream_step_down::{Config, StepDown};

fn policy(config: Config) -> StepDown {
    StepDown::build(config, &BuildContext::new("ladder")).unwrap()
}

fn decide(
    policy: &mut StepDown,
    leaves: &[NodeId],
    members: usize,
    unplaced: usize,
    second: u64,
) -> Vec<(NodeId, Rung)> {
    let now = Micros::from_secs(1_000 + second);
    policy.decide(&Overload { now, members, struggling: members, unplaced, leaves })
}

fn leaves(count: u64) -> Vec<NodeId> {
    (1..=count).map(NodeId).collect()
}

#[test]
fn leaves_go_down_in_batches_and_nobody_twice_in_its_time() {
    let mut policy = policy(Config::default());
    let leaves = leaves(1_000);
    let mut went = Vec::new();
    let sizes: Vec<_> = (0..12)
        .map(|second| {
            let going = decide(&mut policy, &leaves, 1_000, 0, second);
            assert!(going.iter().all(|(_, rung)| *rung == Rung::Lower));
            went.extend(going.iter().map(|(leaf, _)| *leaf));
            going.len()
        })
        .collect();
    assert_eq!(sizes, [20, 0, 0, 0, 0, 20, 0, 0, 0, 0, 20, 0]);
    assert_eq!(went, leaves[..60]);
}

#[test]
fn one_that_still_struggles_after_its_time_is_turned_away() {
    let mut policy = policy(Config { dwell_s: 10, ..Config::default() });
    let one = leaves(1);
    let rungs: Vec<_> = (0..12).flat_map(|second| decide(&mut policy, &one, 5, 0, second)).collect();
    assert_eq!(rungs, [(NodeId(1), Rung::Lower), (NodeId(1), Rung::Shed)]);
}

#[test]
fn a_short_trouble_moves_nobody() {
    let mut policy = policy(Config { hold_s: 5, ..Config::default() });
    let leaves = leaves(100);
    let mut at = |second| decide(&mut policy, &leaves, 100, 0, second).len();
    assert_eq!([at(0), at(1), at(4)], [0, 0, 0]);
    // Calm in between: it begins anew.
    assert_eq!([at(20), at(22), at(24)], [0, 0, 0]);
    assert_eq!(at(25), 2);
}

#[test]
fn as_many_as_have_no_place_go_at_once() {
    let mut policy = policy(Config { hold_s: 60, ..Config::default() });
    let leaves = leaves(1_000);
    let sizes = [(150, 0), (3, 1), (0, 2)]
        .map(|(unplaced, second)| decide(&mut policy, &leaves, 1_000, unplaced, second).len());
    assert_eq!(sizes, [150, 3, 0]);
}

#[test]
fn the_same_questions_have_the_same_answers() {
    let run = || {
        let mut policy = policy(Config::default());
        (0..60).map(|second| decide(&mut policy, &leaves(300), 400, second as usize % 3, second)).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn a_batch_of_nobody_is_refused() {
    let mut violations = Violations::default();
    Config { batch_permille: 0, ..Config::default() }.validate(&mut violations);
    assert_eq!(violations.into_vec()[0].path, "batch_permille");
    assert!(serde_json::from_str::<Config>(r#"{"pause": 3}"#).is_err());
}
