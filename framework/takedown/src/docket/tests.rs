use peerstream_protocol::crypto::SecretKey;
use proptest::prelude::*;

use super::*;
use crate::action::Segments;
use crate::ledger::{Fault, Head, Verifier, Wrong};
use crate::lumen;
use crate::notice::tests::complete;
use crate::receipt::{self, Receipt};
use crate::record::{Body, Record};
use crate::state::By;

const DAY: u64 = DAY_US;

fn operator() -> SecretKey {
    SecretKey::from_seed(&[3; 32])
}

/// A log that grows.
struct Log {
    lines: Vec<Vec<u8>>,
    head: Head,
    dockets: std::collections::BTreeMap<u64, Docket>,
}

impl Log {
    fn new() -> Self {
        Self { lines: vec![], head: Head::default(), dockets: Default::default() }
    }

    fn add(&mut self, at_us: u64, case: u64, by: Actor, what: Happening) -> Result<(), NotPossible> {
        let signed = Signed::new(self.head.next(at_us, case, by, what), &operator());
        match self.dockets.get_mut(&case) {
            Some(docket) => docket.apply(&signed)?,
            None => drop(self.dockets.insert(case, Docket::open(&signed)?)),
        }
        self.head = Head::of(&signed);
        self.lines.push(signed.line());
        Ok(())
    }

    fn docket(&self, case: u64) -> &Docket {
        &self.dockets[&case]
    }

    fn verified(&self) -> Result<Verifier, Fault> {
        let mut verifier = Verifier::new(operator().public());
        self.lines.iter().try_for_each(|line| verifier.take(line))?;
        Ok(verifier)
    }
}

fn received(profile: Profile) -> Happening {
    let notice = complete(profile);
    let [record, person] = Record::of_notice([[1; 16], [2; 16]], &notice);
    Happening::Received(Box::new(Intake {
        step: Step::Receive,
        profile,
        channel: "web".into(),
        stream: "ab".repeat(32),
        epoch: 3,
        material: notice.material.clone(),
        notice: record.hash(),
        claimant: person.hash(),
        claimant_key: Digest::default(),
        statements: notice.statements.clone(),
        missing: vec![],
        confirmed: true,
        lane: Lane::Normal,
        copy: None,
        bundle: None,
    }))
}

fn hide() -> Action {
    Action::HideRange { from_ms: 10_000, to_ms: 20_000 }
}

fn hidden() -> Hidden {
    Hidden { epoch: 3, segments: Segments { first: 50, end: 100 } }
}

/// A case of which a range was hidden at a time, with a strike.
fn actioned(log: &mut Log, at_us: u64) {
    log.add(at_us, 1, Actor::Claimant, received(Profile::Dmca)).unwrap();
    let actions = vec![hide(), Action::Strike];
    log.add(at_us, 1, Actor::Operator, Happening::Accepted { actions, note: "it is".into() }).unwrap();
    let done = |action, hidden| Happening::Done { action, hidden, error: None };
    log.add(at_us, 1, Actor::Clock, done(hide(), Some(hidden()))).unwrap();
    log.add(at_us, 1, Actor::Clock, done(Action::Strike, None)).unwrap();
    log.add(at_us, 1, Actor::Clock, Happening::Acted).unwrap();
}

fn countered(at_us: u64) -> Happening {
    let (from, by) = restoration(at_us);
    Happening::Countered {
        counter: Digest([9; 32]),
        statements: vec![],
        restore_from_us: Some(from),
        restore_by_us: Some(by),
    }
}

#[test]
fn a_counter_notice_has_what_was_hidden_shown_again_within_its_window_and_not_before() {
    let mut log = Log::new();
    // The Monday before Thanksgiving of 2026.
    let monday = Date::parse("2026-11-23").unwrap().start_us() + 15 * 3600 * 1_000_000;
    actioned(&mut log, monday);
    log.add(monday, 1, Actor::Streamer, countered(monday)).unwrap();
    let docket = log.docket(1).clone();
    let day = |us: Option<u64>| Date::of_us(us.unwrap()).to_string();
    assert_eq!((day(docket.restore_from_us), day(docket.restore_by_us)), ("2026-12-09".into(), "2026-12-15".into()));
    let at = docket.restore_from_us;
    assert_eq!(docket.due(at.unwrap() - 1, at), None);
    assert_eq!(docket.due(at.unwrap(), at), Some(Step::Restore));
    assert_eq!(docket.due(at.unwrap(), docket.restore_by_us), None, "who waits longer does not restore yet");
    log.add(at.unwrap(), 1, Actor::Clock, Happening::Restored { note: String::new() }).unwrap();
    let docket = log.docket(1);
    assert_eq!((docket.state, docket.to_undo(), docket.is_strike()), (State::Restored, vec![0, 1], false));
    assert_eq!(docket.hides().count(), 0);
}

#[test]
fn a_court_action_keeps_it_hidden_whatever_the_clock_says() {
    let mut log = Log::new();
    actioned(&mut log, DAY);
    log.add(DAY, 1, Actor::Streamer, countered(DAY)).unwrap();
    log.add(2 * DAY, 1, Actor::Claimant, Happening::Sued { suit: Digest([1; 32]) }).unwrap();
    let docket = log.docket(1);
    assert_eq!((docket.due(90 * DAY, Some(0)), docket.due_us(), docket.hides().count()), (None, None, 1));
    assert!(log.add(90 * DAY, 1, Actor::Clock, Happening::Restored { note: String::new() }).is_err());
}

#[test]
fn who_was_asked_and_does_not_answer_lapses() {
    let mut log = Log::new();
    log.add(DAY, 1, Actor::Claimant, received(Profile::Dmca)).unwrap();
    let answer_by_us = answer_by(DAY, 10);
    let asked = Happening::Asked { fields: vec!["signature".into()], answer_by_us };
    log.add(DAY, 1, Actor::Clock, asked).unwrap();
    let docket = log.docket(1);
    assert_eq!((docket.state, docket.due(answer_by_us - 1, None)), (State::Deficient, None));
    assert_eq!(docket.due(answer_by_us, None), Some(Step::Lapse));
    log.add(answer_by_us, 1, Actor::Clock, Happening::Lapsed).unwrap();
    assert_eq!((log.docket(1).state, log.docket(1).due_us()), (State::Closed, None));
}

#[test]
fn only_what_was_decided_is_done_and_in_its_order() {
    let mut log = Log::new();
    log.add(DAY, 1, Actor::Claimant, received(Profile::Dmca)).unwrap();
    let done = Happening::Done { action: Action::StopStream, hidden: None, error: None };
    assert!(log.add(DAY, 1, Actor::Clock, done.clone()).is_err());
    let accepted = Happening::Accepted { actions: vec![hide(), Action::StopStream], note: String::new() };
    log.add(DAY, 1, Actor::Operator, accepted).unwrap();
    assert!(log.add(DAY, 1, Actor::Clock, done).is_err(), "hiding comes first");
    assert!(log.add(DAY, 1, Actor::Clock, Happening::Acted).is_err());
    let too_much = Happening::Ordered { actions: vec![Action::Strike; ACTIONS_MAX + 1], note: String::new() };
    assert!(log.add(DAY, 1, Actor::Operator, too_much).is_err());
}

#[test]
fn a_mismatch_and_many_rejections_are_looked_at_last_and_a_match_first() {
    let compared = |verdict| Happening::Compared(Comparison { verdict, detail: String::new(), tools: vec![] });
    let after = |first: Verdict, second: Verdict| {
        let mut log = Log::new();
        log.add(DAY, 1, Actor::Claimant, received(Profile::Dmca)).unwrap();
        log.add(DAY, 1, Actor::Clock, compared(first)).unwrap();
        log.add(DAY, 1, Actor::Clock, compared(second)).unwrap();
        log.docket(1).lane
    };
    assert_eq!(after(Verdict::Unclear, Verdict::Match), Lane::Fast);
    assert_eq!(after(Verdict::NotCompared, Verdict::Unclear), Lane::Normal);
    assert_eq!(after(Verdict::Mismatch, Verdict::Match), Lane::Slow);
    assert_eq!((lane(true, 2), lane(true, 3), lane(false, 0)), (Lane::Normal, Lane::Slow, Lane::Slow));
}

#[test]
fn what_is_held_is_not_erased_and_the_log_verifies_without_what_was() {
    let mut log = Log::new();
    actioned(&mut log, DAY);
    let erased = || Happening::Erased { note: "three years".into() };
    assert!(!log.docket(1).may_be_erased(1000 * DAY, 1095) && log.docket(1).may_be_erased(1096 * DAY, 1095));
    log.add(DAY, 1, Actor::Operator, Happening::Held { hold: true, note: String::new() }).unwrap();
    assert!(!log.docket(1).may_be_erased(5000 * DAY, 1095));
    assert!(log.add(DAY, 1, Actor::Operator, erased()).is_err());
    log.add(DAY, 1, Actor::Operator, Happening::Held { hold: false, note: String::new() }).unwrap();
    log.add(DAY, 1, Actor::Operator, erased()).unwrap();
    assert!(log.verified().is_ok());
    let whole: Vec<u8> = log.lines.concat();
    assert!(!String::from_utf8_lossy(&whole).contains("Author"), "no name is in the log");
}

#[test]
fn the_first_broken_entry_is_named() {
    let mut log = Log::new();
    actioned(&mut log, DAY);
    let broken = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut lines = log.lines.clone();
        change(&mut lines);
        Log { lines, ..Log::new() }.verified().unwrap_err()
    };
    let replace = |line: &mut Vec<u8>, from: &str, to: &str| {
        *line = String::from_utf8(line.clone()).unwrap().replacen(from, to, 1).into_bytes();
    };
    let fault = |entry, what| Fault { entry, what };
    assert_eq!(broken(&|lines| replace(&mut lines[1], "it is", "it is not")), fault(2, Wrong::Changed));
    assert_eq!(broken(&|lines| drop(lines.remove(2))), fault(3, Wrong::Number(4)));
    assert_eq!(broken(&|lines| lines.swap(2, 3)), fault(3, Wrong::Number(4)));
    assert_eq!(broken(&|lines| lines.push(lines[4].clone())), fault(6, Wrong::Number(5)));
    let stranger = SecretKey::from_seed(&[4; 32]);
    let forged = |lines: &mut Vec<Vec<u8>>| {
        let signed: Signed = serde_json::from_slice(&lines[3]).unwrap();
        lines[3] = Signed::new(signed.entry, &stranger).line();
    };
    assert_eq!(broken(&forged), fault(4, Wrong::Signature));
    assert!(matches!(broken(&|lines| lines[0].truncate(20)).what, Wrong::Malformed(_)));
}

#[test]
fn an_operator_who_writes_the_log_anew_cannot_take_a_case_where_it_could_not_go() {
    let mut head = Head::default();
    let mut verifier = Verifier::new(operator().public());
    let mut add = |by, what| {
        let signed = Signed::new(head.next(DAY, 1, by, what), &operator());
        head = Head::of(&signed);
        verifier.take(&signed.line())
    };
    add(Actor::Claimant, received(Profile::Dmca)).unwrap();
    let fault = add(Actor::Clock, Happening::Acted).unwrap_err();
    assert_eq!(fault.entry, 2);
    assert!(fault.what.to_string().contains("`act` is not possible in the state `received`"), "{fault}");
}

#[test]
fn a_receipt_is_checked_without_the_log_and_with_it() {
    let mut log = Log::new();
    actioned(&mut log, DAY);
    let receipt = Receipt::new(log.docket(1), &operator());
    let text = serde_json::to_vec(&receipt).unwrap();
    assert_eq!(Receipt::parse(&text).unwrap(), receipt);
    assert_eq!(receipt.verify(Some(operator().public())), Ok(()));
    assert!(log.verified().unwrap().holds(&receipt));
    let stranger = SecretKey::from_seed(&[4; 32]).public();
    assert!(matches!(receipt.verify(Some(stranger)), Err(receipt::Wrong::Operator(_))));
    for changed in [
        Receipt { received_us: 1, ..receipt.clone() },
        Receipt { case: 2, ..receipt.clone() },
        Receipt { head: Digest::default(), ..receipt.clone() },
        Receipt { operator: Digest(stranger.0), ..receipt.clone() },
        Receipt { stream: String::new(), ..receipt.clone() },
    ] {
        assert_eq!(changed.verify(None), Err(receipt::Wrong::Signature));
    }
    // An operator who begins the log anew and leaves the case out has given a receipt that says otherwise.
    let mut other = Log::new();
    other.add(DAY, 1, Actor::Claimant, received(Profile::Dsa)).unwrap();
    assert!(!other.verified().unwrap().holds(&receipt));
}

#[test]
fn the_export_names_nobody_unless_it_is_asked_to() {
    let mut log = Log::new();
    actioned(&mut log, DAY);
    let notice = complete(Profile::Dmca);
    let [record, person] = Record::of_notice([[1; 16]; 2], &notice);
    let (Body::Notice(notice), Body::Claimant(person)) = (record.body, person.body) else { panic!() };
    let host = lumen::Host { name: "a host".into(), url: "https://example.org/".into() };
    let text = |person| lumen::export(log.docket(1), &notice, person, &host).to_string();
    let without = text(None);
    for personal in ["Author", "1 Road", "a@example.org", "555"] {
        assert!(!without.contains(personal), "{personal} in {without}");
    }
    assert!(without.contains("https://example.org/#epoch=3&t=10,20") && without.contains("\"DMCA\""), "{without}");
    let with = text(Some(&person));
    assert!(with.contains("A. Author") && !with.contains("1 Road") && !with.contains("a@example.org"));
}

fn happenings() -> impl Strategy<Value = Happening> {
    let note = || String::new();
    prop_oneof![
        Just(Happening::Asked { fields: vec!["x".into()], answer_by_us: 3 * DAY }),
        Just(Happening::Completed {
            notice: Digest([1; 32]),
            claimant: Digest([2; 32]),
            statements: vec![],
            material: Material::default(),
            missing: vec![]
        }),
        Just(Happening::Lapsed),
        Just(Happening::Screened { note: note() }),
        Just(Happening::Accepted { actions: vec![hide(), Action::Strike], note: note() }),
        Just(Happening::Accepted { actions: vec![], note: note() }),
        Just(Happening::Ordered { actions: vec![Action::Restore], note: note() }),
        Just(Happening::Rejected { reason: note() }),
        Just(Happening::Done { action: hide(), hidden: Some(hidden()), error: None }),
        Just(Happening::Done { action: Action::Strike, hidden: None, error: None }),
        Just(Happening::Done { action: Action::Restore, hidden: None, error: None }),
        Just(Happening::Acted),
        (0_usize..3).prop_map(|index| Happening::Undone { index, error: None }),
        Just(countered(DAY)),
        Just(Happening::Sued { suit: Digest([1; 32]) }),
        Just(Happening::Restored { note: note() }),
        Just(Happening::Reopened { note: note() }),
        Just(Happening::Withdrawn),
        Just(Happening::Closed { note: note() }),
        any::<bool>().prop_map(|hold| Happening::Held { hold, note: String::new() }),
        Just(Happening::Erased { note: note() }),
    ]
}

fn actors() -> impl Strategy<Value = Actor> {
    let handler = Actor::Handler { name: "queue".into(), origin: "queue 0.1.0".into() };
    prop::sample::select(vec![Actor::Claimant, Actor::Streamer, Actor::Operator, Actor::Clock, handler])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is tried in whatever order: what is refused changes nothing, what is taken is legal and verifies.
    #[test]
    fn every_course_that_is_taken_verifies(tries in prop::collection::vec((actors(), happenings()), 0..40)) {
        let mut log = Log::new();
        log.add(DAY, 1, Actor::Claimant, received(Profile::Dmca)).unwrap();
        for (by, what) in tries {
            let before = log.docket(1).clone();
            let (step, sort) = (what.step(), by.sort());
            match log.add(DAY, 1, by, what) {
                Err(_) => prop_assert_eq!(&before, log.docket(1)),
                Ok(()) => {
                    let after = log.docket(1);
                    let state = step.map_or(Ok(before.state), |step| before.state.after(step, sort));
                    prop_assert_eq!(Ok(after.state), state);
                    prop_assert_eq!(after.revision, before.revision + 1);
                    prop_assert!(after.done.len() <= DONE_MAX);
                    // A closed, restored or reopened case hides nothing for good.
                    if matches!(after.state, State::Restored) {
                        prop_assert_eq!(after.hides().count(), 0);
                    }
                }
            }
        }
        let verified = log.verified().unwrap();
        prop_assert_eq!(verified.dockets().get(&1), Some(log.docket(1)));
        let text = serde_json::to_string(log.docket(1)).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Docket>(&text).unwrap(), log.docket(1));
    }

    /// One changed byte anywhere is found, and not after its line.
    #[test]
    fn one_changed_byte_is_found_where_it_is(line in 0_usize..5, at in any::<prop::sample::Index>(), bit in 0_u8..7) {
        let mut log = Log::new();
        actioned(&mut log, DAY);
        let at = at.index(log.lines[line].len());
        log.lines[line][at] ^= 1 << bit;
        match log.verified() {
            // Blanks around what JSON says, or the same word in another writing, change nothing.
            Ok(verified) => prop_assert_eq!(verified.head(), log.head),
            Err(fault) => prop_assert_eq!(fault.entry, line as u64 + 1),
        }
    }

    #[test]
    fn the_window_of_a_counter_notice_lies_ahead(at_us in 0_u64..4_000_000_000_000_000) {
        let (from, by) = restoration(at_us);
        prop_assert!(at_us + 12 * DAY < from && from < by && by < at_us + 30 * DAY);
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        crate::fuzz::takedown(&bytes);
    }

    /// Lines of a real log, cut and joined.
    #[test]
    fn no_torn_log_does_harm(cuts in prop::collection::vec((0_usize..5, 0_usize..900), 1..6)) {
        let mut log = Log::new();
        actioned(&mut log, DAY);
        let bytes: Vec<u8> = cuts.iter().flat_map(|(line, cut)| log.lines[*line].iter().copied().take(*cut)).collect();
        crate::fuzz::takedown(&bytes);
    }
}

#[test]
fn a_handlers_word_may_accept_and_a_clock_may_not() {
    assert!(
        State::Received.after(Step::Accept, By::Handler).is_ok()
            && State::Received.after(Step::Accept, By::Clock).is_err()
    );
}
