//! All instances at work: started together, fed by the broadcast, ended together.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
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
use super::compliance::{Chain, Handler};
use super::instance::{Instance, Other, Plugins};
use super::options;
use super::shelf::Shelf;
use super::state::State;
use super::status::{Identity, Status, Statuses};
use super::supervisor::Supervisor;
use super::telemetry::{Sink, Telemetry};
use crate::takedown::{self, Carrier, Desk, Setup, Work};

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
    /// The cases could not be opened.
    #[error("the cases of notices cannot be opened: {0}")]
    Desk(takedown::Refused),
    /// There are compliance handlers, and no desk.
    #[error("there are compliance handlers, but nothing says where notices are kept")]
    NoDesk,
}

/// All instances at work. Dropping it ends them without a word; see [`Self::stop`].
pub struct Running {
    statuses: Statuses,
    telemetry: Telemetry,
    archives: Archives,
    shelf: Shelf,
    gate: Gate,
    desk: Option<Desk>,
    figures_interval: Duration,
    supervised: Mutex<Vec<Supervised>>,
    layers: Vec<Arc<Layer>>,
    /// Cases that nobody works on before [`Self::carry_with`].
    work: Mutex<Option<Work>>,
    workers: Mutex<Workers>,
}

/// An instance with the task that watches it.
struct Supervised {
    supervisor: Supervisor,
    _watcher: AbortOnDrop<()>,
}

impl Supervised {
    fn watch(supervisor: Supervisor) -> Self {
        let watcher = AbortOnDrop(tokio::spawn(supervisor.clone().watch()));
        Self { supervisor, _watcher: watcher }
    }

    fn is(&self, kind: Kind, name: &str) -> bool {
        let Identity { kind: its, name: called, .. } = self.supervisor.status.identity();
        (*its, called.as_str()) == (kind, name)
    }
}

#[derive(Default)]
struct Workers {
    sinks: Vec<(Arc<Sink>, JoinHandle<()>)>,
    layers: Vec<JoinHandle<()>>,
    cases: Option<AbortOnDrop<()>>,
}

impl Workers {
    fn deliver(&mut self, sink: Arc<Sink>) {
        let worker = tokio::spawn(sink.clone().run());
        self.sinks.push((sink, worker));
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Running({} plug-ins)", self.supervised().len())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.sinks.iter().map(|(_, worker)| worker).chain(&self.layers).for_each(JoinHandle::abort);
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

    fn guard(&mut self, gate: &Gate, instance: Instance<SharedPolicy, options::Admission>) {
        let identity = instance.identity(Kind::Admission);
        let supervisor = self.supervise(identity, instance.plugin.clone(), &instance.options.lifecycle);
        gate.guard(instance.plugin, instance.options, supervisor);
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
        let (running, supervisors) = self.assemble()?;
        let results = join_all(supervisors.iter().map(Supervisor::start)).await;
        let failed = supervisors.iter().zip(results).find_map(|(supervisor, result)| {
            Some((supervisor.status.clone(), result.err()?)).filter(|(status, _)| status.is_required())
        });
        running.supervised().extend(supervisors.into_iter().map(Supervised::watch));
        match failed {
            None => Ok(running),
            Some((status, error)) => {
                running.stop().await;
                Err(required(status.identity(), error))
            }
        }
    }

    fn assemble(self) -> Result<(Running, Vec<Supervisor>), StartError> {
        let mut assembly = Assembly::default();
        self.shown.into_iter().for_each(|identity| assembly.show(identity));
        self.others.into_iter().for_each(|(kind, other)| assembly.other(kind, &other));
        let sinks: Vec<_> = self.telemetry.into_iter().map(|instance| assembly.sink(instance)).collect();
        let layers: Vec<_> = self.archives.into_iter().map(|instance| assembly.layer(instance)).collect();
        let handlers: Vec<_> = self.compliance.into_iter().map(|instance| assembly.handler(instance)).collect();
        let gate = Gate::with_secret(&self.secret, self.stream);
        if let Some(instance) = self.admission {
            assembly.guard(&gate, instance);
        }
        let (desk, work) = desk(handlers, self.desk)?.unzip();
        let mut workers = Workers {
            sinks: Vec::new(),
            layers: layers.iter().map(|layer| tokio::spawn(layer.clone().run())).collect(),
            cases: None,
        };
        sinks.iter().for_each(|sink| workers.deliver(sink.clone()));
        let running = Running {
            statuses: assembly.statuses,
            telemetry: Telemetry::new(sinks),
            archives: Archives::new(layers.clone()),
            shelf: Shelf::new(layers.clone()),
            gate,
            desk,
            figures_interval: Duration::from_millis(self.figures_interval_ms.max(FIGURES_INTERVAL_MS_MIN)),
            supervised: Mutex::default(),
            layers,
            work: Mutex::new(work),
            workers: Mutex::new(workers),
        };
        Ok((running, assembly.supervisors))
    }
}

fn required(Identity { kind, name, .. }: &Identity, error: PluginError) -> StartError {
    StartError::Required { kind: *kind, name: name.clone(), error }
}

fn desk(handlers: Vec<Arc<Handler>>, setup: Option<Setup>) -> Result<Option<(Desk, Work)>, StartError> {
    match setup {
        _ if handlers.is_empty() => Ok(None),
        None => Err(StartError::NoDesk),
        Some(setup) => Desk::open(setup, Chain::new(handlers)).map(Some).map_err(StartError::Desk),
    }
}

impl Running {
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

    /// Reads what the archives keep.
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Where newcomers are let in.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Where notices are taken in; nothing when there is no handler.
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
            self.workers().cases = Some(AbortOnDrop(tokio::spawn(work.run(carrier, self.shelf.clone()))));
        }
    }

    /// Puts a sink in the place of the one of this name, or takes that one away. The old one is let go when the new one has
    /// started, or before if the new one cannot start beside it, and delivers what it was handed. A new one that does not start is
    /// tried again like any other.
    pub async fn replace_sink(
        &self,
        name: &str,
        next: Option<Instance<SharedSink, options::Telemetry>>,
    ) -> Result<(), StartError> {
        let mut assembly = Assembly::default();
        let next = next.map(|instance| assembly.sink(instance));
        let mut started = match &next {
            Some(sink) => sink.supervisor.start().await,
            None => Ok(()),
        };
        self.let_sink_go(name).await;
        if let (Some(sink), Err(_)) = (&next, &started) {
            // Both may have wanted the same port.
            started = sink.supervisor.start().await;
        }
        self.telemetry.replace(name, next.clone());
        let Some(sink) = next else { return Ok(()) };
        self.take_in(&sink.supervisor);
        self.workers().deliver(sink.clone());
        started.map_err(|error| required(sink.supervisor.status.identity(), error))
    }

    async fn let_sink_go(&self, name: &str) {
        let old = {
            let mut workers = self.workers();
            let at = workers.sinks.iter().position(|(sink, _)| sink.supervisor.status.identity().name == name);
            at.map(|at| workers.sinks.swap_remove(at))
        };
        if let Some((sink, worker)) = old {
            self.telemetry.replace(name, None);
            sink.stop(worker).await;
        }
        self.forget(Kind::Telemetry, name);
    }

    /// Another policy decides from now on, or nobody has to be asked any more. Tickets that were given hold on.
    pub async fn replace_policy(&self, next: Option<Instance<SharedPolicy, options::Admission>>) {
        let old = {
            let supervised = self.supervised();
            let old = supervised.iter().find(|it| it.supervisor.status.identity().kind == Kind::Admission);
            old.map(|it| it.supervisor.clone())
        };
        let mut assembly = Assembly::default();
        match next {
            Some(instance) => assembly.guard(&self.gate, instance),
            None => self.gate.throw_open(),
        }
        if let Some(old) = old {
            old.stop(Instant::now() + old.stop_timeout()).await;
            self.forget(Kind::Admission, &old.status.identity().name);
        }
        for supervisor in assembly.supervisors {
            let _ = supervisor.start().await;
            self.take_in(&supervisor);
        }
    }

    /// Another decider is at work: it is only shown.
    pub fn show(&self, identity: Identity) {
        self.statuses.remove(identity.kind, &identity.name);
        Assembly { statuses: self.statuses.clone(), supervisors: Vec::new() }.show(identity);
    }

    fn take_in(&self, supervisor: &Supervisor) {
        self.statuses.add(supervisor.status.clone());
        self.supervised().push(Supervised::watch(supervisor.clone()));
    }

    fn forget(&self, kind: Kind, name: &str) {
        self.statuses.remove(kind, name);
        self.supervised().retain(|it| !it.is(kind, name));
    }

    /// Lets sinks and archives take what waits, and ends all instances, each within the time its options give it.
    pub async fn stop(&self) {
        let (sinks, layers) = {
            let mut workers = self.workers();
            workers.cases = None;
            (std::mem::take(&mut workers.sinks), std::mem::take(&mut workers.layers))
        };
        let sinks = join_all(sinks.into_iter().map(|(sink, worker)| async move { sink.stop(worker).await }));
        let layers = join_all(self.layers.iter().zip(layers).map(|(layer, worker)| layer.stop(worker)));
        tokio::join!(sinks, layers);
        // Those of sinks and archives have ended; a second end is refused.
        let rest: Vec<_> = self.supervised().iter().map(|it| it.supervisor.clone()).collect();
        let ends = rest.iter().map(|supervisor| supervisor.stop(Instant::now() + supervisor.stop_timeout()));
        join_all(ends).await;
    }

    fn supervised(&self) -> std::sync::MutexGuard<'_, Vec<Supervised>> {
        self.supervised.lock().expect("no holder panics")
    }

    fn workers(&self) -> std::sync::MutexGuard<'_, Workers> {
        self.workers.lock().expect("no holder panics")
    }
}
