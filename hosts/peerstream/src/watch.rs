//! `watch`: takes part in a stream and writes it where a player or another program reads it.

use std::io;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use peerstream::output::{Cause, Delivery, Reader};
use peerstream::peer::{self, CAPACITY, Peer};
use peerstream::protocol::control::{Reason, Role};
use peerstream::protocol::segment::Kind;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tracing::{debug, info, warn};

use crate::cli::{Gaps, WatchArgs};
use crate::failure::{EXIT_GAP, Failure};
use crate::locate::locate;
use crate::recording::Recording;
use crate::{assembly, signals};

/// `peerstream watch`
pub async fn run(args: WatchArgs) -> Result<ExitCode, Failure> {
    let located = locate(&args.stream).await?;
    if !located.pinned {
        eprintln!("publisher {} (taken from the host; pin it by adding #KEY to the address)", located.publisher);
    }
    let name = args.output.unwrap_or_else(|| if args.record.is_some() { String::new() } else { "-".to_owned() });
    let out = open(&name).await?;
    let (peer, deliveries) = peer::spawn(peer::Config {
        stream: Some(located.publisher),
        role: Role::Viewer,
        capacity: CAPACITY,
        relay: !args.no_relay,
        endpoints: vec![located.endpoint],
        transport: assembly::transport()?,
        keeping: peer::Keeping::default(),
    });
    let tape = args.record.map(Recording::new);
    let mut recorder = Recorder { out, name, tape, gaps: args.gaps, kind: Kind::Media, header: Vec::new(), bytes: 0 };
    let result = tokio::select! {
        result = recorder.record(deliveries) => result,
        () = signals::stop() => Ok(Outcome::Done),
    };
    log_figures(&peer).await;
    peer.leave().await;
    match result? {
        Outcome::Done => Ok(ExitCode::SUCCESS),
        Outcome::Gap => Ok(ExitCode::from(EXIT_GAP)),
    }
}

async fn open(name: &str) -> Result<Box<dyn AsyncWrite + Send + Unpin>> {
    match name {
        "" => return Ok(Box::new(tokio::io::sink())),
        "-" => return Ok(Box::new(tokio::io::stdout())),
        _ => {}
    }
    let file = tokio::fs::File::create(name).await.with_context(|| format!("{name} cannot be written"))?;
    Ok(Box::new(file))
}

async fn log_figures(peer: &Peer) {
    if let Ok(snapshot) = peer.snapshot().await {
        debug!(?snapshot, "figures at the end");
    }
}

/// How watching ends when nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The stream ended, the reader went away, or somebody wished it.
    Done,
    /// Bytes were lost and that was not to be.
    Gap,
}

struct Recorder {
    out: Box<dyn AsyncWrite + Send + Unpin>,
    name: String,
    tape: Option<Recording>,
    gaps: Gaps,
    kind: Kind,
    /// The codec header written last.
    header: Vec<u8>,
    /// Payload bytes written since the epoch began.
    bytes: u64,
}

impl Recorder {
    async fn record(&mut self, mut deliveries: Reader) -> Result<Outcome> {
        while let Some(delivery) = deliveries.next().await {
            if let Some(outcome) = self.take(delivery).await? {
                return Ok(outcome);
            }
        }
        bail!("the peer has ended")
    }

    async fn take(&mut self, delivery: Delivery) -> Result<Option<Outcome>> {
        match delivery {
            Delivery::Begin(kind) => Ok(self.begin(kind)),
            // A new title comes with the codec header that was written already.
            Delivery::Init(init) if init.bytes == self.header => Ok(None),
            Delivery::Init(init) => {
                self.tape.iter_mut().for_each(|tape| tape.init(&init));
                let written = self.write(&init.bytes).await;
                self.header = init.bytes;
                written
            }
            Delivery::Segment { bytes, .. } => {
                self.bytes += bytes.len() as u64;
                self.tape.iter_mut().for_each(|tape| tape.segment(&bytes));
                self.write(&bytes).await
            }
            Delivery::Gap { from, to, cause } => {
                let count = to.0 - from.0;
                let why = match cause {
                    Cause::Lost => "nobody could send them in time",
                    Cause::SlowReader => "the output is read too slowly",
                };
                let last = to.0 - 1;
                warn!("segments {} to {last} are missing after {} bytes ({count} in all): {why}", from.0, self.bytes);
                Ok(self.lost())
            }
            Delivery::Ended => {
                info!("the stream has ended");
                Ok(Some(Outcome::Done))
            }
            Delivery::Refused(reason) => refused(reason).map(|()| None),
            Delivery::WrongPublisher(key) => bail!("the host offers the stream of another publisher: {key}"),
        }
    }

    fn begin(&mut self, kind: Kind) -> Option<Outcome> {
        self.kind = kind;
        self.tape.iter_mut().for_each(Recording::begin);
        let before = std::mem::take(&mut self.bytes);
        if before == 0 {
            return None;
        }
        warn!("the publisher began a new broadcast; the last one broke off after {before} bytes");
        self.lost()
    }

    /// What follows from something missing: a picture goes on, bytes do not.
    fn lost(&self) -> Option<Outcome> {
        (self.kind == Kind::Data && self.gaps == Gaps::Fail).then_some(Outcome::Gap)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<Option<Outcome>> {
        let written = match self.out.write_all(bytes).await {
            Ok(()) => self.out.flush().await,
            failed => failed,
        };
        match written {
            Ok(()) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Some(Outcome::Done)),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                Err(anyhow!("{} cannot be written: the disk is full", self.name))
            }
            Err(error) => Err(anyhow!("{} cannot be written: {error}", self.name)),
        }
    }
}

/// Being turned away, unless it is worth waiting: the node tries again by itself.
pub fn refused(reason: Reason) -> Result<()> {
    match reason {
        Reason::TakenForDead => info!("the host took this node for dead; joining again"),
        Reason::Full => warn!("the stream has as many viewers as it can hold; trying again"),
        Reason::TooManyJoins => warn!("too many joins from this address; trying again"),
        Reason::WireVersion => bail!("turned away: the host speaks another version; update the older one"),
        Reason::UnknownStream => bail!("turned away: the host does not serve this publisher's stream"),
        Reason::Misbehaved => bail!("turned away: the host says that this node broke the rules"),
        Reason::NoLowerRendition => bail!("turned away: this connection is too slow, and there is no lower quality"),
    }
    Ok(())
}
