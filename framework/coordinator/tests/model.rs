//! Every interleaving of a few nodes' orders, reports and mishaps, with the real coordinator and the real reconcilers.
//!
//! `docs/assignments.md` says what was checked, how many states that is and how long it takes.

mod checker;
mod world;

use checker::*;

const CALM: Troubles =
    Troubles { lost: 0, doubled: 0, late: 0, seconds: 0, cut: 0, deaths: 0, leaves: 0, joins: 0, failed_links: 0 };

/// P, fed by S, shall go below Q; then P shall stay at S, and Q go below P's child X.
fn circle() -> Scenario {
    Scenario { start: &[(1, 0), (2, 0), (3, 1)], plans: &[&[(1, 2)], &[(1, 0), (2, 3)]], ..Scenario::default() }
}

/// A2 and its child A4 change places.
fn swap() -> Scenario {
    Scenario { start: &[(1, 0), (2, 1), (3, 2)], plans: &[&[(3, 1), (2, 3)]], ..Scenario::default() }
}

/// The same, and the child of A4 stays in its place, below A2.
fn swap_in_a_chain() -> Scenario {
    Scenario { start: &[(1, 0), (2, 1), (3, 2), (4, 3)], plans: &[&[(3, 1), (2, 3), (4, 2)]], ..Scenario::default() }
}

/// A goes from P to Q.
fn change() -> Scenario {
    Scenario { start: &[(1, 0), (2, 0), (3, 1)], plans: &[&[(3, 2)]], ..Scenario::default() }
}

/// C comes to P, which is full, and A goes from P to Q.
fn exchange() -> Scenario {
    Scenario { start: &[(1, 0), (2, 0), (3, 1), (4, 1), (5, 2)], plans: &[&[(5, 1), (3, 2)]], ..Scenario::default() }
}

/// Both children of the source change places with their children.
fn two_swaps() -> Scenario {
    Scenario {
        start: &[(1, 0), (2, 0), (3, 1), (4, 2)],
        plans: &[&[(3, 0), (4, 0), (1, 3), (2, 4)]],
        ..Scenario::default()
    }
}

/// Three moves, each to make room for the one before: A5 to A4, A9 to A8, A17 to A16 (here 2 to 1, 4 to 3, 6 to 5).
fn cascade() -> Scenario {
    Scenario {
        start: &[(1, 0), (2, 0), (3, 1), (4, 1), (5, 3), (6, 3)],
        plans: &[&[(2, 1), (4, 3), (6, 5)]],
        ..Scenario::default()
    }
}

/// Q is far above P, P above X. P shall go to the source, and Q below X.
fn long_way_round() -> Scenario {
    Scenario { start: &[(1, 0), (2, 1), (3, 2), (4, 3)], plans: &[&[(3, 0), (1, 4)]], ..Scenario::default() }
}

#[test]
fn a_late_order_does_not_close_a_circle() {
    explore("circle, lost, doubled", with(Troubles { lost: 1, doubled: 1, ..CALM }, circle()));
    explore("circle, a second passes", with(Troubles { seconds: 1, ..CALM }, circle()));
    explore("circle, lost, late", with(Troubles { lost: 1, late: 1, ..CALM }, circle()));
}

#[test]
fn a_parent_and_its_child_change_places() {
    explore("swap, lost, late", with(Troubles { lost: 1, late: 1, ..CALM }, swap()));
    explore("swap, control connection cut", with(Troubles { cut: 1, ..CALM }, swap()));
    explore("swap, slow links, one fails", with(Troubles { failed_links: 1, ..CALM }, slowly(swap())));
    explore("swap in a chain", swap_in_a_chain());
    explore("two swaps below the source", two_swaps());
}

#[test]
fn a_release_may_overtake_its_assignment() {
    explore("exchange, lost", with(Troubles { lost: 1, ..CALM }, exchange()));
    explore("exchange, late", with(Troubles { late: 1, ..CALM }, exchange()));
}

#[test]
fn a_child_that_never_confirms_is_let_go_two_seconds_late() {
    explore("silent child", with(Troubles { seconds: 3, ..CALM }, Scenario { silent: Some(3), ..change() }));
}

#[test]
fn nodes_come_and_go_while_one_moves() {
    explore("change, death", with(Troubles { deaths: 1, ..CALM }, change()));
    explore("change, leave", with(Troubles { leaves: 1, ..CALM }, change()));
    explore("change, join", with(Troubles { joins: 1, ..CALM }, change()));
}

#[test]
fn a_cascade_of_three_moves_bears_a_death_at_every_step() {
    every_death(cascade(), 24);
}

/// `docs/assignments.md` says how large and how long.
#[test]
#[ignore = "takes more than a minute"]
fn larger_ones() {
    explore("swap in a chain, late", with(Troubles { late: 1, ..CALM }, swap_in_a_chain()));
    explore("swap, two seconds pass", with(Troubles { seconds: 2, ..CALM }, swap()));
    explore("change, cut, death", with(Troubles { cut: 1, deaths: 1, ..CALM }, change()));
}

fn with(troubles: Troubles, scenario: Scenario) -> Scenario {
    Scenario { troubles, ..scenario }
}

fn slowly(scenario: Scenario) -> Scenario {
    Scenario { slow_links: true, ..scenario }
}

// Each property can fail.

fn mutant(mutant: Mutant, scenario: Scenario) -> Scenario {
    Scenario { mutant: Some(mutant), ..scenario }
}

#[test]
fn the_checker_finds_a_node_that_takes_an_older_assignment() {
    explore_until_broken(LATEST, mutant(Mutant::TakesOlder, with(Troubles { late: 1, ..CALM }, circle())));
}

#[test]
fn the_checker_finds_a_circle_when_edges_count_as_confirmed_once_sent() {
    explore_until_broken(NO_CYCLE, mutant(Mutant::ConfirmsAtOnce, long_way_round()));
}

#[test]
fn the_checker_finds_nodes_without_the_source_when_edges_count_as_confirmed_once_sent() {
    explore_until_broken(SOURCE_ABOVE, mutant(Mutant::ConfirmsAtOnce, circle()));
}

#[test]
fn the_checker_finds_a_fourth_copy_when_conditions_are_ignored() {
    explore_until_broken(COPIES, mutant(Mutant::IgnoresConditions, two_swaps()));
}

#[test]
fn the_checker_finds_a_gap_when_old_parents_go_at_once() {
    explore_until_broken(NOT_TORN, mutant(Mutant::LetsGoAtOnce, change()));
}

#[test]
fn the_checker_finds_a_lost_assignment_that_nobody_sends_again() {
    explore_until_broken(DELIVERED, mutant(Mutant::SpeaksOnce, with(Troubles { lost: 1, ..CALM }, change())));
}
