//! What the transport counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one transport; they only grow.
#[derive(Debug, Default)]
pub struct Counters {
    malformed_signals: AtomicU64,
    pacer_dropped_datagrams: AtomicU64,
    links_opened: AtomicU64,
    links_failed: AtomicU64,
    links_down: AtomicU64,
    oversized_frames: AtomicU64,
    datagrams_sent: AtomicU64,
    datagrams_received: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Set-up messages that could not be read, came twice, or were more than a link takes.
    pub malformed_signals: u64,
    /// Datagrams dropped because too many waited for the pacer or the kernel refused them.
    pub pacer_dropped_datagrams: u64,
    /// Links that opened.
    pub links_opened: u64,
    /// Links that never opened.
    pub links_failed: u64,
    /// Open links that ended from elsewhere: the peer closed, went silent, or its connection broke.
    pub links_down: u64,
    /// Frames of peers above the limit; the link ends.
    pub oversized_frames: u64,
    /// Datagrams handed to the kernel.
    pub datagrams_sent: u64,
    /// Datagrams read.
    pub datagrams_received: u64,
}

macro_rules! increments {
    ($($method:ident => $field:ident),* $(,)?) => {
        impl Counters {
            $(pub(crate) fn $method(&self) {
                self.$field.fetch_add(1, Ordering::Relaxed);
            })*

            /// Reads all counters.
            pub fn snapshot(&self) -> Snapshot {
                Snapshot { $($field: self.$field.load(Ordering::Relaxed)),* }
            }
        }
    };
}

increments! {
    malformed_signal => malformed_signals,
    pacer_dropped => pacer_dropped_datagrams,
    link_opened => links_opened,
    link_failed => links_failed,
    link_down => links_down,
    oversized_frame => oversized_frames,
    datagram_sent => datagrams_sent,
    datagram_received => datagrams_received,
}
