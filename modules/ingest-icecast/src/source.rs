//! One source on air, from its first bytes to its end.

use std::io::{self, ErrorKind};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use peerstream_sdk::traits::ingest::{IngestEvent, OffAir, OnAir};
use tokio::sync::watch;

use crate::body::Body;
use crate::config::Config;
use crate::format::{FIRST_BYTES, Format};
use crate::pace::Pace;
use crate::rewrap::Rewrap;
use crate::transcode;

/// Why a source is not on air any more.
#[derive(Debug)]
pub enum End {
    /// It has ended by itself.
    Finished,
    /// Its connection broke.
    Broken(io::Error),
    /// It sent nothing for too long.
    Idle,
    /// Another one has taken over, or the broadcast has ended.
    OffAir(OffAir),
    /// It sends what cannot be used; for people.
    Unusable(String),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::TimedOut => Self::Idle,
            ErrorKind::InvalidData => Self::Unusable(error.to_string()),
            _ => Self::Broken(error),
        }
    }
}

impl From<OffAir> for End {
    fn from(off: OffAir) -> Self {
        Self::OffAir(off)
    }
}

/// A source that was let in.
pub struct Source<'a> {
    /// What it may do.
    pub config: &'a Config,
    /// Its right to be on air.
    pub air: OnAir,
    /// Titles that come beside the stream.
    pub titles: watch::Receiver<String>,
    /// It calls itself HE-AAC.
    pub he: bool,
    /// Keeps it to real time.
    pub pace: Pace,
}

impl Source<'_> {
    /// Takes the body until something ends that. `name` is the title until a track has one.
    pub async fn run(mut self, body: &mut Body, name: &str) -> End {
        let result = async {
            self.send(IngestEvent::Title(name.into())).await?;
            let first = tokio::select! {
                off = self.air.off_air() => return Err(End::OffAir(off)),
                first = first_bytes(body) => first?,
            };
            let format = Format::of(&first);
            if let Some(format) = format {
                tracing::info!(format = format.name(), "a source is on air");
            }
            match format {
                Some(Format::Opus) => self.native(body, first, Rewrap::opus(self.air.start_us())).await,
                Some(Format::Adts) => self.native(body, first, Rewrap::adts(self.he, self.air.start_us())).await,
                Some(Format::Other(demuxer)) => transcode::run(self, body, first, demuxer).await,
                None if first.is_empty() => Err(End::Finished),
                None => {
                    Err(End::Unusable("this is no sound that is known: Ogg/Opus, AAC (ADTS) or MP3 expected".into()))
                }
            }
        };
        match result.await {
            Ok(()) => End::Finished,
            Err(end) => end,
        }
    }

    /// Sound that goes out as it is. What came before the end is heard, however it ends.
    async fn native(&mut self, body: &mut Body, first: Bytes, mut rewrap: Rewrap) -> Result<(), End> {
        let ended = self.rewrap_all(body, first, &mut rewrap).await;
        if rewrap.damaged() > 0 {
            tracing::info!(damaged = rewrap.damaged(), "parts of a source's stream were of no use");
        }
        if matches!(ended, Err(End::OffAir(_))) {
            return ended;
        }
        rewrap.finish();
        self.send_all(std::iter::from_fn(|| rewrap.poll())).await?;
        ended
    }

    async fn rewrap_all(&mut self, body: &mut Body, first: Bytes, rewrap: &mut Rewrap) -> Result<(), End> {
        let mut chunk = first;
        while !chunk.is_empty() {
            let pushed = rewrap.push(&chunk);
            self.send_all(std::iter::from_fn(|| rewrap.poll())).await?;
            pushed.map_err(End::Unusable)?;
            body.heard();
            chunk = self.next(body).await?;
        }
        Ok(())
    }

    /// The next bytes of the body; sends titles that come meanwhile.
    async fn next(&mut self, body: &mut Body) -> Result<Bytes, End> {
        loop {
            tokio::select! {
                biased;
                off = self.air.off_air() => return Err(End::OffAir(off)),
                title = changed(&mut self.titles) => self.send(IngestEvent::Title(title)).await?,
                chunk = body.next() => return Ok(chunk?),
            }
        }
    }

    /// Sends events, units not before their time.
    pub async fn send_all(&self, events: impl Iterator<Item = IngestEvent>) -> Result<(), End> {
        for event in events {
            self.send(event).await?;
        }
        Ok(())
    }

    /// Sends an event, a unit not before its time.
    pub async fn send(&self, event: IngestEvent) -> Result<(), End> {
        if let IngestEvent::Unit(unit) = &event {
            let at = Duration::from_micros(unit.pts_us.saturating_sub(self.air.start_us()));
            tokio::select! {
                off = self.air.off_air() => return Err(End::OffAir(off)),
                () = self.pace.wait(at) => {}
            }
        }
        Ok(self.air.send(event).await?)
    }
}

/// The next title.
pub async fn changed(titles: &mut watch::Receiver<String>) -> String {
    match titles.changed().await {
        Ok(()) => titles.borrow_and_update().clone(),
        // Nobody is there any more who could tell one.
        Err(_) => std::future::pending().await,
    }
}

/// So many bytes that the format can be told, or all there are.
async fn first_bytes(body: &mut Body) -> Result<Bytes, End> {
    let mut first = BytesMut::new();
    while first.len() < FIRST_BYTES {
        let chunk = body.next().await?;
        if chunk.is_empty() {
            break;
        }
        first.extend_from_slice(&chunk);
    }
    Ok(first.freeze())
}
