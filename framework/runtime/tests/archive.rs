//! The layers around archives that are slow, away, or refuse.

mod common;

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use peerstream::plugins::shelf::READS_WAITING_MAX;
use peerstream::plugins::{Running, State, options};
use peerstream::protocol::crypto::{PublicKey, SecretKey};
use peerstream::protocol::header::{Context, Core, Flags};
use peerstream::protocol::id::{Epoch, Rendition};
use peerstream::protocol::segment::{Init, InitId, Kind, PieceSize};
use peerstream::traits::archive::{
    ArchiveBackend, Capabilities, Header, Item, Line, Manifest, Published, Receipt, Recording, RecordingId,
    RestrictMode, Restriction, Seq, StreamMeta,
};
use peerstream::traits::{ErrorClass, Lifecycle, PluginError};

use common::{counted, instance, none, shown};

/// An archive in memory.
#[derive(Default)]
struct Fake {
    takes: Duration,
    readable: bool,
    failing_opens: u32,
    /// What a put of this number says first, so many times.
    refuses: Option<(u64, ErrorClass, u32)>,
    refused: AtomicU32,
    opens: AtomicU32,
    kept: Mutex<Vec<String>>,
    manifests: Mutex<Vec<Manifest>>,
    restrictions: Mutex<Vec<Restriction>>,
}

impl Lifecycle for Fake {}

#[async_trait]
impl ArchiveBackend for Fake {
    fn capabilities(&self) -> Capabilities {
        Capabilities { restrict: true, read: self.readable, list: self.readable, index: self.readable }
    }

    async fn open(&self, meta: &StreamMeta) -> Result<RecordingId, PluginError> {
        if self.opens.fetch_add(1, Relaxed) < self.failing_opens {
            return Err(PluginError::new(ErrorClass::Denied, "not yet"));
        }
        Ok(RecordingId(meta.epoch.0.to_string()))
    }

    async fn put(&self, _: &RecordingId, item: &Item) -> Result<Receipt, PluginError> {
        tokio::time::sleep(self.takes).await;
        let name = match item {
            Item::Init { encoded, .. } => Init::decode(encoded).unwrap().mime,
            Item::Segment(segment) => segment.header.core.seq.0.to_string(),
        };
        if let Some((seq, class, times)) = self.refuses
            && name == seq.to_string()
            && self.refused.fetch_add(1, Relaxed) < times
        {
            return Err(PluginError::new(class, "no"));
        }
        self.kept.lock().unwrap().push(name);
        Ok(Receipt::Kept)
    }

    async fn finalize(&self, _: &RecordingId, manifest: &Manifest) -> Result<Published, PluginError> {
        self.manifests.lock().unwrap().push(manifest.clone());
        Ok(Published::default())
    }

    async fn list(&self) -> Result<Vec<Recording>, PluginError> {
        let manifest = Manifest { first: Seq(0), end: Seq(9), gaps: vec![], ended: false, resumed: vec![] };
        Ok(vec![Recording { id: RecordingId(meta().epoch.0.to_string()), meta: meta(), manifest }])
    }

    async fn index(&self, _: &RecordingId, from: Seq, max: usize) -> Result<Vec<Line>, PluginError> {
        tokio::time::sleep(self.takes).await;
        Ok((from.0..9).take(max).map(|seq| Line::of(&header(seq), false)).collect())
    }

    async fn restrict(&self, _: &RecordingId, restriction: &Restriction) -> Result<(), PluginError> {
        self.restrictions.lock().unwrap().push(restriction.clone());
        Ok(())
    }
}

impl Fake {
    fn readable(takes: Duration) -> Self {
        Self { readable: true, takes, ..Self::default() }
    }

    fn manifest(&self) -> Manifest {
        let manifests = self.manifests.lock().unwrap();
        assert_eq!(manifests.len(), 1, "{manifests:?}");
        manifests[0].clone()
    }
}

fn meta() -> StreamMeta {
    StreamMeta { stream: "ab".into(), epoch: Epoch(5), kind: Kind::Data, cert: String::new(), title: None }
}

fn header(seq: u64) -> Header {
    let context = Context { stream: PublicKey([0; 32]), epoch: Epoch(5), rendition: Rendition(0) };
    let core = Core {
        seq: Seq(seq),
        kind: Kind::Data,
        flags: Flags::default(),
        pts_us: 0,
        duration_us: 0,
        wall_us: 1_000_000 * seq,
        init: InitId::NONE,
        payload_len: 100,
        piece_size: PieceSize::Kib16,
        prev: [0; 32],
    };
    Header::sign(&SecretKey::from_seed(&[1; 32]), &context, core, vec![]).0
}

async fn run(fake: &Arc<Fake>, options: options::Archive) -> Running {
    let mut plugins = none();
    plugins.archives.push(instance("fs", fake.clone() as _, options));
    let running = plugins.start().await.unwrap();
    running.archives().begin(&meta());
    running.archives().init(&Init { mime: "one".into(), title: String::new(), bytes: vec![] });
    running
}

fn offer(running: &Running, seqs: std::ops::Range<u64>) {
    let payload = Bytes::from(vec![0; 100]);
    seqs.for_each(|seq| running.archives().segment(&header(seq), &payload));
}

#[track_caller]
fn check_accounts(running: &Running) {
    let all = shown(running.statuses(), "fs").counters;
    let of = |name: &str| {
        let named = |key: &str| key.split('.').next() == Some(name);
        all.iter().filter(|(key, _)| named(key)).map(|(_, count)| count).sum::<u64>()
    };
    assert_eq!(of("offered"), of("kept") + of("dropped"), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn segments_are_kept_in_order_behind_their_init_and_the_manifest_says_so() {
    let fake = Arc::new(Fake::default());
    let running = run(&fake, options::Archive::default()).await;
    offer(&running, 0..3);
    running.archives().init(&Init { mime: "two".into(), title: String::new(), bytes: vec![] });
    offer(&running, 3..5);
    running.archives().end(true).await;
    assert_eq!(*fake.kept.lock().unwrap(), ["one", "0", "1", "2", "two", "3", "4"]);
    assert_eq!(fake.manifest(), Manifest { first: Seq(0), end: Seq(5), gaps: vec![], ended: true, resumed: vec![] });
    running.stop().await;
    assert_eq!(fake.manifests.lock().unwrap().len(), 1);
    check_accounts(&running);
}

#[tokio::test(start_paused = true)]
async fn what_a_slow_archive_cannot_take_is_a_gap_and_costs_nobody_time() {
    let fake = Arc::new(Fake { takes: Duration::from_millis(100), ..Fake::default() });
    let running = run(&fake, options::Archive { items_max: 10, ..options::Archive::default() }).await;
    let began = tokio::time::Instant::now();
    offer(&running, 0..100);
    assert_eq!(began.elapsed(), Duration::ZERO);
    tokio::time::sleep(Duration::from_secs(5)).await;
    offer(&running, 100..103);
    running.archives().end(true).await;
    let dropped = counted(running.statuses(), "fs", "dropped.queue-full");
    let manifest = fake.manifest();
    assert!(dropped > 80);
    assert_eq!((manifest.first, manifest.end), (Seq(0), Seq(103)));
    assert_eq!(manifest.gaps.iter().map(|(from, to)| to.0 - from.0).sum::<u64>(), dropped);
    check_accounts(&running);
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_at_the_very_end_is_a_gap_too() {
    let fake = Arc::new(Fake { takes: Duration::from_millis(100), ..Fake::default() });
    let running = run(&fake, options::Archive { items_max: 4, ..options::Archive::default() }).await;
    offer(&running, 7..50);
    running.archives().end(false).await;
    let manifest = fake.manifest();
    assert_eq!((manifest.first, manifest.end, manifest.ended), (Seq(7), Seq(50), false));
    assert_eq!(manifest.gaps.last().unwrap().1, Seq(50));
}

#[tokio::test(start_paused = true)]
async fn an_archive_that_is_away_at_first_is_waited_for() {
    let fake = Arc::new(Fake { failing_opens: 5, ..Fake::default() });
    let running = run(&fake, options::Archive::default()).await;
    offer(&running, 0..10);
    tokio::time::sleep(Duration::from_secs(120)).await;
    running.archives().end(true).await;
    assert_eq!(fake.manifest().gaps, []);
    assert_eq!(fake.kept.lock().unwrap().len(), 11);
}

#[tokio::test(start_paused = true)]
async fn a_failure_for_the_time_being_costs_nothing_and_one_for_good_its_segment() {
    for (class, gaps) in [(ErrorClass::Unavailable, vec![]), (ErrorClass::Conflict, vec![(Seq(3), Seq(4))])] {
        let fake = Arc::new(Fake { refuses: Some((3, class, 4)), ..Fake::default() });
        let running = run(&fake, options::Archive::default()).await;
        offer(&running, 0..6);
        running.archives().end(true).await;
        assert_eq!(fake.manifest().gaps, gaps, "{class:?}");
        check_accounts(&running);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hung_archive_does_not_hold_up_the_end() {
    let fake = Arc::new(Fake { takes: Duration::from_secs(1_000_000), ..Fake::default() });
    let running = run(&fake, options::Archive::default()).await;
    offer(&running, 0..6);
    let began = tokio::time::Instant::now();
    running.archives().end(true).await;
    running.stop().await;
    assert!(began.elapsed() <= Duration::from_secs(31), "{:?}", began.elapsed());
    check_accounts(&running);
    assert_eq!(shown(running.statuses(), "fs").state, State::Stopped);
}

#[tokio::test(start_paused = true)]
async fn seconds_are_withheld_by_the_numbers_of_their_segments() {
    let fake = Arc::new(Fake::default());
    let running = run(&fake, options::Archive::default()).await;
    let hide = || running.archives().hide(10.0, 20.0, RestrictMode::Hide);
    assert_eq!(hide().await.unwrap_err().class, ErrorClass::NotFound);
    offer(&running, 0..60);
    tokio::time::sleep(Duration::from_secs(1)).await;
    hide().await.unwrap();
    let restriction = fake.restrictions.lock().unwrap()[0].clone();
    assert!((Seq(8)..=Seq(10)).contains(&restriction.first), "{restriction:?}");
    assert!((Seq(21)..=Seq(23)).contains(&restriction.end), "{restriction:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_archive_that_can_is_read_and_all_that_keep_the_broadcast_withhold() {
    let (blind, seeing, other) = (Fake::default(), Fake::readable(Duration::ZERO), Fake::readable(Duration::ZERO));
    let fakes = [blind, seeing, other].map(Arc::new);
    let mut plugins = none();
    for (name, fake) in ["a", "b", "c"].into_iter().zip(&fakes) {
        plugins.archives.push(instance(name, fake.clone() as _, options::Archive::default()));
    }
    let running = plugins.start().await.unwrap();
    let shelf = running.shelf();
    let recording = shelf.recordings().await.unwrap().remove(0).id;
    let lines = shelf.index(&recording, Seq(3), 2).await.unwrap();
    assert_eq!(lines.iter().map(|line| line.seq.0).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(counted(running.statuses(), "b", "reads"), 2);
    let restriction = Restriction { first: Seq(1), end: Seq(2), mode: RestrictMode::Hide };
    shelf.restrict(&recording, &restriction).await.unwrap();
    for fake in &fakes {
        assert_eq!(*fake.restrictions.lock().unwrap(), std::slice::from_ref(&restriction));
    }
    let nobody = shelf.restrict(&RecordingId("x".into()), &restriction).await;
    assert_eq!(nobody.unwrap_err().class, ErrorClass::NotFound);
}

#[tokio::test(start_paused = true)]
async fn questions_beyond_the_bound_are_refused_and_counted_and_a_hung_archive_is_given_up() {
    let fake = Arc::new(Fake::readable(Duration::from_secs(1_000_000)));
    let running = run(&fake, options::Archive { timeout_ms: 100, ..options::Archive::default() }).await;
    let recording = RecordingId("5".into());
    let asked = (0..READS_WAITING_MAX + 5).map(|_| running.shelf().index(&recording, Seq(0), 1));
    let answers = futures_util::future::join_all(asked).await;
    let of = |class| answers.iter().filter(|answer| answer.as_ref().is_err_and(|it| it.class == class)).count();
    assert_eq!((of(ErrorClass::RateLimited), of(ErrorClass::Timeout)), (5, READS_WAITING_MAX));
    assert_eq!(counted(running.statuses(), "fs", "reads-refused"), 5);
}

#[tokio::test]
async fn without_an_archive_that_can_nothing_is_read() {
    let running = none().start().await.unwrap();
    assert!(running.shelf().is_empty());
    assert_eq!(running.shelf().recordings().await.unwrap_err().class, ErrorClass::Unsupported);
}
