//! `serve` and `demo`: a broadcast with its web server.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use peerstream::broadcast::{self, Broadcast, State};
use peerstream::key::Publisher;
use peerstream::plugins::Plugins;
use peerstream::traits::ingest::Ingest;
use tokio::sync::watch;
use tracing::info;

use crate::cli::{DemoArgs, HostArgs, ServeArgs};
use crate::config::Config;
use crate::failure::Failure;
use crate::server::{self, Shared};
use crate::stun::Stun;
use crate::{assets, banner, bundle, metrics, paths, signals};

/// After this long without input the streamer is told that it is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// `peerstream serve`
pub async fn run(args: ServeArgs) -> Result<ExitCode, Failure> {
    let mut config = configure(&args.host).map_err(Failure::Usage)?;
    config.serve.linger_s = args.linger.unwrap_or(config.serve.linger_s);
    let ingest = bundle::ingest(&config, &args).map_err(Failure::Usage)?;
    let key = config.serve.key.clone().map_or_else(paths::default_key, Ok)?;
    let publisher = Publisher::open(&key).map_err(anyhow::Error::from)?;
    info!(key = %key.display(), "publisher's key");
    broadcast(&config, publisher, ingest).await
}

/// `peerstream demo`: a throw-away key unless one is named.
pub async fn demo(args: DemoArgs) -> Result<ExitCode, Failure> {
    let config = configure(&args.host).map_err(Failure::Usage)?;
    let clip = assets::demo_clip()
        .ok_or_else(|| anyhow!("this peerstream was built without the demo clip (hosts/peerstream/assets/demo.mp4)"))?;
    let publisher = match &config.serve.key {
        Some(key) => Publisher::open(key).map_err(anyhow::Error::from)?,
        None => Publisher::ephemeral(),
    };
    broadcast(&config, publisher, bundle::clip(clip)).await
}

fn configure(args: &HostArgs) -> Result<Config> {
    let mut config = Config::load(args.config.as_deref())?;
    if let Some(listen) = args.listen {
        config.serve.listen = listen;
    }
    if let Some(key) = &args.key {
        config.serve.key = Some(key.clone());
    }
    Ok(config)
}

async fn broadcast(config: &Config, publisher: Publisher, ingest: Box<dyn Ingest>) -> Result<ExitCode, Failure> {
    let strategy = bundle::strategy(config).map_err(Failure::Usage)?;
    let deciders = broadcast::Deciders { name: "dumbbell".to_owned(), strategy, fallback: None, ladder: None };
    let transport = bundle::transport(config).map_err(Failure::Usage)?;
    let listener = server::bind(config.serve.listen).await?;
    let listen = listener.local_addr().context("the port has no address")?;
    let stun = Stun::start(&config.stun).await?;
    let ice = stun.iter().map(Stun::url).chain(config.ice.servers.iter().cloned()).collect();
    let mut limits = config.limits.coordinator();
    limits.source_bits_per_second = u64::from(config.source.budget_mbps) * 1_000_000;
    let term = publisher.begin_term();
    let mut plugins = Plugins::none(publisher.public());
    plugins.secret = publisher.admission_secret();
    let plugins = Arc::new(plugins.start().await.map_err(anyhow::Error::from)?);
    let counters = Arc::<metrics::Counters>::default();
    let counted = counters.clone();
    let extras = broadcast::Extras {
        plugins: Some(plugins.clone()),
        title: config.serve.title.clone(),
        more_figures: Some(Arc::new(move || counted.figures())),
    };
    let broadcast = broadcast::Config { publisher, ingest, term, deciders, transport, ice, limits };
    let shared = Arc::new(Shared::new(
        Broadcast::start_with(broadcast, extras),
        config.serve.title.clone(),
        config.limits.connections_per_address,
        counters,
    ));
    banner::show(listen, shared.broadcast.publisher());
    let linger = Duration::from_secs(config.serve.linger_s);
    let result = tokio::select! {
        result = server::serve(listener, shared.clone(), config) => result,
        result = ended(shared.broadcast.state(), listen, linger) => result,
        () = signals::stop() => Ok(()),
    };
    shared.broadcast.stop().await;
    plugins.stop().await;
    result?;
    Ok(ExitCode::SUCCESS)
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
            State::Waiting => {}
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
