//! What a link tells its owner, and how much the owner may send.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

use peerstream_sdk::traits::transport::{CREDIT_BYTES, LinkEvent, SendError};
use tokio::sync::{Notify, mpsc};

/// Frames are refused only beyond this, in bytes: a report of credit may cross frames that are on their way to us, and
/// those within the credit reported before must not be lost.
const ACCEPT_BYTES_MAX: usize = 2 * CREDIT_BYTES;
/// Credit is reported when it exceeds what the owner knows of by this much, in bytes; one frame always fits in it.
const REPORT_STEP_BYTES: usize = CREDIT_BYTES / 4;

/// The owner's end of a link: its event queue.
#[derive(Debug)]
pub(crate) struct Outbox {
    events: mpsc::Sender<LinkEvent>,
    /// Events put into the queue so far.
    queued: AtomicU64,
    /// The value of `queued` after the last report of credit.
    reported_at: AtomicU64,
    account: Arc<Account>,
    /// Wakes the task that reports.
    due: Notify,
}

/// Bytes the owner handed over and what became of them; shared with the owner's handle.
#[derive(Debug, Default)]
pub(crate) struct Account {
    open: AtomicBool,
    /// Handed over and not yet acknowledged by the peer.
    buffered: AtomicUsize,
    /// What the owner may still send by the last report, if it has seen it.
    owner_sees: AtomicUsize,
}

impl Account {
    /// Refuses frames from now on.
    pub(crate) fn close(&self) {
        self.open.store(false, SeqCst);
    }

    /// Takes a frame of `length` bytes into the account.
    pub(crate) fn take(&self, length: usize) -> Result<(), SendError> {
        if !self.open.load(SeqCst) {
            return Err(SendError::Closed);
        }
        // An empty frame costs memory too.
        let cost = length.max(1);
        let fits = |buffered: usize| (buffered + cost <= ACCEPT_BYTES_MAX).then_some(buffered + cost);
        self.buffered.fetch_update(SeqCst, SeqCst, fits).map_err(|_| SendError::Full)?;
        subtract(&self.owner_sees, cost);
        Ok(())
    }

    fn credit(&self) -> usize {
        CREDIT_BYTES.saturating_sub(self.buffered.load(SeqCst))
    }

    /// How much more there is than the owner knows of.
    fn growth(&self) -> usize {
        self.credit().saturating_sub(self.owner_sees.load(SeqCst))
    }
}

impl Outbox {
    pub(crate) fn new(events: mpsc::Sender<LinkEvent>, account: Arc<Account>) -> Self {
        let (queued, reported_at) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { events, queued, reported_at, account, due: Notify::new() }
    }

    /// Waits until the owner has room. Returns nothing when the owner is gone.
    pub(crate) async fn send(&self, event: LinkEvent) -> Option<()> {
        let permit = self.events.reserve().await.ok()?;
        self.queued.fetch_add(1, SeqCst);
        permit.send(event);
        Some(())
    }

    /// Waits until the owner is gone.
    pub(crate) async fn owner_gone(&self) {
        self.events.closed().await;
    }

    /// Reports that the link is open; from now on frames are taken.
    pub(crate) async fn up(&self) -> Option<()> {
        self.account.owner_sees.store(CREDIT_BYTES, SeqCst);
        self.account.open.store(true, SeqCst);
        self.send(LinkEvent::Up { credit: CREDIT_BYTES }).await
    }

    /// Refuses frames from now on.
    pub(crate) fn close(&self) {
        self.account.close();
    }

    /// Gives back what the peer has acknowledged, and has credit reported when that is worth an event.
    pub(crate) fn release(&self, bytes: usize) {
        subtract(&self.account.buffered, bytes);
        if self.report_is_due() {
            self.due.notify_one();
        }
    }

    /// Returns whether a report waits for the owner to read the one before; [`Self::release`] should then be called again.
    pub(crate) fn report_is_withheld(&self) -> bool {
        self.account.growth() >= REPORT_STEP_BYTES && self.last_report_is_unread(0)
    }

    /// Reports credit whenever due, at the value it has when the owner's queue has room. Ends by abort.
    pub(crate) async fn report_credit(&self) {
        loop {
            self.due.notified().await;
            let Ok(permit) = self.events.reserve().await else { return };
            // The permit occupies a place that no event has yet.
            if self.account.growth() < REPORT_STEP_BYTES || self.last_report_is_unread(1) {
                continue;
            }
            let credit = self.account.credit();
            self.account.owner_sees.store(credit, SeqCst);
            self.reported_at.store(self.queued.fetch_add(1, SeqCst) + 1, SeqCst);
            permit.send(LinkEvent::Writable { credit });
        }
    }

    /// Two unread reports would add up in the owner's hands.
    fn report_is_due(&self) -> bool {
        self.account.growth() >= REPORT_STEP_BYTES && !self.last_report_is_unread(0)
    }

    fn last_report_is_unread(&self, permits: usize) -> bool {
        let waiting = self.events.max_capacity() - self.events.capacity() - permits;
        let read = self.queued.load(SeqCst).saturating_sub(waiting as u64);
        self.reported_at.load(SeqCst) > read
    }
}

fn subtract(from: &AtomicUsize, amount: usize) {
    from.fetch_update(SeqCst, SeqCst, |value| Some(value.saturating_sub(amount))).expect("always a value");
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn opened(queue: usize) -> (Arc<Outbox>, Arc<Account>, mpsc::Receiver<LinkEvent>) {
        let (events, mut receiver) = mpsc::channel(queue);
        let account = Arc::new(Account::default());
        let outbox = Arc::new(Outbox::new(events, Arc::clone(&account)));
        assert_eq!(account.take(1), Err(SendError::Closed));
        outbox.up().await.unwrap();
        assert!(matches!(receiver.recv().await, Some(LinkEvent::Up { credit: CREDIT_BYTES })));
        let reporter = Arc::clone(&outbox);
        tokio::spawn(async move { reporter.report_credit().await });
        (outbox, account, receiver)
    }

    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn credit_comes_back_in_steps_worth_an_event() {
        let (outbox, account, mut events) = opened(8).await;
        account.take(CREDIT_BYTES).unwrap();
        outbox.release(REPORT_STEP_BYTES - 1);
        settle().await;
        assert!(events.try_recv().is_err());
        outbox.release(1);
        assert!(matches!(events.recv().await, Some(LinkEvent::Writable { credit: REPORT_STEP_BYTES })));
    }

    #[tokio::test]
    async fn an_owner_that_does_not_read_is_told_once_and_the_newest() {
        let (outbox, account, mut events) = opened(8).await;
        account.take(CREDIT_BYTES).unwrap();
        for _ in 0..3 {
            outbox.release(REPORT_STEP_BYTES);
            settle().await;
        }
        assert!(matches!(events.try_recv(), Ok(LinkEvent::Writable { credit: REPORT_STEP_BYTES })));
        assert!(events.try_recv().is_err());
        outbox.release(0);
        settle().await;
        let all = 3 * REPORT_STEP_BYTES;
        assert!(matches!(events.try_recv(), Ok(LinkEvent::Writable { credit }) if credit == all));
    }

    #[tokio::test]
    async fn frames_within_any_reported_credit_are_taken_and_memory_is_bounded() {
        let (outbox, account, _events) = opened(8).await;
        assert_eq!(account.take(ACCEPT_BYTES_MAX), Ok(()));
        assert_eq!(account.take(0), Err(SendError::Full));
        outbox.close();
        assert_eq!(account.take(0), Err(SendError::Closed));
    }
}
