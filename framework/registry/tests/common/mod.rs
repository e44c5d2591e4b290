//! Plug-ins and sections with options of every shape.
#![allow(dead_code)] // each test file uses its own part

use peerstream_registry::{Layout, Loading, Registry};
use peerstream_traits::strategy::{Context, Event, Plan, TreeStrategy};
use peerstream_traits::telemetry::{Batch, TelemetrySink, WriteReport};
use peerstream_traits::{
    BuildContext, Kind, Lifecycle, NoOptions, Plugin, PluginConfig, PluginError, Registration, Secret, Stability,
    Violations,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A section of a host.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Serve {
    /// Where to listen.
    #[schemars(extend("format" = "socket-address"))]
    pub listen: String,
    /// Shown to viewers.
    pub title: Option<String>,
    /// For how long.
    pub linger_s: u64,
    /// Who is near.
    #[schemars(length(max = 2))]
    pub near: Vec<Near>,
}

/// Somebody near.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Near {
    /// The name.
    pub name: String,
    /// How near.
    #[serde(default)]
    pub weight: f64,
}

impl Default for Serve {
    fn default() -> Self {
        Self { listen: "0.0.0.0:8080".to_owned(), title: None, linger_s: 60, near: Vec::new() }
    }
}

impl PluginConfig for Serve {}

/// Options of the framework.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Around {
    /// Whether it must be there.
    pub required: bool,
    /// What waits.
    pub queue: Queue,
}

/// What waits.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// So many.
    #[schemars(range(min = 1))]
    pub items_max: u32,
    /// What gives way.
    pub when_full: WhenFull,
}

/// What gives way.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// The oldest.
    #[default]
    DropOldest,
    /// The newest.
    DropNewest,
}

impl Default for Queue {
    fn default() -> Self {
        Self { items_max: 100, when_full: WhenFull::DropOldest }
    }
}

impl PluginConfig for Around {}

/// Options of the strategy.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fan {
    /// Children per node.
    #[schemars(range(min = 1, max = 8))]
    pub fanout: u8,
    /// Largest tolerated extra depth.
    pub slack: u8,
}

impl Default for Fan {
    fn default() -> Self {
        Self { fanout: 2, slack: 1 }
    }
}

impl PluginConfig for Fan {
    fn validate(&self, violations: &mut Violations) {
        violations.push_if(self.slack > self.fanout, "slack", format!("is {}, expected at most fanout", self.slack));
    }
}

/// A strategy with options.
pub struct Proximity;

impl Plugin for Proximity {
    const NAME: &'static str = "proximity";
    const SUMMARY: &'static str = "who is near feeds";
    type Config = Fan;

    fn build(_: Fan, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self)
    }
}

/// A strategy without.
pub struct Chain;

impl Plugin for Chain {
    const NAME: &'static str = "chain";
    const SUMMARY: &'static str = "use proximity instead";
    const STABILITY: Stability = Stability::Deprecated;
    type Config = NoOptions;

    fn build(_: NoOptions, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self)
    }
}

/// Options of the sink.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Push {
    /// Where to.
    pub url: String,
    /// Who we are.
    pub token: Secret,
    /// More to say.
    pub labels: std::collections::BTreeMap<String, String>,
}

impl PluginConfig for Push {
    fn validate(&self, violations: &mut Violations) {
        violations.push_if(self.url.is_empty(), "url", "is empty, expected where to push to");
    }
}

/// A sink with a secret.
pub struct Pusher {
    pub config: Push,
}

impl Plugin for Pusher {
    const NAME: &'static str = "push";
    const SUMMARY: &'static str = "pushes";
    type Config = Push;

    fn build(config: Push, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self { config })
    }
}

impl Lifecycle for Pusher {}

#[async_trait::async_trait]
impl TelemetrySink for Pusher {
    async fn write(&self, batch: Batch) -> Result<WriteReport, PluginError> {
        Ok(WriteReport::all(&batch))
    }
}

macro_rules! idle {
    ($($strategy:ty),*) => {$(
        impl TreeStrategy for $strategy {
            fn attach(&mut self, _: &Context<'_>, _: &mut Plan) {}

            fn on_events(&mut self, _: &Context<'_>, _: &[Event], _: &mut Plan) {}
        }
    )*};
}

idle!(Proximity, Chain);

/// All of them.
pub fn registrations() -> [Registration; 3] {
    [
        Registration::strategy::<Proximity>("acme-strategies", "1.2.0"),
        Registration::strategy::<Chain>("acme-strategies", "1.2.0"),
        Registration::telemetry::<Pusher>("acme-sinks", "0.3.0"),
    ]
}

/// The registry of them.
pub fn registry() -> Registry {
    Registry::of(&registrations()).unwrap()
}

/// A host's config.
pub fn layout() -> Layout {
    Layout::new()
        .section::<Serve>("serve")
        .section::<Loading>("plugins")
        .slot::<NoOptions>(Kind::Strategy, Some("proximity"))
        .slot::<Around>(Kind::Telemetry, None)
        .slot::<NoOptions>(Kind::Ladder, None)
}
