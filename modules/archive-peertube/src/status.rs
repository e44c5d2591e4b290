//! How the archive is, for whoever asks.

use std::sync::{Mutex, MutexGuard};

use peerstream_sdk::prelude::*;
use tracing::{info, warn};

/// What is wrong.
#[derive(Debug, Default)]
pub(crate) struct Status(Mutex<Troubles>);

#[derive(Debug, Default)]
struct Troubles {
    site: Option<String>,
    live: Option<String>,
    /// How many parts wait and how many of them the site does not take.
    waiting: (usize, usize),
    bytes: u64,
}

impl Status {
    /// The site is away or refuses. Told once for each reason.
    pub(crate) fn trouble(&self, why: &str) {
        let mut troubles = self.lock();
        if troubles.site.as_deref() != Some(why) {
            warn!("PeerTube: {why}; parts wait in the spool, and it is tried again");
            troubles.site = Some(why.to_owned());
        }
    }

    /// Something was done.
    pub(crate) fn fine(&self) {
        if self.lock().site.take().is_some() {
            info!("PeerTube: it goes on");
        }
    }

    /// The live video cannot be made, or can again.
    pub(crate) fn live(&self, why: Option<String>) {
        let mut troubles = self.lock();
        if let Some(why) = why.as_ref().filter(|why| troubles.live.as_ref() != Some(why)) {
            warn!("PeerTube: not live there: {why}");
        }
        troubles.live = why;
    }

    /// What waits now: parts, how many of them the site does not take, and bytes.
    pub(crate) fn waiting(&self, parts: usize, refused: usize, bytes: u64) {
        let mut troubles = self.lock();
        (troubles.waiting, troubles.bytes) = ((parts, refused), bytes);
    }

    /// For the framework. It works as long as it can write parts, so that it is never worse than degraded.
    pub(crate) fn health(&self) -> Health {
        let Troubles { site, live, waiting: (parts, refused), bytes } = &*self.lock();
        let mut whys = Vec::new();
        whys.extend(site.clone());
        whys.extend(live.as_ref().map(|why| format!("not live there: {why}")));
        if *refused > 0 {
            whys.push(format!("the site does not take {refused} parts; they are kept in the spool"));
        }
        if whys.is_empty() {
            return Health::Ok;
        }
        Health::Degraded { why: format!("{}; {parts} parts wait, {bytes} bytes", whys.join("; ")) }
    }

    fn lock(&self) -> MutexGuard<'_, Troubles> {
        self.0.lock().expect("no holder panics")
    }
}
