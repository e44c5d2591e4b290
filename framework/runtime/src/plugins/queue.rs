//! What waits for a plug-in: bounded in number and bytes, and nobody ever waits to put something in.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::options::WhenFull;

/// A queue with two bounds.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    items_max: usize,
    bytes_max: usize,
    when_full: WhenFull,
    inner: Mutex<Inner<T>>,
    changed: Notify,
}

#[derive(Debug)]
struct Inner<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new(items_max: usize, bytes_max: usize, when_full: WhenFull) -> Self {
        let inner = Inner { items: VecDeque::new(), bytes: 0, closed: false };
        Self { items_max, bytes_max, when_full, inner: Mutex::new(inner), changed: Notify::new() }
    }

    /// Puts an item of so many bytes in, and says what had to be dropped for that: the item itself when there is no room
    /// for it.
    pub(crate) fn push(&self, item: T, bytes: usize) -> Vec<T> {
        let mut inner = self.lock();
        if inner.closed || bytes > self.bytes_max {
            return vec![item];
        }
        let dropped = self.make_room(&mut inner, bytes);
        if !self.has_room(&inner, bytes) {
            drop(inner);
            return dropped.into_iter().chain([item]).collect();
        }
        inner.bytes += bytes;
        inner.items.push_back((item, bytes));
        drop(inner);
        self.changed.notify_one();
        dropped
    }

    fn has_room(&self, inner: &Inner<T>, bytes: usize) -> bool {
        inner.items.len() < self.items_max && inner.bytes + bytes <= self.bytes_max
    }

    fn make_room(&self, inner: &mut Inner<T>, bytes: usize) -> Vec<T> {
        let mut dropped = Vec::new();
        while !self.has_room(inner, bytes) {
            match self.when_full {
                WhenFull::DropNewest => break,
                WhenFull::DropOldest => dropped.extend(inner.pop()),
                WhenFull::Sample => inner.thin(&mut dropped),
            }
            if inner.items.is_empty() {
                break;
            }
        }
        dropped
    }

    /// At most so many items, once there is one and others have had this time to come. Nothing when the queue is closed and
    /// empty. Safe to cancel.
    pub(crate) async fn batch(&self, items_max: usize, linger: Duration) -> Option<Vec<T>> {
        self.until(|inner| !inner.items.is_empty(), None).await;
        let by = Instant::now() + linger;
        self.until(|inner| inner.items.len() >= items_max, Some(by)).await;
        let mut inner = self.lock();
        let batch: Vec<_> = std::iter::from_fn(|| inner.pop()).take(items_max).collect();
        (!batch.is_empty()).then_some(batch)
    }

    /// Waits until something holds, the queue is closed, or this time.
    async fn until(&self, holds: impl Fn(&Inner<T>) -> bool, by: Option<Instant>) {
        loop {
            let changed = self.changed.notified();
            {
                let inner = self.lock();
                if inner.closed || holds(&inner) {
                    return;
                }
            }
            match by {
                Some(by) => {
                    if timeout_at(by, changed).await.is_err() {
                        return;
                    }
                }
                None => changed.await,
            }
        }
    }

    /// Nothing more goes in; what is there can still be taken out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Closes it and gives what was left.
    pub(crate) fn clear(&self) -> Vec<T> {
        let mut inner = self.lock();
        inner.closed = true;
        let left = std::iter::from_fn(|| inner.pop()).collect();
        drop(inner);
        self.changed.notify_one();
        left
    }

    /// Items that wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Bytes that wait.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().expect("no holder panics")
    }
}

impl<T> Inner<T> {
    fn pop(&mut self) -> Option<T> {
        let (item, bytes) = self.items.pop_front()?;
        self.bytes -= bytes;
        Some(item)
    }

    /// Drops every second item, the oldest first.
    fn thin(&mut self, dropped: &mut Vec<T>) {
        for (index, (item, bytes)) in std::mem::take(&mut self.items).into_iter().enumerate() {
            if index % 2 == 0 {
                self.bytes -= bytes;
                dropped.push(item);
            } else {
                self.items.push_back((item, bytes));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn full(when_full: WhenFull) -> Vec<u32> {
        let queue = Queue::new(4, 1_000, when_full);
        (0..6).for_each(|item| drop(queue.push(item, 1)));
        queue.clear()
    }

    #[test]
    fn a_full_queue_drops_what_its_policy_says() {
        assert_eq!(full(WhenFull::DropOldest), [2, 3, 4, 5]);
        assert_eq!(full(WhenFull::DropNewest), [0, 1, 2, 3]);
        assert_eq!(full(WhenFull::Sample), [1, 3, 4, 5]);
    }

    #[test]
    fn an_item_larger_than_the_queue_pushes_nobody_out() {
        let queue = Queue::new(4, 10, WhenFull::DropOldest);
        queue.push(1, 5);
        assert_eq!(queue.push(2, 11), [2]);
        assert_eq!(queue.clear(), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_item_waits_for_others_as_long_as_it_lingers() {
        let queue = Queue::new(100, 1_000, WhenFull::DropOldest);
        queue.push(1, 1);
        let began = Instant::now();
        let linger = Duration::from_millis(500);
        assert_eq!(queue.batch(3, linger).await, Some(vec![1]));
        assert_eq!(began.elapsed(), linger);
        (2..6).for_each(|item| drop(queue.push(item, 1)));
        let began = Instant::now();
        assert_eq!(queue.batch(3, linger).await, Some(vec![2, 3, 4]));
        assert_eq!(began.elapsed(), Duration::ZERO);
        queue.close();
        assert_eq!((queue.batch(3, linger).await, queue.batch(3, linger).await), (Some(vec![5]), None));
        assert_eq!(queue.push(6, 1), [6]);
    }

    proptest! {
        #[test]
        fn never_more_than_the_bounds_and_nothing_is_lost_uncounted(
            items_max in 1usize..20,
            bytes_max in 1usize..200,
            policy in prop_oneof![Just(WhenFull::DropOldest), Just(WhenFull::DropNewest), Just(WhenFull::Sample)],
            pushes in prop::collection::vec((0usize..60, prop::bool::weighted(0.2)), 0..200),
        ) {
            let queue = Queue::new(items_max, bytes_max, policy);
            let (mut dropped, mut taken) = (0, 0);
            for (index, (bytes, take)) in pushes.iter().enumerate() {
                dropped += queue.push(index, *bytes).len();
                prop_assert!(queue.len() <= items_max && queue.bytes() <= bytes_max);
                if *take {
                    taken += usize::from(queue.lock().pop().is_some());
                }
            }
            prop_assert_eq!(pushes.len(), dropped + taken + queue.clear().len());
            prop_assert_eq!(queue.bytes(), 0);
        }
    }
}
