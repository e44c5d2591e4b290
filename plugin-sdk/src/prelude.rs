//! What most plug-ins use.

pub use async_trait::async_trait;
pub use peerstream_overlay::{
    Context, Event, Group, LadderPolicy, Member, Overload, Plan, Rung, Topology, TreeStrategy,
};
pub use peerstream_protocol::id::{NodeId, Seq, Stripes};
pub use peerstream_protocol::time::Micros;
pub use peerstream_traits::{
    BuildContext, ErrorClass, Health, Lifecycle, NoOptions, Plugin, PluginConfig, PluginError, Reload, Secret,
    Stability, Violations,
};
pub use schemars::{self, JsonSchema};
pub use serde::{self, Deserialize, Serialize};

pub use crate::export_plugin;
