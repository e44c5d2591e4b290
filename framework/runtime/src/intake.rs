//! Runs the ingests and hands what is on air to the source's node.

use std::sync::Arc;

use peerstream_protocol::segment::{Init, MIME_BYTES_MAX};
use peerstream_traits::Secret;
use peerstream_traits::ingest::{
    Billing, BoxedIngest, INIT_BYTES_MAX, IngestError, IngestEvent, TITLE_BYTES_MAX, UNIT_BYTES_MAX, stage,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::broadcast::State;
use crate::peer::{Gone, Peer, Production};
use crate::plugins::Running;

/// Different pieces of advice that are told; a garrulous ingest is not listened to any more.
pub const ADVICE_MAX: usize = 32;

/// What others may know of the intake.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    /// The latest codec header.
    pub(crate) init: watch::Receiver<Option<Init>>,
    /// What the streamer was told, oldest first.
    pub(crate) advice: watch::Receiver<Vec<String>>,
    /// Who is on air.
    pub(crate) billing: watch::Receiver<Billing>,
}

/// Takes what is on air and hands it to the source's node.
pub(crate) struct Intake {
    source: Arc<Peer>,
    state: watch::Sender<State>,
    init: watch::Sender<Option<Init>>,
    advice: watch::Sender<Vec<String>>,
    billing: watch::Sender<Billing>,
    plugins: Option<Arc<Running>>,
}

impl Intake {
    pub(crate) fn new(
        source: Arc<Peer>,
        state: watch::Sender<State>,
        plugins: Option<Arc<Running>>,
    ) -> (Self, Watched) {
        let (init, init_seen) = watch::channel(None);
        let (advice, advice_seen) = watch::channel(Vec::new());
        let (billing, billing_seen) = watch::channel(Billing::default());
        let watched = Watched { init: init_seen, advice: advice_seen, billing: billing_seen };
        (Self { source, state, init, advice, billing, plugins }, watched)
    }

    /// Takes input until every ingest has ended; then the stream has ended, or failed if none ended well.
    pub(crate) async fn run(self, key: Secret, ingests: Vec<(String, BoxedIngest)>) {
        let (stage, mut programme) = stage(key);
        let mut running = JoinSet::new();
        for (name, ingest) in ingests {
            let stage = stage.clone();
            running.spawn(async move {
                let result = ingest.run(stage).await;
                match &result {
                    Ok(()) => info!(input = name, "input ended"),
                    Err(error) => warn!(input = name, %error, "input failed"),
                }
                result
            });
        }
        drop(stage);
        let mut billed = programme.billing();
        let taken = async {
            loop {
                let event = tokio::select! {
                    biased;
                    event = programme.next() => event,
                    Ok(()) = billed.changed() => {
                        let billing = billed.borrow_and_update().clone();
                        self.on_billing(billing);
                        continue;
                    }
                };
                let Some(event) = event else { return };
                if self.take(event).await.is_err() {
                    return;
                }
            }
        };
        taken.await;
        drop(programme);
        let results = running.join_all().await;
        let _ = self.source.produce(Production::End).await;
        self.state.send_replace(verdict(results));
        if let Some(plugins) = &self.plugins {
            // The answer comes when all that was produced has been handled.
            let _ = self.source.snapshot().await;
            plugins.archives().end(true).await;
        }
    }

    fn on_billing(&self, billing: Billing) {
        match &billing.on_air {
            Some(name) => info!(publication = name, "on air"),
            None => {
                info!("nobody is on air");
                self.state.send_if_modified(|state| {
                    let live = *state == State::Live;
                    if live {
                        *state = State::Away;
                    }
                    live
                });
            }
        }
        self.billing.send_replace(billing);
    }

    async fn take(&self, event: IngestEvent) -> Result<(), Gone> {
        match event {
            IngestEvent::Init { bytes, mime } if bytes.len() <= INIT_BYTES_MAX && mime.len() <= MIME_BYTES_MAX => {
                let title = self.init.borrow().as_ref().map(|init| init.title.clone()).unwrap_or_default();
                self.begin(Init { mime, title, bytes: bytes.into() }).await
            }
            IngestEvent::Init { bytes, .. } => {
                warn!(bytes = bytes.len(), max = INIT_BYTES_MAX, "init is too large and dropped");
                Ok(())
            }
            IngestEvent::Title(title) => {
                let title = shown(&title);
                let init = self.init.borrow().clone().unwrap_or_else(|| Init {
                    mime: String::new(),
                    title: String::new(),
                    bytes: Vec::new(),
                });
                if init.title == title {
                    return Ok(());
                }
                self.begin(Init { title, ..init }).await
            }
            IngestEvent::Unit(unit) if unit.payload.len() <= UNIT_BYTES_MAX => {
                self.state.send_if_modified(|state| std::mem::replace(state, State::Live) != State::Live);
                self.source.produce(Production::Unit(unit)).await
            }
            IngestEvent::Unit(unit) => {
                warn!(bytes = unit.payload.len(), max = UNIT_BYTES_MAX, "unit is too large and dropped");
                Ok(())
            }
            IngestEvent::Advice(text) => {
                let told = self.advice.send_if_modified(|advice| {
                    let new = advice.len() < ADVICE_MAX && !advice.contains(&text);
                    if new {
                        advice.push(text.clone());
                    }
                    new
                });
                if told {
                    warn!("{text}");
                }
                Ok(())
            }
        }
    }

    /// A codec header, from here on; one without bytes only waits for them.
    async fn begin(&self, init: Init) -> Result<(), Gone> {
        self.init.send_replace(Some(init.clone()));
        if init.mime.is_empty() {
            return Ok(());
        }
        self.source.produce(Production::Init(init)).await
    }
}

/// A title as it travels: one line of at most [`TITLE_BYTES_MAX`] bytes.
fn shown(title: &str) -> String {
    let mut line = String::new();
    let words = title.split(|char: char| char.is_control() || char.is_whitespace()).filter(|word| !word.is_empty());
    for word in words {
        if line.len() + word.len() + 1 > TITLE_BYTES_MAX {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// How a stream has ended whose ingests ended like this.
fn verdict(results: Vec<Result<(), IngestError>>) -> State {
    let well = results.iter().any(Result::is_ok);
    match results.into_iter().find_map(Result::err) {
        Some(error) if !well => State::Failed(error.to_string()),
        _ => State::Ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_travels_as_one_short_line() {
        assert_eq!(shown("  Miles\tDavis -\r\n So  What "), "Miles Davis - So What");
        assert_eq!(shown(&"word ".repeat(100)).len(), 254);
        assert_eq!(shown("\0\u{1b}[2J"), "[2J");
    }

    #[test]
    fn a_stream_has_failed_when_no_ingest_ended_well() {
        let error = || Err(IngestError::Malformed("no box".into()));
        assert_eq!(verdict(vec![error()]), State::Failed("no box".into()));
        assert_eq!(verdict(vec![error(), Ok(())]), State::Ended);
        assert_eq!(verdict(vec![]), State::Ended);
    }
}
