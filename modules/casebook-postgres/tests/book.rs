//! What is special about a casebook in PostgreSQL: servers that are killed or silent, two hosts, what is left on the disk, TLS.
#![cfg(unix)]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use peerstream_casebook_postgres::Postgres;
use peerstream_sdk::testkit::casebook::{With, add, draft, letter, received};
use peerstream_sdk::traits::casebook::BoxedCasebook;
use peerstream_sdk::traits::takedown::ledger::Happening;
use peerstream_sdk::traits::takedown::outbox::About;
use peerstream_sdk::traits::{ErrorClass, Secret};

use common::Server;

fn open(url: &Secret) -> BoxedCasebook {
    Box::new(Postgres::open(url).unwrap())
}

fn noted() -> Happening {
    Happening::Noted { note: "more".into() }
}

#[test]
fn a_server_that_was_killed_is_connected_to_again_and_has_all_of_it() {
    let Some(mut server) = Server::start() else { return };
    let mut book = open(&server.database("cases"));
    let letters = [letter("a", About::Case(1), 0)];
    let docket = add(&mut book, 1, received(1), With { letters: &letters, ..With::default() }).unwrap();
    server.kill_and_restart();
    // What was asked of the old connection may be lost, once.
    let found = book.docket(1).or_else(|_| book.docket(1)).unwrap();
    assert_eq!(found, Some(docket));
    assert_eq!(book.letters(None, 10).unwrap(), letters);
    add(&mut book, 1, noted(), With::default()).unwrap();
    assert_eq!(book.head().unwrap().entries, 2);
}

#[test]
fn a_host_that_has_lost_its_connection_writes_nothing_while_another_one_has_the_cases() {
    let Some(server) = Server::start() else { return };
    let url = server.database("cases");
    let mut first = open(&url);
    add(&mut first, 1, received(1), With::default()).unwrap();
    server
        .sql("cases", "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'peerstream'")
        .unwrap();
    let mut second = open(&url);
    add(&mut second, 1, noted(), With::default()).unwrap();
    for _ in 0..2 {
        let error = add(&mut first, 1, noted(), With::default()).unwrap_err();
        assert!(error.class.is_temporary(), "{error}");
    }
    drop(second);
    add(&mut first, 1, noted(), With::default()).unwrap();
    assert_eq!(first.head().unwrap().entries, 3);
}

#[test]
fn each_schema_has_cases_of_its_own() {
    let Some(server) = Server::start() else { return };
    let url = server.database("cases");
    server.sql("cases", "create schema club").unwrap();
    let club = Secret::new(format!("{}?options=-csearch_path%3Dclub", url.reveal()));
    let (mut one, mut other) = (open(&url), open(&club));
    add(&mut one, 1, received(1), With::default()).unwrap();
    assert_eq!((one.next_case().unwrap(), other.next_case().unwrap()), (2, 1));
    let nowhere = Secret::new(format!("{}?options=-csearch_path%3Dnowhere", url.reveal()));
    let error = Postgres::open(&nowhere).unwrap_err();
    assert!(error.message.contains("search_path"), "{error}");
}

#[test]
fn the_database_itself_lets_nobody_change_the_log() {
    let Some(server) = Server::start() else { return };
    add(&mut open(&server.database("cases")), 1, received(1), With::default()).unwrap();
    for (statement, said) in [
        ("update entries set line = '{}'", "never changed or deleted"),
        ("delete from entries", "never changed or deleted"),
        ("truncate entries", "never changed or deleted"),
        ("insert into entries values (3, 1, '{}')", "follows the last one"),
        (
            "insert into entries values (1, 1, '{}') on conflict (number) do update set line = '{}'",
            "never changed or deleted",
        ),
    ] {
        let error = server.sql("cases", statement).unwrap_err();
        assert!(error.contains(said), "{statement}: {error}");
    }
    assert_eq!(server.sql("cases", "select count(*) from entries").unwrap(), "1");
}

#[test]
fn what_is_erased_is_in_no_file_of_the_tables_any_more() {
    let Some(server) = Server::start() else { return };
    let url = server.database("cases");
    let mut book = open(&url);
    let first = draft("a");
    book.put_draft(&first, Some(&letter("secret", About::Draft("a".into()), 0))).unwrap();
    let letters = [letter("b", About::Case(1), 0)];
    add(&mut book, 1, received(1), With { draft: Some(&first), letters: &letters }).unwrap();
    // Statistics hold samples of columns.
    server.sql("cases", "analyze; checkpoint").unwrap();
    let base = server.folder().join("data/base");
    assert!(on_disk(&base, "author@example.org"));
    add(&mut book, 1, Happening::Rejected { reason: "no".into() }, With::default()).unwrap();
    add(&mut book, 1, Happening::Erased { note: String::new() }, With::default()).unwrap();
    book.scrub().unwrap();
    book.scrub().unwrap();
    server.sql("cases", "checkpoint").unwrap();
    assert!(!on_disk(&base, "author@example.org") && !on_disk(&base, "#secret"));
}

fn on_disk(folder: &Path, text: &str) -> bool {
    let mut files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.any(|path| match path.is_dir() {
        true => on_disk(&path, text),
        false => std::fs::read(path).unwrap().windows(text.len()).any(|it| it == text.as_bytes()),
    })
}

#[test]
fn a_server_that_falls_silent_holds_nobody_up_for_good() {
    let Some(server) = Server::start() else { return };
    let mut book = open(&server.database("cases"));
    let pid = server.sql("cases", "select pid from pg_stat_activity where application_name = 'peerstream'").unwrap();
    let pid: i32 = pid.parse().unwrap();
    // SAFETY: signals to a child of our own server.
    unsafe { libc::kill(pid, libc::SIGSTOP) };
    let began = Instant::now();
    let error = book.docket(1).unwrap_err();
    unsafe { libc::kill(pid, libc::SIGCONT) };
    assert_eq!(error.class, ErrorClass::Timeout, "{error}");
    assert!(began.elapsed() < Duration::from_secs(30));
    // It has let go of the lock since.
    assert_eq!(book.docket(1).or_else(|_| book.docket(1)).unwrap(), None);
}

#[test]
fn a_later_version_is_refused_and_so_is_a_database_that_is_not_there() {
    let Some(server) = Server::start() else { return };
    let url = server.database("cases");
    drop(open(&url));
    server.sql("cases", "update casebook set version = 99").unwrap();
    assert!(Postgres::open(&url).unwrap_err().message.contains("99"));
    let error = Postgres::open(&server.url("nowhere")).unwrap_err();
    assert!(error.class == ErrorClass::NotFound && error.message.contains("nowhere"), "{error}");
    let nobody = Secret::new("postgres://u:hunter2@127.0.0.1:1/cases");
    let error = Postgres::open(&nobody).unwrap_err();
    assert!(error.class.is_temporary() && !error.message.contains("hunter2"), "{error}");
}
