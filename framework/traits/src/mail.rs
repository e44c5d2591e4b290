//! Mails that a host sends.

use std::sync::Arc;

use async_trait::async_trait;
pub use peerstream_takedown::letter::{Letter, Sender};

use crate::PluginError;

/// Takes letters to their addresses.
#[async_trait]
pub trait Courier: Send + Sync {
    /// Hands a letter over to a mail server. What failed for the time being is sent again.
    async fn send(&self, letter: &Letter) -> Result<(), PluginError>;
}

/// A courier as the runtime holds it.
pub type SharedCourier = Arc<dyn Courier>;
