//! Puts RTP packets in order, and says when one is lost for good.

use std::collections::BTreeMap;
use std::time::Duration;

/// Packets that wait for one before them.
pub const WAITING_MAX: usize = 512;
/// A missing packet is waited for this long after the first one behind it: two rounds of asking again over 75 ms.
pub const PATIENCE: Duration = Duration::from_millis(150);

/// What comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ordered<T> {
    /// The next packet.
    Packet(T),
    /// So many packets are lost here.
    Lost(u64),
}

/// Puts packets in order by their 16-bit numbers. Told the time, never asks.
#[derive(Debug)]
pub struct Reorder<T> {
    /// The number that is due, unwrapped.
    next: Option<i64>,
    waiting: BTreeMap<i64, (Duration, T)>,
    /// Packets that came twice or too late.
    late: u64,
}

impl<T> Default for Reorder<T> {
    fn default() -> Self {
        Self { next: None, waiting: BTreeMap::new(), late: 0 }
    }
}

impl<T> Reorder<T> {
    /// Takes a packet that arrives now.
    pub fn push(&mut self, number: u16, packet: T, now: Duration) -> Vec<Ordered<T>> {
        let next = *self.next.get_or_insert(i64::from(number));
        // The nearest number with these 16 bits.
        let step = i64::from(number.wrapping_sub(next as u16) as i16);
        let at = next + step;
        if step < 0 || self.waiting.contains_key(&at) {
            self.late += 1;
            return Vec::new();
        }
        self.waiting.insert(at, (now, packet));
        self.ready(now)
    }

    /// What is in order, or was waited for long enough.
    pub fn ready(&mut self, now: Duration) -> Vec<Ordered<T>> {
        let mut ready = Vec::new();
        while let (Some(next), Some(first)) = (self.next, self.waiting.first_entry()) {
            let (number, since) = (*first.key(), first.get().0);
            let waits = number > next;
            if waits && now.saturating_sub(since) < PATIENCE && self.waiting.len() <= WAITING_MAX {
                break;
            }
            if waits {
                ready.push(Ordered::Lost(number.abs_diff(next)));
            }
            self.next = Some(number + 1);
            ready.extend(self.waiting.pop_first().map(|(_, (_, packet))| Ordered::Packet(packet)));
        }
        ready
    }

    /// Packets that came twice or too late, and were dropped.
    pub fn late(&self) -> u64 {
        self.late
    }
}

#[cfg(test)]
mod tests {
    use super::Ordered::{Lost, Packet};
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn swapped_packets_come_out_in_order_across_the_wrap() {
        let mut reorder = Reorder::default();
        assert_eq!(reorder.push(65_535, 'a', MS), [Packet('a')]);
        assert_eq!(reorder.push(1, 'c', MS), []);
        assert_eq!(reorder.push(0, 'b', MS), [Packet('b'), Packet('c')]);
        assert_eq!((reorder.push(0, 'b', MS), reorder.late()), (vec![], 1));
    }

    #[test]
    fn a_missing_packet_is_waited_for_and_then_lost() {
        let mut reorder = Reorder::default();
        assert_eq!(reorder.push(7, 'a', MS), [Packet('a')]);
        assert_eq!(reorder.push(10, 'd', MS), []);
        assert_eq!(reorder.ready(PATIENCE), []);
        assert_eq!(reorder.ready(PATIENCE + MS), [Lost(2), Packet('d')]);
        assert_eq!(reorder.push(8, 'b', 300 * MS), [], "too late");
    }

    proptest::proptest! {
        #[test]
        fn what_comes_out_goes_up_and_the_memory_is_bounded(numbers in proptest::collection::vec(0u16.., 0..2_000)) {
            let (mut reorder, mut last) = (Reorder::default(), None);
            for (at, number) in numbers.into_iter().enumerate() {
                for ordered in reorder.push(number, number, MS * at as u32) {
                    if let Packet(number) = ordered {
                        let forward = last.is_none_or(|last: u16| (number.wrapping_sub(last) as i16) != 0);
                        proptest::prop_assert!(forward);
                        last = Some(number);
                    }
                }
                proptest::prop_assert!(reorder.waiting.len() <= WAITING_MAX + 1);
            }
        }
    }
}
