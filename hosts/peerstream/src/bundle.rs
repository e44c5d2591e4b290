//! What is linked into this binary. The only place that names strategies and modules.

use std::io::IsTerminal as _;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use peerstream::SharedTransport;
use peerstream::overlay::TreeStrategy;
use peerstream::traits::ingest::Ingest;
use peerstream_dumbbell::{Dumbbell, Roots};
use peerstream_ingest_pipe::{FFMPEG_COMMAND, InputKind, Pipe};
use peerstream_transport_webrtc::WebRtc;
pub use peerstream_transport_webrtc::stun::Server as StunServer;
use serde::Deserialize;

use crate::cli::{KindArg, ServeArgs};
use crate::config::Config;

/// The strategy that a config names.
pub fn strategy(config: &Config) -> Result<Box<dyn TreeStrategy + Send>> {
    type Make = fn(&Config) -> Result<Box<dyn TreeStrategy + Send>>;
    let known: &[(&str, Make)] = &[("dumbbell", |config| {
        let options: DumbbellOptions = config.strategy.options("strategy", &config.origin)?;
        let options = options.try_into().with_context(|| config.strategy.place("strategy", &config.origin))?;
        Ok(Box::new(Dumbbell::new(options)))
    })];
    config.strategy.choose("strategy", &config.origin, known)?(config)
}

/// `[strategy.config]` of the dumbbell.
#[derive(Debug, Deserialize)]
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
