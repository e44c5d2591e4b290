//! The layers around an admission policy: timeout, a bound on how many are asked about at once, and what a failure means.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use peerstream_protocol::crypto::PublicKey;
use peerstream_traits::PluginError;
use peerstream_traits::admission::{JoinRequest, PROOF_BYTES_MAX, SharedPolicy, Task, Verdict};
use tokio::sync::Semaphore;

use super::call::{call, call_now};
use super::options::{self, OnFailure, ms};
use super::supervisor::Supervisor;
use super::ticket::Tickets;
use crate::clock::wall;

/// A policy cannot let somebody in for longer.
pub const TICKET_TTL_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// When a policy has failed and everybody may join, they may for this long.
pub const TTL_ON_FAILURE: Duration = Duration::from_secs(600);

/// What a newcomer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// They may, with this ticket, for so many seconds.
    Allow {
        /// Shown with every control connection.
        ticket: String,
        /// How long it holds, in seconds.
        ttl_s: u64,
    },
    /// They must do something first.
    Challenge(Task),
    /// They may not; why, for them to read.
    Deny(String),
    /// Too many ask at once; they come back after a while.
    Busy,
}

/// Where newcomers are let in; cheap to clone.
#[derive(Clone)]
pub struct Gate(Arc<Shared>);

struct Shared {
    /// Nothing when everybody may join.
    policy: RwLock<Option<Arc<Guarded>>>,
    tickets: Tickets,
    stream: PublicKey,
}

struct Guarded {
    plugin: SharedPolicy,
    options: options::Admission,
    supervisor: Supervisor,
    places: Semaphore,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_open() { "Gate(open)" } else { "Gate(required)" })
    }
}

impl Gate {
    /// One through which everybody may go.
    pub fn open(stream: PublicKey) -> Self {
        Self::with_secret(&[0; 32], stream)
    }

    /// One through which everybody may go until there is a policy.
    pub(crate) fn with_secret(secret: &[u8; 32], stream: PublicKey) -> Self {
        Self(Arc::new(Shared { policy: RwLock::default(), tickets: Tickets::new(secret, stream), stream }))
    }

    /// From now on this policy decides. Tickets that were given hold on.
    pub(crate) fn guard(&self, plugin: SharedPolicy, options: options::Admission, supervisor: Supervisor) {
        let open = call_now(|| plugin.is_open()).unwrap_or_else(|error| {
            supervisor.blame(&error);
            false
        });
        let places = Semaphore::new(options.at_once_max.min(Semaphore::MAX_PERMITS));
        let policy = (!open).then(|| Arc::new(Guarded { plugin, options, supervisor, places }));
        *self.0.policy.write().expect("no holder panics") = policy;
    }

    /// From now on everybody may join.
    pub(crate) fn throw_open(&self) {
        *self.0.policy.write().expect("no holder panics") = None;
    }

    fn policy(&self) -> Option<Arc<Guarded>> {
        self.0.policy.read().expect("no holder panics").clone()
    }

    /// Whether everybody may join without asking.
    pub fn is_open(&self) -> bool {
        self.policy().is_none()
    }

    /// Whether somebody of this network may open a control connection with what they show.
    pub fn admits(&self, ticket: Option<&str>, network: &str) -> bool {
        self.is_open() || ticket.is_some_and(|ticket| self.0.tickets.is_valid(ticket, network, wall()))
    }

    /// Asks the policy about somebody of this network, with the proof they bring.
    pub async fn ask(&self, network: &str, proof: Option<String>) -> Answer {
        let Some(policy) = self.policy() else { return self.allow(network, TICKET_TTL_MAX) };
        if proof.as_ref().is_some_and(|proof| proof.len() > PROOF_BYTES_MAX) {
            return Answer::Deny(format!("the proof is longer than {PROOF_BYTES_MAX} bytes"));
        }
        let Ok(_place) = policy.places.try_acquire() else {
            policy.supervisor.status.add("busy", "", 1);
            return Answer::Busy;
        };
        let (stream, network_) = (self.0.stream.to_string(), network.to_owned());
        let request = JoinRequest { stream, network: network_, proof, now_us: wall().as_micros() as u64 };
        match policy.decide(request).await {
            Ok(verdict) => {
                policy.supervisor.praise();
                self.answer(&policy, network, verdict)
            }
            Err(error) => self.failed(&policy, network, &error),
        }
    }

    fn answer(&self, policy: &Guarded, network: &str, verdict: Verdict) -> Answer {
        let (counter, answer) = match verdict {
            Verdict::Allow { ttl_s } => ("allowed", self.allow(network, Duration::from_secs(ttl_s))),
            Verdict::Challenge { task } => ("challenged", Answer::Challenge(task)),
            Verdict::Deny { message } => ("denied", Answer::Deny(message)),
        };
        policy.supervisor.status.add(counter, "", 1);
        answer
    }

    fn failed(&self, policy: &Guarded, network: &str, error: &PluginError) -> Answer {
        policy.supervisor.blame(error);
        match policy.options.on_failure {
            OnFailure::Open => {
                policy.supervisor.status.add("allowed", "failure", 1);
                self.allow(network, TTL_ON_FAILURE)
            }
            OnFailure::Closed => {
                policy.supervisor.status.add("denied", "failure", 1);
                Answer::Deny("it could not be found out whether you may join; try again later".into())
            }
        }
    }

    fn allow(&self, network: &str, ttl: Duration) -> Answer {
        let ttl = ttl.min(TICKET_TTL_MAX);
        Answer::Allow { ticket: self.0.tickets.issue(network, wall(), ttl), ttl_s: ttl.as_secs() }
    }
}

impl Guarded {
    async fn decide(&self, request: JoinRequest) -> Result<Verdict, PluginError> {
        if !self.supervisor.status.is_usable() {
            return Err(PluginError::unavailable("the policy is not running"));
        }
        let plugin = self.plugin.clone();
        call(ms(self.options.timeout_ms), async move { plugin.admit(&request).await }).await
    }
}
