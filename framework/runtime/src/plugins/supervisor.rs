//! Begins, watches and ends one instance.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use peerstream_traits::{ErrorClass, Health, Lifecycle, PluginError};
use tokio::time::Instant;

use super::call::{Backoff, call, call_now};
use super::options::{self, ms};
use super::state::State;
use super::status::{Status, Usable};

/// One instance under supervision; cheap to clone.
#[derive(Clone)]
pub(crate) struct Supervisor {
    pub(crate) status: Status,
    doer: Arc<dyn Lifecycle>,
    options: options::Lifecycle,
    /// Why its last call failed; nothing when it succeeded.
    trouble: Arc<Mutex<Option<String>>>,
}

impl Supervisor {
    pub(crate) fn new(status: Status, doer: Arc<dyn Lifecycle>, options: options::Lifecycle) -> Self {
        Self { status, doer, options, trouble: Arc::default() }
    }

    /// Starts it once. A failure leaves it degraded, to be tried again by [`Self::watch`], or failed when it panicked.
    pub(crate) async fn start(&self) -> Result<(), PluginError> {
        self.status.turn(State::Starting, None);
        let doer = self.doer.clone();
        let result = call(ms(self.options.start_timeout_ms), async move { doer.start().await }).await;
        match &result {
            Ok(()) if self.status.turn(State::Running, None) => self.status.set_usable(Usable::Yes),
            // It was to be stopped meanwhile.
            Ok(()) => self.end(self.stop_timeout()).await,
            Err(error) if error.class == ErrorClass::Panicked => self.condemn(error),
            Err(error) => {
                self.status.add("start-failures", error.class.word(), 1);
                self.status.turn(State::Degraded, Some(format!("not started: {error}")));
            }
        }
        result
    }

    /// Starts it again while that is needed, then asks how it is, until it may not be used any more.
    pub(crate) async fn watch(self) {
        if !self.until_started().await {
            return;
        }
        while self.status.is_usable() {
            self.look();
            tokio::time::sleep(ms(self.options.health_interval_ms)).await;
        }
    }

    async fn until_started(&self) -> bool {
        let mut backoff = Backoff::endless(self.options.restart_first_ms, self.options.restart_max_ms);
        let mut error = PluginError::unavailable("not started yet");
        while !self.status.is_usable() {
            if self.status.state() != State::Degraded {
                return false;
            }
            tokio::time::sleep(backoff.pause(&error).unwrap_or(ms(self.options.restart_max_ms))).await;
            if let Err(failure) = self.start().await {
                error = failure;
            }
        }
        true
    }

    fn look(&self) {
        let (state, why) = match call_now(|| self.doer.health()) {
            Ok(Health::Ok) => match self.trouble().clone() {
                Some(why) => (State::Degraded, Some(why)),
                None => (State::Running, None),
            },
            Ok(Health::Degraded { why }) => (State::Degraded, Some(why)),
            Ok(Health::Failed { why }) => (State::Failed, Some(why)),
            Err(error) => return self.condemn(&error),
        };
        self.status.turn(state, why);
    }

    /// Counts a failed call, which shows in the state when it is looked at next; a panic ends all use.
    pub(crate) fn blame(&self, error: &PluginError) {
        self.status.add("errors", error.class.word(), 1);
        *self.trouble() = Some(error.to_string());
        if error.class == ErrorClass::Panicked {
            self.condemn(error);
        }
    }

    /// A call succeeded.
    pub(crate) fn praise(&self) {
        *self.trouble() = None;
    }

    fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().expect("no holder panics")
    }

    fn condemn(&self, error: &PluginError) {
        self.status.turn(State::Failed, Some(error.to_string()));
        self.status.set_usable(Usable::NoMore);
    }

    /// How long an end may take.
    pub(crate) fn stop_timeout(&self) -> Duration {
        ms(self.options.stop_timeout_ms)
    }

    /// Ends it, by this time. An instance that panicked is not touched again.
    pub(crate) async fn stop(&self, by: Instant) {
        let panicked = self.status.state() == State::Failed && !self.status.is_usable();
        if panicked || !self.status.turn(State::Stopping, None) {
            return;
        }
        self.status.set_usable(Usable::NoMore);
        self.end(by.saturating_duration_since(Instant::now())).await;
    }

    async fn end(&self, left: Duration) {
        let doer = self.doer.clone();
        match call(left, async move { doer.stop(left).await }).await {
            Ok(()) => self.status.turn(State::Stopped, None),
            Err(error) => self.status.turn(State::Failed, Some(format!("not stopped: {error}"))),
        };
    }
}
