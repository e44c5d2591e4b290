//! The rules of compliance handlers.

use std::collections::BTreeMap;

use peerstream_traits::compliance::{Case, Contact, Decision, Notice, Regime, SharedHandler};

use super::Rule;
use super::life::{started, stops};

/// Makes instances, each on a fresh place.
pub type Make = Box<dyn Fn() -> SharedHandler>;

/// Makes instances by this function.
pub fn of(make: impl Fn() -> SharedHandler + 'static) -> Make {
    Box::new(make)
}

/// The rules.
pub const RULES: &[Rule<Make>] = &[
    Rule {
        name: "it_stops_without_a_start_and_twice",
        why: "a start may fail, and a host that ends may have begun to end already",
        check: |make| stops(make),
    },
    Rule {
        name: "an_incomplete_notice_never_acts",
        why: "nobody may stop a broadcast by sending an empty form",
        check: incomplete,
    },
    Rule {
        name: "the_same_case_gets_the_same_decision",
        why: "a case is shown again when nobody knows whether its decision was heard",
        check: same,
    },
];

/// A case of a complete notice, or one that lacks all but its regime.
pub fn case(id: u64, regime: Regime, complete: bool) -> Case {
    let text = |text: &str| if complete { text.to_owned() } else { String::new() };
    let notice = Notice {
        regime,
        claimant: Contact { name: text("A. Author"), email: text("author@example.org"), address: text("1 Road") },
        subject: text("a song"),
        explanation: text("it is mine"),
        from_s: complete.then_some(60.0),
        to_s: complete.then_some(90.0),
        statements: if complete {
            BTreeMap::from([("good-faith".into(), "I believe".into())])
        } else {
            BTreeMap::new()
        },
        signature: complete.then(|| "A. Author".to_owned()),
    };
    Case { id, revision: 1, opened_us: 1_700_000_000_000_000, stream: "07".repeat(32), epoch: 3, notice }
}

fn incomplete(make: &Make) -> Result<(), String> {
    started(make, |handler| async move {
        for (id, regime) in (1..).zip(handler.regimes()) {
            // To fail is fine: the case stays open and nothing is done.
            if let Ok(Decision::Act { actions, .. }) = handler.assess(&case(id, regime, false)).await {
                return Err(format!("an empty notice under {regime:?} leads to {actions:?}"));
            }
        }
        Ok(())
    })
}

fn same(make: &Make) -> Result<(), String> {
    started(make, |handler| async move {
        for (id, regime) in (1..).zip(handler.regimes()) {
            let case = case(id, regime, true);
            let mut decisions = Vec::new();
            for _ in 0..2 {
                decisions.push(handler.assess(&case).await.map_err(|error| format!("it fails: {error}"))?);
            }
            if decisions[0] != decisions[1] {
                return Err(format!("under {regime:?} it decides {:?} and then {:?}", decisions[0], decisions[1]));
            }
        }
        Ok(())
    })
}
