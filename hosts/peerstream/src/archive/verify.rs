//! Whether recordings are what their publisher signed.

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use peerstream::protocol::segment::InitId;
use peerstream::traits::ErrorClass;
use peerstream::traits::archive::{Line, Recording, SharedArchive};
use peerstream_recording::{Check, Moment, Payload, Report};

use crate::archive::{VerifyArgs, recordings};
use crate::banner;
use crate::failure::Failure;

/// Lines of the index that are asked for at once.
const LINES_AT_ONCE: usize = 8_192;

/// `peerstream archive verify`
pub async fn run(args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let archive = args.source.open()?;
    let all = recordings(&archive, args.recording.as_deref()).await?;
    if all.is_empty() {
        return Err(Failure::Usage(anyhow!("there are no recordings")));
    }
    let mut clean = true;
    for recording in &all {
        clean &= verify(&archive, recording).await?;
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn verify(archive: &SharedArchive, recording: &Recording) -> Result<bool, Failure> {
    let id = &recording.id;
    let mut check = match Check::new(&recording.meta, Some(recording.manifest.clone())) {
        Ok(check) => check,
        Err(error) => {
            banner::line(&format!("{}: proves nothing: {error}", id.0));
            return Ok(false);
        }
    };
    let (mut from, mut init) = (recording.manifest.first, InitId::NONE);
    loop {
        let lines = archive.index(id, from, LINES_AT_ONCE).await.context("the index cannot be read")?;
        let Some(last) = lines.last() else { break };
        from = last.seq.next();
        for line in &lines {
            if line.init != init {
                init = line.init;
                verify_init(archive, recording, init, &mut check).await?;
            }
            verify_segment(archive, recording, line, &mut check).await?;
        }
    }
    let report = check.finish();
    tell(recording, &report);
    Ok(report.is_clean())
}

async fn verify_init(
    archive: &SharedArchive,
    recording: &Recording,
    id: InitId,
    check: &mut Check,
) -> Result<(), Failure> {
    match archive.init(&recording.id, id).await {
        Ok(encoded) => check.init(id, &encoded),
        // The segments that name it say so.
        Err(error) if error.class == ErrorClass::NotFound => {}
        Err(error) if error.class == ErrorClass::Internal => check.init(id, &[]),
        Err(error) => return Err(Failure::Run(anyhow!(error).context("an init cannot be read"))),
    }
    Ok(())
}

async fn verify_segment(
    archive: &SharedArchive,
    recording: &Recording,
    line: &Line,
    check: &mut Check,
) -> Result<(), Failure> {
    let id = &recording.id;
    let read = if line.withheld { Ok(None) } else { archive.read(id, line.seq).await.map(Some) };
    let error = match read {
        Ok(Some(segment)) => {
            check.segment(&segment.encoded, Payload::Whole(&segment.payload));
            return Ok(());
        }
        Ok(None) => None,
        Err(error) => Some(error),
    };
    let class = error.as_ref().map_or(ErrorClass::Denied, |error| error.class);
    match (class, archive.header(id, line.seq).await) {
        (ErrorClass::Denied, Ok(header)) => check.segment(&header, Payload::Withheld),
        // The archive itself has found that the payload is not what was kept.
        (ErrorClass::Internal, Ok(header)) => check.segment(&header, Payload::Whole(&[])),
        (ErrorClass::Internal | ErrorClass::Denied, Err(error)) if error.class == ErrorClass::Internal => {
            check.segment(&[], Payload::Withheld);
        }
        // What is not there is missed by what follows.
        (ErrorClass::NotFound, _) => {}
        (_, Err(error)) if error.class == ErrorClass::NotFound => {}
        (_, result) => {
            let error = result.err().or(error).map_or_else(|| anyhow!("it cannot be read"), anyhow::Error::from);
            return Err(Failure::Run(error.context(format!("segment {}", line.seq.0))));
        }
    }
    Ok(())
}

fn tell(recording: &Recording, report: &Report) {
    let id = &recording.id.0;
    for finding in &report.findings {
        banner::line(&format!("{id}: {finding}"));
    }
    if report.findings_dropped > 0 {
        banner::line(&format!("{id}: and {} more", report.findings_dropped));
    }
    for (first, end) in &report.gaps {
        let why = if report.resumed.iter().any(|it| it.seq == *end) { "; the host was cut short there" } else { "" };
        let last = end.0.saturating_sub(1);
        banner::line(&format!("{id}: gap, as the manifest says: segments {} to {last}{why}", first.0));
    }
    for it in &report.resumed {
        let (moment, seconds) = (Moment(it.at_us), it.pause_us as f64 / 1e6);
        let missing = if it.missing_from < it.seq { "" } else { ", no segment is missing" };
        banner::line(&format!(
            "{id}: {moment}: segment {}: the broadcast goes on here, {seconds:.1} s after its host was cut short{missing}",
            it.seq.0
        ));
    }
    let span = report.wall_us.map(|(first, last)| format!("{} to {}", Moment(first), Moment(last)));
    let end = match (report.ended, recording.manifest.ended) {
        (true, _) => "its end is signed",
        (false, true) => "its end is not signed: only the manifest says that it ended there",
        (false, false) => "it has no end: nothing proves that no more was there",
    };
    let verdict = match report.findings.len() as u64 + report.findings_dropped {
        0 => "genuine".to_owned(),
        1 => "1 FAULT".to_owned(),
        many => format!("{many} FAULTS"),
    };
    let (whole, withheld) = (report.whole, report.withheld);
    let withheld = if withheld > 0 { format!(", {withheld} withheld") } else { String::new() };
    let span = span.unwrap_or_else(|| "nothing".to_owned());
    banner::line(&format!("{id}: {verdict}: {whole} segments{withheld}, {span}; {end}"));
}
