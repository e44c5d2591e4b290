//! The host's own sections of the config, and what the framework can be told about each plug-in. Every option has a default
//! that is good for production, so that no file is needed.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use peerstream::coordinator;
use peerstream::plugins::options;
use peerstream_registry::{Layout, Loading};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::Kind;

use crate::egress::Egress;
use crate::fallback::Budget;
use crate::player::Player;
use crate::takedown::Options as Takedown;

/// The transport when none is named.
pub const TRANSPORT: &str = "webrtc";
/// The strategy when none is named.
pub const STRATEGY: &str = "dumbbell";

/// What a config of this host is made of.
pub fn layout() -> Layout {
    Layout::new()
        .section::<Serve>("serve")
        .slot::<NoOptions>(Kind::Ingest, None)
        .section::<Dashboard>("dashboard")
        .section::<Takedown>("takedown")
        .section::<Source>("source")
        .section::<Fallback>("fallback")
        .section::<Player>("player")
        .section::<TimeShift>("time_shift")
        .slot::<StrategyOptions>(Kind::Strategy, Some(STRATEGY))
        .slot::<NoOptions>(Kind::Ladder, None)
        .slot::<NoOptions>(Kind::Transport, Some(TRANSPORT))
        .section::<Ice>("ice")
        .section::<Stun>("stun")
        .section::<Limits>("limits")
        .slot::<options::Admission>(Kind::Admission, None)
        .slot::<options::Telemetry>(Kind::Telemetry, None)
        .slot::<options::Archive>(Kind::Archive, None)
        .slot::<options::Compliance>(Kind::Compliance, None)
        .section::<Loading>("plugins")
}

/// Who broadcasts, and where viewers find it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Serve {
    /// Address and port of the web server: the page, the player, the control connections.
    #[schemars(with = "String", extend("format" = "socket-address"))]
    pub listen: SocketAddr,
    /// The publisher's key file, created on first use; not set: `peerstream/publisher.key` in the user's data folder.
    #[schemars(example = "publisher.key")]
    pub key: Option<PathBuf>,
    /// Shown above the player.
    #[schemars(example = "Friday night", length(max = 200))]
    pub title: Option<String>,
    /// Seconds to go on serving after the input has ended.
    pub linger_s: u64,
    /// A broadcast that was cut short, by a crash or a kill, goes on at the next start if that is within so many seconds: the same
    /// recording, the same viewers. 0: another one begins. `demo` needs a key for that.
    #[schemars(range(max = 86400))]
    pub resume_s: u64,
}

impl Default for Serve {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([0, 0, 0, 0], 8080)), key: None, title: None, linger_s: 60, resume_s: 300 }
    }
}

impl PluginConfig for Serve {}

/// Who may look at the dashboard and end a broadcast.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dashboard {
    /// Lets the streamer in, at least 8 characters; not set: a token that `serve` prints at its start.
    pub password: Secret,
    /// Another number makes all links, tokens and logins given out so far worthless.
    pub links: u32,
    /// Whether programs on this machine may read figures without a login: `peerstream why`, Prometheus. Turn it off behind a
    /// proxy on this machine that does not say for whom it asks.
    pub open_to_this_machine: bool,
    /// Whether everybody may read `/metrics`.
    pub open_metrics: bool,
}

impl Default for Dashboard {
    fn default() -> Self {
        Self { password: Secret::default(), links: 1, open_to_this_machine: true, open_metrics: false }
    }
}

/// The shortest password, in characters.
const PASSWORD_MIN: usize = 8;
/// The longest one, in bytes.
const PASSWORD_BYTES_MAX: usize = 200;

impl PluginConfig for Dashboard {
    fn validate(&self, violations: &mut Violations) {
        validate_password(&self.password, violations);
    }
}

/// Whether a password is one that can be typed and not guessed, if there is one.
pub fn validate_password(password: &Secret, violations: &mut Violations) {
    let password = password.reveal();
    let count = password.chars().count();
    let message = format!("has {count} characters, expected at least {PASSWORD_MIN}");
    violations.push_if((1..PASSWORD_MIN).contains(&count), "password", message);
    let message = format!("has {} bytes, expected at most {PASSWORD_BYTES_MAX}", password.len());
    violations.push_if(password.len() > PASSWORD_BYTES_MAX, "password", message);
}

/// How much the source itself sends.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    /// Megabits per second for viewers that the source feeds itself: a small audience is fed directly up to that, a larger one
    /// grows below them. 0 means two viewers, whatever the bitrate. How many roots there are is the strategy's option.
    pub budget_mbps: u32,
}

impl PluginConfig for Source {}

/// The stream over HTTP, for viewers that nobody feeds: whose browser or network has no WebRTC, or while the overlay fails.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fallback {
    /// Megabits per second for all of them together; whoever comes beyond that is turned away and tries again. 0 for none.
    pub budget_mbps: u32,
}

impl Default for Fallback {
    fn default() -> Self {
        Self { budget_mbps: 20 }
    }
}

impl PluginConfig for Fallback {}

impl Fallback {
    /// For the web server.
    pub fn budget(&self) -> Budget {
        Budget::new(u64::from(self.budget_mbps) * 1_000_000)
    }
}

/// Going back in time: in the player, and as HLS for ordinary players. What is past comes from other viewers that keep it; what
/// nobody keeps, and HLS, comes from this host if an archive can be read back.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeShift {
    /// How far back viewers may go, in seconds; 0 for not at all. Without an archive it is as far as pages keep.
    #[schemars(range(max = 86400))]
    pub window_s: u64,
    /// Megabytes of memory in each page for what was broadcast lately, to go back to and to give to others.
    #[schemars(range(max = 1024))]
    pub page_mb: u32,
    /// Megabits per second that this host sends of the past, to viewers and as HLS, all together; who asks for more is sent it
    /// slower. 0 for none.
    pub budget_mbps: u32,
    /// Whether recordings, the one on air among them, are given out as HLS under `/hls`.
    pub hls: bool,
}

impl Default for TimeShift {
    fn default() -> Self {
        Self { window_s: 600, page_mb: 64, budget_mbps: 20, hls: true }
    }
}

impl PluginConfig for TimeShift {}

impl TimeShift {
    /// For the web server.
    pub fn egress(&self) -> Egress {
        Egress::new(u64::from(self.budget_mbps) * 1_000_000)
    }
}

/// What helps nodes find a path to each other.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ice {
    /// STUN urls besides the built-in server, such as `stun:stun.example.org:3478`.
    pub servers: Vec<String>,
}

impl PluginConfig for Ice {}

/// The built-in STUN server, which tells viewers their public address. It needs a UDP port of its own.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Stun {
    /// Whether there is one.
    pub enabled: bool,
    /// Its UDP address and port; another port is used when this one is taken.
    #[schemars(with = "String", extend("format" = "socket-address"))]
    pub listen: SocketAddr,
}

impl Default for Stun {
    fn default() -> Self {
        Self { enabled: true, listen: SocketAddr::from(([0, 0, 0, 0], 3478)) }
    }
}

impl PluginConfig for Stun {}

/// What protects this machine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Viewers and helpers; beyond it newcomers are turned away.
    pub nodes: usize,
    /// Open TCP connections; beyond it newcomers wait.
    pub connections: usize,
    /// Control connections from one IPv4 address, or one /64 of IPv6. Of other connections it may have 256 more.
    pub connections_per_address: usize,
    /// Addresses of web servers in front of this one, such as `127.0.0.1`: what they say in `X-Forwarded-For` is who asks. Without them
    /// all who come through one are one address for these limits and those of notices.
    #[schemars(with = "Vec<String>")]
    pub proxies: Vec<IpAddr>,
    /// Joins from one address at once after a pause.
    pub joins_per_address_burst: u32,
    /// Joins from one address per second after that.
    pub joins_per_address_per_second: u32,
    /// Bytes per second of stream that this host may send to newcomers, all together, until a viewer feeds them; pictures come
    /// seconds earlier over long distances. 0 for none.
    pub starter_bytes_per_second: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let limits = coordinator::Limits::default();
        Self {
            nodes: limits.nodes_max,
            connections: limits.connections_max,
            connections_per_address: 512,
            proxies: Vec::new(),
            joins_per_address_burst: limits.joins_per_address_burst,
            joins_per_address_per_second: limits.joins_per_address_per_second,
            starter_bytes_per_second: limits.starter_bytes_per_second,
        }
    }
}

impl PluginConfig for Limits {}

impl Limits {
    /// The coordinator's share.
    pub fn coordinator(&self) -> coordinator::Limits {
        coordinator::Limits {
            nodes_max: self.nodes,
            connections_max: self.connections,
            joins_per_address_burst: self.joins_per_address_burst,
            joins_per_address_per_second: self.joins_per_address_per_second,
            starter_bytes_per_second: self.starter_bytes_per_second,
            ..coordinator::Limits::default()
        }
    }
}

/// What the framework can be told about the strategy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StrategyOptions {
    /// The strategy that takes over, with its defaults, when the one in use fails.
    pub fallback: String,
}

impl Default for StrategyOptions {
    fn default() -> Self {
        Self { fallback: STRATEGY.to_owned() }
    }
}

impl PluginConfig for StrategyOptions {}
