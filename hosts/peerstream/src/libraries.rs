//! Plug-ins from dynamic libraries, beside those that are linked in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use peerstream::protocol::crypto::PublicKey;
use peerstream_loader::{Library, LoadError, Loaded, LoadedBuild, Pin, Policy, Requirement};
use peerstream_registry::{Code, Entry, Loading, Make, MakeOf, Origin, Registry, Require};
use peerstream_sdk::traits::{BuildContext, ErrorClass, Kind, PluginError};
use serde_json::Value;

/// A library of a config that cannot be used.
pub struct Problem {
    pub code: Code,
    /// Where it stands in the config.
    pub path: String,
    pub message: String,
}

/// Adds the plug-ins of all libraries that a config names. What cannot be loaded is told and left out.
pub fn load(loading: &Loading, registry: &mut Registry) -> Vec<Problem> {
    let policy = policy(loading);
    let mut problems = Vec::new();
    for (name, library) in &loading.load {
        let pin = Pin { file: library.file.clone(), sha256: library.sha256.clone() };
        match Library::load(&policy, &pin) {
            Ok(library) => problems.extend(add(&library, name, registry)),
            Err(error) => problems.push(refused(name, &error)),
        }
    }
    problems
}

fn policy(loading: &Loading) -> Policy {
    Policy {
        dirs: loading.dirs.clone(),
        require: match loading.require {
            Require::Sha256 => Requirement::Sha256,
            Require::Signature => Requirement::Signature,
            Require::None => Requirement::None,
        },
        trusted_keys: loading.trusted_keys.iter().filter_map(|key| PublicKey::from_hex(key)).collect(),
    }
}

fn refused(name: &str, error: &LoadError) -> Problem {
    let text = error.to_string();
    let message = text.strip_prefix(error.code()).unwrap_or(&text).trim_start().to_owned();
    let key = if matches!(error, LoadError::Untrusted { .. }) { "sha256" } else { "file" };
    let code = Code::from_word(error.code()).unwrap_or(Code::LibraryRefused);
    Problem { code, path: format!("plugins.load.{name}.{key}"), message }
}

fn add(library: &Library, name: &str, registry: &mut Registry) -> Vec<Problem> {
    let entries = library.plugins().into_iter().map(entry);
    let clashes = entries.filter_map(|entry| registry.add(entry).err());
    let problem = |clash: peerstream_registry::RegistryError| Problem {
        code: Code::LibraryClash,
        path: format!("plugins.load.{name}.file"),
        message: clash.to_string(),
    };
    clashes.map(problem).collect()
}

/// A plug-in of a library as the registry takes it.
pub fn entry(loaded: Loaded) -> Entry {
    let origin = Origin::Loaded {
        file: PathBuf::from(&loaded.file),
        sha256: loaded.sha256.clone(),
        version: loaded.version.clone(),
    };
    let checked = loaded.clone();
    Entry {
        kind: loaded.kind,
        name: loaded.name.clone(),
        summary: loaded.summary.clone(),
        stability: loaded.stability,
        origin,
        schema: loaded.schema.clone(),
        defaults: loaded.defaults.clone(),
        check: Arc::new(move |options| checked.check(options)),
        make: make(loaded),
    }
}

fn make(loaded: Loaded) -> Make {
    match loaded.kind {
        Kind::Strategy => {
            Make::Strategy(made(loaded, |it| if let LoadedBuild::Strategy(it) = it { Some(it) } else { None }))
        }
        Kind::Ladder => Make::Ladder(made(loaded, |it| if let LoadedBuild::Ladder(it) = it { Some(it) } else { None })),
        Kind::Telemetry => {
            Make::Telemetry(made(loaded, |it| if let LoadedBuild::Telemetry(it) = it { Some(it) } else { None }))
        }
        Kind::Archive => {
            Make::Archive(made(loaded, |it| if let LoadedBuild::Archive(it) = it { Some(it) } else { None }))
        }
        Kind::Compliance => {
            Make::Compliance(made(loaded, |it| if let LoadedBuild::Compliance(it) = it { Some(it) } else { None }))
        }
        Kind::Admission => {
            Make::Admission(made(loaded, |it| if let LoadedBuild::Admission(it) = it { Some(it) } else { None }))
        }
        Kind::Transport | Kind::Ingest => unreachable!("the loader refuses these kinds"),
    }
}

fn made<T: 'static>(loaded: Loaded, take: fn(LoadedBuild) -> Option<T>) -> MakeOf<T> {
    Arc::new(move |options: &Value, context: &BuildContext<'_>| {
        let another = || PluginError::new(ErrorClass::Internal, "it made something of another kind");
        loaded.build(options, context.instance).and_then(|built| take(built).ok_or_else(another))
    })
}

/// Whether a name on the command line is that of a file.
pub fn is_file(name: &str) -> bool {
    name.contains(std::path::MAIN_SEPARATOR)
        || Path::new(name).extension().is_some_and(|it| it == "so" || it == "dylib")
}

/// The library in this very file, which the user names and so means.
pub fn of_file(file: &Path) -> anyhow::Result<Library> {
    let (folder, name) = (file.parent().unwrap_or(Path::new("")), file.file_name().unwrap_or_default());
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let policy = Policy { dirs: vec![folder.to_owned()], require: Requirement::None, trusted_keys: Vec::new() };
    Ok(Library::load(&policy, &Pin { file: name.to_string_lossy().into_owned(), sha256: None })?)
}
