//! Where ffmpeg is and what it can.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::{Redactor, spawner};

/// A question must be answered within this time.
const ANSWER_WAIT: Duration = Duration::from_secs(20);
/// An answer has no more bytes.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// Why a program is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// There is none.
    #[error("`{0}` is not there: install ffmpeg (Debian: apt install ffmpeg), or say with `program` where it is")]
    Missing(String),
    /// It cannot be started.
    #[error("`{0}` cannot be started: {1}")]
    NotStarted(String, #[source] io::Error),
    /// It did not answer.
    #[error("`{0}` does not answer: {1}")]
    Silent(String, String),
    /// It lacks something.
    #[error("this ffmpeg ({version}) has no {what}: install a build with it, or choose another")]
    Lacks {
        /// Which one it is.
        version: String,
        /// Such as `encoder libx264`.
        what: String,
    },
}

/// An ffmpeg and the ffprobe beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    ffmpeg: PathBuf,
}

impl Program {
    /// By name or path.
    pub fn new(ffmpeg: impl Into<PathBuf>) -> Self {
        Self { ffmpeg: ffmpeg.into() }
    }

    /// The program itself.
    pub fn ffmpeg(&self) -> &Path {
        &self.ffmpeg
    }

    /// The ffprobe of the same package: beside it, with `ffmpeg` in its name replaced.
    pub fn ffprobe(&self) -> PathBuf {
        let name = self.ffmpeg.file_name().unwrap_or(OsStr::new("ffmpeg")).to_string_lossy();
        self.ffmpeg.with_file_name(name.replace("ffmpeg", "ffprobe"))
    }

    /// Asks what it can.
    pub async fn features(&self) -> Result<Features, ProgramError> {
        let version = self.answer("-version").await?;
        let (protocols, encoders) = (self.answer("-protocols").await?, self.answer("-encoders").await?);
        Ok(Features::read(&version, &protocols, &encoders))
    }

    async fn answer(&self, question: &str) -> Result<String, ProgramError> {
        let answer = ask(&self.ffmpeg, &["-hide_banner".into(), question.into()], ANSWER_WAIT).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// What ffprobe writes when asked with these arguments, within this time. Errors hold no secrets.
    pub async fn probe(
        &self,
        arguments: &[String],
        wait: Duration,
        redactor: &Redactor,
    ) -> Result<String, ProgramError> {
        let answer = ask(&self.ffprobe(), arguments, wait).await.map_err(|error| match error {
            ProgramError::Silent(program, why) => ProgramError::Silent(program, redactor.show(&why).into_owned()),
            error => error,
        })?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// Starts a program, reads what it writes and waits for its end.
async fn ask(program: &Path, arguments: &[String], wait: Duration) -> Result<Vec<u8>, ProgramError> {
    let name = || program.display().to_string();
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawner::spawn(command).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ProgramError::Missing(name()),
        _ => ProgramError::NotStarted(name(), error),
    })?;
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let done = timeout(wait, async {
        let (written, said) = tokio::join!(all(output), all(errors));
        (written, said, child.wait().await)
    });
    match done.await {
        Ok((written, _, Ok(status))) if status.success() => Ok(written),
        Ok((_, said, status)) => {
            let said = String::from_utf8_lossy(&said);
            let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
            let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            Err(ProgramError::Silent(name(), format!("{status}: {}", last.trim())))
        }
        Err(_) => Err(ProgramError::Silent(name(), format!("nothing within {} s", wait.as_secs()))),
    }
}

/// All that comes out of a pipe, up to the bound; the rest is dropped.
async fn all(pipe: Option<impl tokio::io::AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let Some(mut pipe) = pipe else { return bytes };
    let _ = (&mut pipe).take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).await;
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    bytes
}

/// What an ffmpeg can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Such as `5.1.9-0+deb12u1`.
    pub version: String,
    /// Protocols it reads.
    pub protocols: BTreeSet<String>,
    /// Its encoders.
    pub encoders: BTreeSet<String>,
}

impl Features {
    /// From what it writes about itself.
    fn read(version: &str, protocols: &str, encoders: &str) -> Self {
        let version = version.split_whitespace().nth(2).unwrap_or("unknown version").into();
        let input = protocols.split("Output:").next().unwrap_or_default();
        let protocols = input.lines().skip_while(|line| line.trim() != "Input:").skip(1);
        let listed = encoders.lines().skip_while(|line| !line.trim_start().starts_with("---")).skip(1);
        let encoders = listed.filter_map(|line| line.split_whitespace().nth(1));
        Self {
            version,
            protocols: protocols.map(|line| line.trim().to_owned()).filter(|name| !name.is_empty()).collect(),
            encoders: encoders.map(str::to_owned).collect(),
        }
    }

    /// An error if it has no such encoder.
    pub fn need_encoder(&self, name: &str) -> Result<(), ProgramError> {
        self.need(self.encoders.contains(name), "encoder", name)
    }

    /// An error if it reads no such protocol.
    pub fn need_protocol(&self, name: &str) -> Result<(), ProgramError> {
        self.need(self.protocols.contains(name), "protocol", name)
    }

    fn need(&self, there: bool, what: &str, name: &str) -> Result<(), ProgramError> {
        if there {
            return Ok(());
        }
        Err(ProgramError::Lacks { version: self.version.clone(), what: format!("{what} {name}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_ffmpeg_writes_them() {
        let protocols = "Supported file protocols:\nInput:\n  file\n  srt\nOutput:\n  icecast\n";
        let encoders = "Encoders:\n V..... = Video\n ------\n V....D libx264   libx264 H.264\n A....D aac   AAC\n";
        let features = Features::read("ffmpeg version 5.1.9-0+deb12u1 Copyright", protocols, encoders);
        assert_eq!(features.version, "5.1.9-0+deb12u1");
        assert!(features.need_protocol("srt").is_ok() && features.need_encoder("aac").is_ok());
        let error = features.need_protocol("icecast").unwrap_err().to_string();
        assert!(error.starts_with("this ffmpeg (5.1.9-0+deb12u1) has no protocol icecast"), "{error}");
        assert_eq!(Features::read("", "", "").version, "unknown version");
    }

    #[test]
    fn ffprobe_is_beside_ffmpeg() {
        assert_eq!(Program::new("ffmpeg").ffprobe(), Path::new("ffprobe"));
        assert_eq!(Program::new("/opt/x/ffmpeg-7").ffprobe(), Path::new("/opt/x/ffprobe-7"));
    }
}
