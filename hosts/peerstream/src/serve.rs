//! `serve` and `demo`: a broadcast with its web server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use peerstream::broadcast::{self, Broadcast, State};
use peerstream::key::Publisher;
use peerstream::plugins::Running;
use peerstream::traits::Secret;
use peerstream::traits::ingest::{BoxedIngest, Instruction};
use peerstream_registry::{Config, Layers};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tracing::{error, info};

use crate::assembly::{Assembly, Instance};
use crate::cli::{DemoArgs, HostArgs, KindArg, ServeArgs};
use crate::config::{Fallback, Ice, Limits, Serve, Source, TimeShift};
use crate::dashboard::{Command, Dashboard, Wish};
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::reload::{MakeLayers, Reload};
use crate::server::{self, Parts, Shared};
use crate::setup::{self, Checked, Setup};
use crate::stun::Stun;
use crate::takedown::Intake;
use crate::{banner, equip, metrics, paths, signals};

/// After this long without input the streamer is told that it is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Wishes of the streamer that wait.
const WISHES_MAX: usize = 4;
/// The answer to a wish has this time to reach the page.
const ANSWER_GRACE: Duration = Duration::from_millis(200);

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
    if let Some(file) = &args.record {
        layers.flag("--record", &["archive", "record", "use"], "file");
        layers.flag("--record", &["archive", "record", "config", "path"], file.to_string_lossy());
    }
    layers
}

/// The inputs: what the flags say besides what the config says. When nothing is said it is what is piped in, or else all that
/// encoders can connect to.
fn inputs(args: &ServeArgs, layers: &mut Layers) {
    let piped = args.input.is_some() || args.kind.is_some() || args.looped || is_piped();
    let names: &[&str] = if piped { &["pipe"] } else { &["rtmp", "icecast", "whip"] };
    let inputs: serde_json::Map<_, _> = names.iter().map(|&name| (name.to_owned(), json!({ "use": name }))).collect();
    layers.otherwise("peerstream serve", "ingest", inputs.into());
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

/// Whether standard input is a pipe or a file, not a terminal or nothing.
fn is_piped() -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        let kind = std::fs::metadata("/dev/stdin").map(|stdin| stdin.file_type());
        kind.is_ok_and(|kind| kind.is_fifo() || kind.is_file() || kind.is_socket())
    }
    #[cfg(not(unix))]
    {
        use std::io::IsTerminal as _;
        !std::io::stdin().is_terminal()
    }
}

/// A restart that failed, as a port is taken for example, is tried again after this pause.
const AGAIN: Duration = Duration::from_secs(5);

/// Broadcasts until the input ends or somebody wishes it; again and again as long as the streamer restarts it.
async fn broadcast(setup: Setup, layers: MakeLayers, publisher: Publisher) -> Result<ExitCode, Failure> {
    let mut stop = std::pin::pin!(signals::stop());
    let mut door: Option<Door> = None;
    let mut next = Some(setup);
    let mut restarted = false;
    while let Some(setup) = next.take() {
        let listen = setup.config.section::<Serve>("serve").listen;
        let open = match door.take_if(|door| door.wanted == listen) {
            Some(door) => door,
            None => Door { wanted: listen, listener: server::bind(listen).await? },
        };
        let on = Stand { layers: &layers, publisher: &publisher, listener: &door.insert(open).listener };
        next = match on.broadcast(setup, stop.as_mut()).await {
            Err(failure) if restarted => {
                failure.report();
                error!(seconds = AGAIN.as_secs(), "the broadcast could not begin again; trying once more");
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => Some(Setup::of(layers())?),
                    () = stop.as_mut() => None,
                }
            }
            following => following?,
        };
        restarted = true;
    }
    Ok(ExitCode::SUCCESS)
}

/// The web server's port, and the address it was opened for.
struct Door {
    wanted: SocketAddr,
    listener: TcpListener,
}

/// What outlives a restart.
struct Stand<'a> {
    layers: &'a MakeLayers,
    publisher: &'a Publisher,
    listener: &'a TcpListener,
}

/// How one broadcast ends.
enum End {
    /// For good.
    Over(Result<()>),
    /// Another one follows.
    Restart(Box<Setup>),
}

impl Stand<'_> {
    /// One broadcast from its start to its end, and what is to follow.
    async fn broadcast(
        &self,
        setup: Setup,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Option<Setup>, Failure> {
        let Setup { config, assembly } = setup;
        let (serve, limits) = (config.section::<Serve>("serve"), config.section::<Limits>("limits"));
        let instructions = ready(&assembly.ingests, &self.publisher.stream_key()).await?;
        let inputs = Inputs::of(&assembly.ingests);
        let plugins = equip::plugins(&assembly, self.publisher, &config.section("takedown"))?;
        let plugins = Arc::new(plugins.start().await.map_err(anyhow::Error::from)?);
        let stun = Stun::start(&config.section("stun")).await?;
        let ice = stun.iter().map(Stun::url).chain(config.section::<Ice>("ice").servers).collect();
        let counters = Arc::new(metrics::Counters::new(
            config.section::<Fallback>("fallback").budget(),
            config.section::<TimeShift>("time_shift").egress(),
        ));
        let broadcast = self.start(&config, assembly, ice, &plugins, counters.clone());
        let (wishes, inbox) = mpsc::channel(WISHES_MAX);
        let dashboard = self.dashboard(&config, wishes).with_instructions(instructions.clone());
        let shared = Arc::new(Shared::new(Parts {
            broadcast,
            title: serve.title.clone(),
            player: config.section("player"),
            time_shift: config.section("time_shift"),
            inputs,
            connections_per_address: limits.connections_per_address,
            counters,
            dashboard,
            takedown: Intake::new(config.section("takedown"), self.publisher),
        }));
        let reload = Reload::new(self.layers, config, plugins.clone());
        // Whoever has read where it is may already want it to read its config again.
        let wishes = signals::Reread::new();
        let listen = self.listener.local_addr().context("the port has no address")?;
        banner::show(listen, shared.broadcast.publisher(), &shared.dashboard.login, &instructions);
        if plugins.desk().is_some() {
            banner::show_desk(listen, &shared.takedown.login);
        }
        let end = tokio::select! {
            result = server::serve(self.listener, shared.clone(), &limits) => End::Over(result),
            result = ended(&shared, listen, Duration::from_secs(serve.linger_s)) => End::Over(result),
            () = stop => End::Over(Ok(())),
            never = reread(wishes, &reload, &shared) => match never {},
            setup = obey(inbox, &shared, self.layers) => End::Restart(Box::new(setup)),
        };
        shared.broadcast.stop().await;
        shared.over.send_replace(true);
        plugins.stop().await;
        match end {
            End::Over(result) => result.map(|()| None).map_err(Failure::from),
            End::Restart(setup) => Ok(Some(*setup)),
        }
    }

    fn start(
        &self,
        config: &Config,
        assembly: Assembly,
        ice: Vec<String>,
        plugins: &Arc<Running>,
        counters: Arc<metrics::Counters>,
    ) -> Broadcast {
        let Assembly { strategy, fallback, ladder, transport, ingests, .. } = assembly;
        let serve = config.section::<Serve>("serve");
        let mut limits = config.section::<Limits>("limits").coordinator();
        limits.source_bits_per_second = u64::from(config.section::<Source>("source").budget_mbps) * 1_000_000;
        let extras = broadcast::Extras {
            plugins: Some(plugins.clone()),
            title: serve.title,
            more_figures: Some(Arc::new(move || counters.figures())),
            resume: Duration::from_secs(serve.resume_s),
        };
        let broadcast = broadcast::Config {
            publisher: self.publisher.clone(),
            ingests: ingests.into_iter().map(|ingest| (ingest.spec.instance, ingest.it)).collect(),
            term: self.publisher.begin_term(),
            deciders: broadcast::Deciders {
                name: strategy.spec.plugin,
                strategy: strategy.it,
                fallback: fallback.map(|fallback| (fallback.spec.plugin, fallback.it)),
                ladder: ladder.map(|ladder| ladder.it),
            },
            transport: transport.it,
            ice,
            limits,
        };
        Broadcast::start_with(broadcast, extras)
    }

    fn dashboard(&self, config: &Config, wishes: mpsc::Sender<Wish>) -> Dashboard {
        Dashboard::new(
            config.section("dashboard"),
            &self.publisher.dashboard_secret(),
            self.publisher.public(),
            &config.section("source"),
            &config.section("limits"),
            wishes,
        )
    }
}

/// Does what the streamer wishes; ends with what a restart begins with. A config with errors restarts nothing.
async fn obey(mut wishes: mpsc::Receiver<Wish>, shared: &Shared, layers: &MakeLayers) -> Setup {
    while let Some(Wish { command, done }) = wishes.recv().await {
        match command {
            Command::End => {
                info!("the streamer ends the broadcast");
                shared.dashboard.closed.store(true, Relaxed);
                shared.broadcast.end().await;
                let _ = done.send(Ok(()));
            }
            Command::Restart => match again(layers) {
                Ok(setup) => {
                    info!("the streamer restarts the broadcast");
                    let _ = done.send(Ok(()));
                    // The answer should reach the page before its connection ends.
                    tokio::time::sleep(ANSWER_GRACE).await;
                    return setup;
                }
                Err(why) => {
                    error!("not restarted, everything goes on as it was: {why}");
                    let _ = done.send(Err(why));
                }
            },
        }
    }
    std::future::pending().await
}

/// The config as it is by now, or what is wrong with it.
fn again(layers: &MakeLayers) -> Result<Setup, String> {
    let Checked { outcome, assembly } = setup::check(layers()).map_err(|failure| format!("{failure:?}"))?;
    let report = outcome.report.human();
    match (outcome.into_result(), assembly) {
        (Ok(config), Some(assembly)) => Ok(Setup { config, assembly }),
        _ => Err(format!("the config has errors\n{report}")),
    }
}

/// Reads the config again whenever that is wished.
async fn reread(mut wishes: signals::Reread, reload: &Reload<'_>, shared: &Shared) -> Infallible {
    loop {
        wishes.next().await;
        reload.again(&shared.broadcast).await;
    }
}

/// An input that is not there is told before anything is opened. Gives what streamers are to type.
async fn ready(ingests: &[Instance<BoxedIngest>], key: &Secret) -> Result<Vec<Instruction>, Failure> {
    let mut instructions = Vec::new();
    for Instance { spec, it, .. } in ingests {
        let input = &spec.instance;
        it.probe().await.map_err(|error| anyhow!("input {input}: {error}"))?;
        it.start().await.map_err(|error| Failure::Usage(anyhow!("input {input}: {error}")))?;
        instructions.extend(it.instructions(key));
    }
    Ok(instructions)
}

/// Waits until the input has ended and the time for late viewers is over.
async fn ended(shared: &Shared, listen: SocketAddr, linger: Duration) -> Result<()> {
    let mut state = shared.broadcast.state();
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
            // The streamer has ended it, and may restart it.
            State::Ended if shared.dashboard.closed.load(Relaxed) => {}
            State::Ended => {
                info!(%listen, seconds = linger.as_secs(), "input ended; serving on for late viewers, stop with Ctrl-C");
                tokio::time::sleep(linger).await;
                if !shared.dashboard.closed.load(Relaxed) {
                    return Ok(());
                }
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
