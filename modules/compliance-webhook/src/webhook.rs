//! The handler.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::compliance::{
    Case, ComplianceHandler, Decision, Digest, Evidence, Profile, Segments, Stored, Sworn, Transition,
};

use crate::client::Client;
use crate::config::Config;

/// Has a platform decide.
#[derive(Debug)]
pub struct Webhook {
    config: Config,
    client: Mutex<Option<Client>>,
}

/// What the platform is sent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
enum Message<'a> {
    /// A decision is wanted.
    Assess {
        /// About this.
        case: &'a Case,
        /// What there is beside the notice.
        evidence: Told<'a>,
    },
    /// A case has taken a step; nothing is wanted.
    Transition {
        /// As it is now.
        case: &'a Case,
        /// Which step.
        transition: &'a Transition,
    },
}

/// The evidence as the platform is told of it: hashes and sizes instead of files, which it can fetch from the desk.
#[derive(Debug, Serialize)]
struct Told<'a> {
    bundle: Option<File>,
    segments: Option<Segments>,
    faults: &'a [String],
    copy: Option<File>,
    statements: &'a [Sworn],
}

/// A file of the host, without where it is.
#[derive(Debug, Serialize)]
struct File {
    blake3: Digest,
    bytes: u64,
}

impl<'a> Told<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        let file = |stored: &Stored| File { blake3: stored.blake3, bytes: stored.bytes };
        Self {
            bundle: evidence.bundle.as_ref().map(file),
            segments: evidence.segments,
            faults: &evidence.faults,
            copy: evidence.copy.as_ref().map(file),
            statements: &evidence.statements,
        }
    }
}

impl Webhook {
    fn client(&self) -> MutexGuard<'_, Option<Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn post<T: serde::de::DeserializeOwned + Send + 'static>(
        &self,
        delivery: String,
        message: &Message<'_>,
    ) -> Result<Option<T>, PluginError> {
        let client = self.client().clone().ok_or_else(|| PluginError::unavailable("the handler is not started"))?;
        let internal = |error: String| PluginError::new(ErrorClass::Internal, error);
        let body = serde_json::to_vec(message).map_err(|error| internal(error.to_string()))?;
        let posted = tokio::task::spawn_blocking(move || client.post(&delivery, &body)).await;
        posted.map_err(|error| internal(error.to_string()))?
    }
}

impl Plugin for Webhook {
    const NAME: &'static str = "webhook";
    const SUMMARY: &'static str = "complaints are decided by a platform's own workflow, over HTTPS";
    const STABILITY: Stability = Stability::Beta;
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self { config, client: Mutex::default() })
    }
}

#[async_trait]
impl Lifecycle for Webhook {
    async fn start(&self) -> Result<(), PluginError> {
        let config = self.config.clone();
        let client = tokio::task::spawn_blocking(move || Client::new(&config)).await;
        *self.client() = Some(client.map_err(|error| PluginError::new(ErrorClass::Internal, error.to_string()))?);
        Ok(())
    }

    async fn stop(&self, _: Duration) -> Result<(), PluginError> {
        *self.client() = None;
        Ok(())
    }
}

#[async_trait]
impl ComplianceHandler for Webhook {
    fn profiles(&self) -> Vec<Profile> {
        self.config.profiles.clone()
    }

    /// The platform's answer; none is to pass, so that the next handler is asked.
    async fn assess(&self, case: &Case, evidence: &Evidence) -> Result<Decision, PluginError> {
        let delivery = format!("case-{}-r{}", case.docket.id, case.docket.revision);
        let answer = self.post(delivery, &Message::Assess { case, evidence: Told::of(evidence) }).await?;
        Ok(answer.unwrap_or(Decision::Pass))
    }

    /// The platform may answer what it likes.
    async fn on_transition(&self, case: &Case, transition: &Transition) -> Result<(), PluginError> {
        let delivery = format!("step-{}-r{}", case.docket.id, case.docket.revision);
        self.post::<serde::de::IgnoredAny>(delivery, &Message::Transition { case, transition }).await.map(drop)
    }
}
