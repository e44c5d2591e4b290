//! The host's own sections of the config, and what the framework can be told about each plug-in. Every option has a default
//! that is good for production, so that no file is needed.

use std::net::SocketAddr;
use std::path::PathBuf;

use peerstream::coordinator;
use peerstream_registry::{Layout, Loading};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::Kind;

/// The transport when none is named.
pub const TRANSPORT: &str = "webrtc";
/// The strategy when none is named.
pub const STRATEGY: &str = "dumbbell";
/// The ingest when none is named.
pub const INGEST: &str = "pipe";

/// What a config of this host is made of.
pub fn layout() -> Layout {
    Layout::new()
        .section::<Serve>("serve")
        .slot::<NoOptions>(Kind::Ingest, Some(INGEST))
        .section::<Source>("source")
        .slot::<StrategyOptions>(Kind::Strategy, Some(STRATEGY))
        .slot::<NoOptions>(Kind::Ladder, None)
        .slot::<NoOptions>(Kind::Transport, Some(TRANSPORT))
        .section::<Ice>("ice")
        .section::<Stun>("stun")
        .section::<Limits>("limits")
        .slot::<AdmissionOptions>(Kind::Admission, None)
        .slot::<TelemetryOptions>(Kind::Telemetry, None)
        .slot::<ArchiveOptions>(Kind::Archive, None)
        .slot::<ComplianceOptions>(Kind::Compliance, None)
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
}

impl Default for Serve {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([0, 0, 0, 0], 8080)), key: None, title: None, linger_s: 60 }
    }
}

impl PluginConfig for Serve {}

/// How much the source itself sends.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    /// Megabits per second for viewers that the source feeds itself: a small audience is fed directly up to that, a larger one
    /// grows below them. 0 means two viewers, whatever the bitrate. How many roots there are is the strategy's option.
    pub budget_mbps: u32,
}

impl PluginConfig for Source {}

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
    /// Control connections from one IPv4 address, or one /64 of IPv6. Raise it behind a proxy.
    pub connections_per_address: usize,
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

/// What the framework can be told about a telemetry sink.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryOptions {
    /// Whether nothing starts without it; otherwise the broadcast goes on and the sink is shown as failed.
    pub required: bool,
    /// What waits for the sink.
    pub queue: Queue,
    /// How much it is given at once.
    pub batch: Batch,
    /// How a failed write is tried again.
    pub retry: Retry,
    /// A write that takes longer has failed, in milliseconds.
    #[schemars(range(min = 1, max = 600_000))]
    pub timeout_ms: u64,
}

impl Default for TelemetryOptions {
    fn default() -> Self {
        let (queue, batch, retry) = (Queue::default(), Batch::default(), Retry::default());
        Self { required: false, queue, batch, retry, timeout_ms: 10_000 }
    }
}

impl PluginConfig for TelemetryOptions {
    fn validate(&self, violations: &mut Violations) {
        self.retry.validate(violations);
        let more = self.batch.items_max > self.queue.items_max;
        let message =
            format!("is {}, expected no more than queue.items_max = {}", self.batch.items_max, self.queue.items_max);
        violations.push_if(more, "batch.items_max", message);
    }
}

/// What waits for an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// So many items wait at most.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub items_max: u32,
    /// What waits has so many bytes at most.
    #[schemars(range(min = 1_024, max = 4_294_967_296_u64))]
    pub bytes_max: u64,
    /// What gives way when it is full. Nothing ever waits.
    pub when_full: WhenFull,
}

impl Default for Queue {
    fn default() -> Self {
        Self { items_max: 10_000, bytes_max: 16 << 20, when_full: WhenFull::DropOldest }
    }
}

/// What gives way when a queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// What has waited longest.
    #[default]
    DropOldest,
    /// What comes in.
    DropNewest,
    /// Ever more of what comes in.
    Sample,
}

/// How much an instance is given at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Batch {
    /// So many items are given at once at most.
    #[schemars(range(min = 1, max = 100_000))]
    pub items_max: u32,
    /// A batch that is not full is given after this time, in milliseconds.
    #[schemars(range(max = 600_000))]
    pub linger_ms: u64,
}

impl Default for Batch {
    fn default() -> Self {
        Self { items_max: 1_000, linger_ms: 1_000 }
    }
}

/// How what failed for a time is tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// What fails for a time is tried so often in all.
    #[schemars(range(min = 1, max = 100))]
    pub attempts_max: u32,
    /// Pause before the second try, in milliseconds; it doubles with each.
    #[schemars(range(min = 1, max = 600_000))]
    pub pause_ms: u64,
    /// No pause is longer, in milliseconds.
    #[schemars(range(min = 1, max = 3_600_000))]
    pub pause_ms_max: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts_max: 5, pause_ms: 200, pause_ms_max: 30_000 }
    }
}

impl Retry {
    fn validate(&self, violations: &mut Violations) {
        let message = format!("is {}, expected at least pause_ms = {}", self.pause_ms_max, self.pause_ms);
        violations.push_if(self.pause_ms_max < self.pause_ms, "retry.pause_ms_max", message);
    }
}

/// What the framework can be told about an archive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ArchiveOptions {
    /// Whether nothing starts without it; otherwise the broadcast goes on and the archive is shown as failed.
    pub required: bool,
    /// Whether it may be used beside a compliance handler although nothing can be taken out of it.
    pub allow_unrestrictable: bool,
    /// What waits for the archive.
    pub queue: Queue,
    /// How what failed is tried again.
    pub retry: Retry,
    /// A call that takes longer has failed, in milliseconds.
    #[schemars(range(min = 1, max = 600_000))]
    pub timeout_ms: u64,
}

impl Default for ArchiveOptions {
    fn default() -> Self {
        let queue = Queue { items_max: 4_096, bytes_max: 256 << 20, when_full: WhenFull::DropOldest };
        let retry = Retry::default();
        Self { required: true, allow_unrestrictable: false, queue, retry, timeout_ms: 30_000 }
    }
}

impl PluginConfig for ArchiveOptions {
    fn validate(&self, violations: &mut Violations) {
        self.retry.validate(violations);
    }
}

/// What the framework can be told about a compliance handler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ComplianceOptions {
    /// Whether nothing starts without it; otherwise the broadcast goes on and the handler is shown as failed.
    pub required: bool,
    /// A call that takes longer has failed, in milliseconds; the case stays open.
    #[schemars(range(min = 1, max = 600_000))]
    pub timeout_ms: u64,
}

impl Default for ComplianceOptions {
    fn default() -> Self {
        Self { required: true, timeout_ms: 30_000 }
    }
}

impl PluginConfig for ComplianceOptions {}

/// What the framework can be told about the admission policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdmissionOptions {
    /// Whether nothing starts without it; otherwise `on_failure` holds until it has started.
    pub required: bool,
    /// A verdict that takes longer is a failure, in milliseconds.
    #[schemars(range(min = 1, max = 60_000))]
    pub timeout_ms: u64,
    /// What becomes of newcomers when the policy fails.
    pub on_failure: OnFailure,
}

impl Default for AdmissionOptions {
    fn default() -> Self {
        Self { required: true, timeout_ms: 2_000, on_failure: OnFailure::Closed }
    }
}

impl PluginConfig for AdmissionOptions {}

/// What becomes of newcomers when the admission policy fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// They are turned away.
    #[default]
    Closed,
    /// They are let in.
    Open,
}
