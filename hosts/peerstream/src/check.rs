//! `check`: a config without a start.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use peerstream_registry::{Report, Spec};
use peerstream_sdk::traits::{Lifecycle, PluginError};

use crate::assembly::{Assembly, Instance};
use crate::banner;
use crate::failure::{EXIT_PROBE, EXIT_USAGE, Failure};
use crate::setup::{Checked, ConfigArgs, check};

/// An instance that needs longer for its probe has failed it.
const PROBE_MAX: Duration = Duration::from_secs(10);

/// Options of `check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Config files; later ones win over earlier ones
    #[arg(value_name = "FILE")]
    pub files: Vec<std::path::PathBuf>,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Also ask each plug-in whether what it needs is there
    #[arg(long)]
    pub probe: bool,
    /// How to say what is wrong
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub format: Format,
    /// Warnings are as bad as errors
    #[arg(long)]
    pub deny_warnings: bool,
}

/// How to say what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// With the lines concerned
    Human,
    /// One JSON document on standard output
    Json,
    /// Commands that GitHub shows beside the lines
    Github,
}

/// `peerstream check`
pub async fn run(args: CheckArgs) -> Result<ExitCode, Failure> {
    let mut config = args.config;
    config.config.splice(0..0, args.files);
    let Checked { outcome, assembly } = check(config.layers())?;
    let report = outcome.report;
    let failed = report.errors() > 0 || (args.deny_warnings && report.warnings() > 0);
    let probes = match &assembly {
        Some(assembly) if args.probe && !failed => probe(assembly).await,
        _ => Vec::new(),
    };
    show(&report, &probes, args.format);
    let unreachable = probes.iter().any(|(_, result)| result.is_err());
    Ok(match (failed, unreachable) {
        (true, _) => ExitCode::from(EXIT_USAGE),
        (false, true) => ExitCode::from(EXIT_PROBE),
        (false, false) => ExitCode::SUCCESS,
    })
}

type Probe = (Spec, Result<(), PluginError>);

async fn probe(assembly: &Assembly) -> Vec<Probe> {
    let Assembly { transport, ingests, admission, telemetry, archives, compliance, .. } = assembly;
    let mut probes = vec![one(&transport.spec, &*transport.it).await];
    for Instance { spec, it, .. } in ingests {
        probes.push(one(spec, &**it).await);
    }
    if let Some(Instance { spec, it, .. }) = admission {
        probes.push(one(spec, &**it).await);
    }
    for Instance { spec, it, .. } in telemetry {
        probes.push(one(spec, &**it).await);
    }
    for Instance { spec, it, .. } in archives {
        probes.push(one(spec, &**it).await);
    }
    for Instance { spec, it, .. } in compliance {
        probes.push(one(spec, &**it).await);
    }
    probes
}

async fn one<T: Lifecycle + ?Sized>(spec: &Spec, it: &T) -> Probe {
    let late = |_| Err(PluginError::unavailable(format!("gave no answer within {} s", PROBE_MAX.as_secs())));
    (spec.clone(), tokio::time::timeout(PROBE_MAX, it.probe()).await.unwrap_or_else(late))
}

fn show(report: &Report, probes: &[Probe], format: Format) {
    match format {
        Format::Human => {
            eprint!("{}", report.human());
            probes.iter().for_each(|(spec, result)| eprintln!("{}", line(spec, result)));
            eprintln!("{}", summary(report));
        }
        Format::Json => {
            let mut document = report.json();
            document["probes"] = probes.iter().map(object).collect();
            banner::line(&format!("{document:#}"));
        }
        Format::Github => {
            let failed = probes.iter().filter(|(_, result)| result.is_err());
            let failed = failed.map(|(spec, result)| format!("::error title=probe::{}\n", line(spec, result)));
            let commands = report.github() + &failed.collect::<String>();
            commands.lines().for_each(banner::line);
        }
    }
}

fn line(spec: &Spec, result: &Result<(), PluginError>) -> String {
    let said = result.as_ref().err().map_or_else(|| "ready".to_owned(), PluginError::to_string);
    format!("probe: {spec:?}: {said}").replace('\n', " ")
}

fn object((spec, result): &Probe) -> serde_json::Value {
    serde_json::json!({
        "kind": spec.kind.word(),
        "instance": spec.instance,
        "plugin": spec.plugin,
        "ready": result.is_ok(),
        "class": result.as_ref().err().map(|error| error.class.word()),
        "message": result.as_ref().err().map(PluginError::to_string),
    })
}

/// Such as `2 errors, 1 warning`, or that all is fine.
pub fn summary(report: &Report) -> String {
    let count = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        more => Some(format!("{more} {what}s")),
    };
    let parts: Vec<_> =
        [count(report.errors(), "error"), count(report.warnings(), "warning")].into_iter().flatten().collect();
    if parts.is_empty() { "the config is fine".to_owned() } else { parts.join(", ") }
}
