//! A host for tests: the real web server in front of a real broadcast, with the plug-ins that a test hands in.

use std::sync::Arc;

use peerstream::broadcast::{self, Broadcast, Deciders};
use peerstream::key::Publisher;
use peerstream::plugins::{Instance, Plugins};
use peerstream::protocol::crypto::PublicKey;
use peerstream_registry::Layers;
use tokio::task::JoinHandle;

use crate::assembly::Assembly;
use crate::config::{Fallback, Limits, TimeShift};
use crate::dashboard::Dashboard;
use crate::inputs::Inputs;
use crate::metrics;
use crate::player::Player;
use crate::server::{self, Parts, Shared};
use crate::setup::Setup;
use crate::takedown::{self, Intake};

/// A host on a port of its own.
pub struct Host {
    /// Such as `http://127.0.0.1:40000/`.
    pub url: String,
    pub shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Host {
    pub async fn start(equip: impl FnOnce(&mut Plugins)) -> Self {
        let mut layers = Layers::new();
        layers.replace("the test", "ingest", serde_json::json!({ "clip": { "use": "clip" } }));
        let Setup { config, assembly } = Setup::of(layers).unwrap();
        let limits: Limits = config.section("limits");
        let publisher = Publisher::ephemeral();
        let (wishes, _) = tokio::sync::mpsc::channel(1);
        let dashboard = Dashboard::new(
            config.section("dashboard"),
            &publisher.dashboard_secret(),
            publisher.public(),
            &config.section("source"),
            &limits,
            wishes,
        );
        let takedown = Intake::new(takedown::Options { puzzle_bits: 4, ..takedown::Options::default() }, &publisher);
        let mut plugins = Plugins::none(publisher.public());
        equip(&mut plugins);
        let plugins = Arc::new(plugins.start().await.unwrap());
        let Assembly { strategy, transport, ingests, .. } = assembly;
        let broadcast = broadcast::Config {
            term: publisher.begin_term(),
            publisher,
            ingests: ingests.into_iter().map(|ingest| (ingest.spec.instance, ingest.it)).collect(),
            deciders: Deciders { name: strategy.spec.plugin, strategy: strategy.it, fallback: None, ladder: None },
            transport: transport.it,
            ice: vec![],
            limits: limits.coordinator(),
        };
        let counters = Arc::new(metrics::Counters::new(Fallback::default().budget(), TimeShift::default().egress()));
        let counted = counters.clone();
        let more_figures: peerstream::MoreFigures = Arc::new(move || counted.figures());
        let extras =
            broadcast::Extras { plugins: Some(plugins), more_figures: Some(more_figures), ..Default::default() };
        let broadcast = Broadcast::start_with(broadcast, extras);
        let shared = Arc::new(Shared::new(Parts {
            broadcast,
            title: None,
            player: Player::default(),
            time_shift: TimeShift::default(),
            inputs: Inputs::default(),
            connections_per_address: 100,
            counters,
            dashboard,
            takedown,
        }));
        let listener = server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let serving = shared.clone();
        let task = tokio::spawn(async move { drop(server::serve(&listener, serving, &limits).await) });
        Self { url, shared, task }
    }

    pub fn publisher(&self) -> PublicKey {
        self.shared.broadcast.publisher()
    }

    /// Status and body of a GET, with headers.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let url = format!("{}{path}", self.url);
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let ask = move || {
            let request = headers.iter().fold(agent().get(&url), |request, (name, value)| request.header(name, value));
            let mut answer = request.call().unwrap();
            (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
        };
        tokio::task::spawn_blocking(ask).await.unwrap()
    }

    /// Status and body of a POST.
    pub async fn post(&self, path: &str, body: Vec<u8>) -> (u16, String) {
        let (status, body, _) = self.post_with(path, &[], body).await;
        (status, body)
    }

    /// Status, body and cookie of a POST, with headers.
    pub async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, String, String) {
        let url = format!("{}{path}", self.url);
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let ask = move || {
            let request = headers.iter().fold(agent().post(&url), |request, (name, value)| request.header(name, value));
            let mut answer = request.send(&body[..]).unwrap();
            let cookie = answer.headers().get("set-cookie").map(|value| value.to_str().unwrap().to_owned());
            (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap(), cookie.unwrap_or_default())
        };
        tokio::task::spawn_blocking(ask).await.unwrap()
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

pub fn instance<P, O>(name: &str, plugin: P, options: O) -> Instance<P, O> {
    Instance { name: name.into(), plugin_name: "fake".into(), origin: "/secret/place".into(), plugin, options }
}
