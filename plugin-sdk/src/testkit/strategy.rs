//! The rules of tree strategies.

use peerstream_overlay::{Event, Plan, Reject, TreeStrategy};
use peerstream_protocol::id::NodeId;
use peerstream_traits::Plugin;
use peerstream_traits::strategy::BoxedStrategy;

use super::Rule;
use super::overlay::{Overlay, wild_topology};

/// Makes instances.
pub type Make = Box<dyn Fn() -> BoxedStrategy>;

/// Makes instances of a type with its default options.
pub fn of<P: Plugin + TreeStrategy>() -> Make {
    Box::new(|| Box::new(super::build::<P>()))
}

/// Each rule is checked with the seeds 1 to this.
const SEEDS: u64 = 6;
/// Steps of coming and going.
const STEPS: usize = 120;
/// About so many members.
const MEMBERS: usize = 100;
/// Within so many ticks all is as it should be.
const TICKS: usize = 300;
/// For so many ticks it stays so.
const QUIET_TICKS: usize = 60;
/// Operations for an event, on average.
const OPS_PER_EVENT: usize = 200;

/// The rules.
pub const RULES: &[Rule<Make>] = &[
    Rule {
        name: "the_same_events_give_the_same_plans",
        why: "the lab, a standby coordinator and whoever looks for a mistake must get what really happened",
        check: same_plans,
    },
    Rule {
        name: "every_plan_is_valid_while_people_come_and_go",
        why: "a rejected group changes nothing, so somebody waits; three in a row and the strategy has to begin anew",
        check: valid_plans,
    },
    Rule {
        name: "everybody_gets_a_place_when_the_coming_and_going_ends",
        why: "who has no place sees nothing",
        check: everybody_placed,
    },
    Rule {
        name: "nobody_moves_while_nothing_happens",
        why: "each move costs links, and may cost a viewer a moment",
        check: quiet,
    },
    Rule {
        name: "any_overlay_can_be_taken_over",
        why: "a strategy can be chosen while a broadcast runs, and takes over when another one fails",
        check: takes_over,
    },
    Rule {
        name: "nonsense_does_no_harm",
        why: "a node may have left again before its joining is told, and what a node reports may be wrong",
        check: nonsense,
    },
    Rule { name: "work_is_bounded", why: "a plan that moves everybody at each event is no plan", check: bounded },
];

fn each_seed(check: impl Fn(u64) -> Result<(), String>) -> Result<(), String> {
    (1..=SEEDS).try_for_each(|seed| check(seed).map_err(|found| format!("seed {seed}: {found}")))
}

fn same_plans(make: &Make) -> Result<(), String> {
    each_seed(|seed| compare(make, make, seed, STEPS))
}

/// Whether the instances of both give the same plans for the same events. What differs first is told.
pub fn compare(a: &Make, b: &Make, seed: u64, steps: usize) -> Result<(), String> {
    let (mut one, mut other) = (Overlay::new(a(), seed), Overlay::new(b(), seed));
    for step in 0..steps {
        one.churn(MEMBERS);
        other.churn(MEMBERS);
        if one.plan != other.plan {
            return Err(format!("step {step}: {:?} and then {:?}", first(&one.plan), first(&other.plan)));
        }
    }
    Ok(())
}

fn first(plan: &Plan) -> Option<&peerstream_overlay::Group> {
    plan.groups().first()
}

fn churned(make: &Make, seed: u64) -> Result<Overlay, String> {
    let mut overlay = Overlay::new(make(), seed);
    for step in 0..STEPS {
        overlay.churn(MEMBERS);
        if let Some(rejection) = &overlay.rejection {
            return Err(format!("step {step}: {rejection}"));
        }
    }
    Ok(overlay)
}

fn valid_plans(make: &Make) -> Result<(), String> {
    each_seed(|seed| churned(make, seed).map(drop))
}

/// The overlay after everybody can relay and some time has passed.
fn settled(mut overlay: Overlay) -> Result<Overlay, String> {
    overlay.calm();
    (0..TICKS).for_each(|_| overlay.tick());
    let unreached = overlay.unreached();
    match unreached.first() {
        None => Ok(overlay),
        Some(node) => {
            let (lost, all) = (unreached.len(), overlay.topology.len());
            Err(format!("{lost} of {all} members, {node} among them, have no way to the source after {TICKS} ticks"))
        }
    }
}

fn everybody_placed(make: &Make) -> Result<(), String> {
    each_seed(|seed| settled(churned(make, seed)?).map(drop))
}

fn quiet(make: &Make) -> Result<(), String> {
    each_seed(|seed| {
        let mut overlay = settled(churned(make, seed)?)?;
        let before = overlay.ops;
        (0..QUIET_TICKS).for_each(|_| overlay.tick());
        let ops = overlay.ops - before;
        if ops == 0 {
            Ok(())
        } else {
            Err(format!("{ops} operations in {QUIET_TICKS} ticks in which nothing happened"))
        }
    })
}

fn takes_over(make: &Make) -> Result<(), String> {
    each_seed(|seed| {
        let mut overlay = Overlay::running(make(), seed, wild_topology(seed, MEMBERS as u64));
        overlay.tick();
        if let Some(rejection) = &overlay.rejection {
            return Err(format!("as it takes over: {rejection}"));
        }
        settled(overlay).map(drop)
    })
}

fn nonsense(make: &Make) -> Result<(), String> {
    each_seed(|seed| {
        let mut overlay = churned(make, seed)?;
        let stranger = NodeId(u64::MAX / 2);
        let known = overlay.someone().unwrap_or(stranger);
        overlay.tell(vec![
            Event::Left(stranger),
            Event::Joined(stranger),
            Event::Joined(known),
            Event::Changed(stranger),
            Event::LinkFailed { a: stranger, b: known },
            Event::LinkFailed { a: known, b: known },
            Event::LinkFailed { a: NodeId::SOURCE, b: stranger },
            Event::Underperforms(stranger),
            Event::Underperforms(NodeId::SOURCE),
            Event::Left(stranger),
            Event::Rejected { group: 99, reason: Reject::Cycle(stranger) },
        ]);
        settled(overlay).map(drop)
    })
}

fn bounded(make: &Make) -> Result<(), String> {
    each_seed(|seed| {
        let overlay = churned(make, seed)?;
        let (ops, events) = (overlay.ops, overlay.events.max(1));
        if ops <= events * OPS_PER_EVENT {
            return Ok(());
        }
        Err(format!("{ops} operations for {events} events, expected at most {OPS_PER_EVENT} for each"))
    })
}
