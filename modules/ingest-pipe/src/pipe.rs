//! The ingest: reads standard input, a file or bytes in memory, and sends what it cuts.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use peerstream_media::boxes::malformed;
use peerstream_media::{Cutter, FFMPEG_COMMAND};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::ingest::{Ingest, IngestError, IngestEvent, Kind, OnAir, Publication, Stage};
use tokio::time::{Instant, sleep_until};

use crate::config::{Config, InputKind};
use crate::data::DataCutter;
use crate::pace::Pace;
use crate::reader::{self, CHUNK_BYTES, Chunks};

/// A file shorter than this is not worth a loop, and would turn without rest.
const LOOP_US_MIN: u64 = 50_000;

/// Input from standard input, a file or memory.
///
/// Standard input and named pipes are read as they come; files and memory are paced in real time by their times.
/// The end of the input is the end of the stream.
#[derive(Debug)]
pub struct Pipe {
    source: Source,
    kind: InputKind,
    looped: bool,
    rate_bytes_per_second: u64,
}

#[derive(Clone, Debug)]
enum Source {
    Stdin,
    Path(PathBuf),
    Memory(&'static [u8]),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Memory(_) => f.write_str("built-in clip"),
        }
    }
}

impl Pipe {
    /// A pipe as configured; refuses a config with problems and opens nothing.
    pub fn new(config: Config) -> Result<Self, IngestError> {
        let mut violations = Violations::default();
        config.validate(&mut violations);
        if !violations.is_empty() {
            return Err(malformed(violations.to_string()));
        }
        let source = if config.input == "-" { Source::Stdin } else { Source::Path(config.input.into()) };
        let Config { kind, looped, rate_bytes_per_second, .. } = config;
        Ok(Self { source, kind, looped, rate_bytes_per_second })
    }

    /// Media from bytes in memory, such as a clip inside the binary.
    pub fn from_bytes(bytes: &'static [u8], looped: bool) -> Self {
        Self { source: Source::Memory(bytes), kind: InputKind::Media, looped, rate_bytes_per_second: 0 }
    }

    /// Whether the input waits for its reader, so that this side must keep the time.
    async fn is_stored(&self) -> Result<bool, IngestError> {
        match &self.source {
            Source::Stdin => Ok(false),
            Source::Memory(_) => Ok(true),
            Source::Path(path) => {
                let stored = tokio::fs::metadata(path).await.map_err(|error| at_path(path, error))?.is_file();
                if stored || !self.looped {
                    return Ok(stored);
                }
                Err(malformed(format!("loop needs a file: {} cannot start again", path.display())))
            }
        }
    }

    fn open(&self) -> Result<Chunks, IngestError> {
        let chunks = match self.source.clone() {
            Source::Stdin => reader::spawn(|| Ok(std::io::stdin())),
            Source::Path(path) => reader::spawn(move || std::fs::File::open(&path).map_err(|e| at_path(&path, e))),
            Source::Memory(bytes) => reader::spawn(move || Ok(bytes)),
        };
        Ok(chunks?)
    }

    async fn run_media(&self, mut chunks: Chunks, air: &OnAir) -> Result<(), IngestError> {
        let mut pace = if self.is_stored().await? { Some(Pace::default()) } else { None };
        let mut cutter = Cutter::starting_at(air.start_us());
        loop {
            let before = cutter.end_us();
            media_pass(chunks, &mut cutter, &mut pace, air).await?;
            if !self.looped {
                return Ok(());
            }
            if cutter.end_us() - before < LOOP_US_MIN {
                return Err(malformed("the file is too short to loop: at least 50 ms of media expected"));
            }
            cutter.again();
            chunks = self.open()?;
        }
    }

    async fn run_data(&self, mut chunks: Chunks, air: &OnAir) -> Result<(), IngestError> {
        self.is_stored().await?;
        let now = Instant::now();
        let start = now.checked_sub(Duration::from_micros(air.start_us())).unwrap_or(now);
        let mut data = DataRun { cutter: DataCutter::default(), start, pace: Pace::default(), read: 0 };
        loop {
            let before = data.read;
            while let Some(chunk) = data.next_chunk(&mut chunks, air).await? {
                data.take(&chunk, self.rate_bytes_per_second, air).await?;
            }
            if !self.looped {
                return data.flush(air).await;
            }
            if data.read == before {
                return Err(malformed("an empty file cannot loop"));
            }
            chunks = self.open()?;
        }
    }
}

impl Plugin for Pipe {
    const NAME: &'static str = "pipe";
    const SUMMARY: &'static str = "fragmented MP4 or any bytes from standard input or a file";
    const STABILITY: Stability = Stability::Beta;
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Self::new(config).map_err(|error| PluginError::invalid(error.to_string()))
    }
}

#[async_trait]
impl Lifecycle for Pipe {
    async fn probe(&self) -> Result<(), PluginError> {
        match &self.source {
            Source::Stdin | Source::Memory(_) => Ok(()),
            Source::Path(path) => {
                std::fs::metadata(path).map_err(|error| at_path(path, error))?;
                Ok(())
            }
        }
    }

    async fn start(&self) -> Result<(), PluginError> {
        match &self.source {
            Source::Stdin if std::io::stdin().is_terminal() => {
                Err(PluginError::invalid(format!("nothing is piped in; try: {FFMPEG_COMMAND}, or name a file")))
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Ingest for Pipe {
    fn kind(&self) -> Kind {
        self.kind.into()
    }

    async fn run(self: Box<Self>, stage: Stage) -> Result<(), IngestError> {
        let mut chunks = self.open()?;
        // Whoever brings nothing yet must not keep others from going on air.
        chunks.begun().await;
        let air = stage.go_on_air(Publication { name: self.source.to_string(), takeover: false })?;
        match self.kind {
            InputKind::Media => self.run_media(chunks, &air).await,
            InputKind::Data => self.run_data(chunks, &air).await,
        }
    }
}

/// Reads an input once, from its start to its end.
async fn media_pass(
    mut chunks: Chunks,
    cutter: &mut Cutter,
    pace: &mut Option<Pace>,
    air: &OnAir,
) -> Result<(), IngestError> {
    while let Some(chunk) = chunks.next().await {
        let pushed = cutter.push(&chunk?);
        send_all(cutter, pace, air).await?;
        pushed?;
    }
    cutter.finish();
    send_all(cutter, pace, air).await
}

/// Sends all events of the cutter, units of a stored input at their time.
async fn send_all(cutter: &mut Cutter, pace: &mut Option<Pace>, air: &OnAir) -> Result<(), IngestError> {
    while let Some(event) = cutter.poll() {
        if let (Some(pace), IngestEvent::Unit(unit)) = (pace.as_mut(), &event) {
            pace.wait(Duration::from_micros(unit.pts_us)).await;
        }
        send(event, air).await?;
    }
    Ok(())
}

async fn send(event: IngestEvent, air: &OnAir) -> Result<(), IngestError> {
    Ok(air.send(event).await?)
}

fn at_path(path: &std::path::Path, error: std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

struct DataRun {
    cutter: DataCutter,
    /// When the broadcast's clock was at zero.
    start: Instant,
    pace: Pace,
    /// Bytes read so far.
    read: u64,
}

impl DataRun {
    /// The next chunk; what was gathered leaves when it has waited long enough.
    async fn next_chunk(&mut self, chunks: &mut Chunks, air: &OnAir) -> Result<Option<Bytes>, IngestError> {
        loop {
            let Some(deadline) = self.cutter.deadline() else { return Ok(chunks.next().await.transpose()?) };
            tokio::select! {
                biased;
                () = sleep_until(self.start + deadline) => self.flush(air).await?,
                chunk = chunks.next() => return Ok(chunk.transpose()?),
            }
        }
    }

    async fn take(&mut self, chunk: &[u8], rate: u64, air: &OnAir) -> Result<(), IngestError> {
        // Small enough steps that a rate is kept smoothly: a tenth of a second each.
        let step = if rate == 0 { CHUNK_BYTES } else { usize::try_from(rate / 10).unwrap_or(CHUNK_BYTES).max(1) };
        for bytes in chunk.chunks(step) {
            if rate > 0 {
                let at = u128::from(self.read) * 1_000_000 / u128::from(rate);
                self.pace.wait(Duration::from_micros(u64::try_from(at).unwrap_or(u64::MAX))).await;
            }
            self.read += bytes.len() as u64;
            for unit in self.cutter.push(bytes, self.start.elapsed()) {
                send(IngestEvent::Unit(unit), air).await?;
            }
            if self.cutter.deadline().is_some_and(|deadline| deadline <= self.start.elapsed()) {
                self.flush(air).await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self, air: &OnAir) -> Result<(), IngestError> {
        match self.cutter.flush() {
            Some(unit) => send(IngestEvent::Unit(unit), air).await,
            None => Ok(()),
        }
    }
}
