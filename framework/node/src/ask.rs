//! Asking: whom to be fed by, when to turn to the backup, and what to have repaired.

use peerstream_protocol::control::Up;
use peerstream_protocol::crypto::Verifier;
use peerstream_protocol::frame::{PARTIALS_MAX, Partial, PeerMessage, Resume, Want};
use peerstream_protocol::id::{NodeId, Seq, Stripes};
use peerstream_protocol::segment::Kind;
use peerstream_protocol::time::Micros;

use crate::course::Course;
use crate::io::LinkId;
use crate::link::Link;
use crate::node::Node;

/// A parent that has been silent for this long, or for one and a half segments, is not waited for.
const PARENT_SILENT_MIN: Micros = Micros::from_millis(300);
/// A feeder that delivers nothing new for this long, while another does, is none.
const FEEDER_IDLE_MAX: Micros = Micros::from_secs(1);
/// A refused or futile request is not made again of the same peer within this time. When many vanish at once a spare copy is free for a
/// moment only.
const REFUSED_AGAIN: Micros = Micros::from_millis(200);
/// A request of which nothing was heard is made again after this long.
const ASK_AGAIN: Micros = Micros::from_millis(500);
/// A newcomer waits this long for its parent's link before it turns to a helper.
const JOIN_PATIENCE: Micros = Micros::from_millis(700);
/// A helper that delivers nothing for this long is let go.
const RESCUE_FUTILE_AFTER: Micros = Micros::from_millis(700);
/// For this long a helper that was asked in vain comes after the others.
const TRIED_OF_LATE: Micros = Micros::from_secs(10);
/// Helpers are asked for a sign of life when nothing has come for this long, or for one and a quarter segments, so that the
/// dead among them are known by the time one is needed. Those heard within this time need not say so again.
const ROLL_CALL_AFTER: Micros = Micros::from_millis(250);
/// And no more often than this.
const ROLL_CALL_AGAIN: Micros = Micros::from_millis(300);
/// A link to a parent that does not carry the stream for this long, although the parent answers, has failed: the coordinator
/// finds another one. Time for it to see first that the fault is the parent's.
const RESCUE_MAX: Micros = Micros::from_secs(15);
/// A parent of a part of the stream keeps up when it is no further than this behind whoever else feeds: no more than what
/// is kept before playing.
const BEHIND_HELPER_MAX: Micros = Micros::from_secs(1);
/// A parent that turned out to be well after a rescue is given half as much time again, up to this many times.
const FALSE_ALARMS_MAX: u32 = 3;
/// One false alarm is forgotten in this time.
const FALSE_ALARM_AGE: Micros = Micros::from_secs(20);
/// A repair asks for this many segments at most.
const REPAIR_SEGMENTS_MAX: u64 = 64;
/// The coordinator is told of starvation this often.
const STARVING_EVERY: Micros = Micros::from_millis(500);

/// How the parents of a node are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parents {
    /// No link to any is open.
    Gone,
    /// Nothing is heard of them.
    Silent,
    /// At least one says something.
    Answer,
}

/// Rescues after which the parent turned out to be well.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FalseAlarms {
    count: u32,
    last: Micros,
    /// The rescue under way began although a parent answered.
    pending: bool,
}

impl FalseAlarms {
    /// How many are remembered.
    fn count(&self, now: Micros) -> u32 {
        self.count.saturating_sub((now.since(self.last).0 / FALSE_ALARM_AGE.0).min(u64::from(u32::MAX)) as u32)
    }

    fn on_parent_back(&mut self, now: Micros) {
        if std::mem::take(&mut self.pending) {
            (self.count, self.last) = ((self.count(now) + 1).min(FALSE_ALARMS_MAX), now);
        }
    }
}

impl<V: Verifier> Node<V> {
    /// Asks a peer for these stripes from the position on, beside those it was asked for already.
    pub(crate) fn ask_for_feed(&mut self, peer: NodeId, stripes: Stripes) {
        let now = self.now;
        let stripes = self.reconciler.link(peer).wanted.with(stripes);
        if stripes.is_empty() {
            return;
        }
        let from = self.missing_of(stripes).map_or(Resume::JoinPoint, Resume::Seq);
        let want = Want { stripes, from, until: None, have: self.partials(stripes) };
        let Some(id) = self.link_with(peer).map(|(id, _)| id) else { return };
        let Some(link) = self.links.get_mut(&id) else { return };
        link.on_feed_asked(now);
        link.gap = None;
        self.counters.overhead_sent += link.say(id, &PeerMessage::Want(want), now, &mut self.out);
        self.reconciler.link_mut(peer).wanted = stripes;
        self.report_soon();
    }

    /// Who was asked for the newest join point of other stripes is asked for what belongs to the one that came first.
    pub(crate) fn ask_from_the_position(&mut self) {
        let Some(first) = self.position.map(Stripes::of) else { return };
        let wanted = |link: &Link| self.reconciler.link(link.peer).wanted;
        let others = self.links.values().filter(|link| !wanted(link).is_empty() && !wanted(link).meets(first));
        let others: Vec<_> = others.map(|link| (link.peer, wanted(link))).collect();
        others.into_iter().for_each(|(peer, stripes)| self.ask_for_feed(peer, stripes));
    }

    /// The pieces that are here of the first of these segments from the position on.
    fn partials(&self, stripes: Stripes) -> Vec<Partial> {
        let Some(from) = self.missing_of(stripes) else { return Vec::new() };
        let begun = self.window.from(from).filter(|(seq, _)| stripes.meets(Stripes::of(*seq)));
        let begun = begun.filter(|(_, segment)| !segment.have.is_empty());
        begun.take(PARTIALS_MAX).map(|(seq, segment)| Partial { seq, have: segment.have }).collect()
    }

    /// A peer does not, or no longer, send these stripes.
    pub(crate) fn on_refused(&mut self, id: LinkId, stripes: Stripes) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        link.on_refused(stripes, now);
        let peer = link.peer;
        // A parent's refusal stands until the pause is over; the reconciler must not ask again at once.
        let of_parent = self.reconciler.of_parent(peer);
        let state = self.reconciler.link_mut(peer);
        let still_sent = state.wanted.without(stripes);
        state.wanted = still_sent.with(state.wanted.and(of_parent));
        state.feeds_me = state.feeds_me.without(stripes);
        if still_sent.is_empty() {
            link.on_feed_ended(now);
        }
        self.report_soon();
    }

    /// Asks refusing parents again, and turns to helpers when no parent delivers.
    pub(crate) fn look_for_feeders(&mut self) {
        if !self.is_receiver() || self.reconciler.assignment().version == 0 {
            return;
        }
        self.ask_refusers_again();
        self.ask_the_silent_again();
        for at in 0..self.courses.len() {
            let course = self.courses[at];
            self.look_for_feeders_of(&course);
        }
    }

    fn look_for_feeders_of(&mut self, course: &Course) {
        self.forget_idle_feeders(course);
        self.end_futile_rescue(course);
        self.call_the_roll(course);
        if self.is_starting() || (self.is_moving(course) && !course.is_whole()) {
            self.confirm_parents(course);
        }
        match self.rescuer(course) {
            Some(helper) if self.is_parent_back(course, helper) => self.end_rescue(course, helper),
            Some(helper) => self.give_up_the_slow(course, helper),
            None => self.begin_rescue(course),
        }
        self.report_starvation(course);
    }

    fn ask_refusers_again(&mut self) {
        let now = self.now;
        let due = |link: &&mut Link| {
            let answers = now.since(link.heard) < PARENT_SILENT_MIN;
            answers && link.refused.is_some_and(|at| now.since(at) >= REFUSED_AGAIN)
        };
        for link in self.links.values_mut().filter(due) {
            let (refused, peer) = (link.take_refused(), link.peer);
            if self.reconciler.is_parent(peer) {
                let state = self.reconciler.link_mut(peer);
                state.wanted = state.wanted.without(refused);
                self.pressing = true;
            }
        }
    }

    /// A new assignment: whoever refused may answer now.
    pub(crate) fn forget_refusals(&mut self) {
        for link in self.links.values_mut().filter(|link| link.refused.is_some()) {
            let refused = link.take_refused();
            let state = self.reconciler.link_mut(link.peer);
            state.wanted = state.wanted.without(refused);
        }
    }

    /// A want may be lost with the first frames of a link: it is said again until something comes.
    fn ask_the_silent_again(&mut self) {
        let now = self.now;
        let unanswered = |link: &&Link| {
            let waited = |since: Option<Micros>| since.is_some_and(|since| now.since(since) >= ASK_AGAIN);
            let silent = waited(link.asked.since) && !link.asked.answered;
            link.open && (silent || waited(link.asked.unusable)) && link.refused.is_none()
        };
        let silent: Vec<_> = self.links.values().filter(unanswered).map(|link| link.peer).collect();
        silent.into_iter().for_each(|peer| self.ask_for_feed(peer, Stripes::NONE));
    }

    /// Who has not delivered anything new for a while, although others have, feeds this node no more.
    fn forget_idle_feeders(&mut self, course: &Course) {
        let idle = FEEDER_IDLE_MAX.max(Micros(self.latency.hop().0 * 4));
        let (now, moved, stripes) = (self.now, course.moved, course.stripes);
        for link in self.links.values() {
            let flow = link.flow(stripes);
            // What the host sends makes all that comes over links a repeat.
            let fed = if self.fallback.is_running() { flow.piece_at } else { flow.fed };
            let is_idle = now.since(fed) > idle && moved > fed + idle;
            if is_idle && self.reconciler.link(link.peer).feeds_me.meets(stripes) {
                let state = self.reconciler.link_mut(link.peer);
                state.feeds_me = state.feeds_me.without(stripes);
                self.pressing = true;
            }
        }
    }

    /// How the parents of a course are. A parent that was suspended for its silence is neither.
    fn parents(&self, course: &Course) -> Parents {
        let failing = self.silent_after(course);
        let mut wanted = self.asked(course).peekable();
        match (wanted.peek().is_some(), wanted.any(|link| self.now.since(link.heard) <= failing)) {
            (false, _) => Parents::Gone,
            (true, false) => Parents::Silent,
            (true, true) => Parents::Answer,
        }
    }

    /// Open links by which the course was asked for.
    fn asked(&self, course: &Course) -> impl Iterator<Item = &Link> {
        let stripes = course.stripes;
        self.links.values().filter(move |link| link.open && self.reconciler.link(link.peer).wanted.meets(stripes))
    }

    /// F: a parent that has been silent for this long has failed. It speaks every 200 ms; segments longer than that may hold
    /// its words up. A parent that only seemed to have failed is given more time.
    fn silent_after(&self, course: &Course) -> Micros {
        let least = PARENT_SILENT_MIN.max(Micros(self.latency.segment().0 * 3 / 2));
        Micros(least.0 + least.0 / 2 * u64::from(course.false_alarms.count(self.now)))
    }

    /// How long a helper must have had what this node lacks before it is asked: any time will do when the parent's link is
    /// gone or silent for F; twice F while the parent answers (then an ancestor has failed, and that one's children act
    /// first), and longer when helpers were asked in vain before: on a busy machine every rescue is one more load.
    fn patience(&self, course: &Course, parents: Parents) -> Micros {
        match parents {
            Parents::Gone if course.next.is_none() || self.is_starting() => JOIN_PATIENCE,
            Parents::Gone | Parents::Silent => Micros(0),
            Parents::Answer => Micros(self.silent_after(course).0 * 2),
        }
    }

    /// While the parent answers and is waited for, since something has been short from then on: when that will end.
    pub(crate) fn patient_until(&self, course: &Course, short: Micros) -> Option<Micros> {
        let answers = self.parents(course) == Parents::Answer;
        let waits = answers && self.rescuer(course).is_none() && self.hole(course).is_none();
        let silent_after = self.silent_after(course);
        let silent = self.asked(course).map(|link| link.heard + silent_after + Micros(1)).max()?;
        let until = silent.min(short + self.patience(course, Parents::Answer));
        (waits && until > self.now).then_some(until)
    }

    /// Whether somebody feeds a course who is no parent of it any more. A new parent may be further from the source than that
    /// one, and bring nothing new as long as both feed.
    fn is_moving(&self, course: &Course) -> bool {
        let stays = |peer: NodeId| self.reconciler.is_parent_of(peer, course.stripes);
        let helps = |peer: NodeId| self.reconciler.helpers().any(|helper| helper == peer);
        self.asked(course).any(|link| !stays(link.peer) && !helps(link.peer))
    }

    /// The helper that feeds a course at present.
    fn rescuer(&self, course: &Course) -> Option<NodeId> {
        let asked = |peer: &NodeId| self.reconciler.link(*peer).wanted.meets(course.stripes);
        self.reconciler.helpers().find(|peer| asked(peer) && !self.reconciler.is_parent_of(*peer, course.stripes))
    }

    /// A helper that delivers nothing, while the node gets nothing, makes room for the next one.
    fn end_futile_rescue(&mut self, course: &Course) {
        let now = self.now;
        let Some(helper) = self.rescuer(course) else { return };
        if self.link_with(helper).is_some_and(|(_, link)| !self.is_futile(course, link)) {
            return;
        }
        self.release(helper, course.stripes);
        if let Some(link) = self.links.values_mut().find(|link| link.peer == helper) {
            link.on_refused(course.stripes, now);
            link.futile = Some(now);
        }
    }

    fn is_futile(&self, course: &Course, link: &Link) -> bool {
        let Some(since) = link.asked.since else { return true };
        let idle = self.now.since(since.max(link.flow(course.stripes).fed).max(course.moved));
        link.is_mute(self.now)
            || idle > RESCUE_FUTILE_AFTER + course.pause(self.latency.segment())
            || (self.is_behind(course, link) && self.is_another_ahead(course, link.peer))
    }

    /// Whether the peer has answered the present want, brings nothing, and has nothing that is not here.
    fn is_behind(&self, course: &Course, link: &Link) -> bool {
        let fed = link.flow(course.stripes).fed;
        link.asked.since.is_some_and(|since| link.heard > since + link.round_trip.unwrap_or_default())
            && link.ahead_of(course.stripes, course.position(), self.now).is_none()
            && self.now.since(course.moved.max(fed))
                > Micros(course.span(self.latency.segment().0)) + self.latency.hop()
    }

    /// Whether another helper has what is missing here.
    fn is_another_ahead(&self, course: &Course, than: NodeId) -> bool {
        let free = |link: &Link| {
            link.open && link.refused.is_none() && !link.is_mute(self.now) && !link.lacks(course.position())
        };
        let promising = |peer: NodeId| self.promise(course, peer) == (None, false);
        let mut others = self.reconciler.helpers().filter(|peer| *peer != than);
        others.any(|peer| promising(peer) && self.link_with(peer).is_some_and(|(_, link)| free(link)))
    }

    /// Asks the helpers for a sign of life while nothing comes.
    fn call_the_roll(&mut self, course: &Course) {
        if self.roll_call_at(course).is_none_or(|at| self.now < at) {
            return;
        }
        let now = self.now;
        let heard = |link: &Link| now.since(link.heard) < ROLL_CALL_AFTER || now.since(link.pinged()) < ROLL_CALL_AGAIN;
        let absent = self.reconciler.helpers().filter_map(|peer| self.link_with(peer));
        let absent: Vec<_> = absent.filter(|(_, link)| link.open && !heard(link)).map(|(id, _)| id).collect();
        for id in absent {
            let nonce = self.chance.u32();
            if let Some(link) = self.links.get_mut(&id) {
                let ping = link.ping(nonce, now);
                self.counters.overhead_sent += link.say(id, &ping, now, &mut self.out);
            }
        }
    }

    /// Whoever may ask in need hears with each answer what there is to get.
    pub(crate) fn tell_those_in_need(&mut self, id: LinkId) {
        if self.links.get(&id).is_some_and(|link| self.reconciler.rescues(link.peer)) {
            self.speak(id);
        }
    }

    /// When the helpers are to be asked for a sign of life if nothing comes until then.
    fn roll_call_at(&self, course: &Course) -> Option<Micros> {
        let segment = self.latency.segment();
        let late = ROLL_CALL_AFTER.max(Micros(segment.0 * 5 / 4)) + course.pause(segment);
        (course.next.is_some() && self.is_media()).then(|| course.moved + late)
    }

    fn begin_rescue(&mut self, course: &Course) {
        let parents = self.parents(course);
        let helpers = self.reconciler.helpers().filter(|peer| self.may_rescue(course, *peer, parents));
        let helper = helpers.min_by_key(|peer| self.promise(course, *peer));
        if let Some(helper) = helper {
            self.counters.takeovers += 1;
            self.course_mut(course.stripes).false_alarms.pending = parents != Parents::Gone;
            self.ask_for_feed(helper, course.stripes);
            self.suspend_silent_parents(course);
        }
    }

    /// How little there is to hope for of a helper: whoever was asked in vain of late comes last, whatever a newer assignment
    /// says, and who is known to have what is missing comes first.
    fn promise(&self, course: &Course, peer: NodeId) -> (Option<Micros>, bool) {
        let link = self.link_with(peer).map(|(_, link)| link);
        let ahead = link.is_some_and(|link| link.ahead_of(course.stripes, course.position(), self.now).is_some());
        let tried = link.and_then(|link| link.futile).filter(|at| self.now.since(*at) < TRIED_OF_LATE);
        (tried, !ahead)
    }

    /// Whether to turn to this helper now: it has what this node lacks, or a segment is overdue and the helper, not being the
    /// backup, need not say all the time what it has.
    fn may_rescue(&self, course: &Course, peer: NodeId, parents: Parents) -> bool {
        let Some((_, link)) = self.link_with(peer).filter(|(_, link)| link.open) else { return false };
        let asked = self.reconciler.link(peer).wanted.meets(course.stripes);
        if link.refused.is_some() || link.is_mute(self.now) || asked || link.lacks(course.position()) {
            return false;
        }
        let patience = self.patience(course, parents);
        let waited = self.now.since(course.moved);
        let waits = if course.next.is_none() { patience } else { patience.min(self.latency.segment()) };
        // Nobody is at the same place in part of the stream: who is ahead may just be nearer to the source.
        let comparable = parents != Parents::Answer || course.is_whole();
        let ahead = link.ahead_of(course.stripes, course.position(), self.now).filter(|_| comparable);
        let ahead = ahead.is_some_and(|ahead| ahead >= patience);
        let overdue = self.overdue_at(course, parents).is_some_and(|at| self.now >= at);
        (ahead && waited >= waits) || (overdue && !self.reconciler.is_backup(peer))
    }

    /// When the next segment is so late that somebody above must have failed: after F if the parents are silent, else after
    /// twice F, and then only in media, whose segments are regular.
    fn overdue_at(&self, course: &Course, parents: Parents) -> Option<Micros> {
        course.next?;
        let failing = self.silent_after(course);
        let due = course.moved + course.pause(self.latency.segment());
        match parents {
            Parents::Gone | Parents::Silent => Some(course.moved + failing),
            Parents::Answer if self.is_media() => Some(due + failing + failing),
            Parents::Answer => None,
        }
    }

    fn is_media(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.kind == Kind::Media)
    }

    /// When to turn to a helper if nothing comes until then.
    pub(crate) fn overdue_due(&self) -> Option<Micros> {
        let due = |course: &Course| [self.overdue_at(course, self.parents(course)), self.roll_call_at(course)];
        let due = self.courses.iter().flat_map(due).flatten();
        let at = due.filter(|at| *at > self.now).min()?;
        self.is_receiver().then_some(at)
    }

    /// What a silent parent would send when it wakes up has come from the helper by then: it is asked anew.
    fn suspend_silent_parents(&mut self, course: &Course) {
        let now = self.now;
        for (id, link) in self.links.iter_mut() {
            let silent = link.open && now.since(link.heard) > PARENT_SILENT_MIN && link.asked.since.is_some();
            if silent && self.reconciler.is_parent_of(link.peer, course.stripes) {
                link.on_refused(Stripes::ALL, now);
                link.on_feed_ended(now);
                let unwant = PeerMessage::Unwant(Stripes::ALL);
                self.counters.overhead_sent += link.say(*id, &unwant, now, &mut self.out);
                self.reconciler.link_mut(link.peer).feeds_me = Stripes::NONE;
            }
        }
    }

    /// Whether a parent delivers again what the helper has had for no longer than L. What it delivered before it failed proves
    /// nothing, however near that still is.
    fn is_parent_back(&self, course: &Course, helper: NodeId) -> bool {
        let (now, hop) = (self.now, self.latency.hop());
        let Some(since) = self.link_with(helper).and_then(|(_, rescuer)| rescuer.asked.since) else { return false };
        let mut parents = self.links.values().filter(|link| link.flow(course.stripes).piece_at > since);
        now.since(since) > hop && parents.any(|link| self.keeps_up(course, link))
    }

    fn end_rescue(&mut self, course: &Course, helper: NodeId) {
        self.confirm_parents(course);
        self.release(helper, course.stripes);
        let now = self.now;
        self.course_mut(course.stripes).false_alarms.on_parent_back(now);
    }

    /// A parent that answers and still does not keep up after a long rescue never will: its link is too slow for the stream.
    fn give_up_the_slow(&mut self, course: &Course, helper: NodeId) {
        let now = self.now;
        let begun = self.link_with(helper).and_then(|(_, link)| link.asked.since);
        if begun.is_none_or(|begun| now.since(begun.max(course.complained)) < RESCUE_MAX) {
            return;
        }
        let silent = self.silent_after(course);
        let slow = |link: &&Link| {
            let asked = link.asked.since.is_some_and(|since| now.since(since) >= RESCUE_MAX);
            let answers = asked && link.open && now.since(link.heard) <= silent;
            answers && self.reconciler.is_parent_of(link.peer, course.stripes)
        };
        if let Some(parent) = self.links.values().find(slow).map(|link| link.peer) {
            self.course_mut(course.stripes).complained = now;
            self.tell(&Up::LinkFailed(parent));
        }
    }

    /// Whether a parent sends pieces no farther than L behind this node's own position. Headers prove nothing: what
    /// follows them may be stuck in a slow uplink.
    fn keeps_up(&self, course: &Course, link: &Link) -> bool {
        let (hop, segment) = (self.latency.hop(), self.latency.segment());
        // The helper may be at the top where the parent is at the bottom.
        let behind = if course.is_whole() { hop } else { hop.max(BEHIND_HELPER_MAX) };
        let slack = course.span(behind.0.div_ceil(segment.0.max(1)));
        let newest = link.flow(course.stripes).piece_in;
        link.open
            && link.refused.is_none()
            && newest.is_some_and(|last| last.next().0.saturating_add(slack) >= course.position().0)
            && self.reconciler.is_parent_of(link.peer, course.stripes)
            && self.reconciler.link(link.peer).wanted.meets(course.stripes)
            && self.now.since(link.heard) <= hop + hop
    }

    /// A parent that keeps pace feeds this node, even if a helper or the starter was always a little faster.
    fn confirm_parents(&mut self, course: &Course) {
        let paced = self.links.values().filter(|link| self.keeps_up(course, link));
        let paced: Vec<_> = paced.map(|link| link.peer).collect();
        for peer in paced {
            let fed = self.kept_up_with(course, peer);
            if !self.reconciler.link(peer).feeds_me.contains(fed) {
                let link = self.reconciler.link_mut(peer);
                link.feeds_me = link.feeds_me.with(fed);
                self.report_soon();
            }
        }
    }

    /// What of the course a parent that keeps up feeds: all that it was asked for, unless it fed a part of that before.
    fn kept_up_with(&self, course: &Course, peer: NodeId) -> Stripes {
        let state = self.reconciler.link(peer);
        let asked = state.wanted.and(course.stripes);
        let Some((_, link)) = self.link_with(peer).filter(|_| state.feeds_me.meets(asked)) else { return asked };
        let since = link.asked.since.unwrap_or(self.now);
        let come = Stripes::each().filter(|stripe| link.flow(*stripe).piece_at > since);
        asked.and(come.fold(Stripes::NONE, Stripes::with))
    }

    fn report_starvation(&mut self, course: &Course) {
        let now = self.now;
        let patience = STARVING_EVERY + course.pause(self.latency.segment());
        let feeds = |link: &Link| link.asked.since.is_some() && now.since(link.flow(course.stripes).fed) < patience;
        let fed = self.links.values().any(feeds);
        let waiting = now.since(course.moved.max(course.starved)) >= patience;
        let ended = self.delivery.has_ended(self.position);
        if !fed && waiting && !ended {
            self.course_mut(course.stripes).starved = now;
            self.tell(&Up::Starving);
        }
    }

    pub(crate) fn on_gap(&mut self, id: LinkId, from: Seq, to: Seq) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.asked.answered = true;
        link.gap = match link.gap {
            Some((start, end)) if from <= end && start <= to => Some((start.min(from), end.max(to))),
            _ => Some((from, to)),
        };
        self.pressing = true;
    }

    /// Has the first hole of each course repaired once it is clear that it will not close by itself.
    pub(crate) fn look_for_holes(&mut self) {
        for at in 0..self.courses.len() {
            let course = self.courses[at];
            if let Some((from, until)) = self.hole(&course) {
                self.repair_when_due(&course, from, until);
            }
        }
    }

    fn repair_when_due(&mut self, course: &Course, from: Seq, until: Seq) {
        let (now, hop) = (self.now, self.latency.hop());
        let touched = self.window.get(from).map_or(course.moved, |segment| segment.touched);
        let told = self.links.values().any(|link| link.asked.since.is_some() && link.lacks(from));
        let again = now.since(course.repair_asked) >= Micros(hop.0 * 2).max(self.parent_round_trip());
        if !again || (!told && now.since(touched.max(course.moved)) < hop) {
            return;
        }
        if let Some(id) = self.repairer(course, from) {
            self.ask_for_repair(course, id, from, until);
        }
    }

    /// The first segment of a course that is missing or incomplete although a later one is here, and the end of that hole.
    fn hole(&self, course: &Course) -> Option<(Seq, Seq)> {
        let next = course.next?;
        let (newest, _) = course.segments(&self.window, next).next_back().filter(|(newest, _)| next < *newest)?;
        let whole = course.segments(&self.window, next.next()).find(|(_, segment)| segment.is_complete());
        let end = whole.map_or(newest, |(seq, _)| seq).0.min(next.0 + REPAIR_SEGMENTS_MAX);
        Some((next, Seq(end)))
    }

    /// Whom to ask: helpers first, then whoever else is ahead; none twice in a row while there is another.
    fn repairer(&self, course: &Course, from: Seq) -> Option<LinkId> {
        let can = |(_, link): &(&LinkId, &Link)| {
            let named = self.reconciler.is_parent(link.peer) || self.reconciler.helpers().any(|peer| peer == link.peer);
            link.open && named && !link.lacks(from)
        };
        let rank = |(id, link): &(&LinkId, &Link)| {
            let last = course.repair_from == Some(**id);
            (last, self.reconciler.is_parent(link.peer), link.round_trip)
        };
        self.links.iter().filter(can).min_by_key(rank).map(|(id, _)| *id)
    }

    fn ask_for_repair(&mut self, course: &Course, id: LinkId, from: Seq, until: Seq) {
        let now = self.now;
        let have = self.partials(course.stripes);
        let want = Want { stripes: course.stripes, from: Resume::Seq(from), until: Some(until), have };
        let Some(link) = self.links.get_mut(&id) else { return };
        link.on_repair_asked(now);
        self.counters.repairs += 1;
        self.counters.overhead_sent += link.say(id, &PeerMessage::Want(want), now, &mut self.out);
        let course = self.course_mut(course.stripes);
        (course.repair_asked, course.repair_from) = (now, Some(id));
    }

    /// Whether nobody who could be asked has this segment.
    pub(crate) fn nobody_has(&self, seq: Seq) -> bool {
        let mut asked = self.links.values().filter(|link| {
            link.open
                && (self.reconciler.is_parent(link.peer) || self.reconciler.helpers().any(|peer| peer == link.peer))
        });
        let any = asked.clone().next().is_some();
        any && asked.all(|link| link.lacks(seq))
    }

    /// The smoothed round trip to whoever feeds this node.
    pub(crate) fn parent_round_trip(&self) -> Micros {
        let feeds = |link: &&Link| link.asked.since.is_some();
        self.links.values().filter(feeds).filter_map(|link| link.round_trip).max().unwrap_or_default()
    }

    /// Tells the new position to the nodes that may step in for each other.
    pub(crate) fn tell_buddies(&mut self) {
        let assignment = self.reconciler.assignment();
        let buddies = assignment.backup.iter().chain(&assignment.backs).map(|edge| edge.peer);
        let ids: Vec<_> = buddies.filter_map(|peer| self.link_with(peer).map(|(id, _)| id)).collect();
        ids.into_iter().for_each(|id| self.speak(id));
    }
}
