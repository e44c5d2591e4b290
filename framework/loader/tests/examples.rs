//! The examples as dynamic libraries keep the rules of their kinds, whatever they are written in.

mod built;

use std::path::{Path, PathBuf};
use std::process::Command;

use peerstream_loader::{Library, LoadedBuild, Pin, Policy, Requirement};
use peerstream_sdk::testkit::{strategy, telemetry};
use peerstream_traits::Kind;
use serde_json::json;

use crate::built::use_probe;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Builds an example of the workspace as a dynamic library, where this test was built.
fn cargo_build(package: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_peerstream-probe")).parent().unwrap().parent().unwrap();
    let status = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--features", "dynamic", "-p", package, "--target-dir"])
        .arg(target)
        .current_dir(root())
        .status()
        .expect("cargo runs");
    assert!(status.success());
    target.join(format!("debug/lib{}.so", package.replace('-', "_")))
}

fn cc_build(source: &str, into: &Path) {
    let mut command = Command::new("cc");
    command.args(["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I"]);
    let output = command.arg(root().join("plugin-sdk/include")).arg(root().join(source)).arg("-o").arg(into).output();
    let output = output.expect("a C compiler runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Loads a library as if it were installed in a folder of its own.
fn load(library: &Path) -> Library {
    use_probe();
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(library, folder.path().join("it.so")).unwrap();
    let policy = Policy { dirs: vec![folder.path().to_owned()], require: Requirement::None, ..Policy::default() };
    Library::load(&policy, &Pin { file: "it.so".into(), sha256: None }).unwrap()
}

fn check_strategy(library: &Library) -> strategy::Make {
    let loaded = library.plugins().remove(0);
    assert_eq!(loaded.kind, Kind::Strategy);
    let make: strategy::Make = Box::new(move || loaded.build_direct(&json!({})).unwrap());
    for rule in strategy::RULES {
        rule.run(&make).unwrap_or_else(|broken| panic!("{broken}"));
    }
    make
}

#[test]
fn the_strategy_in_c_keeps_every_rule() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("first_free.so");
    cc_build("examples/strategy-c/first_free.c", &library);
    let _ = check_strategy(&load(&library));
}

#[test]
fn the_strategy_in_rust_plans_the_same_loaded_and_linked() {
    let make = check_strategy(&load(&cargo_build("peerstream-example-strategy")));
    let linked = strategy::of::<peerstream_example_strategy::Mine>();
    strategy::compare(&linked, &make, 1, 1_000).unwrap();
}

#[test]
fn the_telemetry_sink_keeps_every_rule_loaded() {
    let loaded = load(&cargo_build("peerstream-example-telemetry")).plugins().remove(0);
    let make: telemetry::Make = Box::new(move || match loaded.build(&json!({}), "it").unwrap() {
        LoadedBuild::Telemetry(sink) => sink,
        _ => panic!("not a sink"),
    });
    for rule in telemetry::RULES {
        rule.run(&make).unwrap_or_else(|broken| panic!("{broken}"));
    }
}
