//! Telemetry sinks: where figures and events go.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ErrorClass, Lifecycle, PluginError};

/// Something measured or something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When, microseconds since 1970.
    pub at_us: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What a record tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A number of the whole broadcast, taken every few seconds.
    Figure(Figure),
    /// Something that happened, mostly to a node.
    Event(Event),
    /// What a node says of itself, every few seconds for each node.
    Report(Report),
}

/// A number of the whole broadcast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Such as `nodes`, in lower case with underscores, its unit last; without a prefix or suffix of any system.
    pub name: String,
    /// What it is, in a few words.
    pub help: String,
    /// How it changes.
    pub kind: FigureKind,
    /// Its value.
    pub value: f64,
    /// What tells it from figures of the same name; few values each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// How a figure changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FigureKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Such as `joined`, in lower case with dashes.
    pub name: String,
    /// To whom, such as `n5`; absent when it concerns the broadcast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Particulars.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Value>,
}

/// What a node says of itself. Milliseconds are rounded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Whose, such as `n5`.
    pub node: String,
    /// How far it is behind the source, in milliseconds.
    pub lag_ms: u32,
    /// Segments it has played or passed on.
    pub delivered: u64,
    /// Segments it has lost for good.
    pub skipped: u64,
    /// Hops from the source; absent when it has no place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
    /// Nodes it feeds.
    pub children: u32,
}

/// Records that are handed over together, oldest first.
pub type Batch = Arc<[Record]>;

/// Which records a sink wants; the others never reach its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Interest {
    /// [`What::Figure`]
    pub figures: bool,
    /// [`What::Event`]
    pub events: bool,
    /// [`What::Report`]
    pub reports: bool,
}

impl Default for Interest {
    fn default() -> Self {
        Self::ALL
    }
}

impl Interest {
    /// Everything.
    pub const ALL: Self = Self { figures: true, events: true, reports: true };
    /// Figures alone.
    pub const FIGURES: Self = Self { figures: true, events: false, reports: false };

    /// Whether it wants this record.
    pub fn wants(self, record: &Record) -> bool {
        match record.what {
            What::Figure(_) => self.figures,
            What::Event(_) => self.events,
            What::Report(_) => self.reports,
        }
    }
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteReport {
    /// Records taken.
    pub accepted: u32,
    /// Records refused for good, by their index in the batch, and why. They are not offered again.
    #[serde(default)]
    pub rejected: Vec<(u32, ErrorClass)>,
}

impl WriteReport {
    /// All of the batch was taken.
    pub fn all(batch: &Batch) -> Self {
        Self { accepted: batch.len() as u32, rejected: Vec::new() }
    }
}

/// Takes records elsewhere.
#[async_trait]
pub trait TelemetrySink: Lifecycle {
    /// Which records it wants.
    fn interest(&self) -> Interest {
        Interest::ALL
    }

    /// Takes a batch. One call at a time. After a temporary failure the same batch is offered again, so a sink that may have
    /// taken a part of it must say so in the report instead of failing.
    async fn write(&self, batch: Batch) -> Result<WriteReport, PluginError>;

    /// What was taken is where it belongs when this returns.
    async fn flush(&self) -> Result<(), PluginError> {
        Ok(())
    }
}

/// A sink as the runtime holds it.
pub type SharedSink = Arc<dyn TelemetrySink>;
