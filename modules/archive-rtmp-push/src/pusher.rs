//! Pushes: one ffmpeg after the other, each from a key frame on.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use peerstream_ffmpeg_child::{Backoff, Child, Command, Program, Redactor};
use peerstream_sdk::prelude::*;
use peerstream_sdk::protocol::header::Flags;
use peerstream_sdk::traits::archive::{Init, Segment};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::arguments::{self, Tracks};
use crate::backlog::{Backlog, Piece};
use crate::config::{Config, wrong_url};
use crate::keyfile::KeyFile;

/// A child that has run for so long is connected, as far as can be known.
const CONNECTED: Duration = Duration::from_secs(5);
/// After this time a child has read its options, and the file with the key goes.
const KEY_READ: Duration = Duration::from_secs(10);
/// A child that gets nothing any more may take so long to push what it has.
const DRAIN: Duration = Duration::from_secs(10);
/// What a child writes on its standard output, which is nothing.
const NOTHING_BYTES: usize = 512;

/// How it is pushed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What it is called in the log.
    pub name: String,
    /// The ffmpeg, by name or path.
    pub program: PathBuf,
    /// Bytes that wait; beyond it whole groups of pictures are left out.
    pub buffer_bytes_max: usize,
    /// A child that takes nothing for so long is given up.
    pub stall: Duration,
    /// Memory that a child may have, in MiB; 0 for no bound.
    pub memory_mib: u64,
}

impl Settings {
    /// Those of the plug-in, with this ffmpeg.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self::of(&Config { program: program.into(), ..Config::default() }, "rtmp-push")
    }

    pub(crate) fn of(config: &Config, name: &str) -> Self {
        let Config { program, buffer_bytes_max, stall_s, memory_mib, .. } = config.clone();
        let stall = Duration::from_secs(stall_s.into());
        Self { name: name.to_owned(), program, buffer_bytes_max, stall, memory_mib }
    }
}

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The server and its application.
    pub url: String,
    /// The stream key.
    pub key: Secret,
}

/// Pushes a broadcast to a server. Cheap to clone; nothing that is called waits, but [`stop`](Self::stop).
#[derive(Clone, Debug)]
pub struct Pusher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    backlog: Backlog,
    target: watch::Sender<Option<Target>>,
    stopping: watch::Sender<bool>,
    /// Whether a child is being fed.
    feeding: watch::Sender<bool>,
    trouble: Mutex<Option<String>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What comes after a child.
#[derive(Debug)]
enum Outcome {
    /// Another one with the next key frame: the codec or the target has changed, or the broadcast paused.
    Next,
    /// Another one after a pause.
    Again { why: String, well: Duration },
    /// None before another codec comes.
    Unfit(String),
    /// No more.
    Stop,
}

impl Pusher {
    /// One that does nothing yet.
    pub fn new(settings: Settings) -> Self {
        let backlog = Backlog::new(settings.buffer_bytes_max);
        let (target, stopping, feeding) =
            (watch::Sender::new(None), watch::Sender::new(false), watch::Sender::new(false));
        let (trouble, task) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { settings, backlog, target, stopping, feeding, trouble, task }))
    }

    /// Begins; from within a runtime. Twice is once.
    pub fn start(&self) {
        let mut task = lock(&self.0.task);
        if task.is_none() {
            self.0.stopping.send_replace(false);
            *task = Some(tokio::spawn(run(self.0.clone())));
        }
    }

    /// Pushes to there from the next key frame on.
    pub fn aim(&self, target: Target) {
        self.0.target.send_if_modified(|now| {
            let changed = now.as_ref() != Some(&target);
            *now = Some(target);
            changed
        });
    }

    /// The codec header of what follows.
    pub fn init(&self, init: &Init) {
        self.0.backlog.push(Piece::Init { mime: init.mime.clone(), bytes: init.bytes.clone().into() });
    }

    /// A segment; false if it is left out because the server is slow or away.
    pub fn segment(&self, segment: &Segment) -> bool {
        let joins = segment.header.core.flags.has(Flags::JOIN_POINT);
        segment.payload.is_empty() || self.0.backlog.push(Piece::Segment { joins, bytes: segment.payload.clone() })
    }

    /// The broadcast is over, or pauses: the connection ends when all that waits is pushed.
    pub fn pause(&self) {
        self.0.backlog.push(Piece::Pause);
    }

    /// What is wrong, if anything is.
    pub fn trouble(&self) -> Option<String> {
        lock(&self.0.trouble).clone()
    }

    /// Segments that were pushed and those that were left out.
    pub fn counts(&self) -> (u64, u64) {
        self.0.backlog.counts()
    }

    /// Ends, within this time. What waits is pushed before, if the server takes it.
    pub async fn stop(&self, deadline: Duration) {
        self.pause();
        let _ = timeout(deadline * 3 / 4, self.0.feeding.subscribe().wait_for(|feeding| !*feeding)).await;
        self.0.stopping.send_replace(true);
        let task = lock(&self.0.task).take();
        if let Some(mut task) = task
            && timeout(deadline / 4, &mut task).await.is_err()
        {
            // Its child goes with it.
            task.abort();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder panics")
}

async fn run(inner: Arc<Inner>) {
    let mut run = Run { inner: &inner, header: None, version: None };
    let (mut backoff, mut stopping) = (Backoff::default(), inner.stopping.subscribe());
    loop {
        let outcome = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return,
            outcome = run.once() => outcome,
        };
        let pause = match outcome {
            Outcome::Stop => return,
            Outcome::Next => continue,
            Outcome::Unfit(why) => {
                inner.tell(why);
                continue;
            }
            Outcome::Again { why, well } => {
                inner.tell(why);
                backoff.after(well)
            }
        };
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(pause) => inner.backlog.skip(),
        }
    }
}

impl Inner {
    /// Told once for each reason.
    fn tell(&self, why: String) {
        let mut trouble = lock(&self.trouble);
        if trouble.as_ref() != Some(&why) {
            warn!(push = self.settings.name, "not pushed: {why}");
            *trouble = Some(why);
        }
    }

    fn fine(&self) {
        if lock(&self.trouble).take().is_some() {
            info!(push = self.settings.name, "it is pushed again");
        }
    }
}

struct Run<'a> {
    inner: &'a Inner,
    /// The codec header that counts now, and whether it can be pushed.
    header: Option<(Bytes, Result<Tracks, String>)>,
    version: Option<String>,
}

impl Run<'_> {
    /// One child, from the first key frame on.
    async fn once(&mut self) -> Outcome {
        let mut targets = self.inner.target.subscribe();
        let Some(target) = aimed(&mut targets).await else { return Outcome::Stop };
        if let Some(wrong) = wrong_url(&target.url) {
            // Not ours to mend: another target may come.
            self.inner.tell(format!("the address {wrong}"));
            return if targets.changed().await.is_ok() { Outcome::Next } else { Outcome::Stop };
        }
        let first = loop {
            match self.inner.backlog.next().await {
                Piece::Init { mime, bytes } => self.header = Some((bytes, Tracks::of_mime(&mime))),
                Piece::Segment { joins: true, bytes } if self.header.is_some() => break bytes,
                Piece::Segment { .. } | Piece::Pause => {}
            }
        };
        let (init, tracks) = match &self.header {
            Some((init, Ok(tracks))) => (init.clone(), *tracks),
            Some((_, Err(why))) => return Outcome::Unfit(why.clone()),
            None => return Outcome::Next,
        };
        let key = match self.key_file(&target.key).await {
            Ok(key) => key,
            Err(why) => return Outcome::Again { why, well: Duration::ZERO },
        };
        match Child::start(&self.command(&target, &key, tracks)).await {
            Ok(child) => {
                info!(push = self.inner.settings.name, url = target.url, "pushing");
                self.inner.feeding.send_replace(true);
                let outcome = self.feed(child, key, &init, first, &mut targets).await;
                self.inner.feeding.send_replace(false);
                outcome
            }
            Err(error) => {
                let program = self.inner.settings.program.display();
                Outcome::Again { why: format!("`{program}` cannot be started: {error}"), well: Duration::ZERO }
            }
        }
    }

    async fn key_file(&mut self, key: &Secret) -> Result<KeyFile, String> {
        if self.version.is_none() {
            let features = Program::new(&self.inner.settings.program).features().await;
            self.version = Some(features.map_err(|error| error.to_string())?.version);
        }
        let version = self.version.as_deref().unwrap_or_default();
        KeyFile::new(key, version).map_err(|error| format!("the key cannot be handed over: {error}"))
    }

    fn command(&self, target: &Target, key: &KeyFile, tracks: Tracks) -> Command {
        let Settings { name, program, memory_mib, .. } = self.inner.settings.clone();
        let arguments = arguments::push(&target.url, &key.argument(), tracks);
        let redactor = Redactor::new().hide(target.key.reveal());
        Command { program, arguments, name, redactor, fed: true, memory_mib }
    }

    async fn feed(
        &mut self,
        mut child: Child,
        key: KeyFile,
        init: &Bytes,
        first: Bytes,
        targets: &mut watch::Receiver<Option<Target>>,
    ) -> Outcome {
        let (since, mut key) = (Instant::now(), Some(key));
        let Some(mut input) = child.take_input() else { return Outcome::Stop };
        let mut waiting: std::collections::VecDeque<Bytes> = [init.clone(), first].into();
        let stall = self.inner.settings.stall;
        let mut nothing = [0; NOTHING_BYTES];
        let mut done = None;
        loop {
            while let Some(bytes) = waiting.pop_front() {
                match timeout(stall, input.write_all(&bytes)).await {
                    Ok(Ok(())) => {}
                    // Its words say why.
                    Ok(Err(_)) => return self.ended(child, since).await,
                    Err(_) => {
                        child.kill().await;
                        let why = format!("the server takes nothing for {} s", stall.as_secs());
                        return Outcome::Again { why, well: since.elapsed() };
                    }
                }
            }
            if let Some(outcome) = done.take() {
                drop(input);
                // What it still has goes out first.
                let _ =
                    timeout(DRAIN, async { while child.read(&mut nothing).await.is_ok_and(|len| len > 0) {} }).await;
                child.end().await;
                return outcome;
            }
            if since.elapsed() >= CONNECTED {
                self.inner.fine();
            }
            if since.elapsed() >= KEY_READ {
                key = None;
            }
            tokio::select! {
                piece = self.inner.backlog.next() => match piece {
                    Piece::Segment { bytes, .. } => waiting.push_back(bytes),
                    Piece::Init { bytes, .. } if bytes == *init => {}
                    Piece::Init { mime, bytes } => {
                        self.header = Some((bytes, Tracks::of_mime(&mime)));
                        done = Some(Outcome::Next);
                    }
                    Piece::Pause => done = Some(Outcome::Next),
                },
                read = child.read(&mut nothing) => if read.unwrap_or(0) == 0 {
                    drop(key);
                    return self.ended(child, since).await;
                },
                changed = targets.changed() => done = Some(if changed.is_ok() { Outcome::Next } else { Outcome::Stop }),
            }
        }
    }

    async fn ended(&self, child: Child, since: Instant) -> Outcome {
        let ending = child.end().await;
        Outcome::Again { why: format!("ffmpeg ended; {ending}"), well: since.elapsed() }
    }
}

/// Where to, once that is known; nothing if it never will be.
async fn aimed(targets: &mut watch::Receiver<Option<Target>>) -> Option<Target> {
    let target = targets.wait_for(Option::is_some).await.ok()?;
    target.clone()
}
