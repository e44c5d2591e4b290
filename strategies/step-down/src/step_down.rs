//! The policy.

use std::collections::BTreeMap;

use peerstream_sdk::prelude::*;

use crate::config::Config;

/// Leaves that went down lately and are remembered; beyond it the one that went first is forgotten.
pub const REMEMBERED_MAX: usize = 100_000;
/// It is asked once a second while too many struggle; when it was not asked for longer, they did not.
const CALM: Micros = Micros::from_secs(3);

/// Moves leaves down one step at a time.
#[derive(Clone, Debug)]
pub struct StepDown {
    config: Config,
    /// Since when it is asked without a break, and when it was asked last.
    asked: Option<(Micros, Micros)>,
    last_batch: Option<Micros>,
    /// When those that went down did so.
    down: BTreeMap<NodeId, Micros>,
}

impl StepDown {
    fn note_asked(&mut self, now: Micros) -> Micros {
        let since = match self.asked {
            Some((since, last)) if now.since(last) <= CALM => since,
            _ => now,
        };
        self.asked = Some((since, now));
        since
    }

    /// How many go now.
    fn batch(&self, overload: &Overload<'_>, since: Micros) -> usize {
        if overload.unplaced > 0 {
            return overload.unplaced;
        }
        let (now, Config { hold_s, pause_s, batch_permille, .. }) = (overload.now, &self.config);
        let holds = now.since(since) < Micros::from_secs(*hold_s);
        let pauses = self.last_batch.is_some_and(|last| now.since(last) < Micros::from_secs(*pause_s));
        if holds || pauses { 0 } else { (overload.members * *batch_permille as usize / 1_000).max(1) }
    }

    /// What becomes of one of them now; nothing while it is left alone.
    fn rung(&self, leaf: NodeId, now: Micros) -> Option<Rung> {
        match self.down.get(&leaf) {
            None => Some(Rung::Lower),
            Some(at) if now.since(*at) < Micros::from_secs(self.config.dwell_s) => None,
            Some(_) => Some(Rung::Shed),
        }
    }

    fn remember(&mut self, leaf: NodeId, now: Micros) {
        self.down.insert(leaf, now);
        while self.down.len() > REMEMBERED_MAX {
            let first = self.down.iter().min_by_key(|(leaf, at)| (**at, **leaf)).map(|(leaf, _)| *leaf);
            first.map(|leaf| self.down.remove(&leaf));
        }
    }
}

impl Plugin for StepDown {
    const NAME: &'static str = "step-down";
    const SUMMARY: &'static str = "those who cannot keep up go down one step at a time";
    const STABILITY: Stability = Stability::Beta;
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self { config, asked: None, last_batch: None, down: BTreeMap::new() })
    }
}

impl LadderPolicy for StepDown {
    fn decide(&mut self, overload: &Overload<'_>) -> Vec<(NodeId, Rung)> {
        let now = overload.now;
        let since = self.note_asked(now);
        // Forgotten: those whose time is long over, so that the memory is that of the recent ones.
        let keep = Micros::from_secs(self.config.dwell_s.saturating_mul(10).max(600));
        self.down.retain(|_, at| now.since(*at) < keep);
        let batch = self.batch(overload, since);
        let going = overload.leaves.iter().filter_map(|leaf| Some((*leaf, self.rung(*leaf, now)?)));
        let going: Vec<_> = going.take(batch).collect();
        if !going.is_empty() {
            self.last_batch = Some(now);
        }
        going.iter().for_each(|(leaf, _)| self.remember(*leaf, now));
        going
    }
}
