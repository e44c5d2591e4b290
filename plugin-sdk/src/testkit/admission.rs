//! The rules of admission policies.

use peerstream_traits::admission::{JoinRequest, SharedPolicy, Verdict};

use super::Rule;
use super::life::{started, stops};

/// Makes instances.
pub type Make = Box<dyn Fn() -> SharedPolicy>;

/// Makes instances by this function.
pub fn of(make: impl Fn() -> SharedPolicy + 'static) -> Make {
    Box::new(make)
}

/// Requests at once.
const MANY: usize = 1_000;

/// The rules.
pub const RULES: &[Rule<Make>] = &[
    Rule {
        name: "it_stops_without_a_start_and_twice",
        why: "a start may fail, and a host that ends may have begun to end already",
        check: |make| stops(make),
    },
    Rule {
        name: "nonsense_is_not_let_in_unless_everybody_is",
        why: "what a newcomer shows comes from the network",
        check: nonsense,
    },
    Rule {
        name: "who_shows_nothing_is_told_what_to_do",
        why: "the first request of every page shows nothing",
        check: empty_handed,
    },
    Rule { name: "many_can_ask_at_once", why: "a crowd comes all at once", check: many },
];

/// Somebody who shows this.
pub fn request(proof: Option<&str>) -> JoinRequest {
    JoinRequest {
        stream: "07".repeat(32),
        network: "192.0.2.7".into(),
        proof: proof.map(str::to_owned),
        now_us: 1_700_000_000_000_000,
    }
}

fn nonsense(make: &Make) -> Result<(), String> {
    started(make, |policy| async move {
        let long = "9".repeat(4_000);
        for proof in ["", ".", "null", "a.b.c", "\u{0}", "💥💥💥", "1:2:3:4:5", &long] {
            let verdict = policy.admit(&request(Some(proof))).await;
            if !policy.is_open() && matches!(verdict, Ok(Verdict::Allow { .. })) {
                return Err(format!("`{}` is let in", proof.escape_debug()));
            }
        }
        Ok(())
    })
}

fn empty_handed(make: &Make) -> Result<(), String> {
    started(make, |policy| async move {
        match policy.admit(&request(None)).await {
            Ok(Verdict::Allow { .. }) if policy.is_open() => Ok(()),
            Ok(Verdict::Challenge { .. }) if !policy.is_open() => Ok(()),
            Ok(Verdict::Deny { message }) if !policy.is_open() && !message.is_empty() => Ok(()),
            other => Err(format!("open is {}, and the answer to nobody is {other:?}", policy.is_open())),
        }
    })
}

fn many(make: &Make) -> Result<(), String> {
    started(make, |policy| async move {
        let asked: Vec<_> = (0..MANY)
            .map(|_| {
                let policy = policy.clone();
                tokio::spawn(async move { policy.admit(&request(None)).await })
            })
            .collect();
        for answer in asked {
            let answer = answer.await.map_err(|_| "a request panicked".to_owned())?;
            answer.map_err(|error| format!("one of {MANY} requests fails: {error}"))?;
        }
        Ok(())
    })
}
