//! `config`: the schema, a file to begin with, and what all layers come to.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use peerstream_registry::{Registry, document, starter};
use peerstream_sdk::traits::Kind;

use crate::failure::Failure;
use crate::setup::{Checked, ConfigArgs, check};
use crate::{banner, bundle, config};

/// What to do with configs.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Write one JSON Schema for config files, for editors
    Schema,
    /// Write a config file to begin with: every option with its default
    Init(InitArgs),
    /// Show what files, environment and flags come to; secrets stay hidden
    Show(ShowArgs),
}

/// Plug-ins to use instead of the default ones.
#[derive(Args, Debug)]
pub struct InitArgs {
    /// The strategy
    #[arg(long, value_name = "NAME")]
    pub strategy: Option<String>,
    /// The ladder policy
    #[arg(long, value_name = "NAME")]
    pub ladder: Option<String>,
    /// The admission policy
    #[arg(long, value_name = "NAME")]
    pub admission: Option<String>,
    /// An ingest; give several
    #[arg(long, value_name = "NAME")]
    pub ingest: Vec<String>,
    /// A telemetry sink; give several
    #[arg(long, value_name = "NAME")]
    pub telemetry: Vec<String>,
    /// An archive; give several
    #[arg(long, value_name = "NAME")]
    pub archive: Vec<String>,
    /// A compliance handler; give several
    #[arg(long, value_name = "NAME")]
    pub compliance: Vec<String>,
}

/// Options of `config show`.
#[derive(Args, Debug)]
pub struct ShowArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// With the defaults of all that is not set
    #[arg(long)]
    pub effective: bool,
    /// With where each value was set
    #[arg(long)]
    pub origins: bool,
}

/// `peerstream config`
pub fn run(command: ConfigCommand) -> Result<ExitCode, Failure> {
    match command {
        ConfigCommand::Schema => banner::line(&format!("{:#}", document(&registry()?, &config::layout()))),
        ConfigCommand::Init(args) => banner::line(init(&registry()?, args)?.trim_end()),
        ConfigCommand::Show(args) => show(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn registry() -> Result<Registry, Failure> {
    Ok(bundle::registry().map_err(anyhow::Error::from)?)
}

fn init(registry: &Registry, args: InitArgs) -> Result<String, Failure> {
    let InitArgs { strategy, ladder, admission, ingest, telemetry, archive, compliance } = args;
    let single = [(Kind::Strategy, strategy), (Kind::Ladder, ladder), (Kind::Admission, admission)];
    let single = single.into_iter().filter_map(|(kind, name)| Some((kind, name?)));
    let many = [
        (Kind::Ingest, ingest),
        (Kind::Telemetry, telemetry),
        (Kind::Archive, archive),
        (Kind::Compliance, compliance),
    ];
    let many = many.into_iter().flat_map(|(kind, names)| names.into_iter().map(move |name| (kind, name)));
    let chosen: Vec<_> = single.chain(many).collect();
    for (kind, name) in &chosen {
        if registry.find(*kind, name).is_none() {
            let alternatives = registry.alternatives(*kind, name);
            return Err(Failure::Usage(anyhow!("no {kind} plug-in named `{name}`; {alternatives}")));
        }
    }
    Ok(format!("{HEAD}\n{}", starter(registry, &config::layout(), &chosen)))
}

const HEAD: &str = "\
# A config of PeerStream that shows every option with its default; remove the `#` before those you change.
# Use it with `peerstream serve --config FILE`, check it with `peerstream check FILE`. Environment variables
# (PEERSTREAM_SERVE__LISTEN) override files, `--set serve.listen=...` overrides both, other flags override all.
";

fn show(args: &ShowArgs) -> Result<(), Failure> {
    let Checked { outcome, .. } = check(args.config.layers())?;
    let config = outcome.into_result().map_err(Failure::Config)?;
    banner::line(config.show(args.effective, args.origins).trim_end());
    Ok(())
}

#[cfg(test)]
mod tests {
    use peerstream_registry::{Draft, Layers};

    use super::*;

    const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peerstream.example.toml");

    fn generated() -> String {
        let none = InitArgs {
            strategy: None,
            ladder: None,
            admission: None,
            ingest: Vec::new(),
            telemetry: Vec::new(),
            archive: Vec::new(),
            compliance: Vec::new(),
        };
        init(&bundle::registry().unwrap(), none).unwrap()
    }

    fn shown(text: &str) -> String {
        let mut layers = Layers::new();
        layers.text("x.toml", text);
        let outcome = Draft::new(layers).check(&bundle::registry().unwrap(), &config::layout());
        assert_eq!(outcome.report.human(), "");
        outcome.config.show(true, false)
    }

    #[test]
    fn the_example_is_what_init_writes() {
        let expected = generated();
        if std::env::var_os("PEERSTREAM_BLESS").is_some() {
            std::fs::write(EXAMPLE, &expected).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(EXAMPLE).unwrap(),
            expected,
            "run this test with PEERSTREAM_BLESS=1 to write the example anew"
        );
    }

    #[test]
    fn the_example_is_valid_and_shows_the_defaults() {
        let all = std::fs::read_to_string(EXAMPLE).unwrap();
        let hidden = ["# not set", "NAME", "\"...\""];
        let lines = all.lines().filter(|line| line.starts_with("#[") || !hidden.iter().any(|word| line.contains(word)));
        // Sections of kinds of which none is used stay comments, with all that is below them.
        let mut open = true;
        let active: String = lines
            .map(|line| {
                open = if line.starts_with("#[") { false } else { open || line.starts_with('[') };
                let option = line.strip_prefix('#').filter(|rest| open && !rest.starts_with([' ', '[']));
                format!("{}\n", option.unwrap_or(line))
            })
            .collect();
        assert_eq!(shown(&active), shown(""));
    }
}
