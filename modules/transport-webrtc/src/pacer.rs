//! How fast datagrams may leave: a clockless allowance and a bounded queue.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// After a late wake-up the pacer catches up for at most this long; more would be the burst it is there to prevent.
const CATCH_UP: Duration = Duration::from_millis(4);

/// A datagram that waits.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Box<[u8]>,
}

/// The queue of one socket and what it may send now. Told the time, never asks.
#[derive(Debug)]
pub(crate) struct Pacer {
    queue: VecDeque<Datagram>,
    queue_max: usize,
    per_ms: u32,
    /// Thousandths of a datagram, so that time in microseconds converts without loss.
    allowance: u64,
    updated: Duration,
}

impl Pacer {
    pub(crate) fn new(per_ms: u32, queue_max: usize) -> Self {
        let mut pacer = Self { queue: VecDeque::new(), queue_max, per_ms, allowance: 0, updated: Duration::ZERO };
        pacer.allowance = pacer.allowance_max();
        pacer
    }

    /// Takes one datagram off the allowance when nothing waits, so that the caller may send at once.
    pub(crate) fn take_turn(&mut self, now: Duration) -> bool {
        self.refill(now);
        if !self.queue.is_empty() || self.allowance < 1000 {
            return false;
        }
        self.allowance -= 1000;
        true
    }

    /// Queues a datagram; a full queue refuses it.
    pub(crate) fn push(&mut self, datagram: Datagram) -> bool {
        let fits = self.queue.len() < self.queue_max;
        if fits {
            self.queue.push_back(datagram);
        }
        fits
    }

    /// Returns the next datagram that may leave now.
    pub(crate) fn pop(&mut self, now: Duration) -> Option<Datagram> {
        self.refill(now);
        if self.allowance < 1000 {
            return None;
        }
        let datagram = self.queue.pop_front()?;
        self.allowance -= 1000;
        Some(datagram)
    }

    /// Puts back what the kernel would not take yet.
    pub(crate) fn put_back(&mut self, datagram: Datagram) {
        self.queue.push_front(datagram);
    }

    /// Returns the next datagram whatever the allowance, for a socket that is about to close.
    pub(crate) fn pop_last_words(&mut self) -> Option<Datagram> {
        self.queue.pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn allowance_max(&self) -> u64 {
        u64::from(self.per_ms) * CATCH_UP.as_micros() as u64
    }

    fn refill(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.updated).min(CATCH_UP).as_micros() as u64;
        self.updated = now;
        self.allowance = (self.allowance + elapsed * u64::from(self.per_ms)).min(self.allowance_max());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1);

    fn datagram() -> Datagram {
        Datagram { to: SocketAddr::from(([127, 0, 0, 1], 1)), bytes: Box::from([0; 4]) }
    }

    fn drained(pacer: &mut Pacer, now: Duration) -> usize {
        std::iter::from_fn(|| pacer.pop(now)).count()
    }

    #[test]
    fn the_rate_holds_over_time() {
        let mut pacer = Pacer::new(4, 4096);
        while pacer.push(datagram()) {}
        let burst = drained(&mut pacer, START);
        let later: usize = (1..=100).map(|ms| drained(&mut pacer, START + Duration::from_millis(ms))).sum();
        assert_eq!((burst, later), (16, 400));
    }

    #[test]
    fn a_late_wake_up_does_not_become_a_burst() {
        let mut pacer = Pacer::new(4, 4096);
        while pacer.push(datagram()) {}
        drained(&mut pacer, START);
        assert_eq!(drained(&mut pacer, START + Duration::from_secs(1)), 16);
    }

    #[test]
    fn a_full_queue_refuses() {
        let mut pacer = Pacer::new(1, 2);
        assert_eq!([pacer.push(datagram()), pacer.push(datagram()), pacer.push(datagram())], [true, true, false]);
    }

    #[test]
    fn nothing_overtakes_what_waits() {
        let mut pacer = Pacer::new(4, 16);
        assert!(pacer.take_turn(START));
        pacer.push(datagram());
        assert!(!pacer.take_turn(START), "one waits");
        assert!(pacer.pop(START).is_some());
        assert!(pacer.take_turn(START));
    }
}
