//! The chain of compliance handlers with the layers around each: they are asked in the order of their names, and the first decision that is not
//! to pass holds. A handler that fails leaves the case open, and nothing is done.

use std::sync::Arc;

use peerstream_takedown::notice::Profile;
use peerstream_takedown::state::Actor;
use peerstream_traits::PluginError;
use peerstream_traits::compliance::{Case, Decision, Evidence, SharedHandler, Transition};
use tracing::warn;

use super::call::{Backoff, call, call_now};
use super::options::{self, ms};
use super::supervisor::Supervisor;

/// One handler with its layers.
pub(crate) struct Handler {
    plugin: SharedHandler,
    options: options::Compliance,
    pub(crate) supervisor: Supervisor,
}

/// All handlers, by name; cheap to clone.
#[derive(Clone)]
pub(crate) struct Chain(Arc<[Arc<Handler>]>);

impl Handler {
    pub(crate) fn new(plugin: SharedHandler, options: options::Compliance, supervisor: Supervisor) -> Self {
        Self { plugin, options, supervisor }
    }

    fn name(&self) -> &str {
        &self.supervisor.status.identity().name
    }

    /// Who it is in the log.
    fn actor(&self) -> Actor {
        let identity = self.supervisor.status.identity();
        Actor::Handler { name: identity.name.clone(), origin: format!("{} of {}", identity.plugin, identity.origin) }
    }

    fn profiles(&self) -> Result<Vec<Profile>, PluginError> {
        call_now(|| self.plugin.profiles())
    }

    async fn assess(&self, case: &Case, evidence: &Evidence) -> Result<Decision, PluginError> {
        let mut backoff = Backoff::new(&self.options.retry);
        loop {
            let result = self.assess_once(case, evidence).await;
            let Err(error) = result else {
                self.supervisor.praise();
                return result;
            };
            self.supervisor.blame(&error);
            match backoff.pause(&error).filter(|_| error.class.is_temporary()) {
                Some(pause) => {
                    self.supervisor.status.add("retries", "", 1);
                    tokio::time::sleep(pause).await;
                }
                None => return Err(error),
            }
        }
    }

    async fn assess_once(&self, case: &Case, evidence: &Evidence) -> Result<Decision, PluginError> {
        if !self.supervisor.status.is_usable() {
            return Err(PluginError::unavailable("the handler is not running"));
        }
        if !self.profiles()?.contains(&case.docket.profile) {
            return Ok(Decision::Pass);
        }
        let (plugin, case, evidence) = (self.plugin.clone(), case.clone(), evidence.clone());
        call(ms(self.options.timeout_ms), async move { plugin.assess(&case, &evidence).await }).await
    }

    async fn tell(&self, case: &Case, transition: &Transition) {
        let status = &self.supervisor.status;
        if !status.is_usable() {
            return status.add("untold", "", 1);
        }
        let (plugin, case, transition) = (self.plugin.clone(), case.clone(), transition.clone());
        let told = async move { plugin.on_transition(&case, &transition).await };
        if let Err(error) = call(ms(self.options.timeout_ms), told).await {
            self.supervisor.blame(&error);
            status.add("untold", "", 1);
            warn!(handler = self.name(), %error, "a handler could not be told of a step");
        }
    }
}

impl Chain {
    pub(crate) fn new(mut handlers: Vec<Arc<Handler>>) -> Self {
        handlers.sort_by(|a, b| a.name().cmp(b.name()));
        Self(handlers.into())
    }

    /// The profiles of which some handler knows what to do.
    pub(crate) fn profiles(&self) -> Vec<Profile> {
        let known: Vec<_> = self.0.iter().flat_map(|handler| handler.profiles().unwrap_or_default()).collect();
        Profile::ALL.into_iter().filter(|profile| known.contains(profile)).collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(|handler| handler.name().to_owned()).collect()
    }

    /// The first decision that is not to pass, and whose it is; or why there is none.
    pub(crate) async fn decide(&self, case: &Case, evidence: &Evidence) -> Result<(Actor, Decision), String> {
        for handler in self.0.iter() {
            let status = &handler.supervisor.status;
            match handler.assess(case, evidence).await {
                Ok(Decision::Pass) => status.add("passed", "", 1),
                Ok(decision) => {
                    status.add("decided", "", 1);
                    return Ok((handler.actor(), decision));
                }
                Err(error) => {
                    status.add("left-open", error.class.word(), 1);
                    return Err(format!("handler {}: {error}", handler.name()));
                }
            }
        }
        Err("no handler knows what to do".into())
    }

    /// Has all handlers hear of a step.
    pub(crate) async fn tell(&self, case: &Case, transition: &Transition) {
        for handler in self.0.iter() {
            handler.tell(case, transition).await;
        }
    }
}
