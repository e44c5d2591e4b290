//! What is special about a casebook in a file: kills, other files, earlier versions, what is left on the disk.

use std::path::Path;

use peerstream_casebook_sqlite::Sqlite;
use peerstream_sdk::testkit::casebook::{With, add, draft, letter, received};
use peerstream_sdk::traits::casebook::BoxedCasebook;
use peerstream_sdk::traits::takedown::draft::token_hash;
use peerstream_sdk::traits::takedown::ledger::Happening;
use peerstream_sdk::traits::takedown::outbox::About;
use rusqlite::Connection;

fn open(folder: &Path) -> BoxedCasebook {
    Box::new(Sqlite::open(&folder.join("cases.sqlite")).unwrap())
}

#[test]
fn what_was_kept_is_there_after_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = open(folder.path());
    let (first, letters) = (draft("a"), [letter("b", About::Case(1), 0)]);
    book.put_draft(&first, Some(&letter("a", About::Draft("a".into()), 0))).unwrap();
    let docket = add(&mut book, 1, received(1), With { draft: Some(&first), letters: &letters }).unwrap();
    // As a process that is killed: nothing is closed.
    let copy = tempfile::tempdir().unwrap();
    for name in ["cases.sqlite", "cases.sqlite-wal"] {
        let _ = std::fs::copy(folder.path().join(name), copy.path().join(name));
    }
    let mut book = open(copy.path());
    assert_eq!(book.docket(1).unwrap(), Some(docket));
    assert_eq!((book.head().unwrap().entries, book.next_case().unwrap(), book.drafts().unwrap()), (1, 2, 0));
    assert_eq!(book.case_of(&token_hash("a")).unwrap(), Some(1));
    assert_eq!(book.letters(None, 10).unwrap(), letters);
}

#[test]
fn what_is_erased_is_on_the_disk_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = open(folder.path());
    let first = draft("a");
    book.put_draft(&first, Some(&letter("secret", About::Draft("a".into()), 0))).unwrap();
    let letters = [letter("b", About::Case(1), 0)];
    add(&mut book, 1, received(1), With { draft: Some(&first), letters: &letters }).unwrap();
    assert!(on_disk(folder.path(), "author@example.org"));
    add(&mut book, 1, Happening::Rejected { reason: "no".into() }, With::default()).unwrap();
    add(&mut book, 1, Happening::Erased { note: String::new() }, With::default()).unwrap();
    book.scrub().unwrap();
    assert!(!on_disk(folder.path(), "author@example.org") && !on_disk(folder.path(), "#secret"));
}

fn on_disk(folder: &Path, text: &str) -> bool {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    files.into_iter().any(|bytes| bytes.windows(text.len()).any(|it| it == text.as_bytes()))
}

#[test]
fn cases_of_the_version_before_are_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = open(folder.path());
    let docket = add(&mut book, 1, received(1), With::default()).unwrap();
    drop(book);
    sql(
        folder.path(),
        "drop table letters; drop trigger entries_stay; drop trigger entries_are_kept; drop trigger entries_follow;
        pragma user_version = 1",
    )
    .unwrap();
    let mut book = open(folder.path());
    assert_eq!(book.docket(1).unwrap(), Some(docket));
    let letters = [letter("a", About::Case(1), 0)];
    add(&mut book, 1, Happening::Noted { note: "more".into() }, With { letters: &letters, ..With::default() }).unwrap();
    assert_eq!(book.letters(Some(1), 10).unwrap(), letters);
}

fn sql(folder: &Path, statements: &str) -> rusqlite::Result<()> {
    Connection::open(folder.join("cases.sqlite"))?.execute_batch(statements)
}

#[test]
fn the_database_itself_lets_nobody_change_the_log() {
    let folder = tempfile::tempdir().unwrap();
    add(&mut open(folder.path()), 1, received(1), With::default()).unwrap();
    for (statement, said) in [
        ("update entries set line = '{}'", "never changed"),
        ("delete from entries", "never deleted"),
        ("insert into entries (number, case_id, line) values (3, 1, '{}')", "follows the last one"),
        ("insert or replace into entries (number, case_id, line) values (1, 1, '{}')", "follows the last one"),
    ] {
        let error = sql(folder.path(), statement).unwrap_err().to_string();
        assert!(error.contains(said), "{statement}: {error}");
    }
    assert_eq!(open(folder.path()).head().unwrap().entries, 1);
}

#[test]
fn a_file_of_something_else_or_of_a_later_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.sqlite");
    std::fs::write(&path, vec![7; 10_000]).unwrap();
    assert!(Sqlite::open(&path).unwrap_err().to_string().contains("cases.sqlite"));
    std::fs::remove_file(&path).unwrap();
    drop(open(folder.path()));
    sql(folder.path(), "pragma user_version = 99").unwrap();
    assert!(Sqlite::open(&path).unwrap_err().to_string().contains("99"));
}
