//! The rules of ladder policies.

use std::collections::BTreeSet;

use peerstream_overlay::{LadderPolicy, Overload, Rung};
use peerstream_protocol::id::NodeId;
use peerstream_protocol::time::Micros;
use peerstream_traits::Plugin;
use peerstream_traits::ladder::BoxedLadder;

use super::Rule;
use super::chance::Chance;

/// Makes instances.
pub type Make = Box<dyn Fn() -> BoxedLadder>;

/// Makes instances of a type with its default options.
pub fn of<P: Plugin + LadderPolicy>() -> Make {
    Box::new(|| Box::new(super::build::<P>()))
}

/// Questions asked, a second apart.
const QUESTIONS: u64 = 200;

/// The rules.
pub const RULES: &[Rule<Make>] = &[
    Rule {
        name: "only_the_leaves_it_was_told_of_are_concerned",
        why: "who feeds others must not be turned away, for they all would be",
        check: only_leaves,
    },
    Rule {
        name: "the_same_questions_get_the_same_answers",
        why: "the lab and whoever looks for a mistake must get what really happened",
        check: same_answers,
    },
    Rule {
        name: "those_without_a_place_do_not_wait_for_ever",
        why: "they see nothing, and nobody else can help them",
        check: unplaced,
    },
];

fn questions(seed: u64, mut ask: impl FnMut(&Overload<'_>) -> Result<(), String>) -> Result<(), String> {
    let mut chance = Chance::new(seed);
    for second in 0..QUESTIONS {
        let members = 1 + chance.below(1_000);
        let leaves: Vec<_> = (0..1 + chance.below(members)).map(|name| NodeId(name as u64 + 1)).collect();
        let (struggling, unplaced) = (chance.below(members + 1), chance.below(leaves.len() + 1));
        let now = Micros::from_secs(1_000 + second);
        ask(&Overload { now, members, struggling, unplaced, leaves: &leaves })?;
    }
    Ok(())
}

fn only_leaves(make: &Make) -> Result<(), String> {
    let mut policy = make();
    questions(1, |overload| {
        let told: BTreeSet<_> = overload.leaves.iter().collect();
        let answers = policy.decide(overload);
        match answers.iter().find(|(node, _)| !told.contains(node)) {
            Some((node, rung)) => Err(format!("{node} is to {rung:?}, which was not among the leaves")),
            None => Ok(()),
        }
    })
}

fn same_answers(make: &Make) -> Result<(), String> {
    let (mut one, mut other) = (make(), make());
    questions(2, |overload| {
        let (a, b) = (one.decide(overload), other.decide(overload));
        if a == b { Ok(()) } else { Err(format!("{a:?} and then {b:?}")) }
    })
}

fn unplaced(make: &Make) -> Result<(), String> {
    let mut policy = make();
    let leaves = [NodeId(1), NodeId(2)];
    for second in 0..600 {
        let now = Micros::from_secs(1_000 + second);
        let overload = Overload { now, members: 4, struggling: 0, unplaced: 2, leaves: &leaves };
        if policy.decide(&overload).iter().any(|(_, rung)| *rung != Rung::Stay) {
            return Ok(());
        }
    }
    Err("two of four wait without a place for 600 s, and nothing was decided".to_owned())
}
