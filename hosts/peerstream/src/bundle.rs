//! What is linked into this binary. The only place that names strategies and modules.

use std::io::IsTerminal as _;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use peerstream::SharedTransport;
use peerstream::overlay::TreeStrategy;
use peerstream::traits::ingest::Ingest;
use peerstream_dumbbell::{Dumbbell, Roots};
use peerstream_ingest_pipe::{FFMPEG_COMMAND, InputKind, Pipe};
use peerstream_proximity::Proximity;
use peerstream_transport_webrtc::WebRtc;
pub use peerstream_transport_webrtc::stun::Server as StunServer;
use serde::Deserialize;

use crate::cli::{KindArg, ServeArgs};
use crate::config::Config;

/// Makes strategies, each for an empty overlay; the lab makes one per coordinator.
pub type MakeStrategy = Box<dyn Fn() -> Box<dyn TreeStrategy + Send> + Send + Sync>;

type StrategyFromOptions = fn(toml::Table) -> Result<MakeStrategy>;

const STRATEGIES: &[(&str, StrategyFromOptions)] = &[
    ("dumbbell", |options| {
        let options = dumbbell_options(options)?;
        Ok(Box::new(move || Box::new(Dumbbell::new(options))))
    }),
    ("proximity", |options| {
        let options = dumbbell_options(options)?;
        Ok(Box::new(move || Box::new(Proximity::new(options))))
    }),
];

fn dumbbell_options(options: toml::Table) -> Result<peerstream_dumbbell::Config> {
    let options: Result<DumbbellOptions, toml::de::Error> = options.try_into();
    options.map_err(|error| anyhow!("{}", error.message()))?.try_into()
}

/// The strategy that a config names.
pub fn strategy(config: &Config) -> Result<Box<dyn TreeStrategy + Send>> {
    let from_options = config.strategy.choose("strategy", &config.origin, STRATEGIES)?;
    let make =
        from_options(config.strategy.table()).with_context(|| config.strategy.place("strategy", &config.origin))?;
    Ok(make())
}

/// The strategy that a flag names, with options if need be, such as `dumbbell` or `dumbbell:standby=false`.
pub fn strategy_from_flag(flag: &str) -> Result<MakeStrategy> {
    let (name, options) = flag.split_once(':').unwrap_or((flag, ""));
    let Some((_, from_options)) = STRATEGIES.iter().find(|(known, _)| *known == name) else {
        let names: Vec<_> = STRATEGIES.iter().map(|(name, _)| format!("`{name}`")).collect();
        bail!("--strategy `{flag}`: `{name}` is not known, expected {}", names.join(" or "));
    };
    let table = options.replace(',', "\n").parse::<toml::Table>();
    let table = table.map_err(|_| anyhow!("--strategy `{flag}`: expected NAME or NAME:OPTION=VALUE,OPTION=VALUE"))?;
    from_options(table).with_context(|| format!("--strategy `{flag}`"))
}

/// `[strategy.config]` of the dumbbell and of proximity.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DumbbellOptions {
    /// Nodes the source feeds: 1, or 2 and more as far as its room goes.
    roots: u8,
    standby: bool,
    compaction_moves_min: u32,
}

impl Default for DumbbellOptions {
    fn default() -> Self {
        let peerstream_dumbbell::Config { standby, compaction_moves_min, .. } = peerstream_dumbbell::Config::default();
        Self { roots: 2, standby, compaction_moves_min }
    }
}

impl TryFrom<DumbbellOptions> for peerstream_dumbbell::Config {
    type Error = anyhow::Error;

    fn try_from(DumbbellOptions { roots, standby, compaction_moves_min }: DumbbellOptions) -> Result<Self> {
        let roots = match roots {
            1 => Roots::One,
            2 => Roots::Two,
            other => bail!("roots is {other}, expected 1 or 2"),
        };
        Ok(Self { roots, standby, compaction_moves_min })
    }
}

/// The transport that a config names.
pub fn transport(config: &Config) -> Result<SharedTransport> {
    type Make = fn(&Config) -> Result<SharedTransport>;
    let known: &[(&str, Make)] = &[("webrtc", |config| {
        let options = config.transport.options("transport", &config.origin)?;
        Ok(Arc::new(WebRtc::new(options).with_context(|| config.transport.place("transport", &config.origin))?))
    })];
    config.transport.choose("transport", &config.origin, known)?(config)
}

/// The ingest that a config names, with the flags on top.
pub fn ingest(config: &Config, args: &ServeArgs) -> Result<Box<dyn Ingest>> {
    type Make = fn(&Config, &ServeArgs) -> Result<Box<dyn Ingest>>;
    let known: &[(&str, Make)] = &[("pipe", pipe)];
    config.ingest.choose("ingest", &config.origin, known)?(config, args)
}

fn pipe(config: &Config, args: &ServeArgs) -> Result<Box<dyn Ingest>> {
    let mut options: peerstream_ingest_pipe::Config = config.ingest.options("ingest", &config.origin)?;
    if let Some(input) = &args.input {
        options.input.clone_from(input);
    }
    if let Some(kind) = args.kind {
        options.kind = match kind {
            KindArg::Media => InputKind::Media,
            KindArg::Data => InputKind::Data,
        };
    }
    options.looped |= args.looped;
    if options.input == "-" && std::io::stdin().is_terminal() {
        bail!("nothing is piped in; try: {FFMPEG_COMMAND}, or name a file with --input");
    }
    Ok(Box::new(Pipe::new(options).context("input")?))
}

/// A clip in memory as a live input.
pub fn clip(bytes: &'static [u8]) -> Box<dyn Ingest> {
    Box::new(Pipe::from_bytes(bytes, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_names_a_strategy_with_its_options() {
        assert!(strategy_from_flag("dumbbell").is_ok());
        assert!(strategy_from_flag("dumbbell:standby=false,roots=1").is_ok());
        for (flag, word) in [
            ("mesh", "`dumbbell`"),
            ("dumbbell:standbye=false", "`standby`"),
            ("dumbbell:standby=2", "boolean"),
            ("dumbbell:roots=3", "expected 1 or 2"),
            ("dumbbell:standby", "OPTION=VALUE"),
        ] {
            let error = strategy_from_flag(flag).err().expect("refused");
            let error = format!("{error:#}");
            assert!(error.contains(flag) && error.contains(word), "{error}");
        }
    }
}
