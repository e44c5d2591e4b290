//! From the command line and the config files to the instances that are wanted.

use std::path::PathBuf;

use clap::Args;
use peerstream_registry::{Code, Config, Draft, Layers, Loading, Outcome, Require};

use crate::assembly::Assembly;
use crate::failure::Failure;
use crate::{bundle, config, libraries};

/// Where a config comes from besides the environment.
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigArgs {
    /// A config file; later ones win over earlier ones, flags win over all
    #[arg(long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// An option and its value, such as `limits.nodes=500`
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// What a broadcast is made of.
pub struct Setup {
    /// The config.
    pub config: Config,
    /// The instances it wants.
    pub assembly: Assembly,
}

/// A config and all that is wrong with it.
pub struct Checked {
    /// The config, and what is wrong with it.
    pub outcome: Outcome,
    /// The instances, if nothing is wrong.
    pub assembly: Option<Assembly>,
}

impl ConfigArgs {
    /// The layers below the flags: files, environment, `--set`.
    pub fn layers(&self) -> Layers {
        let mut layers = Layers::new();
        self.config.iter().for_each(|file| layers.file(file));
        layers.environment(std::env::vars_os());
        self.set.iter().for_each(|set| layers.set(set));
        layers
    }
}

/// Checks a config, and makes its instances if it can.
pub fn check(layers: Layers) -> Result<Checked, Failure> {
    let mut registry = bundle::registry().map_err(anyhow::Error::from)?;
    let draft = Draft::new(layers);
    let loading: Loading = draft.peek("plugins");
    let problems = libraries::load(&loading, &mut registry);
    let mut outcome = draft.check(&registry, &config::layout());
    problems.into_iter().for_each(|problem| outcome.add(problem.code, &problem.path, problem.message));
    warn_of_unpinned(&loading, &mut outcome);
    let assembly = if outcome.report.errors() == 0 { Assembly::make(&registry, &mut outcome) } else { None };
    Ok(Checked { outcome, assembly })
}

/// Code that nobody has looked at is worth a word.
fn warn_of_unpinned(loading: &Loading, outcome: &mut Outcome) {
    if !loading.load.is_empty() && loading.require == Require::None {
        let message = "plug-ins are loaded whatever is in their files: require is \"none\"";
        outcome.add(Code::Unpinned, "plugins.require", message);
    }
}

impl Setup {
    /// What these layers want, or all that is wrong with them. Warnings are shown and do not matter.
    pub fn of(layers: Layers) -> Result<Self, Failure> {
        let Checked { outcome, assembly } = check(layers)?;
        let report = outcome.report.clone();
        match (outcome.into_result(), assembly) {
            (Ok(config), Some(assembly)) => {
                eprint!("{}", report.human());
                Ok(Self { config, assembly })
            }
            (Err(report), _) => Err(Failure::Config(report)),
            (Ok(_), None) => Err(Failure::Run(anyhow::anyhow!("a strategy or transport is missing"))),
        }
    }
}
