//! What is simulated: a scenario as a value, read from TOML.
//!
//! Every field has a default, unknown fields are errors, and [`Scenario::validate`] reports all problems at once. Times end
//! in their unit (`_s`, `_ms`), rates in `_mbps`; shares are fractions of one. A sweep is a loop over [`Scenario::with`].
//!
//! ```
//! use peerstream_lab::Scenario;
//!
//! let text = "name = \"small\"\nviewers = 100\n[network.delays]\nkind = \"uniform\"\nmin_ms = 5.0\nmax_ms = 80.0\n";
//! let scenario = Scenario::from_toml(text).unwrap();
//! let lossy = scenario.with("network.loss", "0.002").unwrap();
//! assert_eq!((lossy.viewers, lossy.network.loss), (100, 0.002));
//! assert!(scenario.with("network.los", "1").is_err());
//! ```

use serde::{Deserialize, Serialize};

/// One simulated broadcast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// A short name, as the file's.
    pub name: String,
    /// Viewers in the steady state, or when all have come.
    pub viewers: usize,
    /// How long is measured, after the warm-up.
    pub minutes: f64,
    /// How long the audience builds up and settles before anything is measured; faults count from its end.
    pub warm_up_s: f64,
    /// How long nobody comes or goes at the end, for the properties that hold when it is quiet.
    pub settle_s: f64,
    /// What is streamed.
    pub stream: Stream,
    /// Delays, rates and what goes wrong in the network all the time.
    pub network: Network,
    /// Who comes, and how they leave.
    pub people: People,
    /// What goes wrong once.
    pub faults: Vec<Fault>,
    /// Who goes back in time; nobody when absent.
    pub past: Option<Past>,
    /// What the checkers allow.
    pub bounds: Bounds,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            name: "unnamed".to_owned(),
            viewers: 1_000,
            minutes: 5.0,
            warm_up_s: 90.0,
            settle_s: 20.0,
            stream: Stream::default(),
            network: Network::default(),
            people: People::default(),
            faults: Vec::new(),
            past: None,
            bounds: Bounds::default(),
        }
    }
}

/// The stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stream {
    /// Megabits per second.
    pub bitrate_mbps: f64,
    /// Length of a segment.
    pub segment_ms: u64,
    /// Pieces per segment. A source makes four of 62.5 kB. One is fast and pessimistic: a segment is forwarded only when it is
    /// whole.
    pub pieces: usize,
    /// Segments from one join point to the next; plain data has one in each segment.
    pub gop: usize,
    /// Plain data, each segment being one record, instead of media: nodes wait longer for what is missing.
    pub data: bool,
    /// The playout target; `max(4 L, 400 ms)` of each node's own L when absent.
    pub playout_ms: Option<f64>,
}

impl Default for Stream {
    fn default() -> Self {
        Self { bitrate_mbps: 2.5, segment_ms: 200, pieces: 4, gop: 5, data: false, playout_ms: None }
    }
}

impl Stream {
    /// Bytes of one segment's payload.
    pub fn segment_bytes(&self) -> u64 {
        (self.bitrate_mbps * 1e6 / 8.0 * self.segment_ms as f64 / 1e3).round().max(1.0) as u64
    }
}

/// The network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// How far the nodes are from each other.
    pub delays: Delays,
    /// Each node's access adds this, one way, going out and coming in: drawn once per node from this range, in ms.
    pub access_ms: [f64; 2],
    /// Whether the address of a viewer tells at which host of a matrix it is, as viewers of one access network share a prefix: a
    /// strategy may then know where a newcomer is before it has measured anything. The 490 networks of PlanetLab make this
    /// more of a help than it is in the world.
    pub networks: bool,
    /// Added to each frame, up to this much.
    pub jitter_ms: f64,
    /// Share of packets lost between nodes, at random. A loss costs a round trip and lowers the link's ceiling.
    pub loss: f64,
    /// The classes of viewers, by share; the shares add up to one.
    pub classes: Vec<Class>,
    /// The source's uplink.
    pub source_uplink_mbps: f64,
    /// What newcomers are sent over the control connection until a parent feeds them, all of them together. The coordinator's
    /// default.
    pub starter_mbps: f64,
    /// From a node to the coordinator, one way: drawn once per node from this range, in ms.
    pub coordinator_ms: [f64; 2],
    /// Share of control messages lost, of those doubled, and how late they may come.
    pub control: Control,
    /// Round trips of the control connection until it is open: TCP, TLS 1.3 and the WebSocket upgrade, one each.
    pub control_round_trips: u64,
    /// Round trips from a description's arrival to an open link: ICE 1, DTLS 1.2 with its cookie 3, SCTP 2. Measured with
    /// `webrtc` at 40 and 150 ms: 5.4 to 6.2.
    pub setup_round_trips: u64,
    /// Share of pairs of nodes that can never connect.
    pub unreachable: f64,
    /// Share of ends of links that lose the first frame they send.
    pub first_frames_lost: f64,
    /// Viewers whose clock runs fast or slow by up to this much.
    pub clock_drift_ppm: f64,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            delays: Delays::default(),
            access_ms: [1.0, 10.0],
            networks: true,
            jitter_ms: 2.0,
            loss: 0.0,
            classes: vec![Class::default()],
            source_uplink_mbps: 100.0,
            starter_mbps: 4.0,
            coordinator_ms: [10.0, 80.0],
            control: Control::default(),
            control_round_trips: 3,
            setup_round_trips: 6,
            unreachable: 0.0,
            first_frames_lost: 0.0,
            clock_drift_ppm: 50.0,
        }
    }
}

/// Where the delays between nodes come from. One way, without the access.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "kebab-case")]
pub enum Delays {
    /// Each pair of nodes has its own, drawn once.
    Uniform {
        /// The least, in ms.
        min_ms: f64,
        /// The most, in ms.
        max_ms: f64,
    },
    /// Half the round trips of [`crate::data::Matrix`]; each node is put on a random host, the source on one whose median is
    /// below 90 ms.
    Matrix,
    /// The table of [`crate::data::Regions`]; viewers are spread by its shares.
    Regions {
        /// Whether its bandwidths replace the classes' rates.
        #[serde(default)]
        bandwidth: bool,
    },
}

impl Default for Delays {
    fn default() -> Self {
        Self::Uniform { min_ms: 5.0, max_ms: 80.0 }
    }
}

/// Viewers that are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Class {
    /// Share of the viewers.
    pub share: f64,
    /// What they can send.
    pub uplink_mbps: f64,
    /// What they can receive.
    pub downlink_mbps: f64,
    /// Whether they say that they may relay.
    pub relay: bool,
    /// Children they offer to feed.
    pub capacity: u8,
}

impl Default for Class {
    /// Four copies of 2.5 Mbit/s fit, where capacity and spare ask for three.
    fn default() -> Self {
        Self { share: 1.0, uplink_mbps: 10.0, downlink_mbps: 50.0, relay: true, capacity: 2 }
    }
}

/// What the control channel does to messages. Greetings are not lost: a connection begins with them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// Share lost.
    pub lost: f64,
    /// Share that comes twice.
    pub doubled: f64,
    /// A message may come up to this much late, and so out of order.
    pub late_ms: f64,
}

/// The audience.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct People {
    /// How they come.
    pub arrivals: Arrivals,
    /// How long they stay.
    pub sessions: Sessions,
    /// How they leave.
    pub leaving: Leaving,
}

/// How viewers come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "kebab-case")]
pub enum Arrivals {
    /// All are there after the first half of the warm-up, the longest present first, with what remains of sessions picked as
    /// an observer finds them (the longer ones more often); then newcomers come as a Poisson process that keeps the number.
    #[default]
    Steady,
    /// Newcomers come at the steady state's rate from the start, with nobody there before.
    Cold,
    /// All come within this time after the warm-up, evenly; then newcomers replace those who leave, as in the steady state.
    Flash {
        /// Seconds from the first to the last.
        over_s: f64,
    },
}

/// How long viewers stay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "kebab-case")]
pub enum Sessions {
    /// ln(seconds) is normal with this mean and deviation. Live streams: 5.23553 and 1.54432 (Veloso et al., IMC 2002),
    /// which has a mean of 618 s.
    Lognormal {
        /// Mean of ln(seconds).
        mu: f64,
        /// Standard deviation of ln(seconds).
        sigma: f64,
    },
    /// Memoryless.
    Exponential {
        /// The mean.
        mean_s: f64,
    },
    /// Heavy-tailed: P(longer than t) = (min / t)^alpha, with alpha above 1.
    Pareto {
        /// The shortest.
        min_s: f64,
        /// The tail's exponent.
        alpha: f64,
    },
    /// Drawn from the durations of [`crate::data::Data::sessions`].
    Trace,
    /// Until the end.
    Stay,
}

impl Default for Sessions {
    fn default() -> Self {
        Self::Lognormal { mu: 5.23553, sigma: 1.54432 }
    }
}

/// How viewers leave; the shares add up to one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Leaving {
    /// The computer sleeps or the network is gone: nothing is said, and no connection closes.
    pub silent: f64,
    /// The tab closes: the system ends the control connection, links just fall silent.
    pub closed: f64,
    /// The page says goodbye.
    pub announced: f64,
}

impl Default for Leaving {
    fn default() -> Self {
        Self { silent: 0.2, closed: 0.8, announced: 0.0 }
    }
}

/// What goes wrong once; times count from the end of the warm-up, within which a fault may come too: before zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "kebab-case")]
pub enum Fault {
    /// This share of the viewers vanishes at once, silently. The report says how the others fare.
    Vanish {
        /// When.
        at_s: f64,
        /// Share of the viewers.
        share: f64,
    },
    /// One viewer's program dies: the system ends its control connection, links just fall silent.
    Kill {
        /// When.
        at_s: f64,
        /// Which: 1 for the first that ever joined.
        viewer: usize,
    },
    /// All control connections break, and none can be opened for a while.
    ControlDrop {
        /// When.
        at_s: f64,
        /// For how long.
        for_s: f64,
    },
    /// The coordinator forgets everything; the new one comes up after a while, under a new term.
    CoordinatorRestart {
        /// When.
        at_s: f64,
        /// For how long there is none.
        for_s: f64,
    },
    /// Nothing runs in this share of the viewers for a while, as in a page in the background.
    Freeze {
        /// When.
        at_s: f64,
        /// For how long.
        for_s: f64,
        /// Share of the viewers.
        share: f64,
    },
    /// This share of the open links carries nothing in one direction for a while.
    OneWay {
        /// When.
        at_s: f64,
        /// For how long.
        for_s: f64,
        /// Share of the links.
        share: f64,
    },
    /// From now on this share of the viewers, newcomers too, can send no more than this, whatever they say.
    Underperform {
        /// When.
        at_s: f64,
        /// Those who are there are struck one after the other, evenly within this time; at once when absent.
        #[serde(default)]
        over_s: f64,
        /// Share of the viewers.
        share: f64,
        /// Their uplink.
        uplink_mbps: f64,
        /// They hold back what they forward for this long besides.
        #[serde(default)]
        late_ms: f64,
    },
    /// From now on this share of the viewers, newcomers too, forwards nothing and says that it does.
    Lie {
        /// When.
        at_s: f64,
        /// Share of the viewers.
        share: f64,
    },
}

impl Fault {
    /// When it begins, in seconds from the end of the warm-up.
    pub fn at_s(&self) -> f64 {
        match self {
            Self::Vanish { at_s, .. } | Self::Kill { at_s, .. } => *at_s,
            Self::ControlDrop { at_s, .. } | Self::CoordinatorRestart { at_s, .. } => *at_s,
            Self::Freeze { at_s, .. } | Self::OneWay { at_s, .. } => *at_s,
            Self::Underperform { at_s, .. } | Self::Lie { at_s, .. } => *at_s,
        }
    }

    fn span_s(&self) -> f64 {
        match self {
            Self::ControlDrop { for_s, .. } | Self::CoordinatorRestart { for_s, .. } => *for_s,
            Self::Freeze { for_s, .. } | Self::OneWay { for_s, .. } => *for_s,
            Self::Underperform { over_s, .. } => *over_s,
            Self::Vanish { .. } | Self::Kill { .. } | Self::Lie { .. } => 0.0,
        }
    }

    fn share(&self) -> f64 {
        match self {
            Self::Vanish { share, .. } | Self::Freeze { share, .. } | Self::OneWay { share, .. } => *share,
            Self::Underperform { share, .. } | Self::Lie { share, .. } => *share,
            Self::Kill { .. } | Self::ControlDrop { .. } | Self::CoordinatorRestart { .. } => 0.0,
        }
    }
}

/// Latecomers that go back in time, and what there is for them. They stay there until the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Past {
    /// How many, besides the scenario's viewers. They come within the ten seconds before the first goes back.
    pub viewers: usize,
    /// When the first goes back, in seconds from the end of the warm-up.
    pub at_s: f64,
    /// All go within this time, evenly; 0: at once.
    pub over_s: f64,
    /// How far they go.
    pub behind_s: f64,
    /// What each viewer keeps for others, in megabytes of the stream.
    pub keep_mb: f64,
    /// What the host's archive gives out, all together; 0: there is none.
    pub archive_mbps: f64,
}

impl Default for Past {
    fn default() -> Self {
        Self { viewers: 20, at_s: 30.0, over_s: 0.0, behind_s: 60.0, keep_mb: 64.0, archive_mbps: 20.0 }
    }
}

/// What the checkers of P7 to P9 allow; the other properties have no numbers of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// P7: share of children that are older than their parent, weak nodes aside.
    pub inverted: f64,
    /// P8: levels beyond the optimum.
    pub levels: u32,
    /// P9: new parents per departure, for nodes that had one: about two for each node that moves up.
    pub moves_per_departure: f64,
    /// P9: assignments sent per move, join or departure.
    pub assignments_per_move: f64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { inverted: 0.001, levels: 1, moves_per_departure: 2.2, assignments_per_move: 16.0 }
    }
}

/// Why a scenario cannot be run; all that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("scenario: {}", .0.join("; "))]
pub struct Problems(pub Vec<String>);

impl Scenario {
    /// Reads and checks a scenario.
    pub fn from_toml(text: &str) -> Result<Self, Problems> {
        let scenario: Self = toml::from_str(text).map_err(|error| Problems(vec![error.to_string()]))?;
        scenario.validate()?;
        Ok(scenario)
    }

    /// The scenario as TOML, with all its fields.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a scenario has only what TOML can say")
    }

    /// The same scenario with one field set, such as `("network.loss", "0.01")` or `("network.classes.0.uplink_mbps", "5")`.
    /// The value is written as in TOML; what is no TOML is taken as text.
    pub fn with(&self, path: &str, value: &str) -> Result<Self, Problems> {
        let problem = |text: String| Problems(vec![text]);
        let mut table = toml::Value::try_from(self).map_err(|error| problem(error.to_string()))?;
        let (above, last) = path.rsplit_once('.').unwrap_or(("", path));
        let steps = above.split('.').filter(|step| !step.is_empty());
        let mut place = &mut table;
        for step in steps {
            place = step_into(place, step).ok_or_else(|| problem(format!("`{path}` names nothing: no `{step}`")))?;
        }
        let value = parse_value(value);
        match place {
            toml::Value::Table(fields) => drop(fields.insert(last.to_owned(), value)),
            toml::Value::Array(_) => {
                *step_into(place, last).ok_or_else(|| problem(format!("`{path}` names nothing")))? = value;
            }
            _ => return Err(problem(format!("`{path}` names nothing: `{above}` has no fields"))),
        }
        let scenario: Self = table.try_into().map_err(|error| problem(format!("`{path}`: {error}")))?;
        scenario.validate()?;
        Ok(scenario)
    }

    /// Checks the numbers; all problems at once.
    pub fn validate(&self) -> Result<(), Problems> {
        let mut problems = Vec::new();
        let mut expect = |ok: bool, what: &str| {
            if !ok {
                problems.push(what.to_owned());
            }
        };
        expect(!self.name.is_empty(), "`name` is empty");
        expect((1..=1_000_000).contains(&self.viewers), "`viewers` is not within 1 to 1000000");
        expect(self.minutes > 0.0 && self.minutes <= 1_440.0, "`minutes` is not above 0 and up to 1440");
        expect((0.0..=3_600.0).contains(&self.warm_up_s), "`warm_up_s` is not within 0 to 3600");
        expect((0.0..=3_600.0).contains(&self.settle_s), "`settle_s` is not within 0 to 3600");
        self.stream.check(&mut expect);
        self.network.check(&mut expect);
        self.people.check(&mut expect);
        if let Some(past) = &self.past {
            past.check(self, &mut expect);
        }
        for fault in &self.faults {
            expect(
                fault.at_s() >= -self.warm_up_s && fault.at_s() <= self.minutes * 60.0,
                "a fault's `at_s` is not within the run",
            );
            expect(!matches!(fault, Fault::Kill { viewer: 0, .. }), "a fault's `viewer` is 0, the source");
            expect((0.0..=1.0).contains(&fault.share()), "a fault's `share` is not within 0 to 1");
            expect((0.0..=3_600.0).contains(&fault.span_s()), "a fault's `for_s` or `over_s` is not within 0 to 3600");
        }
        if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
    }
}

fn step_into<'a>(place: &'a mut toml::Value, step: &str) -> Option<&'a mut toml::Value> {
    match place {
        toml::Value::Table(fields) => fields.get_mut(step),
        toml::Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
        _ => None,
    }
}

/// Reads a value as TOML would; what is no TOML is text.
fn parse_value(text: &str) -> toml::Value {
    let table: Result<toml::Table, _> = toml::from_str(&format!("value = {text}"));
    table.ok().and_then(|mut table| table.remove("value")).unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

impl Stream {
    fn check(&self, expect: &mut impl FnMut(bool, &str)) {
        expect(
            self.bitrate_mbps > 0.0 && self.bitrate_mbps <= 1_000.0,
            "`stream.bitrate_mbps` is not above 0 and up to 1000",
        );
        expect((20..=10_000).contains(&self.segment_ms), "`stream.segment_ms` is not within 20 to 10000");
        expect((1..=16).contains(&self.pieces), "`stream.pieces` is not within 1 to 16");
        expect((1..=1_000).contains(&self.gop), "`stream.gop` is not within 1 to 1000");
        expect(self.playout_ms.is_none_or(|ms| ms > 0.0), "`stream.playout_ms` is not above 0");
    }
}

impl Network {
    fn check(&self, expect: &mut impl FnMut(bool, &str)) {
        let range = |[low, high]: [f64; 2]| low >= 0.0 && low <= high && high <= 10_000.0;
        let share = |share: f64| (0.0..=1.0).contains(&share);
        expect(range(self.access_ms), "`network.access_ms` is not [least, most]");
        expect(range(self.coordinator_ms), "`network.coordinator_ms` is not [least, most]");
        expect((0.0..=1_000.0).contains(&self.jitter_ms), "`network.jitter_ms` is not within 0 to 1000");
        expect((0.0..=0.2).contains(&self.loss), "`network.loss` is not within 0 to 0.2");
        expect(share(self.unreachable), "`network.unreachable` is not within 0 to 1");
        expect(share(self.first_frames_lost), "`network.first_frames_lost` is not within 0 to 1");
        expect(share(self.control.lost) && share(self.control.doubled), "`network.control` has shares beyond 0 to 1");
        expect((0.0..=10_000.0).contains(&self.control.late_ms), "`network.control.late_ms` is not within 0 to 10000");
        expect(self.source_uplink_mbps > 0.0, "`network.source_uplink_mbps` is not above 0");
        expect(self.starter_mbps >= 0.0, "`network.starter_mbps` is below 0");
        expect(
            (0.0..=100_000.0).contains(&self.clock_drift_ppm),
            "`network.clock_drift_ppm` is not within 0 to 100000",
        );
        expect(self.setup_round_trips <= 100 && self.control_round_trips <= 100, "round trips are more than 100");
        if let Delays::Uniform { min_ms, max_ms } = self.delays {
            expect(range([min_ms, max_ms]), "`network.delays` has no `min_ms` up to `max_ms`");
        }
        let classes = &self.classes;
        let sum: f64 = classes.iter().map(|class| class.share).sum();
        expect((sum - 1.0).abs() < 1e-6, "the shares of `network.classes` do not add up to 1");
        expect(classes.iter().all(|class| share(class.share)), "a share of `network.classes` is not within 0 to 1");
        let rates = classes.iter().all(|class| class.uplink_mbps > 0.0 && class.downlink_mbps > 0.0);
        expect(
            rates,
            "a rate of `network.classes` is not above 0 (say `relay = false` for a viewer that sends nothing)",
        );
        expect(classes.iter().all(|class| class.capacity <= 16), "a `capacity` of `network.classes` is above 16");
    }
}

impl Past {
    fn check(&self, scenario: &Scenario, expect: &mut impl FnMut(bool, &str)) {
        let goes_last_s = self.at_s + self.over_s;
        expect((1..=1_000_000).contains(&self.viewers), "`past.viewers` is not within 1 to 1000000");
        expect(self.at_s >= 10.0 && self.over_s >= 0.0, "`past.at_s` is below 10, or `past.over_s` below 0");
        expect(goes_last_s <= scenario.minutes * 60.0, "`past.at_s` and `past.over_s` are not within the run");
        expect((2.0..=86_400.0).contains(&self.behind_s), "`past.behind_s` is not within 2 to 86400");
        expect((0.0..=4_096.0).contains(&self.keep_mb), "`past.keep_mb` is not within 0 to 4096");
        expect((0.0..=1e6).contains(&self.archive_mbps), "`past.archive_mbps` is not within 0 to 1000000");
        expect(!scenario.stream.data, "plain data has no past: `stream.data` and `[past]` do not go together");
    }
}

impl People {
    fn check(&self, expect: &mut impl FnMut(bool, &str)) {
        let leaving = &self.leaving;
        let shares = [leaving.silent, leaving.closed, leaving.announced];
        let sound =
            shares.iter().all(|share| (0.0..=1.0).contains(share)) && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-6;
        expect(sound, "the shares of `people.leaving` do not add up to 1");
        let sessions = match self.sessions {
            Sessions::Lognormal { mu, sigma } => (-5.0..=15.0).contains(&mu) && (0.0..=5.0).contains(&sigma),
            Sessions::Exponential { mean_s } => mean_s > 0.0,
            Sessions::Pareto { min_s, alpha } => min_s > 0.0 && alpha > 1.0,
            Sessions::Trace | Sessions::Stay => true,
        };
        expect(sessions, "`people.sessions` has parameters beyond their meaning");
        if let Arrivals::Flash { over_s } = self.arrivals {
            expect((0.0..=3_600.0).contains(&over_s), "`people.arrivals.over_s` is not within 0 to 3600");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_survives_a_round_trip_through_toml() {
        let faults =
            vec![Fault::Vanish { at_s: 10.0, share: 0.25 }, Fault::OneWay { at_s: 1.0, for_s: 2.0, share: 0.1 }];
        let scenario = Scenario { faults, ..Scenario::default() };
        assert_eq!(Scenario::from_toml(&scenario.to_toml()), Ok(scenario));
    }

    #[test]
    fn an_unknown_field_is_named() {
        for text in ["viewer = 5", "[network.delays]\nkind = \"uniform\"\nmin_ms = 1\nmax_ms = 2\nfar = 3"] {
            let error = Scenario::from_toml(text).unwrap_err().to_string();
            assert!(error.contains("unknown field"), "{error}");
        }
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let problems = Scenario { viewers: 0, minutes: -1.0, ..Scenario::default() }.validate().unwrap_err();
        assert_eq!(problems.0.len(), 2, "{problems}");
    }

    #[test]
    fn a_sweep_sets_one_field_by_its_path() {
        let scenario = Scenario { faults: vec![Fault::Vanish { at_s: 10.0, share: 0.25 }], ..Scenario::default() };
        assert_eq!(scenario.with("faults.0.share", "0.5").unwrap().faults[0].share(), 0.5);
        assert_eq!(scenario.with("viewers", "77").unwrap().viewers, 77);
        assert_eq!(scenario.with("stream.playout_ms", "900").unwrap().stream.playout_ms, Some(900.0));
        assert_eq!(scenario.with("name", "other").unwrap().name, "other");
        for (path, value) in [("stream.nothing", "1"), ("nothing.loss", "1"), ("viewers", "many"), ("viewers", "0")] {
            assert!(scenario.with(path, value).is_err(), "{path} = {value}");
        }
    }

    #[test]
    fn a_fault_may_come_within_the_warm_up_and_not_before_it() {
        let scenario = |at_s| {
            let fault = Fault::Underperform { at_s, over_s: 5.0, share: 0.5, uplink_mbps: 1.0, late_ms: 0.0 };
            Scenario { warm_up_s: 30.0, faults: vec![fault], ..Scenario::default() }.validate()
        };
        assert_eq!(scenario(-30.0), Ok(()));
        assert_eq!(scenario(-30.5).unwrap_err().0.len(), 1);
    }

    #[test]
    fn the_scenarios_that_come_along_are_valid_and_named_as_their_files() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let text = std::fs::read_to_string(&file).unwrap();
            let scenario =
                Scenario::from_toml(&text).unwrap_or_else(|problems| panic!("{}: {problems}", file.display()));
            assert_eq!(Some(scenario.name.as_str()), file.file_stem().and_then(|stem| stem.to_str()));
            assert!(text.starts_with("# "), "{}: the first line says what it is about", file.display());
        }
    }
}
