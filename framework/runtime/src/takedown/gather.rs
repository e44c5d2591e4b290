//! Evidence: what was streamed in the range of a notice, as its source has signed it, in one file that can be verified without this host.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use peerstream_protocol::id::Seq;
use peerstream_recording::bundle::{Encoder, Head, Inspection, TooLarge};
use peerstream_recording::{Check, LINES_MAX, Line, Payload};
use peerstream_takedown::Docket;
use peerstream_takedown::action::Segments;
use peerstream_takedown::ledger::Evidence;
use peerstream_traits::archive::{InitId, Recording};
use peerstream_traits::{ErrorClass, PluginError};

use crate::plugins::shelf::Shelf;

/// Faults that are named in the log, at most.
const FAULTS_MAX: usize = 20;
/// Bytes that are written at once.
const WRITE_BYTES: usize = 4 << 20;

/// A recording with its index: from times to segments.
pub(crate) struct Indexed {
    pub(crate) recording: Recording,
    lines: Vec<Line>,
}

impl Indexed {
    /// The recording of a broadcast.
    pub(crate) async fn of(shelf: &Shelf, stream: &str, epoch: u64) -> Result<Self, PluginError> {
        let all = shelf.recordings().await?;
        let found = all.into_iter().find(|it| it.meta.stream == stream && it.meta.epoch.0 == epoch);
        let recording = found.ok_or_else(|| PluginError::new(ErrorClass::NotFound, "the broadcast is not kept"))?;
        let (mut lines, mut from) = (Vec::new(), recording.manifest.first);
        loop {
            let some = shelf.index(&recording.id, from, LINES_MAX).await?;
            let Some(last) = some.last() else { break };
            (from, _) = (last.seq.next(), lines.extend(some));
        }
        Ok(Self { recording, lines })
    }

    /// When the broadcast has begun, microseconds since 1970.
    pub(crate) fn started_us(&self) -> Option<u64> {
        self.lines.first().map(began_us)
    }

    /// The segments of a time, in milliseconds since the start of the broadcast: rather one too many than one too few.
    pub(crate) fn segments(&self, from_ms: u64, to_ms: u64) -> Option<Segments> {
        let start = self.started_us()?;
        let at = |ms: u64| start.saturating_add(ms.saturating_mul(1000));
        let first = self.lines.iter().find(|line| line.wall_us > at(from_ms))?;
        let last = self.lines.iter().rev().find(|line| began_us(line) < at(to_ms))?;
        (first.seq <= last.seq).then_some(Segments { first: first.seq.0, end: last.seq.0 + 1 })
    }

    /// The time of segments, in milliseconds since the start of the broadcast.
    fn times_ms(&self, lines: &[Line]) -> Option<(u64, u64)> {
        let (start, first, last) = (self.started_us()?, lines.first()?, lines.last()?);
        let ms = |us: u64| us.saturating_sub(start);
        Some((ms(began_us(first)) / 1000, ms(last.wall_us).div_ceil(1000)))
    }

    fn lines(&self, range: Segments) -> &[Line] {
        let at = |seq: u64| self.lines.partition_point(|line| line.seq.0 < seq);
        &self.lines[at(range.first)..at(range.end)]
    }
}

/// When a segment begins on its source's clock.
fn began_us(line: &Line) -> u64 {
    line.wall_us.saturating_sub(line.duration_us.into())
}

/// What goes into a bundle beside the segments: a name and its content.
pub(super) type Attachments = Vec<(&'static str, Vec<u8>)>;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoBundle {
    #[error("the notice names no range")]
    NoRange,
    #[error("nothing of the range is kept")]
    Empty,
    #[error("{0}")]
    Archive(#[from] PluginError),
    #[error("the bundle cannot be made: {0}")]
    TooLarge(#[from] TooLarge),
    #[error("the bundle cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// Writes what the archive keeps of a case's range to a file.
pub(super) async fn from_archive(
    shelf: &Shelf,
    docket: &Docket,
    attachments: Attachments,
    path: PathBuf,
    bytes_max: u64,
) -> Result<Evidence, NoBundle> {
    if docket.material.segments().is_none() && docket.material.times().is_none() {
        return Err(NoBundle::NoRange);
    }
    let indexed = Indexed::of(shelf, &docket.stream, docket.epoch).await?;
    let by_number = docket.material.segments().map(|(first, end)| Segments { first, end });
    let by_time = || docket.material.times().and_then(|(from, to)| indexed.segments(from, to));
    let range = by_number.or_else(by_time).ok_or(NoBundle::Empty)?;
    let lines = indexed.lines(range);
    if lines.is_empty() {
        return Err(NoBundle::Empty);
    }
    let mut making = Making::begin(&indexed.recording, path).await?;
    let shortened = making.segments(shelf, &indexed.recording, lines, bytes_max).await?;
    let end = making.end.0;
    let mut faults = making.finish(attachments).await?;
    faults.extend(shortened);
    faults.truncate(FAULTS_MAX);
    let kept = Segments { first: lines[0].seq.0, end };
    let times_ms = indexed.times_ms(indexed.lines(kept));
    Ok(Evidence { bundle: None, source: "archive".into(), segments: Some(kept), times_ms, faults })
}

/// A bundle that is being made.
struct Making {
    encoder: Encoder,
    check: Check,
    file: Option<File>,
    waiting: Vec<u8>,
    written: u64,
    /// The number after the last segment's.
    end: Seq,
}

impl Making {
    async fn begin(recording: &Recording, path: PathBuf) -> Result<Self, NoBundle> {
        let head = Head { meta: recording.meta.clone(), manifest: None };
        let check = Check::new(&recording.meta, None).map_err(|error| PluginError::invalid(error.to_string()))?;
        let (encoder, waiting) = Encoder::begin(&head)?;
        let file = tokio::task::spawn_blocking(move || File::create(path)).await.map_err(io::Error::other)??;
        Ok(Self { encoder, check, file: Some(file), waiting, written: 0, end: Seq(0) })
    }

    /// Adds the segments, and what is wrong if not all have room.
    async fn segments(
        &mut self,
        shelf: &Shelf,
        recording: &Recording,
        lines: &[Line],
        bytes_max: u64,
    ) -> Result<Option<String>, NoBundle> {
        let inits: BTreeSet<InitId> =
            lines.iter().map(|line| line.init).filter(|id| *id != InitId::default()).collect();
        for id in inits {
            match shelf.init(&recording.id, id).await {
                Ok(encoded) => {
                    self.check.init(id, &encoded);
                    let bytes = self.encoder.init(id, &encoded)?;
                    self.put(bytes).await?;
                }
                // Found out again when a segment needs it.
                Err(error) if error.class == ErrorClass::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        for line in lines {
            if self.written + self.waiting.len() as u64 + u64::from(line.payload_len) > bytes_max {
                return Ok(Some(format!("only the first {bytes_max} bytes of the range are kept")));
            }
            self.segment(shelf, recording, line.seq).await?;
            self.end = line.seq.next();
        }
        Ok(None)
    }

    async fn segment(&mut self, shelf: &Shelf, recording: &Recording, seq: Seq) -> Result<(), NoBundle> {
        let bytes = match shelf.segment(&recording.id, seq).await {
            Ok(segment) => {
                self.check.segment(&segment.encoded, Payload::Whole(&segment.payload));
                self.encoder.segment(&segment.encoded, Some(&segment.payload))?
            }
            // What is hidden already has its header still.
            Err(error) if error.class == ErrorClass::Denied => {
                let header = shelf.header(&recording.id, seq).await?;
                self.check.segment(&header, Payload::Withheld);
                self.encoder.segment(&header, None)?
            }
            Err(error) if error.class == ErrorClass::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.put(bytes).await
    }

    async fn put(&mut self, bytes: Vec<u8>) -> Result<(), NoBundle> {
        self.waiting.extend(bytes);
        if self.waiting.len() >= WRITE_BYTES { self.write().await } else { Ok(()) }
    }

    async fn write(&mut self) -> Result<(), NoBundle> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut file = self.file.take().expect("is put back below");
        self.written += waiting.len() as u64;
        let written = tokio::task::spawn_blocking(move || file.write_all(&waiting).map(|()| file));
        self.file = Some(written.await.map_err(io::Error::other)??);
        Ok(())
    }

    /// The end of the file; what is wrong with the segments.
    async fn finish(mut self, attachments: Attachments) -> Result<Vec<String>, NoBundle> {
        for (name, content) in attachments {
            let bytes = self.encoder.attachment(name, &content)?;
            self.put(bytes).await?;
        }
        // A finished encoder is gone; what is left is to be written.
        let (bytes, _) = self.encoder.end();
        let (mut file, mut waiting) = (self.file.take().expect("put back"), self.waiting);
        waiting.extend(bytes);
        let written = tokio::task::spawn_blocking(move || file.write_all(&waiting).and_then(|()| file.sync_all()));
        written.await.map_err(io::Error::other)??;
        Ok(self.check.finish().findings.iter().map(ToString::to_string).collect())
    }
}

/// Looks at a bundle that a claimant has sent. It blocks.
pub(super) fn from_claimant(path: &Path, docket: &Docket) -> Evidence {
    let of = |segments, faults| Evidence {
        bundle: docket.bundle,
        source: "claimant".into(),
        segments,
        times_ms: None,
        faults,
    };
    let verdict = match inspect(path) {
        Ok(verdict) => verdict,
        Err(why) => return of(None, vec![why]),
    };
    let mut faults: Vec<_> = verdict.to_string().lines().take(FAULTS_MAX).map(str::to_owned).collect();
    if verdict.head.meta.stream != docket.stream {
        faults.push("it is of another stream".into());
    }
    if verdict.head.meta.epoch.0 != docket.epoch {
        faults.push(format!("it is of the broadcast {}, not of {}", verdict.head.meta.epoch.0, docket.epoch));
    }
    let segments = verdict.report.seqs.map(|(first, last)| Segments { first: first.0, end: last.0 + 1 });
    if segments.is_none() {
        faults.push("there is no segment in it".into());
    }
    of(segments, faults)
}

fn inspect(path: &Path) -> Result<peerstream_recording::bundle::Verdict, String> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let (mut inspection, mut buffer) = (Inspection::default(), vec![0; 256 * 1024]);
    loop {
        match file.read(&mut buffer).map_err(|error| error.to_string())? {
            0 => return inspection.finish().map_err(|error| error.to_string()),
            count => inspection.push(&buffer[..count]).map_err(|error| error.to_string())?,
        }
    }
}
