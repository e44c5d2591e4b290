//! How the runtime begins, watches, changes and ends a doer.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::PluginError;

/// The life of a doer: built, perhaps probed, started, used, stopped. The runtime calls these; all have a default.
#[async_trait]
pub trait Lifecycle: Send + Sync {
    /// Whether what it needs is there: a server that answers, a folder that can be written. Changes nothing. Called by
    /// `peerstream check --probe` without a start.
    async fn probe(&self) -> Result<(), PluginError> {
        Ok(())
    }

    /// Begins. What it spawns it ends in [`Self::stop`].
    async fn start(&self) -> Result<(), PluginError> {
        Ok(())
    }

    /// How it is. Cheap and without I/O; asked every few seconds.
    fn health(&self) -> Health {
        Health::Ok
    }

    /// Takes new options while it runs, or says that only a new instance can have them. `config` was checked like the
    /// first one.
    async fn reload(&self, _config: &Value) -> Result<Reload, PluginError> {
        Ok(Reload::NeedsRestart)
    }

    /// Ends, within this time. Safe without a start, after a failed start, and twice.
    async fn stop(&self, _deadline: Duration) -> Result<(), PluginError> {
        Ok(())
    }
}

/// How a doer is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Health {
    /// All is well.
    #[default]
    Ok,
    /// It works less well than it should, and says why.
    Degraded {
        /// For people.
        why: String,
    },
    /// It does not work, and says why.
    Failed {
        /// For people.
        why: String,
    },
}

/// What came of new options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reload {
    /// They hold from now on.
    Applied,
    /// Only a new instance can have them.
    NeedsRestart,
}
