//! The life of a link: set-up, exchange, end. One task per link, and one reader per lane.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use peerstream_sdk::protocol::signal::{self, Address, Candidate, Description, Origin, Signal};
use peerstream_sdk::traits::transport::{IceServers, Lane, LinkEvent, Side};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::Shared;
use crate::flow::Flow;
use crate::lane::Reader;
use crate::outbox::Outbox;
use crate::peer::{Note, Peer};

/// The description waits this long for candidates, so that it is mostly the only message; later ones trickle.
/// Between a link's opening and the word of it: the stack of the other side drops what arrives before it has made its
/// negotiated channels, which it does just after the handshake.
const SETTLE: Duration = Duration::from_millis(20);
const GATHER_WAIT: Duration = Duration::from_millis(10);
/// How often the driver is poked until the link is open.
const POKE: Duration = Duration::from_millis(10);
/// How often acknowledgements are looked up while something is on its way.
const MEASURE: Duration = Duration::from_millis(5);
/// A peer may name this many addresses; more are dropped and counted.
const REMOTE_CANDIDATES_MAX: usize = 32;

/// What comes from the owner's handle.
pub(crate) struct Inputs {
    pub(crate) signals: mpsc::Receiver<Bytes>,
    pub(crate) frames: mpsc::UnboundedReceiver<(Lane, Bytes)>,
    pub(crate) closing: Arc<Notify>,
}

/// Why a link ended.
enum End {
    /// The owner closed it or is gone.
    ByOwner,
    /// The peer or the network ended it, or it never opened.
    Lost(String),
}

/// The state of one link.
pub(crate) struct Session {
    shared: Arc<Shared>,
    side: Side,
    outbox: Arc<Outbox>,
    /// Our description until it is sent, and when that is due.
    unsent: Option<(Description, Instant)>,
    remote: Remote,
    lanes_open: usize,
}

/// What is known of the other side.
#[derive(Default)]
struct Remote {
    described: bool,
    candidates: usize,
    /// Candidates that came before the description.
    early: Vec<Candidate>,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, side: Side, outbox: Arc<Outbox>) -> Self {
        Self { shared, side, outbox, unsent: None, remote: Remote::default(), lanes_open: 0 }
    }

    /// Runs the link to its end.
    pub(crate) async fn run(mut self, servers: IceServers, mut inputs: Inputs) {
        let (notes, mut notes_in) = mpsc::unbounded_channel();
        let peer = match Peer::build(&self.shared, &servers, notes.clone()).await {
            Ok(peer) => peer,
            Err(error) => return self.failed(error.to_string()).await,
        };
        let (up, up_in) = watch::channel(false);
        let mut readers = self.spawn_readers(&peer, &up_in, &notes);
        let outbox = Arc::clone(&self.outbox);
        let reporter = tokio::spawn(async move { outbox.report_credit().await });
        let closing = Arc::clone(&inputs.closing);
        let outbox = Arc::clone(&self.outbox);
        let end = tokio::select! {
            end = self.live(&peer, &up, &mut inputs, &mut notes_in) => end,
            () = closing.notified() => End::ByOwner,
            () = outbox.owner_gone() => End::ByOwner,
        };
        self.outbox.close();
        peer.close().await;
        reporter.abort();
        let was_open = *up.borrow();
        match end {
            End::ByOwner => {}
            End::Lost(reason) if !was_open => self.failed(reason).await,
            End::Lost(reason) => {
                let ended = async {
                    // What arrived before the end still reaches the owner.
                    while readers.join_next().await.is_some() {}
                    self.down(reason).await;
                };
                tokio::select! {
                    () = ended => {}
                    () = closing.notified() => {}
                    () = outbox.owner_gone() => {}
                }
            }
        }
    }

    fn spawn_readers(
        &self,
        peer: &Peer,
        up: &watch::Receiver<bool>,
        notes: &mpsc::UnboundedSender<Note>,
    ) -> JoinSet<()> {
        let mut readers = JoinSet::new();
        for (lane, channel) in [(Lane::Control, &peer.control), (Lane::Pieces, &peer.pieces)] {
            let (channel, outbox) = (Arc::clone(channel), Arc::clone(&self.outbox));
            readers.spawn(Reader { lane, channel, outbox, up: up.clone(), notes: notes.clone() }.run());
        }
        readers
    }

    async fn live(
        &mut self,
        peer: &Peer,
        up: &watch::Sender<bool>,
        inputs: &mut Inputs,
        notes: &mut mpsc::UnboundedReceiver<Note>,
    ) -> End {
        let limit = self.shared.config.setup_timeout();
        match tokio::time::timeout(limit, self.set_up(peer, inputs, notes)).await {
            Ok(Ok(())) => {}
            Ok(Err(end)) => return end,
            Err(_) => return End::Lost(format!("not open after {} ms", limit.as_millis())),
        }
        tokio::time::sleep(SETTLE).await;
        self.shared.counters.link_opened();
        if self.outbox.up().await.is_none() {
            return End::ByOwner;
        }
        up.send_replace(true);
        self.exchange(peer, inputs, notes).await
    }

    async fn failed(&self, reason: String) {
        self.shared.counters.link_failed();
        tracing::debug!(%reason, "link failed");
        self.outbox.send(LinkEvent::Failed { reason }).await;
    }

    async fn down(&self, reason: String) {
        self.shared.counters.link_down();
        tracing::debug!(%reason, "link down");
        self.outbox.send(LinkEvent::Down { reason }).await;
    }
}

/// Set-up.
impl Session {
    /// Returns once both lanes are open.
    async fn set_up(
        &mut self,
        peer: &Peer,
        inputs: &mut Inputs,
        notes: &mut mpsc::UnboundedReceiver<Note>,
    ) -> Result<(), End> {
        if self.side == Side::Offer {
            self.describe(peer, signal::Side::Offer).await?;
        }
        let mut poke = tokio::time::interval(POKE);
        poke.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.lanes_open < 2 {
            let due = self.unsent.as_ref().map_or_else(Instant::now, |(_, due)| *due);
            tokio::select! {
                Some(payload) = inputs.signals.recv() => self.take_signal(peer, &payload).await?,
                Some(note) = notes.recv() => self.take_note(note).await?,
                () = tokio::time::sleep_until(due), if self.unsent.is_some() => self.send_description().await?,
                _ = poke.tick(), if self.remote.described => peer.poke().await,
            }
        }
        Ok(())
    }

    async fn describe(&mut self, peer: &Peer, side: signal::Side) -> Result<(), End> {
        let description = peer.describe(side).await.map_err(lost)?;
        self.unsent = Some((description, Instant::now() + GATHER_WAIT));
        Ok(())
    }

    /// Takes a set-up message of the other side. What makes no sense is counted and dropped.
    async fn take_signal(&mut self, peer: &Peer, payload: &[u8]) -> Result<(), End> {
        let expected = match self.side {
            Side::Offer => signal::Side::Answer,
            Side::Answer => signal::Side::Offer,
        };
        match Signal::decode(payload) {
            Ok(Signal::Description(description)) if description.side() == expected && !self.remote.described => {
                self.take_description(peer, description).await
            }
            Ok(Signal::Candidate(candidate)) if self.remote.candidates < REMOTE_CANDIDATES_MAX => {
                self.remote.candidates += 1;
                match self.remote.described {
                    true => self.add_candidate(peer, &candidate).await,
                    false => self.remote.early.push(candidate),
                }
                Ok(())
            }
            Ok(Signal::EndOfCandidates) => Ok(()),
            _ => {
                self.shared.counters.malformed_signal();
                Ok(())
            }
        }
    }

    async fn take_description(&mut self, peer: &Peer, mut description: Description) -> Result<(), End> {
        let candidates = description.candidates().to_vec();
        description.retain(|_| false);
        peer.accept(&description).await.map_err(lost)?;
        self.remote.described = true;
        self.remote.candidates += candidates.len();
        if self.side == Side::Answer {
            self.describe(peer, signal::Side::Answer).await?;
        }
        let early = std::mem::take(&mut self.remote.early);
        for candidate in candidates.iter().chain(&early) {
            self.add_candidate(peer, candidate).await;
        }
        Ok(())
    }

    /// Names of browsers that hide their address are skipped: the browser finds us, and its address shows then.
    async fn add_candidate(&self, peer: &Peer, candidate: &Candidate) {
        if matches!(candidate.address, Address::Ip(_))
            && let Err(error) = peer.add(candidate).await
        {
            tracing::debug!(%error, "candidate of the peer not used");
        }
    }

    async fn take_note(&mut self, note: Note) -> Result<(), End> {
        match note {
            Note::Candidate(candidate) => self.take_candidate(candidate).await,
            Note::Gathered => {
                if self.unsent.is_some() {
                    self.send_description().await?;
                }
                self.send_signal(&Signal::EndOfCandidates).await
            }
            Note::Open => {
                self.lanes_open += 1;
                Ok(())
            }
            note => self.take_end(note),
        }
    }

    fn take_end(&self, note: Note) -> Result<(), End> {
        match note {
            Note::Ended => Err(End::Lost("the peer closed the link".to_owned())),
            Note::Broken(state) => Err(End::Lost(format!("the connection is {state}"))),
            Note::Oversized => {
                self.shared.counters.oversized_frame();
                Err(End::Lost("the peer sent a frame above the limit".to_owned()))
            }
            Note::Candidate(_) | Note::Gathered | Note::Open => Ok(()),
        }
    }

    async fn take_candidate(&mut self, candidate: Candidate) -> Result<(), End> {
        for candidate in self.advertised(candidate) {
            let late = match &mut self.unsent {
                Some((description, _)) => description.push(candidate).err(),
                None => Some(candidate),
            };
            if let Some(candidate) = late {
                self.send_signal(&Signal::Candidate(candidate)).await?;
            }
        }
        Ok(())
    }

    /// A host candidate also stands for the public addresses that lead to it.
    fn advertised(&self, candidate: Candidate) -> Vec<Candidate> {
        let mut all = vec![candidate.clone()];
        if let (Origin::Host, Address::Ip(local)) = (candidate.origin, &candidate.address)
            && !local.is_loopback()
        {
            let same_family = |public: &&std::net::IpAddr| public.is_ipv4() == local.is_ipv4();
            all.extend(self.shared.config.advertise.iter().filter(same_family).map(|public| Candidate {
                origin: Origin::ServerReflexive,
                // The preference of RFC 8445 for this origin, the rest as the host candidate has it.
                priority: 100 << 24 | candidate.priority & 0x00ff_ffff,
                address: Address::Ip(*public),
                port: candidate.port,
            }));
        }
        all
    }

    async fn send_description(&mut self) -> Result<(), End> {
        let Some((description, _)) = self.unsent.take() else { return Ok(()) };
        self.send_signal(&Signal::Description(description)).await
    }

    async fn send_signal(&self, signal: &Signal) -> Result<(), End> {
        self.outbox.send(LinkEvent::Signal(Bytes::from(signal.encode()))).await.ok_or(End::ByOwner)
    }
}

/// Exchange of frames.
impl Session {
    async fn exchange(&mut self, peer: &Peer, inputs: &mut Inputs, notes: &mut mpsc::UnboundedReceiver<Note>) -> End {
        let outbox = Arc::clone(&self.outbox);
        let mut writer = Writer::new(peer, &outbox, self.shared.config.window_bytes as usize);
        let mut measure = tokio::time::interval(MEASURE);
        measure.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let step = tokio::select! {
                Some((lane, frame)) = inputs.frames.recv() => {
                    writer.queue(lane, frame);
                    writer.hand_over().await
                }
                _ = measure.tick(), if writer.is_busy() => {
                    writer.measure().await;
                    writer.hand_over().await
                }
                Some(note) = notes.recv() => self.take_end(note),
                Some(payload) = inputs.signals.recv() => self.take_signal(peer, &payload).await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }
}

/// Feeds the stack as [`Flow`] admits, the control lane first.
struct Writer<'a> {
    peer: &'a Peer,
    outbox: &'a Outbox,
    flow: Flow,
    started: Instant,
    control: VecDeque<Bytes>,
    pieces: VecDeque<Bytes>,
    /// Whether the peer has not acknowledged all control frames handed over.
    control_on_its_way: bool,
}

impl<'a> Writer<'a> {
    fn new(peer: &'a Peer, outbox: &'a Outbox, window: usize) -> Self {
        let (control, pieces) = (VecDeque::new(), VecDeque::new());
        Self {
            peer,
            outbox,
            flow: Flow::new(window),
            started: Instant::now(),
            control,
            pieces,
            control_on_its_way: false,
        }
    }

    fn queue(&mut self, lane: Lane, frame: Bytes) {
        match lane {
            Lane::Control => self.control.push_back(frame),
            Lane::Pieces => self.pieces.push_back(frame),
        }
    }

    fn is_busy(&self) -> bool {
        let waits = !self.control.is_empty() || !self.pieces.is_empty();
        waits || self.flow.inside() > 0 || self.control_on_its_way || self.outbox.report_is_withheld()
    }

    async fn hand_over(&mut self) -> Result<(), End> {
        while let Some((lane, frame)) = self.next() {
            let length = frame.len();
            self.peer.send(lane, frame).await.map_err(lost)?;
            self.flow.hand(length, self.started.elapsed());
            self.control_on_its_way |= lane == Lane::Control;
            if length == 0 {
                self.outbox.release(1);
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Option<(Lane, Bytes)> {
        if self.flow.admits_control()
            && let Some(frame) = self.control.pop_front()
        {
            return Some((Lane::Control, frame));
        }
        if !self.flow.admits_piece(self.control_on_its_way) {
            return None;
        }
        self.pieces.pop_front().map(|frame| (Lane::Pieces, frame))
    }

    /// Looks up what was acknowledged since the last time and gives it back to the owner.
    async fn measure(&mut self) {
        let control = self.peer.outstanding(Lane::Control).await;
        let outstanding = control + self.peer.outstanding(Lane::Pieces).await;
        let acked = self.flow.inside().saturating_sub(outstanding);
        self.control_on_its_way = control > 0;
        self.flow.acknowledge(acked, self.started.elapsed());
        self.outbox.release(acked);
    }
}

fn lost(error: webrtc::error::Error) -> End {
    End::Lost(error.to_string())
}

#[cfg(test)]
mod tests {
    use peerstream_sdk::traits::transport::LinkEvent;

    use super::*;
    use crate::outbox::Account;
    use crate::{Config, WebRtc};

    fn session(advertise: &[&str]) -> (Session, mpsc::Receiver<LinkEvent>) {
        let advertise = advertise.iter().map(|address| address.parse().unwrap()).collect();
        let transport = WebRtc::new(Config { advertise, ..Config::default() }).unwrap();
        let (events, receiver) = mpsc::channel(8);
        let outbox = Arc::new(Outbox::new(events, Arc::new(Account::default())));
        (Session::new(transport.shared, Side::Offer, outbox), receiver)
    }

    fn lines(session: &Session, line: &str) -> Vec<String> {
        let candidate = Candidate::from_line(line).unwrap();
        session
            .advertised(candidate)
            .iter()
            .map(|candidate| format!("{} {}", candidate.address, candidate.port))
            .collect()
    }

    #[test]
    fn a_host_candidate_also_stands_for_the_public_address_of_its_family() {
        let (session, _events) = session(&["203.0.113.5", "2001:db8::5"]);
        let host = "candidate:1 1 udp 2130706431 10.0.0.7 50000 typ host";
        assert_eq!(lines(&session, host), ["10.0.0.7 50000", "203.0.113.5 50000"]);
        let loopback = "candidate:1 1 udp 2130706431 127.0.0.1 50000 typ host";
        assert_eq!(lines(&session, loopback), ["127.0.0.1 50000"]);
        let reflexive = "candidate:1 1 udp 1677729535 198.51.100.1 50000 typ srflx";
        assert_eq!(lines(&session, reflexive), ["198.51.100.1 50000"]);
    }
}
