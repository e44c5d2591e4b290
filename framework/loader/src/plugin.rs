//! A plug-in of a library, as a registry takes it in.

use std::sync::Arc;

use peerstream_abi::api::Sink;
use peerstream_abi::message::{Described, Manifest};
use peerstream_abi::{Api, Bytes, JSON_BYTES_MAX, Status};
use peerstream_traits::admission::SharedPolicy;
use peerstream_traits::archive::SharedArchive;
use peerstream_traits::compliance::SharedHandler;
use peerstream_traits::ladder::BoxedLadder;
use peerstream_traits::strategy::BoxedStrategy;
use peerstream_traits::telemetry::SharedSink;
use peerstream_traits::{Kind, PluginError, Stability, Violation};
use serde_json::{Map, Value, json};

use crate::decider::{Carrier, Ladder, Strategy};
use crate::doer::Doer;
use crate::error::LoadError;
use crate::instance::{Instance, failure, from_json};
use crate::library::{Library, Table, describe, one_line};
use crate::worker::Worker;

/// A plug-in of a library.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Its kind.
    pub kind: Kind,
    /// What a config's `use` says.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does, in one line.
    pub summary: String,
    /// How far it can be relied on.
    pub stability: Stability,
    /// The JSON Schema of its options.
    pub schema: Value,
    /// Its options when none are given.
    pub defaults: Value,
    /// The file's name.
    pub file: String,
    /// Of the file.
    pub sha256: String,
    table: Table,
    index: u32,
}

/// An instance, by kind.
pub enum LoadedBuild {
    /// See [`Kind::Strategy`].
    Strategy(BoxedStrategy),
    /// See [`Kind::Ladder`].
    Ladder(BoxedLadder),
    /// See [`Kind::Telemetry`].
    Telemetry(SharedSink),
    /// See [`Kind::Archive`].
    Archive(SharedArchive),
    /// See [`Kind::Compliance`].
    Compliance(SharedHandler),
    /// See [`Kind::Admission`].
    Admission(SharedPolicy),
}

impl Loaded {
    pub(crate) fn new(library: &Library, index: u32, described: &Described) -> Option<Self> {
        let stability = described.stability.clone().and_then(|word| serde_json::from_value(Value::String(word)).ok());
        Some(Self {
            kind: Kind::from_word(&described.kind).filter(|kind| kind.is_loadable())?,
            name: described.name.clone(),
            version: one_line(&described.version),
            summary: one_line(&described.summary),
            stability: stability.unwrap_or_default(),
            schema: described.schema.clone().unwrap_or_else(no_options),
            defaults: described.defaults.clone().unwrap_or_else(|| Value::Object(Map::new())),
            file: library.file.clone(),
            sha256: library.sha256.clone(),
            table: library.table,
            index,
        })
    }

    /// The plug-ins of a table that is part of this very program: what a test or a benchmark of the interface uses in place of
    /// a file.
    pub fn of_table(api: &Api) -> Result<Vec<Self>, LoadError> {
        let table = Table(*api);
        let manifest: Manifest = describe("this program", &table)?;
        let library = Library { file: "this program".into(), sha256: String::new(), manifest, table };
        Ok(library.plugins())
    }

    /// All that is wrong with options.
    pub fn check(&self, options: &Value) -> Vec<Violation> {
        self.ask_check(options).unwrap_or_else(|error| {
            vec![Violation { path: String::new(), message: format!("cannot be checked: {}", error.message) }]
        })
    }

    fn ask_check(&self, options: &Value) -> Result<Vec<Violation>, PluginError> {
        let options = options.to_string();
        let mut sink = Sink::new(JSON_BYTES_MAX);
        let check = self.table.0.check.expect("checked when the table was read");
        // SAFETY: all that is lent lives through the call.
        let status = Status(unsafe { check(self.index, Bytes::of(options.as_bytes()), sink.out()) });
        let written = sink.bytes().unwrap_or_default();
        if status != Status::OK {
            return Err(failure(status, written));
        }
        let found: Option<Vec<Violation>> = from_json(written)?;
        Ok(found.unwrap_or_default())
    }

    /// Makes an instance. A decider runs on a thread of its own.
    pub fn build(&self, options: &Value, instance: &str) -> Result<LoadedBuild, PluginError> {
        let made = Instance::create(self.table, self.index, options, instance)?;
        Ok(match self.kind {
            Kind::Strategy => LoadedBuild::Strategy(Box::new(Strategy::new(&self.name, self.watched(made)?))),
            Kind::Ladder => LoadedBuild::Ladder(Box::new(Ladder::new(&self.name, self.watched(made)?))),
            Kind::Telemetry => LoadedBuild::Telemetry(Arc::new(Doer::new(made)?)),
            Kind::Archive => LoadedBuild::Archive(Arc::new(Doer::new(made)?)),
            Kind::Compliance => LoadedBuild::Compliance(Arc::new(Doer::new(made)?)),
            Kind::Admission => LoadedBuild::Admission(Arc::new(Doer::new(made)?)),
            Kind::Transport | Kind::Ingest => return Err(PluginError::unsupported("this kind in a library")),
        })
    }

    /// Makes a strategy that is called on the caller's thread: quicker, and no help against one that hangs.
    pub fn build_direct(&self, options: &Value) -> Result<BoxedStrategy, PluginError> {
        let made = Instance::create(self.table, self.index, options, &self.name)?;
        Ok(Box::new(Strategy::new(&self.name, Carrier::Direct(made))))
    }

    fn watched(&self, instance: Instance) -> Result<Carrier, PluginError> {
        Worker::start(instance, &self.name).map(Carrier::Watched)
    }
}

fn no_options() -> Value {
    json!({ "type": "object", "properties": {}, "additionalProperties": false })
}
