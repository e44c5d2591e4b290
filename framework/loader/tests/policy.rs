//! Which files may be loaded.

mod built;

use std::fs;

use peerstream_loader::{Library, LoadError, Pin, Policy, Requirement, SIGNATURE_SUFFIX, sign};
use peerstream_protocol::crypto::SecretKey;

use crate::built::{Built, FILE};

#[track_caller]
fn check_refused(result: Result<Library, LoadError>, code: &str, words: &[&str]) {
    let error = result.expect_err("refused");
    let text = error.to_string();
    assert_eq!(error.code(), code, "{text}");
    words.iter().for_each(|word| assert!(text.contains(word), "`{word}` is not in: {text}"));
}

#[test]
fn a_file_that_was_changed_after_its_pin_is_refused() {
    let built = Built::with(&["FAULT_NONE=1"]);
    let pin = built.pin();
    let mut bytes = fs::read(built.path()).unwrap();
    bytes.push(0);
    fs::write(built.path(), bytes).unwrap();
    check_refused(Library::load(&built.policy(), &pin), "PS0203", &["has changed", pin.sha256.as_deref().unwrap()]);
    check_refused(built.policy_without_pin(), "PS0203", &["no SHA-256", "sha256 = \""]);
}

impl Built {
    fn policy_without_pin(&self) -> Result<Library, LoadError> {
        Library::load(&self.policy(), &Pin { file: FILE.into(), sha256: None })
    }
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    let built = Built::with(&["FAULT_NONE=1"]);
    built.set_mode(0o666);
    check_refused(built.load(), "PS0202", &["others may write it", "666"]);
}

#[test]
fn a_file_is_looked_for_in_the_allowed_folders_alone() {
    let built = Built::with(&["FAULT_NONE=1"]);
    let load = |file: &str| Library::load(&built.policy(), &Pin { file: file.into(), sha256: None });
    check_refused(load("libstart.so"), "PS0201", &["libstart.so", "did you mean `libstar.so`?"]);
    check_refused(load(&built.path().display().to_string()), "PS0201", &["not found"]);
    check_refused(load("../libstar.so"), "PS0201", &["not found"]);
}

#[test]
fn a_signature_of_a_trusted_key_is_as_good_as_a_pin() {
    let built = Built::with(&["FAULT_NONE=1"]);
    let (ours, theirs) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
    let policy = Policy { require: Requirement::Signature, trusted_keys: vec![ours.public()], ..built.policy() };
    let load = || Library::load(&policy, &Pin { file: FILE.into(), sha256: None });
    check_refused(load(), "PS0203", &["no signature"]);
    let beside = built.path().with_extension(format!("so.{SIGNATURE_SUFFIX}"));
    let bytes = fs::read(built.path()).unwrap();
    fs::write(&beside, sign(&bytes, |message| theirs.sign(message))).unwrap();
    check_refused(load(), "PS0203", &["none of the 1 trusted keys"]);
    fs::write(&beside, "signed, honestly").unwrap();
    check_refused(load(), "PS0203", &["malformed"]);
    fs::write(&beside, sign(&bytes, |message| ours.sign(message)) + "\n").unwrap();
    assert_eq!(load().unwrap().plugins()[0].name, "star");
}

#[test]
fn what_runs_is_what_was_checked_and_not_what_replaces_it_later() {
    let built = Built::with(&["FAULT_NONE=1"]);
    let library = built.load().unwrap();
    fs::write(built.path(), b"something else").unwrap();
    let found = library.plugins()[0].check(&serde_json::json!({}));
    assert!(found.is_empty(), "{found:?}");
}
