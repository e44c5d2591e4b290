//! A coordinator that follows an earlier one of the same epoch first listens.
//!
//! The nodes go on feeding each other meanwhile. They come back with their names, their age tickets and reports of their
//! links; what they report becomes the overlay that the strategy takes over, so that nobody is moved without need. Until
//! then nothing is ordered: an assignment that knows less than the nodes do would tear their links down.

use std::collections::{BTreeMap, BTreeSet};

use peerstream_overlay::{Group, Member as Target};
use peerstream_protocol::control::{Hello, LinkReport, Report, Role};
use peerstream_protocol::id::{NodeId, Stripes};
use peerstream_protocol::time::Micros;

use crate::coordinator::Coordinator;
use crate::history::Happening;
use crate::io::ConnId;

/// The coordinator listens for at most this long; less when everyone it hears of has reported.
pub(crate) const WINDOW: Micros = Micros::from_secs(3);

/// What was heard so far.
#[derive(Clone, Debug)]
pub(crate) struct Adoption {
    until: Micros,
    reported: BTreeSet<NodeId>,
    /// Named by somebody as the other end of an open link, and not heard of otherwise.
    awaited: BTreeSet<NodeId>,
    backups: BTreeMap<NodeId, NodeId>,
}

impl Adoption {
    pub(crate) fn new(now: Micros) -> Self {
        Self {
            until: now + WINDOW,
            reported: BTreeSet::new(),
            awaited: BTreeSet::from([NodeId::SOURCE]),
            backups: BTreeMap::new(),
        }
    }

    /// Takes in a report; at most `max` names are awaited.
    pub(crate) fn on_report(&mut self, node: NodeId, report: &Report, max: usize) {
        self.reported.insert(node);
        self.awaited.remove(&node);
        self.backups.extend(report.backup.map(|backup| (node, backup)));
        for link in report.links.iter().filter(|link| link.open && !self.reported.contains(&link.peer)) {
            if self.awaited.len() < max {
                self.awaited.insert(link.peer);
            }
        }
    }

    fn is_over(&self, now: Micros) -> bool {
        self.awaited.is_empty() || now >= self.until
    }
}

impl Coordinator {
    /// A node of an earlier term comes back with its name. Its age is what its ticket proves.
    pub(crate) fn adopt(&mut self, conn: ConnId, node: NodeId, hello: &Hello) {
        let now = Micros(self.wall_us());
        let joined_at = self.names.joined_at(node, &hello.ticket).unwrap_or(now).min(now);
        let capacity = self.clamp(hello.capacity);
        self.counters.adopted += 1;
        if self.members.contains(node) {
            self.topology.set_joined_at(node, joined_at);
            self.set_ability(node, capacity, hello.relay, hello.untried);
            self.members.get_mut(node).expect("just looked").role = hello.role;
        } else {
            let target = Target::new(capacity, hello.relay, joined_at).with_untried(hello.untried);
            self.admit(node, hello.role, target);
        }
        self.attach(conn, node);
        self.names.skip(node);
        self.note(node, Happening::Adopted);
    }

    /// Whether the node, whose session is right, has its name of an earlier coordinator of this epoch and may keep it.
    pub(crate) fn is_adoptable(&self, node: NodeId) -> bool {
        let placeholder = self.members.get(node).is_some_and(|member| member.placeholder);
        let unknown = !self.members.contains(node) && self.topology.len() < self.config.limits.nodes_max;
        self.config.follows
            && self.names.is_earlier(node)
            && (placeholder || unknown)
            && !self.buried_earlier.contains(&node)
    }

    /// Ends the time of listening when it is over: what was heard becomes the overlay, and the strategy takes it over.
    pub(crate) fn end_adoption_when_over(&mut self) {
        let Some(adoption) = self.adoption.take_if(|adoption| adoption.is_over(self.now)) else { return };
        self.events.clear();
        self.hold_places(&adoption);
        self.keep_parents(&adoption);
        self.keep_backups(&adoption);
        self.attach_strategy();
        let everyone: Vec<_> = self.members.keys().collect();
        everyone.into_iter().for_each(|node| self.carry.touch(node));
    }

    /// Nodes that are fed or feed by the word of others, but have not come back yet, keep their places for a while: the
    /// rules for nodes without a connection apply to them.
    fn hold_places(&mut self, adoption: &Adoption) {
        let feeding = |link: &LinkReport| link.open && !link.feeds_me.with(link.fed_by_me).is_empty();
        let links = self.members.values().flat_map(|member| member.links.iter().filter(feeding));
        let awaited: BTreeSet<_> = links.map(|link| link.peer).filter(|peer| adoption.awaited.contains(peer)).collect();
        for node in awaited {
            if !self.is_adoptable(node) {
                continue;
            }
            let served = |member: &&crate::members::Member| {
                member.links.iter().any(|link| link.peer == node && !link.feeds_me.is_empty() && link.open)
            };
            let children = self.members.values().filter(served).count();
            let capacity = children.clamp(2, usize::from(self.config.limits.capacity_max)) as u8;
            let now = Micros(self.wall_us());
            self.admit(node, Role::Viewer, Target::new(capacity, true, now));
            let member = self.members.get_mut(node).expect("just admitted");
            (member.placeholder, member.lost_at, member.seen_open) =
                (true, Some(self.now).into(), Some(self.now).into());
            self.watched.insert(node);
            self.counters.places_held += 1;
        }
    }

    /// Those who are fed keep their parents; everyone who may be feeding them is remembered.
    fn keep_parents(&mut self, adoption: &Adoption) {
        let mut others = Vec::new();
        for (node, feeders) in self.feeders(adoption) {
            let mut kept = Stripes::NONE;
            for (feeder, fed) in feeders {
                let open = fed.without(kept);
                let keeps = !open.is_empty() && self.keep_parent(node, (feeder, open), adoption);
                if keeps {
                    self.carry.adopt(&self.topology, node, (feeder, open), true);
                }
                let rest = if keeps { fed.and(kept) } else { fed };
                kept = if keeps { kept.with(open) } else { kept };
                if !rest.is_empty() {
                    others.push((node, feeder, rest));
                }
            }
        }
        for (node, feeder, fed) in others {
            self.carry.adopt(&self.topology, node, (feeder, fed), false);
        }
    }

    fn keep_parent(&mut self, node: NodeId, (feeder, stripes): (NodeId, Stripes), adoption: &Adoption) -> bool {
        let mut group = Group::default();
        group.set_parent(node, stripes, feeder);
        adoption.backups.get(&node) != Some(&feeder) && self.topology.commit(&group).is_ok()
    }

    /// Who may be feeding whom which stripes: those who have delivered something by the node's own word first.
    fn feeders(&self, adoption: &Adoption) -> BTreeMap<NodeId, Vec<(NodeId, Stripes)>> {
        let mut feeders: BTreeMap<NodeId, Vec<(NodeId, Stripes)>> = BTreeMap::new();
        let reported = || self.members.iter().filter(|(node, _)| adoption.reported.contains(node));
        let links = || reported().flat_map(|(node, member)| member.links.iter().map(move |link| (node, link)));
        let links = || links().filter(|(node, link)| link.open && link.peer != *node);
        let by_the_fed = links().map(|(node, link)| (node, link.peer, link.feeds_me));
        let by_the_feeder = links().map(|(node, link)| (link.peer, node, link.fed_by_me));
        for (node, feeder, stripes) in by_the_fed.chain(by_the_feeder) {
            let members = self.members.contains(node) && self.members.contains(feeder);
            if !members || node == NodeId::SOURCE || stripes.is_empty() {
                continue;
            }
            let known = feeders.entry(node).or_default();
            match known.iter_mut().find(|(known, _)| *known == feeder) {
                Some((_, fed)) => *fed = fed.with(stripes),
                None => known.push((feeder, stripes)),
            }
        }
        feeders
    }

    /// A backup is kept if both ends say that there is a link.
    fn keep_backups(&mut self, adoption: &Adoption) {
        for (node, backup) in &adoption.backups {
            let open = |a: NodeId, b: NodeId| {
                let links = self.members.get(a).into_iter().flat_map(|member| member.links.iter());
                !adoption.reported.contains(&a) || links.into_iter().any(|link| link.peer == b && link.open)
            };
            if open(*node, *backup) && open(*backup, *node) {
                let mut group = Group::default();
                group.set_backup(*node, Some(*backup));
                // One that cannot be is left to the strategy.
                let _ = self.topology.commit(&group);
            }
        }
    }
}
