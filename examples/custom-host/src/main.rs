//! A host of one's own: it broadcasts the time, once a second, and places viewers by a strategy that it was linked with.
//! Everything else is that of `peerstream`: `talking-clock serve`, `talking-clock watch http://127.0.0.1:8080/`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use peerstream_example_strategy as _;
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::ingest::{Ingest, IngestError, IngestEvent, Kind, Publication, Stage, Unit};

struct Clock;

impl Plugin for Clock {
    const NAME: &'static str = "clock";
    const SUMMARY: &'static str = "the time, once a second, in seconds since 1970";
    type Config = NoOptions;

    fn build(_: NoOptions, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self)
    }
}

impl Lifecycle for Clock {}

#[async_trait]
impl Ingest for Clock {
    fn kind(&self) -> Kind {
        Kind::Data
    }

    async fn run(self: Box<Self>, stage: Stage) -> Result<(), IngestError> {
        let air = stage.go_on_air(Publication { name: "clock".into(), takeover: false })?;
        loop {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let payload = format!("{now}\n").into();
            let unit =
                Unit { payload, pts_us: now * 1_000_000, duration_us: 0, join_point: true, discontinuity: false };
            air.send(IngestEvent::Unit(unit)).await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

peerstream_sdk::export_plugin! { ingest: Clock }

fn main() -> std::process::ExitCode {
    let serves = std::env::args_os().nth(1).is_some_and(|command| command == "serve");
    let ours = ["--set", "ingest.clock.use=clock", "--set", "strategy.use=first-free"].map(Into::into);
    peerstream_host::run(std::env::args_os().chain(ours.into_iter().filter(|_| serves)))
}
