//! Tries a library in a child process, so that one that crashes as it is loaded takes nobody with it.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use peerstream_abi::JSON_BYTES_MAX;

use crate::error::LoadError;
use crate::library::{describe, one_line, open};

/// What a host's command line looks like when it is called to try a library: `peerstream __probe FILE`.
pub const COMMAND: &str = "__probe";
/// A library that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the child is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Exit code of a child that was told why the library cannot be used, and says so.
const EXIT_REFUSED: u8 = 3;

static EXECUTABLE: OnceLock<PathBuf> = OnceLock::new();

/// Which executable is called with [`COMMAND`]; without this the running one. For programs that embed the loader and do not know
/// the command. Only the first call counts.
pub fn use_executable(path: PathBuf) {
    let _ = EXECUTABLE.set(path);
}

/// The child's part: loads the file and lets it describe itself. The name is for messages.
pub fn main(name: &str, path: &Path) -> ExitCode {
    match open(name, path).and_then(|table| describe(name, &table)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stdout(), "{error}");
            ExitCode::from(EXIT_REFUSED)
        }
    }
}

/// The parent's part. What is wrong with a library that does not crash is found again, with its reason, by whoever loads it.
pub(crate) fn try_in_child(file: &str, path: &Path) -> Result<(), LoadError> {
    let crashed = |problem: String| LoadError::Crashed { file: file.to_owned(), problem };
    let executable = match EXECUTABLE.get() {
        Some(path) => path.clone(),
        None => std::env::current_exe().map_err(|error| crashed(format!("no process could be started: {error}")))?,
    };
    let child = Command::new(executable)
        .arg(COMMAND)
        .args([Path::new(file), path])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| crashed(format!("no process could be started: {error}")))?;
    let (code, said) = wait(child).map_err(crashed)?;
    match code {
        Some(0) => Ok(()),
        Some(code) if code == i32::from(EXIT_REFUSED) => Ok(()),
        Some(code) => Err(crashed(format!("it ended the process with code {code}{said}"))),
        None => Err(crashed(format!("it was killed by a signal{said}"))),
    }
}

fn wait(mut child: Child) -> Result<(Option<i32>, String), String> {
    let said = listen(&mut child);
    let begun = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if begun.elapsed() < PATIENCE => thread::sleep(LOOK_EVERY),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it did not answer within {} s", PATIENCE.as_secs()));
            }
            Err(error) => return Err(format!("its process is lost: {error}")),
        }
    };
    let said = said.join().unwrap_or_default();
    let said = if said.is_empty() { String::new() } else { format!(", saying: {}", one_line(&said)) };
    Ok((status.code(), signal(status).map_or(said.clone(), |signal| format!(" ({signal}){said}"))))
}

/// Reads what the child says on standard error, without letting it fill the pipe.
fn listen(child: &mut Child) -> thread::JoinHandle<String> {
    let errors = child.stderr.take();
    drop(child.stdout.take());
    thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(errors) = errors {
            let _ = errors.take(JSON_BYTES_MAX as u64).read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).trim().to_owned()
    })
}

#[cfg(unix)]
fn signal(status: std::process::ExitStatus) -> Option<String> {
    let number = std::os::unix::process::ExitStatusExt::signal(&status)?;
    let name = match number {
        libc::SIGABRT => "SIGABRT",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        libc::SIGBUS => "SIGBUS",
        libc::SIGKILL => "SIGKILL",
        _ => return Some(format!("signal {number}")),
    };
    Some(name.to_owned())
}

#[cfg(not(unix))]
fn signal(_: std::process::ExitStatus) -> Option<String> {
    None
}
