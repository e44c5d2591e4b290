//! A library in this process.

use std::error::Error;
use std::path::Path;

use peerstream_abi::api::Sink;
use peerstream_abi::message::{Described, Manifest};
use peerstream_abi::{ABI_MAJOR, ABI_MINOR, Api, JSON_BYTES_MAX, MAGIC, SYMBOL, Status};
use peerstream_traits::Kind;

use crate::cache;
use crate::error::LoadError;
use crate::plugin::Loaded;
use crate::policy::{Approved, Pin, Policy};
use crate::probe;

/// Plug-ins of one library at most.
const PLUGINS_MAX: usize = 64;
/// The table up to the last function that every library must have.
const API_SIZE_MIN: usize = std::mem::offset_of!(Api, batch);

/// A library in this process; it stays until the process ends.
#[derive(Clone, Debug)]
pub struct Library {
    /// The file's name.
    pub file: String,
    /// Of the file, 64 hexadecimal digits.
    pub sha256: String,
    /// What it says about itself.
    pub manifest: Manifest,
    pub(crate) table: Table,
}

/// The functions of a library, those beyond its size absent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table(pub(crate) Api);

// SAFETY: functions and numbers; the library is never unloaded.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl Library {
    /// Checks a file, tries it in a child process, and loads it. Runs the code of the file: see [`Policy`].
    pub fn load(policy: &Policy, pin: &Pin) -> Result<Self, LoadError> {
        let approved = policy.approve(pin)?;
        let path = cache::keep(&approved)?;
        probe::try_in_child(&approved.file, &path)?;
        Self::open(&approved, &path)
    }

    fn open(Approved { file, sha256, .. }: &Approved, path: &Path) -> Result<Self, LoadError> {
        let table = open(file, path)?;
        let manifest = describe(file, &table)?;
        Ok(Self { file: file.clone(), sha256: sha256.clone(), manifest, table })
    }

    /// Its plug-ins.
    pub fn plugins(&self) -> Vec<Loaded> {
        (0..).zip(&self.manifest.plugins).filter_map(|(index, described)| Loaded::new(self, index, described)).collect()
    }
}

/// Loads the file at this path and checks its table.
pub(crate) fn open(file: &str, path: &Path) -> Result<Table, LoadError> {
    let library =
        dlopen(path).map_err(|error| LoadError::Refused { file: file.to_owned(), problem: explain(&error) })?;
    // SAFETY: the symbol's type is fixed by the interface; a library that lies about it is beyond help.
    let symbol = unsafe { library.get::<unsafe extern "C" fn() -> *const Api>(SYMBOL.as_bytes()) };
    let Ok(symbol) = symbol else { return Err(LoadError::Foreign { file: file.to_owned() }) };
    // SAFETY: as above.
    let table = unsafe { symbol() };
    let checked = check(file, table);
    // Never unloaded: threads and destructors of the library may be anywhere.
    std::mem::forget(library);
    checked
}

#[cfg(unix)]
fn dlopen(path: &Path) -> Result<libloading::os::unix::Library, libloading::Error> {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
    // SAFETY: the constructors of the library run here; the policy has said that it may.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL | libc::RTLD_NODELETE) }
}

#[cfg(not(unix))]
fn dlopen(path: &Path) -> Result<libloading::Library, libloading::Error> {
    // SAFETY: the constructors of the library run here; the policy has said that it may.
    unsafe { libloading::Library::new(path) }
}

/// The whole chain of causes, and a hint where one is known.
fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    let hints = [
        ("static TLS", "it was linked with an allocator such as jemalloc or mimalloc; plug-ins use the system's"),
        ("GLIBC_", "it was built on a newer system; build it on one as old as this"),
        ("wrong ELF class", "it was built for another kind of processor"),
        ("invalid ELF header", "the file is not a library of this system"),
        ("file too short", "the file is not whole"),
        ("undefined symbol", "a library that it needs is missing, or has another version"),
        ("Dynamic loading not supported", "use the glibc build of peerstream, or link the crate into a host"),
    ];
    match hints.iter().find(|(sign, _)| text.contains(sign)) {
        Some((_, hint)) => format!("{text} ({hint})"),
        None => text,
    }
}

fn check(file: &str, table: *const Api) -> Result<Table, LoadError> {
    let incompatible = |problem: String| LoadError::Incompatible { file: file.to_owned(), problem };
    if table.is_null() || !table.is_aligned() {
        return Err(LoadError::Malformed { file: file.to_owned(), problem: "it gives no table of functions".into() });
    }
    // SAFETY: the numbers at the start of a table are there in every version of the interface.
    let (magic, major, minor, size) =
        unsafe { ((*table).magic, (*table).abi_major, (*table).abi_minor, (*table).size as usize) };
    if magic != MAGIC {
        return Err(incompatible(format!("its table begins with {magic:02x?}, expected {MAGIC:02x?}")));
    }
    if (major, minor) != (ABI_MAJOR, ABI_MINOR) {
        let ours = format!("this host speaks {ABI_MAJOR}.{ABI_MINOR} (peerstream {})", env!("CARGO_PKG_VERSION"));
        let remedy = "rebuild it with the peerstream-sdk of this host; before ABI 1 the versions must be equal";
        return Err(incompatible(format!("ABI {major}.{minor}, {ours}: {remedy}")));
    }
    if size < API_SIZE_MIN {
        return Err(incompatible(format!(
            "its table has {size} bytes, expected {API_SIZE_MIN} to {}",
            size_of::<Api>()
        )));
    }
    // SAFETY: the table has `size` bytes; what is beyond stays zero, which is null for a function.
    let api = unsafe {
        let mut api = std::mem::MaybeUninit::<Api>::zeroed();
        let len = size.min(size_of::<Api>());
        std::ptr::copy_nonoverlapping(table.cast::<u8>(), api.as_mut_ptr().cast::<u8>(), len);
        api.assume_init()
    };
    let missing = [
        ("describe", api.describe.is_none()),
        ("check", api.check.is_none()),
        ("create", api.create.is_none()),
        ("call", api.call.is_none()),
        ("destroy", api.destroy.is_none()),
    ];
    match missing.iter().find(|(_, missing)| *missing) {
        Some((name, _)) => Err(malformed(file, format!("its function `{name}` is null"))),
        None => Ok(Table(api)),
    }
}

fn malformed(file: &str, problem: String) -> LoadError {
    LoadError::Malformed { file: file.to_owned(), problem }
}

/// What the library says about itself.
pub(crate) fn describe(file: &str, table: &Table) -> Result<Manifest, LoadError> {
    let mut sink = Sink::new(JSON_BYTES_MAX);
    let function = table.0.describe.expect("checked when the table was read");
    // SAFETY: the sink lives through the call.
    let status = Status(unsafe { function(sink.out()) });
    let written = String::from_utf8_lossy(sink.bytes().unwrap_or_default()).into_owned();
    if status != Status::OK {
        return Err(malformed(
            file,
            format!("it cannot describe itself (status {}): {}", status.0, one_line(&written)),
        ));
    }
    let Some(bytes) = sink.bytes() else {
        return Err(malformed(file, format!("it describes itself in more than {JSON_BYTES_MAX} bytes")));
    };
    let manifest: Manifest = serde_json::from_slice(bytes)
        .map_err(|error| malformed(file, format!("what it says about itself cannot be read: {error}")))?;
    check_manifest(file, table, &manifest)?;
    Ok(manifest)
}

fn check_manifest(file: &str, table: &Table, manifest: &Manifest) -> Result<(), LoadError> {
    let count = manifest.plugins.len();
    if count == 0 || count > PLUGINS_MAX {
        return Err(malformed(file, format!("it has {count} plug-ins, expected 1 to {PLUGINS_MAX}")));
    }
    for (index, Described { kind, name, .. }) in manifest.plugins.iter().enumerate() {
        let Some(known) = Kind::from_word(kind) else {
            return Err(malformed(file, format!("`{name}` is of kind `{kind}`, which this host does not know")));
        };
        if !known.is_loadable() {
            return Err(malformed(file, format!("`{name}` is of kind `{kind}`, which must be linked into a host")));
        }
        let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(malformed(file, format!("a name is `{}`, expected lower case with dashes", one_line(name))));
        }
        if manifest.plugins[..index].iter().any(|other| (&other.kind, &other.name) == (kind, name)) {
            return Err(malformed(file, format!("it has two plug-ins `{kind}/{name}`")));
        }
        let decides = matches!(known, Kind::Strategy | Kind::Ladder);
        if decides && table.0.batch.is_none() {
            return Err(malformed(file, format!("its function `batch` is null, which `{kind}/{name}` needs")));
        }
        if !decides && (table.0.submit.is_none() || table.0.cancel.is_none()) {
            return Err(malformed(
                file,
                format!("its function `submit` or `cancel` is null, which `{kind}/{name}` needs"),
            ));
        }
    }
    Ok(())
}

/// Text of a library for a log: on one line and not too long.
pub(crate) fn one_line(text: &str) -> String {
    const MAX: usize = 300;
    let mut line: String =
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(MAX).collect();
    if text.chars().count() > MAX {
        line.push('…');
    }
    line
}
