//! The control connection: opening it, the greeting, reports, the coordinator's orders.

use std::cmp::Ordering;

use peerstream_protocol::control::{Assignment, Down, Hello, LINKS_MAX, LinkReport, Reason, Report, Role, Up, Welcome};
use peerstream_protocol::crypto::Verifier;
use peerstream_protocol::header::Context;
use peerstream_protocol::id::{NodeId, Session, Term};
use peerstream_protocol::time::Micros;

use crate::io::Output;
use crate::node::{Node, Stream};

/// The first pause before a new connection; doubled with every failure.
const RETRY_FIRST: Micros = Micros::from_millis(250);
/// The longest pause before a new connection.
const RETRY_MAX: Micros = Micros::from_secs(3);
/// The pause after having been turned away.
const RETRY_REFUSED: Micros = Micros::from_secs(10);
/// The least pause after having been turned away because too many could not keep up; chance adds up to as much again.
const RETRY_SHED: Micros = Micros::from_secs(60);
/// A report at least this often.
const REPORT_EVERY: Micros = Micros::from_secs(1);
/// Changes of the links are gathered for this long.
const REPORT_GATHER: Micros = Micros::from_millis(20);
/// A ping this often; it also keeps the clock.
const PING_EVERY: Micros = Micros::from_secs(3);
/// A coordinator that does not answer for this long is taken for gone.
const SILENCE_MAX: Micros = Micros::from_secs(12);

/// The same after a sleep or a change of the network.
const DOUBT_MAX: Micros = Micros::from_secs(3);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Waits to try again.
    #[default]
    Closed,
    /// The driver opens the connection.
    Opening,
    /// Hello was said.
    Greeting,
    /// The coordinator has answered.
    Welcomed,
    /// Turned away for good.
    Ended,
}

/// The state of the control connection.
#[derive(Debug, Default)]
pub(crate) struct Control {
    state: State,
    endpoint: usize,
    failures: u32,
    retry_at: Micros,
    heard: Micros,
    /// When there was last a reason to think that the connection is dead.
    doubted: Option<Micros>,
    session: Option<Session>,
    /// Proves this node's age to a later coordinator.
    ticket: Vec<u8>,
    /// The latest reign this node has been welcomed to in the present epoch.
    term: Term,
    /// When a later reign than the one before was first heard of.
    term_begun: Option<Micros>,
    ping: Option<(u32, Micros)>,
    pinged: Micros,
    reported: Micros,
    /// When to report the changes gathered so far.
    report_at: Option<Micros>,
}

impl Control {
    pub(crate) fn is_welcomed(&self) -> bool {
        self.state == State::Welcomed
    }

    /// When the present reign began, if there was one before.
    pub(crate) fn term_begun(&self) -> Option<Micros> {
        self.term_begun
    }
}

impl<V: Verifier> Node<V> {
    pub(crate) fn open_control(&mut self) {
        self.control.state = State::Opening;
        self.control.heard = self.now;
        self.out.push_back(Output::OpenControl(self.control.endpoint));
    }

    pub(crate) fn on_control_up(&mut self) {
        if self.control.state != State::Opening {
            return;
        }
        self.control.state = State::Greeting;
        self.control.heard = self.now;
        let hello = Hello {
            wire: peerstream_protocol::WIRE_VERSION,
            stream: self.pinned,
            role: self.role,
            capacity: self.capacity,
            relay: self.offers_to_relay(),
            untried: self.is_untried(),
            resume: self.id.zip(self.control.session),
            ticket: self.control.ticket.clone(),
        };
        self.out.push_back(Output::Control(Up::Hello(hello).encode()));
    }

    pub(crate) fn on_control_down(&mut self) {
        if matches!(self.control.state, State::Closed | State::Ended) {
            return;
        }
        let exponent = self.control.failures.min(8);
        let pause = Micros(RETRY_FIRST.0 << exponent).min(RETRY_MAX);
        let jittered = Micros(pause.0 / 2 + self.chance.below(pause.0));
        // Where it was welcomed a node comes back to first; an endpoint that never answered is not waited for again.
        if self.control.state != State::Welcomed {
            self.control.endpoint = (self.control.endpoint + 1) % self.endpoints;
        }
        self.retry_control(jittered);
        self.control.failures += 1;
    }

    fn retry_control(&mut self, pause: Micros) {
        self.control.state = State::Closed;
        self.control.retry_at = self.now + pause;
        self.pressing = true;
    }

    pub(crate) fn on_control(&mut self, bytes: &[u8]) {
        let Ok(message) = Down::decode(bytes) else {
            self.counters.malformed += 1;
            return;
        };
        self.control.heard = self.now;
        match message {
            Down::Welcome(welcome) => self.on_welcome(*welcome),
            Down::Refuse(reason) => self.on_refuse(reason),
            Down::Assign(assignment) => self.on_assign(assignment),
            Down::Signal { from, attempt, payload } => self.on_signal(from, attempt, payload),
            Down::Probe => self.report_now(),
            Down::Start { node, behind_ms } => self.on_start(node, Micros::from_millis(behind_ms.into())),
            Down::EndStart(node) => self.on_end_start(node),
            Down::Starter(frames) => frames.iter().for_each(|frame| self.on_starter(frame)),
            Down::Pong { nonce, wall_us } => self.on_control_pong(nonce, wall_us),
            Down::Keeper(keeper) => self.on_keeper(keeper),
            Down::Guest(peer) => self.on_guest(peer),
            Down::Withheld(withheld) => self.on_withheld(withheld),
        }
    }

    fn on_welcome(&mut self, welcome: Welcome) {
        if !matches!(self.control.state, State::Greeting | State::Welcomed) {
            return;
        }
        let known = self.stream.as_ref().map(|stream| stream.context);
        let expected = self.pinned.unwrap_or(welcome.cert.publisher);
        if welcome.cert.publisher != expected || !welcome.cert.is_genuine(&mut self.verifier) {
            return self.reject_coordinator(Output::WrongPublisher(welcome.cert.publisher));
        }
        let bygone = |known: Context| match welcome.cert.epoch.cmp(&known.epoch) {
            Ordering::Less => true,
            Ordering::Equal => welcome.term < self.control.term,
            Ordering::Greater => false,
        };
        if known.is_some_and(bygone) {
            self.out.push_back(Output::CloseControl);
            return self.on_control_down();
        }
        self.pinned = Some(expected);
        self.control.state = State::Welcomed;
        self.control.failures = 0;
        self.control.session = Some(welcome.session);
        self.control.ticket.clone_from(&welcome.ticket);
        if known.is_some() && welcome.term > self.control.term {
            self.control.term_begun = Some(self.now);
        }
        self.control.term = welcome.term;
        self.clock.on_sample(welcome.wall_us, self.now, PING_EVERY);
        self.ice.clone_from(&welcome.ice);
        self.settle_in(&welcome, known);
        self.control.pinged = Micros(0);
        self.report_now();
    }

    /// Takes over what the welcome says: the same place as before, another name, or another epoch.
    fn settle_in(&mut self, welcome: &Welcome, known: Option<Context>) {
        let cert = &welcome.cert;
        let context = Context { stream: cert.publisher, epoch: cert.epoch, rendition: welcome.rendition };
        let renamed = self.id != Some(welcome.node);
        self.id = Some(welcome.node);
        if self.role == Role::Source {
            return;
        }
        if known != Some(context) {
            self.begin_epoch(Stream {
                cert: cert.clone(),
                context,
                key: cert.key,
                kind: welcome.kind,
                expiry_s: cert.expiry_s,
            });
        } else if renamed {
            self.close_all_links();
            self.lost.clear();
            self.reconciler = Default::default();
        }
    }

    fn reject_coordinator(&mut self, why: Output) {
        self.out.push_back(why);
        self.out.push_back(Output::CloseControl);
        self.control.endpoint = (self.control.endpoint + 1) % self.endpoints;
        self.retry_control(RETRY_REFUSED);
    }

    fn on_refuse(&mut self, reason: Reason) {
        self.out.push_back(Output::Refused(reason));
        self.out.push_back(Output::CloseControl);
        match reason {
            Reason::TakenForDead => self.retry_control(RETRY_FIRST),
            Reason::NoLowerRendition => {
                let pause = RETRY_SHED + Micros(self.chance.below(RETRY_SHED.0));
                self.retry_control(pause);
            }
            Reason::Misbehaved | Reason::WireVersion => self.control.state = State::Ended,
            _ => self.retry_control(RETRY_REFUSED),
        }
    }

    fn on_assign(&mut self, assignment: Assignment) {
        if self.control.state == State::Welcomed && self.reconciler.assign(assignment) {
            self.redeal_courses();
            self.forget_refusals();
            self.begin_lingering();
            self.report_soon();
            self.pressing = true;
        }
    }

    fn on_control_pong(&mut self, nonce: u32, wall_us: u64) {
        if let Some((_, sent)) = self.control.ping.take_if(|(pinged, _)| *pinged == nonce) {
            self.clock.on_sample(wall_us, self.now, self.now.since(sent));
        }
    }

    /// When [`Self::look_after_control`] has something to do.
    pub(crate) fn control_due(&self) -> Option<Micros> {
        match self.control.state {
            State::Closed => Some(self.control.retry_at),
            State::Welcomed => self.control.report_at,
            _ => None,
        }
    }

    /// Time has jumped or the network has changed: a connection that is waited for is opened now, one that is open has to prove
    /// itself.
    pub(crate) fn on_woke(&mut self) {
        match self.control.state {
            // Who was turned away waits longer than this, and goes on waiting.
            State::Closed if self.control.retry_at.since(self.now) < RETRY_MAX + RETRY_MAX => {
                self.control.retry_at = self.now
            }
            State::Opening | State::Greeting | State::Welcomed => {
                self.control.doubted = Some(self.now);
                self.control.heard = self.now;
                self.control.pinged = Micros(0);
            }
            State::Closed | State::Ended => {}
        }
        self.past.on_woke(self.now);
        self.pressing = true;
    }

    /// How long the coordinator may be silent.
    fn control_silence_max(&self) -> Micros {
        let doubted = self.control.doubted.is_some_and(|at| at >= self.control.heard);
        if doubted { DOUBT_MAX } else { SILENCE_MAX }
    }

    pub(crate) fn look_after_control(&mut self) {
        match self.control.state {
            State::Closed if self.now >= self.control.retry_at => self.open_control(),
            State::Welcomed | State::Greeting | State::Opening
                if self.now.since(self.control.heard) > self.control_silence_max() =>
            {
                self.out.push_back(Output::CloseControl);
                self.on_control_down();
            }
            State::Welcomed => {
                self.ping_control();
                self.report_when_due();
            }
            _ => {}
        }
    }

    fn ping_control(&mut self) {
        if self.now.since(self.control.pinged) >= PING_EVERY || self.control.pinged == Micros(0) {
            let nonce = self.chance.u32();
            self.control.pinged = self.now;
            self.control.ping = Some((nonce, self.now));
            self.out.push_back(Output::Control(Up::Ping { nonce }.encode()));
        }
    }

    /// The links have changed: tell the coordinator, together with what else changes just now.
    pub(crate) fn report_soon(&mut self) {
        let due = self.now + REPORT_GATHER;
        self.control.report_at = Some(self.control.report_at.map_or(due, |at| at.min(due)));
        self.pressing = true;
    }

    /// Tells the coordinator how things stand without gathering more.
    fn report_now(&mut self) {
        self.control.report_at = Some(self.now);
        self.pressing = true;
    }

    fn report_when_due(&mut self) {
        let changed = self.control.report_at.is_some_and(|at| self.now >= at);
        if !changed && self.now.since(self.control.reported) < REPORT_EVERY {
            return;
        }
        self.control.report_at = None;
        self.control.reported = self.now;
        let report = self.report();
        self.out.push_back(Output::Control(Up::Report(report).encode()));
    }

    fn report(&self) -> Report {
        let assignment = self.reconciler.assignment();
        // Links for the sake of the past are no matter of the overlay.
        let of_overlay =
            |link: &&crate::link::Link| self.reconciler.names(link.peer) || !self.reconciler.is_guest(link.peer);
        let links = self.links.values().filter(of_overlay).take(LINKS_MAX).map(|link| {
            let state = self.reconciler.link(link.peer);
            let rtt_ms = link.round_trip.map_or(0, |rtt| rtt.as_millis().clamp(1, u64::from(u16::MAX)) as u16);
            LinkReport {
                peer: link.peer,
                open: link.open,
                feeds_me: state.feeds_me,
                fed_by_me: state.fed_by_me,
                rtt_ms,
            }
        });
        let (term, version) = (assignment.term, assignment.version);
        Report {
            term,
            version,
            relay: self.offers_to_relay(),
            untried: self.is_untried(),
            backup: assignment.backup.map(|edge| edge.peer),
            links: links.collect(),
            kept: self.kept_for_others(),
            figures: self.figures(),
        }
    }

    pub(crate) fn tell(&mut self, message: &Up) {
        if self.control.is_welcomed() {
            self.out.push_back(Output::Control(message.encode()));
        }
    }

    pub(crate) fn tell_suspect(&mut self, peer: NodeId) {
        self.tell(&Up::Suspect(peer));
    }

    pub(crate) fn say_goodbye(&mut self) {
        self.tell(&Up::Leave);
        if self.control.state != State::Ended {
            self.out.push_back(Output::CloseControl);
        }
        self.control.state = State::Ended;
    }
}
