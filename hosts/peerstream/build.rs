//! Embeds the web client (`hosts/web/dist`), as it is and compressed, and the demo clip; without them the command still builds and says so. Hashes
//! the sources of what the lab simulates, so that reports of other sources are not taken for its own.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    let code = files(&here.join("../web/dist"), &out) + &clip(&here.join("assets/demo.mp4"));
    fs::write(out.join("embedded.rs"), code).expect("cargo's output folder is writable");
    println!("cargo::rustc-env=PEERSTREAM_LAB_SOURCES={:016x}", hash_of_sources(&here.join("../..")));
}

/// The files of the web client, by name; with each what gzip makes of it.
fn files(folder: &Path, out: &Path) -> String {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut paths: Vec<_> = fs::read_dir(folder)
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect())
        .unwrap_or_default();
    paths.sort();
    let mut code = String::from("static WEB: &[(&str, &[u8], &[u8])] = &[\n");
    for path in &paths {
        println!("cargo::rerun-if-changed={}", path.display());
        let name = path.file_name().and_then(|name| name.to_str()).expect("file names of the web client are text");
        let zipped = out.join(format!("{name}.gz"));
        fs::write(&zipped, gzip(&fs::read(path).expect("a file that was listed")))
            .expect("cargo's output folder is writable");
        writeln!(code, "    ({name:?}, include_bytes!({path:?}), include_bytes!({zipped:?})),")
            .expect("strings take text");
    }
    code + "];\n"
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("a vector takes all");
    encoder.finish().expect("a vector takes all")
}

fn clip(path: &Path) -> String {
    println!("cargo::rerun-if-changed={}", path.display());
    match path.is_file() {
        true => format!("static DEMO: Option<&[u8]> = Some(include_bytes!({path:?}));\n"),
        false => "static DEMO: Option<&[u8]> = None;\n".into(),
    }
}

/// Over all that decides what a simulated run finds, the dependencies' versions among it.
fn hash_of_sources(root: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    let rooms = ["framework/protocol", "framework/node", "framework/overlay", "framework/coordinator", "framework/lab"];
    for room in rooms.into_iter().chain(["plugin-sdk", "strategies"]) {
        hash_folder(&root.join(room), &mut hasher);
    }
    hash_file(&root.join("Cargo.lock"), &mut hasher);
    hasher.finish()
}

/// All sources below a folder, in the order of their names.
fn hash_folder(folder: &Path, hasher: &mut DefaultHasher) {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut paths: Vec<_> = fs::read_dir(folder)
        .map(|entries| entries.filter_map(|it| Some(it.ok()?.path())).collect())
        .unwrap_or_default();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            hash_folder(&path, hasher);
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "toml") {
            hash_file(&path, hasher);
        }
    }
}

fn hash_file(path: &Path, hasher: &mut DefaultHasher) {
    println!("cargo::rerun-if-changed={}", path.display());
    fs::read(path).unwrap_or_default().hash(hasher);
}
