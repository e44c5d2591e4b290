//! `plugins test`: the rules of each kind, through the binary interface.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use peerstream_loader::{Loaded, LoadedBuild};
use peerstream_sdk::testkit::{Rule, admission, archive, compliance, config, ladder, strategy, telemetry};
use peerstream_sdk::traits::Kind;
use serde_json::Value;

use crate::failure::Failure;
use crate::{banner, libraries};

/// Options of `plugins test`.
#[derive(Args, Debug)]
pub struct TestArgs {
    /// The library
    pub file: PathBuf,
    /// Options of the plug-in, as a JSON object [default: its own defaults]
    #[arg(long, value_name = "JSON")]
    pub options: Option<String>,
}

/// Checks all rules of all plug-ins of a library; exit code 1 if one is broken.
pub fn run(args: &TestArgs) -> Result<ExitCode, Failure> {
    let options = args.options.as_deref().map(serde_json::from_str::<Value>).transpose();
    let options = options.map_err(|error| Failure::Usage(anyhow::anyhow!("--options: {error}")))?;
    let mut broken = 0;
    for plugin in libraries::of_file(&args.file)?.plugins() {
        banner::line(&format!("{}/{} {}", plugin.kind, plugin.name, plugin.version));
        let options = options.clone().unwrap_or_else(|| plugin.defaults.clone());
        broken += check_all(config::RULES, &config_of(&plugin)) + check_kind(plugin, options);
    }
    let verdict = if broken == 0 { "every rule is kept".to_owned() } else { format!("{broken} rules are broken") };
    banner::line(&verdict);
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How many rules are broken.
fn check_all<M: ?Sized>(rules: &[Rule<M>], make: &M) -> usize {
    let mut broken = 0;
    for rule in rules {
        match rule.run(make) {
            Ok(()) => banner::line(&format!("  kept    {}", rule.name.replace('_', " "))),
            Err(found) => {
                broken += 1;
                let why = format!("{}\n          because {}", found.found, found.why);
                banner::line(&format!("  BROKEN  {}: {why}", rule.name.replace('_', " ")));
            }
        }
    }
    broken
}

fn config_of(plugin: &Loaded) -> config::Make {
    let checked = plugin.clone();
    config::Make {
        name: plugin.name.clone(),
        schema: plugin.schema.clone(),
        defaults: plugin.defaults.clone(),
        check: Box::new(move |options| checked.check(options)),
    }
}

fn check_kind(plugin: Loaded, options: Value) -> usize {
    let kind = plugin.kind;
    let build = move || plugin.build(&options, "test").unwrap_or_else(|error| panic!("no instance: {error}"));
    macro_rules! made {
        ($variant:ident) => {
            Box::new(move || match build() {
                LoadedBuild::$variant(it) => it,
                _ => unreachable!("a plug-in makes its own kind"),
            })
        };
    }
    match kind {
        Kind::Strategy => check_all(strategy::RULES, &(made!(Strategy) as strategy::Make)),
        Kind::Ladder => check_all(ladder::RULES, &(made!(Ladder) as ladder::Make)),
        Kind::Telemetry => check_all(telemetry::RULES, &(made!(Telemetry) as telemetry::Make)),
        Kind::Archive => check_all(archive::RULES, &(made!(Archive) as archive::Make)),
        Kind::Compliance => check_all(compliance::RULES, &(made!(Compliance) as compliance::Make)),
        Kind::Admission => check_all(admission::RULES, &(made!(Admission) as admission::Make)),
        Kind::Transport | Kind::Ingest => unreachable!("the loader refuses these kinds"),
    }
}
