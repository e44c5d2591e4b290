//! Letters on their way: put into the casebook with what causes them, taken from there to a mail server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use peerstream_takedown::hex;
use peerstream_takedown::letter::Letter;
use peerstream_takedown::outbox::{About, Failure, LETTERS_MAX, Posted};
use peerstream_traits::PluginError;
use peerstream_traits::casebook::LetterCounts;
use peerstream_traits::mail::SharedCourier;
use peerstream_traits::telemetry::Figure;
use tokio::sync::Notify;
use tracing::{error, warn};

use super::books::{Books, now_us, salt};
use super::desk::Desk;
use super::refused::Refused;
use crate::figures;

/// A mail server that says nothing is given up after this time.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// Letters that are taken from the casebook at once.
const ROUND: usize = 16;
/// Between two looks for letters whose time has come.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// A casebook that cannot be written is tried again after this time.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// What becomes of letters, and who takes them; cheap to clone. Without a courier none are written.
#[derive(Clone, Default)]
pub(super) struct Post(Arc<Shared>);

#[derive(Default)]
struct Shared {
    courier: Option<SharedCourier>,
    put: Notify,
    waiting: AtomicU64,
    sent: AtomicU64,
    failed: AtomicU64,
    given_up: AtomicU64,
    dropped: AtomicU64,
}

impl Post {
    pub(super) fn new(courier: Option<SharedCourier>) -> Self {
        Self(Arc::new(Shared { courier, ..Shared::default() }))
    }

    pub(super) fn is_there(&self) -> bool {
        self.0.courier.is_some()
    }

    /// Something was put into the casebook.
    pub(super) fn has_put(&self) {
        self.0.put.notify_one();
    }

    pub(super) fn figures(&self) -> Vec<Figure> {
        let value = |counter: &AtomicU64| counter.load(Relaxed);
        vec![
            figures::gauge("takedown_letters_waiting", "mails about notices that wait", value(&self.0.waiting)),
            figures::counter("takedown_letters_sent", "mails about notices that were taken", value(&self.0.sent)),
            figures::counter("takedown_letters_failed", "tries to send one in vain", value(&self.0.failed)),
            figures::counter("takedown_letters_given_up", "mails that are not tried again", value(&self.0.given_up)),
            figures::counter("takedown_letters_dropped", "mails that were too many to wait", value(&self.0.dropped)),
        ]
    }

    /// Counts what could not be put in.
    fn dropped(&self, count: u64) {
        self.0.dropped.fetch_add(count, Relaxed);
        error!(count, waiting = LETTERS_MAX, "mails about a notice were dropped: too many wait");
    }

    /// Sends what waits, for as long as it is polled.
    pub(super) async fn rounds(&self, desk: &Desk) {
        let Some(courier) = &self.0.courier else { return };
        loop {
            let due = desk.with(|books| {
                let due = books.book().letters_due(now_us(), ROUND)?;
                Ok((due, books.book().letter_counts()?))
            });
            let due = match due.await {
                Ok((due, counts)) => {
                    self.0.waiting.store(counts.waiting, Relaxed);
                    due
                }
                Err(error) => {
                    error!(%error, "mails that wait cannot be looked for");
                    Vec::new()
                }
            };
            if due.is_empty() {
                let _ = tokio::time::timeout(LOOK_INTERVAL, self.0.put.notified()).await;
            }
            for letter in due {
                self.send(desk, courier, letter).await;
            }
        }
    }

    async fn send(&self, desk: &Desk, courier: &SharedCourier, mut posted: Posted) {
        // The draft or the case that it belongs to may be gone since.
        let Some(letter) = &posted.letter else { return };
        let sent = tokio::time::timeout(SEND_TIMEOUT, courier.send(letter, &posted.id)).await;
        let late = |_| Err(PluginError::unavailable(format!("no answer within {} s", SEND_TIMEOUT.as_secs())));
        match sent.unwrap_or_else(late) {
            Ok(()) => {
                self.0.sent.fetch_add(1, Relaxed);
                posted.sent(now_us());
                // Nothing else is sent before that is written down: it would be sent again. A draft's letter has a link in it, and goes.
                let keep = move |books: &mut Books| match posted.about {
                    About::Case(_) => Ok(books.book().update_letter(&posted)?),
                    About::Draft(_) => Ok(books.book().remove_letter(&posted.id)?),
                };
                self.until_kept(desk, keep).await;
            }
            Err(problem) => {
                let posted = self.failed(posted, &problem);
                self.until_kept(desk, move |books| Ok(books.book().update_letter(&posted)?)).await;
            }
        }
    }

    /// Neither the address nor the text stands in the host's own log.
    fn failed(&self, mut posted: Posted, problem: &PluginError) -> Posted {
        let failure = if problem.class.is_temporary() { Failure::ForNow } else { Failure::ForGood };
        posted.failed(failure, &problem.to_string(), now_us());
        self.0.failed.fetch_add(1, Relaxed);
        let Posted { id, subject, tries, .. } = &posted;
        if posted.is_given_up() {
            self.0.given_up.fetch_add(1, Relaxed);
            error!(letter = id, subject, tries, error = %problem, "a mail about a notice was given up");
        } else {
            warn!(letter = id, subject, tries, error = %problem, "a mail about a notice is sent again");
        }
        posted
    }

    async fn until_kept(&self, desk: &Desk, keep: impl Fn(&mut Books) -> Result<(), Refused> + Clone + Send + 'static) {
        while let Err(error) = desk.with(keep.clone()).await {
            error!(%error, "what became of a mail cannot be written down");
            tokio::time::sleep(STORE_PAUSE).await;
        }
    }
}

impl Books {
    /// Letters as they are put into the casebook; what there is no room for is dropped and counted.
    pub(super) fn posted(&mut self, about: &About, letters: Vec<Letter>) -> Result<Vec<Posted>, Refused> {
        if letters.is_empty() || !self.post.is_there() {
            return Ok(Vec::new());
        }
        let LetterCounts { waiting, .. } = self.book().letter_counts()?;
        let room = LETTERS_MAX.saturating_sub(waiting) as usize;
        if letters.len() > room {
            self.post.dropped((letters.len() - room) as u64);
        }
        let put = |letter| Posted::new(hex::encode(&salt()), about.clone(), letter, now_us());
        Ok(letters.into_iter().take(room).map(put).collect())
    }
}
