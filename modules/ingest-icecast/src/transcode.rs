//! Sound that browsers do not play: through ffmpeg, which makes Opus of it.

use std::time::Duration;

use bytes::Bytes;
use peerstream_ffmpeg_child::output::{self, Audio, Video};
use peerstream_ffmpeg_child::{Child, Command, Redactor};
use peerstream_media::Cutter;
use peerstream_sdk::traits::ingest::IngestEvent;
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;
use tokio::time::timeout;

use crate::body::Body;
use crate::comments;
use crate::config::Config;
use crate::format::is_vorbis;
use crate::ogg;
use crate::source::{End, Source, changed};

/// ffmpeg must make something of a stream that comes in within this time.
const STALL: Duration = Duration::from_secs(20);
/// How much is read at once, in bytes.
const CHUNK_BYTES: usize = 16 * 1024;

/// Takes the body through a child, whose demuxer has this name, until one of both ends.
pub async fn run(source: Source<'_>, body: &mut Body, first: Bytes, demuxer: &str) -> Result<(), End> {
    let started = Child::start(&command(source.config, demuxer)).await;
    let mut child = started.map_err(|error| {
        End::Unusable(format!("this stream needs ffmpeg, and `{}` cannot be started: {error}", source.config.program))
    })?;
    let Some(input) = child.take_input() else { return Err(End::Unusable("ffmpeg cannot be fed".into())) };
    let result = tokio::select! {
        off = source.air.off_air() => Err(End::OffAir(off)),
        result = tell(&source) => result,
        result = through(feed(&source, body, first, input), write(&source, &mut child)) => result,
    };
    match result {
        Err(End::Unusable(why)) => Err(End::Unusable(format!("{why}; {}", child.end().await))),
        result => result,
    }
}

/// Waits for both sides of the child: when nothing more comes in, for what is left in it.
async fn through(
    fed: impl Future<Output = Result<(), End>>,
    written: impl Future<Output = Result<(), End>>,
) -> Result<(), End> {
    tokio::pin!(fed, written);
    let fed = tokio::select! {
        result = &mut fed => result,
        result = &mut written => return result.and(Err(End::Unusable("ffmpeg has ended".into()))),
    };
    // What came in before is heard, however it ended.
    fed.and(timeout(STALL, written).await.unwrap_or(Ok(())))
}

/// Sends the titles that come beside the stream.
async fn tell(source: &Source<'_>) -> Result<(), End> {
    let mut titles = source.titles.clone();
    loop {
        source.send(IngestEvent::Title(changed(&mut titles).await)).await?;
    }
}

fn command(config: &Config, demuxer: &str) -> Command {
    let reading = ["-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+warning", "-analyzeduration", "1000000"];
    let mut arguments: Vec<String> = reading.iter().map(|&argument| argument.into()).collect();
    // Nothing but the pipe is read, whatever the stream says.
    let input = ["-protocol_whitelist", "pipe", "-f", demuxer, "-i", "pipe:0"];
    arguments.extend(input.iter().map(|&argument| argument.into()));
    arguments.extend(output::arguments(&Video::None, Audio::Opus(config.kbps), &[]));
    Command {
        program: config.program.clone().into(),
        arguments,
        name: "ffmpeg".into(),
        redactor: Redactor::new(),
        fed: true,
        memory_mib: config.memory_mib,
    }
}

/// From the body into the child.
async fn feed(source: &Source<'_>, body: &mut Body, first: Bytes, mut input: ChildStdin) -> Result<(), End> {
    let (mut titles, mut chunk) = (Titles::default(), first);
    while !chunk.is_empty() {
        if let Some(title) = titles.of(&chunk) {
            source.send(IngestEvent::Title(title)).await?;
        }
        if input.write_all(&chunk).await.is_err() {
            // It has ended; the other side tells why.
            return std::future::pending().await;
        }
        body.heard();
        chunk = body.next().await?;
    }
    Ok(())
}

/// From the child on air.
async fn write(source: &Source<'_>, child: &mut Child) -> Result<(), End> {
    let (mut cutter, mut buffer) = (Cutter::starting_at(source.air.start_us()), vec![0; CHUNK_BYTES]);
    let mut written = 0;
    loop {
        let read = timeout(STALL, child.read(&mut buffer)).await;
        let silent = |_| End::Unusable("ffmpeg makes nothing of this stream".into());
        let len = read.map_err(silent)?.unwrap_or(0);
        if len == 0 {
            break;
        }
        written += len;
        let pushed = cutter.push(&buffer[..len]);
        source.send_all(std::iter::from_fn(|| cutter.poll())).await?;
        pushed.map_err(|error| End::Unusable(error.to_string()))?;
    }
    if written == 0 {
        return Err(End::Unusable("ffmpeg makes nothing of this stream".into()));
    }
    cutter.finish();
    source.send_all(std::iter::from_fn(|| cutter.poll())).await
}

/// Titles inside Ogg/Vorbis.
struct Titles {
    reader: Option<ogg::Reader>,
}

impl Default for Titles {
    fn default() -> Self {
        Self { reader: Some(ogg::Reader::new(is_vorbis)) }
    }
}

impl Titles {
    /// The title in these bytes, if there is one.
    fn of(&mut self, bytes: &[u8]) -> Option<String> {
        if self.reader.as_mut()?.push(bytes).is_err() {
            self.reader = None;
            return None;
        }
        let reader = self.reader.as_mut()?;
        let packets = std::iter::from_fn(|| reader.poll());
        let lists = packets.filter_map(|packet| Some(comments::title(packet.bytes.strip_prefix(b"\x03vorbis")?)));
        lists.last()
    }
}
