//! What a broadcast hands to its plug-ins.

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use peerstream::broadcast::State;
use peerstream::control::Endpoint;
use peerstream::peer;
use peerstream::plugins::options;
use peerstream::protocol::cert::EpochCert;
use peerstream::protocol::crypto::SecretKey;
use peerstream::protocol::crypto::{Strict, hash};
use peerstream::protocol::header::{Context, Flags};
use peerstream::protocol::id::{Rendition, Seq};
use peerstream::takedown::{Rules, Setup};
use peerstream::traits::archive::{
    ArchiveBackend, Capabilities, Item, Manifest, Published, Receipt, RecordingId, Segment, StreamMeta,
};
use peerstream::traits::compliance::{Action, Case, ComplianceHandler, Decision, Evidence, Notice, Profile};
use peerstream::traits::telemetry::What;
use peerstream::traits::{Lifecycle, PluginError};
use peerstream_casebook_sqlite::Sqlite;

use common::stage::{NoTransport, Units, broadcast};
use common::{Fake, instance, none};

/// Keeps all in memory.
#[derive(Default)]
struct Tape {
    meta: Mutex<Option<StreamMeta>>,
    inits: Mutex<usize>,
    segments: Mutex<Vec<Segment>>,
    manifests: Mutex<Vec<Manifest>>,
}

impl Lifecycle for Tape {}

#[async_trait]
impl ArchiveBackend for Tape {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn open(&self, meta: &StreamMeta) -> Result<RecordingId, PluginError> {
        *self.meta.lock().unwrap() = Some(meta.clone());
        Ok(RecordingId("one".into()))
    }

    async fn put(&self, _: &RecordingId, item: &Item) -> Result<Receipt, PluginError> {
        match item {
            Item::Init { .. } => *self.inits.lock().unwrap() += 1,
            Item::Segment(segment) => self.segments.lock().unwrap().push(segment.clone()),
        }
        Ok(Receipt::Kept)
    }

    async fn finalize(&self, _: &RecordingId, manifest: &Manifest) -> Result<Published, PluginError> {
        self.manifests.lock().unwrap().push(manifest.clone());
        Ok(Published::default())
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A recording proves itself: the certificate the key, the key each header, and each header the one before it.
#[track_caller]
fn check_proof(meta: &StreamMeta, segments: &[Segment]) {
    let cert = EpochCert::decode(&unhex(&meta.cert)).unwrap();
    assert!(cert.is_genuine(&mut Strict::default()) && cert.publisher.to_string() == meta.stream);
    let context = Context { stream: cert.publisher, epoch: meta.epoch, rendition: Rendition(0) };
    let mut prev = [0; 32];
    for segment in segments {
        let core = &segment.header.core;
        assert_eq!((core.prev, segment.encoded.to_vec()), (prev, segment.header.encode()));
        prev = segment.header.verify(&cert.key, &context, &mut Strict::default()).expect("genuine");
        let pieces: Vec<_> = segment.payload.chunks(core.piece_size.bytes()).map(hash).collect();
        assert_eq!(pieces, segment.header.hashes);
    }
}

#[tokio::test]
async fn a_recording_holds_every_segment_from_the_first_to_the_end_with_its_proof() {
    let tape = Arc::new(Tape::default());
    let mut plugins = none();
    plugins.archives.push(instance("tape", tape.clone() as _, options::Archive::default()));
    let (broadcast, running) = broadcast(Units { count: 30, pause: Duration::ZERO, ends: true }, plugins).await;
    broadcast.state().wait_for(|state| *state == State::Ended).await.unwrap();
    while tape.manifests.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    broadcast.stop().await;
    running.stop().await;
    let segments = tape.segments.lock().unwrap();
    let meta = tape.meta.lock().unwrap().clone().unwrap();
    assert_eq!((meta.epoch, meta.title.as_deref(), *tape.inits.lock().unwrap()), (broadcast.epoch(), Some("talk"), 1));
    check_proof(&meta, &segments);
    assert_eq!(segments.len(), 31);
    assert!(segments[30].header.core.flags.has(Flags::END));
    let whole = Manifest { first: Seq(0), end: Seq(31), gaps: vec![], ended: true, resumed: vec![] };
    assert_eq!(*tape.manifests.lock().unwrap(), [whole]);
}

#[tokio::test]
async fn a_sink_hears_figures_reports_and_what_happens_to_nodes() {
    let fake = Arc::new(Fake::default());
    let mut plugins = none();
    plugins.figures_interval_ms = 100;
    let batch = options::Batch { items_max: 1_000, linger_ms: 20 };
    plugins.telemetry.push(instance("sink", fake.clone() as _, options::Telemetry { batch, ..Default::default() }));
    let (broadcast, running) =
        broadcast(Units { count: 10, pause: Duration::from_millis(10), ends: false }, plugins).await;
    let endpoint = Endpoint::InProcess(broadcast.hub().clone());
    let (peer, _deliveries) = peer::spawn(peer::Config::viewer(vec![endpoint], Arc::new(NoTransport)));
    tokio::time::sleep(Duration::from_millis(600)).await;
    peer.leave().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    broadcast.stop().await;
    running.stop().await;

    let (mut figures, mut events, mut reports) = (BTreeMap::new(), Vec::new(), 0);
    for record in fake.written.lock().unwrap().iter() {
        assert!(record.at_us > 1_600_000_000_000_000);
        match &record.what {
            What::Figure(figure) => {
                figures.insert((figure.name.clone(), figure.labels.get("state").cloned()), figure.value);
            }
            What::Event(event) => events.push((event.name.clone(), event.node.clone().unwrap())),
            What::Report(_) => reports += 1,
        }
    }
    let figure = |name: &str| figures[&(name.to_owned(), None)];
    assert_eq!((figure("coordinator_joined"), figure("live")), (1.0, 1.0));
    assert!(figure("source_segments") >= 10.0);
    assert_eq!(figures[&("plugin_state".to_owned(), Some("running".to_owned()))], 1.0);
    let joined = events.iter().find(|(name, _)| name == "joined").expect("it joined");
    assert!(events.contains(&("left".into(), joined.1.clone())), "{events:?}");
    assert!(reports > 2);
}

/// Ends every stream that somebody complains about.
struct Unforgiving;

impl Lifecycle for Unforgiving {}

#[async_trait]
impl ComplianceHandler for Unforgiving {
    async fn assess(&self, _: &Case, _: &Evidence) -> Result<Decision, PluginError> {
        let actions = vec![Action::HideRange { from_ms: 0, to_ms: 5_000 }, Action::NotifyPublisher, Action::StopStream];
        Ok(Decision::Act { actions, note: "it is so".into() })
    }
}

#[tokio::test]
async fn a_complaint_that_is_acted_on_ends_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let mut plugins = none();
    plugins.desk = Some(Setup {
        folder: folder.path().to_owned(),
        casebook: Box::new(Sqlite::in_memory().unwrap()),
        operator: SecretKey::from_seed(&[9; 32]),
        rules: Rules::default(),
        courier: None,
        compare: None,
    });
    plugins.compliance.push(instance("strict", Arc::new(Unforgiving) as _, options::Compliance::default()));
    let (broadcast, running) =
        broadcast(Units { count: 1_000, pause: Duration::from_millis(10), ends: true }, plugins).await;
    broadcast.state().wait_for(|state| *state == State::Live).await.unwrap();
    let desk = running.desk().unwrap();
    let notice = Notice { explanation: "all of it".into(), ..Notice::empty(Profile::HouseRules) };
    let (draft, token) = desk.begin(notice).await.unwrap();
    desk.submit(&draft.id, &token, &broadcast.publisher().to_string(), broadcast.epoch().0).await.unwrap();
    let mut state = broadcast.state();
    let state = state.wait_for(|state| matches!(state, State::TakenDown(_))).await.unwrap().clone();
    assert_eq!((state.word(), state), ("ended", State::TakenDown("case 1".into())));
    let done = loop {
        let done = desk.case(1).await.unwrap().docket.done;
        if done.len() == 3 {
            break done;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    // There is no archive in which anything could be hidden; that is on record, and the rest is done.
    assert!(done[0].error.as_ref().unwrap().contains("there is no archive"), "{done:?}");
    assert!(done[1..].iter().all(|it| it.error.is_none()), "{done:?}");
    assert!(broadcast.snapshot().await.is_err(), "the source has left");
}
