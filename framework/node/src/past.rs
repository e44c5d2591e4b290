//! Going back in time: what is past comes from what is kept here, then from other viewers that keep it, then from the host.
//!
//! The node keeps its place in the overlay and goes on receiving and forwarding what is live; only its player is elsewhere. What
//! others send is checked like anything else. How far ahead is fetched and delivered is bounded, and so is what is under way.

mod asking;
mod place;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::crypto::Verifier;
use peerstream_protocol::frame::{Frame, PeerMessage, decode_header};
use peerstream_protocol::header::{Flags, Header};
use peerstream_protocol::id::{NodeId, Seq};
use peerstream_protocol::segment::{InitId, Kind};
use peerstream_protocol::time::Micros;
use peerstream_protocol::withheld::Withheld;

use crate::few::Few;
use crate::io::{Keeping, LinkId, Output, PlayerState};
use crate::live::Live;
use crate::node::Node;
use crate::starter::Stored;
use crate::window::Segment;

/// Nearer to the live edge than this a viewer is not sent back in time.
const BACK_MIN: Micros = Micros::from_secs(2);
/// The player is handed so much more than it has played.
const AHEAD: Micros = Micros::from_secs(8);
/// A keeper that refused a segment, or was late with it, is asked for the same one again after this long.
const REFUSED: Micros = Micros::from_secs(1);
/// With less than this in store the viewer is short: others are asked for what a keeper has not sent.
const SHORT: Micros = Micros::from_millis(2_500);
/// But not while it has at least this, and that does not shrink.
const STEADY: Micros = Micros::from_secs(1);
/// The first and the longest pause after the host gave nothing.
const HOST_PAUSE: (Micros, Micros) = (Micros::from_secs(2), Micros::from_secs(15));
/// A host that has given nothing so often in a row has nothing to give.
const HOST_FAILURES_MAX: u32 = 3;
/// What nobody has given after this long is passed over.
const LOST_AFTER: Micros = Micros::from_secs(8);
/// And after this long where a link to a keeper is opening, or a keeper owes what is next.
const LOST_AFTER_MAX: Micros = Micros::from_secs(16);
/// So near to the newest segment, with so little in store, the viewer is where the stream is.
const CAUGHT_UP: Micros = Micros::from_millis(1_500);
/// Segments handed to the player that are remembered, and bytes of those that are not kept anyway.
const SHOWN_MAX: usize = 128;
const SHOWN_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A play head further than this from what was handed over is one of another place.
const HEAD_SLACK_US: u64 = 2_000_000;

/// Where a viewer is that has gone back in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// How long ago what it sees was taken in by the source.
    pub behind: Micros,
    /// Open links to nodes that keep what it sees.
    pub keepers: usize,
    /// The host was asked for segments and has not sent them all.
    pub host: bool,
}

/// What a node holds of a part of the stream, with its proofs; see [`Node::evidence`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The publisher's word for the key of this broadcast.
    pub cert: EpochCert,
    /// What the stream carries.
    pub kind: Kind,
    /// The codec headers that the segments need, with their names, as they travel.
    pub inits: Vec<(InitId, Vec<u8>)>,
    /// Each segment in order: its signed header as it travels, and its payload.
    pub segments: Vec<(Vec<u8>, Vec<u8>)>,
}

/// All about the past but what is kept.
#[derive(Debug, Default)]
pub(crate) struct Past {
    pub(crate) keeping: Keeping,
    entered: Option<Box<Entered>>,
    keepers: Few<NodeId, Keeper>,
    /// Keepers that did not give what they were asked for, and when that was known.
    failed: Few<NodeId, Micros>,
    /// The coordinator is not asked for a keeper before that.
    ask_at: Micros,
    /// Whether it has answered the last time.
    answered: bool,
    host: Host,
    /// What was fetched before the viewer went elsewhere, for what is being sent of it just now.
    left: BTreeMap<Seq, Segment>,
}

/// Somebody who may have what is past.
#[derive(Clone, Copy, Debug)]
struct Keeper {
    since: Micros,
    /// When it was last asked.
    asked: Micros,
    /// When it last gave something.
    gave: Option<Micros>,
    /// Since when it has given nothing of what it was asked for.
    vain: Option<Micros>,
}

/// How fetching from the host stands.
#[derive(Debug, Default)]
struct Host {
    /// Since when it has been asked, or has sent something.
    running: Option<Micros>,
    /// It has sent something of what was asked last.
    gave: bool,
    /// The last segment it has sent of that.
    newest: Option<Seq>,
    not_before: Micros,
    failures: u32,
    init: Option<(InitId, Vec<u8>)>,
}

/// The viewer is in the past.
#[derive(Debug)]
struct Entered {
    /// The next segment for the player.
    next: Seq,
    /// When that last moved.
    moved: Micros,
    /// Since when the player has had little in store that has not grown.
    short: Option<Micros>,
    /// The most it has had since it had little.
    most: Micros,
    /// What is behind `next` may be more than is remembered.
    passed: bool,
    /// The player was handed a join point.
    begun: bool,
    fetched: BTreeMap<Seq, Segment>,
    asked: BTreeMap<Seq, Ask>,
    /// Who did not give these, and when that was known; nobody stays here for longer than [`REFUSED`].
    vain: BTreeMap<Seq, Vec<(LinkId, Micros)>>,
    /// Nobody has these.
    lost: BTreeSet<Seq>,
    /// The host does not have this one, or has not answered.
    refused: Option<Seq>,
    init: InitId,
    shown: VecDeque<Shown>,
    position_us: Option<u64>,
    ended: bool,
}

#[derive(Clone, Copy, Debug)]
struct Ask {
    /// None: the host.
    of: Option<LinkId>,
    at: Micros,
}

/// A segment that the player was handed.
#[derive(Clone, Copy, Debug)]
struct Shown {
    seq: Seq,
    pts_us: u64,
    duration_us: u64,
    wall_us: u64,
}

impl Past {
    /// Whether the viewer is there.
    pub(crate) fn is_entered(&self) -> bool {
        self.entered.is_some()
    }

    /// The init of what is played from there.
    pub(crate) fn init(&self) -> Option<InitId> {
        self.entered.as_ref().map(|entered| entered.init)
    }

    /// A segment that was fetched for the viewer.
    pub(crate) fn fetched(&self, seq: Seq) -> Option<&Segment> {
        let entered = self.entered.as_ref().and_then(|entered| entered.fetched.get(&seq));
        entered.or_else(|| self.left.get(&seq))
    }

    /// Lets go of what is over, once nobody can be sending it any more: before the next fact is taken.
    pub(crate) fn let_go(&mut self) {
        self.left.clear();
        if let Some(entered) = self.entered.as_mut().filter(|entered| entered.passed) {
            entered.passed = false;
            entered.let_go_of_shown();
        }
    }

    /// Time has jumped: nobody could have given anything meanwhile.
    pub(crate) fn on_woke(&mut self, now: Micros) {
        if let Some(entered) = &mut self.entered {
            entered.moved = now;
        }
        self.host.running = self.host.running.map(|_| now);
    }

    /// Whether this peer is one of its keepers.
    pub(crate) fn relies_on(&self, peer: NodeId) -> bool {
        self.keepers.contains_key(&peer)
    }
}

impl Entered {
    fn at(next: Seq, now: Micros) -> Self {
        Self {
            next,
            moved: now,
            short: Some(now),
            most: Micros(0),
            passed: false,
            begun: false,
            fetched: BTreeMap::new(),
            asked: BTreeMap::new(),
            vain: BTreeMap::new(),
            lost: BTreeSet::new(),
            refused: None,
            init: InitId::NONE,
            shown: VecDeque::new(),
            position_us: None,
            ended: false,
        }
    }

    fn go_to(&mut self, next: Seq, now: Micros) {
        self.next = next;
        self.moved = now;
        self.passed = true;
        self.lost.retain(|seq| *seq >= next);
        self.vain.retain(|seq, _| *seq >= next);
    }

    /// What the player has in store.
    fn ahead(&self) -> Micros {
        let (Some(first), Some(last)) = (self.shown.front(), self.shown.back()) else { return Micros(0) };
        let head = self.position_us.unwrap_or(first.pts_us).max(first.pts_us);
        Micros((last.pts_us + last.duration_us).saturating_sub(head))
    }

    /// Notes how much the player has in store. While little is there that grows, or something that does not shrink, what comes is
    /// enough, however slowly it does.
    fn note_store(&mut self, now: Micros) {
        let ahead = self.ahead();
        let (since, most) = (self.short.unwrap_or(now), if self.short.is_some() { self.most } else { Micros(0) });
        let segment = Micros(self.shown.back().map_or(0, |shown| shown.duration_us));
        let holds = ahead >= STEADY && most.since(ahead) <= segment;
        self.short = (ahead < SHORT).then_some(if ahead > most || holds { now } else { since });
        self.most = most.max(ahead);
    }

    /// How long the player has had little in store that has not grown.
    fn short_for(&self, now: Micros) -> Micros {
        self.short.map_or(Micros(0), |since| now.since(since))
    }

    fn show(&mut self, header: &Header) {
        let core = &header.core;
        let (pts_us, duration_us) = (core.pts_us, u64::from(core.duration_us));
        self.shown.push_back(Shown { seq: core.seq, pts_us, duration_us, wall_us: core.wall_us });
        if self.shown.len() > SHOWN_MAX {
            self.shown.pop_front();
        }
    }

    /// Payload bytes fetched for the player that it was not handed yet.
    fn bytes(&self) -> usize {
        self.fetched.range(self.next..).map(|(_, segment)| segment.payload_len()).sum()
    }

    /// What the player was handed stays for a while, as evidence of what was seen.
    fn let_go_of_shown(&mut self) {
        let next = self.next;
        self.fetched.retain(|seq, segment| *seq >= next || segment.is_complete());
        let shown = || self.fetched.range(..next);
        let mut count = shown().count();
        let mut bytes: usize = shown().map(|(_, segment)| segment.payload_len()).sum();
        while count > SHOWN_MAX || bytes > SHOWN_BYTES_MAX {
            let Some((_, oldest)) = self.fetched.pop_first() else { return };
            (count, bytes) = (count - 1, bytes - oldest.payload_len());
        }
    }

    fn under_way(&self, link: LinkId) -> usize {
        self.asked.values().filter(|ask| ask.of == Some(link)).count()
    }

    fn in_vain(&mut self, seq: Seq, now: Micros) {
        if let Some(Ask { of: Some(link), .. }) = self.asked.remove(&seq) {
            self.vain.entry(seq).or_default().push((link, now));
        }
    }

    fn forget_vain(&mut self, now: Micros) {
        self.vain.retain(|_, links| {
            links.retain(|(_, at)| now.since(*at) < REFUSED);
            !links.is_empty()
        });
    }

    /// Whether this keeper has just not given this segment.
    fn was_in_vain(&self, seq: Seq, link: LinkId) -> bool {
        self.vain.get(&seq).is_some_and(|links| links.iter().any(|(of, _)| *of == link))
    }
}

impl<V: Verifier> Node<V> {
    pub(crate) fn on_keeping(&mut self, keeping: Keeping) {
        self.past.keeping = keeping;
        // Data is not played, and a source's past is its archive's matter.
        let bytes_max = if self.is_receiver() { keeping.bytes_max } else { 0 };
        self.kept.bound(Keeping { bytes_max, ..keeping });
        if keeping.span == Micros(0) {
            self.return_to_live();
        }
    }

    /// The viewer wants to see what was so long ago.
    pub(crate) fn go_back(&mut self, behind: Micros) {
        let behind = behind.min(self.past.keeping.span);
        let media = self.stream.as_ref().is_some_and(|stream| stream.kind == Kind::Media);
        if behind < BACK_MIN || !media {
            return self.return_to_live();
        }
        let Some(next) = self.seq_behind(behind) else { return };
        self.enter(next);
    }

    fn enter(&mut self, next: Seq) {
        self.end_host_fetch();
        self.past.entered = Some(Box::new(Entered::at(next, self.now)));
        self.live = Live::detached(&self.live);
        self.delivery.lag_ms = 0;
        self.out.push_back(Output::Turn);
        self.pressing = true;
    }

    /// The viewer wants to be where the stream is.
    pub(crate) fn return_to_live(&mut self) {
        let Some(entered) = self.past.entered.take() else { return self.live.return_to_edge() };
        self.past.left = entered.fetched;
        self.end_host_fetch();
        self.dismiss_keepers();
        self.live = Live::after(&self.live);
        self.out.push_back(Output::Turn);
        self.deliver_again();
        self.pressing = true;
    }

    /// Hands out what is live once more, from the last join point on.
    fn deliver_again(&mut self) {
        let Some(position) = self.position else { return };
        let whole = |segment: &Segment| segment.is_complete() && segment.header.core.seq < position;
        let here = || self.window.from(self.window.first()).filter(|(_, segment)| whole(segment));
        // The end of a broadcast counts as a join point, but shows nothing.
        let begins = |segment: &Segment| segment.is_join_point() && !segment.header.core.flags.has(Flags::END);
        let Some((join, _)) = here().rev().find(|(_, segment)| begins(segment)) else { return };
        let again: Vec<_> = here().filter(|(seq, _)| *seq >= join).map(|(seq, s)| (seq, s.header.core)).collect();
        self.delivery.init = InitId::NONE;
        for (seq, core) in again {
            self.hand_over(seq, core.init, core.flags.has(Flags::END));
        }
    }

    /// A segment that is here, whatever for.
    pub(crate) fn held(&self, seq: Seq) -> Option<&Segment> {
        self.window.get(seq).or_else(|| self.kept.get(seq)).or_else(|| self.past.fetched(seq))
    }

    /// What was fetched around the place where the viewer is, without a hole, if it was not received live.
    pub(crate) fn fetched_run(&self) -> Option<(Seq, Seq)> {
        let entered = self.past.entered.as_ref()?;
        let whole = |seq: &u64| self.is_held_whole(Seq(*seq));
        let next = entered.next.0;
        let first = (next.saturating_sub(SHOWN_MAX as u64)..next).rev().take_while(whole).last().unwrap_or(next);
        let end = (next..next + SHOWN_MAX as u64).take_while(whole).last().map_or(next, |last| last + 1);
        let is_fetched = (first..end).any(|seq| entered.fetched.contains_key(&Seq(seq)));
        is_fetched.then_some((Seq(first), Seq(end)))
    }

    fn is_held_whole(&self, seq: Seq) -> bool {
        self.held(seq).is_some_and(Segment::is_complete)
    }

    pub(crate) fn on_player_in_the_past(&mut self, state: &PlayerState) {
        let arrival = self.arrival();
        self.out.extend(self.live.on_state(state, &arrival, self.now));
        let Some(entered) = &mut self.past.entered else { return };
        let (first, last) = (entered.shown.front(), entered.shown.back());
        let (Some(first), Some(last)) = (first, last) else { return };
        let near = first.pts_us.saturating_sub(HEAD_SLACK_US)..=last.pts_us + last.duration_us + HEAD_SLACK_US;
        if near.contains(&state.position_us) {
            entered.position_us = Some(state.position_us);
        }
        self.pressing = true;
    }

    /// Where the viewer is, if it is not where the stream is.
    pub(crate) fn behind(&self) -> Option<Behind> {
        let entered = self.past.entered.as_ref()?;
        let head = entered.position_us.or_else(|| Some(entered.shown.front()?.pts_us));
        let shown = head.and_then(|head| entered.shown.iter().rev().find(|shown| shown.pts_us <= head));
        let behind = match (shown, head, self.wall_us()) {
            (Some(shown), Some(head), Some(wall)) => {
                let taken_in =
                    shown.wall_us.saturating_sub(shown.duration_us) + (head - shown.pts_us).min(shown.duration_us);
                Micros(wall.saturating_sub(taken_in))
            }
            _ => {
                let newest = self.position.unwrap_or(entered.next);
                Micros(newest.0.saturating_sub(entered.next.0).saturating_mul(self.latency.segment().0))
            }
        };
        let open = |peer: &&NodeId| self.link_with(**peer).is_some_and(|(_, link)| link.open);
        let keepers = self.past.keepers.keys().filter(open).count();
        Some(Behind { behind, keepers, host: self.past.host.running.is_some() })
    }

    /// Delivers, asks, gives up.
    pub(crate) fn look_after_past(&mut self) {
        self.deliver_past();
        self.forget_keepers();
        self.forget_late_asks();
        self.ask_for_past();
        self.pass_over_lost();
    }

    fn deliver_past(&mut self) {
        let Some(mut next) = self.past.entered.as_ref().map(|entered| entered.next) else { return };
        while self.deliver_past_one(next) {
            next = self.past.entered.as_ref().map_or(next, |entered| entered.next);
        }
        let now = self.now;
        if let Some(entered) = &mut self.past.entered {
            entered.note_store(now);
        }
        self.return_when_caught_up();
    }

    /// Deals with the next segment; false when it has to wait.
    fn deliver_past_one(&mut self, seq: Seq) -> bool {
        let now = self.now;
        let Some(position) = self.position else { return false };
        let is_withheld = self.withheld.has(seq);
        let header = self.held(seq).filter(|segment| segment.is_complete()).map(|segment| segment.header.clone());
        let Some(entered) = &mut self.past.entered else { return false };
        if seq >= position || entered.ended {
            return false;
        }
        if is_withheld || entered.lost.contains(&seq) {
            entered.begun = false;
            entered.go_to(seq.next(), now);
            return true;
        }
        let Some(header) = header.filter(|_| entered.ahead() < AHEAD) else { return false };
        if header.core.flags.has(Flags::END) {
            entered.ended = true;
            self.out.push_back(Output::Ended);
            return false;
        }
        if entered.begun || header.core.flags.has(Flags::JOIN_POINT) {
            let init = header.core.init;
            if entered.init != init {
                // The driver asks for one init with all orders of a call.
                if self.out.iter().any(|order| matches!(order, Output::Init)) {
                    return false;
                }
                entered.init = init;
                self.out.push_back(Output::Init);
            }
            entered.begun = true;
            entered.show(&header);
            self.out.push_back(Output::Deliver(seq));
        }
        entered.go_to(seq.next(), now);
        true
    }

    /// The publisher was away, or the viewer went on faster than the stream.
    fn return_when_caught_up(&mut self) {
        let Some(entered) = &self.past.entered else { return };
        let at_the_edge = self.position.is_some_and(|position| entered.next >= position);
        if at_the_edge && !entered.ended && entered.begun && entered.ahead() < CAUGHT_UP {
            self.return_to_live();
        }
    }

    // What nobody has.

    /// Goes on with what is here when nobody has what is next.
    fn pass_over_lost(&mut self) {
        let Some(entered) = &self.past.entered else { return };
        let (Some(position), next) = (self.position, entered.next) else { return };
        let patience = if self.is_in_prospect(next) { LOST_AFTER_MAX } else { LOST_AFTER };
        let starved = entered.ahead() < CAUGHT_UP && self.now.since(entered.moved) >= patience;
        // However long it took others to give nothing: what a host may have is not lost before it was asked.
        let host_may = self.past.keeping.host && entered.refused != Some(next);
        if !starved || host_may || next >= position || self.is_held_whole(next) {
            return;
        }
        let kept = self.kept.iter().map(|segment| segment.header.core.seq);
        let fetched = entered.fetched.range(next..).filter(|(_, segment)| segment.is_complete()).map(|(seq, _)| *seq);
        let retained = self.window.from(next).filter(|(_, segment)| segment.is_complete()).map(|(seq, _)| seq);
        let here = kept.chain(fetched).chain(retained).filter(|seq| *seq > next).min().unwrap_or(position);
        self.counters.past_lost += here.0 - next.0;
        let now = self.now;
        if let Some(entered) = &mut self.past.entered {
            entered.begun = false;
            entered.go_to(here, now);
        }
        self.pressing = true;
    }

    /// Whether a keeper may give this before long.
    fn is_in_prospect(&self, seq: Seq) -> bool {
        let opens = |peer: &NodeId| self.link_with(*peer).is_some_and(|(_, link)| !link.open);
        let entered = self.past.entered.as_ref();
        let owed = entered.and_then(|entered| entered.asked.get(&seq)).is_some_and(|ask| ask.of.is_some());
        owed || self.past.keepers.keys().any(opens)
    }

    // What comes.

    /// Whether a segment is one that was asked for of the past.
    pub(crate) fn awaits_past(&self, seq: Seq) -> bool {
        let Some(entered) = &self.past.entered else { return false };
        let begun = entered.fetched.get(&seq).is_some_and(|segment| !segment.is_complete());
        (begun || entered.asked.contains_key(&seq)) && self.window.get(seq).is_none()
    }

    /// A header of the past, over a link or from the host.
    pub(crate) fn take_past_header(&mut self, link: Option<LinkId>, header: Header) {
        let (seq, now) = (header.core.seq, self.now);
        let Some((signed, chain)) = self.signed(&header) else { return };
        if self.held(seq).is_some() {
            return;
        }
        if !self.is_acceptable(&header, &signed, chain) {
            return match link {
                Some(id) => self.on_forged(id),
                None => self.counters.forged += 1,
            };
        }
        let has_init = match link {
            Some(id) => self.has_init(id, header.core.init),
            None => {
                let offered = self.past.host.init.take();
                self.adopt_init(offered, header.core.init)
            }
        };
        if !has_init {
            self.counters.orphans_dropped += 1;
            return;
        }
        let init = header.core.init;
        let Some(entered) = &mut self.past.entered else { return };
        entered.fetched.insert(seq, Segment::new(header, chain, now, Vec::new()));
        self.let_go_of_inits(init);
        for (link, index, bytes) in self.take_orphans(seq) {
            self.take_past_piece(Some(link), seq, index, &bytes);
        }
        self.on_past_progress(seq);
    }

    /// A piece of the past.
    pub(crate) fn take_past_piece(&mut self, link: Option<LinkId>, seq: Seq, index: u8, bytes: &[u8]) {
        let Self { past, verifier, now, .. } = self;
        let segment = past.entered.as_mut().and_then(|entered| entered.fetched.get_mut(&seq));
        let Some(segment) = segment else {
            return link.into_iter().for_each(|link| self.keep_orphan(link, seq, index, bytes));
        };
        match (segment.take(index, bytes, verifier, *now), link) {
            (Stored::Kept { .. }, Some(id)) => {
                self.counters.past_from_peers += bytes.len() as u64;
                let now = self.now;
                if let Some(keeper) = self.keeper_at(id) {
                    (keeper.vain, keeper.gave) = (None, Some(now));
                }
            }
            (Stored::Kept { .. }, None) => self.counters.past_from_host += bytes.len() as u64,
            (Stored::Repeated, Some(id)) => self.on_repeat(id, bytes.len()),
            (Stored::Repeated, None) => self.counters.payload_repeated += bytes.len() as u64,
            (Stored::Forged, Some(id)) => self.on_forged(id),
            (Stored::Forged, None) => self.counters.forged += 1,
            (Stored::Unknown, _) => {}
        }
        self.on_past_progress(seq);
    }

    fn on_past_progress(&mut self, seq: Seq) {
        let Some(entered) = &mut self.past.entered else { return };
        if entered.fetched.get(&seq).is_some_and(Segment::is_complete) {
            entered.asked.remove(&seq);
            entered.vain.remove(&seq);
            self.pressing = true;
        }
    }

    /// A keeper does not send these.
    pub(crate) fn on_not_kept(&mut self, id: LinkId, from: Seq, until: Seq) {
        let now = self.now;
        let Some(entered) = &mut self.past.entered else { return };
        let asked = entered.asked.range(from..until).filter(|(_, ask)| ask.of == Some(id));
        let refused: Vec<_> = asked.map(|(seq, _)| *seq).collect();
        refused.iter().for_each(|seq| entered.in_vain(*seq, now));
        let owes = entered.under_way(id) > 0;
        if !refused.is_empty() && !owes {
            self.on_given_nothing(id);
        } else if !refused.is_empty()
            && let Some(keeper) = self.keeper_at(id)
        {
            keeper.vain = keeper.vain.or(Some(now));
        }
        self.pressing = true;
    }

    /// The host sent a frame of what was asked for.
    pub(crate) fn on_past_fetched(&mut self, frame: &[u8]) {
        if self.past.host.running.is_none() {
            self.counters.unsolicited += 1;
            return;
        }
        self.past.host.running = Some(self.now);
        match Frame::decode(frame) {
            Ok(Frame::Message(PeerMessage::Init(encoded))) => {
                self.past.host.init = Some((InitId::of(&encoded), encoded));
            }
            Ok(Frame::Header(inner)) => match decode_header(inner) {
                Ok(header) if self.awaits_past(header.core.seq) => {
                    self.past.host.newest = self.past.host.newest.max(Some(header.core.seq));
                    self.take_past_header(None, header);
                }
                Ok(_) => {}
                Err(_) => self.counters.malformed += 1,
            },
            Ok(Frame::Piece { seq, index, bytes }) => {
                self.counters.payload_received += bytes.len() as u64;
                self.past.host.gave = true;
                if self.awaits_past(seq) {
                    self.take_past_piece(None, seq, index, bytes);
                }
            }
            _ => self.counters.malformed += 1,
        }
    }

    /// The host has sent all it has of that; not `whole`: it may have more, or has not answered.
    pub(crate) fn on_past_fetch_ended(&mut self, whole: bool) {
        let now = self.now;
        let host = &mut self.past.host;
        if host.running.take().is_none() {
            return;
        }
        if host.gave {
            host.failures = 0;
        } else {
            let pause = Micros(HOST_PAUSE.0.0 << host.failures.min(8)).min(HOST_PAUSE.1);
            host.failures += 1;
            host.not_before = now + pause;
        }
        let (newest, refuses) = (host.newest, whole || host.failures >= HOST_FAILURES_MAX);
        if let Some(entered) = &mut self.past.entered {
            let open: Vec<_> = entered.asked.iter().filter(|(_, ask)| ask.of.is_none()).map(|(seq, _)| *seq).collect();
            for seq in open {
                if seq == entered.next && refuses {
                    entered.refused = Some(seq);
                }
                entered.in_vain(seq, now);
                // It sends in order what it has. What follows may only have been cut off, or may not be in its archive yet.
                if newest.is_some_and(|newest| seq <= newest) {
                    entered.lost.insert(seq);
                    self.counters.past_lost += 1;
                }
            }
        }
        self.pressing = true;
    }

    fn end_host_fetch(&mut self) {
        if self.past.host.running.take().is_some() {
            self.out.push_back(Output::EndFetchPast);
        }
    }

    // What is withheld, and what is let go.

    /// These parts are neither played nor given out from now on.
    pub(crate) fn on_withheld(&mut self, withheld: Withheld) {
        self.kept.withhold(&withheld);
        let here = self.window.from(self.window.first()).map(|(seq, _)| seq);
        // What is still to be received would be missing for whoever is fed.
        let gone: Vec<_> = here.filter(|seq| withheld.has(*seq) && self.position.is_some_and(|p| *seq < p)).collect();
        gone.into_iter().for_each(|seq| self.window.remove(seq));
        self.withheld = withheld;
        let withheld = &self.withheld;
        let Some(entered) = &mut self.past.entered else { return };
        entered.fetched.retain(|seq, _| !withheld.has(*seq));
        let shows = entered.shown.iter().any(|shown| withheld.has(shown.seq));
        let next = entered.next;
        if shows {
            self.enter(next);
        }
        self.pressing = true;
    }

    /// Lets go of inits that nothing here needs any more.
    pub(crate) fn let_go_of_inits(&mut self, next: InitId) {
        let Self { inits, window, kept, past, delivery, .. } = self;
        inits.retain_for(|id| {
            let retained = window.from(window.first()).any(|(_, segment)| segment.header.core.init == id);
            let entered = past.entered.as_ref();
            let played = entered.is_some_and(|entered| {
                entered.init == id || entered.fetched.values().any(|segment| segment.header.core.init == id)
            });
            id == next || id == delivery.init || retained || played || kept.needs(id)
        });
    }

    /// A new epoch: nothing of the old one is of use.
    pub(crate) fn begin_anew_without_past(&mut self) {
        self.end_host_fetch();
        self.kept.clear();
        self.past = Past { keeping: self.past.keeping, ..Past::default() };
        self.withheld = Withheld::default();
        self.forget_guests();
    }

    /// What is here of the media from `from_us` up to `to_us`, microseconds on the payload's timeline, with its proofs. Whole
    /// segments, in order; what is withheld is left out. None before a node was welcomed.
    pub fn evidence(&self, from_us: u64, to_us: u64) -> Option<Evidence> {
        let stream = self.stream.as_ref()?;
        let retained = self.window.from(self.window.first()).map(|(_, segment)| segment);
        let fetched = self.past.entered.iter().flat_map(|entered| entered.fetched.values());
        let all = self.kept.iter().chain(retained).chain(fetched).filter(|segment| segment.is_complete());
        let within = |segment: &&Segment| {
            let core = &segment.header.core;
            let ends = core.pts_us.saturating_add(core.duration_us.into());
            core.pts_us < to_us && ends > from_us && !self.withheld.has(core.seq)
        };
        let chosen: BTreeMap<_, _> = all.filter(within).map(|segment| (segment.header.core.seq, segment)).collect();
        let (cert, kind) = (stream.cert.clone(), stream.kind);
        let mut evidence = Evidence { cert, kind, inits: Vec::new(), segments: Vec::new() };
        let mut inits = BTreeSet::new();
        for segment in chosen.values() {
            let init = segment.header.core.init;
            if let Some(encoded) = self.inits.encoded(init).filter(|_| inits.insert(init)) {
                evidence.inits.push((init, encoded.to_vec()));
            }
            let mut payload = Vec::new();
            segment.copy_payload(&mut payload);
            evidence.segments.push((segment.header.encode(), payload));
        }
        Some(evidence)
    }
}
