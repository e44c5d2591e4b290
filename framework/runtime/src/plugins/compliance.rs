//! Complaints: each becomes a case in a durable log, the handlers are asked in the order of their names, and what the first of them
//! decides is carried out. A handler that fails leaves the case open, and nothing is done.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use peerstream_traits::PluginError;
use peerstream_traits::compliance::{Action, Case, Decision, Notice, SharedHandler};
use serde::Serialize;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::call::{Backoff, call, call_now};
use super::caselog::{CaseLog, Entry, Left};
use super::options::{self, ms};
use super::supervisor::Supervisor;
use crate::clock::wall;

/// Complaints that wait for the handlers; beyond it they are refused, and those who complain told to come back.
pub const CASES_WAITING_MAX: usize = 256;
/// A complaint is no larger, in bytes of its JSON.
pub const NOTICE_BYTES_MAX: usize = 64 * 1024;
/// A handler has no more done about one case.
pub const ACTIONS_MAX: usize = 16;

/// Carries out what a handler decides.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Does it; a failure is logged.
    async fn carry_out(&self, case: &Case, action: &Action) -> Result<(), PluginError>;
}

/// What who complains gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The case's number.
    pub case: u64,
    /// When it came in, microseconds since 1970.
    pub opened_us: u64,
}

/// Why a complaint was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// Too many wait.
    #[error("too many complaints wait; try again later")]
    Busy,
    /// It could not be written down.
    #[error("the complaint could not be written down; try again later")]
    Log(#[source] io::Error),
}

/// One handler with its layers.
pub(crate) struct Handler {
    plugin: SharedHandler,
    options: options::Compliance,
    pub(crate) supervisor: Supervisor,
}

/// Where complaints are taken in; cheap to clone.
#[derive(Clone)]
pub struct Desk(Arc<Shared>);

struct Shared {
    /// By name.
    handlers: Vec<Arc<Handler>>,
    log: Mutex<CaseLog>,
    waiting: mpsc::Sender<Case>,
}

/// What is done with cases, until the desk is gone.
pub(crate) struct Work {
    shared: Arc<Shared>,
    waiting: mpsc::Receiver<Case>,
    left: Left,
}

impl Handler {
    pub(crate) fn new(plugin: SharedHandler, options: options::Compliance, supervisor: Supervisor) -> Self {
        Self { plugin, options, supervisor }
    }

    fn name(&self) -> &str {
        &self.supervisor.status.identity().name
    }

    async fn assess(&self, case: &Case) -> Result<Decision, PluginError> {
        let mut backoff = Backoff::new(&self.options.retry);
        loop {
            let result = self.assess_once(case).await;
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

    async fn assess_once(&self, case: &Case) -> Result<Decision, PluginError> {
        if !self.supervisor.status.is_usable() {
            return Err(PluginError::unavailable("the handler is not running"));
        }
        if !call_now(|| self.plugin.regimes())?.contains(&case.notice.regime) {
            return Ok(Decision::Pass);
        }
        let (plugin, case) = (self.plugin.clone(), case.clone());
        call(ms(self.options.timeout_ms), async move { plugin.assess(&case).await }).await
    }
}

impl Desk {
    /// Opens the log. The handlers are asked about what an earlier run has left open.
    pub(crate) fn open(log: &Path, mut handlers: Vec<Arc<Handler>>) -> io::Result<(Self, Work)> {
        handlers.sort_by(|a, b| a.name().cmp(b.name()));
        let (log, left) = CaseLog::open(log)?;
        let (sender, waiting) = mpsc::channel(CASES_WAITING_MAX);
        let shared = Arc::new(Shared { handlers, log: Mutex::new(log), waiting: sender });
        Ok((Self(shared.clone()), Work { shared, waiting, left }))
    }

    /// Takes a complaint about a broadcast in. It is on the disk when this returns.
    pub async fn submit(&self, stream: String, epoch: u64, notice: Notice) -> Result<Receipt, NotTaken> {
        let place = self.0.waiting.clone().try_reserve_owned().map_err(|_| NotTaken::Busy)?;
        let shared = self.0.clone();
        let opened = tokio::task::spawn_blocking(move || shared.take_in(stream, epoch, notice)).await;
        let case = opened.map_err(|error| NotTaken::Log(io::Error::other(error)))?.map_err(NotTaken::Log)?;
        let receipt = Receipt { case: case.id, opened_us: case.opened_us };
        warn!(case = case.id, regime = ?case.notice.regime, "a complaint came in");
        place.send(case);
        Ok(receipt)
    }
}

impl Shared {
    fn take_in(&self, stream: String, epoch: u64, notice: Notice) -> io::Result<Case> {
        let opened_us = wall().as_micros() as u64;
        let mut log = self.log.lock().expect("no holder panics");
        let case = Case { id: log.next_case(), revision: 1, opened_us, stream, epoch, notice };
        log.add(opened_us, Entry::Opened { case: case.clone() })?;
        Ok(case)
    }

    /// Writes down what happened; what cannot be written down is at least said.
    async fn write(self: &Arc<Self>, entry: Entry) -> bool {
        let shared = self.clone();
        let added = tokio::task::spawn_blocking(move || {
            shared.log.lock().expect("no holder panics").add(wall().as_micros() as u64, entry)
        });
        match added.await.map_err(io::Error::other).and_then(|result| result) {
            Ok(()) => true,
            Err(error) => {
                error!(%error, "the log of complaints cannot be written; nothing is done");
                false
            }
        }
    }
}

impl Work {
    pub(crate) async fn run(mut self, carrier: Arc<dyn Carrier>) {
        for (_, case) in std::mem::take(&mut self.left.open) {
            self.handle(case, carrier.as_ref()).await;
        }
        while let Some(case) = self.waiting.recv().await {
            self.handle(case, carrier.as_ref()).await;
        }
    }

    async fn handle(&self, case: Case, carrier: &dyn Carrier) {
        let (id, revision) = (case.id, case.revision);
        let (handler, decision) = match self.decide(&case).await {
            Ok(decided) => decided,
            Err(why) => {
                error!(case = id, why, "a complaint stays open");
                self.shared.write(Entry::LeftOpen { case: id, revision, why }).await;
                return;
            }
        };
        info!(case = id, handler, ?decision, "a complaint was decided");
        let entry = Entry::Decided { case: id, revision, handler, decision: decision.clone() };
        // What is not on record is not done.
        if !self.shared.write(entry).await {
            return;
        }
        if let Decision::Act { actions, .. } = decision {
            for action in actions.into_iter().take(ACTIONS_MAX) {
                let error = carrier.carry_out(&case, &action).await.err().map(|error| error.to_string());
                if let Some(error) = &error {
                    error!(case = id, ?action, error, "what was decided could not be done");
                }
                self.shared.write(Entry::Acted { case: id, action, error }).await;
            }
        }
    }

    /// The first decision that is not to pass, and whose it is.
    async fn decide(&self, case: &Case) -> Result<(String, Decision), String> {
        for handler in &self.shared.handlers {
            let status = &handler.supervisor.status;
            let identity = status.identity();
            match handler.assess(case).await {
                Ok(Decision::Pass) => status.add("passed", "", 1),
                Ok(decision) => {
                    status.add("decided", "", 1);
                    return Ok((format!("{} ({} of {})", identity.name, identity.plugin, identity.origin), decision));
                }
                Err(error) => {
                    status.add("left-open", error.class.word(), 1);
                    return Err(format!("handler {}: {error}", identity.name));
                }
            }
        }
        Err("no handler knows what to do".into())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use peerstream_traits::compliance::{Contact, Regime};

    use super::*;

    pub(crate) fn notice() -> Notice {
        Notice {
            regime: Regime::Dmca,
            claimant: Contact { name: "A. Author".into(), email: "a@example.org".into(), address: String::new() },
            subject: "a film".into(),
            explanation: "it is shown in full".into(),
            from_s: Some(10.0),
            to_s: Some(20.0),
            statements: BTreeMap::new(),
            signature: Some("A. Author".into()),
        }
    }
}
