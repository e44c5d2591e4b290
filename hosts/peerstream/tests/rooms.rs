//! The arrows between the rooms only point down, and the pure rooms stay pure.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const PURE: [&str; 7] = [
    "peerstream-protocol",
    "peerstream-node",
    "peerstream-overlay",
    "peerstream-abi",
    "peerstream-coordinator",
    "peerstream-takedown",
    "peerstream-recording",
];

/// Which of our crates a crate may depend on (outside of tests).
fn allowed(package: &str, folder: &str) -> Option<Vec<&'static str>> {
    let names = match package {
        "peerstream-protocol" => vec![],
        "peerstream-node" | "peerstream-overlay" | "peerstream-recording" | "peerstream-takedown" => {
            vec!["peerstream-protocol"]
        }
        "peerstream-abi" => vec!["peerstream-overlay", "peerstream-protocol"],
        "peerstream-loader" => {
            vec!["peerstream-abi", "peerstream-overlay", "peerstream-protocol", "peerstream-traits"]
        }
        "peerstream-coordinator" => vec!["peerstream-overlay", "peerstream-protocol"],
        "peerstream-traits" => {
            vec!["peerstream-overlay", "peerstream-protocol", "peerstream-recording", "peerstream-takedown"]
        }
        "peerstream-registry" => vec!["peerstream-protocol", "peerstream-overlay", "peerstream-traits"],
        "peerstream" => vec![
            "peerstream-protocol",
            "peerstream-node",
            "peerstream-overlay",
            "peerstream-coordinator",
            "peerstream-takedown",
            "peerstream-traits",
            "peerstream-recording",
        ],
        "peerstream-media" => vec!["peerstream-protocol", "peerstream-overlay", "peerstream-traits"],
        "peerstream-lab" => {
            vec!["peerstream-protocol", "peerstream-node", "peerstream-overlay", "peerstream-coordinator"]
        }
        "peerstream-sdk" => {
            vec!["peerstream-abi", "peerstream-overlay", "peerstream-protocol", "peerstream-traits"]
        }
        "peerstream-web" => vec!["peerstream-protocol", "peerstream-node"],
        "peerstream-proximity" => vec!["peerstream-sdk", "peerstream-dumbbell"],
        // One way to start, bound and end ffmpeg, for all inputs that need it.
        "peerstream-ffmpeg-child" => vec![],
        "peerstream-compare" => vec!["peerstream-ffmpeg-child"],
        "peerstream-ingest-ffmpeg" | "peerstream-ingest-icecast" => {
            vec!["peerstream-sdk", "peerstream-media", "peerstream-ffmpeg-child"]
        }
        "peerstream-archive-rtmp-push" => vec!["peerstream-sdk", "peerstream-ffmpeg-child"],
        // A live video is pushed to as any other server is.
        "peerstream-archive-peertube" => {
            vec!["peerstream-sdk", "peerstream-media", "peerstream-archive-rtmp-push"]
        }
        _ if folder.starts_with("strategies/") || folder.starts_with("modules/") => {
            vec!["peerstream-sdk", "peerstream-media", "peerstream-recording"]
        }
        _ if folder.starts_with("hosts/") || folder.starts_with("examples/") => return None,
        _ => panic!("{package} in {folder} has no rule here: give it one"),
    };
    Some(names)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace is here")
}

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let mut metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    serde_json::from_value(metadata["packages"].take()).expect("packages are a list")
}

fn normal_dependencies(package: &Value) -> BTreeSet<&str> {
    let dependencies = package["dependencies"].as_array().expect("dependencies are a list");
    let normal = dependencies.iter().filter(|dependency| dependency["kind"].is_null());
    normal.filter_map(|dependency| dependency["name"].as_str()).collect()
}

fn folder(package: &Value) -> String {
    let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
    let folder = manifest.parent().and_then(|folder| folder.strip_prefix(root()).ok());
    folder.expect("inside the workspace").to_string_lossy().into_owned()
}

#[test]
fn arrows_only_point_down() {
    for package in packages() {
        let name = package["name"].as_str().expect("a name");
        let Some(allowed) = allowed(name, &folder(&package)) else { continue };
        for dependency in normal_dependencies(&package) {
            let ours = dependency == "peerstream" || dependency.starts_with("peerstream-");
            assert!(!ours || allowed.contains(&dependency), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn pure_rooms_have_no_runtime_no_clock_and_no_chance_of_their_own() {
    let refused = ["tokio", "async-std", "rand", "getrandom", "chrono", "time", "tracing", "futures"];
    for package in packages() {
        let name = package["name"].as_str().expect("a name");
        if PURE.contains(&name) {
            let impure: Vec<_> = normal_dependencies(&package).into_iter().filter(|d| refused.contains(d)).collect();
            assert!(impure.is_empty(), "{name} is pure and must not depend on {impure:?}");
        }
    }
}

#[test]
fn pure_rooms_never_ask_for_the_time_or_touch_the_world() {
    let refused =
        ["Instant::now", "SystemTime", "std::fs", "std::net", "std::thread", "std::env", "HashMap", "thread_rng"];
    let rooms = ["protocol", "node", "overlay", "abi", "coordinator", "recording", "takedown"]
        .map(|room| format!("framework/{room}/src"));
    for file in rooms.iter().flat_map(|room| rust_files(&root().join(room))) {
        let text = std::fs::read_to_string(&file).expect("a source file");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let found: Vec<_> = refused.iter().filter(|word| code.contains(*word)).collect();
        assert!(found.is_empty(), "{} uses {found:?}", file.display());
    }
}

#[test]
fn one_file_of_the_host_names_plugin_crates() {
    let plugins: Vec<_> = packages().iter().filter(|package| is_plugin(&folder(package))).map(crate_name).collect();
    let sources = root().join("hosts/peerstream/src");
    for file in rust_files(&sources).into_iter().chain(rust_files(&sources.join("lab"))) {
        if file.ends_with("bundle.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("a source file");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let found: Vec<_> = plugins.iter().filter(|name| code.contains(*name)).collect();
        assert!(found.is_empty(), "{} names {found:?}; only bundle.rs does", file.display());
    }
}

fn is_plugin(folder: &str) -> bool {
    folder.starts_with("strategies/") || folder.starts_with("modules/")
}

fn crate_name(package: &Value) -> String {
    package["name"].as_str().expect("a name").replace('-', "_")
}

#[test]
fn the_top_level_holds_what_the_map_says() {
    let listed = Command::new("git").args(["ls-tree", "--name-only", "HEAD"]).current_dir(root()).output();
    let Ok(listed) = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()) else { return };
    let expected = [
        ".ci",
        ".gitignore",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "Makefile",
        "README.md",
        "docs",
        "examples",
        "framework",
        "hosts",
        "modules",
        "plugin-sdk",
        "rust-toolchain.toml",
        "rustfmt.toml",
        "strategies",
    ];
    let strange: Vec<_> = listed.lines().filter(|name| !expected.contains(name)).collect();
    assert!(strange.is_empty(), "{strange:?} at the top level: the map in ARCHITECTURE.md does not know them");
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a room has sources");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}
