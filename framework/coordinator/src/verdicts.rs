//! Who is dead: the rules, as pure functions over what is known of a member.

use std::collections::BTreeMap;

use peerstream_protocol::id::NodeId;
use peerstream_protocol::time::Micros;
use serde::Serialize;

use crate::members::Member;

/// A node known for this long is *established*: it has others below it, and it is past its start. A starting page stands
/// still for most of a second, is at the bottom, and its children's backups do not wait for the verdict.
pub(crate) const ESTABLISHED: Micros = Micros::from_secs(10);
/// A suspect is asked for a sign of life, again this long after the last one if it is still suspected.
pub(crate) const PROBE_EVERY: Micros = Micros::from_millis(250);
/// An established suspect that does not answer a probe for this long is dead. With the 300 ms of silence after which a
/// neighbour suspects it, and the way of the messages, that is within 600 ms of its last sign of life.
pub(crate) const ANSWER: Micros = Micros::from_millis(240);
/// The same when two neighbours suspect it.
pub(crate) const ANSWER_OF_TWO: Micros = Micros::from_millis(200);
/// No established suspect is dead before its control connection has been silent for this long.
pub(crate) const SILENCE: Micros = Micros::from_millis(300);
/// A suspect that is not established and does not answer a probe for this long is dead.
pub(crate) const ANSWER_OF_YOUNG: Micros = Micros::from_millis(1_200);
/// The same when two neighbours suspect it.
pub(crate) const ANSWER_OF_YOUNG_TO_TWO: Micros = Micros::from_millis(600);
/// A suspect that does speak is dead when two neighbours go on suspecting it for this long.
pub(crate) const CUT_OFF: Micros = Micros::from_millis(600);
/// When most connections have vanished at once, a suspect without one is dead when one neighbour goes on suspecting it for
/// this long; it may just not be back yet. When two do, after [`CUT_OFF`].
pub(crate) const NOT_BACK: Micros = Micros::from_millis(2_500);
/// After this long a suspicion of a node that speaks is forgotten.
pub(crate) const SUSPICION_MAX: Micros = Micros::from_secs(3);
/// A node without a connection is dead after this long, unless somebody has an open link to it.
pub(crate) const LOST: Micros = Micros::from_millis(2_500);
/// A node whose connection is open but silent is dead after this long, unless somebody has an open link to it.
pub(crate) const MUTE: Micros = Micros::from_secs(10);
/// A node is dead when nothing is heard of it for this long, whoever has a link to it.
pub(crate) const LOST_MAX: Micros = Micros::from_secs(30);
/// A reported open link proves life for this long.
pub(crate) const LINK_PROVES: Micros = Micros::from_millis(2_500);
/// Neighbours whose suspicion is remembered, at most.
const WITNESSES_MAX: usize = 8;

/// What neighbours say against a node.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Suspicion {
    since: Micros,
    /// When it was last asked for a sign of life.
    probed: Micros,
    witnesses: BTreeMap<NodeId, Micros>,
}

impl Suspicion {
    pub(crate) fn new(now: Micros) -> Self {
        Self { since: now, probed: now, witnesses: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, witness: NodeId, now: Micros) {
        if self.witnesses.len() < WITNESSES_MAX {
            self.witnesses.entry(witness).or_insert(now);
        }
    }

    /// The witness has an open link to the suspect again.
    pub(crate) fn withdraw(&mut self, witness: NodeId) {
        self.witnesses.remove(&witness);
    }

    /// Whether the suspect is to be asked for a sign of life again; it is taken as done.
    pub(crate) fn takes_probe(&mut self, member_heard: Micros, now: Micros) -> bool {
        let due = member_heard > self.probed && now.since(self.probed) >= PROBE_EVERY;
        if due {
            self.probed = now;
        }
        due
    }

    fn is_proven(&self, member: &Member, mass_loss: bool, now: Micros) -> bool {
        let answered = member.heard > self.probed;
        let latest = self.witnesses.values().max().copied().unwrap_or(now);
        let lost = member.lost_at.is_some();
        match self.witnesses.len() {
            0 => false,
            witnesses if lost && mass_loss => now.since(latest) >= if witnesses == 1 { NOT_BACK } else { CUT_OFF },
            _ if lost => true,
            witnesses if !answered => {
                let silent = now.since(member.heard) >= SILENCE;
                silent && now.since(self.probed) >= self.patience(member, witnesses)
            }
            1 => false,
            _ => now.since(latest) >= CUT_OFF,
        }
    }

    /// For how long a probe may stay without an answer.
    fn patience(&self, member: &Member, witnesses: usize) -> Micros {
        let established = self.since.since(member.met_at) >= ESTABLISHED;
        match (established, witnesses) {
            (true, 1) => ANSWER,
            (true, _) => ANSWER_OF_TWO,
            (false, 1) => ANSWER_OF_YOUNG,
            (false, _) => ANSWER_OF_YOUNG_TO_TWO,
        }
    }

    /// Nothing can come of it any more.
    pub(crate) fn is_over(&self, member: &Member, now: Micros) -> bool {
        self.witnesses.is_empty() || (member.heard > self.since && now.since(self.since) >= SUSPICION_MAX)
    }
}

/// Why a node is taken for dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Death {
    /// Its neighbours say so.
    Suspected,
    /// Its connection ended.
    Disconnected,
    /// It says nothing.
    Silent,
}

/// The verdict on a member now. With `mass_loss`, most connections have vanished at once: that is the coordinator's
/// trouble, not the nodes', so that only their neighbours' word or a long time counts.
pub(crate) fn verdict(member: &Member, mass_loss: bool, now: Micros) -> Option<Death> {
    if member.suspicion.as_ref().is_some_and(|suspicion| suspicion.is_proven(member, mass_loss, now)) {
        return Some(Death::Suspected);
    }
    let linked = member.seen_open.get().is_some_and(|seen| now.since(seen) < LINK_PROVES);
    let (since, patience, death) = match member.lost_at.get() {
        Some(lost) => (lost, LOST, Death::Disconnected),
        None => (member.heard, MUTE, Death::Silent),
    };
    let patience = if linked || mass_loss { LOST_MAX } else { patience };
    (now.since(since) >= patience).then_some(death)
}

#[cfg(test)]
mod tests {
    use peerstream_protocol::control::Role;

    use super::*;
    use crate::limits::{Bucket, Rate};

    fn at(ms: u64) -> Micros {
        Micros::from_millis(10_000 + ms)
    }

    fn member() -> Member {
        Member::new(Role::Viewer, Bucket::full(Rate { burst: 1, per_second: 1 }, at(0)), at(0))
    }

    fn suspected(witnesses: &[(u64, u64)]) -> Member {
        let mut suspicion = Suspicion::new(at(witnesses[0].1));
        witnesses.iter().for_each(|(who, when)| suspicion.add(NodeId(*who), at(*when)));
        Member { suspicion: Some(Box::new(suspicion)), ..member() }
    }

    fn established(member: Member) -> Member {
        Member { met_at: at(0) - ESTABLISHED, ..member }
    }

    #[test]
    fn a_witness_and_a_probe_without_an_answer_condemn_an_established_node() {
        let one = established(suspected(&[(1, 400)]));
        assert_eq!(verdict(&one, false, at(639)), None);
        assert_eq!(verdict(&one, false, at(640)), Some(Death::Suspected));
        let two = established(suspected(&[(1, 400), (2, 410)]));
        assert_eq!(verdict(&two, false, at(599)), None);
        assert_eq!(verdict(&two, false, at(600)), Some(Death::Suspected));
    }

    #[test]
    fn an_established_node_whose_control_connection_spoke_just_now_gets_its_300_ms() {
        let member = Member { heard: at(395), ..established(suspected(&[(1, 400)])) };
        assert_eq!(verdict(&member, false, at(694)), None);
        assert_eq!(verdict(&member, false, at(695)), Some(Death::Suspected));
    }

    #[test]
    fn an_answer_calls_for_another_probe_after_a_while() {
        let mut suspicion = Suspicion::new(at(0));
        assert!(!suspicion.takes_probe(at(0), at(400)), "no answer yet");
        assert!(!suspicion.takes_probe(at(50), at(249)));
        assert!(suspicion.takes_probe(at(50), at(250)));
        assert!(!suspicion.takes_probe(at(50), at(500)), "no answer to that one yet");
    }

    #[test]
    fn two_witnesses_and_silence_of_600_ms_condemn_a_young_node() {
        assert_eq!(verdict(&suspected(&[(1, 5), (2, 6)]), false, at(604)), None);
        assert_eq!(verdict(&suspected(&[(1, 5), (2, 6)]), false, at(605)), Some(Death::Suspected));
    }

    #[test]
    fn one_witness_and_silence_of_1200_ms_condemn_a_young_node() {
        assert_eq!(verdict(&suspected(&[(1, 5)]), false, at(1_204)), None);
        assert_eq!(verdict(&suspected(&[(1, 5)]), false, at(1_205)), Some(Death::Suspected));
    }

    #[test]
    fn one_witness_against_a_node_that_speaks_is_not_enough() {
        let member = Member { heard: at(100), ..suspected(&[(1, 5)]) };
        assert_eq!(verdict(&member, false, at(2_900)), None);
        assert!(member.suspicion.as_ref().unwrap().is_over(&member, at(3_005)));
    }

    #[test]
    fn one_witness_against_a_node_without_a_connection_is_enough() {
        let member = Member { lost_at: Some(at(4)).into(), ..suspected(&[(1, 5)]) };
        assert_eq!(verdict(&member, false, at(5)), Some(Death::Suspected));
    }

    #[test]
    fn when_most_connections_vanish_a_suspect_gets_time_to_come_back() {
        let lost = |witnesses| Member { lost_at: Some(at(4)).into(), ..suspected(witnesses) };
        assert_eq!(verdict(&lost(&[(1, 5)]), true, at(2_504)), None);
        assert_eq!(verdict(&lost(&[(1, 5)]), true, at(2_505)), Some(Death::Suspected));
        assert_eq!(verdict(&lost(&[(1, 5), (2, 50)]), true, at(649)), None);
        assert_eq!(verdict(&lost(&[(1, 5), (2, 50)]), true, at(650)), Some(Death::Suspected));
    }

    #[test]
    fn two_lasting_witnesses_outweigh_the_word_of_a_node_that_nobody_can_reach() {
        let member = Member { heard: at(100), ..suspected(&[(1, 5), (2, 50)]) };
        assert_eq!(verdict(&member, false, at(600)), None);
        assert_eq!(verdict(&member, false, at(650)), Some(Death::Suspected));
    }

    #[test]
    fn a_lost_connection_is_no_death_while_a_neighbour_has_an_open_link() {
        let lost = Member { lost_at: Some(at(0)).into(), ..member() };
        assert_eq!(verdict(&lost, false, at(2_499)), None);
        assert_eq!(verdict(&lost, false, at(2_500)), Some(Death::Disconnected));
        let linked = Member { seen_open: Some(at(4_000)).into(), ..lost };
        assert_eq!(verdict(&linked, false, at(6_000)), None);
        assert_eq!(verdict(&linked, false, at(6_500)), Some(Death::Disconnected));
    }

    #[test]
    fn when_most_connections_vanish_nobody_dies_for_half_a_minute() {
        let lost = Member { lost_at: Some(at(0)).into(), ..member() };
        assert_eq!(verdict(&lost, true, at(29_999)), None);
        assert_eq!(verdict(&lost, true, at(30_000)), Some(Death::Disconnected));
    }
}
