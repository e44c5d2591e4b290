//! The node itself: its parts, and the way of a fact through them.

use std::collections::VecDeque;

use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::control::{Figures, Role};
use peerstream_protocol::crypto::{Hash, PublicKey, Strict, Verifier};
use peerstream_protocol::frame::Lane;
use peerstream_protocol::header::{Context, Header};
use peerstream_protocol::id::{Epoch, NodeId, Rendition, Seq, Stripes};
use peerstream_protocol::segment::{Init, InitId, Kind};
use peerstream_protocol::time::Micros;
use peerstream_protocol::withheld::Withheld;

use crate::chance::Chance;
use crate::clock::Clock;
use crate::control::Control;
use crate::course::Course;
use crate::delivery::Delivery;
use crate::fallback::Fallback;
use crate::few::Few;
use crate::guests::Guests;
use crate::inits::Inits;
use crate::intake::Orphans;
use crate::io::{Config, Input, LinkId, Output, Playout};
use crate::jitter::Jitter;
use crate::kept::Kept;
use crate::latency::Latency;
use crate::link::Link;
use crate::live::Live;
use crate::past::{Behind, Past};
use crate::reconciler::Reconciler;
use crate::source::Producer;
use crate::starter::Starters;
use crate::uplink::Uplink;
use crate::window::Window;

/// Upkeep runs at least this often.
const UPKEEP_CALM: Micros = Micros::from_millis(200);
/// Upkeep runs this often while something is missing or waiting; seldomer when that has lasted.
const UPKEEP_PRESSING: Micros = Micros::from_millis(25);
/// Upkeep runs far more often than this even where timers ring once a second: the machine was asleep.
const SLEPT: Micros = Micros::from_secs(5);
/// A segment under way is no shortage before this time.
const SHORTAGE_AFTER: Micros = Micros::from_millis(100);

/// The stream a node was welcomed to.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) cert: EpochCert,
    pub(crate) context: Context,
    /// What signs this epoch's segments.
    pub(crate) key: PublicKey,
    pub(crate) kind: Kind,
    /// Nothing later than this is believed, seconds since 1970.
    pub(crate) expiry_s: u64,
}

/// What a node counts, beyond what it reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Payload bytes the source produced.
    pub produced: u64,
    /// Inits or units beyond their bounds, dropped at the source.
    pub oversized: u64,
    /// Payload bytes received, repeats included.
    pub payload_received: u64,
    /// Payload bytes received that were already there.
    pub payload_repeated: u64,
    /// Payload bytes sent.
    pub payload_sent: u64,
    /// Bytes of headers and other frames sent.
    pub overhead_sent: u64,
    /// Bytes the source sent to newcomers over the control connection.
    pub starters_sent: u64,
    /// Frames and messages that could not be decoded or are beyond their bounds.
    pub malformed: u64,
    /// Headers or pieces that were false.
    pub forged: u64,
    /// Frames that were not asked for.
    pub unsolicited: u64,
    /// Wants refused, by rate or by assignment.
    pub refused: u64,
    /// Signals that fit no link.
    pub stray_signals: u64,
    /// Pieces ahead of their header, and headers ahead of their init or of a join point, that were dropped.
    pub orphans_dropped: u64,
    /// Segments not sent because a child was too slow or asked too late.
    pub feed_gaps: u64,
    /// Times the uplink was found too weak for children.
    pub weak_uplinks: u64,
    /// Peers cut off.
    pub cut_off: u64,
    /// Segments delivered.
    pub delivered: u64,
    /// Segments given up.
    pub skipped: u64,
    /// Repairs asked for.
    pub repairs: u64,
    /// Times the host was asked to send the stream itself.
    pub fallbacks: u64,
    /// Payload bytes that the host sent then; they are among those received.
    pub fetched: u64,
    /// Times a helper took over from the parent.
    pub takeovers: u64,
    /// Payload bytes of the past sent to others; they are among those sent.
    pub past_sent: u64,
    /// Segments of the past that others asked for and were refused.
    pub past_refused: u64,
    /// Payload bytes of the past that others sent; they are among those received.
    pub past_from_peers: u64,
    /// Payload bytes of the past that the host sent; they are among those received.
    pub past_from_host: u64,
    /// Segments of the past that nobody gave.
    pub past_lost: u64,
}

/// A node of one stream and rendition.
#[derive(Debug)]
pub struct Node<V: Verifier = Strict> {
    pub(crate) verifier: V,
    pub(crate) role: Role,
    pub(crate) capacity: u8,
    pub(crate) relay: bool,
    pub(crate) pinned: Option<PublicKey>,
    pub(crate) endpoints: usize,
    pub(crate) now: Micros,
    pub(crate) out: VecDeque<Output>,
    pub(crate) chance: Chance,
    pub(crate) clock: Clock,
    pub(crate) control: Control,
    pub(crate) id: Option<NodeId>,
    pub(crate) ice: Vec<String>,
    pub(crate) stream: Option<Stream>,
    pub(crate) reconciler: Reconciler,
    pub(crate) links: Few<LinkId, Link>,
    /// Those over which something may be owed, in order: a few, so that not all are looked through with every frame.
    pub(crate) owed: Vec<LinkId>,
    pub(crate) links_opened: u32,
    /// Peers whose link failed, and when; tried again after a pause.
    pub(crate) lost: Few<NodeId, Micros>,
    /// Peers that are helped although the assignment names them no more, and until when.
    pub(crate) lingers: Few<NodeId, Micros>,
    /// Peers that were cut off, and until when.
    pub(crate) banned: Few<NodeId, Micros>,
    pub(crate) window: Window,
    pub(crate) kept: Kept,
    pub(crate) past: Past,
    pub(crate) guests: Guests,
    pub(crate) withheld: Withheld,
    pub(crate) inits: Inits,
    pub(crate) orphans: Orphans,
    pub(crate) starters: Starters,
    /// The next segment neither received nor given up, once there was a first.
    pub(crate) position: Option<Seq>,
    /// When the position last moved.
    pub(crate) moved: Micros,
    /// The stripes that come from one parent each; never empty.
    pub(crate) courses: Vec<Course>,
    pub(crate) latency: Latency,
    pub(crate) uplink: Uplink,
    pub(crate) delivery: Delivery,
    pub(crate) live: Live,
    pub(crate) jitter: Jitter,
    pub(crate) playout: Playout,
    pub(crate) fallback: Fallback,
    pub(crate) producer: Option<Box<Producer>>,
    pub(crate) counters: Counters,
    upkeep_at: Micros,
    timer: Option<Micros>,
    /// Upkeep is due before its time.
    pub(crate) pressing: bool,
}

/// What a node can show people about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Its name, once welcomed.
    pub node: Option<NodeId>,
    /// The publisher's key, once known.
    pub stream: Option<PublicKey>,
    /// The broadcast, once known.
    pub epoch: Option<Epoch>,
    /// Whether the coordinator answers.
    pub control: bool,
    /// Who feeds it.
    pub feeders: Vec<NodeId>,
    /// Whom it feeds.
    pub fed: Vec<NodeId>,
    /// Stripes it sends to them in all; [`Stripes::COUNT`] of them are a copy.
    pub stripes_out: usize,
    /// Who would feed it if its parent failed.
    pub backup: Option<NodeId>,
    /// Open links.
    pub links: usize,
    /// May relay.
    pub relay: bool,
    /// Has found that its uplink does not carry children.
    pub weak_uplink: bool,
    /// What it reports.
    pub figures: Figures,
    /// What it counts besides.
    pub counters: Counters,
    /// The host sends it the stream over HTTP.
    pub fallback: bool,
    /// What the player keeps in store: how far behind the newest segment it aims to be.
    pub target: Micros,
    /// How much later than others some segments come.
    pub jitter: Micros,
    /// *Latency L* in microseconds.
    pub hop: Micros,
    /// The source's wall clock at time zero of the media, microseconds since 1970, once known.
    pub zero_us: Option<u64>,
    /// Where the viewer is while it is not where the stream is.
    pub behind: Option<Behind>,
    /// Viewers in the past that it gives what it keeps, each a copy.
    pub guests: usize,
    /// How much is kept beyond what is live.
    pub kept: Micros,
    /// The memory of that, in bytes.
    pub kept_bytes: usize,
}

impl Node<Strict> {
    /// A node that checks everything. The first outputs are there at once.
    pub fn new(config: Config, now: Micros) -> Self {
        Self::with_verifier(config, now, Strict::default())
    }
}

impl<V: Verifier> Node<V> {
    /// A node with another way to check, for simulators.
    pub fn with_verifier(config: Config, now: Micros, verifier: V) -> Self {
        let stream = config.source.as_ref().map(|source| Stream {
            cert: source.cert.clone(),
            context: Context { stream: source.cert.publisher, epoch: source.cert.epoch, rendition: Rendition(0) },
            key: source.cert.key,
            kind: source.kind,
            expiry_s: source.cert.expiry_s,
        });
        let mut node = Self {
            verifier,
            role: config.role,
            capacity: config.capacity,
            relay: config.relay,
            pinned: config.stream,
            endpoints: config.endpoints.max(1),
            now,
            out: VecDeque::new(),
            chance: Chance::new(config.seed),
            clock: Clock::default(),
            control: Control::default(),
            id: None,
            ice: Vec::new(),
            stream,
            reconciler: Reconciler::default(),
            links: Few::default(),
            owed: Vec::new(),
            links_opened: 0,
            lost: Few::default(),
            lingers: Few::default(),
            banned: Few::default(),
            window: Window::default(),
            kept: Kept::default(),
            past: Past::default(),
            guests: Guests::default(),
            withheld: Withheld::default(),
            inits: Inits::default(),
            orphans: Orphans::default(),
            starters: Starters::default(),
            position: None,
            moved: now,
            courses: vec![Course::new(Stripes::ALL, now)],
            latency: Latency::default(),
            uplink: Uplink::default(),
            delivery: Delivery::default(),
            live: Live::default(),
            jitter: Jitter::default(),
            playout: Playout::default(),
            fallback: Fallback::default(),
            producer: config.source.map(|source| Box::new(Producer::new(source))),
            counters: Counters::default(),
            upkeep_at: now,
            timer: None,
            pressing: false,
        };
        node.open_control();
        node.upkeep();
        node
    }

    /// Takes a fact. Drain [`Self::poll`] before the next one: outputs refer to segments that it may evict.
    pub fn handle(&mut self, now: Micros, input: Input<'_>) {
        if now.since(self.now) > SLEPT && self.role != Role::Source {
            self.now = now;
            self.on_woke();
        }
        self.now = self.now.max(now);
        self.past.let_go();
        match input {
            Input::ControlUp => self.on_control_up(),
            Input::ControlDown => self.on_control_down(),
            Input::Control(bytes) => self.on_control(bytes),
            Input::LinkUp(link, credit) => self.on_link_up(link, credit),
            Input::LinkDown(link) => self.on_link_gone(link, true),
            Input::LinkFailed(link) => self.on_link_gone(link, false),
            Input::LinkSignal(link, payload) => self.on_link_signal(link, payload),
            Input::Frame(link, lane, bytes) => self.on_frame(link, lane, bytes),
            Input::Writable(link, credit) => self.on_writable(link, credit),
            Input::Produced(produced) => self.on_produced(produced),
            Input::Player(state) => self.on_player(&state),
            Input::Playout(playout) => self.on_playout(playout),
            Input::ReturnToEdge => self.return_to_live(),
            Input::Fetched(frame) => self.on_fetched(frame),
            Input::FetchEnded => self.on_fetch_ended(),
            Input::Keeping(keeping) => self.on_keeping(keeping),
            Input::GoBack(behind) => self.go_back(behind),
            Input::PastFetched(frame) => self.on_past_fetched(frame),
            Input::PastFetchEnded(whole) => self.on_past_fetch_ended(whole),
            Input::Woke => self.on_woke(),
            Input::Relay(relay) => self.on_relay(relay),
            Input::Leave => self.on_leave(),
            Input::Tick => {}
        }
        if self.pressing || self.now >= self.upkeep_at {
            self.upkeep();
        }
    }

    /// Whether this peer is a parent.
    pub fn is_parent(&self, peer: NodeId) -> bool {
        self.reconciler.is_parent(peer)
    }

    /// Whether this peer is a parent, the backup or a standby.
    pub fn may_ask(&self, peer: NodeId) -> bool {
        self.is_parent(peer) || self.reconciler.helpers().any(|helper| helper == peer)
    }

    /// Gives the next order.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// What must be looked at now and then: links towards the assignment, silence, holes, reports.
    fn upkeep(&mut self) {
        self.pressing = false;
        self.forget_paid();
        self.end_lingering();
        self.reconcile();
        self.look_after_links();
        self.look_for_feeders();
        self.look_for_holes();
        self.look_after_fallback();
        self.deliver();
        self.look_after_past();
        self.look_after_guests();
        self.pump();
        self.watch_uplink();
        self.look_after_control();
        self.upkeep_at = self.next_upkeep();
        if self.timer != Some(self.upkeep_at) {
            self.timer = Some(self.upkeep_at);
            self.out.push_back(Output::SetTimer(self.upkeep_at));
        }
    }

    /// Upkeep runs by then.
    pub(crate) fn wake_by(&mut self, at: Micros) {
        if at < self.upkeep_at {
            self.upkeep_at = at;
            self.timer = Some(at);
            self.out.push_back(Output::SetTimer(at));
        }
    }

    /// When something may have to be done, if nothing comes in before.
    fn next_upkeep(&self) -> Micros {
        let calm = self.now + UPKEEP_CALM;
        let news = [
            self.control_due(),
            self.speaking_due(),
            self.silence_due(),
            self.shortage_due(),
            self.overdue_due(),
            self.giving_due(),
        ];
        let due = news.into_iter().chain([Some(calm)]);
        due.flatten().min().unwrap_or(calm).max(self.now + Micros(1))
    }

    /// When to look again for what is missing: while nothing is wrong with the parent when something would be, else often,
    /// then less and less.
    fn shortage_due(&self) -> Option<Micros> {
        if self.owed().any(|(_, link)| link.held.is_some()) {
            return Some(self.now + UPKEEP_PRESSING);
        }
        self.courses.iter().filter_map(|course| self.shortage_due_in(course)).min()
    }

    fn shortage_due_in(&self, course: &Course) -> Option<Micros> {
        let short = self.short_since(course)?;
        if let Some(patient_until) = self.patient_until(course, short) {
            return Some(patient_until);
        }
        let waited = self.now.since(short);
        let late = self.latency.hop().min(SHORTAGE_AFTER);
        let pause = if waited < late { late.since(waited) } else { Micros(waited.0 / 8).max(UPKEEP_PRESSING) };
        Some(self.now + pause)
    }

    /// Since when the next segment of a course has been missing although it exists.
    fn short_since(&self, course: &Course) -> Option<Micros> {
        let next = course.next?;
        let begun = course.segments(&self.window, next).next().map(|(_, segment)| segment.since.max(course.moved));
        let ahead = self.links.values().filter_map(|link| link.ahead_of(course.stripes, next, self.now)).max();
        begun.into_iter().chain(ahead.map(|ahead| Micros(self.now.0 - ahead.0))).min()
    }

    /// Drops all that belongs to the epoch that has gone.
    pub(crate) fn begin_epoch(&mut self, stream: Stream) {
        let kind = stream.kind;
        self.close_all_links();
        self.reset_fallback();
        self.lost.clear();
        self.banned.clear();
        self.lingers.clear();
        self.reconciler = Reconciler::default();
        self.window = Window::default();
        self.begin_anew_without_past();
        self.inits = Inits::default();
        self.orphans = Orphans::default();
        self.starters = Starters::default();
        self.position = None;
        self.moved = self.now;
        self.courses = vec![Course::new(Stripes::ALL, self.now)];
        self.latency = Latency::default();
        self.delivery = Delivery::default();
        self.live = Live::after(&self.live);
        self.jitter = Jitter::default();
        self.stream = Some(stream);
        self.out.push_back(Output::Begin(kind));
    }

    /// The source's wall clock now, microseconds since 1970.
    pub(crate) fn wall_us(&self) -> Option<u64> {
        match &self.producer {
            Some(producer) => Some(producer.wall_us(self.now)),
            None => self.clock.wall_us(self.now),
        }
    }

    /// The frame of one piece, for [`crate::Payload::Piece`].
    pub fn piece_frame(&self, seq: Seq, index: u8) -> Option<&[u8]> {
        self.held(seq)?.frame(index)
    }

    /// Appends the payload of a delivered segment to `out`; false when it is gone.
    pub fn payload(&self, seq: Seq, out: &mut Vec<u8>) -> bool {
        let Some(segment) = self.held(seq).filter(|segment| segment.is_complete()) else { return false };
        segment.copy_payload(out);
        true
    }

    /// The signed header of the segment that this source has produced last.
    pub fn produced_header(&self) -> Option<&Header> {
        let seq = self.producer.as_ref()?.last()?;
        Some(&self.window.get(seq)?.header)
    }

    /// The number of the segment that this source produces next, and the hash of the header before it; none behind the end.
    pub fn produces_next(&self) -> Option<(Seq, Hash)> {
        self.producer.as_ref()?.next()
    }

    /// Payload bytes that the retained segments take up when whole.
    pub fn retained_bytes(&self) -> usize {
        self.window.bytes()
    }

    /// Appends a delivered segment as it is to be played: as it was signed, or rewritten when it is bridged over a hole. False
    /// when it is gone.
    pub fn playable(&self, seq: Seq, out: &mut Vec<u8>) -> bool {
        match self.bridged(seq) {
            Some(bridged) => out.extend(bridged),
            None => return self.payload(seq, out),
        }
        true
    }

    /// The presentation time (microseconds), source wall clock (microseconds since 1970) and duration of a segment.
    pub fn times(&self, seq: Seq) -> Option<(u64, u64, u32)> {
        let core = &self.held(seq)?.header.core;
        Some((core.pts_us, core.wall_us, core.duration_us))
    }

    /// The init of the segments being delivered.
    pub fn init(&self) -> Option<&Init> {
        let id = self.past.init().unwrap_or(self.delivery.init);
        self.inits.get(id).filter(|_| id != InitId::NONE)
    }

    /// The ICE servers for new links.
    pub fn ice(&self) -> &[String] {
        &self.ice
    }

    /// What to show people.
    pub fn status(&self) -> Status {
        Status {
            node: self.id,
            stream: self.stream.as_ref().map(|stream| stream.context.stream),
            epoch: self.stream.as_ref().map(|stream| stream.context.epoch),
            control: self.control.is_welcomed(),
            feeders: self.reconciler.feeders().collect(),
            fed: self.reconciler.fed().collect(),
            stripes_out: self.reconciler.stripes_out(),
            backup: self.reconciler.assignment().backup.map(|edge| edge.peer),
            links: self.links.values().filter(|link| link.open).count(),
            relay: self.relay,
            weak_uplink: self.uplink.is_weak(),
            figures: self.figures(),
            counters: self.counters,
            fallback: self.fallback.is_running(),
            target: self.live.target(&self.arrival()),
            jitter: self.jitter.now(self.now),
            hop: self.latency.hop(),
            zero_us: self.delivery.zero_us,
            behind: self.behind(),
            guests: self.guests_given(),
            kept: self.kept.span(),
            kept_bytes: self.kept.bytes(),
        }
    }

    pub(crate) fn figures(&self) -> Figures {
        let counters = &self.counters;
        Figures {
            next: self.position.unwrap_or_default(),
            received_lag_ms: self.delivery.received_lag_ms,
            lag_ms: self.delivery.lag_ms,
            // What the source takes in is what it produces.
            payload_received: counters.payload_received + counters.produced,
            payload_repeated: counters.payload_repeated,
            payload_sent: counters.payload_sent,
            overhead_sent: counters.overhead_sent,
            delivered: counters.delivered,
            skipped: counters.skipped,
            stalls: self.live.stalls,
            offences: (counters.malformed + counters.forged + counters.unsolicited).min(u64::from(u32::MAX)) as u32,
            uplink_kbps: self.uplink.kbps(),
        }
    }

    fn on_frame(&mut self, id: LinkId, lane: Lane, bytes: &[u8]) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id).filter(|link| link.open) else { return };
        link.heard = now;
        link.suspected = None;
        self.take_frame(id, lane, bytes);
    }

    fn on_relay(&mut self, relay: bool) {
        if self.relay != relay {
            self.relay = relay;
            self.report_soon();
            if !relay {
                self.stop_all_feeds();
            }
            self.pressing = true;
        }
    }

    fn on_leave(&mut self) {
        self.say_goodbye();
        self.close_all_links();
        self.end_fallback();
        self.reconciler = Reconciler::default();
    }
}
