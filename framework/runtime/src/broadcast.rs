//! A broadcast: the source and its coordinator in one process.
//!
//! An ingest produces units, the source's node signs and feeds them, the coordinator next to it gathers the viewers.
//! Viewers' control connections are handed in by the host, which owns the sockets.

use std::sync::Arc;
use std::time::Duration;

use peerstream_coordinator::{self as coordinator, Coordinator};
use peerstream_node as node;
use peerstream_protocol::control::Role;
use peerstream_protocol::crypto::PublicKey;
use peerstream_protocol::id::{Epoch, Seq, Term};
use peerstream_protocol::segment::Kind;
use peerstream_traits::archive::StreamMeta;
use peerstream_traits::ingest::{Billing, BoxedIngest};
use peerstream_traits::ladder::BoxedLadder;
use peerstream_traits::strategy::BoxedStrategy;
use peerstream_traits::telemetry::Figure;
use peerstream_traits::transport::SharedTransport;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::info;

use crate::clock::Clock;
use crate::control::Endpoint;
use crate::enforcement::Enforcement;
use crate::feed::{self, Figures, MoreFigures};
use crate::guarded::Guarded;
use crate::hub::{Connection, Hub, Origin};
use crate::intake::{self, Intake};
pub use crate::intake::{ADVICE_MAX, Health, Input, PAUSE};
use crate::key::{Begun, EpochKey, Publisher};
use crate::logbook::Going;
use crate::output::Reader;
use crate::peer::{self, CAPACITY, Gone, Keepers, Peer, Production};
use crate::plugins::shelf::Shelf;
use crate::plugins::{AbortOnDrop, Running};
use crate::recent::Recent;
pub use crate::withholding::WithholdError;
use crate::withholding::Withholder;

/// The source stays this long after the end of its stream, so that the last segments reach the roots.
pub const END_GRACE: Duration = Duration::from_millis(500);

/// What a broadcast can do without.
#[derive(Clone, Default)]
pub struct Extras {
    /// Plug-ins at work.
    pub plugins: Option<Arc<Running>>,
    /// What people call the stream, for its recordings.
    pub title: Option<String>,
    /// Figures that the host adds.
    pub more_figures: Option<MoreFigures>,
    /// A broadcast of the same publisher that was cut short no longer ago is gone on with; zero for never. Costs two files beside
    /// the key.
    pub resume: Duration,
}

/// A broadcast that was cut short and goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// How long nobody was there.
    pub away: Duration,
    /// The segment with which it goes on; those right before it may be missing.
    pub from: Seq,
}

impl std::fmt::Display for Resumed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seconds, from) = (self.away.as_secs_f64(), self.from.0);
        write!(
            f,
            "the broadcast goes on that was cut short {seconds:.1} s ago; segments right before {from} may be missing"
        )
    }
}

/// What a broadcast is made of.
pub struct Config {
    /// The publisher.
    pub publisher: Publisher,
    /// Where the stream comes from: each with its name, all of one kind. One publication is on air at a time.
    pub ingests: Vec<(String, BoxedIngest)>,
    /// The coordinator's reign, such as [`Publisher::begin_term`] gives; higher than any earlier one of the publisher.
    pub term: Term,
    /// Who decides where nodes are.
    pub deciders: Deciders,
    /// Opens the source's links.
    pub transport: SharedTransport,
    /// STUN urls for all nodes; `stun:?:PORT` means the host by which a viewer reaches this one.
    pub ice: Vec<String>,
    /// Bounds of the coordinator.
    pub limits: coordinator::Limits,
}

/// Who decides where nodes are, and what becomes of those that cannot keep up.
pub struct Deciders {
    /// What the strategy is called, for people.
    pub name: String,
    /// Places the nodes.
    pub strategy: BoxedStrategy,
    /// Takes over, under its name, when the strategy fails.
    pub fallback: Option<(String, BoxedStrategy)>,
    /// Asked when too many cannot keep up; the coordinator's own when none.
    pub ladder: Option<BoxedLadder>,
}

/// How the input stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing has come in yet.
    #[default]
    Waiting,
    /// Units come in.
    Live,
    /// Nobody is on air, but somebody was; the stream goes on when an input comes back.
    Away,
    /// The input has ended by itself.
    Ended,
    /// The input has failed; for people to read.
    Failed(String),
    /// A complaint has ended the stream; for people to read.
    TakenDown(String),
}

impl State {
    /// One word for interfaces: `waiting`, `live`, `away`, `ended` (also by a complaint) or `failed`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Live => "live",
            Self::Away => "away",
            Self::Ended | Self::TakenDown(_) => "ended",
            Self::Failed(_) => "failed",
        }
    }
}

/// A running broadcast. Dropping it ends it at once, without a word to the viewers.
pub struct Broadcast {
    publisher: Publisher,
    epoch: Epoch,
    kind: Kind,
    resumed: Option<Resumed>,
    hub: Hub,
    source: Arc<Peer>,
    recent: Recent,
    withholder: Withholder,
    state: watch::Receiver<State>,
    /// For an end that the streamer wishes.
    verdict: watch::Sender<State>,
    intake: intake::Watched,
    pump: JoinHandle<()>,
    figures: Figures,
    plugins: Option<Arc<Running>>,
    /// Feeds the telemetry sinks.
    _feed: Option<AbortOnDrop<()>>,
    // The source delivers to nobody, but its events end when nobody holds the reader.
    _deliveries: Reader,
}

impl std::fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Broadcast({}, epoch {})", self.publisher(), self.epoch.0)
    }
}

impl Broadcast {
    /// Begins an epoch, or goes on with one, and starts to take input. Must be called inside a tokio runtime.
    pub fn start(config: Config) -> Self {
        Self::start_with(config, Extras::default())
    }

    /// The same with plug-ins at work, which it feeds. The caller ends them after the broadcast.
    pub fn start_with(config: Config, extras: Extras) -> Self {
        let Extras { plugins, title, more_figures, resume } = extras;
        let Config { publisher, ingests, term, deciders, transport, ice, limits } = config;
        let clock = Clock::start();
        let kind = ingests.first().map_or(Kind::Media, |(_, ingest)| ingest.kind());
        let Begun { epoch: EpochKey { key, cert, .. }, going, logbook } = publisher.begin(kind, resume);
        let epoch = cert.epoch;
        let resumed = going.as_ref().map(|going| told(epoch, going));
        let Deciders { name, strategy, fallback, ladder } = deciders;
        let mut coordinator = Coordinator::new(
            coordinator::Config {
                term,
                // The source is in this process: only one that was cut short had a coordinator before.
                follows: going.is_some(),
                cert: cert.clone(),
                kind,
                ice,
                strategy: name,
                secret: publisher.coordinator_secret(),
                wall_at_zero_us: clock.wall_at_zero_us(),
                limits,
            },
            Guarded::boxed(strategy),
            clock.now(),
        );
        if let Some((name, strategy)) = fallback {
            coordinator = coordinator.with_fallback(&name, strategy);
        }
        if let Some(ladder) = ladder {
            coordinator = coordinator.with_ladder(ladder);
        }
        let hub = Hub::spawn_with(coordinator, clock, plugins.as_ref().map(|plugins| plugins.telemetry().clone()));
        let peer = peer::Config {
            stream: Some(publisher.public()),
            role: Role::Source,
            capacity: CAPACITY,
            relay: true,
            endpoints: vec![Endpoint::InProcess(hub.clone())],
            transport,
            keeping: node::Keeping::default(),
        };
        let archives = plugins.as_ref().map(|plugins| plugins.archives().clone());
        let meta = StreamMeta::of(&cert, kind, title);
        match (&archives, &going) {
            (Some(archives), Some(going)) => archives.go_on(&meta, going.began_us),
            (Some(archives), None) => archives.begin(&meta),
            (None, _) => {}
        }
        let resume = going.as_ref().and_then(|going| going.resume);
        let wall_at_zero_us = clock.wall_at_zero_us();
        let source = node::Source { key, cert, kind, wall_at_zero_us, piece_size: None, resume };
        let recent = Recent::default();
        let withholder = Withholder::new(hub.clone(), recent.clone(), logbook.clone());
        if let Some(logbook) = &logbook {
            logbook.keep();
        }
        let keepers = Keepers { archives, recent: Some(recent.clone()), logbook };
        let (source, deliveries) = peer::spawn_source(peer, source, clock, keepers);
        let source = Arc::new(source);
        let (state_tx, state) = watch::channel(State::Waiting);
        let (intake, watched) =
            Intake::new(source.clone(), state_tx.clone(), plugins.clone(), resumed.as_ref().map(Resumed::to_string));
        let verdict = state_tx.clone();
        let Going { now_us, withheld, .. } = going.unwrap_or_default();
        let (key, again) = (publisher.stream_key(), withholder.clone());
        let pump = tokio::spawn(async move {
            again.go_on(withheld).await;
            intake.run(key, now_us, ingests).await;
        });
        let figures = Figures {
            hub: hub.clone(),
            source: source.clone(),
            state: state.clone(),
            input: watched.input.clone(),
            statuses: plugins.as_ref().map(|plugins| plugins.statuses().clone()).unwrap_or_default(),
            desk: plugins.as_ref().and_then(|plugins| plugins.desk().cloned()),
            more: more_figures,
        };
        let feed = plugins.clone().map(|plugins| {
            let withholder = withholder.clone();
            let (source, pump) = (Arc::downgrade(&source), pump.abort_handle());
            let (archives, shelf) = (plugins.archives().clone(), plugins.shelf().clone());
            let stream = publisher.public().to_string();
            let state = state_tx;
            let enforcement = Enforcement { stream, epoch, source, pump, state, archives, shelf, withholder };
            plugins.carry_with(Arc::new(enforcement));
            AbortOnDrop(tokio::spawn(feed::run(figures.clone(), plugins)))
        });
        Self {
            publisher,
            epoch,
            kind,
            resumed,
            hub,
            source,
            recent,
            withholder,
            state,
            verdict,
            intake: watched,
            pump,
            figures,
            plugins,
            _feed: feed,
            _deliveries: deliveries,
        }
    }

    /// The publisher's key, which names the stream.
    pub fn publisher(&self) -> PublicKey {
        self.publisher.public()
    }

    /// This broadcast of the stream.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// How it goes on after it was cut short; none when it began with this process.
    pub fn resumed(&self) -> Option<Resumed> {
        self.resumed
    }

    /// Media or data.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The coordinator's control connections and overview.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// How the input stands, and its changes.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// The media type of the latest init, such as `video/mp4; codecs="avc1.64001f"`.
    pub fn mime(&self) -> Option<String> {
        self.intake.init.borrow().as_ref().map(|init| init.mime.clone())
    }

    /// What is being played, such as the title of a track; may be empty.
    pub fn playing(&self) -> String {
        self.intake.init.borrow().as_ref().map(|init| init.title.clone()).unwrap_or_default()
    }

    /// Who is on air.
    pub fn billing(&self) -> Billing {
        self.intake.billing.borrow().clone()
    }

    /// What the streamer was told about the input, oldest first; at most [`ADVICE_MAX`].
    pub fn advice(&self) -> Vec<String> {
        self.intake.advice.borrow().clone()
    }

    /// How the input is, in numbers.
    pub fn input(&self) -> Input {
        *self.intake.input.borrow()
    }

    /// What was produced lately, for viewers that nobody feeds.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Nobody plays or gives out the segments from `first` up to, not including, `end` from now on: all nodes are told, and those
    /// that come later. What is live and what an archive keeps is not touched.
    pub async fn withhold(&self, first: Seq, end: Seq) -> Result<(), WithholdError> {
        self.withholder.withhold(first, end).await
    }

    /// They may be played and given out again. Viewers have dropped what they kept of them.
    pub async fn restore(&self, first: Seq, end: Seq) -> Result<(), WithholdError> {
        self.withholder.restore(first, end).await
    }

    /// Opens a viewer's control connection; `address` is an IPv6 or IPv4-mapped address.
    pub async fn connect(&self, address: [u8; 16]) -> Option<Connection> {
        self.hub.connect(Origin::Address(address)).await
    }

    /// How the source stands.
    pub async fn snapshot(&self) -> Result<peer::Snapshot, Gone> {
        self.source.snapshot().await
    }

    /// The plug-ins at work, if there are any.
    pub fn plugins(&self) -> Option<&Arc<Running>> {
        self.plugins.as_ref()
    }

    /// Reads what the archives keep; an empty one when there are no plug-ins.
    pub fn shelf(&self) -> Shelf {
        self.plugins.as_ref().map(|plugins| plugins.shelf().clone()).unwrap_or_default()
    }

    /// All numbers of the broadcast and its plug-ins. Costs time in proportion to the members; about once a second is fine.
    pub async fn figures(&self) -> Vec<Figure> {
        self.figures.take().await.0
    }

    /// Ends the stream because its streamer wishes it: no input is taken any more, viewers stay and see that it has ended, archives
    /// finish their recordings. Does nothing when it has ended already.
    pub async fn end(&self) {
        if !matches!(*self.state.borrow(), State::Waiting | State::Live | State::Away) {
            return;
        }
        self.pump.abort();
        let _ = self.source.produce(Production::End).await;
        self.verdict.send_replace(State::Ended);
        if let Some(plugins) = &self.plugins {
            // The answer comes when all that was produced has been handled.
            let _ = self.source.snapshot().await;
            plugins.archives().end(true).await;
        }
    }

    /// Ends the epoch politely: viewers get the end of the stream, then the source leaves and archives finish their recordings.
    pub async fn stop(&self) {
        self.pump.abort();
        let _ = self.source.produce(Production::End).await;
        tokio::time::sleep(END_GRACE).await;
        self.source.leave().await;
        if let Some(plugins) = &self.plugins {
            plugins.archives().end(true).await;
        }
    }
}

fn told(epoch: Epoch, going: &Going) -> Resumed {
    let resumed = Resumed { away: going.away, from: going.resume.map_or(Seq(0), |resume| resume.next) };
    info!(epoch = epoch.0, segment = resumed.from.0, "{resumed}");
    resumed
}
