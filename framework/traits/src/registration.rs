//! How a plug-in that is linked in is found: by what its crate submits.

use std::sync::Arc;

use serde_json::Value;

use crate::admission::{AdmissionPolicy, SharedPolicy};
use crate::archive::{ArchiveBackend, SharedArchive};
use crate::compliance::{ComplianceHandler, SharedHandler};
use crate::ingest::{BoxedIngest, Ingest};
use crate::ladder::{BoxedLadder, LadderPolicy};
use crate::plugin::{BuildContext, Plugin, PluginConfig, Stability, Violation, Violations};
use crate::strategy::{BoxedStrategy, TreeStrategy};
use crate::telemetry::{SharedSink, TelemetrySink};
use crate::transport::{SharedTransport, Transport};
use crate::{Kind, PluginError};

type Make<T> = fn(&Value, &BuildContext<'_>) -> Result<T, PluginError>;

/// Makes an instance, by kind. The options were checked before.
#[derive(Clone, Copy)]
pub enum Build {
    /// See [`Kind::Strategy`].
    Strategy(Make<BoxedStrategy>),
    /// See [`Kind::Ladder`].
    Ladder(Make<BoxedLadder>),
    /// See [`Kind::Telemetry`].
    Telemetry(Make<SharedSink>),
    /// See [`Kind::Archive`].
    Archive(Make<SharedArchive>),
    /// See [`Kind::Compliance`].
    Compliance(Make<SharedHandler>),
    /// See [`Kind::Admission`].
    Admission(Make<SharedPolicy>),
    /// See [`Kind::Transport`].
    Transport(Make<SharedTransport>),
    /// See [`Kind::Ingest`].
    Ingest(Make<BoxedIngest>),
}

impl Build {
    /// The kind it makes.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Strategy(_) => Kind::Strategy,
            Self::Ladder(_) => Kind::Ladder,
            Self::Telemetry(_) => Kind::Telemetry,
            Self::Archive(_) => Kind::Archive,
            Self::Compliance(_) => Kind::Compliance,
            Self::Admission(_) => Kind::Admission,
            Self::Transport(_) => Kind::Transport,
            Self::Ingest(_) => Kind::Ingest,
        }
    }
}

/// What a type of plug-in says about itself, without its types.
#[derive(Clone, Copy)]
pub struct Facts {
    /// See [`Plugin::NAME`].
    pub name: &'static str,
    /// See [`Plugin::SUMMARY`].
    pub summary: &'static str,
    /// See [`Plugin::STABILITY`].
    pub stability: Stability,
    /// The JSON Schema of its options.
    pub schema: fn() -> Value,
    /// Its options when none are given.
    pub defaults: fn() -> Value,
    /// All that is wrong with options; empty if they can be used.
    pub check: fn(&Value) -> Vec<Violation>,
}

impl Facts {
    /// Those of a plug-in.
    pub const fn of<P: Plugin>() -> Self {
        Self {
            name: P::NAME,
            summary: P::SUMMARY,
            stability: P::STABILITY,
            schema: schema::<P>,
            defaults: defaults::<P>,
            check: check::<P>,
        }
    }
}

/// A plug-in that is linked in. Submitted by `peerstream_sdk::export_plugin!`.
#[derive(Clone, Copy)]
pub struct Registration {
    /// Who it is.
    pub facts: Facts,
    /// How an instance is made; its kind follows.
    pub build: Build,
    /// The crate it comes from.
    pub crate_name: &'static str,
    /// Its crate's version.
    pub crate_version: &'static str,
}

inventory::collect!(Registration);

macro_rules! constructors {
    ($($(#[$doc:meta])* $constructor:ident: $bound:path => $variant:ident($held:ty), $wrap:expr;)*) => {
        impl Registration {
            $(
                $(#[$doc])*
                pub const fn $constructor<P: Plugin + $bound>(
                    crate_name: &'static str,
                    crate_version: &'static str,
                ) -> Self {
                    let build = Build::$variant(|options, context| {
                        let held: $held = $wrap(build::<P>(options, context)?);
                        Ok(held)
                    });
                    Self { facts: Facts::of::<P>(), build, crate_name, crate_version }
                }
            )*
        }
    };
}

constructors! {
    /// A tree strategy.
    strategy: TreeStrategy => Strategy(BoxedStrategy), Box::new;
    /// A ladder policy.
    ladder: LadderPolicy => Ladder(BoxedLadder), Box::new;
    /// A telemetry sink.
    telemetry: TelemetrySink => Telemetry(SharedSink), Arc::new;
    /// An archive.
    archive: ArchiveBackend => Archive(SharedArchive), Arc::new;
    /// A compliance handler.
    compliance: ComplianceHandler => Compliance(SharedHandler), Arc::new;
    /// An admission policy.
    admission: AdmissionPolicy => Admission(SharedPolicy), Arc::new;
    /// A transport.
    transport: Transport => Transport(SharedTransport), Arc::new;
    /// An ingest.
    ingest: Ingest => Ingest(BoxedIngest), Box::new;
}

fn schema<P: Plugin>() -> Value {
    schemars::schema_for!(P::Config).into()
}

fn defaults<P: Plugin>() -> Value {
    serde_json::to_value(P::Config::default()).expect("options can be written as JSON")
}

fn read<P: Plugin>(options: &Value) -> Result<P::Config, Violation> {
    serde_path_to_error::deserialize(options).map_err(|error| {
        let path = Some(error.path().to_string()).filter(|path| path != ".").unwrap_or_default();
        Violation { path, message: error.inner().to_string() }
    })
}

fn check<P: Plugin>(options: &Value) -> Vec<Violation> {
    match read::<P>(options) {
        Ok(config) => {
            let mut violations = Violations::default();
            config.validate(&mut violations);
            violations.into_vec()
        }
        Err(violation) => vec![violation],
    }
}

fn build<P: Plugin>(options: &Value, context: &BuildContext<'_>) -> Result<P, PluginError> {
    let config = read::<P>(options).map_err(|Violation { path, message }| {
        PluginError::invalid(if path.is_empty() { message } else { format!("{path}: {message}") })
    })?;
    P::build(config, context)
}
