//! One link: its set-up, its credit, and what has gone over it in both directions.

use std::collections::VecDeque;

use peerstream_protocol::frame::{Lane, PeerMessage, Want};
use peerstream_protocol::id::{NodeId, Seq, Stripes};
use peerstream_protocol::segment::InitId;
use peerstream_protocol::time::Micros;

use crate::feed::Feed;
use crate::guests::PastFeed;
use crate::io::{LinkId, Output, Payload};
use crate::train::Arriving;

/// Small messages that wait for credit; beyond it the oldest is dropped and counted.
const WAITING_MAX: usize = 32;
/// Marks of a helper's progress that are remembered.
const MARKS_MAX: usize = 128;
/// Credit that pieces and headers leave for small messages, in bytes.
pub(crate) const CREDIT_RESERVE: u32 = 4 * 1024;
/// Wants answered at once after a pause, and per second after that.
const WANT_BURST: u32 = 40;
const WANTS_PER_SECOND: u64 = 20;
/// A peer that reaches this many offences is cut off.
const OFFENCES_MAX: u32 = 8;
/// One offence is forgiven in this time.
const FORGIVE_EVERY: Micros = Micros::from_secs(10);
/// A ping that is not answered within a round trip, a quarter more and this was not heard.
const ANSWER_SLACK: Micros = Micros::from_millis(100);
/// The round trip to a peer with which none was measured.
const ROUND_TRIP_UNKNOWN: Micros = Micros::from_millis(200);
/// What arrives this long after a want was taken back was already under way.
const UNDER_WAY: Micros = Micros::from_secs(5);

/// A limited supply that refills with time (token bucket).
#[derive(Clone, Debug)]
struct Bucket {
    tokens: u32,
    filled: Micros,
}

impl Bucket {
    fn take(&mut self, now: Micros) -> bool {
        let refill = now.since(self.filled).0 * WANTS_PER_SECOND / 1_000_000;
        if refill > 0 {
            self.tokens = (u64::from(self.tokens) + refill).min(u64::from(WANT_BURST)) as u32;
            self.filled = now;
        }
        let some = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        some
    }
}

/// What this node has asked of the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Data is expected until then; `u64::MAX` while a feed is wanted.
    until: Micros,
    /// When the present feed was asked for.
    pub(crate) since: Option<Micros>,
    /// Something has come in answer to that.
    pub(crate) answered: bool,
    /// Since when headers come that cannot be used yet, because what comes before them has not come.
    pub(crate) unusable: Option<Micros>,
}

/// What has come of some stripes over a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flow {
    /// The newest segment of which a piece came, new or not.
    pub(crate) piece_in: Option<Seq>,
    /// When the last piece came, new or not.
    pub(crate) piece_at: Micros,
    /// When it last delivered a piece that was not here yet.
    pub(crate) fed: Micros,
}

impl Flow {
    fn with(self, other: Self) -> Self {
        Self {
            piece_in: self.piece_in.max(other.piece_in),
            piece_at: self.piece_at.max(other.piece_at),
            fed: self.fed.max(other.fed),
        }
    }
}

/// How far a peer was at which time in some stripes, as it told.
#[derive(Debug)]
struct Marks {
    stripes: Stripes,
    marks: VecDeque<(Seq, Micros)>,
}

impl Marks {
    /// For how long the peer has been known to have `next`; none when it does not have it.
    fn ahead_of(&self, next: Seq, now: Micros) -> Option<Micros> {
        self.marks.back().filter(|(newest, _)| *newest > next)?;
        let first = self.marks.partition_point(|(progress, _)| *progress <= next);
        self.marks.get(first).map(|(_, at)| now.since(*at))
    }
}

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) peer: NodeId,
    /// Chosen by the offering side; 0 while its offer is awaited.
    pub(crate) attempt: u32,
    pub(crate) created: Micros,
    /// Offers made to this peer, this one included, that may all have got lost.
    pub(crate) offers: u8,
    /// Something of the peer's has come for this attempt.
    pub(crate) answered: bool,
    pub(crate) open: bool,
    pub(crate) credit: u32,
    waiting: VecDeque<Vec<u8>>,
    pub(crate) heard: Micros,
    pub(crate) spoke: Micros,
    pub(crate) round_trip: Option<Micros>,
    ping: Option<(u32, Micros)>,
    pinged: Micros,
    /// When the first ping since the peer was last heard was sent.
    called: Micros,
    /// The init of the last header that was sent in answer to the present want.
    pub(crate) init_out: InitId,
    /// What has come of each stripe.
    flows: [Flow; Stripes::COUNT as usize],
    pub(crate) init_in: Option<(InitId, Vec<u8>)>,
    pub(crate) feed: Option<Feed>,
    /// Since when the present feed runs.
    pub(crate) feeding: Micros,
    /// It has kept up since, after some time: the link is up to speed.
    pub(crate) warm: bool,
    pub(crate) repair: Option<Feed>,
    pub(crate) held: Option<(Want, Micros)>,
    wants: Bucket,
    pub(crate) asked: Asked,
    /// The packet train of the peer's that is arriving.
    pub(crate) train_in: Arriving,
    /// When it last refused, or was given up, and what of the stream.
    pub(crate) refused: Option<Micros>,
    refused_stripes: Stripes,
    /// When it was last asked for a feed in vain.
    pub(crate) futile: Option<Micros>,
    pub(crate) suspected: Option<Micros>,
    /// What the peer said it does not have: from, up to.
    pub(crate) gap: Option<(Seq, Seq)>,
    /// Pieces it delivered that were here already.
    pub(crate) repeats: u64,
    /// What of the past the peer has asked for.
    pub(crate) past: PastFeed,
    marks: Vec<Marks>,
    offences: u32,
    offended: Micros,
}

impl Link {
    pub(crate) fn new(peer: NodeId, attempt: u32, now: Micros) -> Self {
        Self {
            peer,
            attempt,
            created: now,
            offers: 0,
            answered: false,
            open: false,
            credit: 0,
            waiting: VecDeque::new(),
            heard: now,
            spoke: now,
            round_trip: None,
            ping: None,
            pinged: Micros(0),
            called: Micros(0),
            init_out: InitId::NONE,
            flows: Default::default(),
            init_in: None,
            feed: None,
            feeding: Micros(0),
            warm: false,
            repair: None,
            held: None,
            wants: Bucket { tokens: WANT_BURST, filled: now },
            asked: Asked::default(),
            train_in: Arriving::default(),
            refused: None,
            refused_stripes: Stripes::NONE,
            futile: None,
            suspected: None,
            gap: None,
            repeats: 0,
            past: PastFeed::default(),
            marks: Vec::new(),
            offences: 0,
            offended: now,
        }
    }

    /// Sends a small message, or keeps it until there is credit. Returns the bytes that went out.
    pub(crate) fn say(&mut self, id: LinkId, message: &PeerMessage, now: Micros, out: &mut VecDeque<Output>) -> u64 {
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back(message.encode());
        self.flush(id, now, out)
    }

    /// Sends what waits, as far as the credit goes. Returns the bytes that went out.
    pub(crate) fn flush(&mut self, id: LinkId, now: Micros, out: &mut VecDeque<Output>) -> u64 {
        let mut sent = 0;
        while let Some(bytes) =
            self.waiting.pop_front_if(|bytes| self.open && bytes.len() as u64 <= u64::from(self.credit))
        {
            sent += bytes.len() as u64;
            self.credit -= bytes.len() as u32;
            self.spoke = now;
            out.push_back(Output::Send(id, Lane::Control, Payload::Bytes(bytes)));
        }
        sent
    }

    /// Takes a frame of `len` bytes off the credit; false when it does not fit beside the reserve.
    pub(crate) fn spend(&mut self, len: usize, now: Micros) -> bool {
        let fits = self.open && len as u64 + u64::from(CREDIT_RESERVE) <= u64::from(self.credit);
        if fits {
            self.credit -= len as u32;
            self.spoke = now;
        }
        fits
    }

    /// Whether the peer has asked for anything that is not sent yet, as far as is known without looking at the segments.
    pub(crate) fn is_owed(&self) -> bool {
        self.feed.is_some() || self.repair.is_some()
    }

    /// The same, and also what is held or belongs to the past.
    pub(crate) fn may_be_owed(&self) -> bool {
        self.is_owed() || self.held.is_some() || self.past.is_owed()
    }

    /// Whether one more want of the peer is within its rate.
    pub(crate) fn may_want(&mut self, now: Micros) -> bool {
        self.wants.take(now)
    }

    /// A feed was asked for.
    pub(crate) fn on_feed_asked(&mut self, now: Micros) {
        self.asked = Asked { until: Micros(u64::MAX), since: Some(now), ..Asked::default() };
    }

    /// It refused these stripes, or was given up for them.
    pub(crate) fn on_refused(&mut self, stripes: Stripes, now: Micros) {
        self.refused = Some(now);
        self.refused_stripes = self.refused_stripes.with(stripes);
    }

    /// What it refused may be asked of it again.
    pub(crate) fn take_refused(&mut self) -> Stripes {
        self.refused = None;
        std::mem::take(&mut self.refused_stripes)
    }

    /// A repair was asked for.
    pub(crate) fn on_repair_asked(&mut self, now: Micros) {
        self.asked.until = self.asked.until.max(now + UNDER_WAY);
    }

    /// The feed was taken back, or refused.
    pub(crate) fn on_feed_ended(&mut self, now: Micros) {
        self.asked = Asked { until: now + UNDER_WAY, ..Asked::default() };
    }

    /// Data came: whether data of this peer was asked for.
    pub(crate) fn on_data(&mut self, now: Micros) -> bool {
        self.asked.answered = true;
        now <= self.asked.until
    }

    /// Counts an offence of this weight, one of which is forgiven every ten seconds; true when the peer is to be cut off.
    pub(crate) fn on_offence(&mut self, weight: u32, now: Micros) -> bool {
        let forgiven = now.since(self.offended).0 / FORGIVE_EVERY.0;
        if forgiven > 0 {
            self.offences = self.offences.saturating_sub(forgiven.min(u64::from(OFFENCES_MAX)) as u32);
            self.offended = now;
        }
        self.offences = self.offences.saturating_add(weight);
        self.offences >= OFFENCES_MAX
    }

    /// Whether the round trip is to be measured again.
    pub(crate) fn is_ping_due(&self, every: Micros, now: Micros) -> bool {
        now.since(self.pinged) >= every || self.pinged == Micros(0)
    }

    /// Whether a ping has been under way for so long, and nothing else heard, that there may be nobody.
    pub(crate) fn is_mute(&self, now: Micros) -> bool {
        let round_trip = self.round_trip.unwrap_or(ROUND_TRIP_UNKNOWN).0;
        let answer = Micros(round_trip + round_trip / 4) + ANSWER_SLACK;
        self.called > self.heard && now.since(self.called) > answer
    }

    /// When the last ping was sent.
    pub(crate) fn pinged(&self) -> Micros {
        self.pinged
    }

    /// A ping, to be sent now.
    pub(crate) fn ping(&mut self, nonce: u32, now: Micros) -> PeerMessage {
        self.pinged = now;
        self.ping = Some((nonce, now));
        if self.called <= self.heard {
            self.called = now;
        }
        PeerMessage::Ping { nonce }
    }

    /// A pong came.
    pub(crate) fn on_pong(&mut self, nonce: u32, now: Micros) {
        let Some((_, sent)) = self.ping.take_if(|(pinged, _)| *pinged == nonce) else { return };
        let sample = now.since(sent);
        self.round_trip = Some(self.round_trip.map_or(sample, |old| Micros((old.0 * 7 + sample.0) / 8)));
    }

    /// The peer told its position in these stripes. Marks that this node has passed by its own `position` are forgotten.
    pub(crate) fn on_progress(&mut self, stripes: Stripes, next: Seq, position: Option<Seq>, now: Micros) {
        // Its stripes may come from other parents than before.
        self.marks.retain(|known| known.stripes == stripes || !known.stripes.meets(stripes));
        let known = self.marks.iter().position(|known| known.stripes == stripes);
        let at = known.unwrap_or_else(|| {
            self.marks.push(Marks { stripes, marks: VecDeque::new() });
            self.marks.len() - 1
        });
        let marks = &mut self.marks[at].marks;
        if marks.back().is_none_or(|(last, _)| *last < next) {
            marks.push_back((next, now));
        }
        let passed = |(progress, _): &(Seq, Micros)| position.is_some_and(|position| *progress <= position);
        while marks.len() > MARKS_MAX || (marks.len() > 1 && marks.front().is_some_and(passed)) {
            marks.pop_front();
        }
    }

    /// For how long the peer has been known to have `next` of these stripes, which this node lacks; none when it does not
    /// have it.
    pub(crate) fn ahead_of(&self, stripes: Stripes, next: Seq, now: Micros) -> Option<Micros> {
        let mut told = self.marks.iter().filter(|known| known.stripes.meets(stripes));
        let first = told.next()?.ahead_of(next, now)?;
        told.try_fold(first, |least, known| Some(least.min(known.ahead_of(next, now)?)))
    }

    /// What has come of these stripes.
    pub(crate) fn flow(&self, stripes: Stripes) -> Flow {
        let of_these = Stripes::each().zip(self.flows).filter(|(stripe, _)| stripes.meets(*stripe));
        of_these.fold(Flow::default(), |all, (_, flow)| all.with(flow))
    }

    /// The same of the stripe of this segment, to be changed.
    pub(crate) fn flow_mut(&mut self, seq: Seq) -> &mut Flow {
        &mut self.flows[(seq.0 % u64::from(Stripes::COUNT)) as usize]
    }

    /// Whether the peer said that it lacks `seq`.
    pub(crate) fn lacks(&self, seq: Seq) -> bool {
        self.gap.is_some_and(|(from, to)| from <= seq && seq < to)
    }
}
