//! The layers around archives, towards those that keep (reading back is [`Shelf`](super::shelf::Shelf)): a queue in memory, timeout, retry, in order. What a slow archive cannot take is missing in its
//! recording, and named in the manifest; viewers notice nothing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use peerstream_protocol::header::Flags;
use peerstream_traits::archive::{
    Capabilities, Header, Init, InitId, Item, RecordingId, RestrictMode, Restriction, Segment, Seq, SharedArchive,
    StreamMeta,
};
use peerstream_traits::{ErrorClass, PluginError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::call::{AbortOnDrop, Backoff, call, call_now};
use super::coverage::Coverage;
use super::options::{self, WhenFull, ms};
use super::queue::Queue;
use super::shelf::ReadingDesk;
use super::supervisor::Supervisor;
use super::timeline::Timeline;

/// What an item costs beside its bytes.
const ITEM_BYTES: usize = 256;

/// All archives; cheap to clone.
#[derive(Clone, Default)]
pub struct Archives(Arc<[Arc<Layer>]>);

/// One archive with its layers. For each segment: `offered` = `kept` + `dropped` + what waits.
pub(crate) struct Layer {
    plugin: SharedArchive,
    queue: Queue<Entry>,
    options: options::Archive,
    pub(crate) supervisor: Supervisor,
    state: Mutex<LayerState>,
    desk: ReadingDesk,
}

#[derive(Default)]
struct LayerState {
    /// The recording under way or last made.
    recording: Option<RecordingId>,
    timeline: Timeline,
    /// An init for which there was no room yet: it goes before the next segment.
    init: Option<Item>,
}

enum Entry {
    Begin { meta: Box<StreamMeta>, goes_on: bool },
    Item(Item),
    End { ended: bool, told: Option<oneshot::Sender<()>> },
}

impl Archives {
    pub(crate) fn new(layers: Vec<Arc<Layer>>) -> Self {
        Self(layers.into())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A broadcast begins. Never waits, like all that follows.
    pub fn begin(&self, meta: &StreamMeta) {
        self.0.iter().for_each(|layer| layer.begin(meta.clone(), Timeline::default(), false));
    }

    /// A broadcast goes on that was cut short; `began_us` is the source's clock at its beginning.
    pub(crate) fn go_on(&self, meta: &StreamMeta, began_us: Option<u64>) {
        self.0.iter().for_each(|layer| layer.begin(meta.clone(), Timeline::since(began_us), true));
    }

    /// The codec header of the segments that follow.
    pub fn init(&self, init: &Init) {
        if self.is_empty() {
            return;
        }
        let encoded = init.encode();
        let item = Item::Init { id: InitId::of(&encoded), encoded: encoded.into() };
        self.0.iter().for_each(|layer| layer.init(item.clone()));
    }

    /// A segment that was just signed.
    pub fn segment(&self, header: &Header, payload: &Bytes) {
        if self.is_empty() {
            return;
        }
        let encoded = header.encode().into();
        let segment = Segment { header: Arc::new(header.clone()), encoded, payload: payload.clone() };
        self.0.iter().for_each(|layer| layer.segment(segment.clone()));
    }

    /// The broadcast is over, or pauses. Returns when all archives have finished their recordings, or could not in their time.
    pub async fn end(&self, ended: bool) {
        let waits = self.0.iter().map(|layer| layer.end(ended));
        futures_util::future::join_all(waits).await;
    }

    /// Withholds a part of the present recording in every archive, by seconds since the start of the broadcast; gives
    /// the numbers of its segments. Fails when one archive cannot, after all were told.
    pub async fn hide(&self, from_s: f64, to_s: f64, mode: RestrictMode) -> Result<(Seq, Seq), PluginError> {
        let not_there = || PluginError::new(ErrorClass::NotFound, "there is no archive");
        let (mut hidden, mut failed) = (None::<(Seq, Seq)>, None);
        for layer in self.0.iter() {
            match layer.hide(from_s, to_s, mode).await {
                Ok((first, end)) => {
                    hidden = Some(hidden.map_or((first, end), |(a, b)| (a.min(first), b.max(end))));
                }
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or_else(|| hidden.ok_or_else(not_there), Err)
    }

    /// Gives a part of the present recording out again in every archive.
    pub async fn show(&self, first: Seq, end: Seq) -> Result<(), PluginError> {
        let mut failed = None;
        for layer in self.0.iter() {
            let Some(recording) = layer.recording() else { continue };
            let restriction = Restriction { first, end, mode: RestrictMode::Show };
            failed = layer.restrict(&recording, &restriction).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }
}

impl Layer {
    pub(crate) fn new(plugin: SharedArchive, options: options::Archive, supervisor: Supervisor) -> Self {
        let queue = Queue::new(options.items_max, options.bytes_max, WhenFull::DropNewest);
        Self { plugin, queue, options, supervisor, state: Mutex::default(), desk: ReadingDesk::default() }
    }

    fn begin(&self, meta: StreamMeta, timeline: Timeline, goes_on: bool) {
        *self.state() = LayerState { timeline, ..LayerState::default() };
        self.push(Entry::Begin { meta: Box::new(meta), goes_on }, ITEM_BYTES);
    }

    fn init(&self, item: Item) {
        // Replaces one that is still waiting: no segment has needed that.
        self.state().init = Some(item);
    }

    fn segment(&self, segment: Segment) {
        let status = &self.supervisor.status;
        let (seq, wall_us) = (segment.header.core.seq, segment.header.core.wall_us);
        status.add("offered", "", 1);
        self.state().timeline.add(seq, wall_us);
        if !self.push_init() || !self.push_item(Item::Segment(segment)) {
            status.add("dropped", "queue-full", 1);
        }
    }

    /// The init goes before the first segment that needs it, or that segment does not go either.
    fn push_init(&self) -> bool {
        let init = self.state().init.take();
        let Some(init) = init else { return true };
        let fits = self.push_item(init.clone());
        if !fits {
            self.state().init = Some(init);
        }
        fits
    }

    fn push_item(&self, item: Item) -> bool {
        let bytes = ITEM_BYTES
            + match &item {
                Item::Init { encoded, .. } => encoded.len(),
                Item::Segment(segment) => segment.encoded.len() + segment.payload.len(),
            };
        self.push(Entry::Item(item), bytes)
    }

    fn push(&self, entry: Entry, bytes: usize) -> bool {
        self.queue.push(entry, bytes).is_empty()
    }

    async fn end(&self, ended: bool) {
        let (told, done) = oneshot::channel();
        let mut entry = Some(Entry::End { ended, told: Some(told) });
        let finished = async {
            // The end must come in; there is room as soon as the archive has taken one item.
            while let Some(end) = entry.take() {
                entry = self.queue.push(end, 0).pop();
                if entry.is_some() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            let _ = done.await;
        };
        let _ = tokio::time::timeout(self.supervisor.stop_timeout(), finished).await;
    }

    /// Keeps what comes until the queue is closed and empty, or the archive may not be used any more.
    pub(crate) async fn run(self: Arc<Self>) {
        if !self.supervisor.status.until_usable().await {
            return self.give_up();
        }
        let mut recorder = Recorder { layer: &self, recording: None, coverage: Coverage::default() };
        while let Some(entries) = self.queue.batch(1, Duration::ZERO).await {
            for entry in entries {
                recorder.take(entry).await;
            }
            if !self.supervisor.status.is_usable() {
                return self.give_up();
            }
        }
        recorder.finish(false).await;
    }

    /// What it has not kept by now is lost.
    fn give_up(&self) {
        drop(self.queue.clear());
        let status = &self.supervisor.status;
        let settled = status.total("kept") + status.total("dropped");
        status.add("dropped", "stopped", status.total("offered").saturating_sub(settled));
    }

    /// Lets it keep what waits, by this time at most, and ends it.
    pub(crate) async fn stop(&self, worker: JoinHandle<()>) {
        let by = Instant::now() + self.supervisor.stop_timeout();
        self.queue.close();
        let mut worker = AbortOnDrop(worker);
        let drain_by = by - self.supervisor.stop_timeout() / 4;
        let usable = self.supervisor.status.is_usable();
        if !usable || tokio::time::timeout_at(drain_by, &mut worker.0).await.is_err() {
            worker.0.abort();
            let _ = (&mut worker.0).await;
            self.give_up();
        }
        self.supervisor.stop(by).await;
    }

    async fn hide(&self, from_s: f64, to_s: f64, mode: RestrictMode) -> Result<(Seq, Seq), PluginError> {
        if !self.capabilities().restrict {
            return Err(PluginError::unsupported("withholding parts of a recording"));
        }
        let (recording, range) = {
            let state = self.state();
            (state.recording.clone(), state.timeline.range(from_s, to_s))
        };
        let (Some(recording), Some((first, end))) = (recording, range) else {
            return Err(PluginError::new(ErrorClass::NotFound, "there is no recording yet"));
        };
        self.restrict(&recording, &Restriction { first, end, mode }).await?;
        Ok((first, end))
    }

    /// The recording under way or last made.
    pub(crate) fn recording(&self) -> Option<RecordingId> {
        self.state().recording.clone()
    }

    /// What it can do; nothing when it says so no more.
    pub(crate) fn capabilities(&self) -> Capabilities {
        call_now(|| self.plugin.capabilities()).unwrap_or_default()
    }

    /// A question that changes nothing: asked once, as whoever asks can ask again.
    pub(crate) async fn ask<T, F>(&self, make: impl FnOnce(SharedArchive) -> F) -> Result<T, PluginError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, PluginError>> + Send + 'static,
    {
        let status = &self.supervisor.status;
        if !status.is_usable() {
            return Err(PluginError::unavailable("the archive is not at work"));
        }
        let Some(_seat) = self.desk.take_seat().await else {
            status.add("reads-refused", "", 1);
            let error = PluginError::new(ErrorClass::RateLimited, "too many wait for the archive");
            return Err(error.retry_after(Duration::from_secs(1)));
        };
        let result = call(ms(self.options.timeout_ms), make(self.plugin.clone())).await;
        status.add("reads", "", 1);
        if let Err(error) = &result
            && (error.class.is_temporary() || matches!(error.class, ErrorClass::Internal | ErrorClass::Panicked))
        {
            self.supervisor.blame(error);
        }
        result
    }

    /// Withholds a part of a recording or gives it out again.
    pub(crate) async fn restrict(&self, recording: &RecordingId, restriction: &Restriction) -> Result<(), PluginError> {
        self.retrying("restricted", |plugin| {
            let (recording, restriction) = (recording.clone(), restriction.clone());
            async move { plugin.restrict(&recording, &restriction).await }
        })
        .await
    }

    /// A call again and again, while it fails for the time being and calls are left.
    async fn retrying<T, F>(&self, counter: &'static str, make: impl Fn(SharedArchive) -> F) -> Result<T, PluginError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, PluginError>> + Send + 'static,
    {
        let mut backoff = Backoff::new(&self.options.retry);
        loop {
            let error = match call(ms(self.options.timeout_ms), make(self.plugin.clone())).await {
                Ok(value) => {
                    self.supervisor.praise();
                    self.supervisor.status.add(counter, "", 1);
                    return Ok(value);
                }
                Err(error) => error,
            };
            self.supervisor.blame(&error);
            match backoff.pause(&error).filter(|_| error.class.is_temporary()) {
                Some(pause) => {
                    self.supervisor.status.add("retries", "", 1);
                    tokio::time::sleep(pause).await;
                }
                None => return Err(error),
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, LayerState> {
        self.state.lock().expect("no holder panics")
    }
}

/// Takes entries one after the other.
struct Recorder<'a> {
    layer: &'a Layer,
    recording: Option<RecordingId>,
    coverage: Coverage,
}

impl Recorder<'_> {
    async fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Begin { meta, goes_on } => {
                self.begin(*meta).await;
                if goes_on {
                    self.go_on().await;
                }
            }
            Entry::Item(item) => self.keep(item).await,
            Entry::End { ended, told } => {
                self.finish(ended).await;
                told.map(|told| told.send(()));
            }
        }
    }

    /// Tries for as long as it takes: an archive that is away comes back, and until then the queue says what is lost.
    async fn begin(&mut self, meta: StreamMeta) {
        self.finish(false).await;
        self.coverage = Coverage::default();
        let options = &self.layer.options.lifecycle;
        let mut backoff = Backoff::endless(options.restart_first_ms, options.restart_max_ms);
        while self.layer.supervisor.status.is_usable() {
            let (plugin, meta) = (self.layer.plugin.clone(), meta.clone());
            match call(ms(self.layer.options.timeout_ms), async move { plugin.open(&meta).await }).await {
                Ok(recording) => {
                    self.layer.state().recording = Some(recording.clone());
                    self.recording = Some(recording);
                    return;
                }
                Err(error) => {
                    self.layer.supervisor.blame(&error);
                    let pause = backoff.pause(&error).unwrap_or(ms(options.restart_max_ms));
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// What the recording holds already, if the archive can tell: it is not missing.
    async fn go_on(&mut self) {
        let Some(recording) = self.recording.clone().filter(|_| self.layer.capabilities().list) else { return };
        match self.layer.ask(|plugin| async move { plugin.list().await }).await {
            Ok(all) => {
                let held = all.into_iter().find(|it| it.id == recording);
                self.coverage = held.map(|held| Coverage::of(held.manifest)).unwrap_or_default();
            }
            Err(error) => self.layer.supervisor.blame(&error),
        }
    }

    async fn keep(&mut self, item: Item) {
        let seq = match &item {
            Item::Segment(segment) => Some(segment.header.core.seq),
            Item::Init { .. } => None,
        };
        if let Item::Segment(segment) = &item
            && segment.header.core.flags.has(Flags::RESUMED)
        {
            self.coverage.resumed(segment.header.core.seq);
        }
        let counter = if seq.is_some() { "kept" } else { "inits" };
        let result = match self.recording.clone() {
            Some(recording) => {
                let item = Arc::new(item);
                let put = |plugin: SharedArchive| {
                    let (recording, item) = (recording.clone(), item.clone());
                    async move { plugin.put(&recording, &item).await }
                };
                self.layer.retrying(counter, put).await.map(|_| ())
            }
            None => Err(PluginError::unavailable("there is no recording")),
        };
        match (seq, result) {
            (Some(seq), Ok(())) => self.coverage.kept(seq),
            (Some(seq), Err(error)) => {
                self.layer.supervisor.status.add("dropped", error.class.word(), 1);
                self.coverage.lost(seq);
            }
            (None, _) => {}
        }
    }

    async fn finish(&mut self, ended: bool) {
        let Some(recording) = self.recording.take() else { return };
        if let Some((first, end)) = self.layer.state().timeline.span() {
            self.coverage.produced(first, end);
        }
        if ended {
            self.coverage.end();
        }
        let manifest = self.coverage.manifest();
        let finalize = |plugin: SharedArchive| {
            let (recording, manifest) = (recording.clone(), manifest.clone());
            async move { plugin.finalize(&recording, &manifest).await }
        };
        let _ = self.layer.retrying("finalized", finalize).await;
    }
}
