//! What a model checker needs of a coordinator: copies of it, and what tells two of them apart.

use std::hash::{Hash, Hasher};

use peerstream_overlay::{InBatches, TreeStrategy};

use crate::carry::Tally;
use crate::coordinator::Coordinator;

impl Coordinator {
    /// A copy that goes on with this strategy, which takes over what the present one remembers.
    #[doc(hidden)]
    pub fn fork(&self, strategy: Box<dyn TreeStrategy + Send>) -> Self {
        Self {
            config: self.config.clone(),
            strategy,
            topology: self.topology.clone(),
            members: self.members.clone(),
            conns: self.conns.clone(),
            carry: self.carry.clone(),
            names: self.names.clone(),
            addresses: self.addresses.clone(),
            counters: self.counters,
            now: self.now,
            events: self.events.clone(),
            unanswered: self.unanswered.clone(),
            watched: self.watched.clone(),
            adoption: self.adoption.clone(),
            buried_earlier: self.buried_earlier.clone(),
            starters: self.starters.clone(),
            past: self.past.clone(),
            history: self.history.clone(),
            happened: None,
            ladder: Box::new(InBatches::default()),
            retiring: self.retiring.clone(),
            unplaced_since: self.unplaced_since,
            pace: self.pace,
            source_budget: self.source_budget,
            struggling: self.struggling.clone(),
            looked_at: self.looked_at,
            fallback: None,
            trouble: self.trouble,
            mass_until: self.mass_until,
            ticked: self.ticked,
            grace_until: self.grace_until,
            timer: self.timer,
            out: self.out.clone(),
        }
    }

    /// Hashes what decides on assignments and deaths. Left out are counts, allowances, the strategy, and when something
    /// was last heard of each node, which decides nothing before ten seconds of silence.
    #[doc(hidden)]
    pub fn fingerprint(&self, state: &mut impl Hasher) {
        (&self.topology, &self.carry, &self.events, &self.watched).hash(state);
        (self.now, self.timer, self.ticked, self.grace_until, self.mass_until, self.trouble).hash(state);
        for (node, member) in self.members.iter() {
            (node, member.conn, member.lost_at, &member.suspicion).hash(state);
        }
    }
}

impl Hash for Tally {
    /// Counts decide nothing.
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
