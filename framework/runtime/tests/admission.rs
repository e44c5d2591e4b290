//! The layers around an admission policy.

mod common;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use peerstream::plugins::admission::{Answer, Gate};
use peerstream::plugins::options::{self, OnFailure};
use peerstream::plugins::{Running, State};
use peerstream::traits::admission::{AdmissionPolicy, JoinRequest, PROOF_BYTES_MAX, Task, Verdict};
use peerstream::traits::{Lifecycle, PluginError};

use common::{counted, instance, none, shown};

/// Lets in who says `please`.
struct Polite;

impl Lifecycle for Polite {}

#[async_trait]
impl AdmissionPolicy for Polite {
    async fn admit(&self, request: &JoinRequest) -> Result<Verdict, PluginError> {
        match request.proof.as_deref() {
            Some("please") => Ok(Verdict::allow(Duration::from_secs(60))),
            Some("hang") => std::future::pending().await,
            Some("fail") => Err(PluginError::unavailable("the database is away")),
            Some("panic") => panic!("out of cheese"),
            Some(_) => Ok(Verdict::deny("say please")),
            None => Ok(Verdict::Challenge { task: Task::Token }),
        }
    }
}

async fn run(options: options::Admission) -> Running {
    let mut plugins = none();
    plugins.admission = Some(instance("door", Arc::new(Polite) as _, options));
    plugins.start().await.unwrap()
}

async fn ask(gate: &Gate, proof: &str) -> Answer {
    gate.ask("192.0.2.1", Some(proof.to_owned()).filter(|proof| !proof.is_empty())).await
}

#[tokio::test(start_paused = true)]
async fn a_ticket_of_the_gate_opens_it_for_its_network() {
    let running = run(options::Admission::default()).await;
    let gate = running.gate();
    assert!(!gate.is_open() && !gate.admits(None, "192.0.2.1") && !gate.admits(Some("x"), "192.0.2.1"));
    let Answer::Allow { ticket, ttl_s: 60 } = ask(gate, "please").await else { panic!("let in") };
    assert!(gate.admits(Some(&ticket), "192.0.2.1") && !gate.admits(Some(&ticket), "192.0.2.2"));
    assert_eq!(ask(gate, "").await, Answer::Challenge(Task::Token));
    assert_eq!(ask(gate, "now").await, Answer::Deny("say please".into()));
    assert!(matches!(ask(gate, &"x".repeat(PROOF_BYTES_MAX + 1)).await, Answer::Deny(_)));
    assert_eq!(counted(running.statuses(), "door", "allowed"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_means_what_the_config_says() {
    for (on_failure, allowed) in [(OnFailure::Closed, false), (OnFailure::Open, true)] {
        let running = run(options::Admission { on_failure, ..Default::default() }).await;
        for proof in ["fail", "hang"] {
            let began = tokio::time::Instant::now();
            let answer = ask(running.gate(), proof).await;
            assert_eq!(matches!(answer, Answer::Allow { .. }), allowed, "{proof}: {answer:?}");
            if let Answer::Deny(message) = answer {
                assert!(!message.contains("database"), "{message}");
            }
            assert!(began.elapsed() <= Duration::from_secs(2));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_panics_is_not_asked_again() {
    let running = run(options::Admission::default()).await;
    assert!(matches!(ask(running.gate(), "panic").await, Answer::Deny(_)));
    assert_eq!(shown(running.statuses(), "door").state, State::Failed);
    assert!(matches!(ask(running.gate(), "please").await, Answer::Deny(_)));
    assert_eq!(counted(running.statuses(), "door", "allowed"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_at_once_are_answered_or_told_to_come_back() {
    let running = run(options::Admission { at_once_max: 64, ..Default::default() }).await;
    let hung = (0..64).map(|_| {
        let gate = running.gate().clone();
        tokio::spawn(async move { ask(&gate, "hang").await })
    });
    let hung: Vec<_> = hung.collect();
    while counted(running.statuses(), "door", "busy") == 0 {
        ask(running.gate(), "please").await;
        tokio::task::yield_now().await;
    }
    let crowd = (0..10_000).map(|_| {
        let gate = running.gate().clone();
        tokio::spawn(async move { ask(&gate, "please").await })
    });
    let crowd: Vec<_> = crowd.collect();
    for answer in crowd {
        assert!(matches!(answer.await.unwrap(), Answer::Busy | Answer::Allow { .. }));
    }
    for answer in hung {
        // One whose place was taken for the moment was told to come back.
        assert!(matches!(answer.await.unwrap(), Answer::Busy | Answer::Deny(_)));
    }
    let Answer::Allow { .. } = ask(running.gate(), "please").await else { panic!("places are given back") };
}
