//! The coordinator itself: takes inputs apart, runs the strategy, hands assignments out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use peerstream_overlay::maybe::Maybe;
use peerstream_overlay::roster::Roster;
use peerstream_overlay::{
    Context, Event, Group, InBatches, LadderPolicy, Member as Target, Op, Plan, Topology, TreeStrategy,
};
use peerstream_protocol::control::{Down, Reason, Role, Up};
use peerstream_protocol::id::NodeId;
use peerstream_protocol::time::Micros;

use crate::adoption::{self, Adoption};
use crate::carry::Carry;
use crate::config::Config;
use crate::deciders::{Named, Trouble};
use crate::history::{Happened, Happening, History};
use crate::io::{ConnId, Input, Origin, Output};
use crate::limits::{Addresses, Bucket, Rate};
use crate::members::{Conn, Member, Names};
use crate::overview::Counters;
use crate::past::Past;
use crate::performance::{Pace, Struggling};
use crate::retiring::Retiring;
use crate::source_budget::SourceBudget;
use crate::starter::Starters;
use crate::verdicts::{self, Death};

/// The strategy hears of the time, and slow checks run, this often.
const TICK: Micros = Micros::from_secs(1);
/// Pressing matters are looked at this often.
const TICK_PRESSING: Micros = Micros::from_millis(50);
/// Suspects are looked at this often.
const TICK_SUSPECTS: Micros = Micros::from_millis(20);
/// A timer this late means that the coordinator itself was asleep.
const ASLEEP: Micros = Micros::from_millis(500);
/// For how long nobody is condemned for silence after that.
const GRACE: Micros = Micros::from_secs(1);
/// Members that say nothing are looked for in so many parts of the audience, one a second.
const SILENT_PARTS: usize = 8;
/// A part is no smaller than this.
const SILENT_LOOKED_AT_MIN: usize = 1_024;
/// For how long a lost connection says nothing after most were lost: the last nodes come back after their longest pause.
const MASS_GRACE: Micros = Micros::from_secs(6);
/// Below this many members the vanishing of most connections means nothing.
const MASS_MEMBERS_MIN: usize = 4;

/// Decides, with its strategy, who feeds whom, and tells the nodes.
///
/// After every [`Self::handle`] call [`Self::poll`] until it gives nothing. Time never runs backwards.
pub struct Coordinator {
    pub(crate) config: Config,
    pub(crate) strategy: Box<dyn TreeStrategy + Send>,
    pub(crate) topology: Topology,
    pub(crate) members: Roster<NodeId, Member>,
    pub(crate) conns: Roster<ConnId, Conn>,
    pub(crate) carry: Carry,
    pub(crate) names: Names,
    pub(crate) addresses: Addresses,
    pub(crate) counters: Counters,
    pub(crate) now: Micros,
    pub(crate) events: Vec<Event>,
    /// Connections that have not said hello, in the order of their opening, and from where they are.
    pub(crate) unanswered: BTreeMap<(Micros, ConnId), Option<[u8; 16]>>,
    /// Members that are suspected or have no connection.
    pub(crate) watched: BTreeSet<NodeId>,
    /// What is heard of an earlier coordinator's nodes, while this one listens.
    pub(crate) adoption: Option<Adoption>,
    /// Nodes of an earlier term that are gone: they come back as newcomers.
    pub(crate) buried_earlier: BTreeSet<NodeId>,
    pub(crate) starters: Starters,
    pub(crate) past: Past,
    pub(crate) history: History,
    /// What the driver has not heard of yet, if it wants to.
    pub(crate) happened: Option<Vec<Happened>>,
    pub(crate) ladder: Box<dyn LadderPolicy + Send>,
    pub(crate) retiring: Retiring,
    /// Since when there have been too few places.
    pub(crate) unplaced_since: Option<Micros>,
    pub(crate) pace: Pace,
    pub(crate) source_budget: SourceBudget,
    pub(crate) struggling: Struggling,
    /// Where the search for silent members goes on.
    pub(crate) looked_at: NodeId,
    /// Takes over when the strategy fails.
    pub(crate) fallback: Option<Named>,
    pub(crate) trouble: Trouble,
    /// Most connections were lost at once; until then that is taken for the coordinator's own trouble.
    pub(crate) mass_until: Micros,
    pub(crate) ticked: Micros,
    pub(crate) grace_until: Micros,
    pub(crate) timer: Option<Micros>,
    pub(crate) out: VecDeque<Output>,
}

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Coordinator({}, {} members)", self.config.strategy, self.topology.len())
    }
}

impl Coordinator {
    /// A coordinator that begins with an empty overlay, or listens for what an earlier one has left
    /// ([`Config::follows`]). `now` is the driver's monotonic clock.
    pub fn new(config: Config, strategy: Box<dyn TreeStrategy + Send>, now: Micros) -> Self {
        let limits = config.limits;
        let per_address =
            Rate { burst: limits.joins_per_address_burst, per_second: limits.joins_per_address_per_second };
        let mut coordinator = Self {
            carry: Carry::new(config.term),
            names: Names::new(config.term, config.secret),
            addresses: Addresses::new(per_address, limits.addresses_max, now),
            adoption: config.follows.then(|| Adoption::new(now)),
            buried_earlier: BTreeSet::new(),
            starters: Starters::default(),
            past: Past::default(),
            config,
            strategy,
            topology: Topology::new(2),
            members: Roster::default(),
            conns: Roster::default(),
            counters: Counters::default(),
            now,
            events: Vec::new(),
            unanswered: BTreeMap::new(),
            watched: BTreeSet::new(),
            history: History::default(),
            happened: None,
            ladder: Box::new(InBatches::default()),
            retiring: Retiring::default(),
            unplaced_since: None,
            pace: Pace::default(),
            source_budget: SourceBudget::default(),
            struggling: Struggling::new(),
            looked_at: NodeId::SOURCE,
            fallback: None,
            trouble: Trouble::default(),
            mass_until: now,
            ticked: now,
            grace_until: now,
            timer: None,
            out: VecDeque::new(),
        };
        let source = coordinator.member(Role::Source);
        coordinator.members.insert(NodeId::SOURCE, source);
        coordinator.carry.insert(NodeId::SOURCE);
        match coordinator.adoption {
            Some(_) => coordinator.grace_until = now + adoption::WINDOW,
            None => coordinator.attach_strategy(),
        }
        coordinator.set_timer();
        coordinator
    }

    /// Takes in a fact. `now` is monotonic; an earlier time than before counts as the time before.
    pub fn handle(&mut self, now: Micros, input: Input<'_>) {
        self.now = self.now.max(now);
        match input {
            Input::Opened { conn, origin } => self.on_opened(conn, origin),
            Input::Message(conn, bytes) => self.on_bytes(conn, bytes),
            Input::Closed(conn) => self.on_closed(conn),
            Input::Tick => self.on_tick(),
        }
        self.settle();
        self.set_timer();
    }

    /// The next order to the driver.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    // Connections.

    fn on_opened(&mut self, conn: ConnId, origin: Origin) {
        if self.conns.len() >= self.config.limits.connections_max && origin != Origin::Source {
            self.counters.connections_refused += 1;
            return self.out.push_back(Output::Close(conn));
        }
        let messages = Bucket::full(self.message_rate(), self.now);
        let trusted = origin == Origin::Source;
        // Only a join asks for the address.
        let address = match origin {
            Origin::Source => None,
            Origin::Address(address) => Some(address),
        };
        let state = Conn { trusted, opened_at: self.now, node: Maybe::default(), messages, dropped: 0, malformed: 0 };
        self.conns.insert(conn, state);
        self.unanswered.insert((self.now, conn), address);
    }

    fn on_bytes(&mut self, conn: ConnId, bytes: &[u8]) {
        let (now, rate, limits) = (self.now, self.message_rate(), self.config.limits);
        let Some(state) = self.conns.get_mut(conn) else { return };
        self.counters.messages_in += 1;
        self.counters.bytes_in += bytes.len() as u64;
        if !state.trusted && !state.messages.take(rate, now) {
            state.dropped += 1;
            self.counters.messages_dropped += 1;
            if state.dropped >= limits.messages_dropped_max {
                self.misbehaved(conn);
            }
            return;
        }
        state.dropped = 0;
        let Ok(message) = Up::decode(bytes) else {
            state.malformed += 1;
            self.counters.malformed += 1;
            if state.malformed >= limits.malformed_max {
                self.misbehaved(conn);
            }
            return;
        };
        match (state.node.get(), message) {
            (_, Up::Hello(hello)) => self.on_hello(conn, hello),
            (Some(node), message) => self.on_message(conn, node, message),
            (None, _) => self.counters.unexpected += 1,
        }
    }

    fn on_message(&mut self, conn: ConnId, node: NodeId, message: Up) {
        if let Some(member) = self.members.get_mut(node) {
            member.heard = self.now;
        }
        match message {
            Up::Hello(_) => {}
            Up::Report(report) => self.on_report(node, report),
            Up::Signal { to, attempt, payload } => self.on_signal(node, to, attempt, payload),
            Up::LinkFailed(peer) => self.on_link_failed(node, peer),
            Up::Suspect(peer) => self.on_suspect(node, peer),
            Up::Starving => self.on_starving(node),
            Up::Past { from, but } => self.on_past(node, from, &but),
            Up::Leave => self.on_leave(node),
            Up::Starter { to, frames } => self.pass_starter(node, to, frames),
            Up::Ping { nonce } => self.send(conn, &Down::Pong { nonce, wall_us: self.wall_us() }),
        }
    }

    fn on_closed(&mut self, conn: ConnId) {
        let Some(state) = self.conns.remove(conn) else { return };
        self.unanswered.remove(&(state.opened_at, conn));
        if let Some(node) = state.node.get() {
            self.lose(node);
        }
    }

    /// A member's connection is gone; the member is not.
    fn lose(&mut self, node: NodeId) {
        let Some(member) = self.members.get_mut(node) else { return };
        (member.conn, member.lost_at) = (Maybe::default(), Some(self.now).into());
        self.watched.insert(node);
        self.carry.set_online(node, false);
        self.note(node, Happening::Disconnected);
    }

    fn misbehaved(&mut self, conn: ConnId) {
        self.counters.misbehaved += 1;
        let node = self.conns.get(conn).and_then(|state| state.node.get());
        self.refuse(conn, Reason::Misbehaved);
        match node {
            Some(NodeId::SOURCE) => self.lose(NodeId::SOURCE),
            Some(node) => {
                self.note(node, Happening::TurnedAway { reason: Reason::Misbehaved });
                self.bury(node, Reason::Misbehaved);
            }
            None => {}
        }
    }

    pub(crate) fn refuse(&mut self, conn: ConnId, reason: Reason) {
        self.send(conn, &Down::Refuse(reason));
        self.close(conn);
    }

    pub(crate) fn close(&mut self, conn: ConnId) {
        if let Some(state) = self.conns.remove(conn) {
            self.unanswered.remove(&(state.opened_at, conn));
            self.out.push_back(Output::Close(conn));
        }
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.out.push_back(output);
    }

    pub(crate) fn send(&mut self, conn: ConnId, message: &Down) {
        let bytes = message.encode();
        self.counters.messages_out += 1;
        self.counters.bytes_out += bytes.len() as u64;
        self.out.push_back(Output::Send(conn, bytes));
    }

    // Coming and going.

    /// A member that is not in the overlay yet.
    pub(crate) fn member(&self, role: Role) -> Member {
        Member::new(role, Bucket::full(self.signal_rate(), self.now), self.now)
    }

    /// Takes a newcomer in.
    pub(crate) fn admit(&mut self, node: NodeId, role: Role, target: Target) {
        self.topology.insert(node, target).expect("a name is given once");
        self.members.insert(node, self.member(role));
        self.carry.insert(node);
        self.events.push(Event::Joined(node));
    }

    fn on_leave(&mut self, node: NodeId) {
        if node == NodeId::SOURCE {
            return self.counters.unexpected += 1;
        }
        self.counters.left += 1;
        self.note(node, Happening::Left);
        if let Some(conn) = self.members.get_mut(node).and_then(|member| member.conn.take()) {
            self.close(conn);
        }
        self.bury(node, Reason::TakenForDead);
    }

    /// Takes a member out. If it is still connected it is told why, and may come back as a newcomer.
    pub(crate) fn bury(&mut self, node: NodeId, reason: Reason) {
        let Some(target) = self.topology.remove(node) else { return };
        let member = self.members.remove(node);
        if self.names.is_earlier(node) {
            self.buried_earlier.insert(node);
        }
        self.watched.remove(&node);
        self.struggling.remove(&node);
        self.retiring.forget(node);
        self.end_starter(node);
        if let Some(conn) = member.and_then(|member| member.conn.get()) {
            self.refuse(conn, reason);
        }
        let parents = target.parents().iter().map(|(parent, _)| *parent);
        let helpers = target.backup().into_iter().chain(target.standby().iter().copied());
        let children = target.children().iter().map(|(child, _)| child);
        let served = children.chain(target.backs()).chain(target.stands_by_for()).copied();
        parents.chain(helpers).chain(served).for_each(|neighbour| self.carry.touch(neighbour));
        self.carry.remove(node, self.now);
        self.events.push(Event::Left(node));
    }

    // Time.

    fn on_tick(&mut self) {
        let late = self.timer.take_if(|timer| *timer <= self.now).map(|timer| self.now.since(timer));
        if late.is_some_and(|late| late >= ASLEEP) {
            self.grace_until = self.now + GRACE;
        }
        self.close_unanswered();
        self.retire_when_due();
        let full = self.now.since(self.ticked) >= TICK;
        if full {
            self.ticked = self.now;
            self.events.push(Event::Tick);
            self.addresses.forget_idle(self.now);
            self.end_old_starters();
            self.watch_silent();
            self.watch_neglect();
            self.ask_ladder();
        }
        self.judge();
        self.end_adoption_when_over();
        self.carry.on_tick(&self.topology, self.now);
    }

    fn close_unanswered(&mut self) {
        let patience = Micros::from_millis(self.config.limits.hello_timeout_ms);
        while let Some((&(opened, conn), _)) = self.unanswered.first_key_value() {
            if self.now.since(opened) < patience {
                break;
            }
            self.counters.hello_timeouts += 1;
            self.close(conn);
            self.unanswered.remove(&(opened, conn));
        }
    }

    /// Looks for members that say nothing: a part of them each time, and all of a small audience.
    fn watch_silent(&mut self) {
        let part = (self.members.len() / SILENT_PARTS).max(SILENT_LOOKED_AT_MIN);
        let mut rest = self.members.iter_from(self.looked_at).take(part + 1);
        let looked_at = rest.by_ref().take(part);
        let silent = looked_at.filter(|(_, member)| self.now.since(member.heard) >= verdicts::MUTE);
        self.watched.extend(silent.map(|(node, _)| node));
        self.looked_at = rest.next().map_or(NodeId::SOURCE, |(node, _)| node);
    }

    /// Looks at everyone who might be dead.
    fn judge(&mut self) {
        self.watched.remove(&NodeId::SOURCE);
        if self.watched.is_empty() || self.now < self.grace_until {
            return;
        }
        self.look_for_mass_loss();
        for node in self.watched.clone() {
            self.judge_one(node);
        }
    }

    /// Looks at one who might be dead.
    pub(crate) fn judge_one(&mut self, node: NodeId) {
        if self.now < self.grace_until {
            return;
        }
        let Some(member) = self.members.get_mut(node) else {
            self.watched.remove(&node);
            return;
        };
        if let Some(death) = verdicts::verdict(member, self.now < self.mass_until, self.now) {
            return self.condemn(node, death);
        }
        member.suspicion = member.suspicion.take().filter(|suspicion| !suspicion.is_over(member, self.now));
        let heard = member.heard;
        let probe = member.suspicion.as_mut().is_some_and(|suspicion| suspicion.takes_probe(heard, self.now));
        let probed = member.conn.get().filter(|_| probe);
        let silent = self.now.since(heard) >= verdicts::MUTE;
        if member.suspicion.is_none() && member.lost_at.is_none() && !silent {
            self.watched.remove(&node);
        }
        if let Some(conn) = probed {
            self.probe(conn);
        }
    }

    /// Asks a node for a sign of life.
    pub(crate) fn probe(&mut self, conn: ConnId) {
        self.counters.probes += 1;
        self.send(conn, &Down::Probe);
    }

    fn condemn(&mut self, node: NodeId, death: Death) {
        self.note(node, Happening::Died { death });
        match death {
            Death::Suspected => self.counters.died_suspected += 1,
            Death::Disconnected => self.counters.died_disconnected += 1,
            Death::Silent => self.counters.died_silent += 1,
        }
        self.bury(node, Reason::TakenForDead);
    }

    fn look_for_mass_loss(&mut self) {
        let lost = self.watched.iter().filter(|node| self.members.get(**node).is_some_and(|m| m.lost_at.is_some()));
        let members = self.topology.len();
        let mass = members >= MASS_MEMBERS_MIN && lost.count() * 2 > members;
        if mass {
            self.counters.mass_losses += u64::from(self.now >= self.mass_until);
            self.mass_until = self.now + MASS_GRACE;
        }
    }

    fn set_timer(&mut self) {
        let pressing = self.adoption.is_some() || self.carry.is_pressing();
        let mut at = self.ticked + TICK;
        if pressing {
            at = at.min(self.now + TICK_PRESSING);
        }
        if let Some(due) = self.retiring.due {
            at = at.min(due);
        }
        if !self.watched.is_empty() {
            at = at.min(self.now + TICK_SUSPECTS);
        }
        if let Some(((opened, _), _)) = self.unanswered.first_key_value() {
            at = at.min(*opened + Micros::from_millis(self.config.limits.hello_timeout_ms));
        }
        let at = at.max(self.now + Micros(1));
        // A timer that is set earlier anyway does no harm and saves an order per message.
        if self.timer.is_none_or(|timer| timer > at || timer <= self.now) {
            self.timer = Some(at);
            self.out.push_back(Output::SetTimer(at));
        }
    }

    // Planning and carrying out.

    /// Lets the strategy answer what has happened, and sends what follows from it.
    fn settle(&mut self) {
        if self.adoption.is_some() {
            return;
        }
        // A second round answers rejections of the first.
        for _ in 0..2 {
            if self.events.is_empty() {
                break;
            }
            let mut events = std::mem::take(&mut self.events);
            let mut plan = Plan::default();
            let now = Micros(self.wall_us());
            let context = Context { topology: &self.topology, now, source: NodeId::SOURCE };
            self.strategy.on_events(&context, &events, &mut plan);
            self.commit(&plan);
            events.clear();
            if self.events.is_empty() {
                // The same memory serves for the next ones.
                self.events = events;
            }
        }
        self.mind_strategy();
        self.begin_starters();
        self.carry.advance(&self.topology, self.now);
        let mut moved = self.carry.take_moved();
        for (node, parent) in moved.drain(..) {
            self.note(node, Happening::Moved { to: parent });
        }
        self.carry.give_back(moved);
        let Self { carry, members, counters, out, .. } = self;
        carry.flush(&self.topology, self.now, |node, message| {
            if let Some(conn) = members.get(node).and_then(|member| member.conn.get()) {
                counters.messages_out += 1;
                counters.bytes_out += message.len() as u64;
                out.push_back(Output::Send(conn, message));
            }
        });
    }

    /// The strategy takes over the overlay as it is.
    pub(crate) fn attach_strategy(&mut self) {
        let mut plan = Plan::default();
        let now = Micros(self.wall_us());
        let context = Context { topology: &self.topology, now, source: NodeId::SOURCE };
        self.strategy.attach(&context, &mut plan);
        self.commit(&plan);
    }

    fn commit(&mut self, plan: &Plan) {
        let mut rejected = false;
        for (index, group) in plan.groups().iter().enumerate() {
            self.touch_ends(group);
            match self.topology.commit(group) {
                Ok(()) => {
                    self.counters.groups_committed += 1;
                    self.touch_ends(group);
                    group.ops().iter().for_each(|op| self.retarget(op));
                }
                Err(reason) => {
                    rejected = true;
                    self.counters.groups_rejected += 1;
                    self.events.push(Event::Rejected { group: index, reason });
                }
            }
        }
        // A plan of nothing says nothing.
        if rejected {
            self.trouble.rejections += 1;
        } else if !plan.groups().is_empty() {
            self.trouble.rejections = 0;
        }
    }

    fn retarget(&mut self, op: &Op) {
        let node = op.node();
        if matches!(op, Op::SetParent { .. } | Op::Detach { .. }) {
            self.carry.retarget(&self.topology, node, self.now);
        }
    }

    /// An operation touches the assignments of its node and of whoever is at the other end of the edge, before and after.
    fn touch_ends(&mut self, group: &Group) {
        for op in group.ops() {
            let node = op.node();
            self.carry.touch(node);
            let Some(member) = self.topology.get(node) else { continue };
            if matches!(op, Op::SetBackup { .. } | Op::Detach { .. }) {
                member.backup().into_iter().for_each(|backup| self.carry.touch(backup));
            }
            if matches!(op, Op::SetStandby { .. } | Op::Detach { .. }) {
                member.standby().iter().for_each(|standby| self.carry.touch(*standby));
            }
        }
    }

    // Small things.

    pub(crate) fn wall_us(&self) -> u64 {
        self.config.wall_at_zero_us.saturating_add(self.now.0)
    }

    fn message_rate(&self) -> Rate {
        Rate { burst: self.config.limits.messages_burst, per_second: self.config.limits.messages_per_second }
    }

    pub(crate) fn signal_rate(&self) -> Rate {
        Rate { burst: self.config.limits.signals_burst, per_second: self.config.limits.signals_per_second }
    }
}
