//! One state of the whole: the coordinator, the nodes, what is under way between them, what may still go wrong.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use peerstream_coordinator::{ConnId, Input, Origin, Output};
use peerstream_node::reconciler::Action as Step;
use peerstream_overlay::Group;
use peerstream_protocol::control::{Assignment, Down, Hello, Report, Role, Up, When};
use peerstream_protocol::id::{NodeId, Stripes};
use peerstream_protocol::time::Micros;

use super::host::Host;
use super::peer::{Frame, Peer, Said};
use super::scenario::{Mutant, Scenario, Troubles, group, node};
use crate::world::{address, hello};

/// Children of every node and of the source; one spare copy comes on top.
pub const CAPACITY: usize = 2;
/// Assignments under way to one node; the oldest beyond it is lost.
const UNDER_WAY_MAX: usize = 2;
/// When nothing more goes wrong, everything is as planned after this many seconds at the latest.
const SETTLED_MAX: u64 = 45;
/// Things that happen within one of them.
const STEPS_MAX: usize = 500;

#[derive(Clone, Debug, PartialEq, Hash)]
pub struct State {
    scenario: Arc<Scenario>,
    pub host: Arc<Host>,
    now: Micros,
    timer: Micros,
    conns: u64,
    pub peers: BTreeMap<NodeId, Peer>,
    /// Everyone who was ever there, by the index of joining.
    pub names: u64,
    /// The last assignment the coordinator has sent to each.
    pub sent: BTreeMap<NodeId, Assignment>,
    /// Assignments under way, in the order of sending.
    pub down: BTreeMap<NodeId, Vec<Assignment>>,
    /// Reports that others overtake.
    pub late: Vec<(NodeId, Said)>,
    /// What nodes have said to each other, from and to.
    pub wire: BTreeMap<(NodeId, NodeId), VecDeque<Frame>>,
    /// Who has called whom for a link that is not open yet.
    pub calls: BTreeSet<(NodeId, NodeId)>,
    /// Plans handed out.
    pub planned: usize,
    pub left: Troubles,
    /// Times that a living parent let a child go which nobody else had fed.
    pub torn: u64,
    /// Living nodes that were taken for dead.
    expelled: u64,
    pressing: BTreeSet<NodeId>,
}

impl State {
    /// Everyone is placed and fed as the scenario begins.
    pub fn start(scenario: &Arc<Scenario>) -> Self {
        let now = Micros::from_secs(10);
        let mut state = Self {
            scenario: Arc::new(Scenario { mutant: None, silent: None, ..Scenario::clone(scenario) }),
            host: Arc::new(Host::new(now)),
            now,
            timer: now,
            conns: 0,
            peers: BTreeMap::new(),
            names: 0,
            sent: BTreeMap::new(),
            down: BTreeMap::new(),
            late: Vec::new(),
            wire: BTreeMap::new(),
            calls: BTreeSet::new(),
            planned: 0,
            left: Troubles::default(),
            torn: 0,
            expelled: 0,
            pressing: BTreeSet::new(),
        };
        state.connect(Origin::Source, hello(Role::Source));
        scenario.start.iter().for_each(|_| state.join());
        state.settle().expect("newcomers are fed");
        state.plan(group(scenario.start));
        state.settle().expect("the scenario's start is reached");
        let overview = state.host.overview();
        let placed = |(child, parent): &(u64, u64)| {
            overview.nodes.iter().any(|shown| shown.id == node(*child) && shown.parent == Some(node(*parent)))
        };
        assert!(scenario.start.iter().all(placed), "{overview:?}");
        (state.scenario, state.left) = (scenario.clone(), scenario.troubles);
        state
    }

    pub fn everyone(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..=self.names).map(node)
    }

    // The coordinator's side.

    fn input(&mut self, input: Input<'_>) {
        let outputs = Arc::make_mut(&mut self.host).handle(self.now, input);
        for output in outputs {
            match output {
                Output::Send(conn, bytes) => self.on_down(conn, &bytes),
                Output::Close(conn) => self.on_closed(conn),
                Output::StrategyReplaced { .. } => {}
                Output::SetTimer(at) => self.timer = at,
                Output::Overloaded { .. } => {}
            }
        }
    }

    fn owner(&self, conn: ConnId) -> Option<NodeId> {
        self.peers.iter().find(|(_, peer)| peer.conn == Some(conn)).map(|(node, _)| *node)
    }

    fn on_down(&mut self, conn: ConnId, bytes: &[u8]) {
        match Down::decode(bytes).expect("the coordinator speaks properly") {
            Down::Welcome(welcome) => {
                let peer = self.peers.entry(welcome.node).or_insert_with(|| Peer::new(conn, welcome.session));
                (peer.conn, peer.said) = (Some(conn), None);
                self.names = self.names.max(welcome.node.0 & 0xffff_ffff);
            }
            Down::Assign(assignment) => {
                let Some(node) = self.owner(conn) else { return };
                self.sent.insert(node, assignment.clone());
                let under_way = self.down.entry(node).or_default();
                under_way.push(assignment);
                if under_way.len() > UNDER_WAY_MAX {
                    under_way.remove(0);
                }
                self.confirm_at_once(node);
            }
            _ => {}
        }
    }

    /// A node that the coordinator will not have any more starts again somewhere else.
    fn on_closed(&mut self, conn: ConnId) {
        if let Some(node) = self.owner(conn) {
            self.expelled += 1;
            self.vanish(node);
        }
    }

    fn confirm_at_once(&mut self, node: NodeId) {
        if !self.scenario.is(Mutant::ConfirmsAtOnce) {
            return;
        }
        let Assignment { term, version, ref parents, ref children, .. } = self.sent[&node];
        let link = |peer, feeds_me| peerstream_protocol::control::LinkReport {
            peer,
            open: true,
            feeds_me: Stripes::all_if(feeds_me),
            fed_by_me: Stripes::all_if(!feeds_me),
            rtt_ms: 0,
        };
        let links = parents.iter().map(|edge| link(edge.peer, true));
        let links = links.chain(children.iter().map(|edge| link(edge.peer, false))).collect();
        self.say(node, &Up::Report(Report { term, version, links, ..Report::default() }));
    }

    fn say(&mut self, node: NodeId, message: &Up) {
        if let Some(conn) = self.peers.get(&node).and_then(|peer| peer.conn) {
            self.input(Input::Message(conn, &message.encode()));
        }
    }

    fn connect(&mut self, origin: Origin, hello: Hello) {
        self.conns += 1;
        let conn = ConnId(self.conns);
        self.input(Input::Opened { conn, origin });
        self.input(Input::Message(conn, &Up::Hello(hello).encode()));
    }

    // What happens.

    pub fn join(&mut self) {
        self.connect(address(1), hello(Role::Viewer));
        self.go_on();
    }

    /// Somebody whom the source feeds fails to reach it at another address; that makes the strategy think again.
    pub fn plan(&mut self, group: Group) {
        let Some(asker) = self.asker() else { return };
        Arc::make_mut(&mut self.host).script(group);
        self.say(asker, &Up::LinkFailed(NodeId::SOURCE));
        self.go_on();
    }

    pub fn next_plan(&mut self) {
        let plan = group(self.scenario.plans[self.planned]);
        self.planned += 1;
        self.plan(plan);
    }

    pub fn has_plan(&self) -> bool {
        self.planned < self.scenario.plans.len() && self.asker().is_some()
    }

    fn asker(&self) -> Option<NodeId> {
        let neighbours = |a, b| self.sent.get(&a).is_some_and(|sent| sent.peers().contains(&b));
        let asks = |(node, peer): &(&NodeId, &Peer)| {
            peer.conn.is_some() && neighbours(**node, NodeId::SOURCE) && neighbours(NodeId::SOURCE, **node)
        };
        self.peers.iter().find(asks).map(|(node, _)| *node)
    }

    pub fn cut(&mut self, node: NodeId) {
        self.down.remove(&node);
        self.late.retain(|(from, _)| *from != node);
        if let Some(conn) = self.peers.get_mut(&node).and_then(|peer| peer.conn.take()) {
            self.input(Input::Closed(conn));
        }
        self.go_on();
    }

    pub fn resume(&mut self, node: NodeId) {
        let resume = Some((node, self.peers[&node].session));
        self.connect(address(1), Hello { resume, ..hello(Role::Viewer) });
        if self.peers[&node].conn.is_none() {
            // Taken for dead: it starts again under its new name.
            self.vanish(node);
        }
        self.go_on();
    }

    pub fn die(&mut self, node: NodeId) {
        let conn = self.peers.get(&node).and_then(|peer| peer.conn);
        self.vanish(node);
        conn.into_iter().for_each(|conn| self.input(Input::Closed(conn)));
        self.go_on();
    }

    pub fn leave(&mut self, node: NodeId) {
        self.say(node, &Up::Leave);
        self.vanish(node);
        self.go_on();
    }

    fn vanish(&mut self, node: NodeId) {
        self.peers.remove(&node);
        self.down.remove(&node);
        self.late.retain(|(from, _)| *from != node);
        self.calls.retain(|(a, b)| *a != node && *b != node);
        self.wire.retain(|(a, b), _| *a != node && *b != node);
    }

    /// Whether the node has an open link with one that is not there any more.
    pub fn can_notice(&self, node: NodeId, gone: NodeId) -> bool {
        !self.peers.contains_key(&gone) && self.peers[&node].reconciler.link(gone).open
    }

    pub fn notice(&mut self, node: NodeId, gone: NodeId) {
        self.lose_link(node, gone);
        self.go_on();
    }

    /// A second passes. Everyone reports again, and asks parents again that have refused.
    pub fn second(&mut self) {
        let until = self.now + Micros::from_secs(1);
        while self.timer <= until {
            self.now = self.now.max(self.timer);
            self.input(Input::Tick);
        }
        self.now = until;
        for (node, peer) in &mut self.peers {
            if !self.scenario.is(Mutant::SpeaksOnce) {
                peer.said = None;
            }
            for parent in std::mem::take(&mut peer.refused) {
                peer.reconciler.link_mut(parent).wanted = Stripes::NONE;
                self.pressing.insert(*node);
            }
        }
        self.go_on();
    }

    // Assignments and reports.

    /// The `which`th assignment under way to the node arrives, and may arrive once more.
    pub fn deliver(&mut self, node: NodeId, which: usize, once_more: bool) {
        let under_way = self.down.get_mut(&node).expect("something is under way");
        let assignment = if once_more { under_way[which].clone() } else { under_way.remove(which) };
        self.forget_empty(node);
        self.assign(node, assignment);
        self.go_on();
    }

    pub fn lose_assignment(&mut self, node: NodeId, which: usize) {
        self.down.get_mut(&node).expect("something is under way").remove(which);
        self.forget_empty(node);
    }

    fn forget_empty(&mut self, node: NodeId) {
        if self.down.get(&node).is_some_and(Vec::is_empty) {
            self.down.remove(&node);
        }
    }

    fn assign(&mut self, node: NodeId, mut assignment: Assignment) {
        let (older, at_once) = (self.scenario.is(Mutant::TakesOlder), self.scenario.is(Mutant::LetsGoAtOnce));
        if self.scenario.is(Mutant::IgnoresConditions) {
            assignment.children.iter_mut().for_each(|edge| edge.when = When::Now);
        }
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if older {
            assignment.version = assignment.version.max(peer.reconciler.assignment().version + 1);
        }
        if !peer.reconciler.assign(assignment) {
            return;
        }
        for parent in std::mem::take(&mut peer.refused) {
            peer.reconciler.link_mut(parent).wanted = Stripes::NONE;
        }
        if at_once {
            let old = |feeder: &NodeId| !peer.reconciler.is_parent(*feeder);
            let feeders: Vec<_> = peer.reconciler.feeders().filter(old).collect();
            feeders.into_iter().for_each(|feeder| self.release(node, feeder));
        }
        self.pressing.insert(node);
    }

    /// What the node would report now; none when it has no connection or has said so already.
    pub fn news(&self, node: NodeId) -> Option<Said> {
        let peer = self.peers.get(&node).filter(|peer| peer.conn.is_some())?;
        let says = peer.says(self.everyone());
        (peer.said.as_ref() != Some(&says)).then_some(says)
    }

    pub fn report(&mut self, node: NodeId) {
        if let Some(said) = self.say_so(node) {
            self.arrive(node, &said);
        }
        self.go_on();
    }

    /// The node reports, and the report arrives later or not at all.
    pub fn report_late(&mut self, node: NodeId, ever: bool) {
        let said = self.say_so(node);
        self.late.extend(said.filter(|_| ever).map(|said| (node, said)));
    }

    pub fn deliver_late(&mut self, which: usize) {
        let (node, said) = self.late.remove(which);
        self.arrive(node, &said);
        self.go_on();
    }

    fn say_so(&mut self, node: NodeId) -> Option<Said> {
        let said = self.news(node)?;
        self.peers.get_mut(&node)?.said = Some(said.clone());
        Some(said)
    }

    fn arrive(&mut self, node: NodeId, said: &Said) {
        if let Some(peer) = self.peers.get(&node) {
            let report = peer.report(said);
            self.say(node, &Up::Report(report));
        }
    }

    // Links.

    /// Links that can open now: the node with the larger name offers, and the other one answers.
    pub fn openable(&self) -> Vec<(NodeId, NodeId)> {
        let both = |a, b| self.calls.contains(&(a, b)) && self.calls.contains(&(b, a));
        let offered = self.calls.iter().filter(|(a, b)| a > b && self.peers.contains_key(b));
        offered.copied().filter(|(a, b)| self.scenario.slow_links || both(*a, *b)).collect()
    }

    pub fn open(&mut self, a: NodeId, b: NodeId) {
        self.open_link(a, b);
        self.go_on();
    }

    fn open_link(&mut self, a: NodeId, b: NodeId) {
        for (from, to) in [(a, b), (b, a)] {
            self.calls.remove(&(from, to));
            if let Some(peer) = self.peers.get_mut(&from) {
                peer.reconciler.link_mut(to).open = true;
            }
            self.pressing.insert(from);
        }
    }

    /// A link does not open. Both ends try again a second later, or whenever that is.
    pub fn fail_link(&mut self, a: NodeId, b: NodeId) {
        self.say(a, &Up::LinkFailed(b));
        self.go_on();
    }

    fn lose_link(&mut self, node: NodeId, peer: NodeId) {
        self.calls.remove(&(node, peer));
        self.wire.remove(&(peer, node));
        let Some(state) = self.peers.get_mut(&node) else { return };
        // Whether a living peer that closes a link is suspected is a matter of the verdicts, not of the carrying-out.
        if state.on_link_gone(peer) && !self.peers.contains_key(&peer) {
            self.say(node, &Up::Suspect(peer));
        }
        self.pressing.insert(node);
    }

    // What nodes do.

    /// Nodes do what is due; between quick links that is done at once on both sides.
    fn go_on(&mut self) {
        loop {
            if let Some(node) = self.pressing.pop_first() {
                self.reconcile(node);
            } else if self.scenario.slow_links {
                return;
            } else if let Some((a, b)) = self.openable().first().copied() {
                self.open_link(a, b);
            } else if let Some((from, to)) = self.wire.keys().next().copied() {
                self.receive_one(from, to);
            } else {
                return;
            }
        }
    }

    /// Carries out the reconciler's steps, as the node does.
    fn reconcile(&mut self, node: NodeId) {
        let Some(peer) = self.peers.get(&node) else { return };
        peer.held.clone().into_iter().for_each(|asker| self.begin_feed(node, asker));
        while let Some(step) = self.peers.get_mut(&node).and_then(|peer| peer.reconciler.step()) {
            match step {
                Step::Connect(peer) => self.call(node, peer),
                Step::Want(peer, _) => {
                    self.peer(node).reconciler.link_mut(peer).wanted = Stripes::ALL;
                    self.send(node, peer, Frame::Want);
                }
                Step::Release(peer, _) => self.release(node, peer),
                Step::Drop(peer, _) => self.stop_feed(node, peer),
                Step::Close(peer) => {
                    self.lose_link(node, peer);
                    self.lose_link(peer, node);
                }
            }
        }
    }

    fn peer(&mut self, node: NodeId) -> &mut Peer {
        self.peers.get_mut(&node).expect("it acts")
    }

    fn call(&mut self, node: NodeId, peer: NodeId) {
        self.peer(node).reconciler.link_mut(peer);
        self.calls.insert((node, peer));
    }

    fn release(&mut self, node: NodeId, peer: NodeId) {
        let was_fed = self.flows(peer, node);
        self.peer(node).reconciler.link_mut(peer).end_feed(Stripes::ALL);
        self.send(node, peer, Frame::Unwant);
        self.note_torn(was_fed, node);
        self.pressing.insert(node);
    }

    /// Ends a feed that the child has not ended itself.
    fn stop_feed(&mut self, node: NodeId, child: NodeId) {
        let was_fed = self.flows(node, child);
        let peer = self.peer(node);
        peer.reconciler.link_mut(child).fed_by_me = Stripes::NONE;
        peer.held.remove(&child);
        self.send(node, child, Frame::Refused);
        self.note_torn(was_fed, child);
        self.pressing.insert(node);
    }

    /// Whether the node keeps `feeder`, which has fed it and has data.
    fn flows(&self, feeder: NodeId, node: NodeId) -> bool {
        let kept = self.peers.get(&node).map(|peer| peer.reconciler.link(feeder));
        kept.is_some_and(|link| link.wanted.meets(link.feeds_me)) && self.feeds(feeder, node) && self.has_data(feeder)
    }

    fn note_torn(&mut self, was_fed: bool, child: NodeId) {
        let Some(peer) = self.peers.get(&child) else { return };
        let others = peer.reconciler.feeders().any(|feeder| self.keeps(child, feeder));
        self.torn += u64::from(was_fed && !others);
    }

    /// A dead feeder is one that was there until a moment ago.
    fn keeps(&self, node: NodeId, feeder: NodeId) -> bool {
        let link = self.peers[&node].reconciler.link(feeder);
        let feeds = !self.peers.contains_key(&feeder) || self.feeds(feeder, node);
        link.wanted.meets(link.feeds_me) && feeds
    }

    fn send(&mut self, from: NodeId, to: NodeId, frame: Frame) {
        if self.peers.contains_key(&to) {
            self.wire.entry((from, to)).or_default().push_back(frame);
        }
    }

    pub fn receive(&mut self, from: NodeId, to: NodeId) {
        self.receive_one(from, to);
        self.go_on();
    }

    fn receive_one(&mut self, from: NodeId, to: NodeId) {
        let Some(queue) = self.wire.get_mut(&(from, to)) else { return };
        let frame = queue.pop_front();
        if queue.is_empty() {
            self.wire.remove(&(from, to));
        }
        let peer = self.peers.get_mut(&to).expect("frames to the dead are gone");
        let is_parent = peer.reconciler.is_parent(from);
        match frame {
            None => {}
            Some(Frame::Want) => self.begin_feed(to, from),
            Some(Frame::Unwant) => {
                peer.held.remove(&from);
                peer.reconciler.link_mut(from).fed_by_me = Stripes::NONE;
            }
            Some(Frame::Refused) => {
                let link = peer.reconciler.link_mut(from);
                link.feeds_me = Stripes::NONE;
                if is_parent {
                    peer.refused.insert(from);
                } else {
                    link.wanted = Stripes::NONE;
                }
            }
        }
        self.pressing.insert(to);
    }

    /// Answers a want, as `serve.rs` of the node does, but for its own limit of copies: the assignments alone must
    /// keep it.
    fn begin_feed(&mut self, node: NodeId, asker: NodeId) {
        let peer = self.peer(node);
        if !peer.reconciler.link(asker).feeds_me.is_empty() && !peer.reconciler.is_child(asker) {
            peer.held.remove(&asker);
            return self.send(node, asker, Frame::Refused);
        }
        if peer.reconciler.may_feed(asker, Stripes::ALL) {
            peer.held.remove(&asker);
            peer.reconciler.link_mut(asker).fed_by_me = Stripes::ALL;
        } else {
            peer.held.insert(asker);
        }
    }

    /// Whether a piece of this feeder, new to the node, may arrive for the first time.
    pub fn can_confirm(&self, feeder: NodeId, node: NodeId) -> bool {
        let silent = self.scenario.silent.is_some_and(|silent| super::scenario::node(silent) == node);
        let fresh = self.peers.get(&node).is_some_and(|peer| peer.reconciler.link(feeder).feeds_me.is_empty());
        fresh && !silent && self.feeds(feeder, node) && self.has_data(feeder)
    }

    pub fn confirm(&mut self, feeder: NodeId, node: NodeId) {
        self.peer(node).reconciler.link_mut(feeder).feeds_me = Stripes::ALL;
        self.pressing.insert(node);
        self.go_on();
    }

    // What can be seen from above.

    /// Whether `feeder` sends the node what it asks for.
    pub fn feeds(&self, feeder: NodeId, node: NodeId) -> bool {
        let sends = self.peers.get(&feeder).is_some_and(|peer| !peer.reconciler.link(node).fed_by_me.is_empty());
        sends && self.peers.get(&node).is_some_and(|peer| !peer.reconciler.link(feeder).wanted.is_empty())
    }

    pub fn feeders(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        self.peers.keys().copied().filter(move |feeder| self.feeds(*feeder, node))
    }

    /// Everyone above the node, the node itself only when it is above itself.
    pub fn above(&self, node: NodeId) -> BTreeSet<NodeId> {
        let (mut seen, mut todo) = (BTreeSet::new(), vec![node]);
        while let Some(at) = todo.pop() {
            todo.extend(self.feeders(at).filter(|feeder| seen.insert(*feeder)));
        }
        seen
    }

    /// Whether the stream reaches the node.
    pub fn has_data(&self, node: NodeId) -> bool {
        node == NodeId::SOURCE || self.above(node).contains(&NodeId::SOURCE)
    }

    // The end.

    /// Nothing goes wrong any more: whether everything is as planned in the end, and what is not.
    pub fn settle(&mut self) -> Result<(), String> {
        let expelled = self.expelled;
        for _ in 0..SETTLED_MAX {
            let steps = (0..STEPS_MAX).take_while(|_| self.make_progress()).count();
            assert!(steps < STEPS_MAX || self.scenario.slow_links, "quick links come to rest");
            if self.expelled > expelled {
                return Err("a living node was taken for dead".to_owned());
            }
            if self.check_settled().is_ok() {
                return Ok(());
            }
            self.second();
        }
        self.check_settled()
    }

    /// Lets one of the things happen that are due.
    fn make_progress(&mut self) -> bool {
        let all: Vec<_> = self.everyone().filter(|node| self.peers.contains_key(node)).collect();
        let pairs = || all.iter().flat_map(|a| self.everyone().map(|b| (b, *a)));
        let cut = self.peers.iter().find(|(_, peer)| peer.conn.is_none()).map(|(node, _)| *node);
        if let Some(node) = cut {
            self.resume(node);
        } else if !self.late.is_empty() {
            self.deliver_late(0);
        } else if let Some(node) = self.down.keys().next().copied() {
            self.deliver(node, 0, false);
        } else if let Some((gone, node)) = pairs().find(|(gone, node)| self.can_notice(*node, *gone)) {
            self.notice(node, gone);
        } else if let Some((a, b)) = self.openable().first().copied() {
            self.open(a, b);
        } else if let Some((from, to)) = self.wire.keys().next().copied() {
            self.receive(from, to);
        } else if let Some((feeder, node)) = pairs().find(|(feeder, node)| self.can_confirm(*feeder, *node)) {
            self.confirm(feeder, node);
        } else if let Some(node) = all.into_iter().find(|node| self.news(*node).is_some()) {
            self.report(node);
        } else {
            return false;
        }
        true
    }

    /// Everyone has the last assignment that was sent to it.
    pub fn check_latest(&self) -> Result<(), String> {
        for (node, peer) in &self.peers {
            let (has, sent) = (peer.reconciler.assignment(), &self.sent[node]);
            let same = (&has.parents, &has.children) == (&sent.parents, &sent.children);
            if !same || has.version != sent.version {
                return Err(format!("{node} goes by {has:?} and was sent {sent:?}"));
            }
        }
        Ok(())
    }

    fn check_settled(&self) -> Result<(), String> {
        self.check_latest()?;
        let overview = self.host.overview();
        let shown: BTreeSet<_> = overview.nodes.iter().map(|shown| shown.id).collect();
        if overview.waiting > 0 || !shown.iter().eq(self.peers.keys()) {
            return Err(format!("{} wait, members are {shown:?}", overview.waiting));
        }
        for shown in &overview.nodes {
            let peer = &self.peers[&shown.id];
            let link = |other: &NodeId| peer.reconciler.link(*other);
            let wanted: Vec<_> = self.everyone().filter(|other| !link(other).wanted.is_empty()).collect();
            let fed: BTreeSet<_> = peer.reconciler.fed().collect();
            let open: BTreeSet<_> = self.everyone().filter(|other| link(other).open).collect();
            let confirmed = shown.confirmed || shown.id == NodeId::SOURCE || self.scenario.silent.is_some();
            let right = wanted == Vec::from_iter(shown.parent)
                && fed == BTreeSet::from_iter(shown.children.iter().copied())
                && open == peer.reconciler.assignment().peers()
                && self.feeders(shown.id).eq(shown.parent);
            if !right || !confirmed || !self.has_data(shown.id) {
                return Err(format!("{}: wants {wanted:?}, feeds {fed:?}, has open {open:?}: {shown:?}", shown.id));
            }
        }
        Ok(())
    }
}
