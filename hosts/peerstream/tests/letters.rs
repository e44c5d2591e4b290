//! Mails about notices under a real host that is killed, through a real mail server that is away. Skipped without aiosmtpd, unless
//! `PEERSTREAM_REQUIRE_TOOLS` asks for it.
#![cfg(unix)]

mod common;

use common::cases::{House, Mailbox, free_port, link, python};
use common::until;
use serde_json::json;

fn house(port: u16) -> House {
    House::open(&[
        &format!("takedown.smtp=\"smtp://127.0.0.1:{port}\""),
        "takedown.mail_from=\"live@example.org\"",
        "takedown.url=\"https://live.example.org\"",
        "takedown.confirmation=\"mail\"",
    ])
}

#[test]
fn a_mail_that_waits_outlives_its_host_and_comes_once() {
    if python().is_none() {
        return;
    }
    let port = free_port();
    let mut house = house(port);
    let (status, answer, token) = house.submit(&house.notice("dsa", "a@example.org"));
    assert_eq!((status, &answer["state"]), (202, &json!("email-pending")), "{answer}");
    until("the host has tried in vain", || house.desk("letters")["letters"][0]["tries"].as_u64() >= Some(1));
    house.kill_and_restart();
    assert_eq!(house.desk("letters")["waiting"], 1);

    let mailbox = Mailbox::open(port, 0);
    let mails = mailbox.until(1);
    assert_eq!(
        (&mails[0]["to"], &mails[0]["subject"]),
        (&json!(["a@example.org"]), &json!("Please confirm your notice"))
    );
    let (status, case) = house.post("/confirm", "", &json!({ "token": link(&mails[0]) }));
    assert_eq!((status, &case["case"]), (201, &json!(1)), "{case}");
    assert_eq!(mailbox.until(2)[1]["subject"], "Notice 1 has come in");
    until("nothing waits", || house.desk("letters")["waiting"] == 0);
    house.kill_and_restart();
    let written = house.desk("letters");
    assert_eq!((&written["waiting"], &written["given_up"]), (&json!(0), &json!(0)));
    assert_eq!(house.get("/cases/1", &token).0, 200);
    assert_eq!(mailbox.mails().len(), 2);
    let files = std::fs::read_dir(house.folder().join("cases")).unwrap();
    let kept = files.filter_map(|file| std::fs::read(file.unwrap().path()).ok()).flatten().collect::<Vec<_>>();
    let secret = link(&mails[0]).into_bytes();
    assert!(!kept.windows(secret.len()).any(|it| it == secret), "the link that was sent is still on the disk");
}

#[test]
fn a_host_that_is_killed_while_it_sends_sends_the_same_mail_again() {
    if python().is_none() {
        return;
    }
    let port = free_port();
    let mailbox = Mailbox::open(port, 60);
    let mut house = house(port);
    house.submit(&house.notice("dsa", "a@example.org"));
    // The server has it and has not said so.
    mailbox.until(1);
    house.kill_and_restart();
    let mails = mailbox.until(2);
    assert_eq!(mails[0], mails[1], "with the same Message-ID, by which the second one is known");
    assert!(mails[0]["id"].as_str().unwrap().ends_with("@example.org>"), "{mails:?}");
    until("nothing waits", || house.desk("letters")["waiting"] == 0);
    assert_eq!(mailbox.mails().len(), 2);
    assert!(!house.log().contains("a@example.org"), "no address stands in the host's log");
}
