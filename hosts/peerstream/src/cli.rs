//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use peerstream::protocol::crypto::PublicKey;

use crate::archive::ArchiveCommand;
use crate::check::CheckArgs;
use crate::inspect::ConfigCommand;
use crate::lab::LabCommand;
use crate::plugins::PluginsCommand;
use crate::setup::ConfigArgs;

/// Live streams that their viewers relay to each other.
#[derive(Debug, Parser)]
#[command(name = "peerstream", version, about, arg_required_else_help = true)]
pub struct Cli {
    /// What is logged to standard error, such as `debug` or `peerstream=debug,warn`
    #[arg(long, global = true, env = "RUST_LOG", value_name = "FILTER", default_value = "warn,peerstream=info")]
    pub log: String,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Broadcast a built-in clip in a loop, to try things out
    Demo(DemoArgs),
    /// Broadcast what comes in on standard input or from a file
    Serve(ServeArgs),
    /// Take part in a stream and write it to standard output or a file
    Watch(WatchArgs),
    /// Take part in a stream only to relay it to others
    Relay(RelayArgs),
    /// Tell why a node is where it is, and what has happened to it lately
    Why(WhyArgs),
    /// The dashboard in the terminal: viewers, lag, what happens
    Top(TopArgs),
    /// Check a config without a start, and tell all that is wrong with it
    Check(CheckArgs),
    /// Make, show and describe configs
    Config {
        /// What to do with configs
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// List, export and verify recordings
    Archive {
        /// What to do with recordings
        #[command(subcommand)]
        command: ArchiveCommand,
    },
    /// Show plug-ins, write new ones, try and pin libraries of them
    #[command(alias = "plugin")]
    Plugins {
        /// What to do with plug-ins
        #[command(subcommand)]
        command: PluginsCommand,
    },
    /// Loads a library to see whether it can be loaded: called by the program itself
    #[command(name = peerstream_loader::probe::COMMAND, hide = true)]
    Probe {
        /// What it is called in messages
        name: String,
        /// The file
        file: PathBuf,
    },
    /// Create a publisher's key
    Keygen {
        /// Where to write it [default: where `serve` looks for it]
        file: Option<PathBuf>,
    },
    /// Simulate broadcasts and compare strategies
    Lab {
        /// What to do in the lab
        #[command(subcommand)]
        command: LabCommand,
    },
}

/// Where to listen, and the config.
#[derive(Args, Debug, Default)]
pub struct HostArgs {
    /// Address and port for viewers [default: 0.0.0.0:8080]
    #[arg(long, value_name = "ADDR", value_parser = listen)]
    pub listen: Option<SocketAddr>,
    /// The publisher's key file, created on first use
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Record to this file, which can be played at any moment; a number is added when there is one already
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Options of `demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    #[command(flatten)]
    pub host: HostArgs,
}

/// Options of `serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    #[command(flatten)]
    pub host: HostArgs,
    /// `-` for standard input, or a file [default: -]
    #[arg(long, value_name = "FILE")]
    pub input: Option<String>,
    /// Start the file again when it ends
    #[arg(long = "loop")]
    pub looped: bool,
    /// What the input is [default: media]
    #[arg(long)]
    pub kind: Option<KindArg>,
    /// Seconds to go on serving after the input has ended [default: 60]
    #[arg(long, value_name = "SECONDS")]
    pub linger: Option<u64>,
}

/// What an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KindArg {
    /// Fragmented MP4
    Media,
    /// Any bytes
    Data,
}

/// Which stream to take part in.
#[derive(Args, Debug)]
pub struct StreamArgs {
    /// The stream's page, such as http://example.org:8080/ or, with the publisher's key pinned, http://example.org:8080/#KEY
    pub url: String,
    /// The publisher's key, 64 hexadecimal digits
    #[arg(long, value_name = "KEY", value_parser = publisher)]
    pub publisher: Option<PublicKey>,
    /// What the host wants to see before it lets anybody in
    #[arg(long, value_name = "TOKEN", env = "PEERSTREAM_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

/// Options of `watch`.
#[derive(Args, Debug)]
pub struct WatchArgs {
    #[command(flatten)]
    pub stream: StreamArgs,
    /// `-` for standard output, or a file [default: -, or nothing with --record]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<String>,
    /// Record to this file, which can be played at any moment; a number is added when there is one already
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// What to do about bytes of a data stream that are lost for good
    #[arg(long, default_value = "fail")]
    pub gaps: Gaps,
    /// Do not relay to others
    #[arg(long)]
    pub no_relay: bool,
}

/// What to do about bytes of a data stream that are lost for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Gaps {
    /// Stop with exit code 3
    Fail,
    /// Say so and go on
    Skip,
}

/// Options of `relay`.
#[derive(Args, Debug)]
pub struct RelayArgs {
    #[command(flatten)]
    pub stream: StreamArgs,
    /// How many others to feed at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub capacity: u8,
}

/// Options of `why`.
#[derive(Args, Debug)]
pub struct WhyArgs {
    /// The node's name, such as n5
    pub node: String,
    /// The stream's page
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/")]
    pub url: String,
    /// The dashboard's password or a token of it; on the host's own machine none is needed
    #[arg(long, value_name = "TOKEN", env = "PEERSTREAM_DASHBOARD_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

/// Options of `top`.
#[derive(Args, Debug)]
pub struct TopArgs {
    /// The stream's page
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/")]
    pub url: String,
    /// The dashboard's password or a token of it; on the host's own machine none is needed
    #[arg(long, value_name = "TOKEN", env = "PEERSTREAM_DASHBOARD_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an address and a port, such as 0.0.0.0:8080 or [::]:8080".to_owned())
}

/// Reads a publisher's key.
pub fn publisher(text: &str) -> Result<PublicKey, String> {
    PublicKey::from_hex(text).ok_or_else(|| format!("expected 64 hexadecimal digits, found {} characters", text.len()))
}
