//! A small world of model nodes that simply obey their assignments, over a control channel that may lose, double,
//! delay and reorder messages. Links between nodes are perfect; what is under test is the carrying-out.
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use peerstream_coordinator::{Config, ConnId, Coordinator, Input, Limits, NodeOverview, Origin, Output};
use peerstream_overlay::{Context, Event, Group, Plan, TreeStrategy};
use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::control::{
    Assignment, Down, Edge, Figures, Hello, LinkReport, Reason, Report, Role, Up, Welcome, When,
};
use peerstream_protocol::crypto::SecretKey;
use peerstream_protocol::id::{Epoch, NodeId, Seq, Session, Stripes, Term};
use peerstream_protocol::segment::Kind;
use peerstream_protocol::time::Micros;

/// The world moves in steps of this many milliseconds.
pub const STEP_MS: u64 = 10;
/// Silence after which a node suspects a neighbour.
const SUSPECT_AFTER: Micros = Micros::from_millis(300);

pub fn config() -> Config {
    let publisher = SecretKey::from_seed(&[1; 32]);
    let key = SecretKey::from_seed(&[2; 32]).public();
    Config {
        term: Term(1),
        follows: false,
        cert: EpochCert::issue(&publisher, Epoch(1), key, u64::MAX),
        kind: Kind::Media,
        ice: vec!["stun:192.0.2.1:3478".to_owned()],
        strategy: "script".into(),
        secret: [3; 32],
        wall_at_zero_us: 1_000_000,
        limits: Limits::default(),
    }
}

pub fn hello(role: Role) -> Hello {
    let wire = peerstream_protocol::WIRE_VERSION;
    Hello { wire, stream: None, role, capacity: 2, relay: true, untried: false, resume: None, ticket: Vec::new() }
}

/// A strategy that asks for what the test hands it.
#[derive(Clone, Default)]
pub struct Script(Arc<Mutex<Vec<Group>>>, Arc<Mutex<Vec<NodeId>>>);

impl Script {
    /// Of whom it has heard that they underperform.
    pub fn underperforming(&self) -> Vec<NodeId> {
        self.1.lock().unwrap().clone()
    }

    pub fn push(&self, group: Group) {
        self.0.lock().unwrap().push(group);
    }
}

impl TreeStrategy for Script {
    fn attach(&mut self, _: &Context<'_>, _: &mut Plan) {}
    fn on_events(&mut self, _: &Context<'_>, events: &[Event], plan: &mut Plan) {
        let rejected = events.iter().find(|event| matches!(event, Event::Rejected { .. }));
        assert_eq!(rejected, None, "scripts hold valid plans only");
        let underperforms = |event: &Event| if let Event::Underperforms(node) = event { Some(*node) } else { None };
        self.1.lock().unwrap().extend(events.iter().filter_map(underperforms));
        self.0.lock().unwrap().drain(..).for_each(|group| plan.push(group));
    }
}

/// A node that does what it is told.
#[derive(Debug, Default)]
pub struct Model {
    pub conn: Option<ConnId>,
    pub session: Option<Session>,
    pub ticket: Vec<u8>,
    pub assignment: Assignment,
    pub capacity: usize,
    /// Whom it has asked for a feed.
    wanted: BTreeSet<NodeId>,
    /// Whom it feeds.
    pub fed: BTreeSet<NodeId>,
    /// Who has delivered something it did not have.
    confirmed: BTreeSet<NodeId>,
    pub frozen: bool,
    /// It never says that a new parent feeds it, and never lets the old one go.
    pub mute: bool,
    /// Segments behind the source, by its own figures.
    pub behind: u64,
    /// Bytes it has produced or received, by its own figures.
    pub produced: u64,
    /// Segments ahead of the source, by its own figures.
    pub ahead: u64,
    /// It feeds whom it backs up without being asked.
    pub rescues: bool,
    /// It says that its parent does not feed it.
    pub hungry: bool,
    last_report: Option<(u64, Vec<LinkReport>)>,
    reported: Micros,
    silent: BTreeMap<NodeId, Micros>,
    suspected: BTreeMap<NodeId, Micros>,
}

impl Model {
    fn edges(&self) -> impl Iterator<Item = &Edge> {
        let Assignment { parents, children, backup, backs, standby, .. } = &self.assignment;
        parents.iter().chain(children).chain(backup).chain(backs).chain(standby)
    }

    fn names(&self, peer: NodeId) -> bool {
        self.edges().any(|edge| edge.peer == peer)
    }

    fn is_parent(&self, peer: NodeId) -> bool {
        self.assignment.parents.iter().any(|edge| edge.peer == peer)
    }

    fn may_feed(&self, peer: NodeId) -> bool {
        let holds = |when| match when {
            When::Now => true,
            When::ReleasedBy(other) => !self.fed.contains(&other),
            When::FedBy(other) => self.confirmed.contains(&other),
        };
        self.assignment.children.iter().any(|edge| edge.peer == peer && (self.fed.contains(&peer) || holds(edge.when)))
    }
}

#[derive(Clone, Debug)]
struct Packet {
    at: Micros,
    node: NodeId,
    down: bool,
    bytes: Vec<u8>,
}

/// How bad the control channel is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Messages lost, in percent.
    pub lost: u64,
    /// Messages delivered twice, in percent.
    pub doubled: u64,
    /// The most a message is late, in milliseconds; later ones may overtake it.
    pub delay_ms: u64,
}

pub struct World {
    pub coordinator: Coordinator,
    pub script: Script,
    pub now: Micros,
    pub nodes: BTreeMap<NodeId, Model>,
    pub weather: Weather,
    /// Nodes whose orders are held back.
    held: BTreeSet<NodeId>,
    pub refused: BTreeMap<NodeId, Reason>,
    pub welcomes: Vec<(ConnId, Welcome)>,
    pub closed: BTreeSet<ConnId>,
    owners: BTreeMap<ConnId, NodeId>,
    packets: Vec<Packet>,
    chance: u64,
    next_conn: u64,
    timer: Micros,
    /// Nodes that the coordinator said it turned away.
    pub shed: usize,
    /// Why strategies were replaced.
    pub replaced: Vec<String>,
    /// Drops of a child that nobody else fed.
    pub torn: Vec<(NodeId, NodeId)>,
}

impl World {
    pub fn new() -> Self {
        Self::with(config(), 1, None)
    }

    pub fn with(config: Config, seed: u64, strategy: Option<Box<dyn TreeStrategy + Send>>) -> Self {
        let script = Script::default();
        let strategy = strategy.unwrap_or_else(|| Box::new(script.clone()));
        let now = Micros::from_secs(1);
        let mut world = Self {
            coordinator: Coordinator::new(config, strategy, now),
            script,
            now,
            nodes: BTreeMap::new(),
            weather: Weather::default(),
            held: BTreeSet::new(),
            refused: BTreeMap::new(),
            welcomes: Vec::new(),
            closed: BTreeSet::new(),
            owners: BTreeMap::new(),
            packets: Vec::new(),
            chance: seed | 1,
            next_conn: 0,
            timer: now,
            shed: 0,
            replaced: Vec::new(),
            torn: Vec::new(),
        };
        let source = world.connect(Origin::Source, hello(Role::Source));
        assert_eq!(source, Some(NodeId::SOURCE));
        world
    }

    // Coming and going.

    pub fn join(&mut self) -> NodeId {
        self.connect(address(1), hello(Role::Viewer)).expect("welcome")
    }

    pub fn connect(&mut self, origin: Origin, hello: Hello) -> Option<NodeId> {
        let conn = self.open(origin);
        let capacity = usize::from(hello.capacity);
        self.say(conn, &Up::Hello(hello));
        let (_, welcome) = self.welcomes.iter().find(|(of, _)| *of == conn)?.clone();
        let node = welcome.node;
        let model = self.nodes.entry(node).or_insert_with(|| Model { capacity, ..Model::default() });
        (model.conn, model.session, model.ticket) = (Some(conn), Some(welcome.session), welcome.ticket);
        model.last_report = None;
        self.owners.insert(conn, node);
        Some(node)
    }

    pub fn open(&mut self, origin: Origin) -> ConnId {
        self.next_conn += 1;
        let conn = ConnId(self.next_conn);
        self.input(Input::Opened { conn, origin });
        conn
    }

    pub fn say(&mut self, conn: ConnId, message: &Up) {
        self.input(Input::Message(conn, &message.encode()));
    }

    pub fn tell(&mut self, node: NodeId, message: &Up) {
        let conn = self.nodes[&node].conn.expect("connected");
        self.say(conn, message);
    }

    /// The control connection breaks; the node lives on.
    pub fn cut(&mut self, node: NodeId) {
        if let Some(conn) = self.nodes.get_mut(&node).and_then(|model| model.conn.take()) {
            self.owners.remove(&conn);
            self.input(Input::Closed(conn));
        }
    }

    pub fn resume(&mut self, node: NodeId) -> Option<NodeId> {
        let resume = self.nodes[&node].session.map(|session| (node, session));
        let ticket = self.nodes[&node].ticket.clone();
        self.connect(address(1), Hello { resume, ticket, ..hello(Role::Viewer) })
    }

    /// The coordinator dies and another one begins with a higher term. Nobody is connected to it yet.
    pub fn restart(&mut self, config: Config, strategy: Box<dyn TreeStrategy + Send>) {
        self.coordinator = Coordinator::new(config, strategy, self.now);
        self.owners.clear();
        self.welcomes.clear();
        self.nodes.values_mut().for_each(|model| model.conn = None);
        self.packets.clear();
        self.input(Input::Tick);
    }

    /// The node vanishes; its connection stays until somebody notices.
    pub fn kill(&mut self, node: NodeId) {
        self.nodes.remove(&node);
        for model in self.nodes.values_mut() {
            model.fed.remove(&node);
            model.confirmed.remove(&node);
        }
    }

    /// The node vanishes and its connection ends with it.
    pub fn crash(&mut self, node: NodeId) {
        self.cut(node);
        self.kill(node);
    }

    // Orders held back.

    pub fn hold(&mut self, node: NodeId) {
        self.held.insert(node);
    }

    pub fn let_go(&mut self, node: NodeId) {
        self.held.remove(&node);
    }

    // Running.

    /// Puts a plan into force within a second.
    pub fn plan(&mut self, write: impl FnOnce(&mut Group)) {
        let mut group = Group::default();
        write(&mut group);
        self.script.push(group);
        self.run(1_100);
    }

    /// Each of these is fed by that one.
    pub fn place(&mut self, edges: &[(NodeId, NodeId)]) {
        let edges = edges.to_vec();
        self.plan(|group| {
            for (node, parent) in edges {
                group.set_parent(node, Stripes::ALL, parent);
            }
        });
    }

    pub fn run(&mut self, ms: u64) {
        for _ in 0..ms / STEP_MS {
            self.step();
        }
    }

    pub fn step(&mut self) {
        self.now += Micros::from_millis(STEP_MS);
        self.deliver();
        if self.now >= self.timer {
            self.input(Input::Tick);
        }
        let nodes: Vec<_> = self.nodes.iter().filter(|(_, model)| !model.frozen).map(|(node, _)| *node).collect();
        nodes.iter().for_each(|node| self.reconcile(*node));
        nodes.iter().for_each(|node| self.speak(*node));
        self.check();
    }

    fn deliver(&mut self) {
        let now = self.now;
        let due = |packet: &Packet| packet.at <= now && !(packet.down && self.held.contains(&packet.node));
        let (due, later) = std::mem::take(&mut self.packets).into_iter().partition(due);
        self.packets = later;
        let mut due: Vec<Packet> = due;
        due.sort_by_key(|packet| packet.at);
        for packet in due {
            let Some(model) = self.nodes.get_mut(&packet.node).filter(|model| !model.frozen || !packet.down) else {
                continue;
            };
            if packet.down {
                let assignment = match Down::decode(&packet.bytes) {
                    Ok(Down::Assign(assignment)) => assignment,
                    Ok(Down::Probe) => {
                        model.last_report = None;
                        continue;
                    }
                    _ => continue,
                };
                let number = |assignment: &Assignment| (assignment.term, assignment.version);
                if number(&assignment) > number(&model.assignment) {
                    model.assignment = assignment;
                }
            } else if let Some(conn) = model.conn {
                self.input(Input::Message(conn, &packet.bytes));
            }
        }
    }

    fn send(&mut self, node: NodeId, down: bool, bytes: Vec<u8>) {
        let Weather { lost, doubled, delay_ms } = self.weather;
        let copies = if self.roll(100) < lost { 0 } else { 1 + u64::from(self.roll(100) < doubled) };
        for _ in 0..copies {
            let at = self.now + Micros::from_millis(5 + self.roll(delay_ms + 1));
            self.packets.push(Packet { at, node, down, bytes: bytes.clone() });
        }
    }

    pub fn roll(&mut self, below: u64) -> u64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % below.max(1)
    }

    pub fn input(&mut self, input: Input<'_>) {
        self.coordinator.handle(self.now, input);
        while let Some(output) = self.coordinator.poll() {
            match output {
                Output::Send(conn, bytes) => self.on_down(conn, bytes),
                Output::Close(conn) => {
                    self.closed.insert(conn);
                    if let Some(model) = self.owners.remove(&conn).and_then(|node| self.nodes.get_mut(&node)) {
                        model.conn = model.conn.filter(|present| *present != conn);
                    }
                }
                Output::Overloaded { shed, .. } => self.shed += shed,
                Output::StrategyReplaced { why, .. } => self.replaced.push(why),
                Output::SetTimer(at) => self.timer = at,
            }
        }
    }

    fn on_down(&mut self, conn: ConnId, bytes: Vec<u8>) {
        match Down::decode(&bytes).expect("the coordinator speaks properly") {
            Down::Welcome(welcome) => {
                self.owners.insert(conn, welcome.node);
                self.welcomes.push((conn, *welcome));
            }
            Down::Refuse(reason) => {
                if let Some(node) = self.owners.get(&conn) {
                    self.refused.insert(*node, reason);
                }
            }
            _ => {
                if let Some(node) = self.owners.get(&conn).copied() {
                    self.send(node, true, bytes);
                }
            }
        }
    }

    // What a model node does.

    fn reconcile(&mut self, node: NodeId) {
        self.want(node);
        self.feed(node);
        self.release(node);
    }

    fn want(&mut self, node: NodeId) {
        let parents: Vec<_> = self.nodes[&node].assignment.parents.iter().map(|edge| edge.peer).collect();
        for parent in parents.into_iter().filter(|parent| self.nodes.contains_key(parent)).collect::<Vec<_>>() {
            self.nodes.get_mut(&node).unwrap().wanted.insert(parent);
        }
    }

    /// Answers those who ask, and stops feeding those who may not be fed any more.
    fn feed(&mut self, node: NodeId) {
        let asking: Vec<_> =
            self.nodes.iter().filter(|(_, other)| other.wanted.contains(&node)).map(|(id, _)| *id).collect();
        let model = self.nodes.get_mut(&node).unwrap();
        let children: BTreeSet<_> = model.assignment.children.iter().map(|edge| edge.peer).collect();
        let dropped: Vec<_> = model.fed.difference(&children).copied().collect();
        model.fed.retain(|child| children.contains(child));
        for child in asking {
            if model.may_feed(child) {
                model.fed.insert(child);
            }
        }
        for child in dropped {
            self.on_dropped(node, child);
        }
        let fed: Vec<_> = self.nodes[&node].fed.iter().copied().collect();
        if self.has_data(node) {
            for child in fed {
                if let Some(child) = self.nodes.get_mut(&child).filter(|child| child.wanted.contains(&node)) {
                    child.confirmed.insert(node);
                }
            }
        }
    }

    fn on_dropped(&mut self, parent: NodeId, child: NodeId) {
        let Some(model) = self.nodes.get_mut(&child) else { return };
        model.confirmed.remove(&parent);
        if !model.is_parent(parent) {
            model.wanted.remove(&parent);
        }
        let wanted_feed = model.wanted.iter().any(|other| *other != parent);
        if wanted_feed && self.feeders(child).is_empty() && self.has_data(parent) {
            self.torn.push((parent, child));
        }
    }

    fn release(&mut self, node: NodeId) {
        let model = self.nodes.get_mut(&node).unwrap();
        let is_parent = |peer: &NodeId| model.assignment.parents.iter().any(|edge| edge.peer == *peer);
        let served = model.confirmed.iter().any(is_parent) && !model.mute;
        let old: Vec<_> = model.wanted.iter().copied().filter(|peer| served && !is_parent(peer)).collect();
        for peer in old {
            model.wanted.remove(&peer);
            model.confirmed.remove(&peer);
        }
        let gone: Vec<_> =
            self.nodes[&node].wanted.iter().copied().filter(|peer| !self.nodes.contains_key(peer)).collect();
        for peer in gone {
            let model = self.nodes.get_mut(&node).unwrap();
            model.wanted.remove(&peer);
            model.confirmed.remove(&peer);
        }
        let left: Vec<_> = self.nodes[&node]
            .fed
            .iter()
            .copied()
            .filter(|child| self.nodes.get(child).is_none_or(|child| !child.wanted.contains(&node)))
            .collect();
        for child in left {
            self.nodes.get_mut(&node).unwrap().fed.remove(&child);
        }
    }

    fn speak(&mut self, node: NodeId) {
        self.suspect(node);
        let links = self.links(node);
        let now = self.now;
        let model = self.nodes.get_mut(&node).unwrap();
        let state = (model.assignment.version, links);
        let due = now.since(model.reported) >= Micros::from_secs(1);
        if model.conn.is_none() || (model.last_report.as_ref() == Some(&state) && !due) {
            return;
        }
        model.reported = now;
        model.last_report = Some(state.clone());
        let term = model.assignment.term;
        let backup = model.assignment.backup.map(|edge| edge.peer);
        let next = Seq((now.0 / 100_000).saturating_sub(model.behind) + model.ahead);
        let figures = Figures { next, payload_received: model.produced, ..Figures::default() };
        let report = Report { term, version: state.0, backup, links: state.1, figures, ..Report::default() };
        self.send(node, false, Up::Report(report).encode());
    }

    fn suspect(&mut self, node: NodeId) {
        let now = self.now;
        let silent = |peer: &NodeId| self.nodes.get(peer).is_none_or(|peer| peer.frozen);
        let named: BTreeSet<_> = self.nodes[&node].edges().map(|edge| edge.peer).collect();
        let silent: BTreeSet<_> = named.into_iter().filter(silent).collect();
        let model = self.nodes.get_mut(&node).unwrap();
        model.silent.retain(|peer, _| silent.contains(peer));
        let mut suspects = Vec::new();
        for peer in silent {
            let since = *model.silent.entry(peer).or_insert(now);
            let again = model.suspected.get(&peer).is_none_or(|at| now.since(*at) >= Micros::from_secs(1));
            if now.since(since) >= SUSPECT_AFTER && again && model.conn.is_some() {
                model.suspected.insert(peer, now);
                suspects.push(peer);
            }
        }
        suspects.into_iter().for_each(|peer| self.send(node, false, Up::Suspect(peer).encode()));
    }

    fn links(&self, node: NodeId) -> Vec<LinkReport> {
        let model = &self.nodes[&node];
        let named = model.edges().map(|edge| edge.peer);
        let peers: BTreeSet<_> = named.chain(model.wanted.iter().copied()).chain(model.fed.iter().copied()).collect();
        let link = |peer: NodeId| LinkReport {
            peer,
            open: self.nodes.get(&peer).is_some_and(|peer| !peer.frozen),
            feeds_me: Stripes::all_if(
                model.confirmed.contains(&peer) && !((model.mute || model.hungry) && model.is_parent(peer)),
            ),
            fed_by_me: Stripes::all_if(
                model.fed.contains(&peer)
                    || (model.rescues && model.assignment.backs.iter().any(|edge| edge.peer == peer)),
            ),
            rtt_ms: 1,
        };
        peers.into_iter().map(link).collect()
    }

    // What can be seen from above.

    /// Who feeds the node now.
    pub fn feeders(&self, node: NodeId) -> Vec<NodeId> {
        self.nodes.iter().filter(|(_, other)| other.fed.contains(&node)).map(|(id, _)| *id).collect()
    }

    /// Whether the stream reaches the node, over parents or, where none feeds it, its backup.
    pub fn has_data(&self, node: NodeId) -> bool {
        self.reaches(node, &mut BTreeSet::new())
    }

    fn reaches(&self, node: NodeId, seen: &mut BTreeSet<NodeId>) -> bool {
        let alive = self.nodes.get(&node).is_some_and(|model| !model.frozen);
        if node == NodeId::SOURCE || !alive || !seen.insert(node) {
            return node == NodeId::SOURCE && alive;
        }
        if self.feeders(node).into_iter().any(|feeder| self.reaches(feeder, seen)) {
            return true;
        }
        let backup = self.nodes[&node].assignment.backup.map(|edge| edge.peer);
        let backs = |backup: &NodeId| {
            self.nodes.get(backup).is_some_and(|backup| backup.assignment.backs.iter().any(|edge| edge.peer == node))
        };
        backup.filter(backs).is_some_and(|backup| self.reaches(backup, seen))
    }

    /// What must hold at every moment: no cycle among those who feed, and no more copies than allowed.
    fn check(&self) {
        for (node, model) in &self.nodes {
            assert!(model.fed.len() <= model.capacity + 1, "{node} sends {} copies", model.fed.len());
            let mut above: Vec<_> = self.feeders(*node);
            let mut seen = BTreeSet::new();
            while let Some(at) = above.pop() {
                assert_ne!(at, *node, "{node} feeds itself");
                if seen.insert(at) {
                    above.extend(self.feeders(at));
                }
            }
        }
    }

    /// What the coordinator shows of a node.
    pub fn shown(&self, node: NodeId) -> Option<NodeOverview> {
        self.coordinator.overview().nodes.into_iter().find(|shown| shown.id == node)
    }

    /// Everyone is fed by exactly whom the overlay wants, and has said so.
    pub fn check_delivered(&self) {
        let overview = self.coordinator.overview();
        for shown in overview.nodes.iter().filter(|shown| shown.id != NodeId::SOURCE) {
            let feeders = self.feeders(shown.id);
            assert_eq!(feeders, Vec::from_iter(shown.parent), "{} is fed as the overlay wants: {shown:?}", shown.id);
            assert!(shown.confirmed || shown.parent.is_none(), "{shown:?}");
            assert_eq!(shown.version, shown.version_reported, "{shown:?}");
            let named: Vec<_> = self.nodes[&shown.id].assignment.children.iter().map(|edge| edge.peer).collect();
            assert_eq!(BTreeSet::from_iter(named), BTreeSet::from_iter(shown.children.clone()));
        }
        assert_eq!(overview.waiting, 0);
    }
}

pub fn address(last: u8) -> Origin {
    Origin::Address([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, last])
}
