//! The built-in STUN server, which tells viewers their public address.

use std::io::ErrorKind;
use std::net::SocketAddr;

use anyhow::{Result, anyhow};
use peerstream::ice::ENDPOINT_HOST;
use tracing::warn;

use crate::bundle::StunServer;
use crate::config;

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct Stun {
    server: StunServer,
}

impl Stun {
    /// Starts it, on another port when the configured one is taken. `None` when it is switched off.
    pub async fn start(config: &config::Stun) -> Result<Option<Self>> {
        if !config.enabled {
            return Ok(None);
        }
        let server = match StunServer::bind(config.listen).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse => elsewhere(config.listen).await,
            result => result,
        };
        let server = server.map_err(|error| anyhow!("stun: cannot listen on {}: {error}", config.listen))?;
        Ok(Some(Self { server }))
    }

    /// Its url for any viewer: at the host by which the viewer reaches this one.
    pub fn url(&self) -> String {
        format!("stun:{ENDPOINT_HOST}:{}", self.server.local_addr().port())
    }
}

async fn elsewhere(taken: SocketAddr) -> std::io::Result<StunServer> {
    let server = StunServer::bind(SocketAddr::new(taken.ip(), 0)).await?;
    let port = server.local_addr().port();
    warn!("stun: UDP port {} is in use, {port} is used instead; open it in the firewall", taken.port());
    Ok(server)
}
