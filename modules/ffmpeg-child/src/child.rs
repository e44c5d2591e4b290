//! One child, from its start to its end.

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::words::{self, Last};
use crate::{Redactor, spawner};

/// A child whose output has ended may take this long to end itself.
const GRACE: Duration = Duration::from_secs(2);
/// The words of a child that has ended are waited for no longer than this.
const WORDS_WAIT: Duration = Duration::from_millis(500);

/// What to start.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program: a name to be found or a path.
    pub program: PathBuf,
    /// Its arguments, one by one; no shell sees them.
    pub arguments: Vec<String>,
    /// What it is called in the log.
    pub name: String,
    /// Takes secrets out of what it says.
    pub redactor: Redactor,
    /// Whether it is fed on its standard input.
    pub fed: bool,
    /// How much memory it may have, in MiB; 0 for no bound. Holds on Linux.
    pub memory_mib: u64,
}

/// A running child. Dropping it kills it and all it has started.
#[derive(Debug)]
pub struct Child {
    process: tokio::process::Child,
    output: ChildStdout,
    input: Option<ChildStdin>,
    words: JoinHandle<()>,
    last: Last,
}

/// How a child has ended.
#[derive(Debug)]
pub struct Ending {
    /// Its status; none if it had to be killed.
    pub status: Option<ExitStatus>,
    /// The last it said, without secrets; may be empty.
    pub last_words: String,
}

impl Ending {
    /// Whether it ended by itself and was content.
    pub fn is_good(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

/// For people: `exit status: 1: no such file`.
impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}")?,
            None => f.write_str("killed")?,
        }
        if self.last_words.is_empty() { Ok(()) } else { write!(f, ": {}", self.last_words) }
    }
}

impl Child {
    /// Starts it. Its standard error is read from now on.
    pub async fn start(command: &Command) -> io::Result<Self> {
        let mut start = tokio::process::Command::new(&command.program);
        start.args(&command.arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        start.stdin(if command.fed { Stdio::piped() } else { Stdio::null() });
        let mut process = spawner::spawn(start).await?;
        bound_memory(&process, command.memory_mib);
        let (Some(output), Some(errors)) = (process.stdout.take(), process.stderr.take()) else {
            return Err(io::Error::other("a child without pipes"));
        };
        let input = process.stdin.take();
        let last = Last::default();
        let words = words::follow(errors, command.name.clone(), command.redactor.clone(), last.clone());
        Ok(Self { process, output, input, words: tokio::spawn(words), last })
    }

    /// The next bytes of its output; none at its end. Nothing is lost when this is dropped before it is done.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.output.read(buffer).await
    }

    /// What feeds it; once, and only if it is fed. Dropping that ends its input.
    pub fn take_input(&mut self) -> Option<ChildStdin> {
        self.input.take()
    }

    /// Waits until it has ended, for a short time, then kills it.
    pub async fn end(mut self) -> Ending {
        self.input = None;
        let status = match timeout(GRACE, self.process.wait()).await {
            Ok(status) => status.ok(),
            Err(_) => None,
        };
        self.close(status).await
    }

    /// Kills it.
    pub async fn kill(mut self) -> Ending {
        self.close(None).await
    }

    async fn close(&mut self, status: Option<ExitStatus>) -> Ending {
        self.kill_group();
        // Reaped here, or by the runtime later.
        let _ = timeout(GRACE, self.process.wait()).await;
        let _ = timeout(WORDS_WAIT, &mut self.words).await;
        Ending { status, last_words: self.last.text() }
    }

    /// Kills the process group unless the child was reaped: from then on the number may be another's.
    fn kill_group(&mut self) {
        #[cfg(unix)]
        if let Some(id) = self.process.id().and_then(|id| libc::pid_t::try_from(id).ok()) {
            // SAFETY: killpg takes numbers only; the group is the child's own, as it was not reaped.
            unsafe { libc::killpg(id, libc::SIGKILL) };
        }
        let _ = self.process.start_kill();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill_group();
        self.words.abort();
    }
}

#[cfg(target_os = "linux")]
fn bound_memory(process: &tokio::process::Child, mib: u64) {
    let Some(id) = process.id().and_then(|id| libc::pid_t::try_from(id).ok()) else { return };
    if mib == 0 {
        return;
    }
    let bytes = mib.saturating_mul(1024 * 1024);
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: `limit` lives through the call, and the old limit is not asked for.
    let set = unsafe { libc::prlimit(id, libc::RLIMIT_DATA, &raw const limit, std::ptr::null_mut()) };
    if set != 0 {
        tracing::debug!(error = %io::Error::last_os_error(), "the memory of a child is not bounded");
    }
}

#[cfg(not(target_os = "linux"))]
fn bound_memory(_: &tokio::process::Child, _: u64) {}
