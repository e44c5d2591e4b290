//! Who comes when, for how long, with what line.

use std::rc::Rc;

use peerstream_protocol::time::Micros;

use crate::chance::Chance;
use crate::data::Data;
use crate::network::{Access, Paths, from_ms};
use crate::scenario::{Delays, Leaving, Network, Problems, Scenario, Sessions};
use crate::world::{Departure, Newcomer};

/// No session is taken to be longer, in seconds: a week.
const SESSION_MAX: f64 = 604_800.0;

/// Draws viewers.
#[derive(Debug)]
pub(crate) struct Audience {
    sessions: Sessions,
    trace: Vec<f64>,
    leaving: Leaving,
    network: Network,
    paths: Paths,
    source_place: u32,
}

impl Audience {
    /// The audience of a scenario, with the data that it names.
    pub(crate) fn new(scenario: &Scenario, data: &Data, chance: &mut Chance) -> Result<Self, Problems> {
        let missing = |what: &str| Problems(vec![format!("the scenario asks for {what}, and none was given")]);
        let (paths, source_place) = match scenario.network.delays {
            Delays::Uniform { min_ms, max_ms } => (Paths::Uniform(from_ms(min_ms), from_ms(max_ms)), 0),
            Delays::Matrix => {
                let matrix = data.rtt.clone().ok_or_else(|| missing("a matrix of round trips"))?;
                let central = matrix.central(90.0);
                let source = central[chance.below(central.len() as u64) as usize];
                (Paths::Hosts(Rc::new(matrix)), source)
            }
            Delays::Regions { .. } => {
                let regions = data.regions.clone().ok_or_else(|| missing("a table of regions"))?;
                (Paths::Regions(Rc::new(regions)), 0)
            }
        };
        let trace = match scenario.people.sessions {
            Sessions::Trace => data.sessions.clone().ok_or_else(|| missing("durations of sessions"))?,
            _ => Vec::new(),
        };
        Ok(Self {
            sessions: scenario.people.sessions.clone(),
            trace,
            leaving: scenario.people.leaving.clone(),
            network: scenario.network.clone(),
            paths,
            source_place: source_place as u32,
        })
    }

    pub(crate) fn paths(&self) -> Paths {
        self.paths.clone()
    }

    /// The source's line.
    pub(crate) fn source(&self, chance: &mut Chance) -> Access {
        let place = match &self.paths {
            Paths::Regions(_) => self.place(chance),
            _ => self.source_place,
        };
        let uplink = bytes_per_second(self.network.source_uplink_mbps);
        let control_delay = from_ms(self.network.coordinator_ms[0]);
        Access { place, delay: Micros(0), control_delay, uplink, downlink: uplink, drift_ppm: 0 }
    }

    /// A new viewer.
    pub(crate) fn viewer(&self, chance: &mut Chance) -> Newcomer {
        let place = self.place(chance);
        let drawn = chance.fraction();
        let mut below = 0.0;
        let class = self.network.classes.iter().find(|class| {
            below += class.share;
            drawn < below
        });
        let class = class.or(self.network.classes.last()).expect("a scenario has a class");
        let (mut up, mut down) = (class.uplink_mbps, class.downlink_mbps);
        if let (Paths::Regions(regions), Delays::Regions { bandwidth: true }) = (&self.paths, &self.network.delays) {
            let region = &regions.0[place as usize];
            (up, down) = (region.up_mbps, region.down_mbps);
        }
        let access = Access {
            place,
            delay: from_ms(chance.between(self.network.access_ms)),
            control_delay: from_ms(chance.between(self.network.coordinator_ms)),
            uplink: bytes_per_second(up),
            downlink: bytes_per_second(down),
            drift_ppm: chance.between([-self.network.clock_drift_ppm, self.network.clock_drift_ppm]) as i32,
        };
        Newcomer { access, relay: class.relay, capacity: class.capacity }
    }

    fn place(&self, chance: &mut Chance) -> u32 {
        match &self.paths {
            Paths::Hosts(matrix) => chance.below(matrix.hosts() as u64) as u32,
            Paths::Regions(regions) => {
                let mut left = chance.fraction() * regions.0.iter().map(|region| region.share).sum::<f64>();
                let found = regions.0.iter().position(|region| {
                    left -= region.share;
                    left < 0.0
                });
                found.unwrap_or(0) as u32
            }
            Paths::Same(_) | Paths::Uniform(..) => 0,
        }
    }

    /// How long a newcomer stays; none for ever.
    pub(crate) fn session(&self, chance: &mut Chance) -> Option<Micros> {
        let seconds = match self.sessions {
            Sessions::Lognormal { mu, sigma } => (mu + sigma * chance.normal()).exp(),
            Sessions::Exponential { mean_s } => mean_s * chance.exponential(),
            Sessions::Pareto { min_s, alpha } => min_s * (1.0 - chance.fraction()).powf(-1.0 / alpha),
            Sessions::Trace => self.trace[chance.below(self.trace.len() as u64) as usize],
            Sessions::Stay => return None,
        };
        Some(seconds_to_micros(seconds))
    }

    /// How long somebody who is found watching has been there, and will stay. Longer sessions are found more often: the
    /// session's length is drawn by its length, and the observer comes at any time of it.
    pub(crate) fn found(&self, chance: &mut Chance) -> (Micros, Option<Micros>) {
        let seconds = match self.sessions {
            Sessions::Lognormal { mu, sigma } => (mu + sigma * sigma + sigma * chance.normal()).exp(),
            Sessions::Exponential { mean_s } => mean_s * (chance.exponential() + chance.exponential()),
            Sessions::Pareto { min_s, alpha } => min_s * (1.0 - chance.fraction()).powf(-1.0 / (alpha - 1.0)),
            Sessions::Trace => self.trace_by_length(chance),
            Sessions::Stay => return (seconds_to_micros(SESSION_MAX * chance.fraction()), None),
        };
        let seconds = seconds.min(SESSION_MAX);
        let age = seconds * chance.fraction();
        (seconds_to_micros(age), Some(seconds_to_micros(seconds - age)))
    }

    fn trace_by_length(&self, chance: &mut Chance) -> f64 {
        let mut left = chance.fraction() * self.trace.iter().sum::<f64>();
        let found = self.trace.iter().find(|length| {
            left -= **length;
            left < 0.0
        });
        found.or(self.trace.last()).copied().unwrap_or(1.0)
    }

    /// The mean of [`Self::session`], in seconds.
    pub(crate) fn session_mean(&self) -> f64 {
        match self.sessions {
            Sessions::Lognormal { mu, sigma } => (mu + sigma * sigma / 2.0).exp(),
            Sessions::Exponential { mean_s } => mean_s,
            Sessions::Pareto { min_s, alpha } => min_s * alpha / (alpha - 1.0),
            Sessions::Trace => self.trace.iter().sum::<f64>() / self.trace.len() as f64,
            Sessions::Stay => f64::INFINITY,
        }
    }

    /// How one leaves.
    pub(crate) fn departure(&self, chance: &mut Chance) -> Departure {
        let drawn = chance.fraction();
        if drawn < self.leaving.silent {
            Departure::Silent
        } else if drawn < self.leaving.silent + self.leaving.closed {
            Departure::Closed
        } else {
            Departure::Announced
        }
    }
}

/// Bytes per second of this many megabits per second.
pub(crate) fn bytes_per_second(mbps: f64) -> u64 {
    (mbps * 125_000.0).max(1.0) as u64
}

/// Seconds as time, a week at most.
pub(crate) fn seconds_to_micros(seconds: f64) -> Micros {
    Micros((seconds.clamp(0.0, SESSION_MAX) * 1e6) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::People;

    fn audience(sessions: Sessions) -> Audience {
        let scenario = Scenario { people: People { sessions, ..People::default() }, ..Scenario::default() };
        let data = Data { sessions: Some(vec![10.0, 20.0, 60.0]), ..Data::default() };
        Audience::new(&scenario, &data, &mut Chance::new(1)).unwrap()
    }

    /// Renewal theory: the mean of what remains of a session that is found is E[X^2] / 2 E[X].
    #[test]
    fn sessions_have_their_means_and_those_found_are_longer() {
        let lognormal = (1.0 + 0.5_f64 * 0.5 / 2.0).exp();
        for (sessions, mean, remains) in [
            (Sessions::Exponential { mean_s: 50.0 }, 50.0, 50.0),
            (Sessions::Trace, 30.0, (100.0 + 400.0 + 3_600.0) / 3.0 / 60.0),
            (Sessions::Lognormal { mu: 1.0, sigma: 0.5 }, lognormal, (2.0_f64 + 0.5).exp() / 2.0 / lognormal),
            (Sessions::Pareto { min_s: 10.0, alpha: 4.0 }, 40.0 / 3.0, 200.0 * 3.0 / 80.0),
        ] {
            let (audience, mut chance) = (audience(sessions.clone()), Chance::new(7));
            let draws = 40_000;
            let drawn: f64 = (0..draws).map(|_| audience.session(&mut chance).unwrap().0 as f64 / 1e6).sum();
            let left: f64 = (0..draws).map(|_| audience.found(&mut chance).1.unwrap().0 as f64 / 1e6).sum();
            assert!((audience.session_mean() / mean - 1.0).abs() < 1e-9, "{sessions:?}");
            assert!((drawn / draws as f64 / mean - 1.0).abs() < 0.05, "{sessions:?}");
            assert!((left / draws as f64 / remains - 1.0).abs() < 0.05, "{sessions:?}");
        }
    }

    #[test]
    fn data_that_a_scenario_needs_is_asked_for() {
        let scenario = Scenario::default().with("network.delays", "{ kind = \"matrix\" }").unwrap();
        let error = Audience::new(&scenario, &Data::default(), &mut Chance::new(1)).unwrap_err();
        assert!(error.to_string().contains("a matrix of round trips"));
    }
}
