//! A stage, encoders that publish, and what was logged.
#![allow(dead_code)]

use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use peerstream_ingest_ffmpeg::{Config, Ffmpeg};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::ingest::{Ingest, IngestError, IngestEvent, Programme, Stage, Unit, stage};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Anything that a test waits for comes within this time, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn has_tools() -> bool {
    let found = ["ffmpeg", "ffprobe"].iter().all(|tool| Command::new(tool).arg("-version").output().is_ok());
    let required = std::env::var("PEERSTREAM_REQUIRE_TOOLS").is_ok_and(|value| value == "1");
    assert!(found || !required && std::env::var_os("CI").is_none(), "ffmpeg and ffprobe are required: install ffmpeg");
    found
}

/// The path of a fixture.
pub fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../framework/media/tests/fixtures", name].iter().collect()
}

/// An ingest at work.
pub struct World {
    pub stage: Stage,
    pub programme: Programme,
    pub run: JoinHandle<Result<(), IngestError>>,
}

impl World {
    pub fn start(config: Config) -> Self {
        let ingest = Ffmpeg::build(config, &BuildContext::new("x")).unwrap();
        let (stage, programme) = stage(Secret::default());
        let run = tokio::spawn(Box::new(ingest).run(stage.clone()));
        Self { stage, programme, run }
    }

    async fn event(&mut self) -> Option<IngestEvent> {
        let ended = async {
            while !self.run.is_finished() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // What was sent before the end.
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let next = async {
            tokio::select! {
                biased;
                event = self.programme.next() => event,
                () = ended => None,
            }
        };
        timeout(PATIENCE, next).await.expect("an event")
    }

    /// The media type of the next codec header.
    pub async fn init(&mut self) -> String {
        loop {
            if let IngestEvent::Init { mime, .. } = self.event().await.expect("an init") {
                return mime;
            }
        }
    }

    /// The next unit; none when the ingest has ended.
    pub async fn next_unit(&mut self) -> Option<Unit> {
        loop {
            if let IngestEvent::Unit(unit) = self.event().await? {
                return Some(unit);
            }
        }
    }

    pub async fn unit(&mut self) -> Unit {
        self.next_unit().await.expect("a unit")
    }

    /// Waits until nobody is on air; takes what comes meanwhile.
    pub async fn off_air(&mut self) {
        let mut billing = self.programme.billing();
        let done = async {
            tokio::select! {
                _ = billing.wait_for(|billing| billing.on_air.is_none()) => {}
                () = async { while self.programme.next().await.is_some() {} } => {}
            }
        };
        timeout(PATIENCE, done).await.expect("off air");
    }

    /// Waits for the so-manyth publication; takes what comes meanwhile.
    pub async fn publication(&mut self, number: u64) {
        let mut billing = self.programme.billing();
        let done = async {
            tokio::select! {
                _ = billing.wait_for(|billing| billing.publications >= number) => {}
                () = async { while self.programme.next().await.is_some() {} } => {}
            }
        };
        timeout(PATIENCE, done).await.expect("another publication");
    }

    pub async fn result(self) -> Result<(), IngestError> {
        timeout(PATIENCE, self.run).await.expect("an end").unwrap()
    }
}

/// A port that was free a moment ago.
pub fn free_udp_port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An encoder; killed when it is dropped.
pub struct Encoder(Child);

impl Drop for Encoder {
    fn drop(&mut self) {
        let group = i32::try_from(self.0.id()).unwrap();
        // SAFETY: killpg takes numbers only; the group is that of a child that was not reaped.
        unsafe { libc::killpg(group, libc::SIGKILL) };
        let _ = self.0.wait();
    }
}

/// An ffmpeg that publishes a clip again and again with these output arguments; tries again until it is let in.
pub fn publish(output: &[&str], again: bool) -> Encoder {
    let clip = fixture("h264-aac.mp4").display().to_string();
    let mut arguments = vec!["-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i", &clip];
    arguments.extend(output);
    let quoted: Vec<_> = arguments.iter().map(|argument| format!("'{argument}'")).collect();
    // The listener may not be there yet.
    let looped = format!("while :; do ffmpeg {}; sleep 0.5; done", quoted.join(" "));
    let once = format!("exec ffmpeg {}", quoted.join(" "));
    let mut command = Command::new("sh");
    command.arg("-c").arg(if again { looped } else { once }).stdin(Stdio::null()).stderr(Stdio::null());
    // One group, which is killed as a whole.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    Encoder(command.spawn().unwrap())
}

/// A program that ignores its arguments and does what a script says.
pub struct Script(tempfile::TempDir);

impl Script {
    pub fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ffmpeg");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    pub fn path(&self) -> String {
        self.0.path().join("ffmpeg").display().to_string()
    }
}

/// Waits until there is something.
pub async fn within<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "not {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The process with this argument.
pub fn process_with(argument: &str) -> Option<i32> {
    let ids =
        std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.into_iter().find(|id: &i32| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        line.split(|&byte| byte == 0).any(|part| part == argument.as_bytes())
    })
}

/// What is logged on this thread.
#[derive(Clone, Default)]
pub struct Log {
    text: Arc<Mutex<Vec<u8>>>,
}

/// A log that is being written.
pub struct Logging {
    log: Log,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Log {
    pub fn begin() -> Logging {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        Logging { log, _guard: tracing::subscriber::set_default(subscriber) }
    }
}

impl Logging {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.log.text.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.text.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
