//! `plugins`: what can be used and how, and what authors need.

mod begin;
mod pin;
mod rules;

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::{Subcommand, ValueEnum};
use peerstream_registry::{Entry, Registry, describe, did_you_mean};
use peerstream_sdk::traits::Kind;

use crate::failure::Failure;
use crate::{banner, bundle};

/// What to do with plug-ins.
#[derive(Debug, Subcommand)]
pub enum PluginsCommand {
    /// Show the plug-ins of this program
    List {
        /// Only those of a kind
        #[arg(long, value_name = "KIND")]
        kind: Option<KindName>,
        /// As a JSON document
        #[arg(long)]
        json: bool,
    },
    /// Write the crate of a new plug-in, which builds and passes its tests at once
    New(begin::NewArgs),
    /// Check the plug-ins of a library by the rules of their kinds
    Test(rules::TestArgs),
    /// Show the lines of a config that load this library and no other
    Pin(pin::PinArgs),
    /// Sign a library, for those who trust the key rather than pin each file
    Sign(pin::SignArgs),
    /// Show what a plug-in can be told
    Describe {
        /// Such as `strategy/dumbbell`
        #[arg(value_name = "KIND/NAME")]
        plugin: String,
    },
}

/// A kind of plug-in on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindName(pub Kind);

impl ValueEnum for KindName {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [KindName; 8] = {
            let mut all = [KindName(Kind::Strategy); 8];
            let mut at = 0;
            while at < all.len() {
                all[at] = KindName(Kind::ALL[at]);
                at += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.word()))
    }
}

/// `peerstream plugins`
pub fn run(command: PluginsCommand) -> Result<ExitCode, Failure> {
    let registry = bundle::registry().map_err(anyhow::Error::from)?;
    match command {
        PluginsCommand::List { kind, json } => list(&registry, kind.map(|kind| kind.0), json),
        PluginsCommand::Describe { plugin } => {
            banner::line(describe(find(&registry, &plugin).map_err(Failure::Usage)?).trim_end());
        }
        PluginsCommand::New(args) => begin::run(&args).map_err(Failure::Usage)?,
        PluginsCommand::Test(args) => return rules::run(&args),
        PluginsCommand::Pin(args) => pin::pin(&args)?,
        PluginsCommand::Sign(args) => pin::sign(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(registry: &Registry, kind: Option<Kind>, json: bool) {
    let entries: Vec<_> = registry.entries().filter(|entry| kind.is_none_or(|kind| entry.kind == kind)).collect();
    if json {
        let document: serde_json::Value = entries.iter().map(|entry| entry.to_json()).collect();
        return banner::line(&format!("{document:#}"));
    }
    for entry in entries {
        let (id, stability, origin) = (entry.id(), entry.stability.word(), entry.origin.to_string());
        banner::line(&format!("{id:<24}{stability:<14}{origin:<44}{}", entry.summary));
    }
}

fn find<'a>(registry: &'a Registry, id: &str) -> anyhow::Result<&'a Entry> {
    let (kind, name) =
        id.split_once('/').with_context(|| format!("`{id}`: expected KIND/NAME, such as strategy/dumbbell"))?;
    let Some(kind) = Kind::from_word(kind) else {
        let kinds = Kind::ALL.map(Kind::word);
        return Err(anyhow!("no kind `{kind}`; {} known: {}", did_you_mean(kind, kinds), kinds.join(", ")));
    };
    let missing = || anyhow!("no {kind} plug-in named `{name}`; {}", registry.alternatives(kind, name));
    registry.find(kind, name).ok_or_else(missing)
}
