//! Libraries built from `corpus/plugin.c` with a C compiler.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use peerstream_loader::{Library, LoadError, Pin, Policy, Requirement, probe, sha256_of};
use tempfile::TempDir;

/// The file's name.
#[allow(dead_code, reason = "not every test file uses it")]
pub const FILE: &str = "libstar.so";

/// The tests themselves do not know the command that tries a library.
pub fn use_probe() {
    probe::use_executable(env!("CARGO_BIN_EXE_peerstream-probe").into());
}

/// A library in a folder of its own.
#[allow(dead_code, reason = "not every test file uses it")]
pub struct Built {
    folder: TempDir,
}

#[allow(dead_code, reason = "not every test file uses all of it")]
impl Built {
    /// With these definitions for the preprocessor.
    pub fn with(definitions: &[&str]) -> Self {
        let built = Self::in_folder();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new("cc");
        command.args(["-std=gnu11", "-shared", "-fPIC", "-w", "-I"]).arg(root.join("../../plugin-sdk/include"));
        command.args(definitions.iter().map(|name| format!("-D{name}")));
        let output = command.arg(root.join("tests/corpus/plugin.c")).arg("-o").arg(built.path()).output();
        let output = output.expect("a C compiler runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        built.set_mode(0o644);
        built
    }

    /// A file that holds this.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let built = Self::in_folder();
        fs::write(built.path(), bytes).unwrap();
        built.set_mode(0o644);
        built
    }

    fn in_folder() -> Self {
        use_probe();
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join(FILE)
    }

    pub fn set_mode(&self, mode: u32) {
        fs::set_permissions(self.path(), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Its pin, as it is now.
    pub fn pin(&self) -> Pin {
        Pin { file: FILE.into(), sha256: Some(sha256_of(&fs::read(self.path()).unwrap())) }
    }

    /// A policy that allows its folder.
    pub fn policy(&self) -> Policy {
        Policy { dirs: vec![self.folder.path().to_owned()], require: Requirement::Sha256, trusted_keys: Vec::new() }
    }

    /// Loads it as it is now.
    pub fn load(&self) -> Result<Library, LoadError> {
        Library::load(&self.policy(), &self.pin())
    }
}
