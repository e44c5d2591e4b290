//! What a casebook keeps, also when it is killed.

use std::path::Path;

use peerstream_casebook_sqlite::Sqlite;
use peerstream_sdk::protocol::crypto::SecretKey;
use peerstream_sdk::traits::casebook::{Casebook, Change, Query};
use peerstream_sdk::traits::takedown::docket::Lane;
use peerstream_sdk::traits::takedown::draft::token_hash;
use peerstream_sdk::traits::takedown::hex::Digest;
use peerstream_sdk::traits::takedown::ledger::{Happening, Head, Intake, Signed};
use peerstream_sdk::traits::takedown::notice::{Material, Notice, Profile};
use peerstream_sdk::traits::takedown::record::Record;
use peerstream_sdk::traits::takedown::state::{Actor, State, Step};
use peerstream_sdk::traits::takedown::{Docket, Draft};

fn notice() -> Notice {
    let mut notice = Notice::empty(Profile::HouseRules);
    notice.explanation = "it is so".into();
    notice.claimant.name = "A. Author".into();
    notice
}

fn draft(id: &str) -> Draft {
    Draft {
        id: id.into(),
        state: State::EmailPending,
        token: token_hash(id),
        confirmation: Some(token_hash(&format!("{id} mail"))),
        expires_us: 100,
        notice: notice(),
    }
}

fn open(folder: &Path) -> Sqlite {
    Sqlite::open(&folder.join("cases.sqlite")).unwrap()
}

/// Adds an entry as the runtime does.
fn add(book: &mut Sqlite, case: u64, by: Actor, what: Happening, draft: Option<&Draft>) -> Docket {
    let key = SecretKey::from_seed(&[9; 32]);
    let signed = Signed::new(book.head().unwrap().next(7, case, by, what), &key);
    let docket = match book.docket(case).unwrap() {
        Some(mut docket) => {
            docket.apply(&signed).unwrap();
            docket
        }
        None => Docket::open(&signed).unwrap(),
    };
    let erase = matches!(signed.entry.what, Happening::Erased { .. });
    let records = Record::of_notice([[case as u8; 16], [case as u8 + 100; 16]], &notice());
    book.commit(&Change { entry: &signed, docket: &docket, records: if erase { &[] } else { &records }, draft, erase })
        .unwrap();
    docket
}

fn received(case: u64) -> Happening {
    let [record, person] = Record::of_notice([[case as u8; 16], [case as u8 + 100; 16]], &notice());
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

#[test]
fn what_was_kept_is_there_after_the_process_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = open(folder.path());
    let first = draft("a");
    book.put_draft(&first).unwrap();
    let docket = add(&mut book, 1, Actor::Claimant, received(1), Some(&first));
    // As a process that is killed: nothing is closed.
    let copy = tempfile::tempdir().unwrap();
    for name in ["cases.sqlite", "cases.sqlite-wal"] {
        let _ = std::fs::copy(folder.path().join(name), copy.path().join(name));
    }
    let mut book = open(copy.path());
    assert_eq!(book.docket(1).unwrap(), Some(docket.clone()));
    assert_eq!((book.head().unwrap().entries, book.next_case().unwrap(), book.drafts().unwrap()), (1, 2, 0));
    assert_eq!(book.case_of(&token_hash("a")).unwrap(), Some(1));
    assert!(book.record(&docket.claimant_hash).unwrap().unwrap().is_personal());
}

#[test]
fn an_entry_that_is_there_already_is_refused_and_nothing_of_it_stays() {
    let mut book = Sqlite::in_memory().unwrap();
    let docket = add(&mut book, 1, Actor::Claimant, received(1), None);
    let first = Head::default().next(7, 1, Actor::Claimant, received(1));
    let again = Signed::new(first, &SecretKey::from_seed(&[9; 32]));
    let changed = Docket { state: State::Closed, ..docket.clone() };
    let change = Change { entry: &again, docket: &changed, records: &[], draft: None, erase: false };
    assert!(book.commit(&change).is_err());
    assert_eq!(book.docket(1).unwrap(), Some(docket));
}

#[test]
fn drafts_are_found_by_their_mail_and_expire() {
    let mut book = Sqlite::in_memory().unwrap();
    for id in ["a", "b"] {
        book.put_draft(&draft(id)).unwrap();
    }
    book.put_draft(&Draft { expires_us: 500, ..draft("b") }).unwrap();
    assert_eq!(book.draft_of_confirmation(&token_hash("b mail")).unwrap().unwrap().id, "b");
    assert_eq!(book.drafts_pending().unwrap().len(), 2);
    assert_eq!(book.expire_drafts(100).unwrap(), ["a"]);
    assert_eq!((book.draft("a").unwrap(), book.drafts().unwrap()), (None, 1));
}

#[test]
fn cases_come_by_lane_and_what_is_erased_is_gone() {
    let mut book = Sqlite::in_memory().unwrap();
    for case in 1..=3 {
        add(&mut book, case, Actor::Claimant, received(case), None);
    }
    let ids =
        |book: &mut Sqlite, query: Query| book.dockets(&query).unwrap().iter().map(|it| it.id).collect::<Vec<_>>();
    let all = || Query { max: 10, ..Query::default() };
    assert_eq!(ids(&mut book, all()), [1, 3, 2]);
    assert_eq!(ids(&mut book, Query { skip: 1, max: 1, ..all() }), [3]);
    assert_eq!(ids(&mut book, Query { text: Some("author".into()), ..all() }), [1, 3, 2]);
    assert_eq!(book.pending(0).unwrap(), [1, 2, 3]);
    let rejected = Happening::Rejected { reason: "no".into() };
    let docket = add(&mut book, 2, Actor::Operator, rejected, None);
    assert_eq!((book.rejected(&Digest([5; 32])).unwrap(), book.pending(0).unwrap()), (1, vec![1, 3]));
    add(&mut book, 2, Actor::Operator, Happening::Erased { note: String::new() }, None);
    assert_eq!(book.record(&docket.claimant_hash).unwrap(), None);
    assert!(book.record(&docket.notice_hash).unwrap().is_some());
    assert_eq!(ids(&mut book, Query { text: Some("author".into()), ..all() }), [1, 3]);
    assert_eq!(book.entries(Some(2), 0, 10).unwrap().len(), 3);
    assert_eq!(book.unchanged_since(10).unwrap(), [1, 3]);
}

#[test]
fn a_file_of_something_else_or_of_a_later_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.sqlite");
    std::fs::write(&path, vec![7; 10_000]).unwrap();
    assert!(Sqlite::open(&path).unwrap_err().to_string().contains("cases.sqlite"));
}
