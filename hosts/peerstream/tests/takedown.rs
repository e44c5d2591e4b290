//! `peerstream takedown` against a real desk with cases in it.
#![cfg(unix)]

mod common;

use std::io::Write as _;
use std::process::{Output, Stdio};

use common::cases::{House, PASSWORD};
use common::{check_fails, command, until};
use serde_json::{Value, json};

/// Runs the command against a desk.
fn takedown(house: &House, arguments: &[&str]) -> Output {
    let mut takedown = command();
    takedown.arg("takedown").arg(arguments[0]).args(["--url", house.url()]).args(&arguments[1..]);
    takedown.env("PEERSTREAM_DESK_TOKEN", PASSWORD).output().unwrap()
}

/// What it says when all is well.
#[track_caller]
fn said(house: &House, arguments: &[&str]) -> String {
    let output = takedown(house, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refuses(house: &House, arguments: &[&str], words: &[&str]) {
    let output = takedown(house, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{arguments:?}: {errors}");
    words.iter().for_each(|word| assert!(errors.contains(word), "{arguments:?}: `{word}` is not in: {errors}"));
}

#[track_caller]
fn holds(text: &str, words: &[&str]) {
    words.iter().for_each(|word| assert!(text.contains(word), "`{word}` is not in:\n{text}"));
}

fn enter(house: &House, notice: &Value) -> String {
    let path = house.folder().join("notice.json");
    std::fs::write(&path, notice.to_string()).unwrap();
    said(house, &["enter", path.to_str().unwrap()])
}

#[test]
fn a_notice_that_came_by_post_is_entered_listed_and_told() {
    let house = House::open(&[]);
    assert_eq!(said(&house, &["ls"]), "no cases\n");
    assert_eq!(said(&house, &["letters"]), "no mails wait\n");
    let mut notice = house.notice("dmca", "");
    notice["statements"] = json!([]);
    notice["work"]["title"] = "a film\n\u{1b}[31min red".into();
    let entered = enter(&house, &notice);
    holds(&entered, &["case 1\n", "lacks statements."]);
    house.until_state(1, "deficient");
    let list = said(&house, &["ls"]);
    let mut lines = list.lines();
    assert!(lines.next().unwrap().starts_with("CASE  STATE      RULES  LANE"), "{list}");
    holds(lines.next().unwrap(), &["1  ", "deficient  dmca", "A. Author  a film [31min red"]);
    assert_eq!(lines.collect::<Vec<_>>(), ["1 case"]);
    assert_eq!(said(&house, &["ls", "--state", "screened,closed"]), "no cases\n");
    assert_eq!(said(&house, &["ls", "--text", "no such film"]), "no cases\n");
    holds(&said(&house, &["ls", "--text", "A FILM", "--state", "deficient"]), &["1 case"]);

    let story = said(&house, &["show", "1"]);
    let parts = [
        "Case 1: deficient (dmca)\n",
        "by post\n",
        "asked for    statements.",
        "\nThe notice\n  by           A. Author (address confirmed)\n",
        "work         a film\n               [31min red\n",
        "range        0:00:00.4 to 0:00:01.0\n",
        "where        the first second\n",
        "  > it is shown in full\n",
        "\nWhat happened\n",
        "operator  the notice comes in by post\n",
        "host      asks for statements.",
        "\nYou can: ",
    ];
    holds(&story, &parts);
    assert!(!story.contains('\u{1b}'));
    let shown: Value = serde_json::from_str(&said(&house, &["show", "1", "--json"])).unwrap();
    assert_eq!(shown["case"]["id"], 1);
    let listed: Value = serde_json::from_str(&said(&house, &["ls", "--json"])).unwrap();
    assert_eq!(listed["cases"][0]["case"], 1);
}

#[test]
fn a_case_is_exported_in_lumens_shape_with_evidence_and_a_log_that_verify() {
    let folder = tempfile::tempdir().unwrap();
    let archive = format!("archive.main.config.folder=\"{}\"", folder.path().join("archive").display());
    let house = House::open(&["archive.main.use=\"store\"", "archive.main.config.block_seconds=1", &archive]);
    until("the range is in the archive", || {
        let (_, info) = house.get("", "");
        info["now_us"].as_u64().zip(info["started_us"].as_u64()).is_some_and(|(now, began)| now > began + 4_000_000)
    });
    holds(&enter(&house, &house.notice("dmca", "a@example.org")), &["case 1\n"]);
    house.until_state(1, "screened");
    holds(
        &said(&house, &["show", "1"]),
        &["The evidence\n  bundle       segments ", "a person is to decide", "a@example.org"],
    );
    let decision = json!({ "decision": "act", "note": "it is", "actions": [{ "action": "hide-range", "from_ms": 400, "to_ms": 1000 }] });
    assert_eq!(house.post("/desk/cases/1/decide", PASSWORD, &decision).0, 200);
    house.until_state(1, "actioned");
    let story = said(&house, &["show", "1"]);
    holds(&story, &["accepts, hide-range 0:00:00.4 to 0:00:01.0: it is", "(stands)", "all has been tried"]);

    let lumen: Value = serde_json::from_str(&said(&house, &["export", "1"])).unwrap();
    assert_eq!((&lumen["notice"]["type"], &lumen["notice"]["action_taken"]), (&json!("DMCA"), &json!("Yes")));
    assert!(!lumen.to_string().contains("Author"), "{lumen}");
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (named, bundle, log) = (place("named.json"), place("bundle"), place("log"));
    assert_eq!(said(&house, &["export", "1", "--names", "-o", &named]), "");
    holds(&std::fs::read_to_string(&named).unwrap(), &["A. Author"]);
    said(&house, &["export", "1", "--evidence", "-o", &bundle]);
    said(&house, &["export", "-o", &log]);
    let operator = house.desk("session")["operator"].as_str().unwrap().to_owned();
    for (file, words) in [(&bundle, "all signed by its publisher"), (&log, "entries about 1 cases")] {
        let output = command().args(["takedown", "verify", file, "--operator", &operator]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        holds(&String::from_utf8(output.stdout).unwrap(), &[words]);
    }
    assert!(said(&house, &["export"]).lines().count() >= 5, "the log on standard output");
}

#[test]
fn another_key_than_the_cases_were_begun_with_is_refused_by_the_host_and_on_the_command_line() {
    let mut house = House::open(&[]);
    enter(&house, &house.notice("dsa", "a@example.org"));
    house.until_state(1, "screened");
    let operator = house.desk("session")["operator"].as_str().unwrap().to_owned();
    let log = house.folder().join("log");
    said(&house, &["export", "--operator", &operator, "-o", log.to_str().unwrap()]);
    said(&house, &["ls", "--operator", &operator]);
    let other = "1".repeat(64);
    for arguments in [&["ls"][..], &["show", "1"], &["letters"], &["export"], &["export", "1"], &["enter", "-"]] {
        let arguments = [arguments, &["--operator", &other]].concat();
        refuses(&house, &arguments, &["is another one", &operator, &other]);
    }
    check_fails(
        &["takedown", "verify", log.to_str().unwrap(), "--operator", &other],
        4,
        &["entry 1", "is not signed by the operator's key"],
    );

    let key = house.folder().join("key");
    let ours = std::fs::read(&key).unwrap();
    house.end();
    std::fs::remove_file(&key).unwrap();
    let (code, errors) = house.refuses_to_start();
    assert_eq!(code, Some(1), "{errors}");
    holds(&errors, &["the log of cases is not this host's", "has not signed its entry 1", "kept elsewhere"]);
    std::fs::write(&key, ours).unwrap();
    house.start_again();
    assert_eq!(house.desk("session")["operator"], operator);
    assert_eq!(house.desk("cases")["cases"][0]["case"], 1);
}

#[test]
fn what_cannot_be_is_said_with_its_reason() {
    let house = House::open(&[]);
    for case in ["1", "18446744073709551615"] {
        refuses(&house, &["show", case], &["there is no such case"]);
        refuses(&house, &["export", case, "--evidence"], &["there is no such case"]);
    }
    refuses(&house, &["ls", "--state", "screened,x"], &["`x` is no state"]);
    let file = |text: &str| {
        let path = house.folder().join("bad");
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    refuses(&house, &["enter", &file("{")], &["the notice is no JSON"]);
    refuses(&house, &["enter", &file("{\"profile\":\"dmca\",\"x\":1}")], &["unknown field `x`"]);
    refuses(&house, &["enter", &file("{\"profile\":\"dmca\",\"material\":{\"to_ms\":1}}")], &["material.from_ms"]);
    let large = format!("\"{}\"", "x".repeat(200_000));
    refuses(&house, &["enter", &file(&large)], &["larger than 131072 bytes"]);
    refuses(&house, &["enter", house.folder().join("nothing").to_str().unwrap()], &["cannot be read"]);
    let fine = file(&house.notice("dmca", "").to_string());
    refuses(&house, &["enter", &fine, "--channel", &"x".repeat(50)], &["channel: has 50 characters"]);
    assert_eq!(house.desk("cases")["cases"], json!([]));

    let mut stdin = command();
    stdin.args(["takedown", "enter", "-", "--token", PASSWORD, "--url", house.url()]);
    let mut child = stdin.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(house.notice("dmca", "").to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "case 1\n");
    refuses(&house, &["export", "1", "-o", "/nowhere/at/all"], &["/nowhere/at/all cannot be written"]);
    house.until_state(1, "screened");
    refuses(&house, &["export", "1", "--evidence"], &["case 1 has no evidence"]);
}

#[test]
fn who_has_no_token_or_no_host_is_told_what_to_do() {
    let house = House::open(&[]);
    check_fails(&["takedown", "ls", "--url", house.url()], 2, &["--token"]);
    check_fails(&["takedown", "ls", "--url", house.url(), "--token", "wrong"], 1, &["does not let you in", "--token"]);
    check_fails(
        &["takedown", "ls", "--url", "http://127.0.0.1:1/", "--token", "x"],
        1,
        &["127.0.0.1:1", "cannot be reached"],
    );
    check_fails(&["takedown", "ls", "--url", "not a page", "--token", "x"], 1, &["not a page"]);
    let page = format!("{}#whatever", house.url());
    check_fails(&["takedown", "show", "1", "--url", &page, "--token", PASSWORD], 1, &["there is no such case"]);
}
