//! Embeds the web client (`hosts/web/dist`) and the demo clip. Without them the command still builds and says so.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo")).join("embedded.rs");
    let code = files(&here.join("../web/dist")) + &clip(&here.join("assets/demo.mp4"));
    fs::write(out, code).expect("cargo's output folder is writable");
}

/// The files of the web client, by name.
fn files(folder: &Path) -> String {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut paths: Vec<_> = fs::read_dir(folder)
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect())
        .unwrap_or_default();
    paths.sort();
    let mut code = String::from("static WEB: &[(&str, &[u8])] = &[\n");
    for path in &paths {
        println!("cargo::rerun-if-changed={}", path.display());
        let name = path.file_name().and_then(|name| name.to_str()).expect("file names of the web client are text");
        writeln!(code, "    ({name:?}, include_bytes!({path:?})),").expect("strings take text");
    }
    code + "];\n"
}

fn clip(path: &Path) -> String {
    println!("cargo::rerun-if-changed={}", path.display());
    match path.is_file() {
        true => format!("static DEMO: Option<&[u8]> = Some(include_bytes!({path:?}));\n"),
        false => "static DEMO: Option<&[u8]> = None;\n".into(),
    }
}
