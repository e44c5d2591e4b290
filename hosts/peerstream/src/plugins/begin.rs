//! `plugins new`: the crate of a new plug-in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use peerstream_sdk::traits::Kind;

use super::KindName;
use crate::banner;

/// Options of `plugins new`.
#[derive(Args, Debug)]
pub struct NewArgs {
    /// The plug-in's name and that of its folder, in lower case with dashes, such as `my-strategy`
    pub name: String,
    /// What it is for
    #[arg(long)]
    pub kind: KindName,
    /// Where `plugin-sdk` is [default: the sources this program was built from, or else the published crate]
    #[arg(long, value_name = "FOLDER")]
    pub sdk: Option<PathBuf>,
}

/// What a crate begins as: one of the examples.
struct Template {
    library: &'static str,
    tests: &'static str,
    /// The example's name as a crate.
    example: &'static str,
}

macro_rules! template {
    ($kind:literal) => {
        Template {
            library: include_str!(concat!("../../../../examples/plugin-", $kind, "/src/lib.rs")),
            tests: include_str!(concat!("../../../../examples/plugin-", $kind, "/tests/conformance.rs")),
            example: concat!("peerstream_example_", $kind),
        }
    };
}

const MANIFEST: &str = include_str!("../../../../plugin-sdk/template/Cargo.toml.in");
const CLIPPY: &str = include_str!("../../../../plugin-sdk/template/clippy.toml");

fn template(kind: Kind) -> Result<Template> {
    Ok(match kind {
        Kind::Strategy => template!("strategy"),
        Kind::Ladder => template!("ladder"),
        Kind::Telemetry => template!("telemetry"),
        Kind::Archive => template!("archive"),
        Kind::Compliance => template!("compliance"),
        Kind::Admission => template!("admission"),
        Kind::Transport | Kind::Ingest => {
            bail!("a plug-in of kind {kind} cannot be a library of its own: begin it as a crate of your host")
        }
    })
}

/// Writes the crate.
pub fn run(args: &NewArgs) -> Result<()> {
    let (name, kind) = (&args.name, args.kind.0);
    check_name(name)?;
    let template = template(kind)?;
    let folder = Path::new(name);
    if folder.exists() {
        bail!("{name} is there already; choose another name or another folder");
    }
    let sdk = args.sdk.clone().or_else(sources);
    let write = |file: &str, text: &str| {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))
    };
    write("Cargo.toml", &manifest(name, sdk.as_deref())?)?;
    write("src/lib.rs", &renamed(template.library, name))?;
    write("tests/conformance.rs", &template.tests.replace(template.example, &name.replace('-', "_")))?;
    write(".gitignore", "/target\n")?;
    if matches!(kind, Kind::Strategy | Kind::Ladder) {
        write("clippy.toml", CLIPPY)?;
    }
    banner::line(&format!("{name}/ is a {kind} plug-in that builds and passes; next: cd {name} && cargo test"));
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let begins = name.starts_with(|letter: char| letter.is_ascii_lowercase());
    let taken = ["test", "core", "std", "alloc", "proc-macro", "peerstream", "peerstream-sdk", "serde", "schemars"];
    if !begins || name.ends_with('-') || name.len() > 64 || !name.chars().all(plain) {
        bail!("`{name}`: expected lower case with dashes, such as my-strategy");
    }
    if taken.contains(&name) {
        bail!("`{name}` is the name of something else; expected one of your own, such as my-strategy");
    }
    Ok(())
}

/// The sources this program was built from, if they are still there.
fn sources() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin-sdk");
    folder.canonicalize().ok().filter(|folder| folder.join("Cargo.toml").is_file())
}

fn manifest(name: &str, sdk: Option<&Path>) -> Result<String> {
    let from = match sdk {
        Some(folder) => {
            let folder = folder.canonicalize().with_context(|| format!("--sdk {}", folder.display()))?;
            format!("path = {}", toml::Value::String(folder.to_string_lossy().into_owned()))
        }
        None => format!("version = \"{}\"", env!("CARGO_PKG_VERSION")),
    };
    let plain = format!("{{ {from} }}");
    let testkit = format!("{{ {from}, features = [\"testkit\"] }}");
    Ok(MANIFEST.replace("{name}", name).replace("{sdk}", &plain).replace("{sdk-testkit}", &testkit))
}

/// The example under another name.
fn renamed(library: &str, name: &str) -> String {
    let rename = |line: &str| match line.split_once("const NAME: &'static str = ") {
        Some((indent, _)) => format!("{indent}const NAME: &'static str = \"{name}\";\n"),
        None => format!("{line}\n"),
    };
    library.lines().map(rename).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_crates_and_plugins() {
        assert!(check_name("my-strategy-2").is_ok());
        for name in ["", "My", "2fast", "my_strategy", "my-", "test", "a/b", "../up", &"x".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn every_loadable_kind_has_a_template_that_takes_a_name() {
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_loadable()) {
            let Template { library, tests, example } = template(kind).unwrap();
            assert!(renamed(library, "mine").contains("const NAME: &'static str = \"mine\";"), "{kind}");
            assert!(tests.contains(example) && library.contains("export_plugin!"), "{kind}");
        }
        assert!(template(Kind::Ingest).is_err());
    }

    #[test]
    fn the_manifest_names_the_sdk_by_path_or_by_version() {
        let text = manifest("mine", Some(Path::new(env!("CARGO_MANIFEST_DIR")))).unwrap();
        let read: toml::Table = text.parse().unwrap();
        assert_eq!(read["package"]["name"].as_str(), Some("mine"));
        assert!(read["dependencies"]["peerstream-sdk"]["path"].is_str());
        let read: toml::Table = manifest("mine", None).unwrap().parse().unwrap();
        assert!(read["dev-dependencies"]["peerstream-sdk"]["version"].is_str());
        assert!(manifest("mine", Some(Path::new("/no/such/folder"))).is_err());
    }
}
