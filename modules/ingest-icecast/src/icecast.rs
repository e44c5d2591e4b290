//! The ingest.

use std::sync::{Arc, Mutex, PoisonError};

use peerstream_ffmpeg_child::Program;
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::ingest::{Ingest, IngestError, Instruction, Kind, OffAir, Stage};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::warn;

use crate::config::Config;
use crate::server::Server;

/// Live sound from source clients that speak Icecast.
#[derive(Debug)]
pub struct Icecast {
    config: Config,
    /// Bound at the start, taken by the run.
    listener: Mutex<Option<TcpListener>>,
}

impl Icecast {
    /// Where it listens, once it was started.
    pub fn address(&self) -> Option<std::net::SocketAddr> {
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        listener.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    fn password(&self, key: &Secret) -> Secret {
        if self.config.password.is_empty() { key.clone() } else { self.config.password.clone() }
    }
}

impl Plugin for Icecast {
    const NAME: &'static str = "icecast";
    const SUMMARY: &'static str = "sound from source clients that speak Icecast: butt, Mixxx, liquidsoap, ffmpeg";
    const STABILITY: Stability = Stability::Beta;
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        let mut violations = Violations::default();
        config.validate(&mut violations);
        if !violations.is_empty() {
            return Err(PluginError::invalid(violations.to_string()));
        }
        Ok(Self { config, listener: Mutex::new(None) })
    }
}

#[async_trait]
impl Lifecycle for Icecast {
    async fn start(&self) -> Result<(), PluginError> {
        let listen = self.config.listen;
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            PluginError::from(std::io::Error::new(error.kind(), format!("cannot listen at {listen}: {error}")))
        })?;
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
        if let Err(error) = Program::new(&self.config.program).features().await {
            warn!(%error, "MP3, Vorbis and FLAC cannot be taken, Opus and AAC can");
        }
        Ok(())
    }
}

#[async_trait]
impl Ingest for Icecast {
    fn kind(&self) -> Kind {
        Kind::Media
    }

    fn instructions(&self, key: &Secret) -> Vec<Instruction> {
        let Config { listen, mount, user, .. } = &self.config;
        let (port, password) = (self.address().unwrap_or(*listen).port(), self.password(key));
        let text = format!("host HOST, port {port}, mount {mount}, user {user}, password {}", password.reveal());
        vec![Instruction { program: "Icecast source client (butt, Mixxx)".into(), text }]
    }

    async fn run(self: Box<Self>, stage: Stage) -> Result<(), IngestError> {
        let password = self.password(stage.key());
        if password.is_empty() {
            return Err(IngestError::Malformed("no password and no stream key: anybody could broadcast".into()));
        }
        let bound = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        let listener = match bound {
            Some(listener) => listener,
            None => TcpListener::bind(self.config.listen).await?,
        };
        let (titles, _) = watch::channel(String::new());
        let closed = stage.clone();
        let server = Server { config: self.config, password, stage, titles, connections: Mutex::default() };
        tokio::select! {
            () = closed.closed() => Err(OffAir::Closed.into()),
            error = Arc::new(server).serve(listener) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streamer_is_told_what_to_type() {
        let said = |config| Icecast::build(config, &BuildContext::new("x")).unwrap().instructions(&Secret::new("KEY"));
        let text = "host HOST, port 8000, mount /live, user source, password ";
        assert_eq!(said(Config::default())[0].text, format!("{text}KEY"));
        let own = Config { password: Secret::new("geheim-geheim"), ..Config::default() };
        assert_eq!(said(own)[0].text, format!("{text}geheim-geheim"));
    }
}
