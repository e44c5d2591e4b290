//! A broadcast without a network.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use peerstream::broadcast::{Broadcast, Config, Deciders, Extras};
use peerstream::coordinator::Limits;
use peerstream::key::Publisher;
use peerstream::overlay::{Context, Event, Plan, TreeStrategy};
use peerstream::plugins::{Plugins, Running};
use peerstream::protocol::id::Stripes;
use peerstream::traits::Lifecycle;
use peerstream::traits::ingest::{Ingest, IngestError, IngestEvent, Kind, Publication, Stage, Unit};
use peerstream::traits::transport::{IceServers, Link, LinkEvent, SendError, Side, Transport};
use tokio::sync::mpsc;

/// Everybody below the source.
struct Star;

impl TreeStrategy for Star {
    fn attach(&mut self, _: &Context<'_>, _: &mut Plan) {}

    fn on_events(&mut self, context: &Context<'_>, events: &[Event], plan: &mut Plan) {
        for event in events {
            if let Event::Joined(node) = event {
                plan.group().set_parent(*node, Stripes::ALL, context.source);
            }
        }
    }
}

/// Links that never open.
pub struct NoTransport;

struct NoLink(#[allow(dead_code)] mpsc::Sender<LinkEvent>);

impl Lifecycle for NoTransport {}

impl Transport for NoTransport {
    fn open(&self, _: Side, _: &IceServers, events: mpsc::Sender<LinkEvent>) -> Box<dyn Link> {
        Box::new(NoLink(events))
    }
}

impl Link for NoLink {
    fn signal(&self, _: bytes::Bytes) {}

    fn try_send(&self, _: peerstream::protocol::frame::Lane, _: bytes::Bytes) -> Result<(), SendError> {
        Err(SendError::Closed)
    }

    fn close(&self) {}
}

/// So many units of data, each in its time, and then the end or for ever nothing.
pub struct Units {
    pub count: u64,
    pub pause: Duration,
    pub ends: bool,
}

impl Lifecycle for Units {}

#[async_trait]
impl Ingest for Units {
    fn kind(&self) -> Kind {
        Kind::Media
    }

    async fn run(self: Box<Self>, stage: Stage) -> Result<(), IngestError> {
        let air = stage.go_on_air(Publication { name: "units".into(), ..Publication::default() })?;
        let init = IngestEvent::Init { bytes: vec![1; 50].into(), mime: "video/mp4".into() };
        let _ = air.send(init).await;
        for n in 0..self.count {
            let payload = vec![n as u8; 20_000].into();
            let unit =
                Unit { payload, pts_us: n * 500_000, duration_us: 500_000, join_point: true, discontinuity: false };
            let _ = air.send(IngestEvent::Unit(unit)).await;
            tokio::time::sleep(self.pause).await;
        }
        if !self.ends {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

/// A broadcast of these units with these plug-ins.
pub async fn broadcast(units: Units, plugins: Plugins) -> (Broadcast, Arc<Running>) {
    let publisher = Publisher::ephemeral();
    let running = Arc::new(plugins.start().await.unwrap());
    let deciders = Deciders { name: "star".into(), strategy: Box::new(Star), fallback: None, ladder: None };
    let config = Config {
        term: publisher.begin_term(),
        publisher,
        ingests: vec![("units".into(), Box::new(units))],
        deciders,
        transport: Arc::new(NoTransport),
        ice: vec![],
        limits: Limits::default(),
    };
    let extras = Extras { plugins: Some(running.clone()), title: Some("talk".into()), ..Extras::default() };
    (Broadcast::start_with(config, extras), running)
}
