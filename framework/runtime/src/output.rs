//! What a node delivers, in order, to whoever plays or writes it.
//!
//! The reader may be slow or stand still (a paused player): relaying must not. So the queue never makes the node wait;
//! past its bound the oldest segments are dropped and the reader is told of the gap.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use peerstream_protocol::control::Reason;
use peerstream_protocol::crypto::PublicKey;
use peerstream_protocol::id::Seq;
use peerstream_protocol::segment::{Init, Kind};
use tokio::sync::Notify;

/// Payload bytes that wait for a slow reader: about a minute of 4 Mbit/s.
pub const OUTPUT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Segments and other items that wait for a slow reader.
pub const OUTPUT_ITEMS_MAX: usize = 8192;

/// Why segments are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The overlay did not bring them in time.
    Lost,
    /// The reader was too slow to take them.
    SlowReader,
}

/// One thing for the reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// An epoch begins; what came before does not continue.
    Begin(Kind),
    /// The codec header of the segments that follow.
    Init(Init),
    /// A verified segment.
    Segment {
        /// Its number in the epoch.
        seq: Seq,
        /// Its payload.
        bytes: Bytes,
    },
    /// Segments that will not come: `from` up to, not including, `to`.
    Gap {
        /// The first one.
        from: Seq,
        /// The first one after the gap.
        to: Seq,
        /// Why.
        cause: Cause,
    },
    /// The epoch has ended.
    Ended,
    /// The coordinator turned the node away.
    Refused(Reason),
    /// The stream offered has another publisher than the expected one.
    WrongPublisher(PublicKey),
}

impl Delivery {
    fn cost(&self) -> usize {
        match self {
            Self::Segment { bytes, .. } => bytes.len(),
            Self::Init(init) => init.bytes.len(),
            _ => 0,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Delivery>,
    bytes: usize,
    dropped: u64,
    writer_gone: bool,
    reader_gone: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

/// The node's end; never waits.
#[derive(Debug)]
pub(crate) struct Writer(Arc<Shared>);

/// The application's end.
#[derive(Debug)]
pub struct Reader(Arc<Shared>);

/// A queue of at most [`OUTPUT_BYTES_MAX`] bytes and [`OUTPUT_ITEMS_MAX`] items.
pub(crate) fn queue() -> (Writer, Reader) {
    let shared = Arc::new(Shared::default());
    (Writer(shared.clone()), Reader(shared))
}

impl Writer {
    /// Appends an item; drops the oldest segments when the bound is passed.
    pub(crate) fn push(&self, item: Delivery) {
        let mut state = self.0.state.lock().expect("no holder panics");
        if state.reader_gone {
            return;
        }
        state.bytes += item.cost();
        match (state.items.back_mut(), item) {
            (Some(Delivery::Gap { to, cause, .. }), Delivery::Gap { from, to: end, cause: other })
                if *to == from && *cause == other =>
            {
                *to = end;
            }
            (_, item) => state.items.push_back(item),
        }
        state.enforce_bounds();
        drop(state);
        self.0.changed.notify_one();
    }

    /// Segments dropped because the reader was too slow.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.state.lock().expect("no holder panics").dropped
    }
}

impl State {
    fn enforce_bounds(&mut self) {
        while self.bytes > OUTPUT_BYTES_MAX || self.items.len() > OUTPUT_ITEMS_MAX {
            let Some(index) = self.items.iter().position(|item| matches!(item, Delivery::Segment { .. })) else {
                break;
            };
            self.drop_segment(index);
        }
        // Only a publisher that changes its init or gaps with every segment gets here.
        while self.items.len() > OUTPUT_ITEMS_MAX {
            let item = self.items.pop_front();
            self.bytes -= item.map_or(0, |item| item.cost());
        }
    }

    fn drop_segment(&mut self, index: usize) {
        let Some(Delivery::Segment { seq, bytes }) = self.items.remove(index) else { return };
        self.bytes -= bytes.len();
        self.dropped += 1;
        if let Some(Delivery::Gap { to, cause: Cause::SlowReader, .. }) =
            index.checked_sub(1).and_then(|before| self.items.get_mut(before))
            && *to == seq
        {
            *to = seq.next();
        } else {
            self.items.insert(index, Delivery::Gap { from: seq, to: seq.next(), cause: Cause::SlowReader });
        }
    }
}

impl Reader {
    /// The next item; `None` when the node has ended and everything was read. Safe to cancel.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            let changed = self.0.changed.notified();
            {
                let mut state = self.0.state.lock().expect("no holder panics");
                if let Some(item) = state.items.pop_front() {
                    state.bytes -= item.cost();
                    return Some(item);
                }
                if state.writer_gone {
                    return None;
                }
            }
            changed.await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.state.lock().expect("no holder panics").writer_gone = true;
        self.0.changed.notify_one();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().expect("no holder panics");
        state.reader_gone = true;
        state.items.clear();
        state.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn segment(seq: u64, len: usize) -> Delivery {
        Delivery::Segment { seq: Seq(seq), bytes: Bytes::from(vec![seq as u8; len]) }
    }

    fn gap(from: u64, to: u64, cause: Cause) -> Delivery {
        Delivery::Gap { from: Seq(from), to: Seq(to), cause }
    }

    async fn drain(mut reader: Reader) -> Vec<Delivery> {
        let mut all = Vec::new();
        while let Some(item) = reader.next().await {
            all.push(item);
        }
        all
    }

    #[tokio::test]
    async fn slow_reader_gets_one_gap_and_then_the_newest_segments() {
        let (writer, reader) = queue();
        writer.push(Delivery::Begin(Kind::Data));
        (0..40).for_each(|seq| writer.push(segment(seq, MIB)));
        assert_eq!(writer.dropped(), 8);
        drop(writer);
        let all = drain(reader).await;
        assert_eq!(all[..3], [Delivery::Begin(Kind::Data), gap(0, 8, Cause::SlowReader), segment(8, MIB)]);
        assert_eq!(all.len(), 2 + 32);
    }

    #[tokio::test]
    async fn number_of_small_items_is_bounded() {
        let (writer, reader) = queue();
        (0..OUTPUT_ITEMS_MAX as u64 * 2).for_each(|seq| writer.push(segment(seq, 1)));
        drop(writer);
        assert_eq!(drain(reader).await.len(), OUTPUT_ITEMS_MAX);
    }

    #[tokio::test]
    async fn adjacent_gaps_are_told_as_one() {
        let (writer, reader) = queue();
        writer.push(gap(3, 5, Cause::Lost));
        writer.push(gap(5, 6, Cause::Lost));
        drop(writer);
        assert_eq!(drain(reader).await, [gap(3, 6, Cause::Lost)]);
    }

    #[tokio::test]
    async fn segments_for_a_reader_that_is_gone_are_not_kept() {
        let (writer, reader) = queue();
        drop(reader);
        writer.push(segment(0, MIB));
        assert_eq!(writer.0.state.lock().unwrap().items.len(), 0);
    }
}
