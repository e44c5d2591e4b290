//! All instances at work: started together, fed by the broadcast, ended together.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use peerstream_protocol::crypto::PublicKey;
use peerstream_traits::admission::SharedPolicy;
use peerstream_traits::archive::SharedArchive;
use peerstream_traits::compliance::SharedHandler;
use peerstream_traits::telemetry::SharedSink;
use peerstream_traits::{Kind, Lifecycle, PluginError};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::admission::Gate;
use super::archive::{Archives, Layer};
use super::call::AbortOnDrop;
use super::compliance::{Carrier, Desk, Handler, Work};
use super::instance::{Instance, Other, Plugins};
use super::options;
use super::state::State;
use super::status::{Identity, Status, Statuses};
use super::supervisor::Supervisor;
use super::telemetry::{Sink, Telemetry};

/// Figures are not made more often, in milliseconds: they cost time in proportion to the members.
const FIGURES_INTERVAL_MS_MIN: u64 = 100;

/// Why the plug-ins could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A required one could not.
    #[error("{kind} `{name}` is required and did not start: {error}")]
    Required {
        /// Its kind.
        kind: Kind,
        /// Its name in the config.
        name: String,
        /// Why.
        #[source]
        error: PluginError,
    },
    /// The log of complaints could not be opened.
    #[error("the log of complaints cannot be opened: {0}")]
    CaseLog(#[source] std::io::Error),
    /// There are handlers of complaints, and no log.
    #[error("there are compliance handlers, but no log of complaints is named")]
    NoCaseLog,
}

/// All instances at work. Dropping it ends them without a word; see [`Self::stop`].
pub struct Running {
    statuses: Statuses,
    telemetry: Telemetry,
    archives: Archives,
    gate: Gate,
    desk: Option<Desk>,
    figures_interval: Duration,
    supervisors: Vec<Supervisor>,
    sinks: Vec<Arc<Sink>>,
    layers: Vec<Arc<Layer>>,
    /// Cases that nobody works on before [`Self::carry_with`].
    work: Mutex<Option<Work>>,
    workers: Mutex<Workers>,
    watchers: Vec<AbortOnDrop<()>>,
}

#[derive(Default)]
struct Workers {
    sinks: Vec<JoinHandle<()>>,
    layers: Vec<JoinHandle<()>>,
    cases: Option<AbortOnDrop<()>>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Running({} plug-ins)", self.supervisors.len())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.sinks.iter().chain(&self.layers).for_each(JoinHandle::abort);
    }
}

/// Makes instances supervised ones.
#[derive(Default)]
struct Assembly {
    statuses: Statuses,
    supervisors: Vec<Supervisor>,
}

impl Assembly {
    fn supervise(&mut self, identity: Identity, doer: Arc<dyn Lifecycle>, options: &options::Lifecycle) -> Supervisor {
        let status = Status::new(identity, options.required);
        self.statuses.add(status.clone());
        let supervisor = Supervisor::new(status, doer, options.clone());
        self.supervisors.push(supervisor.clone());
        supervisor
    }

    fn other(&mut self, kind: Kind, instance: &Other) {
        self.supervise(instance.identity(kind), instance.plugin.clone(), &instance.options);
    }

    fn sink(&mut self, instance: Instance<SharedSink, options::Telemetry>) -> Arc<Sink> {
        let identity = instance.identity(Kind::Telemetry);
        let supervisor = self.supervise(identity, instance.plugin.clone(), &instance.options.lifecycle);
        Arc::new(Sink::new(instance.plugin, instance.options, supervisor))
    }

    fn layer(&mut self, instance: Instance<SharedArchive, options::Archive>) -> Arc<Layer> {
        let identity = instance.identity(Kind::Archive);
        let supervisor = self.supervise(identity, instance.plugin.clone(), &instance.options.lifecycle);
        Arc::new(Layer::new(instance.plugin, instance.options, supervisor))
    }

    fn handler(&mut self, instance: Instance<SharedHandler, options::Compliance>) -> Arc<Handler> {
        let identity = instance.identity(Kind::Compliance);
        let supervisor = self.supervise(identity, instance.plugin.clone(), &instance.options.lifecycle);
        Arc::new(Handler::new(instance.plugin, instance.options, supervisor))
    }

    fn gate(
        &mut self,
        instance: Instance<SharedPolicy, options::Admission>,
        secret: &[u8; 32],
        stream: PublicKey,
    ) -> Gate {
        let identity = instance.identity(Kind::Admission);
        let supervisor = self.supervise(identity, instance.plugin.clone(), &instance.options.lifecycle);
        Gate::guarded(instance.plugin, instance.options, supervisor, secret, stream)
    }

    fn show(&self, identity: Identity) {
        let status = Status::new(identity, false);
        status.turn(State::Starting, None);
        status.turn(State::Running, None);
        self.statuses.add(status);
    }
}

impl Plugins {
    /// Starts all of them at once. When a required one does not start, all are ended again.
    pub async fn start(self) -> Result<Running, StartError> {
        let running = self.assemble()?;
        let starts = running.supervisors.iter().map(Supervisor::start);
        let results = join_all(starts).await;
        let failed = running.supervisors.iter().zip(results).find_map(|(supervisor, result)| {
            Some((supervisor.status.clone(), result.err()?)).filter(|(status, _)| status.is_required())
        });
        if let Some((status, error)) = failed {
            running.stop().await;
            let Identity { kind, name, .. } = status.identity().clone();
            return Err(StartError::Required { kind, name, error });
        }
        Ok(running.watched())
    }

    fn assemble(self) -> Result<Running, StartError> {
        let mut assembly = Assembly::default();
        self.shown.into_iter().for_each(|identity| assembly.show(identity));
        self.others.into_iter().for_each(|(kind, other)| assembly.other(kind, &other));
        let sinks: Vec<_> = self.telemetry.into_iter().map(|instance| assembly.sink(instance)).collect();
        let layers: Vec<_> = self.archives.into_iter().map(|instance| assembly.layer(instance)).collect();
        let handlers: Vec<_> = self.compliance.into_iter().map(|instance| assembly.handler(instance)).collect();
        let gate = match self.admission {
            Some(instance) => assembly.gate(instance, &self.secret, self.stream),
            None => Gate::open(self.stream),
        };
        let (desk, work) = desk(handlers, self.case_log.as_deref())?.unzip();
        let workers = Workers {
            sinks: sinks.iter().map(|sink| tokio::spawn(sink.clone().run())).collect(),
            layers: layers.iter().map(|layer| tokio::spawn(layer.clone().run())).collect(),
            cases: None,
        };
        Ok(Running {
            statuses: assembly.statuses,
            telemetry: Telemetry::new(sinks.clone()),
            archives: Archives::new(layers.clone()),
            gate,
            desk,
            figures_interval: Duration::from_millis(self.figures_interval_ms.max(FIGURES_INTERVAL_MS_MIN)),
            supervisors: assembly.supervisors,
            sinks,
            layers,
            work: Mutex::new(work),
            workers: Mutex::new(workers),
            watchers: Vec::new(),
        })
    }
}

fn desk(handlers: Vec<Arc<Handler>>, log: Option<&Path>) -> Result<Option<(Desk, Work)>, StartError> {
    match log {
        _ if handlers.is_empty() => Ok(None),
        None => Err(StartError::NoCaseLog),
        Some(log) => Desk::open(log, handlers).map(Some).map_err(StartError::CaseLog),
    }
}

impl Running {
    fn watched(mut self) -> Self {
        let watch = |supervisor: &Supervisor| AbortOnDrop(tokio::spawn(supervisor.clone().watch()));
        self.watchers = self.supervisors.iter().map(watch).collect();
        self
    }

    /// How all instances stand.
    pub fn statuses(&self) -> &Statuses {
        &self.statuses
    }

    /// Where records go.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Where segments go.
    pub fn archives(&self) -> &Archives {
        &self.archives
    }

    /// Where newcomers are let in.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Where complaints are taken in; nothing when there is no handler.
    pub fn desk(&self) -> Option<&Desk> {
        self.desk.as_ref()
    }

    /// The time between two figures of the same name.
    pub fn figures_interval(&self) -> Duration {
        self.figures_interval
    }

    /// From now on cases are worked on, and what is decided is carried out by this. The first call counts.
    pub fn carry_with(&self, carrier: Arc<dyn Carrier>) {
        if let Some(work) = self.work.lock().expect("no holder panics").take() {
            self.workers().cases = Some(AbortOnDrop(tokio::spawn(work.run(carrier))));
        }
    }

    /// Lets sinks and archives take what waits, and ends all instances, each within the time its options give it.
    pub async fn stop(&self) {
        let (sinks, layers) = {
            let mut workers = self.workers();
            workers.cases = None;
            (std::mem::take(&mut workers.sinks), std::mem::take(&mut workers.layers))
        };
        let sinks = join_all(self.sinks.iter().zip(sinks).map(|(sink, worker)| sink.stop(worker)));
        let layers = join_all(self.layers.iter().zip(layers).map(|(layer, worker)| layer.stop(worker)));
        tokio::join!(sinks, layers);
        // Those of sinks and archives have ended; a second end is refused.
        let rest =
            self.supervisors.iter().map(|supervisor| supervisor.stop(Instant::now() + supervisor.stop_timeout()));
        join_all(rest).await;
    }

    fn workers(&self) -> std::sync::MutexGuard<'_, Workers> {
        self.workers.lock().expect("no holder panics")
    }
}
