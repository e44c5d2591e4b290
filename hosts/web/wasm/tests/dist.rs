//! `hosts/web/dist` is committed, so that nobody needs a wasm toolchain; this tells when it is older than its sources.
//!
//! The list of inputs is the one of `hosts/web/build/inputs.mjs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

const ROOTS: [&str; 12] = [
    "framework/protocol/Cargo.toml",
    "framework/protocol/src",
    "framework/node/Cargo.toml",
    "framework/node/src",
    "hosts/web/wasm/Cargo.toml",
    "hosts/web/wasm/src",
    "hosts/web/src",
    "hosts/web/build",
    "hosts/web/build.mjs",
    "hosts/web/tsconfig.json",
    "hosts/web/package.json",
    "hosts/web/package-lock.json",
];
const REBUILD: &str = "run `npm ci && npm run build` in hosts/web and commit hosts/web/dist";

type Hashes = BTreeMap<String, String>;

#[test]
fn dist_is_made_of_the_present_sources() {
    let told = manifest("inputs");
    let present = input_hashes();
    let names: BTreeSet<_> = told.keys().chain(present.keys()).collect();
    let changed: Vec<_> = names.into_iter().filter(|name| told.get(*name) != present.get(*name)).collect();
    assert!(changed.is_empty(), "hosts/web/dist is stale: {REBUILD}; changed since: {changed:?}");
}

#[test]
fn dist_holds_what_its_manifest_says() {
    let dist = root().join("hosts/web/dist");
    for (name, hash) in manifest("outputs") {
        let present = std::fs::read(dist.join(&name)).map(|bytes| sha256(&bytes)).unwrap_or_default();
        assert_eq!(present, hash, "hosts/web/dist/{name} is not what was built: {REBUILD}");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

fn manifest(part: &str) -> Hashes {
    let text = read("hosts/web/dist/manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_str(&text).expect("the manifest is JSON");
    serde_json::from_value(manifest[part].take()).expect("hashes by name")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}; {REBUILD}"))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn input_hashes() -> Hashes {
    let mut paths = Vec::new();
    ROOTS.iter().for_each(|path| files(path, &mut paths));
    let mut hashes: Hashes = paths
        .into_iter()
        .map(|path| {
            let hash = sha256(&std::fs::read(root().join(&path)).expect("a listed file can be read"));
            (path, hash)
        })
        .collect();
    let manifests: Vec<_> = ROOTS.iter().filter(|path| path.ends_with("/Cargo.toml")).map(|path| read(path)).collect();
    let own = manifests.iter().flat_map(|manifest| dependency_names(manifest)).collect();
    let dependencies = dependencies(own, &read("Cargo.toml"), &read("Cargo.lock"));
    hashes.insert("dependencies".into(), sha256(dependencies.as_bytes()));
    hashes
}

fn files(path: &str, found: &mut Vec<String>) {
    if root().join(path).is_file() {
        return found.push(path.into());
    }
    for entry in std::fs::read_dir(root().join(path)).expect("an input folder can be listed") {
        let name = entry.expect("an entry can be read").file_name();
        files(&format!("{path}/{}", name.to_string_lossy()), found);
    }
}

/// What a crate itself names, without what only its tests need.
fn dependency_names(manifest: &str) -> Vec<&str> {
    let table = manifest.split("\n[").find(|table| table.starts_with("dependencies]")).unwrap_or_default();
    let names = table.lines().skip(1).filter_map(|line| line.split(['.', ' ']).next());
    names.filter(|name| !name.is_empty() && !name.starts_with("peerstream-")).collect()
}

/// The locked packages the module is made of, and the lines of the workspace's manifest that name them or its profiles.
fn dependencies(own: Vec<&str>, manifest: &str, lock: &str) -> String {
    let packages: Vec<_> = lock.split("[[package]]\n").skip(1).map(Package::read).collect();
    let reached = reached(own, &packages);
    let locked = reached.iter().map(|package| format!("{} {} {}", package.name, package.version, package.checksum));
    let locked: BTreeSet<_> = locked.collect();
    let is_reached = |name: &str| reached.iter().any(|package| package.name == name);
    let wanted = manifest.lines().filter(|line| line.split_once(" = ").is_some_and(|(name, _)| is_reached(name)));
    let profiles = manifest.split("\n[").filter_map(|table| {
        let wanted = ["profile.wasm]", "profile.release]"].iter().any(|head| table.starts_with(head));
        wanted.then(|| format!("[{}", table.trim()))
    });
    locked.into_iter().chain(wanted.map(str::to_owned)).chain(profiles).collect::<Vec<_>>().join("\n")
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    checksum: &'a str,
    dependencies: Vec<&'a str>,
}

impl<'a> Package<'a> {
    fn read(block: &'a str) -> Self {
        let field = |key: &str| {
            let value = |line: &'a str| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"');
            block.lines().find_map(value).unwrap_or_default()
        };
        let entry = |line: &'a str| line.strip_prefix(" \"")?.split('"').next();
        let dependencies = block.lines().filter_map(entry).collect();
        Self { name: field("name"), version: field("version"), checksum: field("checksum"), dependencies }
    }

    /// A dependency is its name, and after a space the version where the name alone is not clear.
    fn is(&self, wanted: &str) -> bool {
        let mut words = wanted.split(' ');
        words.next() == Some(self.name) && words.next().is_none_or(|version| version == self.version)
    }
}

fn reached<'a>(mut queue: Vec<&'a str>, packages: &'a [Package<'a>]) -> BTreeSet<&'a Package<'a>> {
    let mut reached = BTreeSet::new();
    while let Some(wanted) = queue.pop() {
        for found in packages.iter().filter(|package| package.is(wanted)) {
            if reached.insert(found) {
                queue.extend(&found.dependencies);
            }
        }
    }
    reached
}
