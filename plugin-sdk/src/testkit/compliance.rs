//! The rules of compliance handlers.

use peerstream_protocol::crypto::SecretKey;
use peerstream_traits::compliance::{
    Actor, Case, Claimant, Decision, Docket, Evidence, Material, Notice, Profile, SharedHandler, State, Step, Sworn,
    Transition, Work,
};
use peerstream_traits::takedown::calendar::Date;
use peerstream_traits::takedown::docket::lane;
use peerstream_traits::takedown::ledger::{Happening, Head, Intake, Signed};
use peerstream_traits::takedown::record::Record;
use peerstream_traits::takedown::statement::{self, Of};

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
    Rule {
        name: "it_hears_of_every_step",
        why: "a step that is told twice, or about a case it has never seen, is no reason to fail",
        check: hears,
    },
];

/// A case of a complete notice, or one that lacks all but its profile, and what there is to look at.
pub fn case(id: u64, profile: Profile, complete: bool) -> (Case, Evidence) {
    let today = Date::of_us(RECEIVED_US);
    let agreed: Vec<_> = statement::statements(Of::Notice(profile)).filter(|_| complete).collect();
    let notice = if complete {
        Notice {
            material: Material { from_ms: Some(60_000), to_ms: Some(90_000), ..Material::default() },
            work: Work { title: "a song".into(), ..Work::default() },
            explanation: "it is mine".into(),
            claimant: Claimant {
                name: "A. Author".into(),
                address: "1 Road".into(),
                email: "author@example.org".into(),
                ..Claimant::default()
            },
            statements: agreed.iter().map(|it| it.agreed(today)).collect(),
            executed_on: today.to_string(),
            signature: "A. Author".into(),
            ..Notice::empty(profile)
        }
    } else {
        Notice::empty(profile)
    };
    let statements = agreed.iter().map(|it| Sworn { id: it.id.into(), version: it.version, text: it.text(today) });
    let evidence = Evidence { statements: statements.collect(), ..Evidence::default() };
    (Case { docket: docket(id, &notice), notice, claimant_rejected: 0, strikes: 0 }, evidence)
}

/// When the notices of these rules came in.
const RECEIVED_US: u64 = 1_790_000_000_000_000;

fn docket(id: u64, notice: &Notice) -> Docket {
    let [record, person] = Record::of_notice([[0; 16]; 2], notice);
    let intake = Intake {
        step: Step::Receive,
        profile: notice.profile,
        channel: "web".into(),
        stream: "07".repeat(32),
        epoch: 3,
        material: notice.material.clone(),
        notice: record.hash(),
        claimant: person.hash(),
        claimant_key: Default::default(),
        statements: notice.statements.clone(),
        missing: notice.missing().into_iter().map(str::to_owned).collect(),
        confirmed: true,
        lane: lane(true, 0),
        copy: None,
        bundle: None,
    };
    let entry = Head::default().next(RECEIVED_US, id, Actor::Claimant, Happening::Received(Box::new(intake)));
    Docket::open(&Signed::new(entry, &SecretKey::from_seed(&[7; 32]))).expect("a notice begins a case")
}

fn incomplete(make: &Make) -> Result<(), String> {
    started(make, |handler| async move {
        for (id, profile) in (1..).zip(handler.profiles()) {
            // To fail is fine: the case stays open and nothing is done.
            let (case, evidence) = case(id, profile, false);
            if let Ok(Decision::Act { actions, .. }) = handler.assess(&case, &evidence).await {
                return Err(format!("an empty notice under {profile:?} leads to {actions:?}"));
            }
        }
        Ok(())
    })
}

fn same(make: &Make) -> Result<(), String> {
    started(make, |handler| async move {
        for (id, profile) in (1..).zip(handler.profiles()) {
            let (case, evidence) = case(id, profile, true);
            let mut decisions = Vec::new();
            for _ in 0..2 {
                decisions.push(handler.assess(&case, &evidence).await.map_err(|error| format!("it fails: {error}"))?);
            }
            if decisions[0] != decisions[1] {
                return Err(format!("under {profile:?} it decides {:?} and then {:?}", decisions[0], decisions[1]));
            }
        }
        Ok(())
    })
}

fn hears(make: &Make) -> Result<(), String> {
    started(make, |handler| async move {
        for (id, profile) in (1..).zip(handler.profiles()) {
            let (case, _) = case(id, profile, true);
            let step = |from, step, to, by| Transition { from, to, step, by, at_us: RECEIVED_US };
            let steps = [
                step(State::Draft, Step::Receive, State::Received, Actor::Claimant),
                step(State::Received, Step::Screen, State::Screened, Actor::Clock),
                step(State::Screened, Step::Reject, State::Rejected, Actor::Operator),
            ];
            for transition in steps.iter().chain(&steps) {
                let heard = handler.on_transition(&case, transition).await;
                heard.map_err(|error| format!("it fails about {} under {profile:?}: {error}", transition.step))?;
            }
        }
        Ok(())
    })
}
