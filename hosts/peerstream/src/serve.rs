//! `serve` and `demo`: a broadcast with its web server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use peerstream::broadcast::{self, Broadcast, State};
use peerstream::key::Publisher;
use peerstream::traits::ingest::{BoxedIngest, Instruction};
use peerstream_registry::Layers;
use serde_json::json;
use tokio::sync::watch;
use tracing::info;

use crate::assembly::{Assembly, Instance};
use crate::cli::{DemoArgs, HostArgs, KindArg, ServeArgs};
use crate::config::{Fallback, Ice, Limits, Serve, Source};
use crate::failure::Failure;
use crate::reload::{MakeLayers, Reload};
use crate::server::{self, Shared};
use crate::setup::Setup;
use crate::stun::Stun;
use crate::{banner, equip, metrics, paths, signals};

/// After this long without input the streamer is told that it is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// `peerstream serve`
pub async fn run(args: ServeArgs) -> Result<ExitCode, Failure> {
    let layers = move || {
        let mut layers = layers(&args.host);
        if let Some(seconds) = args.linger {
            layers.flag("--linger", &["serve", "linger_s"], seconds);
        }
        inputs(&args, &mut layers);
        layers
    };
    let setup = Setup::of(layers())?;
    let key = setup.config.section::<Serve>("serve").key.map_or_else(paths::default_key, Ok)?;
    let publisher = Publisher::open(&key).map_err(anyhow::Error::from)?;
    info!(key = %key.display(), "publisher's key");
    broadcast(setup, Box::new(layers), publisher).await
}

/// `peerstream demo`: the built-in clip whatever a config says, and a throw-away key unless one is named.
pub async fn demo(args: DemoArgs) -> Result<ExitCode, Failure> {
    let layers = move || {
        let mut layers = layers(&args.host);
        layers.replace("peerstream demo", "ingest", json!({ "clip": { "use": "clip" } }));
        layers
    };
    let setup = Setup::of(layers())?;
    let publisher = match setup.config.section::<Serve>("serve").key {
        Some(key) => Publisher::open(&key).map_err(anyhow::Error::from)?,
        None => Publisher::ephemeral(),
    };
    broadcast(setup, Box::new(layers), publisher).await
}

fn layers(args: &HostArgs) -> Layers {
    let mut layers = args.config.layers();
    if let Some(listen) = args.listen {
        layers.flag("--listen", &["serve", "listen"], listen.to_string());
    }
    if let Some(key) = &args.key {
        layers.flag("--key", &["serve", "key"], key.to_string_lossy());
    }
    layers
}

/// The inputs: what the flags say besides what the config says; a pipe when nothing is said.
fn inputs(args: &ServeArgs, layers: &mut Layers) {
    layers.otherwise("peerstream serve", "ingest", json!({ "pipe": { "use": "pipe" } }));
    if let Some(input) = &args.input {
        layers.flag("--input", &["ingest", "pipe", "use"], "pipe");
        layers.flag("--input", &["ingest", "pipe", "config", "input"], input.as_str());
    }
    if let Some(kind) = args.kind {
        let kind = match kind {
            KindArg::Media => "media",
            KindArg::Data => "data",
        };
        layers.flag("--kind", &["ingest", "pipe", "config", "kind"], kind);
    }
    if args.looped {
        layers.flag("--loop", &["ingest", "pipe", "config", "loop"], true);
    }
}

async fn broadcast(setup: Setup, layers: MakeLayers, publisher: Publisher) -> Result<ExitCode, Failure> {
    let Setup { config, assembly } = setup;
    let (serve, limits) = (config.section::<Serve>("serve"), config.section::<Limits>("limits"));
    let instructions = ready(&assembly.ingests).await?;
    let plugins = equip::plugins(&assembly, &publisher)?;
    let plugins = Arc::new(plugins.start().await.map_err(anyhow::Error::from)?);
    let Assembly { strategy, fallback, ladder, transport, ingests, .. } = assembly;
    let deciders = broadcast::Deciders {
        name: strategy.spec.plugin,
        strategy: strategy.it,
        fallback: fallback.map(|fallback| (fallback.spec.plugin, fallback.it)),
        ladder: ladder.map(|ladder| ladder.it),
    };
    let listener = server::bind(serve.listen).await?;
    let listen = listener.local_addr().context("the port has no address")?;
    let stun = Stun::start(&config.section("stun")).await?;
    let ice = stun.iter().map(Stun::url).chain(config.section::<Ice>("ice").servers).collect();
    let mut bounds = limits.coordinator();
    bounds.source_bits_per_second = u64::from(config.section::<Source>("source").budget_mbps) * 1_000_000;
    let term = publisher.begin_term();
    let counters = Arc::new(metrics::Counters::new(config.section::<Fallback>("fallback").budget()));
    let counted = counters.clone();
    let extras = broadcast::Extras {
        plugins: Some(plugins.clone()),
        title: serve.title.clone(),
        more_figures: Some(Arc::new(move || counted.figures())),
    };
    let broadcast = broadcast::Config {
        publisher,
        ingests: ingests.into_iter().map(|ingest| (ingest.spec.instance, ingest.it)).collect(),
        term,
        deciders,
        transport: transport.it,
        ice,
        limits: bounds,
    };
    let broadcast = Broadcast::start_with(broadcast, extras);
    let shared = Arc::new(Shared::new(broadcast, serve.title, limits.connections_per_address, counters));
    let reload = Reload::new(layers, config, plugins.clone());
    banner::show(listen, shared.broadcast.publisher(), &instructions);
    let linger = Duration::from_secs(serve.linger_s);
    let result = tokio::select! {
        result = server::serve(listener, shared.clone(), &limits) => result,
        result = ended(shared.broadcast.state(), listen, linger) => result,
        () = signals::stop() => Ok(()),
        never = reread(&reload, &shared) => match never {},
    };
    shared.broadcast.stop().await;
    plugins.stop().await;
    result?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the config again whenever that is wished.
async fn reread(reload: &Reload, shared: &Shared) -> Infallible {
    let mut wishes = signals::Reread::new();
    loop {
        wishes.next().await;
        reload.again(&shared.broadcast).await;
    }
}

/// An input that is not there is told before anything is opened. Gives what streamers are to type.
async fn ready(ingests: &[Instance<BoxedIngest>]) -> Result<Vec<Instruction>, Failure> {
    let mut instructions = Vec::new();
    for Instance { spec, it, .. } in ingests {
        let input = &spec.instance;
        it.probe().await.map_err(|error| anyhow!("input {input}: {error}"))?;
        it.start().await.map_err(|error| Failure::Usage(anyhow!("input {input}: {error}")))?;
        instructions.extend(it.instructions());
    }
    Ok(instructions)
}

/// Waits until the input has ended and the time for late viewers is over.
async fn ended(mut state: watch::Receiver<State>, listen: SocketAddr, linger: Duration) -> Result<()> {
    let began = tokio::time::timeout(PATIENCE, state.wait_for(|state| *state != State::Waiting)).await.is_ok();
    if !began {
        info!("no input yet; viewers see that the stream has not begun");
    }
    let mut live = false;
    loop {
        let now = state.borrow_and_update().clone();
        match now {
            State::Waiting | State::Away => {}
            State::Live => live = true,
            State::Ended => {
                info!(%listen, seconds = linger.as_secs(), "input ended; serving on for late viewers, stop with Ctrl-C");
                tokio::time::sleep(linger).await;
                return Ok(());
            }
            State::Failed(problem) if live => {
                tracing::error!(problem, "input failed; serving on for late viewers");
                tokio::time::sleep(linger).await;
                return Err(anyhow!("input failed: {problem}"));
            }
            State::TakenDown(why) => {
                tracing::error!(why, "the stream was taken down");
                return Ok(());
            }
            State::Failed(problem) => return Err(anyhow!("input failed: {problem}")),
        }
        if state.changed().await.is_err() {
            return Ok(());
        }
    }
}
