//! Starts the process that compares, and bounds it from outside.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use peerstream_ffmpeg_child::{Child, Command, Redactor};

use crate::report::Report;

/// A comparison takes no longer; then all its processes are killed.
pub const WAIT: Duration = Duration::from_secs(300);
/// A report is no longer, in bytes.
const REPORT_BYTES_MAX: usize = 16 * 1024;

/// Has files compared by a process of its own.
#[derive(Clone, Debug)]
pub struct Comparer {
    /// The program that calls [`run`](crate::run()).
    pub program: PathBuf,
    /// Its arguments before the three: ffmpeg, the source copy, the excerpt.
    pub arguments: Vec<String>,
    /// ffmpeg: a name to be found or a path.
    pub ffmpeg: PathBuf,
    /// How long it may take, such as [`WAIT`].
    pub wait: Duration,
}

impl Comparer {
    /// Compares. What goes wrong is in the report: [`Verdict::NotCompared`](crate::Verdict) and why. Blocks nothing and may be dropped at any time.
    pub async fn compare(&self, source: &Path, excerpt: &Path) -> Report {
        match tokio::time::timeout(self.wait, self.ask(source, excerpt)).await {
            Ok(answer) => answer.unwrap_or_else(Report::not_compared),
            Err(_) => Report::not_compared(format!("it took more than {} s", self.wait.as_secs())),
        }
    }

    async fn ask(&self, source: &Path, excerpt: &Path) -> Result<Report, String> {
        let mut arguments = self.arguments.clone();
        for path in [&self.ffmpeg, source, excerpt] {
            let text = OsString::from(path).into_string();
            arguments.push(text.map_err(|path| format!("`{}` is no path that can be passed on", path.display()))?);
        }
        let command = Command {
            program: self.program.clone(),
            arguments,
            name: "compare".into(),
            redactor: Redactor::new(),
            fed: false,
            // It bounds itself, before it reads anything.
            memory_mib: 0,
        };
        let failed = |error: std::io::Error| format!("the comparison cannot be started: {error}");
        let mut child = Child::start(&command).await.map_err(failed)?;
        let mut line = vec![0; REPORT_BYTES_MAX];
        let mut len = 0;
        while len < line.len() {
            match child.read(&mut line[len..]).await {
                Ok(0) | Err(_) => break,
                Ok(more) => len += more,
            }
        }
        let ending = child.end().await;
        serde_json::from_slice(&line[..len]).map_err(|_| format!("the comparison ended with {ending}"))
    }
}
