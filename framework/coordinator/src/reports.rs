//! What nodes tell: reports, suspicions, failed links, need, and whether they relay.

use peerstream_overlay::Event;
use peerstream_protocol::control::{LinkReport, Report};
use peerstream_protocol::id::{NodeId, Stripes};
use peerstream_protocol::time::Micros;

use crate::coordinator::Coordinator;
use crate::history::Happening;
use crate::overview::{Counters, NodeOverview, Overview};
use crate::past::Offer;
use crate::verdicts::Suspicion;

impl Coordinator {
    pub(crate) fn on_report(&mut self, node: NodeId, report: Report) {
        for link in report.links.iter().filter(|link| link.open && link.peer != node) {
            // Only a neighbour can vouch for a node.
            if !self.carry.names(link.peer, node) {
                continue;
            }
            let Some(peer) = self.members.get_mut(link.peer) else { continue };
            peer.seen_open = Some(self.now).into();
            if let Some(suspicion) = &mut peer.suspicion {
                suspicion.withdraw(node);
            }
        }
        if report.links.iter().any(|link| !link.feeds_me.is_empty()) {
            self.end_starter(node);
        }
        let capacity = self.topology.get(node).map_or(0, |member| member.capacity);
        self.set_ability(node, capacity, report.relay, report.untried);
        match &mut self.adoption {
            Some(adoption) => adoption.on_report(node, &report, self.config.limits.nodes_max),
            None => self.carry.on_report(node, &report, self.now),
        }
        self.remember_links(node, &report);
        if self.adoption.is_none() {
            self.note_rescue(node);
            self.assess(node);
        }
    }

    /// Remembers what was reported, and tells the strategy of round trips if it wants to know. Of the two ends of a link the
    /// later name tells.
    fn remember_links(&mut self, node: NodeId, report: &Report) {
        let Self { members, carry, events, strategy, adoption, now, .. } = self;
        let Some(member) = members.get_mut(node) else { return };
        member.figures = report.figures;
        member.offer = report.kept.map(|kept| Box::new(Offer { kept, told: *now }));
        if adoption.is_some() || !strategy.wants_round_trips() {
            return member.links.set(&report.links);
        }
        member.links.set_telling(&report.links, |peer, rtt_ms| {
            if peer < node && carry.names(node, peer) {
                events.push(Event::RoundTrip { a: node, b: peer, rtt_ms });
            }
        });
    }

    /// Remembers when somebody else than the parent begins to feed a node that has a parent.
    fn note_rescue(&mut self, node: NodeId) {
        let confirmed = self.carry.is_confirmed(node);
        let Self { members, carry, .. } = self;
        let Some(member) = members.get_mut(node) else { return };
        let rescues = |link: &LinkReport| !link.feeds_me.is_empty() && !carry.has_issued(node, link.peer);
        let rescuer = member.links.iter().find(rescues).map(|link| link.peer).filter(|_| confirmed);
        let before = std::mem::replace(&mut member.rescued, rescuer.is_some());
        if let Some(by) = rescuer.filter(|_| !before) {
            self.note(node, Happening::Rescued { by });
        }
    }

    pub(crate) fn on_suspect(&mut self, witness: NodeId, suspect: NodeId) {
        self.counters.suspicions += 1;
        if !self.are_neighbours(witness, suspect) {
            return self.counters.reports_unfounded += 1;
        }
        if suspect != NodeId::SOURCE {
            self.suspect(witness, suspect);
        }
    }

    fn suspect(&mut self, witness: NodeId, suspect: NodeId) {
        let now = self.now;
        let Some(member) = self.members.get_mut(suspect) else { return };
        let first = member.suspicion.is_none();
        member.suspicion.get_or_insert_with(|| Box::new(Suspicion::new(now))).add(witness, now);
        if let Some(conn) = member.conn.get().filter(|_| first) {
            self.probe(conn);
        }
        self.watched.insert(suspect);
        self.note(suspect, Happening::Suspected { by: witness });
        self.judge_one(suspect);
    }

    pub(crate) fn on_link_failed(&mut self, node: NodeId, peer: NodeId) {
        self.counters.links_failed += 1;
        if !self.are_neighbours(node, peer) {
            return self.counters.reports_unfounded += 1;
        }
        // Who is not there cannot be reached; that is no matter of the pair.
        let away = self.members.get(peer).is_some_and(|member| member.conn.is_none() || member.suspicion.is_some());
        if away && peer != NodeId::SOURCE {
            return self.suspect(node, peer);
        }
        self.note(node, Happening::LinkFailed { with: peer });
        self.note(peer, Happening::LinkFailed { with: node });
        self.events.push(Event::LinkFailed { a: node, b: peer });
    }

    pub(crate) fn on_starving(&mut self, node: NodeId) {
        self.counters.starving += 1;
        self.note(node, Happening::Starving);
        let parents = self.carry.issued(node);
        let stale = |id: NodeId| {
            let (sent, reported, _) = self.carry.versions(id);
            sent > reported
        };
        for lost in [node].into_iter().chain(parents).filter(|id| stale(*id)).collect::<Vec<_>>() {
            self.carry.send_again(lost);
        }
    }

    pub(crate) fn set_ability(&mut self, node: NodeId, capacity: u8, relay: bool, untried: bool) {
        let Some(member) = self.topology.get(node).filter(|_| node != NodeId::SOURCE) else { return };
        if member.relay && !relay {
            if self.adoption.is_none() && self.retiring.gathers(node, self.now) {
                return;
            }
        } else {
            self.retiring.forget(node);
        }
        if (member.capacity, member.relay, member.untried) != (capacity, relay, untried) {
            self.topology.set_ability(node, capacity, relay);
            self.topology.set_untried(node, untried);
            self.events.push(Event::Changed(node));
        }
    }

    pub(crate) fn are_neighbours(&self, a: NodeId, b: NodeId) -> bool {
        a != b && self.carry.names(a, b) && self.carry.names(b, a)
    }

    /// Everything the coordinator shows people. Costs time in proportion to the members; about once a second is fine.
    pub fn overview(&self) -> Overview {
        let nodes: Vec<_> = self.members.keys().filter_map(|node| self.node_overview(node)).collect();
        let viewers = || nodes.iter().filter(|node| node.id != NodeId::SOURCE);
        Overview {
            term: self.config.term,
            now: self.now,
            adopting: self.adoption.is_some(),
            strategy: self.config.strategy.clone(),
            members: self.topology.len(),
            connections: self.conns.len(),
            waiting: self.carry.waiting(),
            without_backup: viewers().filter(|node| node.parent.is_some() && node.backup.is_none()).count(),
            without_parent: viewers().filter(|node| node.parent.is_none()).count(),
            struggling: self.struggling.len(),
            overloaded: self.is_overloaded(),
            depth_max: nodes.iter().filter_map(|node| node.level).max().unwrap_or(0),
            counters: self.counters(),
            nodes,
        }
    }

    /// What has happened since the start; cheap.
    pub fn counters(&self) -> Counters {
        let (tally, moved) = (self.carry.tally, self.strategy.moved());
        Counters {
            nodes_moved: moved.all,
            nodes_moved_to_optimise: moved.to_optimise,
            moves: tally.moves,
            assignments: tally.assignments - tally.repeated,
            assignments_repeated: tally.repeated,
            assignment_links_dropped: tally.links_dropped,
            releases_enforced: tally.enforced,
            carried: tally.carried,
            ..self.counters
        }
    }

    /// All members that shall have a parent for this stripe, and that parent.
    pub fn parents(&self, stripe: Stripes) -> impl Iterator<Item = (NodeId, NodeId)> {
        self.topology.iter().filter_map(move |(node, member)| Some((node, member.parent_of(stripe)?)))
    }

    /// Whether any member's stripes come from several parents.
    pub fn is_striped(&self) -> bool {
        self.topology.iter().any(|(_, member)| member.parents().len() > 1)
    }

    /// For how long a node has been there; the source since this coordinator knows it.
    fn age(&self, node: NodeId) -> Micros {
        let met_at = self.members.get(node).map_or(self.now, |member| member.met_at);
        match self.topology.get(node).filter(|_| node != NodeId::SOURCE) {
            Some(target) => Micros(self.wall_us()).since(target.joined_at),
            None => self.now.since(met_at),
        }
    }

    pub(crate) fn node_overview(&self, id: NodeId) -> Option<NodeOverview> {
        let (member, target) = (self.members.get(id)?, self.topology.get(id)?);
        let (version, version_reported, releases_enforced) = self.carry.versions(id);
        Some(NodeOverview {
            id,
            role: member.role,
            place: self.strategy.place(id),
            level: self.topology.depth(id),
            parent: target.parent(),
            parents: target.parents().iter().map(|(parent, _)| *parent).collect(),
            issued_parents: self.carry.issued(id),
            confirmed: self.carry.is_confirmed(id),
            children: target.children().iter().map(|(child, _)| *child).collect(),
            backup: target.backup(),
            standby: target.standby().to_vec(),
            capacity: target.capacity,
            relay: target.relay,
            age: self.age(id),
            connected: member.conn.is_some(),
            silent: self.now.since(member.heard),
            suspected: member.suspicion.is_some(),
            struggling: member.service.struggle.is_bad(),
            fault: member.service.fault,
            version,
            version_reported,
            releases_enforced,
            links: member.links.iter().collect(),
            figures: member.figures,
        })
    }
}
