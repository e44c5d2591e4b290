//! A recording as a media file.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use peerstream::protocol::header::Flags;
use peerstream::protocol::id::Seq;
use peerstream::protocol::segment::{Init, InitId, Kind};
use peerstream::traits::ErrorClass;
use peerstream::traits::archive::{Line, Recording, SharedArchive};
use peerstream::traits::ingest::IngestEvent;
use peerstream_media::Cutter;

use crate::archive::{ExportArgs, recordings};
use crate::banner;
use crate::bundle::{Sync, Tape};
use crate::failure::Failure;

/// Lines of the index that are asked for at once.
const LINES_AT_ONCE: usize = 8_192;

/// `peerstream archive export`
pub async fn run(args: &ExportArgs) -> Result<ExitCode, Failure> {
    let range = Range::of(args)?;
    let archive = args.source.open()?;
    let all = recordings(&archive, args.recording.as_deref()).await?;
    let recording = all.first().ok_or_else(|| Failure::Usage(anyhow!("there are no recordings")))?;
    let mut exporter = Exporter::new(&args.file, recording.meta.kind);
    export(&archive, recording, range, &mut exporter).await?;
    exporter.finish()?;
    exporter.tell();
    if exporter.files.is_empty() {
        return Err(Failure::Run(anyhow!("nothing of the recording can be given out")));
    }
    Ok(ExitCode::SUCCESS)
}

/// Seconds since the start of a recording, in microseconds.
#[derive(Clone, Copy)]
struct Range {
    from_us: u64,
    to_us: u64,
}

impl Range {
    fn of(args: &ExportArgs) -> Result<Self, Failure> {
        let to = args.to.unwrap_or(f64::INFINITY);
        if !(args.from >= 0.0 && args.from < to) {
            return Err(Failure::Usage(anyhow!("from {} s to {to} s is no range", args.from)));
        }
        Ok(Self { from_us: (args.from * 1e6) as u64, to_us: (to * 1e6) as u64 })
    }
}

async fn export(
    archive: &SharedArchive,
    recording: &Recording,
    range: Range,
    exporter: &mut Exporter,
) -> Result<(), Failure> {
    let (mut from, mut began_us) = (recording.manifest.first, None);
    loop {
        let lines = archive.index(&recording.id, from, LINES_AT_ONCE).await.context("the index cannot be read")?;
        let Some(last) = lines.last() else { return Ok(()) };
        from = last.seq.next();
        for line in &lines {
            let began_us = *began_us.get_or_insert(line.wall_us);
            let at_us = line.wall_us.saturating_sub(began_us);
            if at_us >= range.to_us {
                return Ok(());
            }
            if at_us >= range.from_us {
                export_one(archive, recording, line, exporter).await?;
            }
        }
    }
}

async fn export_one(
    archive: &SharedArchive,
    recording: &Recording,
    line: &Line,
    exporter: &mut Exporter,
) -> Result<(), Failure> {
    if line.withheld {
        exporter.withheld += 1;
        return Ok(());
    }
    let segment = match archive.read(&recording.id, line.seq).await {
        Ok(segment) => segment,
        Err(error) if matches!(error.class, ErrorClass::NotFound | ErrorClass::Denied | ErrorClass::Internal) => {
            exporter.unreadable += 1;
            eprintln!("segment {} is left out: {error}", line.seq.0);
            return Ok(());
        }
        Err(error) => return Err(Failure::Run(anyhow!(error).context(format!("segment {}", line.seq.0)))),
    };
    if exporter.wants_init(line.init) {
        let encoded = archive.init(&recording.id, line.init).await;
        let encoded = encoded.with_context(|| format!("the codec header of segment {}", line.seq.0))?;
        let init = Init::decode(&encoded).map_err(|error| anyhow!("the codec header cannot be read: {error}"))?;
        exporter.init(line.init, &init)?;
    }
    exporter.segment(line, &segment.payload)
}

/// Writes files. After a hole it goes on at the next point where a player can start; the times of media go through the cutter, which closes
/// long holes.
struct Exporter {
    tape: Tape,
    kind: Kind,
    cutter: Option<Cutter>,
    /// The init that the cutter has, and its bytes.
    init: InitId,
    codec: Vec<u8>,
    next: Option<Seq>,
    files: Vec<String>,
    segments: u64,
    holes: u64,
    withheld: u64,
    unreadable: u64,
    skipped: u64,
}

impl Exporter {
    fn new(file: &Path, kind: Kind) -> Self {
        Self {
            tape: Tape::new(file, Sync::System),
            kind,
            cutter: None,
            init: InitId::NONE,
            codec: Vec::new(),
            next: None,
            files: Vec::new(),
            segments: 0,
            holes: 0,
            withheld: 0,
            unreadable: 0,
            skipped: 0,
        }
    }

    fn wants_init(&self, id: InitId) -> bool {
        id != InitId::NONE && id != self.init
    }

    /// Another title is another init, and no other codec.
    fn init(&mut self, id: InitId, init: &Init) -> Result<(), Failure> {
        self.init = id;
        if init.bytes == self.codec {
            return Ok(());
        }
        self.finish()?;
        self.codec.clone_from(&init.bytes);
        let mut cutter = Cutter::starting_at(0);
        cutter.push(&init.bytes).map_err(anyhow::Error::from)?;
        self.cutter = Some(cutter);
        self.next = None;
        Ok(())
    }

    fn segment(&mut self, line: &Line, payload: &[u8]) -> Result<(), Failure> {
        if self.next != Some(line.seq) {
            if self.kind == Kind::Media && !line.flags.has(Flags::JOIN_POINT) {
                self.skipped += 1;
                return Ok(());
            }
            self.holes += u64::from(self.next.is_some());
        }
        self.next = Some(line.seq.next());
        self.segments += 1;
        let Some(cutter) = &mut self.cutter else { return write(&mut self.tape, payload, &mut self.files) };
        cutter.push(payload).map_err(|error| anyhow!("segment {}: {error}", line.seq.0))?;
        self.pass_on()
    }

    fn finish(&mut self) -> Result<(), Failure> {
        if let Some(cutter) = &mut self.cutter {
            cutter.finish();
            self.pass_on()?;
        }
        self.cutter = None;
        Ok(self.tape.finish().context("the file cannot be finished")?)
    }

    fn pass_on(&mut self) -> Result<(), Failure> {
        while let Some(event) = self.cutter.as_mut().and_then(Cutter::poll) {
            match event {
                IngestEvent::Init { bytes, mime } => drop(self.tape.init(&bytes, &mime)),
                IngestEvent::Unit(unit) => write(&mut self.tape, &unit.payload, &mut self.files)?,
                IngestEvent::Title(_) | IngestEvent::Advice(_) => {}
            }
        }
        Ok(())
    }

    fn tell(&self) {
        self.files.iter().for_each(|file| banner::line(file));
        let mut said = format!("{} segments", self.segments);
        for (count, what) in [
            (self.holes, "holes"),
            (self.skipped, "left out up to a key frame"),
            (self.withheld, "withheld"),
            (self.unreadable, "unreadable"),
        ] {
            if count > 0 {
                said += &format!(", {count} {what}");
            }
        }
        eprintln!("{said}");
    }
}

fn write(tape: &mut Tape, bytes: &[u8], files: &mut Vec<String>) -> Result<(), Failure> {
    let new = tokio::task::block_in_place(|| tape.segment(bytes)).context("the file cannot be written")?;
    files.extend(new.map(|path| path.display().to_string()));
    Ok(())
}
