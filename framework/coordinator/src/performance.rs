//! Who serves badly, and who is served badly: judged by others, with hysteresis.
//!
//! Nodes report what they receive and from whom. A *relay* is judged by its children and its backup against its own
//! progress: it underperforms when all its children are worse off than it says it is itself, and there are at least two
//! witnesses. A *receiver* is judged against its siblings: who alone is worse off than they are is itself the problem.
//! What a node says of itself can only harm itself.
//!
//! A witness on whose word a relay was demoted is not heard again for [`WITNESS_PAUSE`]: two siblings that collude can
//! demote their parent once in that time, and nobody else. What remains possible: a parent and one of its
//! children together can make the other child look like a bad receiver.

use std::collections::BTreeSet;

use peerstream_overlay::Event;
use peerstream_overlay::maybe::Maybe;
use peerstream_protocol::control::{Figures, LinkReport};
use peerstream_protocol::id::{NodeId, Seq};
use peerstream_protocol::time::Micros;
use serde::Serialize;

use crate::coordinator::Coordinator;
use crate::history::Happening;

/// One report in this time is judged; those in between tell of links only.
const JUDGE_EVERY: Micros = Micros::from_millis(900);
/// A new edge is not judged before this.
const SETTLE: Micros = Micros::from_secs(5);
/// So many bad reports in a row make a bad service, so many good ones a good one again.
const REPORTS_IN_A_ROW: u8 = 4;
/// A child this far behind its parent is badly served.
const BEHIND_PARENT: Micros = Micros::from_secs(2);
/// A node this far behind the source is badly served.
const BEHIND_SOURCE: Micros = Micros::from_secs(4);
/// A node that has given up more than this of what was due is badly served; thousandths.
const LOSS_PERMILLE: u64 = 100;
/// A witness on whose word a relay was demoted does not count for this long.
pub(crate) const WITNESS_PAUSE: Micros = Micros::from_secs(120);
/// A relay is not demoted twice within this time.
const DEMOTION_PAUSE: Micros = Micros::from_secs(10);

/// Why a node is said to underperform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// Those it feeds are worse off than it is itself.
    Relay,
    /// It is worse off than its siblings.
    Receiver,
}

/// Something that is bad or good only after it was so several times in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trend {
    bad: bool,
    /// Observations in a row that speak against it.
    against: u8,
}

impl Trend {
    fn see(&mut self, bad: bool) {
        self.against = if bad == self.bad { 0 } else { self.against + 1 };
        if self.against >= REPORTS_IN_A_ROW {
            *self = Self { bad, against: 0 };
        }
    }

    /// Good, and nothing speaks against it.
    fn is_good(self) -> bool {
        !self.bad && self.against == 0
    }

    pub(crate) fn is_bad(self) -> bool {
        self.bad
    }
}

/// How a member is served, by its own reports; and what was made of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Service {
    /// By whom it is judged to be served, and since when.
    by: Maybe<NodeId>,
    since: Micros,
    judged_at: Micros,
    next: Seq,
    skipped: u64,
    losing: bool,
    /// Worse off than its parent.
    pub(crate) complaint: Trend,
    /// Worse off than the source lets it be.
    pub(crate) struggle: Trend,
    /// When a relay was last demoted on its word.
    heard_against: Maybe<Micros>,
    demoted_at: Maybe<Micros>,
    pub(crate) fault: Option<Fault>,
}

/// How fast the source produces.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    at: Micros,
    next: Seq,
    /// Thousandths of a segment per second, smoothed; 0 until it is known.
    per_second: u64,
}

impl Pace {
    fn on_report(&mut self, next: Seq, now: Micros) {
        let span = now.since(self.at);
        if self.at != Micros(0) && span < JUDGE_EVERY {
            return;
        }
        if self.at != Micros(0) {
            let rate = next.0.saturating_sub(self.next.0).saturating_mul(1_000_000_000) / span.0.max(1);
            self.per_second = if self.per_second == 0 { rate } else { (self.per_second * 3 + rate) / 4 };
        }
        (self.at, self.next) = (now, next);
    }

    /// Segments in a span.
    fn within(&self, span: Micros) -> u64 {
        self.per_second.saturating_mul(span.0) / 1_000_000_000
    }

    /// No node can be further than this.
    fn limit(&self, now: Micros) -> u64 {
        self.next.0.saturating_add(self.within(now.since(self.at))).saturating_add(1)
    }
}

impl Coordinator {
    /// Judges the service a node gets by the report just taken in.
    pub(crate) fn assess(&mut self, node: NodeId) {
        let Some(figures) = self.members.get(node).map(|member| member.figures) else { return };
        if node == NodeId::SOURCE {
            self.measure_bitrate(figures.payload_received);
            return self.pace.on_report(figures.next, self.now);
        }
        let Some(parent) = self.settled_parent(node) else { return };
        let service = self.members[node].service;
        if self.now.since(service.judged_at) < JUDGE_EVERY || self.pace.per_second == 0 {
            return;
        }
        let Some(observed) = self.observe(node, parent) else { return };
        let service = &mut self.members.get_mut(node).expect("just looked").service;
        (service.judged_at, service.next, service.skipped) = (self.now, figures.next, figures.skipped);
        service.losing = observed.losing;
        service.complaint.see(observed.worse_than_parent);
        service.struggle.see(observed.worse_than_source);
        if service.struggle.is_bad() {
            self.struggling.insert(node);
        } else {
            self.struggling.remove(&node);
        }
        self.judge_receiver(node, parent);
        self.judge_relay(parent);
    }

    /// The parent by whom a node can be judged to be served: it has been so for a while.
    fn settled_parent(&mut self, node: NodeId) -> Option<NodeId> {
        // Who has several parents does not say which of them it is badly served by.
        let wanted =
            self.topology.get(node).filter(|target| target.parents().len() == 1).and_then(|target| target.parent());
        let parent = wanted.filter(|parent| self.carry.has_issued(node, *parent));
        let service = &mut self.members.get_mut(node)?.service;
        if service.by.get() != parent {
            let Service { heard_against, demoted_at, fault, struggle, .. } = *service;
            let since = self.now;
            *service =
                Service { by: parent.into(), since, heard_against, demoted_at, fault, struggle, ..Service::default() };
        }
        parent.filter(|_| self.now.since(service.since) >= SETTLE)
    }

    /// What the latest report says; nothing when the node cannot know, because it has no link to its parent.
    fn observe(&self, node: NodeId, parent: NodeId) -> Option<Observed> {
        let (member, above) = (self.members.get(node)?, self.members.get(parent)?);
        let link = member.links.iter().find(|link| link.peer == parent && link.open)?;
        let helped = member.links.iter().any(|link| link.peer != parent && !link.feeds_me.is_empty());
        let Figures { next, skipped, .. } = member.figures;
        let first = member.service.judged_at == Micros(0);
        let due = next.0.saturating_sub(member.service.next.0);
        let lost = skipped.saturating_sub(member.service.skipped);
        let losing = !first && lost > 1 && lost.saturating_mul(1_000) > due.saturating_mul(LOSS_PERMILLE);
        let limit = self.pace.limit(self.now);
        let behind = |other: Seq, span| other.0.min(limit).saturating_sub(next.0) > self.pace.within(span);
        let excused = above.service.losing && parent != NodeId::SOURCE;
        Some(Observed {
            losing,
            worse_than_parent: link.feeds_me.is_empty()
                || helped
                || behind(above.figures.next, BEHIND_PARENT)
                || (losing && !excused),
            worse_than_source: losing || behind(self.pace.next, BEHIND_SOURCE),
        })
    }

    /// Who alone is worse off than its siblings is itself the problem.
    fn judge_receiver(&mut self, node: NodeId, parent: NodeId) {
        let service = self.members[node].service;
        if !service.struggle.is_bad() {
            if service.fault == Some(Fault::Receiver) {
                self.set_fault(node, None);
            }
            return;
        }
        let siblings: Vec<_> = self.judged_children(parent).into_iter().filter(|sibling| *sibling != node).collect();
        let well = |sibling: &NodeId| self.members[*sibling].service.complaint.is_good();
        if service.complaint.is_bad() && !siblings.is_empty() && siblings.iter().all(well) {
            self.find_fault(node, Fault::Receiver);
        }
    }

    /// A relay whose children are all worse off than it is, with two witnesses at least. One that is badly off
    /// itself is judged as a receiver.
    fn judge_relay(&mut self, relay: NodeId) {
        let Some(member) = self.members.get(relay).filter(|_| relay != NodeId::SOURCE) else { return };
        let children = self.judged_children(relay);
        let complains = |child: &NodeId| self.members[*child].service.complaint.is_bad();
        if member.service.fault == Some(Fault::Relay) && !children.is_empty() && !children.iter().any(complains) {
            return self.set_fault(relay, None);
        }
        let counts = |child: &NodeId| {
            let heard = self.members[*child].service.heard_against;
            complains(child) && heard.get().is_none_or(|at| self.now.since(at) >= WITNESS_PAUSE)
        };
        let witnesses = children.len() + usize::from(self.backup_feeds(relay));
        if member.service.struggle.is_bad() || children.is_empty() || witnesses < 2 || !children.iter().all(counts) {
            return;
        }
        if self.find_fault(relay, Fault::Relay) {
            for child in children {
                self.members.get_mut(child).expect("it was judged").service.heard_against = Some(self.now).into();
            }
        }
    }

    /// Children whose service has been judged under this parent.
    fn judged_children(&self, parent: NodeId) -> Vec<NodeId> {
        let children = self.topology.get(parent).into_iter().flat_map(|target| target.children());
        let children = children.map(|(child, _)| *child);
        let judged = |child: &NodeId| {
            let service = self.members.get(*child).map(|member| member.service).unwrap_or_default();
            service.by.get() == Some(parent) && service.judged_at != Micros(0)
        };
        children.filter(judged).collect()
    }

    /// Whether the one that backs the relay up says that it has to.
    fn backup_feeds(&self, relay: NodeId) -> bool {
        let backup = self.topology.get(relay).and_then(|target| target.backup());
        let links = backup.and_then(|backup| self.members.get(backup)).map(|member| &member.links);
        let feeds = |link: LinkReport| link.peer == relay && !link.fed_by_me.is_empty();
        links.is_some_and(|links| links.iter().any(feeds))
    }

    /// The strategy hears of it, unless it has just heard. A leaf is left where it is by any strategy.
    fn find_fault(&mut self, node: NodeId, fault: Fault) -> bool {
        let now = self.now;
        let service = &mut self.members.get_mut(node).expect("it was judged").service;
        let again = service.fault == Some(fault) && fault == Fault::Receiver;
        if again || service.demoted_at.get().is_some_and(|at| now.since(at) < DEMOTION_PAUSE) {
            return false;
        }
        (service.fault, service.demoted_at) = (Some(fault), Some(now).into());
        self.counters.underperforming += 1;
        self.note(node, Happening::Underperforms { fault });
        self.events.push(Event::Underperforms(node));
        true
    }

    fn set_fault(&mut self, node: NodeId, fault: Option<Fault>) {
        self.members.get_mut(node).expect("it was judged").service.fault = fault;
    }
}

/// What one report comes to.
struct Observed {
    losing: bool,
    worse_than_parent: bool,
    worse_than_source: bool,
}

/// Nodes that are badly off.
pub(crate) type Struggling = BTreeSet<NodeId>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_turns_after_four_observations_in_a_row_and_back_after_four_others() {
        let mut trend = Trend::default();
        let mut see = |bad, times| {
            (0..times).for_each(|_| trend.see(bad));
            trend.is_bad()
        };
        assert!(!see(true, 3));
        assert!(!see(false, 1));
        assert!(!see(true, 3));
        assert!(see(true, 1));
        assert!(see(false, 3));
        assert!(see(true, 1));
        assert!(!see(false, 4));
    }

    #[test]
    fn the_pace_is_learned_from_the_source_alone() {
        let mut pace = Pace::default();
        (1..=10).for_each(|second| pace.on_report(Seq(second * 10), Micros::from_secs(second)));
        assert_eq!(pace.within(Micros::from_secs(2)), 20);
        assert_eq!(pace.limit(Micros::from_secs(11)), 111);
    }
}
