//! The instances that a config wants, made of their plug-ins.

use anyhow::Context as _;
use peerstream::plugins::options;
use peerstream_registry::{Code, Outcome, Registry, Spec, did_you_mean};
use peerstream_sdk::traits::admission::SharedPolicy;
use peerstream_sdk::traits::archive::SharedArchive;
use peerstream_sdk::traits::compliance::SharedHandler;
use peerstream_sdk::traits::ingest::BoxedIngest;
use peerstream_sdk::traits::ladder::BoxedLadder;
use peerstream_sdk::traits::strategy::BoxedStrategy;
use peerstream_sdk::traits::telemetry::SharedSink;
use peerstream_sdk::traits::transport::SharedTransport;
use peerstream_sdk::traits::{Kind, PluginError};

use crate::bundle;
use crate::config::{StrategyOptions, TRANSPORT};

/// An instance, and what it was made of: another config that gives an equal `spec` wants the same.
pub struct Instance<T> {
    /// What it was made of; `spec.around` gives the framework's options as their own type.
    pub spec: Spec,
    /// Where its plug-in comes from: a crate and its version, or a file and its hash.
    pub origin: String,
    /// The instance itself.
    pub it: T,
}

/// All instances that a config wants. Nothing in it was started.
pub struct Assembly {
    /// Places the nodes.
    pub strategy: Instance<BoxedStrategy>,
    /// Takes over when the strategy fails; none if it is the same.
    pub fallback: Option<Instance<BoxedStrategy>>,
    /// Asked when too many cannot keep up.
    pub ladder: Option<Instance<BoxedLadder>>,
    /// Opens links.
    pub transport: Instance<SharedTransport>,
    /// Bring the input; at least one when the config is complete.
    pub ingests: Vec<Instance<BoxedIngest>>,
    /// Says who may join.
    pub admission: Option<Instance<SharedPolicy>>,
    /// Take figures and events elsewhere.
    pub telemetry: Vec<Instance<SharedSink>>,
    /// Keep what was broadcast.
    pub archives: Vec<Instance<SharedArchive>>,
    /// Handle complaints.
    pub compliance: Vec<Instance<SharedHandler>>,
}

impl Assembly {
    /// Makes them all. What cannot be made, or does not go together, is added to the outcome; none if there are errors.
    pub fn make(registry: &Registry, outcome: &mut Outcome) -> Option<Self> {
        let specs = outcome.config.specs().to_vec();
        let mut maker = Maker { registry, specs: &specs, outcome };
        let strategy = maker.one(Kind::Strategy, Registry::strategy);
        let made = Parts {
            fallback: strategy.as_ref().and_then(|strategy| maker.fallback(&strategy.spec)),
            strategy,
            ladder: maker.one(Kind::Ladder, Registry::ladder),
            transport: maker.one(Kind::Transport, Registry::transport),
            ingests: maker.all(Kind::Ingest, Registry::ingest),
            admission: maker.one(Kind::Admission, Registry::admission),
            telemetry: maker.all(Kind::Telemetry, Registry::telemetry),
            archives: maker.all(Kind::Archive, Registry::archive),
            compliance: maker.all(Kind::Compliance, Registry::compliance),
        };
        check_archives(&made, outcome);
        check_ingests(&made, outcome);
        if outcome.report.errors() > 0 { None } else { made.complete() }
    }
}

/// The default transport, for those who only take part.
pub fn transport() -> anyhow::Result<SharedTransport> {
    let registry = bundle::registry()?;
    let entry = registry.find(Kind::Transport, TRANSPORT).with_context(|| format!("no transport `{TRANSPORT}`"))?;
    Ok(registry.transport(&Spec::defaults(entry))?)
}

/// An assembly that may lack what it needs.
struct Parts {
    strategy: Option<Instance<BoxedStrategy>>,
    fallback: Option<Instance<BoxedStrategy>>,
    ladder: Option<Instance<BoxedLadder>>,
    transport: Option<Instance<SharedTransport>>,
    ingests: Vec<Instance<BoxedIngest>>,
    admission: Option<Instance<SharedPolicy>>,
    telemetry: Vec<Instance<SharedSink>>,
    archives: Vec<Instance<SharedArchive>>,
    compliance: Vec<Instance<SharedHandler>>,
}

impl Parts {
    fn complete(self) -> Option<Assembly> {
        let Self { strategy, fallback, ladder, transport, ingests, admission, telemetry, archives, compliance } = self;
        let (strategy, transport) = (strategy?, transport?);
        Some(Assembly { strategy, fallback, ladder, transport, ingests, admission, telemetry, archives, compliance })
    }
}

type Make<T> = fn(&Registry, &Spec) -> Result<T, PluginError>;

struct Maker<'a> {
    registry: &'a Registry,
    specs: &'a [Spec],
    outcome: &'a mut Outcome,
}

impl Maker<'_> {
    fn all<T>(&mut self, kind: Kind, make: Make<T>) -> Vec<Instance<T>> {
        let specs = self.specs.iter().filter(|spec| spec.kind == kind);
        specs.filter_map(|spec| made(self.registry, spec, make, self.outcome)).collect()
    }

    fn one<T>(&mut self, kind: Kind, make: Make<T>) -> Option<Instance<T>> {
        self.all(kind, make).into_iter().next()
    }

    fn fallback(&mut self, strategy: &Spec) -> Option<Instance<BoxedStrategy>> {
        let StrategyOptions { fallback } = strategy.around();
        if fallback == strategy.plugin {
            return None;
        }
        let Some(entry) = self.registry.find(Kind::Strategy, &fallback) else {
            let known = self.registry.of_kind(Kind::Strategy).map(|entry| entry.name.as_str());
            let message = format!("no strategy plug-in named `{fallback}` to fall back on");
            let meant = did_you_mean(&fallback, known);
            let message = if meant.is_empty() { message } else { format!("{message}; {meant}") };
            self.outcome.add(Code::UnknownPlugin, "strategy.fallback", message);
            return None;
        };
        made(self.registry, &Spec::defaults(entry), Registry::strategy, self.outcome)
    }
}

fn made<T>(registry: &Registry, spec: &Spec, make: Make<T>, outcome: &mut Outcome) -> Option<Instance<T>> {
    match make(registry, spec) {
        Ok(it) => {
            let entry = registry.find(spec.kind, &spec.plugin);
            let origin = entry.map(|entry| entry.origin.to_string()).unwrap_or_default();
            Some(Instance { spec: spec.clone(), origin, it })
        }
        Err(error) => {
            let message = format!("{} `{}` cannot be made: {error}", spec.kind, spec.plugin);
            outcome.add(Code::NotBuilt, &path(spec, "use"), message);
            None
        }
    }
}

/// Where something of an instance is in the config.
fn path(spec: &Spec, key: &str) -> String {
    match spec.kind.is_many() {
        true => format!("{}.{}.{key}", spec.kind, spec.instance),
        false => format!("{}.{key}", spec.kind),
    }
}

/// Where complaints are handled it must be possible to take things out of the archives.
fn check_archives(made: &Parts, outcome: &mut Outcome) {
    if made.compliance.is_empty() {
        return;
    }
    for archive in &made.archives {
        let options::Archive { allow_unrestrictable, .. } = archive.spec.around();
        if !allow_unrestrictable && !archive.it.capabilities().restrict {
            let message = format!(
                "nothing can be taken out of archive `{}`, but compliance is on; allow it with allow_unrestrictable = true",
                archive.spec.plugin
            );
            outcome.add(Code::Conflict, &path(&archive.spec, "use"), message);
        }
    }
}

/// A stream is media or plain bytes, whichever of its inputs is on air.
fn check_ingests(made: &Parts, outcome: &mut Outcome) {
    let Some(first) = made.ingests.first() else { return };
    for ingest in made.ingests.iter().filter(|ingest| ingest.it.kind() != first.it.kind()) {
        let message = format!(
            "inputs `{}` and `{}` do not go together: one brings media, the other plain bytes",
            first.spec.instance, ingest.spec.instance
        );
        outcome.add(Code::Conflict, &path(&ingest.spec, "use"), message);
    }
}

#[cfg(test)]
mod tests {
    use peerstream_registry::{Draft, Entry, Layers};
    use peerstream_sdk::prelude::*;
    use peerstream_sdk::traits::Registration;
    use peerstream_sdk::traits::archive::{
        ArchiveBackend, Capabilities, Item, Manifest, Published, Receipt, RecordingId, StreamMeta,
    };
    use peerstream_sdk::traits::compliance::{Case, ComplianceHandler, Decision, Evidence};

    use super::*;

    /// Keeps nothing, and gives nothing back.
    struct Void;

    impl Plugin for Void {
        const NAME: &'static str = "void";
        const SUMMARY: &'static str = "keeps nothing";
        type Config = NoOptions;

        fn build(_: NoOptions, context: &BuildContext<'_>) -> Result<Self, PluginError> {
            if context.instance == "broken" { Err(PluginError::invalid("out of order")) } else { Ok(Self) }
        }
    }

    impl Lifecycle for Void {}

    #[async_trait]
    impl ArchiveBackend for Void {
        fn capabilities(&self) -> Capabilities {
            Capabilities::default()
        }

        async fn open(&self, _: &StreamMeta) -> Result<RecordingId, PluginError> {
            Err(PluginError::unsupported("opening"))
        }

        async fn put(&self, _: &RecordingId, _: &Item) -> Result<Receipt, PluginError> {
            Err(PluginError::unsupported("keeping"))
        }

        async fn finalize(&self, _: &RecordingId, _: &Manifest) -> Result<Published, PluginError> {
            Err(PluginError::unsupported("publishing"))
        }
    }

    #[async_trait]
    impl ComplianceHandler for Void {
        async fn assess(&self, _: &Case, _: &Evidence) -> Result<Decision, PluginError> {
            Ok(Decision::Pass)
        }
    }

    fn made(text: &str) -> Result<Assembly, String> {
        let mut registry = bundle::registry().unwrap();
        registry.add(Entry::linked(&Registration::archive::<Void>("acme", "1.0.0"))).unwrap();
        registry.add(Entry::linked(&Registration::compliance::<Void>("acme", "1.0.0"))).unwrap();
        let mut layers = Layers::new();
        layers.text("x.toml", text);
        let mut outcome = Draft::new(layers).check(&registry, &crate::config::layout());
        Assembly::make(&registry, &mut outcome).ok_or_else(|| outcome.report.human())
    }

    #[test]
    fn every_instance_has_its_name_and_the_options_of_the_framework() {
        let text = "[archive.here]\nuse = \"void\"\ntimeout_ms = 7\n[archive.there]\nuse = \"void\"\n";
        let assembly = made(text).unwrap();
        let archives: Vec<_> = assembly.archives.iter().map(|archive| archive.spec.instance.as_str()).collect();
        assert_eq!(archives, ["here", "there"]);
        assert_eq!(assembly.archives[0].spec.around::<options::Archive>().timeout_ms, 7);
        assert_eq!((assembly.strategy.spec.plugin.as_str(), assembly.fallback.is_none()), ("dumbbell", true));
    }

    #[test]
    fn an_archive_that_cannot_withhold_is_refused_beside_compliance_unless_it_is_allowed() {
        let text = "[archive.a]\nuse = \"void\"\n[compliance.c]\nuse = \"void\"\n";
        let said = made(text).err().expect("refused");
        assert!(said.contains("PS0122") && said.contains("x.toml:2:7"), "{said}");
        assert!(made(&text.replace("[comp", "allow_unrestrictable = true\n[comp")).is_ok());
    }

    #[test]
    fn inputs_of_media_and_of_plain_bytes_do_not_go_together() {
        let text = "[ingest.a]\nuse = \"clip\"\n[ingest.b]\nuse = \"pipe\"\nconfig.kind = \"data\"\n";
        let said = made(text).err().expect("refused");
        assert!(said.contains("PS0122") && said.contains("`a` and `b`"), "{said}");
        assert!(made(&text.replace("data", "media")).is_ok());
    }

    #[test]
    fn an_instance_that_cannot_be_made_is_told_with_its_place() {
        let said = made("[archive.broken]\nuse = \"void\"\n").err().expect("refused");
        assert!(said.contains("PS0121") && said.contains("out of order") && said.contains("x.toml:2:7"), "{said}");
    }
}
