//! The rules of casebooks.

use std::fmt::Debug;

use peerstream_protocol::crypto::SecretKey;
use peerstream_traits::PluginError;
use peerstream_traits::casebook::{BoxedCasebook, Change, GIVEN_UP_MAX, LetterCounts, NotOurs, Query, SENT_MAX, is_of};
use peerstream_traits::compliance::{Actor, Docket, Material, Notice, Profile, State, Step};
use peerstream_traits::takedown::docket::Lane;
use peerstream_traits::takedown::draft::token_hash;
use peerstream_traits::takedown::hex::Digest;
use peerstream_traits::takedown::ledger::{Happening, Head, Intake, Signed};
use peerstream_traits::takedown::letter::Sender;
use peerstream_traits::takedown::outbox::{About, Failure};
use peerstream_traits::takedown::record::Record;
use peerstream_traits::takedown::{Draft, Posted};

use super::Rule;

/// A place that can be opened again and again.
pub type Place = Box<dyn Fn() -> Result<BoxedCasebook, PluginError>>;

/// Makes places, each a fresh one.
pub type Make = Box<dyn Fn() -> Place>;

/// Makes places by this function.
pub fn of(make: impl Fn() -> Place + 'static) -> Make {
    Box::new(make)
}

/// The rules.
pub const RULES: &[Rule<Make>] = &[
    Rule {
        name: "what_was_kept_is_there_when_it_is_opened_again",
        why: "a notice that was confirmed to somebody must not be lost",
        check: reopened,
    },
    Rule {
        name: "an_entry_out_of_turn_is_refused_and_nothing_of_it_stays",
        why: "a log with two entries of one number, or with a hole, is no proof",
        check: in_turn,
    },
    Rule { name: "one_host_at_a_time_has_it_open", why: "two writers would break the chain", check: alone },
    Rule {
        name: "drafts_are_found_by_their_mail_and_expire_with_their_letters",
        why: "a link is good once, and for a day",
        check: drafts,
    },
    Rule {
        name: "cases_come_by_lane_and_by_what_is_asked_for",
        why: "the queue shows what is to be looked at first",
        check: queries,
    },
    Rule {
        name: "what_is_erased_is_gone_and_the_log_stays",
        why: "people have a right to be forgotten, and the log is still a proof",
        check: erased,
    },
    Rule {
        name: "letters_wait_with_what_causes_them_until_they_are_taken",
        why: "a mail that the law demands must not be lost with the process, or be sent for what was never written down",
        check: letters,
    },
    Rule {
        name: "letters_that_were_given_up_are_remembered_up_to_a_bound",
        why: "the operator must see them, and a mail server that refuses all of them must not fill the disk",
        check: given_up,
    },
    Rule {
        name: "letters_that_were_sent_are_remembered_with_their_case_up_to_a_bound",
        why: "the operator must see what was sent about a case, without address and text, and never send it again",
        check: sent,
    },
    Rule {
        name: "a_log_that_another_key_has_begun_or_gone_on_with_is_known",
        why: "a log that two keys have signed proves nothing, and a host must refuse it before it adds to it",
        check: of_its_operator,
    },
    Rule {
        name: "what_no_column_can_hold_is_nobodys",
        why: "strangers choose the numbers and names that they ask for",
        check: nobodys,
    },
];

type Found = Result<(), String>;

fn ok<T>(result: Result<T, PluginError>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

fn same<T: Debug + PartialEq>(what: &str, found: T, expected: T) -> Found {
    if found == expected { Ok(()) } else { Err(format!("{what}: found {found:?}, expected {expected:?}")) }
}

/// Of the rules of a host, by somebody with a name in which everything has a meaning to some database.
pub fn notice() -> Notice {
    let mut notice = Notice::empty(Profile::HouseRules);
    notice.explanation = "it is so".into();
    notice.claimant.name = AUTHOR.into();
    notice.claimant.email = "author@example.org".into();
    notice
}

const AUTHOR: &str = "A. Äuthor 100%_\\'\"";

/// The records of a case's notice: the one that stays, and the one that can be erased.
pub fn records(case: u64) -> [Record; 2] {
    Record::of_notice([[case as u8; 16], [case as u8 + 100; 16]], &notice())
}

/// A draft that waits for its mail address to be confirmed, until 100 microseconds after 1970.
pub fn draft(id: &str) -> Draft {
    Draft {
        id: id.into(),
        state: State::EmailPending,
        token: token_hash(id),
        confirmation: Some(token_hash(&format!("{id} mail"))),
        expires_us: 100,
        notice: notice(),
    }
}

/// A letter that was put in at this time.
pub fn letter(id: &str, about: About, put_us: u64) -> Posted {
    let letter = Sender { url: "https://live.example.org".into() }.confirmation("author@example.org", id);
    Posted::new(id.into(), about, letter.expect("it has an address"), put_us)
}

/// How a case begins; the second one in the slow lane.
pub fn received(case: u64) -> Happening {
    let [record, person] = records(case);
    Happening::Received(Box::new(Intake {
        step: Step::Receive,
        profile: Profile::HouseRules,
        channel: "web".into(),
        stream: "ab".into(),
        epoch: 3,
        material: Material::default(),
        notice: record.hash(),
        claimant: person.hash(),
        claimant_key: Digest([5; 32]),
        statements: vec![],
        missing: vec![],
        confirmed: true,
        lane: if case == 2 { Lane::Slow } else { Lane::Normal },
        copy: None,
        bundle: None,
    }))
}

/// What goes with an entry.
#[derive(Default)]
pub struct With<'a> {
    /// The draft that becomes the case.
    pub draft: Option<&'a Draft>,
    /// Letters that it causes.
    pub letters: &'a [Posted],
}

/// Adds an entry as the runtime does.
///
/// # Errors
/// The casebook's.
pub fn add(book: &mut BoxedCasebook, case: u64, what: Happening, with: With<'_>) -> Result<Docket, PluginError> {
    add_by(&key(), book, case, what, with)
}

fn add_by(
    key: &SecretKey,
    book: &mut BoxedCasebook,
    case: u64,
    what: Happening,
    with: With<'_>,
) -> Result<Docket, PluginError> {
    let by = match what {
        Happening::Received(_) => Actor::Claimant,
        _ => Actor::Operator,
    };
    let signed = Signed::new(book.head()?.next(7, case, by, what), key);
    let docket = match book.docket(case)? {
        Some(mut docket) => {
            docket.apply(&signed).map(|()| docket).map_err(|it| PluginError::invalid(it.to_string()))?
        }
        None => Docket::open(&signed).map_err(|it| PluginError::invalid(it.to_string()))?,
    };
    let erase = matches!(signed.entry.what, Happening::Erased { .. });
    let new = records(case);
    let records = if matches!(signed.entry.what, Happening::Received(_)) { &new[..] } else { &[] };
    book.commit(&Change { entry: &signed, docket: &docket, records, draft: with.draft, letters: with.letters, erase })?;
    Ok(docket)
}

fn key() -> SecretKey {
    SecretKey::from_seed(&[9; 32])
}

fn reopened(make: &Make) -> Found {
    let place = make();
    let mut book = ok(place())?;
    same("entries of a fresh one", ok(book.head())?, Head::default())?;
    let first = draft("a");
    ok(book.put_draft(&first, None))?;
    let docket = ok(add(&mut book, 1, received(1), With { draft: Some(&first), ..With::default() }))?;
    let head = ok(book.head())?;
    drop(book);
    let mut book = ok(place())?;
    same("the case", ok(book.docket(1))?, Some(docket.clone()))?;
    same("the end of the log", ok(book.head())?, head)?;
    same("the number of the next case", ok(book.next_case())?, 2)?;
    same("drafts", ok(book.drafts())?, 0)?;
    same("the case of the token", ok(book.case_of(&token_hash("a")))?, Some(1))?;
    let [record, person] = records(1);
    same("the notice", ok(book.record(&docket.notice_hash))?, Some(record))?;
    same("who complains", ok(book.record(&docket.claimant_hash))?, Some(person))?;
    let entries = ok(book.entries(None, 0, 10))?;
    same("the entry's hash", entries.iter().map(|it| it.entry.hash()).collect(), vec![docket.entry_hash])
}

fn in_turn(make: &Make) -> Found {
    let mut book = ok(make()())?;
    let docket = ok(add(&mut book, 1, received(1), With::default()))?;
    let after = ok(book.head())?;
    let gap = Head { entries: after.entries + 1, ..after };
    for (what, head) in [("the same number again", Head::default()), ("a number left out", gap)] {
        let noted = Happening::Noted { note: "again".into() };
        let entry = Signed::new(head.next(7, 1, Actor::Operator, noted), &key());
        let changed = Docket { state: State::Closed, ..docket.clone() };
        let letters = [letter("x", About::Case(1), 0)];
        let change =
            Change { entry: &entry, docket: &changed, records: &[], draft: None, letters: &letters, erase: true };
        if book.commit(&change).is_ok() {
            return Err(format!("{what} was kept"));
        }
        same(what, ok(book.docket(1))?, Some(docket.clone()))?;
        same(what, ok(book.letter_counts())?, LetterCounts::default())?;
        same(what, ok(book.record(&docket.claimant_hash))?.is_some(), true)?;
    }
    // It goes on.
    ok(add(&mut book, 1, Happening::Noted { note: "fine".into() }, With::default()))?;
    same("entries", ok(book.head())?.entries, 2)
}

fn alone(make: &Make) -> Found {
    let place = make();
    let mut first = ok(place())?;
    match place() {
        Ok(_) => return Err("a second host has opened it".into()),
        Err(error) if !error.class.is_temporary() => return Err(format!("the second host is told: {error}")),
        Err(_) => {}
    }
    ok(add(&mut first, 1, received(1), With::default()))?;
    drop(first);
    same("cases for the next host", ok(ok(place())?.next_case())?, 2)
}

fn drafts(make: &Make) -> Found {
    let mut book = ok(make()())?;
    for id in ["a", "b", "c"] {
        ok(book.put_draft(&draft(id), Some(&letter(id, About::Draft(id.into()), 1))))?;
    }
    ok(book.put_draft(&Draft { expires_us: 500, ..draft("b") }, None))?;
    let writing = Draft { state: State::Draft, confirmation: None, expires_us: 500, ..draft("d") };
    ok(book.put_draft(&writing, None))?;
    let found = ok(book.draft_of_confirmation(&token_hash("b mail")))?;
    same("the draft of a link", found.map(|it| it.id), Some("b".into()))?;
    same("drafts that wait", ok(book.drafts_pending())?.len(), 3)?;
    let first = draft("c");
    ok(add(&mut book, 1, received(1), With { draft: Some(&first), ..With::default() }))?;
    same("the draft of a link that was used", ok(book.draft_of_confirmation(&token_hash("c mail")))?, None)?;
    same("what expires", ok(book.expire_drafts(100))?, vec!["a".into()])?;
    same("the expired one", ok(book.draft("a"))?, None)?;
    same("drafts", ok(book.drafts())?, 2)?;
    same("letters", ids(ok(book.letters(None, 10))?), vec!["b".into()])
}

fn ids(letters: Vec<Posted>) -> Vec<String> {
    letters.into_iter().map(|it| it.id).collect()
}

fn queries(make: &Make) -> Found {
    let mut book = ok(make()())?;
    for case in 1..=3 {
        ok(add(&mut book, case, received(case), With::default()))?;
    }
    same("work by lane", ok(book.pending(0))?, vec![1, 3, 2])?;
    ok(add(&mut book, 2, Happening::Rejected { reason: "no".into() }, With::default()))?;
    let all = || Query { max: 10, ..Query::default() };
    let text = |text: &str| Query { text: Some(text.into()), ..all() };
    let cases: [(&str, Query, Vec<u64>); 12] = [
        ("all", all(), vec![1, 3, 2]),
        ("the second", Query { skip: 1, max: 1, ..all() }, vec![3]),
        ("none left", Query { skip: usize::MAX, ..all() }, vec![]),
        ("by state", Query { states: vec![State::Rejected, State::Closed], ..all() }, vec![2]),
        ("by lane", Query { lane: Some(Lane::Normal), ..all() }, vec![1, 3]),
        ("by profile", Query { profile: Some(Profile::Dmca), ..all() }, vec![]),
        ("by stream", Query { stream: Some("ab".into()), ..all() }, vec![1, 3, 2]),
        ("by claimant", Query { claimant_key: Some(Digest([6; 32])), ..all() }, vec![]),
        ("by text", text("AUTHOR@"), vec![1, 3, 2]),
        ("by text with a meaning", text(" 100%_\\'\""), vec![1, 3, 2]),
        ("by text that is a pattern", text("_. %uthor"), vec![]),
        ("by no text", text("\u{0}"), vec![]),
    ];
    for (what, query, expected) in cases {
        same(what, ok(book.dockets(&query))?.iter().map(|it| it.id).collect(), expected)?;
    }
    same("work", ok(book.pending(0))?, vec![1, 3])?;
    same("rejected", ok(book.rejected(&Digest([5; 32])))?, 1)?;
    same("strikes", ok(book.strikes("ab"))?, 0)?;
    let mut counts = ok(book.counts())?;
    counts.sort_unstable();
    same("in each state", counts, vec![(State::Received, 2), (State::Rejected, 1)])?;
    let of = |entries: Vec<Signed>| entries.iter().map(|it| it.entry.number).collect::<Vec<_>>();
    same("entries of a case", of(ok(book.entries(Some(2), 0, 10))?), vec![2, 4])?;
    same("entries from there", of(ok(book.entries(None, 2, 2))?), vec![2, 3])
}

fn erased(make: &Make) -> Found {
    let place = make();
    let mut book = ok(place())?;
    let letters = [letter("a", About::Case(1), 1)];
    let docket = ok(add(&mut book, 1, received(1), With { letters: &letters, ..With::default() }))?;
    ok(add(&mut book, 2, received(2), With::default()))?;
    ok(add(&mut book, 1, Happening::Rejected { reason: "no".into() }, With::default()))?;
    same("those that can be erased", ok(book.unchanged_since(10))?, vec![1, 2])?;
    ok(add(&mut book, 1, Happening::Erased { note: String::new() }, With::default()))?;
    ok(book.scrub())?;
    drop(book);
    let mut book = ok(place())?;
    same("who complains", ok(book.record(&docket.claimant_hash))?, None)?;
    same("what is complained about", ok(book.record(&docket.notice_hash))?.is_some(), true)?;
    same("letters", ok(book.letter_counts())?, LetterCounts::default())?;
    let found = ok(book.dockets(&Query { text: Some("äuthor".to_uppercase()), max: 10, ..Query::default() }));
    // Whether letters beyond ASCII have two cases is the database's.
    same("who still has a name", found?.iter().all(|it| it.id == 2), true)?;
    same("entries", ok(book.entries(None, 0, 10))?.len(), 4)?;
    same("those that can still be erased", ok(book.unchanged_since(10))?, vec![2])
}

fn letters(make: &Make) -> Found {
    let place = make();
    let mut book = ok(place())?;
    let put = [letter("a", About::Case(1), 50), letter("b", About::Case(1), 60)];
    ok(add(&mut book, 1, received(1), With { letters: &put, ..With::default() }))?;
    ok(book.put_draft(&draft("c"), Some(&letter("c", About::Draft("c".into()), 40))))?;
    drop(book);
    let mut book = ok(place())?;
    same("what is due", ids(ok(book.letters_due(50, 10))?), vec!["c".into(), "a".into()])?;
    same("no more than wanted", ids(ok(book.letters_due(u64::MAX, 1))?), vec!["c".into()])?;
    same("all of it", ok(book.letters(Some(1), 10))?, vec![put[1].clone(), put[0].clone()])?;
    let mut failed = put[0].clone();
    failed.failed(Failure::ForNow, "no answer", 50);
    ok(book.update_letter(&failed))?;
    same("what is due after a failure", ids(ok(book.letters_due(60, 10))?), vec!["c".into(), "b".into()])?;
    same("what has become of it", ok(book.letters(Some(1), 10))?.pop(), Some(failed.clone()))?;
    ok(book.remove_letter("a"))?;
    ok(book.remove_letter("a"))?;
    // It was taken in the meantime: what is told later does not bring it back.
    ok(book.update_letter(&failed))?;
    same("what is left", ok(book.letter_counts())?, LetterCounts { waiting: 2, given_up: 0 })
}

fn given_up(make: &Make) -> Found {
    let mut book = ok(make()())?;
    let more = GIVEN_UP_MAX + 3;
    let mut put: Vec<_> = (0..more).map(|at| letter(&format!("{at}"), About::Case(1), at)).collect();
    put.iter_mut().for_each(|letter| letter.failed(Failure::ForGood, "the mail server answers 550", 1));
    put.extend(["waits", "fails"].map(|id| letter(id, About::Case(1), 0)));
    ok(add(&mut book, 1, received(1), With { letters: &put, ..With::default() }))?;
    let mut last = put.pop().expect("it was put in");
    last.failed(Failure::ForGood, "the mail server answers 550", 1);
    ok(book.update_letter(&last))?;
    same("how many", ok(book.letter_counts())?, LetterCounts { waiting: 1, given_up: GIVEN_UP_MAX })?;
    same("what is due", ids(ok(book.letters_due(u64::MAX, 10))?), vec!["waits".into()])?;
    same("the latest", ids(ok(book.letters(None, 2))?), vec!["fails".into(), "waits".into()])
}

fn sent(make: &Make) -> Found {
    let mut book = ok(make()())?;
    let about = |at| About::Case(if at < 5 { 3 } else { 2 });
    let mut put: Vec<_> = (0..SENT_MAX + 2).map(|at| letter(&format!("{at}"), about(at), at)).collect();
    put.iter_mut().for_each(|letter| letter.sent(9));
    let mut refused = letter("refused", About::Case(1), 0);
    refused.failed(Failure::ForGood, "the mail server answers 550", 1);
    put.extend([refused.clone(), letter("a", About::Case(1), 0), letter("b", About::Case(1), 0)]);
    ok(add(&mut book, 1, received(1), With { letters: &put, ..With::default() }))?;
    let mut taken = put.pop().expect("it was put in");
    taken.sent(10);
    ok(book.update_letter(&taken))?;
    same("what is due", ids(ok(book.letters_due(u64::MAX, 10))?), vec!["a".into()])?;
    same("what was not sent", ids(ok(book.letters(None, 10))?), vec!["a".into(), "refused".into()])?;
    same("how many", ok(book.letter_counts())?, LetterCounts { waiting: 1, given_up: 1 })?;
    same("those of the case", ok(book.letters(Some(1), 10))?, vec![taken, put.pop().expect("it was put in"), refused])?;
    same("the oldest that were sent", ids(ok(book.letters(Some(3), 10))?), vec!["4".into(), "3".into()])?;
    ok(add(&mut book, 1, Happening::Rejected { reason: "no".into() }, With::default()))?;
    ok(add(&mut book, 1, Happening::Erased { note: String::new() }, With::default()))?;
    same("those of an erased case", ok(book.letters(Some(1), 10))?, vec![])
}

fn of_its_operator(make: &Make) -> Found {
    let place = make();
    let mut book = ok(place())?;
    let (ours, other) = (key(), SecretKey::from_seed(&[8; 32]));
    let told = |what: &str, book: &mut BoxedCasebook, of: &SecretKey, expected: Option<u64>| {
        let found = match is_of(book.as_mut(), &of.public()) {
            Err(NotOurs::Entry { number, .. }) => Some(number),
            Err(error) => return Err(format!("{what}: {error}")),
            Ok(()) => None,
        };
        same(what, found, expected)
    };
    told("an empty log", &mut book, &other, None)?;
    ok(add(&mut book, 1, received(1), With::default()))?;
    told("a log of one entry", &mut book, &ours, None)?;
    ok(add(&mut book, 1, Happening::Noted { note: "more".into() }, With::default()))?;
    drop(book);
    let mut book = ok(place())?;
    told("our log", &mut book, &ours, None)?;
    told("a log that another key has begun", &mut book, &other, Some(1))?;
    ok(add_by(&other, &mut book, 1, Happening::Noted { note: "theirs".into() }, With::default()))?;
    told("a log that another key has gone on with", &mut book, &ours, Some(3))
}

fn nobodys(make: &Make) -> Found {
    let mut book = ok(make()())?;
    ok(add(&mut book, 1, received(1), With::default()))?;
    for case in [0, 2, i64::MAX as u64, u64::MAX] {
        same("a case that is not there", ok(book.docket(case))?, None)?;
        same("its letters", ok(book.letters(Some(case), 10))?, vec![])?;
    }
    same("a draft that is not there", ok(book.draft("\0"))?, None)?;
    let query = Query { stream: Some("\0".into()), max: 10, ..Query::default() };
    same("cases of no stream", ok(book.dockets(&query))?.len(), 0)?;
    same("entries that are not there", ok(book.entries(None, u64::MAX, usize::MAX))?.len(), 0)?;
    same("entries of no case", ok(book.entries(Some(u64::MAX), 0, 10))?.len(), 0)?;
    same("what is due at the end of time", ok(book.pending(u64::MAX))?, vec![1])?;
    same("what is old at the end of time", ok(book.unchanged_since(u64::MAX))?, vec![1])
}
