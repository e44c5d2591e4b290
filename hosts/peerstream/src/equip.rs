//! What a broadcast is equipped with: the doers of an assembly with the layers that its config wants around them.

use anyhow::Result;
use peerstream::key::Publisher;
use peerstream::plugins::{Identity, Instance as AtWork, Plugins};
use peerstream_registry::Spec;
use peerstream_sdk::traits::{Kind, PluginConfig};

use crate::assembly::{Assembly, Instance};
use crate::takedown;

/// The plug-ins of an assembly, ready to be started.
pub fn plugins(assembly: &Assembly, publisher: &Publisher, options: &takedown::Options) -> Result<Plugins> {
    let Assembly { strategy, ladder, transport, admission, telemetry, archives, compliance, .. } = assembly;
    let mut plugins = Plugins::none(publisher.public());
    plugins.secret = publisher.admission_secret();
    plugins.telemetry = telemetry.iter().map(at_work).collect();
    plugins.archives = archives.iter().map(at_work).collect();
    plugins.compliance = compliance.iter().map(at_work).collect();
    plugins.admission = admission.as_ref().map(at_work);
    plugins.shown = std::iter::once(identity(&strategy.spec, &strategy.origin))
        .chain(ladder.iter().map(|ladder| identity(&ladder.spec, &ladder.origin)))
        .collect();
    let transport = AtWork {
        name: transport.spec.instance.clone(),
        plugin_name: transport.spec.plugin.clone(),
        origin: transport.origin.clone(),
        plugin: transport.it.clone() as _,
        options: transport.spec.around(),
    };
    plugins.others.push((Kind::Transport, transport));
    if !compliance.is_empty() {
        plugins.desk = Some(takedown::setup(options, publisher)?);
    }
    Ok(plugins)
}

/// An instance with the layers that its section asks for.
pub fn at_work<P: Clone, O: PluginConfig>(instance: &Instance<P>) -> AtWork<P, O> {
    AtWork {
        name: instance.spec.instance.clone(),
        plugin_name: instance.spec.plugin.clone(),
        origin: instance.origin.clone(),
        plugin: instance.it.clone(),
        options: instance.spec.around(),
    }
}

/// Who an instance is, as it is shown.
pub fn identity(spec: &Spec, origin: &str) -> Identity {
    let (name, plugin) = (spec.instance.clone(), spec.plugin.clone());
    Identity { kind: spec.kind, name, plugin, origin: origin.to_owned() }
}
