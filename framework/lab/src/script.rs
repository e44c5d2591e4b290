//! A conductor for tests of the node alone: it welcomes everybody, passes signals on, and assigns what a test says.

use std::collections::{BTreeMap, VecDeque};

use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::control::{Assignment, Down, Edge, Report, Up, Welcome};
use peerstream_protocol::id::{NodeId, Rendition, Session, Term};
use peerstream_protocol::segment::Kind;
use peerstream_protocol::time::Micros;

use crate::conductor::{Conductor, Conn, From, Order};

/// Assigns what it is told to.
#[derive(Debug)]
pub struct Script {
    cert: EpochCert,
    kind: Kind,
    names: BTreeMap<Conn, NodeId>,
    joined: u64,
    versions: u64,
    orders: VecDeque<Order>,
    /// The last report of each node.
    pub reports: BTreeMap<NodeId, Report>,
    /// Who was reported silent, by whom.
    pub suspects: Vec<(NodeId, NodeId)>,
    /// Who said that a link to whom failed.
    pub failures: Vec<(NodeId, NodeId)>,
    /// Set-up messages are lost before this time.
    pub loses_signals_until: Micros,
}

impl Script {
    /// A conductor for the stream of this certificate.
    pub fn new(cert: EpochCert, kind: Kind) -> Self {
        Self {
            cert,
            kind,
            names: BTreeMap::new(),
            joined: 0,
            versions: 0,
            orders: VecDeque::new(),
            reports: BTreeMap::new(),
            suspects: Vec::new(),
            failures: Vec::new(),
            loses_signals_until: Micros(0),
        }
    }

    /// Sends a node its whole assignment; term and version are filled in.
    pub fn assign(&mut self, node: NodeId, assignment: Assignment) {
        self.versions += 1;
        let assignment = Assignment { term: Term(1), version: self.versions, ..assignment };
        self.send(node, &Down::Assign(assignment));
    }

    /// Assigns a tree: each entry is a node, its parent and its backup. Children and `backs` follow.
    pub fn assign_tree(&mut self, tree: &[(NodeId, NodeId, Option<NodeId>)]) {
        let mut all: BTreeMap<NodeId, Assignment> = BTreeMap::new();
        for (node, parent, backup) in tree {
            all.entry(*node).or_default().parents.push(Edge::now(*parent));
            all.entry(*parent).or_default().children.push(Edge::now(*node));
            if let Some(backup) = backup {
                all.entry(*node).or_default().backup = Some(Edge::now(*backup));
                all.entry(*backup).or_default().backs.push(Edge::now(*node));
            }
        }
        all.into_iter().for_each(|(node, assignment)| self.assign(node, assignment));
    }

    fn send(&mut self, node: NodeId, message: &Down) {
        if let Some((conn, _)) = self.names.iter().find(|(_, name)| **name == node) {
            self.orders.push_back(Order::Send(*conn, message.encode()));
        }
    }

    fn welcome(&mut self, now: Micros, conn: Conn, resume: Option<(NodeId, Session)>) {
        let fresh = NodeId(self.joined);
        let node = resume.map_or(fresh, |(node, _)| node);
        self.joined += u64::from(resume.is_none());
        self.names.insert(conn, node);
        let welcome = Welcome {
            node,
            session: Session([0; 16]),
            ticket: Vec::new(),
            term: Term(1),
            cert: self.cert.clone(),
            rendition: Rendition(0),
            kind: self.kind,
            wall_us: now.0,
            ice: Vec::new(),
        };
        self.orders.push_back(Order::Send(conn, Down::Welcome(Box::new(welcome)).encode()));
    }
}

impl Conductor for Script {
    fn opened(&mut self, _: Micros, _: Conn, _: From) {}

    fn message(&mut self, now: Micros, conn: Conn, bytes: &[u8]) {
        let from = self.names.get(&conn).copied();
        match (Up::decode(bytes), from) {
            (Ok(Up::Hello(hello)), _) => self.welcome(now, conn, hello.resume),
            (Ok(Up::Signal { .. }), _) if now < self.loses_signals_until => {}
            (Ok(Up::Signal { to, attempt, payload }), Some(from)) => {
                self.send(to, &Down::Signal { from, attempt, payload });
            }
            (Ok(Up::Report(report)), Some(from)) => {
                self.reports.insert(from, report);
            }
            (Ok(Up::LinkFailed(peer)), Some(from)) => self.failures.push((from, peer)),
            (Ok(Up::Suspect(peer)), Some(from)) => self.suspects.push((from, peer)),
            (Ok(Up::Ping { nonce }), Some(from)) => self.send(from, &Down::Pong { nonce, wall_us: now.0 }),
            _ => {}
        }
    }

    fn closed(&mut self, _: Micros, conn: Conn) {
        self.names.remove(&conn);
    }

    fn tick(&mut self, _: Micros) {}

    fn poll(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }
}
