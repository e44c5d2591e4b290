//! Another config while a broadcast runs: taken whole, or refused with what stands in the way.

use std::sync::{Arc, Mutex};

use peerstream::broadcast::Broadcast;
use peerstream::hub::Successor;
use peerstream::plugins::Running;
use peerstream_registry::{Change, Config, Layers, Spec, changes};
use peerstream_sdk::traits::{Kind, PluginConfig};
use tracing::{error, info, warn};

use crate::assembly::{Assembly, Instance};
use crate::config::{Dashboard, Fallback, Ice, Limits, Serve, Source, Stun, TimeShift};
use crate::equip::{at_work, identity};
use crate::player::Player;
use crate::setup::{self, Checked};
use crate::takedown::Options as Takedown;

/// Makes the layers again: the same files and flags, whatever the files say by now.
pub type MakeLayers = Box<dyn Fn() -> Layers + Send + Sync>;

/// What a broadcast runs with, and how its config is read again.
pub struct Reload<'a> {
    layers: &'a MakeLayers,
    config: Mutex<Config>,
    plugins: Arc<Running>,
}

/// What cannot be changed while a broadcast runs.
fn fixed(before: &Config, after: &Config, changes: &[Change]) -> Vec<String> {
    fn differs<T: PluginConfig>(before: &Config, after: &Config, name: &str) -> Option<String> {
        let value = |config: &Config| serde_json::to_value(config.section::<T>(name)).ok();
        (value(before) != value(after)).then(|| format!("[{name}]"))
    }
    // Secrets look alike when they are written.
    let password = |config: &Config| config.section::<Dashboard>("dashboard").password;
    let secrets = |config: &Config| {
        let Takedown { database, password, smtp, .. } = config.section("takedown");
        (database, password, smtp)
    };
    let sections = [
        differs::<Dashboard>(before, after, "dashboard")
            .or_else(|| (password(before) != password(after)).then(|| "[dashboard]".to_owned())),
        differs::<Takedown>(before, after, "takedown")
            .or_else(|| (secrets(before) != secrets(after)).then(|| "[takedown]".to_owned())),
        differs::<Serve>(before, after, "serve"),
        differs::<Source>(before, after, "source"),
        differs::<Fallback>(before, after, "fallback"),
        differs::<Player>(before, after, "player"),
        differs::<TimeShift>(before, after, "time_shift"),
        differs::<Ice>(before, after, "ice"),
        differs::<Stun>(before, after, "stun"),
        differs::<Limits>(before, after, "limits"),
    ];
    let instances = changes.iter().map(spec_of).filter(|spec| !is_live(spec.kind)).map(section);
    let mut all: Vec<_> = sections.into_iter().flatten().chain(instances).collect();
    all.dedup();
    all
}

fn is_live(kind: Kind) -> bool {
    matches!(kind, Kind::Strategy | Kind::Ladder | Kind::Telemetry | Kind::Admission)
}

fn spec_of(change: &Change) -> &Spec {
    match change {
        Change::Added(spec) | Change::Removed(spec) => spec,
        Change::Changed(both) => &both.1,
        _ => unreachable!("a change adds, removes or changes"),
    }
}

fn section(spec: &Spec) -> String {
    if spec.kind.is_many() { format!("[{}.{}]", spec.kind, spec.instance) } else { format!("[{}]", spec.kind) }
}

impl<'a> Reload<'a> {
    /// For a broadcast that runs with this config.
    pub fn new(layers: &'a MakeLayers, config: Config, plugins: Arc<Running>) -> Self {
        Self { layers, config: Mutex::new(config), plugins }
    }

    /// Reads the config again and applies what has changed. Says what it did, or why nothing was done.
    pub async fn again(&self, broadcast: &Broadcast) {
        match self.try_again(broadcast).await {
            Ok(applied) if applied.is_empty() => info!("config read again; nothing has changed"),
            Ok(applied) => info!(applied = applied.join(", "), "config read again"),
            Err(why) => error!("config not applied, everything goes on as it was: {why}"),
        }
    }

    async fn try_again(&self, broadcast: &Broadcast) -> Result<Vec<String>, String> {
        let Checked { outcome, assembly } = setup::check((self.layers)()).map_err(|failure| format!("{failure:?}"))?;
        let Some(assembly) = assembly else { return Err(format!("it has errors\n{}", outcome.report.human())) };
        let changes = changes(self.config.lock().expect("no holder panics").specs(), outcome.config.specs());
        let fixed = fixed(&self.config.lock().expect("no holder panics"), &outcome.config, &changes);
        if !fixed.is_empty() {
            return Err(format!("{} can only be changed by a restart", fixed.join(", ")));
        }
        self.apply(&changes, assembly, broadcast).await?;
        *self.config.lock().expect("no holder panics") = outcome.config;
        Ok(changes.iter().map(|change| section(spec_of(change))).collect())
    }

    /// First what may still be refused: the strategy is tried before it takes over.
    async fn apply(&self, changes: &[Change], assembly: Assembly, broadcast: &Broadcast) -> Result<(), String> {
        let Assembly { strategy, fallback, ladder, admission, telemetry, .. } = assembly;
        let changed = |kind: Kind| changes.iter().any(|change| spec_of(change).kind == kind);
        if changed(Kind::Strategy) {
            let name = strategy.spec.plugin.clone();
            let fallback = fallback.map(|fallback| (fallback.spec.plugin, fallback.it));
            let successor = Successor { name: name.clone(), strategy: strategy.it, fallback };
            broadcast
                .hub()
                .switch_strategy(successor)
                .await
                .map_err(|why| format!("strategy `{name}` cannot take over: {why}"))?;
            self.plugins.show(identity(&strategy.spec, &strategy.origin));
        }
        if changed(Kind::Ladder) {
            ladder.iter().for_each(|ladder| self.plugins.show(identity(&ladder.spec, &ladder.origin)));
            broadcast.hub().switch_ladder(ladder.map(|ladder| ladder.it)).await;
        }
        if changed(Kind::Admission) {
            self.plugins.replace_policy(admission.as_ref().map(at_work)).await;
        }
        for change in changes.iter().filter(|change| spec_of(change).kind == Kind::Telemetry) {
            let name = &spec_of(change).instance;
            let next = telemetry.iter().find(|sink: &&Instance<_>| sink.spec.instance == *name);
            if let Err(problem) = self.plugins.replace_sink(name, next.map(at_work)).await {
                warn!(sink = name, %problem, "a sink has not started; it is tried again");
            }
        }
        Ok(())
    }
}
