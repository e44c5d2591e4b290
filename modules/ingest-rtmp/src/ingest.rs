//! The ingest: listens for encoders.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::ingest::{Ingest, IngestError, Instruction, Kind, Stage};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::config::Config;
use crate::connection::{self, Shared};
use crate::strikes::origin;

/// Connections from one address.
const CONNECTIONS_PER_ADDRESS_MAX: usize = 8;
/// A pause when the system has no more sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A server of RTMP. Encoders come and go; the broadcast goes on.
#[derive(Debug)]
pub struct Rtmp {
    config: Config,
    listener: Mutex<Option<TcpListener>>,
}

impl Rtmp {
    /// Where it listens; none before the start.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listener().as_ref()?.local_addr().ok()
    }

    fn listener(&self) -> MutexGuard<'_, Option<TcpListener>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its own key, or else the publisher's.
    fn key(&self, publisher: &Secret) -> Secret {
        if self.config.key.is_empty() { publisher.clone() } else { self.config.key.clone() }
    }

    async fn bind(&self) -> Result<TcpListener, PluginError> {
        let listen = self.config.listen;
        TcpListener::bind(listen).await.map_err(|error| {
            let text = format!("cannot listen on {listen} for encoders: {error}; set another address with listen");
            PluginError::invalid(text).because(error)
        })
    }
}

impl Plugin for Rtmp {
    const NAME: &'static str = "rtmp";
    const SUMMARY: &'static str = "OBS, ffmpeg, Larix and other encoders that publish over RTMP";
    const STABILITY: Stability = Stability::Beta;
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self { config, listener: Mutex::default() })
    }
}

#[async_trait]
impl Lifecycle for Rtmp {
    async fn probe(&self) -> Result<(), PluginError> {
        self.bind().await.map(|_| ())
    }

    async fn start(&self) -> Result<(), PluginError> {
        let listener = self.bind().await?;
        info!(at = %listener.local_addr()?, "waiting for encoders");
        *self.listener() = Some(listener);
        Ok(())
    }
}

#[async_trait]
impl Ingest for Rtmp {
    fn kind(&self) -> Kind {
        Kind::Media
    }

    fn instructions(&self, key: &Secret) -> Vec<Instruction> {
        let Some(at) = self.local_addr() else { return Vec::new() };
        let host = if at.ip().is_unspecified() { format!("HOST:{}", at.port()) } else { at.to_string() };
        let (server, key) = (format!("rtmp://{host}/{}", self.config.app), self.key(key));
        let obs = format!("Settings > Stream > Custom: server {server} , stream key {}", key.reveal());
        let encode = "-c:v libx264 -pix_fmt yuv420p -tune zerolatency -g 30 -bf 0 -c:a aac";
        let ffmpeg = format!("ffmpeg -re -i INPUT {encode} -f flv {server}/{}", key.reveal());
        [("OBS", obs), ("ffmpeg", ffmpeg)].map(|(program, text)| Instruction { program: program.into(), text }).to_vec()
    }

    async fn run(self: Box<Self>, stage: Stage) -> Result<(), IngestError> {
        let started = self.listener().take();
        let listener = started.ok_or_else(|| IngestError::Malformed("an input runs that was not started".into()))?;
        let shared = Arc::new(Shared::new(self.config.clone(), self.key(stage.key())));
        let mut doors =
            Doors { connections: JoinSet::new(), by_origin: BTreeMap::new(), max: self.config.connections_max };
        loop {
            tokio::select! {
                () = stage.closed() => return Ok(()),
                Some(ended) = doors.connections.join_next() => doors.left(ended.ok()),
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => doors.enter(stream, from, &shared, &stage),
                    Err(error) => {
                        warn!(%error, "encoder cannot be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }
}

/// Who is connected.
struct Doors {
    connections: JoinSet<IpAddr>,
    by_origin: BTreeMap<IpAddr, usize>,
    max: usize,
}

impl Doors {
    fn enter(&mut self, stream: TcpStream, from: SocketAddr, shared: &Arc<Shared>, stage: &Stage) {
        let origin = origin(from.ip());
        let count = self.by_origin.entry(origin).or_default();
        if self.connections.len() >= self.max || *count >= CONNECTIONS_PER_ADDRESS_MAX {
            warn!(%from, connections = self.connections.len(), "too many connections of encoders, this one is cut off");
            self.forget_if_empty(origin);
            return;
        }
        *count += 1;
        let (shared, stage) = (shared.clone(), stage.clone());
        self.connections.spawn(async move {
            if let Err(error) = connection::serve(stream, from, &shared, &stage).await {
                warn!(%from, %error, "encoder was cut off");
            }
            origin
        });
    }

    fn left(&mut self, origin: Option<IpAddr>) {
        let Some(origin) = origin else { return };
        if let Some(count) = self.by_origin.get_mut(&origin) {
            *count -= 1;
        }
        self.forget_if_empty(origin);
    }

    fn forget_if_empty(&mut self, origin: IpAddr) {
        if self.by_origin.get(&origin) == Some(&0) {
            self.by_origin.remove(&origin);
        }
    }
}
