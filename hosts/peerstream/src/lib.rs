//! The peerstream command as a library, for hosts of one's own.
//!
//! A host with other plug-ins is a crate that depends on this one and on theirs, names them in its code, and calls [`run`]:
//!
//! ```no_run
//! // use my_strategy as _;
//!
//! fn main() -> std::process::ExitCode {
//!     peerstream_host::run(std::env::args_os())
//! }
//! ```

mod admission;
mod allowance;
mod api;
mod archive;
mod assembly;
mod assets;
mod banner;
mod bundle;
mod check;
mod cli;
mod clip;
mod comparison;
mod config;
mod control;
mod dashboard;
mod egress;
mod entrance;
mod equip;
mod excerpt;
mod failure;
mod fallback;
mod front;
mod health;
mod inputs;
mod inspect;
mod lab;
mod libraries;
mod locate;
mod metrics;
mod paths;
mod player;
mod plugins;
mod porter;
mod range;
mod recording;
mod recordings;
mod relay;
mod reload;
mod segments;
mod serve;
mod server;
mod setup;
#[cfg(test)]
mod shelved;
mod signals;
mod stun;
mod takedown;
mod top;
mod watch;
mod why;
#[cfg(test)]
mod world;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

/// Does what a command line says, the program's name first; the command's whole life.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = Cli::parse_from(arguments);
    let result = start_log(&cli.log).and_then(|()| carry_out(cli.command));
    result.unwrap_or_else(|failure| failure.report())
}

fn start_log(filter: &str) -> Result<(), Failure> {
    let filter = filter.parse::<Targets>().with_context(|| format!("--log `{filter}` is not a filter"));
    let filter = filter.map_err(Failure::Usage)?;
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours).with_target(false);
    tracing_subscriber::registry().with(filter).with(log).init();
    Ok(())
}

fn carry_out(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Probe { name, file } => Ok(peerstream_loader::probe::main(&name, &file)),
        Command::Compare { ffmpeg, source, excerpt } => Ok(bundle::compare(&ffmpeg, &source, &excerpt)),
        Command::Keygen { file } => keygen(file),
        Command::Lab { command } => lab::run(command),
        Command::Config { command } => inspect::run(command),
        Command::Plugins { command } => plugins::run(command),
        Command::Takedown { command } => takedown::run(command),
        command => run_async(command),
    }
}

fn run_async(command: Command) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no threads to run in")?;
    let result = runtime.block_on(async {
        match command {
            Command::Demo(args) => serve::demo(args).await,
            Command::Serve(args) => serve::run(args).await,
            Command::Watch(args) => watch::run(args).await,
            Command::Relay(args) => relay::run(args).await,
            Command::Why(args) => why::run(args).await,
            Command::Top(args) => top::run(args).await,
            Command::Check(args) => check::run(args).await,
            Command::Archive { command } => archive::run(command).await,
            Command::Compare { .. }
            | Command::Keygen { .. }
            | Command::Lab { .. }
            | Command::Config { .. }
            | Command::Plugins { .. }
            | Command::Takedown { .. }
            | Command::Probe { .. } => {
                unreachable!("need no runtime")
            }
        }
    });
    // A thread may still wait for standard input, or for a paused reader of standard output.
    runtime.shutdown_background();
    result
}

fn keygen(file: Option<PathBuf>) -> Result<ExitCode, Failure> {
    let path = file.map_or_else(paths::default_key, Ok)?;
    let public = peerstream::key::create(&path).map_err(anyhow::Error::from)?;
    eprintln!("key written to {}; keep it secret and keep a copy", path.display());
    banner::line(&public.to_string());
    Ok(ExitCode::SUCCESS)
}
