//! What is said about each mistake, word by word: `golden/NAME.toml` and what comes of it in `golden/NAME.txt`.
//!
//! Lines of a case that begin with `#!` are directives: `env NAME=VALUE`, `set KEY=VALUE`, `flag FLAG KEY=VALUE`, `file PATH` (one
//! more file, in the folder of the cases), `add CODE PATH` (as a host does for what only it can see).

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::{layout, registry};
use peerstream_registry::{Code, Draft, Layers, Outcome};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn cases() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    cases.sort();
    cases
}

fn outcome(case: &Path) -> Outcome {
    let text = fs::read_to_string(case).unwrap();
    let directives: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("#! ")?.split_once(' ')).collect();
    let of = |wanted: &'static str| directives.iter().filter(move |(word, _)| *word == wanted).map(|(_, rest)| *rest);
    let mut layers = Layers::new();
    layers.text(case.file_name().unwrap().to_str().unwrap(), text.as_str());
    for name in of("file") {
        match fs::read_to_string(folder().join(name)) {
            Ok(text) => layers.text(name, text),
            Err(_) => layers.file(Path::new(name)),
        }
    }
    layers.environment(
        of("env").filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.into(), value.into())),
    );
    of("set").for_each(|set| layers.set(set));
    for (flag, pair) in of("flag").filter_map(|rest| rest.split_once(' ')) {
        let (path, value) = pair.split_once('=').unwrap();
        layers.flag(flag, &path.split('.').collect::<Vec<_>>(), value);
    }
    let mut outcome = Draft::new(layers).check(&registry(), &layout());
    for (code, path) in of("add").filter_map(|rest| rest.split_once(' ')) {
        let code = Code::ALL.iter().find(|known| known.word() == code).unwrap();
        outcome.add(*code, path, "what only the host can see");
    }
    outcome
}

#[test]
fn every_mistake_is_told_as_it_was_written_down() {
    let bless = std::env::var_os("PEERSTREAM_BLESS").is_some();
    for case in cases() {
        let outcome = outcome(&case);
        let mut said = outcome.report.human();
        if outcome.report.errors() == 0 {
            said = format!("{said}--- shown\n{}", outcome.config.show(false, true));
        }
        let expected = case.with_extension("txt");
        if bless {
            fs::write(&expected, &said).unwrap();
        }
        let written = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(said, written, "{}; PEERSTREAM_BLESS=1 writes it anew", case.display());
        assert!(!said.contains("hunter2"), "{} shows a secret", case.display());
    }
}

#[test]
fn there_is_a_case_for_every_code() {
    let found: BTreeSet<_> =
        cases().iter().flat_map(|case| outcome(case).report.diagnostics).map(|found| found.code).collect();
    let missing: Vec<_> = Code::ALL.iter().filter(|code| !found.contains(code)).collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}

#[test]
fn every_code_is_explained_to_users() {
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.md")).unwrap();
    for code in Code::ALL {
        let line = format!("| {} | {} | {} |", code.word(), code.severity().word(), code.about());
        assert!(docs.contains(&line), "docs/config.md lacks: {line}");
    }
}

#[test]
fn programs_and_github_are_told_the_same() {
    let report = outcome(&folder().join("unknown-option.toml")).report;
    let document = report.json();
    assert_eq!(document["errors"].as_u64(), Some(report.errors() as u64));
    assert_eq!(document["diagnostics"][0]["code"], "PS0112");
    assert_eq!(document["diagnostics"][0]["line"], 4);
    let github = report.github();
    assert!(
        github.starts_with("::error file=unknown-option.toml,line=4,col=1,title=PS0112::unknown option"),
        "{github}"
    );
}
