//! Mails that a host sends.

use std::sync::Arc;

use async_trait::async_trait;
pub use peerstream_takedown::letter::{Letter, Sender};

use crate::PluginError;

/// Takes letters to their addresses.
#[async_trait]
pub trait Courier: Send + Sync {
    /// Hands a letter over to a mail server. What failed for the time being is sent again, under the same `id`: 32 hexadecimal digits that
    /// tell whoever gets it twice that it is one letter.
    async fn send(&self, letter: &Letter, id: &str) -> Result<(), PluginError>;
}

/// A courier as the runtime holds it.
pub type SharedCourier = Arc<dyn Courier>;
