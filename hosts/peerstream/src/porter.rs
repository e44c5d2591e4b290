//! Gets tickets from a host that does not let everybody in.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use peerstream::control;
use peerstream::traits::admission::Task;
use tracing::warn;
use url::Url;

use crate::bundle;
use crate::entrance::Told;
use crate::locate::ask;

/// A harder puzzle is not tried: about a minute of one core.
const BITS_MAX: u8 = 26;
/// A ticket is not used in the last part of its time.
const MARGIN: Duration = Duration::from_secs(5);

/// Asks, does what is demanded, and keeps the ticket while it holds.
pub struct Porter {
    url: Url,
    token: Option<String>,
    ticket: Mutex<Option<(String, Instant)>>,
}

/// Without the token and the ticket.
impl std::fmt::Debug for Porter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Porter({})", self.url)
    }
}

impl Porter {
    /// For the host whose admission is asked for at this address.
    pub fn new(url: Url, token: Option<String>) -> Self {
        Self { url, token, ticket: Mutex::default() }
    }

    /// Asks the host now; why it does not let this machine in is the error.
    pub async fn enter(self: &Arc<Self>) -> Result<String> {
        let porter = self.clone();
        tokio::task::spawn_blocking(move || porter.ask()).await.context("asking to be let in was interrupted")?
    }

    fn ask(&self) -> Result<String> {
        let mut proof = self.token.clone();
        // A puzzle may expire while it is solved; a host that asks for ever is given up.
        for _ in 0..3 {
            match self.ask_with(proof.as_deref())? {
                Told::Allow { ticket, ttl_s } => {
                    let until = Instant::now() + Duration::from_secs(ttl_s).saturating_sub(MARGIN);
                    *self.ticket.lock().expect("no holder panics") = Some((ticket.clone(), until));
                    return Ok(ticket);
                }
                Told::Challenge { task: Task::Work { puzzle, bits } } if bits <= BITS_MAX => {
                    proof = Some(bundle::solve_puzzle(&puzzle, bits));
                }
                Told::Challenge { task: Task::Work { bits, .. } } => {
                    bail!("the host sets a puzzle of {bits} bits, expected at most {BITS_MAX}");
                }
                Told::Challenge { task: Task::Token } => {
                    bail!("the host lets in only who shows a token; give one with --token");
                }
                Told::Deny { message } => bail!("the host does not let you in: {message}"),
            }
        }
        bail!("the host is not content with what it was shown")
    }

    fn ask_with(&self, proof: Option<&str>) -> Result<Told> {
        let mut url = self.url.clone();
        if let Some(proof) = proof {
            url.query_pairs_mut().append_pair("proof", proof);
        }
        ask(&url)
    }

    fn held(&self) -> Option<String> {
        let ticket = self.ticket.lock().expect("no holder panics");
        ticket.as_ref().filter(|(_, until)| Instant::now() < *until).map(|(ticket, _)| ticket.clone())
    }
}

/// A porter as the runtime takes it.
#[derive(Debug)]
pub struct AtDoor(pub Arc<Porter>);

#[async_trait]
impl control::Porter for AtDoor {
    async fn ticket(&self) -> Option<String> {
        if let Some(ticket) = self.0.held() {
            return Some(ticket);
        }
        self.0.enter().await.inspect_err(|error| warn!("{error:#}")).ok()
    }

    fn refused(&self) {
        *self.0.ticket.lock().expect("no holder panics") = None;
    }
}
