//! One connection: carries bytes between its socket, the session and the publication.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::ingest::{IngestError, IngestEvent, OffAir, OnAir, Publication as Wish, Stage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info};

use crate::config::Config;
use crate::handshake::Handshake;
use crate::pace::Pace;
use crate::publication::Publication;
use crate::session::{Event, Fault, Session};
use crate::strikes::Strikes;

/// How much is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;
/// An encoder that takes nothing for this long is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// An encoder that sent nothing for this long does not keep another one from going on air.
const SILENT: Duration = Duration::from_secs(5);
/// The streamer is told when this much time was spent on slowing an encoder down.
const HURRY: Duration = Duration::from_secs(1);

/// What all connections share.
#[derive(Debug)]
pub struct Shared {
    config: Config,
    key: Secret,
    began: Instant,
    strikes: Mutex<Strikes>,
    heard: Mutex<Heard>,
}

/// When the publication on air was last heard.
#[derive(Debug, Default)]
struct Heard {
    /// Counts publications; tells an old one from the current one.
    turn: u64,
    at: Option<Instant>,
}

/// Why a connection ended otherwise than in good order.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// It did not talk as an encoder should.
    #[error("{0}")]
    Fault(#[from] Fault),
    /// The network failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It has not shown a key in time.
    #[error("no stream key within {0} s")]
    Setup(u64),
    /// It sent nothing for too long.
    #[error("nothing sent for {0} s")]
    Idle(u64),
    /// It took nothing for too long.
    #[error("answers were not taken")]
    Stuck,
    /// It went before it showed a key.
    #[error("gone before it showed a stream key")]
    Gone,
    /// It has another key.
    #[error("wrong stream key")]
    WrongKey,
    /// It must wait because of wrong keys.
    #[error("too many wrong stream keys from this address: try again in {0} s")]
    Wait(u64),
    /// It cannot be, or is no longer, on air.
    #[error("{0}")]
    OffAir(#[from] OffAir),
    /// What it sends cannot be passed on.
    #[error("{0}")]
    Input(#[from] IngestError),
}

impl Shared {
    /// For connections that must show this key.
    pub fn new(config: Config, key: Secret) -> Self {
        let (strikes, heard) = (Mutex::default(), Mutex::default());
        Self { config, key, began: Instant::now(), strikes, heard }
    }

    /// Looks at a key, unless the address must wait.
    fn check(&self, key: &str, from: SocketAddr) -> Result<(), Ended> {
        let (mut strikes, now) = (lock(&self.strikes), self.began.elapsed());
        let wait = strikes.wait(from.ip(), now);
        if !wait.is_zero() {
            return Err(Ended::Wait(wait.as_secs() + 1));
        }
        if self.key.is(key.as_bytes()) {
            strikes.clear(from.ip());
            return Ok(());
        }
        strikes.add(from.ip(), now);
        Err(Ended::WrongKey)
    }

    /// Goes on air; in place of another one if that is allowed or the other one is silent.
    fn go_on_air(&self, stage: &Stage, name: String) -> Result<(OnAir, u64), OffAir> {
        let mut heard = lock(&self.heard);
        let silent = heard.at.is_some_and(|at| at.elapsed() >= SILENT);
        let air = stage.go_on_air(Wish { name, takeover: self.config.takeover || silent })?;
        heard.turn += 1;
        heard.at = Some(Instant::now());
        Ok((air, heard.turn))
    }

    fn hear(&self, turn: u64, at: Option<Instant>) {
        let mut heard = lock(&self.heard);
        if heard.turn == turn {
            heard.at = at;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves one encoder until it goes.
pub async fn serve(stream: TcpStream, from: SocketAddr, shared: &Shared, stage: &Stage) -> Result<(), Ended> {
    let mut link = Link::new(stream, &shared.config.app)?;
    let patience = shared.config.setup_timeout_s;
    let asked = timeout(Duration::from_secs(patience), link.asked()).await;
    let (key, tool) = match asked.map_err(|_| Ended::Setup(patience)).and_then(|asked| asked) {
        Ok(asked) => asked,
        Err(ended) => return Err(link.refuse(ended).await),
    };
    debug!(%from, tool, "encoder wants to publish");
    let from_ip = from.ip().to_canonical();
    let admitted = shared.check(&key, from).and_then(|()| Ok(shared.go_on_air(stage, format!("rtmp from {from_ip}"))?));
    let (air, turn) = match admitted {
        Ok(admitted) => admitted,
        Err(ended) => return Err(link.refuse(ended).await),
    };
    let mut relay = Relay { shared, turn, air, pace: Pace::new(Duration::ZERO), began: Instant::now(), hurried: false };
    let mut publication = Publication::new(relay.air.start_us());
    let result = async {
        link.session.accept()?;
        link.flush().await?;
        relay.run(&mut link, &mut publication, &from_ip.to_string()).await
    }
    .await;
    shared.hear(turn, None);
    // Others may go on air while this one is told why it may not any more.
    drop(relay);
    info!(%from, dropped = ?publication.dropped(), passed_over = link.session.dropped(), "encoder has gone");
    match result {
        Ok(()) => Ok(()),
        Err(ended) => Err(link.refuse(ended).await),
    }
}

/// The socket and the session.
struct Link {
    stream: TcpStream,
    session: Session,
    buffer: Vec<u8>,
}

impl Link {
    fn new(stream: TcpStream, app: &str) -> std::io::Result<Self> {
        let mut chance = [0; Handshake::CHANCE_LEN];
        getrandom::fill(&mut chance)?;
        Ok(Self { stream, session: Session::new(app, chance), buffer: vec![0; READ_BYTES] })
    }

    /// Waits until the encoder asks to publish; returns its key and what it says it is.
    async fn asked(&mut self) -> Result<(String, String), Ended> {
        loop {
            while let Some(event) = self.session.poll() {
                if let Event::Publish { key, tool } = event {
                    return Ok((key, tool));
                }
            }
            if !self.read().await? {
                return Err(Ended::Gone);
            }
        }
    }

    /// Reads once and answers; false at the end.
    async fn read(&mut self) -> Result<bool, Ended> {
        let len = self.stream.read(&mut self.buffer).await?;
        let pushed = self.session.push(&self.buffer[..len]);
        self.flush().await?;
        pushed?;
        Ok(len > 0)
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        let out: Bytes = self.session.output();
        timeout(WRITE_TIMEOUT, self.stream.write_all(&out)).await.map_err(|_| Ended::Stuck)??;
        Ok(())
    }

    /// Tells the encoder why it ended, as far as it still listens.
    async fn refuse(&mut self, ended: Ended) -> Ended {
        self.session.refuse(&ended.to_string());
        if self.flush().await.is_ok() {
            let _ = timeout(WRITE_TIMEOUT, self.stream.shutdown()).await;
            // What is still coming would reset the connection before the encoder has read why.
            let _ = timeout(Duration::from_secs(1), async {
                while self.stream.read(&mut self.buffer).await.is_ok_and(|len| len > 0) {}
            })
            .await;
        }
        ended
    }
}

/// A publication on air.
struct Relay<'a> {
    shared: &'a Shared,
    turn: u64,
    air: OnAir,
    pace: Pace,
    began: Instant,
    hurried: bool,
}

impl Relay<'_> {
    async fn run(&mut self, link: &mut Link, publication: &mut Publication, from: &str) -> Result<(), Ended> {
        let patience = self.shared.config.idle_timeout_s;
        loop {
            while let Some(event) = link.session.poll() {
                let ended = event == Event::End;
                let taken = self.take(event, publication, from);
                self.send(publication).await?;
                taken?;
                if ended {
                    return self.finish(publication).await;
                }
            }
            self.shared.hear(self.turn, Some(Instant::now()));
            let read = timeout(Duration::from_secs(patience), link.read());
            let more = tokio::select! {
                off = self.air.off_air() => return Err(off.into()),
                read = read => read.map_err(|_| Ended::Idle(patience)).and_then(|more| more),
            };
            match more {
                Ok(true) => {}
                Ok(false) => return self.finish(publication).await,
                Err(ended) => {
                    self.finish(publication).await?;
                    return Err(ended);
                }
            }
        }
    }

    fn take(&mut self, event: Event, publication: &mut Publication, from: &str) -> Result<(), IngestError> {
        match event {
            Event::Video(time, tag) => publication.video(time, &tag)?,
            Event::Audio(time, tag) => publication.audio(time, &tag)?,
            Event::Metadata(metadata) => {
                publication.metadata(&metadata);
                if let Some(encoder) = publication.encoder() {
                    self.air.rename(format!("rtmp from {from} ({encoder})"));
                }
            }
            Event::Publish { .. } | Event::End => {}
        }
        Ok(())
    }

    async fn finish(&mut self, publication: &mut Publication) -> Result<(), Ended> {
        publication.finish()?;
        self.send(publication).await
    }

    /// Sends what the publication gives, no faster than a clock.
    async fn send(&mut self, publication: &mut Publication) -> Result<(), Ended> {
        while let Some(event) = publication.poll() {
            if let IngestEvent::Unit(unit) = &event {
                let end_us = unit.pts_us.saturating_add(unit.duration_us.into());
                let wait = self.pace.wait(end_us, self.began.elapsed());
                self.hold(wait).await?;
            }
            self.air.send(event).await?;
        }
        Ok(())
    }

    async fn hold(&mut self, wait: Duration) -> Result<(), Ended> {
        if self.pace.waited() > HURRY && !std::mem::replace(&mut self.hurried, true) {
            let text = "the encoder sends faster than a clock goes and is slowed down; with ffmpeg put -re before -i";
            self.air.send(IngestEvent::Advice(text.into())).await?;
        }
        if wait.is_zero() {
            return Ok(());
        }
        self.shared.hear(self.turn, Some(Instant::now()));
        tokio::select! {
            off = self.air.off_air() => Err(off.into()),
            () = sleep(wait) => Ok(()),
        }
    }
}
