//! The archive.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::archive::{
    ArchiveBackend, Capabilities, InitId, Item, Line, Manifest, Published, Receipt, Recording as Listed, RecordingId,
    RestrictMode, Restriction, Segment, StreamMeta,
};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::backend::{Backend, Fetched, on_disk};
use crate::chores::Chores;
use crate::config::Config;
use crate::entry::{self, Entry};
use crate::index::{Index, Record};
use crate::recording::{News, Recording, Rules, init_path};
use crate::spool::Spool;
use crate::view::View;
use crate::{backend, block, courier, document};

/// Recordings that `list` gives, the latest.
const LISTED_MAX: usize = 10_000;
/// Recordings of which only the objects are there, with their indexes in memory.
const FETCHED_MAX: usize = 4;

/// Keeps broadcasts as objects.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) spool: Arc<Spool>,
    pub(crate) backend: Backend,
    /// Those that are written. A finished one is closed.
    open: Mutex<BTreeMap<RecordingId, Arc<Mutex<Recording>>>>,
    /// The latest of those of which only the objects are there.
    fetched: Mutex<Vec<(RecordingId, Arc<View>)>>,
    waiting: Mutex<Waiting>,
    /// The courier is to look.
    pub(crate) parcels: Notify,
    /// The courier has nothing more to do.
    idle: Notify,
    /// Held while a block is on its way, and while one is written over.
    pub(crate) way: tokio::sync::Mutex<()>,
    /// Held while chores are read and written.
    chores: Mutex<()>,
    /// Why the backend takes nothing.
    trouble: Mutex<Option<String>>,
    courier: Mutex<Option<JoinHandle<()>>>,
}

/// Recordings that have something for the courier.
#[derive(Debug, Default)]
struct Waiting {
    ids: BTreeSet<RecordingId>,
    /// One of them is being seen to.
    under_way: bool,
}

impl Waiting {
    fn is_over(&self) -> bool {
        self.ids.is_empty() && !self.under_way
    }
}

impl Inner {
    fn rules(&self) -> Rules {
        Rules::of(&self.config)
    }

    fn open(&self, meta: &StreamMeta) -> Result<RecordingId, PluginError> {
        let id = RecordingId(format!("{}-{}", meta.stream, meta.epoch.0));
        let folder = self.spool.of(&id)?;
        let mut open = self.lock_open();
        if !open.contains_key(&id) {
            let recording = Recording::open(&folder, meta, &self.spool, self.rules())?;
            open.insert(id.clone(), Arc::new(Mutex::new(recording)));
        }
        drop(open);
        self.call_courier(&id);
        Ok(id)
    }

    fn put(&self, id: &RecordingId, item: &Item) -> Result<Receipt, PluginError> {
        let recording = self.recording(id);
        let recording = recording.ok_or_else(|| PluginError::new(ErrorClass::NotFound, "the recording is not open"))?;
        let (receipt, news) = recording.lock().expect("no holder panics").put(item)?;
        if news == News::Parcel {
            self.call_courier(id);
        }
        Ok(receipt)
    }

    fn finalize(&self, id: &RecordingId, manifest: &Manifest) -> Result<(), PluginError> {
        let folder = self.spool.of(id)?;
        match self.recording(id) {
            Some(recording) => {
                recording.lock().expect("no holder panics").finalize(manifest)?;
                self.lock_open().remove(id);
            }
            // Finished before: the last word counts.
            None => {
                let view = View::open(&folder)?;
                let mut view =
                    view.ok_or_else(|| PluginError::new(ErrorClass::NotFound, "there is no such recording"))?;
                view.summary.close(manifest);
                document::post(&folder.join("manifest.json"), &view.summary)?;
            }
        }
        self.call_courier(id);
        Ok(())
    }

    /// The word is on the disk before anything is written over, so that a crash in between leaves nothing half erased that counts as whole.
    /// The courier does the rest.
    fn restrict(&self, id: &RecordingId, restriction: &Restriction) -> Result<(), PluginError> {
        if restriction.first >= restriction.end {
            return Err(PluginError::invalid("the range is empty"));
        }
        let folder = self.spool.of(id)?;
        let missing = || PluginError::new(ErrorClass::NotFound, "there is no such recording");
        let mut view = View::open(&folder)?.ok_or_else(missing)?;
        if !view.restrictions.has_room() {
            return Err(PluginError::new(ErrorClass::Denied, "too many parts of this recording are withheld already"));
        }
        view.restrictions.apply(restriction);
        document::post(&folder.join("restrictions.json"), &view.restrictions)?;
        if restriction.mode == RestrictMode::Erase {
            self.erase(&folder, &view, restriction)?;
        }
        self.call_courier(id);
        Ok(())
    }

    fn erase(
        &self,
        folder: &Path,
        view: &View,
        Restriction { first, end, .. }: &Restriction,
    ) -> Result<(), PluginError> {
        let mut blocks = BTreeSet::new();
        let from = view.index.partition(|record| record.line.seq < *first)?;
        view.index.each(from, |record| {
            let concerned = record.line.seq < *end;
            if concerned {
                blocks.insert(record.block);
            }
            concerned
        })?;
        // Noted down before, for a crash in between; and after, as a block may leave the spool right before it is written over.
        self.note(folder, |chores| chores.erase.extend(&blocks))?;
        for first in &blocks {
            for ending in [block::OPEN, block::CLOSED] {
                let path = block::path(folder, *first, ending);
                match block::erase(&path, |seq| view.restrictions.has_erased(seq)) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    done => done?,
                }
            }
        }
        self.note(folder, |chores| chores.erase.extend(&blocks))
    }

    /// A chore is to be done, or is done.
    pub(crate) fn note(&self, folder: &Path, change: impl FnOnce(&mut Chores)) -> Result<(), PluginError> {
        let _held = self.chores.lock().expect("no holder panics");
        let mut chores = Chores::read(folder)?;
        change(&mut chores);
        Ok(chores.write(folder)?)
    }

    fn list_local(&self) -> Result<Vec<Listed>, PluginError> {
        let mut found = Vec::new();
        for id in self.spool.recordings()? {
            // One that cannot be read does not hide the others.
            if let Ok(Some(view)) = self.spool.of(&id).and_then(|folder| View::open(&folder)) {
                found.push(Listed { id, meta: view.meta, manifest: view.summary.manifest });
            }
        }
        Ok(found)
    }

    /// Heals what a crash has left, and counts what waits.
    fn begin(&self) -> Result<(), PluginError> {
        let folder = &self.spool.folder;
        std::fs::create_dir_all(folder).map_err(|error| {
            let PluginError { class, message, .. } = PluginError::from(error);
            PluginError::new(class, format!("{} cannot be created: {message}", folder.display()))
        })?;
        for id in self.spool.recordings()? {
            let mended = self.spool.of(&id).and_then(|folder| Recording::mend(&folder, &self.spool, self.rules()));
            if let Err(error) = mended {
                tracing::warn!(recording = id.0, %error, "what a crash has left cannot be healed");
            }
            self.call_courier(&id);
        }
        Ok(self.spool.measure()?)
    }

    /// Closes all that is open.
    fn end(&self) -> Result<(), PluginError> {
        let open = std::mem::take(&mut *self.lock_open());
        let mut outcome = Ok(());
        for (id, recording) in open {
            let closed = recording.lock().expect("no holder panics").close_block();
            self.call_courier(&id);
            outcome = outcome.and(closed);
        }
        Ok(outcome?)
    }

    pub(crate) fn recording(&self, id: &RecordingId) -> Option<Arc<Mutex<Recording>>> {
        self.lock_open().get(id).cloned()
    }

    /// There is something for the courier.
    pub(crate) fn call_courier(&self, id: &RecordingId) {
        self.lock_waiting().ids.insert(id.clone());
        self.parcels.notify_one();
    }

    pub(crate) fn next_parcel(&self) -> Option<RecordingId> {
        let mut waiting = self.lock_waiting();
        let next = waiting.ids.pop_first();
        waiting.under_way = next.is_some();
        next
    }

    /// One recording was seen to, or could not be.
    pub(crate) fn delivered(&self) {
        self.lock_waiting().under_way = false;
        self.idle.notify_waiters();
    }

    /// Gives what it was before.
    pub(crate) fn set_trouble(&self, trouble: Option<String>) -> Option<String> {
        std::mem::replace(&mut self.trouble.lock().expect("no holder panics"), trouble)
    }

    fn lock_open(&self) -> MutexGuard<'_, BTreeMap<RecordingId, Arc<Mutex<Recording>>>> {
        self.open.lock().expect("no holder panics")
    }

    fn lock_waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no holder panics")
    }
}

impl Store {
    async fn on_disk<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Inner) -> Result<T, PluginError> + Send + 'static,
    ) -> Result<T, PluginError> {
        let inner = self.0.clone();
        on_disk(move || act(&inner)).await
    }

    /// Does something with a recording, which is read from the disk or, where it is not, from the objects.
    async fn view<T: Send + 'static>(
        &self,
        id: &RecordingId,
        act: impl FnOnce(&View) -> Result<T, PluginError> + Send + 'static,
    ) -> Result<T, PluginError> {
        let folder = self.0.spool.of(id)?;
        let local = on_disk(move || match View::open(&folder)? {
            Some(view) => act(&view).map(Ok),
            None => Ok(Err(act)),
        });
        match local.await? {
            Ok(done) => Ok(done),
            Err(act) => {
                let view = self.fetched(id).await?;
                on_disk(move || act(&view)).await
            }
        }
    }

    async fn fetched(&self, id: &RecordingId) -> Result<Arc<View>, PluginError> {
        let known = |fetched: &Mutex<Vec<(RecordingId, Arc<View>)>>| {
            let fetched = fetched.lock().expect("no holder panics");
            fetched.iter().find(|(known, _)| known == id).map(|(_, view)| view.clone())
        };
        if let Some(view) = known(&self.0.fetched) {
            return Ok(view);
        }
        let fetched = self.0.backend.fetch(id).await?;
        let Fetched { meta, summary, restrictions, records } =
            fetched.ok_or_else(|| PluginError::new(ErrorClass::NotFound, "there is no such recording"))?;
        let view = Arc::new(View { meta, summary, restrictions, index: Index::in_memory(records) });
        let mut fetched = self.0.fetched.lock().expect("no holder panics");
        if fetched.len() >= FETCHED_MAX {
            fetched.remove(0);
        }
        fetched.push((id.clone(), view.clone()));
        Ok(view)
    }

    /// The entry that a record is of, from the spool or from its object.
    async fn entry(&self, id: &RecordingId, record: Record, len: u64) -> Result<Bytes, PluginError> {
        let folder = self.0.spool.of(id)?;
        let local = on_disk(move || Ok(block::read(&folder, record.block, record.at, len)?)).await;
        match local {
            Ok(Some(bytes)) => Ok(bytes),
            _ => self.0.backend.range(&backend::data_path(id, record.block), record.at.into(), len).await,
        }
    }
}

impl Plugin for Store {
    const NAME: &'static str = "store";
    const SUMMARY: &'static str = "recordings that prove themselves, on the local disk or in S3, with retention";
    const STABILITY: Stability = Stability::Beta;
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        let spool = Arc::new(Spool::new(config.spool(), config.spool_bytes_max));
        let backend = Backend::new(config.clone());
        Ok(Self(Arc::new(Inner {
            config,
            spool,
            backend,
            open: Mutex::default(),
            fetched: Mutex::default(),
            waiting: Mutex::default(),
            parcels: Notify::new(),
            idle: Notify::new(),
            way: tokio::sync::Mutex::default(),
            chores: Mutex::default(),
            trouble: Mutex::default(),
            courier: Mutex::default(),
        })))
    }
}

#[async_trait]
impl Lifecycle for Store {
    async fn probe(&self) -> Result<(), PluginError> {
        self.on_disk(|inner| {
            let there = inner.config.nearest();
            let facts = std::fs::metadata(there)?;
            if !facts.is_dir() || facts.permissions().readonly() {
                return Err(PluginError::new(
                    ErrorClass::Denied,
                    format!("{} is no folder to write in", there.display()),
                ));
            }
            Ok(())
        })
        .await?;
        if self.0.config.is_local() { Ok(()) } else { self.0.backend.probe().await }
    }

    async fn start(&self) -> Result<(), PluginError> {
        self.on_disk(Inner::begin).await?;
        let mut courier = self.0.courier.lock().expect("no holder panics");
        if courier.is_none() {
            *courier = Some(tokio::spawn(courier::run(self.0.clone())));
        }
        Ok(())
    }

    fn health(&self) -> Health {
        match &*self.0.trouble.lock().expect("no holder panics") {
            None => Health::Ok,
            Some(why) => Health::Degraded { why: format!("{} bytes wait in the spool: {why}", self.0.spool.used()) },
        }
    }

    /// What waits is taken to the backend as far as there is time; the rest at the next start.
    async fn stop(&self, deadline: Duration) -> Result<(), PluginError> {
        let closed = self.on_disk(Inner::end).await;
        let courier = self.0.courier.lock().expect("no holder panics").take();
        if let Some(courier) = courier {
            let idle = async {
                loop {
                    let idle = self.0.idle.notified();
                    if self.0.lock_waiting().is_over() {
                        return;
                    }
                    let _ = tokio::time::timeout(Duration::from_millis(20), idle).await;
                }
            };
            let _ = tokio::time::timeout(deadline.mul_f32(0.75), idle).await;
            courier.abort();
            let _ = courier.await;
        }
        closed
    }
}

#[async_trait]
impl ArchiveBackend for Store {
    fn capabilities(&self) -> Capabilities {
        Capabilities { read: true, list: true, index: true, restrict: true }
    }

    async fn open(&self, meta: &StreamMeta) -> Result<RecordingId, PluginError> {
        let meta = meta.clone();
        self.on_disk(move |inner| inner.open(&meta)).await
    }

    async fn put(&self, recording: &RecordingId, item: &Item) -> Result<Receipt, PluginError> {
        let (recording, item) = (recording.clone(), item.clone());
        self.on_disk(move |inner| inner.put(&recording, &item)).await
    }

    async fn finalize(&self, recording: &RecordingId, manifest: &Manifest) -> Result<Published, PluginError> {
        let (recording, manifest) = (recording.clone(), manifest.clone());
        self.on_disk(move |inner| inner.finalize(&recording, &manifest)).await?;
        Ok(Published::default())
    }

    async fn read(&self, recording: &RecordingId, seq: Seq) -> Result<Segment, PluginError> {
        let record = self.view(recording, move |view| view.find_shown(seq)).await?;
        let bytes = self.entry(recording, record, record.entry_len()).await?;
        let entry = entry::read(&bytes).filter(|entry| entry.whole && entry.head.seq == seq.0);
        let Entry { header, encoded, payload, .. } =
            entry.ok_or_else(|| PluginError::new(ErrorClass::Internal, format!("segment {} is damaged", seq.0)))?;
        Ok(Segment { header: Arc::new(header), encoded, payload })
    }

    async fn list(&self) -> Result<Vec<Listed>, PluginError> {
        let mut all = self.on_disk(Inner::list_local).await?;
        // A courier takes in what only the backend has; without one this is a look at somebody else's recordings.
        if self.0.courier.lock().expect("no holder panics").is_none() {
            for id in self.0.backend.recordings().await? {
                if all.iter().any(|known| known.id == id) || self.0.spool.of(&id).is_err() {
                    continue;
                }
                if let Some((meta, summary)) = self.0.backend.listed(&id).await? {
                    all.push(Listed { id, meta, manifest: summary.manifest });
                }
            }
        }
        all.sort_by_key(|it| std::cmp::Reverse(it.meta.epoch));
        all.truncate(LISTED_MAX);
        Ok(all)
    }

    async fn index(&self, recording: &RecordingId, from: Seq, max: usize) -> Result<Vec<Line>, PluginError> {
        self.view(recording, move |view| view.lines(from, max)).await
    }

    async fn header(&self, recording: &RecordingId, seq: Seq) -> Result<Bytes, PluginError> {
        let record = self.view(recording, move |view| view.find(seq)).await?;
        let len = (entry::HEAD_BYTES + record.header_len as usize) as u64;
        let bytes = self.entry(recording, record, len).await?;
        let damaged = || PluginError::new(ErrorClass::Internal, format!("the header of segment {} is damaged", seq.0));
        let head = bytes.first_chunk().and_then(entry::Head::decode).ok_or_else(damaged)?;
        let encoded = bytes.slice(entry::HEAD_BYTES..);
        head.header(&encoded).filter(|header| header.core.seq == seq).ok_or_else(damaged)?;
        Ok(encoded)
    }

    async fn init(&self, recording: &RecordingId, id: InitId) -> Result<Bytes, PluginError> {
        let folder = self.0.spool.of(recording)?;
        let local = on_disk(move || Ok(document::read_bytes(&init_path(&folder, id))?)).await?;
        let found = match local {
            Some(bytes) => Some(Bytes::from(bytes)),
            None => self.0.backend.init(recording, id).await?,
        };
        let found = found.ok_or_else(|| PluginError::new(ErrorClass::NotFound, "no such init is kept"))?;
        if InitId::of(&found) != id {
            return Err(PluginError::new(ErrorClass::Internal, "the init is damaged"));
        }
        Ok(found)
    }

    async fn restrict(&self, recording: &RecordingId, restriction: &Restriction) -> Result<(), PluginError> {
        let (recording, restriction) = (recording.clone(), restriction.clone());
        self.on_disk(move |inner| inner.restrict(&recording, &restriction)).await
    }
}
