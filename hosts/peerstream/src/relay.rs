//! `relay`: takes part in a stream only to feed others.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use peerstream::output::{Delivery, Reader};
use peerstream::peer::{self, Peer};
use peerstream::protocol::control::Role;
use peerstream::protocol::time::Micros;
use tracing::info;

use crate::cli::RelayArgs;
use crate::failure::Failure;
use crate::locate::locate;
use crate::watch::refused;
use crate::{assembly, signals};

/// What is older is not kept for viewers that go back in time, however much room there is.
const KEEPS_FOR: Micros = Micros::from_secs(3_600);
/// How often the log says what was relayed.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// `peerstream relay`: stays through the ends of broadcasts until it is stopped.
pub async fn run(args: RelayArgs) -> Result<ExitCode, Failure> {
    let located = locate(&args.stream).await?;
    eprintln!("relaying the stream of {}; stop with Ctrl-C", located.publisher);
    let (peer, deliveries) = peer::spawn(peer::Config {
        stream: Some(located.publisher),
        role: Role::Helper,
        capacity: args.capacity,
        relay: true,
        endpoints: vec![located.endpoint],
        transport: assembly::transport()?,
        keeping: peer::Keeping { bytes_max: args.keep_mb as usize * 1_000_000, span: KEEPS_FOR, host: false },
    });
    let result = tokio::select! {
        result = follow(deliveries) => result,
        () = report(&peer) => Ok(()),
        () = signals::stop() => Ok(()),
    };
    peer.leave().await;
    result?;
    Ok(ExitCode::SUCCESS)
}

async fn follow(mut deliveries: Reader) -> Result<()> {
    while let Some(delivery) = deliveries.next().await {
        match delivery {
            Delivery::Begin(_) => info!("taking part in a broadcast"),
            Delivery::Ended => info!("the broadcast has ended; waiting for the next one"),
            Delivery::Refused(reason) => refused(reason)?,
            Delivery::WrongPublisher(key) => bail!("the host offers the stream of another publisher: {key}"),
            _ => {}
        }
    }
    bail!("the peer has ended")
}

async fn report(peer: &Peer) {
    loop {
        tokio::time::sleep(REPORT_EVERY).await;
        let Ok(snapshot) = peer.snapshot().await else { return };
        let status = snapshot.status;
        let (feeds, links) = (status.fed.len(), status.links);
        info!(feeds, links, sent_bytes = status.figures.payload_sent, "relaying");
    }
}
