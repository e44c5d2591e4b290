//! The archive.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use peerstream_archive_rtmp_push::{Pusher, Settings};
use peerstream_sdk::prelude::*;
use peerstream_sdk::protocol::header::Flags;
use peerstream_sdk::recent::{Recent, Standing};
use peerstream_sdk::traits::archive::{
    ArchiveBackend, Capabilities, Init, InitId, Item, Manifest, Published, Receipt, RecordingId, RestrictMode,
    Restriction, Segment, StreamKind, StreamMeta,
};

use crate::api::Api;
use crate::config::Config;
use crate::http::Http;
use crate::index::Index;
use crate::part::Writer;
use crate::show::{PARTS_MAX, Part, Playlist, Show, State, Visibility};
use crate::spool::Spool;
use crate::status::Status;
use crate::{files, worker};

/// Codec headers of a recording that are known again.
const INITS_MAX: usize = 1_024;
/// How long a restriction waits for the site before it says that it is still to come.
const RESTRICT_WAIT: Duration = Duration::from_secs(8);
/// How often it looks.
const RESTRICT_LOOK: Duration = Duration::from_millis(20);

/// Makes videos of broadcasts.
#[derive(Clone, Debug)]
pub struct PeerTube(pub(crate) Arc<Shared>);

/// What the archive and its worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) inner: Mutex<Inner>,
    /// There may be something to do.
    pub(crate) wake: Condvar,
    pub(crate) status: Status,
    pub(crate) stop: Arc<AtomicBool>,
    /// Pushes to the live video, if there is to be one.
    pub(crate) pusher: Option<Pusher>,
    worker: Mutex<Option<std::thread::JoinHandle<()>>>,
}

/// What changes.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    /// None before the start and after the end.
    pub(crate) spool: Option<Spool>,
    current: Option<Current>,
    /// What the live video is to be called; none when it has been told.
    pub(crate) live_title: Option<Option<String>>,
}

/// The recording under way.
#[derive(Debug)]
struct Current {
    id: RecordingId,
    init: Option<Init>,
    inits: BTreeSet<InitId>,
    recent: Recent,
    writer: Option<Writer>,
    /// The title has changed since the last segment.
    retitled: bool,
    /// Something was left out for want of room: what comes next must be a place where a decoder can begin.
    broken: bool,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder panics")
    }
}

impl Inner {
    pub(crate) fn spool(&mut self) -> Result<&mut Spool, PluginError> {
        self.spool.as_mut().ok_or_else(|| PluginError::unavailable("the archive is not started"))
    }

    fn open(&mut self, meta: &StreamMeta, config: &Config) -> Result<RecordingId, PluginError> {
        if meta.kind != StreamKind::Media {
            return Err(PluginError::unsupported("PeerTube takes media: keeping a broadcast of data"));
        }
        let id = RecordingId(format!("{}-{}", meta.stream, meta.epoch.0));
        if !id.0.chars().all(|char| char.is_ascii_alphanumeric() || char == '-') || id.0.len() > 128 {
            return Err(PluginError::invalid("that is no stream's name"));
        }
        if self.current.as_ref().is_some_and(|current| current.id == id) {
            return Ok(id);
        }
        self.current = None;
        let spool = self.spool()?;
        for other in spool.ids().into_iter().filter(|other| *other != id.0) {
            // Whatever came before is over.
            spool.close(&other)?;
            if let Some(show) = spool.show_mut(&other).filter(|show| !show.ended) {
                show.ended = true;
                spool.save(&other)?;
            }
        }
        spool.forget(config.unlisted_until_end)?;
        match spool.show_mut(&id.0) {
            Some(show) => {
                show.ended = false;
                spool.save(&id.0)?;
            }
            None => spool.begin(&id.0, new_show(meta))?,
        }
        let mut current = Current::new(id.clone());
        current.resume(spool)?;
        self.current = Some(current);
        if config.live {
            self.live_title = Some(meta.title.clone());
        }
        Ok(id)
    }

    fn put(&mut self, id: &RecordingId, item: &Item, config: &Config) -> Result<Receipt, PluginError> {
        let spool = self.spool.as_mut().ok_or_else(|| PluginError::unavailable("the archive is not started"))?;
        let current = self.current.as_mut().filter(|current| current.id == *id);
        let current = current.ok_or_else(|| PluginError::new(ErrorClass::NotFound, "the recording is not open"))?;
        match item {
            Item::Init { id, encoded } => current.take_init(*id, encoded, spool),
            Item::Segment(segment) if current.recent.standing(segment)? == Standing::Known => Ok(Receipt::AlreadyKept),
            Item::Segment(segment) => {
                if config.keeps_parts() {
                    current.write(segment, spool, config)?;
                }
                current.recent.add(segment);
                Ok(Receipt::Kept)
            }
        }
    }

    fn finalize(&mut self, id: &RecordingId, manifest: &Manifest, config: &Config) -> Result<(), PluginError> {
        let spool = self.spool()?;
        if spool.show(&id.0).is_none() {
            return Err(PluginError::new(ErrorClass::NotFound, "there is no such recording"));
        }
        // A whole broadcast that pauses goes on in the same file.
        if manifest.ended || !config.whole {
            spool.close(&id.0)?;
        }
        if let Some(show) = spool.show_mut(&id.0).filter(|show| show.ended != manifest.ended) {
            show.ended = manifest.ended;
            spool.save(&id.0)?;
        }
        if let Some(current) = self.current.as_mut().filter(|current| current.id == *id)
            && (manifest.ended || !config.whole)
        {
            current.writer = None;
        }
        Ok(())
    }

    /// What is to be seen of the parts that have any of these segments; true if the site must be told.
    fn restrict(&mut self, id: &RecordingId, restriction: &Restriction) -> Result<bool, PluginError> {
        let Restriction { first, end, mode } = *restriction;
        if first >= end {
            return Err(PluginError::invalid("the range is empty"));
        }
        let spool = self.spool.as_mut().ok_or_else(|| PluginError::unavailable("the archive is not started"))?;
        let unknown = || PluginError::new(ErrorClass::NotFound, "there is no such recording");
        let show = spool.show(&id.0).ok_or_else(unknown)?;
        let concerned: Vec<_> = (0..show.parts.len()).filter(|&it| show.parts[it].overlaps(first.0, end.0)).collect();
        if concerned.iter().any(|&index| show.parts[index].state == State::Writing) {
            // So that the rest of the broadcast is not concerned.
            spool.close(&id.0)?;
            if let Some(current) = self.current.as_mut().filter(|current| current.id == *id) {
                current.writer = None;
            }
        }
        let mut must_tell = false;
        for index in concerned {
            let key = (id.0.clone(), index);
            let Some(part) = spool.part_mut(&key).filter(|part| part.wanted != Visibility::Erased) else { continue };
            part.wanted = match mode {
                RestrictMode::Hide => Visibility::Hidden,
                RestrictMode::Show => Visibility::Shown,
                RestrictMode::Erase => Visibility::Erased,
            };
            if part.wanted == Visibility::Erased && part.is_in_spool() {
                (part.state, part.upload) = (State::Erased, None);
                spool.drop_file(&key)?;
            } else {
                must_tell |= !part.is_shown_as_wanted();
            }
        }
        spool.save(&id.0)?;
        Ok(must_tell)
    }
}

fn new_show(meta: &StreamMeta) -> Show {
    Show {
        stream: meta.stream.clone(),
        epoch: meta.epoch.0,
        title: meta.title.clone(),
        began_us: None,
        start_us: None,
        ended: false,
        playlist: Playlist::None,
        parts: Vec::new(),
        published: false,
    }
}

impl Current {
    fn new(id: RecordingId) -> Self {
        let (init, inits, recent) = (None, BTreeSet::new(), Recent::default());
        Self { id, init, inits, recent, writer: None, retitled: false, broken: false }
    }

    /// Goes on with the part that was being written, if there is one.
    fn resume(&mut self, spool: &mut Spool) -> Result<(), PluginError> {
        let id = &self.id.0;
        let number = spool.show(id).map_or(0, |show| show.parts.len());
        let (media, index) = (spool.media(id, number), spool.index(id, number));
        let Some(show) = spool.show_mut(id) else { return Ok(()) };
        let Some(part) = show.parts.last_mut().filter(|part| part.state == State::Writing) else { return Ok(()) };
        let recent = &mut self.recent;
        Index::open(&index, u64::MAX, |record| recent.add_hash(Seq(record.seq), record.hash))?;
        let (writer, bytes) = Writer::resume(&media, &index, part)?;
        self.writer = Some(writer);
        self.init = Some(Init { mime: String::new(), title: String::new(), bytes });
        Ok(())
    }

    fn take_init(&mut self, id: InitId, encoded: &[u8], spool: &mut Spool) -> Result<Receipt, PluginError> {
        let init = Init::decode(encoded).map_err(|_| PluginError::invalid("that is no init"))?;
        match &self.init {
            Some(now) if now.bytes == init.bytes => self.retitled |= now.title != init.title,
            _ => {
                // Another codec needs a file of its own.
                self.writer = None;
                spool.close(&self.id.0)?;
                self.retitled = true;
            }
        }
        self.init = Some(init);
        if self.inits.len() >= INITS_MAX {
            self.inits.pop_first();
        }
        Ok(if self.inits.insert(id) { Receipt::Kept } else { Receipt::AlreadyKept })
    }

    fn write(&mut self, segment: &Segment, spool: &mut Spool, config: &Config) -> Result<(), PluginError> {
        if segment.payload.is_empty() {
            return Ok(());
        }
        let joins = segment.header.core.flags.has(Flags::JOIN_POINT);
        if !joins && (self.broken || self.writer.is_none()) {
            return Err(PluginError::new(ErrorClass::Denied, "it goes on with the next key frame"));
        }
        let (.., bytes) = spool.waiting();
        self.broken = bytes + segment.payload.len() as u64 > config.spool_bytes_max;
        if self.broken {
            let full = format!("the spool has reached its bound of {} bytes", config.spool_bytes_max);
            return Err(PluginError::new(ErrorClass::Denied, full));
        }
        if joins && self.writer.is_some() && self.is_due(segment, spool, config) {
            self.writer = None;
            spool.close(&self.id.0)?;
        }
        match self.append(segment, spool, config) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                self.broken = true;
                Err(PluginError::new(ErrorClass::Denied, "the spool's disk is full"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the part is long enough to end before this segment.
    fn is_due(&self, segment: &Segment, spool: &Spool, config: &Config) -> bool {
        let start = spool.show(&self.id.0).and_then(|show| show.parts.last()).map_or(0, |part| part.start_us);
        let length_us = u64::from(config.part_minutes) * 60_000_000;
        !config.whole && segment.header.core.pts_us.saturating_sub(start) >= length_us
    }

    fn append(&mut self, segment: &Segment, spool: &mut Spool, config: &Config) -> std::io::Result<()> {
        let core = segment.header.core;
        let is_new = self.writer.is_none();
        if is_new {
            self.begin_part(spool, segment)?;
        }
        let id = &self.id.0;
        let title = self.init.as_ref().map_or("", |init| init.title.as_str());
        let Some(show) = spool.show_mut(id) else { return Ok(()) };
        let before = (show.began_us, show.start_us);
        show.began_us.get_or_insert(core.wall_us.saturating_sub(core.duration_us.into()));
        show.start_us.get_or_insert(core.pts_us);
        let Some((writer, part)) = self.writer.as_mut().zip(show.parts.last_mut()) else { return Ok(()) };
        let mut written = writer.add(segment, part);
        if written.is_ok() {
            let titled = std::mem::take(&mut self.retitled) || is_new;
            if titled {
                part.chapter(core.pts_us, title);
            }
            let marked = config.whole && core.flags.has(Flags::JOIN_POINT) && mark_length(part, core.pts_us, config);
            if titled || marked {
                written = spool.save(id);
            }
        }
        match written {
            Err(error) if is_new => {
                // Nobody knows of the part: its files are written over by the next one.
                self.writer = None;
                if let Some(show) = spool.show_mut(id) {
                    (show.began_us, show.start_us) = before;
                    show.parts.pop();
                }
                Err(error)
            }
            // The segment is kept; its chapter is on the disk with the next change.
            Err(_) if self.writer.as_ref().is_some_and(|writer| writer.has(core.seq)) => Ok(()),
            result => result,
        }
    }

    fn begin_part(&mut self, spool: &mut Spool, segment: &Segment) -> std::io::Result<()> {
        let id = &self.id.0;
        let Some(show) = spool.show(id) else { return Ok(()) };
        let number = show.parts.len() + 1;
        if number > PARTS_MAX {
            return Err(std::io::Error::other(format!("a broadcast has no more than {PARTS_MAX} parts")));
        }
        let init = self.init.as_ref().map_or(&[][..], |init| &init.bytes);
        self.writer = Some(Writer::create(&spool.media(id, number), &spool.index(id, number), init)?);
        let core = segment.header.core;
        let part = Part { first: core.seq.0, end: core.seq.0, start_us: core.pts_us, ..Part::default() };
        spool.show_mut(id).into_iter().for_each(|show| show.parts.push(part.clone()));
        Ok(())
    }
}

/// Where a part would have ended if the broadcast were not kept as one video, there is a chapter, unless titles make them.
fn mark_length(part: &mut Part, pts_us: u64, config: &Config) -> bool {
    let titled = part.chapters.iter().any(|chapter| !chapter.title.is_empty() && !chapter.title.starts_with("Part "));
    let due_s = part.chapters.last().map_or(0, |last| last.at_s) + u64::from(config.part_minutes) * 60;
    if titled || pts_us.saturating_sub(part.start_us) / 1_000_000 < due_s {
        return false;
    }
    let number = part.chapters.len() + 1;
    part.chapter(pts_us, &format!("Part {number}"));
    true
}

impl PeerTube {
    /// Does something on a thread that may wait for the disk. It is not cut short when nobody waits for it any more.
    async fn on_disk<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Shared) -> Result<T, PluginError> + Send + 'static,
    ) -> Result<T, PluginError> {
        let shared = self.0.clone();
        let done = tokio::task::spawn_blocking(move || {
            let result = act(&shared);
            shared.wake.notify_all();
            result
        });
        done.await.map_err(|error| PluginError::new(ErrorClass::Internal, error.to_string()))?
    }

    /// What waits, for tests and for those who hold the type: parts in the spool, and whether all that can be done is done.
    #[doc(hidden)]
    pub fn waits(&self) -> (usize, bool) {
        let inner = self.0.lock();
        let Some(spool) = &inner.spool else { return (0, true) };
        let idle = spool.next_visibility().is_none() && spool.next_part().is_none();
        let published = !self.0.config.unlisted_until_end || spool.next_publication().is_none();
        (spool.waiting().0, idle && published && inner.live_title.is_none())
    }

    fn push(&self, item: &Item) {
        let Some(pusher) = &self.0.pusher else { return };
        match item {
            Item::Init { encoded, .. } => drop(Init::decode(encoded).map(|init| pusher.init(&init))),
            // What it has no room for it counts, and says so in its health.
            Item::Segment(segment) => drop(pusher.segment(segment)),
        }
    }
}

impl Plugin for PeerTube {
    const NAME: &'static str = "peertube";
    const SUMMARY: &'static str =
        "videos on a PeerTube site: parts uploaded while the broadcast goes on, live if asked";
    const STABILITY: Stability = Stability::Beta;
    type Config = Config;

    fn build(config: Config, context: &BuildContext<'_>) -> Result<Self, PluginError> {
        let settings = Settings { name: context.instance.to_owned(), ..Settings::new(&config.program) };
        let pusher = config.live.then(|| Pusher::new(settings));
        Ok(Self(Arc::new(Shared {
            config,
            inner: Mutex::default(),
            wake: Condvar::new(),
            status: Status::default(),
            stop: Arc::default(),
            pusher,
            worker: Mutex::default(),
        })))
    }
}

#[async_trait]
impl Lifecycle for PeerTube {
    /// Whether the site lets us in.
    async fn probe(&self) -> Result<(), PluginError> {
        let config = self.0.config.clone();
        let probe = tokio::task::spawn_blocking(move || {
            // Its tokens are nobody else's: what is stored stays as it is.
            let api = Api::new(&config, Http::new(&config, Arc::default()), None);
            api.check()
        });
        Ok(probe.await.map_err(|error| PluginError::new(ErrorClass::Internal, error.to_string()))??)
    }

    /// Opens the spool. The site is not waited for: it may be away.
    async fn start(&self) -> Result<(), PluginError> {
        self.on_disk(|shared| {
            let mut inner = shared.lock();
            if inner.spool.is_none() {
                inner.spool = Some(Spool::open(&shared.config.folder)?);
            }
            Ok(())
        })
        .await?;
        if let Some(pusher) = &self.0.pusher {
            pusher.start();
        }
        let mut held = self.0.worker.lock().expect("no holder panics");
        if held.is_none() {
            self.0.stop.store(false, Relaxed);
            let shared = self.0.clone();
            let thread = std::thread::Builder::new().name("peertube".into());
            *held = Some(thread.spawn(move || worker::run(&shared))?);
        }
        Ok(())
    }

    fn health(&self) -> Health {
        match (self.0.status.health(), self.0.pusher.as_ref().and_then(Pusher::trouble)) {
            (Health::Ok, Some(why)) => Health::Degraded { why },
            (health, _) => health,
        }
    }

    async fn stop(&self, deadline: Duration) -> Result<(), PluginError> {
        let by = Instant::now() + deadline.saturating_sub(Duration::from_millis(500));
        self.0.stop.store(true, Relaxed);
        // Behind the lock: the worker sees the word, or waits already and is woken.
        drop(self.0.lock());
        self.0.wake.notify_all();
        if let Some(pusher) = &self.0.pusher {
            pusher.stop(deadline / 2).await;
        }
        let worker = self.0.worker.lock().expect("no holder panics").take();
        if let Some(worker) = worker {
            // One that waits for an answer of the site is left alone: it ends with its answer, and what it does is on the disk.
            while !worker.is_finished() && Instant::now() < by {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        self.on_disk(|shared| {
            let mut inner = shared.lock();
            (inner.current, inner.spool) = (None, None);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl ArchiveBackend for PeerTube {
    fn capabilities(&self) -> Capabilities {
        // What is only on the site as replays of its own is not ours to cut.
        Capabilities { restrict: self.0.config.keeps_parts(), ..Capabilities::default() }
    }

    async fn open(&self, meta: &StreamMeta) -> Result<RecordingId, PluginError> {
        let meta = meta.clone();
        self.on_disk(move |shared| shared.lock().open(&meta, &shared.config)).await
    }

    async fn put(&self, recording: &RecordingId, item: &Item) -> Result<Receipt, PluginError> {
        let (id, kept) = (recording.clone(), item.clone());
        let receipt = self.on_disk(move |shared| shared.lock().put(&id, &kept, &shared.config)).await;
        if !matches!((&receipt, item), (Ok(Receipt::AlreadyKept), Item::Segment(_))) {
            self.push(item);
        }
        receipt
    }

    async fn finalize(&self, recording: &RecordingId, manifest: &Manifest) -> Result<Published, PluginError> {
        let (id, manifest) = (recording.clone(), manifest.clone());
        if let Some(pusher) = &self.0.pusher {
            pusher.pause();
        }
        self.on_disk(move |shared| shared.lock().finalize(&id, &manifest, &shared.config)).await?;
        let inner = self.0.lock();
        let playlist =
            inner.spool.as_ref().and_then(|spool| spool.show(&recording.0)).map(|show| show.playlist.clone());
        let url = match playlist {
            Some(Playlist::Made(id)) => Some(format!("{}/w/p/{id}", self.0.config.base())),
            _ => None,
        };
        Ok(Published { url })
    }

    async fn restrict(&self, recording: &RecordingId, restriction: &Restriction) -> Result<(), PluginError> {
        if !self.0.config.keeps_parts() {
            return Err(PluginError::unsupported("withholding parts of the site's own replays"));
        }
        let (id, restriction) = (recording.clone(), restriction.clone());
        let concerned = restriction.clone();
        if !self.on_disk(move |shared| shared.lock().restrict(&id, &restriction)).await? {
            return Ok(());
        }
        let done = |inner: &Inner| {
            let show = inner.spool.as_ref().and_then(|spool| spool.show(&recording.0));
            let parts = show.map_or(&[][..], |show| &show.parts);
            let range = (concerned.first.0, concerned.end.0);
            parts.iter().filter(|part| part.overlaps(range.0, range.1)).all(Part::is_shown_as_wanted)
        };
        let by = Instant::now() + RESTRICT_WAIT;
        while Instant::now() < by {
            if done(&self.0.lock()) {
                return Ok(());
            }
            tokio::time::sleep(RESTRICT_LOOK).await;
        }
        // It is on the disk, and is done as soon as the site can be reached.
        Err(PluginError::unavailable("the site has not done that yet; it is asked again until it has"))
    }
}

/// Where the live video is remembered.
pub(crate) fn live_file(config: &Config) -> std::path::PathBuf {
    config.folder.join("live.json")
}

/// Reads a document of the spool folder that may be missing or damaged: then it is made anew.
pub(crate) fn read_or_none<T: peerstream_sdk::serde::de::DeserializeOwned>(path: &std::path::Path) -> Option<T> {
    files::read(path).ok().flatten()
}
