//! What is going to happen, in order of time: a calendar queue (Brown, CACM 1988) with a heap for what is far off.
//!
//! Events of the same time come out in the order in which they were put in, so that a run can be repeated.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use peerstream_protocol::time::Micros;

/// A slot holds the events of 2^10 microseconds.
const SLOT_BITS: u32 = 10;
/// Slots of the calendar: half a second, which nearly all events are within. Each slot that is in use keeps the memory of the fullest
/// one, so that more of them would cost more than the heap.
const SLOTS: u64 = 512;

#[derive(Debug)]
struct Entry<E> {
    at: Micros,
    order: u64,
    event: E,
}

impl<E> Entry<E> {
    fn key(&self) -> (Micros, u64) {
        (self.at, self.order)
    }

    fn slot(&self) -> u64 {
        self.at.0 >> SLOT_BITS
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl<E> Eq for Entry<E> {}
impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// Events by time.
#[derive(Debug)]
pub struct Queue<E> {
    /// The events of the present slot, the next one last.
    current: Vec<Entry<E>>,
    /// What was added to the present slot, or before it, since it was sorted.
    late: BinaryHeap<Reverse<Entry<E>>>,
    slots: Vec<Vec<Entry<E>>>,
    far: BinaryHeap<Reverse<Entry<E>>>,
    /// The number of the present slot.
    slot: u64,
    in_slots: usize,
    added: u64,
    /// Buffers of slots that are over.
    spare: Vec<Vec<Entry<E>>>,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self {
            current: Vec::new(),
            late: BinaryHeap::new(),
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            far: BinaryHeap::new(),
            slot: 0,
            in_slots: 0,
            added: 0,
            spare: Vec::new(),
        }
    }
}

impl<E> Queue<E> {
    /// Adds an event.
    pub fn push(&mut self, at: Micros, event: E) {
        self.added += 1;
        let entry = Entry { at, order: self.added, event };
        match entry.slot() {
            slot if slot <= self.slot => self.late.push(Reverse(entry)),
            slot if slot < self.slot + SLOTS => self.put(entry),
            _ => self.far.push(Reverse(entry)),
        }
    }

    /// Takes the next event, if it is due by then.
    pub fn pop(&mut self, until: Micros) -> Option<(Micros, E)> {
        while self.current.is_empty() && self.late.is_empty() {
            if self.slot >= until.0 >> SLOT_BITS || !self.turn() {
                return None;
            }
        }
        let late = self.late.peek().is_some_and(|Reverse(late)| self.current.last().is_none_or(|next| late < next));
        let next = if late { self.late.peek().map(|Reverse(late)| late) } else { self.current.last() };
        if next.is_none_or(|next| next.at > until) {
            return None;
        }
        let next = if late { self.late.pop().map(|Reverse(late)| late) } else { self.current.pop() };
        next.map(|entry| (entry.at, entry.event))
    }

    fn put(&mut self, entry: Entry<E>) {
        let slot = &mut self.slots[(entry.slot() % SLOTS) as usize];
        if slot.capacity() == 0 {
            *slot = self.spare.pop().unwrap_or_default();
        }
        slot.push(entry);
        self.in_slots += 1;
    }

    /// Turns to the next slot; false when there is nothing any more.
    fn turn(&mut self) -> bool {
        if self.in_slots == 0 {
            let Some(Reverse(next)) = self.far.peek() else { return false };
            self.slot = next.slot() - 1;
        }
        self.slot += 1;
        while self.far.peek().is_some_and(|Reverse(next)| next.slot() < self.slot + SLOTS) {
            let Some(Reverse(next)) = self.far.pop() else { break };
            self.put(next);
        }
        let slot = &mut self.slots[(self.slot % SLOTS) as usize];
        if slot.is_empty() {
            return true;
        }
        let old = std::mem::replace(&mut self.current, std::mem::take(slot));
        self.spare.push(old);
        self.in_slots -= self.current.len();
        self.current.sort_unstable_by(|a, b| b.cmp(a));
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn events_come_out_in_order_of_time_and_then_of_arrival(
            steps in prop::collection::vec((0_u64..20_000_000, 0_u64..3_000_000), 1..200),
        ) {
            let mut queue = Queue::default();
            let mut expected: Vec<(Micros, usize)> = Vec::new();
            let mut now = Micros(0);
            let mut got = Vec::new();
            for (index, (after, step)) in steps.iter().enumerate() {
                let at = now + Micros(after / 1_000 * 1_000);
                queue.push(at, index);
                expected.push((at, index));
                now += Micros(*step);
                got.extend(std::iter::from_fn(|| queue.pop(now)));
            }
            got.extend(std::iter::from_fn(|| queue.pop(Micros(u64::MAX))));
            expected.sort();
            prop_assert_eq!(got, expected);
        }
    }
}
