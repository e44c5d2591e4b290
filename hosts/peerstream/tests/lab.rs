//! `peerstream lab`: mistakes, small real runs, what is written about them, and taking up a study again.

mod common;

use std::fs;
use std::path::Path;

use common::{check_fails, run};
use serde_json::Value;

/// A broadcast that takes a moment to simulate.
const SMALL: [&str; 8] = ["--viewers", "25", "--minutes", "0.2", "--set", "warm_up_s=10", "--set", "settle_s=5"];

fn lab(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = run(&[&["lab"], arguments].concat());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Standard output of a small run in which all properties hold.
fn small(arguments: &[&str]) -> String {
    let (code, out, log) = lab(&[arguments, &SMALL].concat());
    assert_eq!(code, Some(0), "{log}");
    out
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn mistakes_are_named_with_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evening.toml");
    let check_file = |content: &str, words: &[&str]| {
        fs::write(&path, content).unwrap();
        check_fails(&["lab", "run", text(&path)], 2, words);
    };
    check_file("name = \"x\"\n[network]\nlos = 1\n", &["evening.toml:3: ", "`los`", "`loss`"]);
    check_file("name = \"x\"\nviewers = \n", &["evening.toml:2: "]);
    check_file("viewers = 0\nminutes = -1\n", &["evening.toml", "`viewers`", "`minutes`"]);
    check_fails(&["lab", "run", "exponental"], 2, &["did you mean `exponential`?", "`control-drop`", "TOML file"]);
    check_fails(&["lab", "run", "/nowhere/x.toml"], 2, &["/nowhere/x.toml", "cannot be read"]);
    check_fails(&["lab", "run", "live", "--set", "network.los=1"], 2, &["--set `network.los=1`", "`loss`"]);
    check_fails(&["lab", "run", "live", "--set", "viewers"], 2, &["--set `viewers`", "KEY=VALUE"]);
    check_fails(&["lab", "run", "live", "--rtt", "/nowhere/rtt"], 2, &["--rtt", "/nowhere/rtt", "cannot be read"]);
    check_fails(&["lab", "run", "live", "--strategy", "mesh"], 2, &["mesh", "available: dumbbell"]);
    check_fails(&["lab", "sweep", "live", "--set", "viewers=5"], 2, &["several values"]);
    check_fails(&["lab", "compare", "live"], 2, &["--strategy"]);
    check_fails(&["lab", "report", text(&path)], 2, &["evening.toml"]);
}

#[test]
fn list_shows_every_scenario_with_a_line() {
    let (code, out, _) = lab(&["list"]);
    assert_eq!(code, Some(0));
    assert!(out.lines().count() >= 9 && out.lines().all(|line| line.ends_with('.')), "{out}");
    assert!(out.starts_with("live "), "{out}");
}

#[test]
fn a_comparison_runs_each_strategy_with_the_same_seeds_and_can_be_shown_again() {
    let folder = tempfile::tempdir().unwrap();
    let [document, page, again] = ["a.json", "a.html", "b.html"].map(|name| folder.path().join(name));
    let strategies = ["--strategy", "dumbbell", "--strategy", "dumbbell:standby=false"];
    let flags = ["--seeds", "2", "--json", "--html", text(&page)];
    let out = small(&[&["compare", "live"], &strategies[..], &flags].concat());
    let value: Value = serde_json::from_str(&out).unwrap();
    let seeds = |series: usize| [0, 1].map(|run| value["series"][series]["reports"][run]["seed"].clone());
    assert_eq!((seeds(0), seeds(1)), ([1.into(), 2.into()], [1.into(), 2.into()]));
    assert_eq!(value["series"][1]["figures"]["lag_p50"]["values"].as_array().map(Vec::len), Some(2));

    fs::write(&document, &out).unwrap();
    let (code, table, log) = lab(&["report", text(&document), "--html", text(&again)]);
    assert_eq!(code, Some(0), "{log}");
    assert!(table.contains("ratio") && table.contains("lag p50, ms"), "{table}");
    let page = fs::read_to_string(page).unwrap();
    assert_eq!(page, fs::read_to_string(again).unwrap(), "the document holds all that the page shows");
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let tree = roxmltree::Document::parse_with_options(&page, options).unwrap();
    assert!(tree.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/1999/xhtml", "svg"))).count() > 8);
}

#[test]
fn a_study_is_taken_up_where_it_was_and_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let into = ["run", "live", "--json", "--into", text(folder.path())];
    let first = small(&[&into[..], &["--seed", "2"]].concat());
    let case = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let kept = case.join("2.json");
    let written = fs::metadata(&kept).unwrap().modified().unwrap();
    let both: Value = serde_json::from_str(&small(&[&into[..], &["--seeds", "2"]].concat())).unwrap();
    assert_eq!(fs::metadata(&kept).unwrap().modified().unwrap(), written, "the run that was there is not run again");
    let first: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(both["series"][0]["reports"][1], first["series"][0]["reports"][0]);
    assert!(case.join("1.json").exists());
}

#[test]
fn a_sweep_shows_a_row_per_value_and_one_seed_gives_the_same_again() {
    let table = small(&["sweep", "live", "--set", "network.jitter_ms=0,1,2,3,4"]);
    for value in ["0", "1", "2", "3", "4"] {
        let label = format!("network.jitter_ms={value} ");
        assert!(table.lines().any(|line| line.starts_with(&label)), "no `{label}` in\n{table}");
    }
    assert!(table.contains("again with: peerstream lab sweep live"), "{table}");
    let trace = || {
        serde_json::from_str::<Value>(&small(&["run", "live", "--json"])).unwrap()["series"][0]["reports"][0]["trace"]
            .clone()
    };
    assert_eq!(trace(), trace());
}

#[test]
fn a_property_that_does_not_hold_fails_the_command_and_is_named_with_its_seed() {
    let flags = ["run", "live", "--seed", "3", "--set", "bounds.inverted=-1"];
    let (code, out, log) = lab(&[&flags, &SMALL[..]].concat());
    assert_eq!(code, Some(4), "{log}");
    assert!(log.contains("P7 does not hold in `live`, seed 3"), "{log}");
    assert!(out.contains("properties broken"), "the table is shown all the same: {out}");
}
