//! Those of a run that go back in time, and what came of it.

use peerstream_protocol::time::Micros;

use crate::coordinated::Coordinated;
use crate::quantiles::Distribution;
use crate::report::Past;
use crate::world::{ActorId, World};

/// The latecomers of a scenario, in the order in which they come and go back.
#[derive(Debug, Default)]
pub(crate) struct Travellers {
    all: Vec<ActorId>,
    /// When the first one went, and what the archive had given out by then.
    begun: Option<(Micros, u64)>,
    report: Option<Past>,
}

impl Travellers {
    pub(crate) fn come(&mut self, id: ActorId) {
        self.all.push(id);
    }

    /// The one that came as this one, from 0, goes back so far.
    pub(crate) fn go_back(&mut self, world: &mut World<Coordinated>, n: usize, behind: Micros) {
        let Some(id) = self.all.get(n).copied().filter(|id| world.actor(*id).is_alive()) else { return };
        self.begun.get_or_insert((world.now(), world.given_by_archive()));
        world.go_back(id, behind);
    }

    /// The measured time is over: notes how they have fared.
    pub(crate) fn note(&mut self, world: &World<Coordinated>) {
        let Some((begun, given_before)) = self.begun else { return };
        let (mut past, mut startup_ms) = (Past::default(), Distribution::default());
        let (mut peers, mut host) = (0, 0);
        for id in self.all.iter().filter(|id| world.actor(**id).is_alive()) {
            let counters = world.status(*id).counters;
            past.viewers += 1;
            past.given_by_peers += u64::from(counters.past_from_peers > 0);
            past.segments_lost += counters.past_lost;
            (peers, host) = (peers + counters.past_from_peers, host + counters.past_from_host);
            let Some(replay) = world.actor(*id).replay else { continue };
            replay.started_after.iter().for_each(|after| startup_ms.add(after.0 as f64 / 1e3));
            past.watched_s += replay.watched.0 as f64 / 1e6;
            past.waited_s += replay.waited.0 as f64 / 1e6;
            past.wrong += replay.wrong;
        }
        let all = (peers + host).max(1) as f64;
        let seconds = world.now().since(begun).0 as f64 / 1e6;
        let given = (world.given_by_archive() - given_before) as f64;
        self.report = Some(Past {
            by_peers: peers as f64 / all,
            by_host: host as f64 / all,
            host_copies: given / (seconds * world.stream_bytes_per_second()).max(1.0),
            startup_ms: startup_ms.quantiles(),
            ..past
        });
    }

    pub(crate) fn report(&self) -> Option<Past> {
        self.report
    }
}
