//! Notices about the broadcast: where they are taken in and kept, asked about, decided, and acted upon.
//!
//! [`Desk`] is what a host's pages and commands talk to. What it says it has done is on the log. A worker does the rest: it gathers evidence, asks
//! the handlers, carries out what they or the operator decide, looks at deadlines, and sends mails. The rules are those of
//! [`peerstream_takedown`]; nothing here decides a case.

mod books;
mod carrier;
mod desk;
mod files;
mod gather;
mod letters;
mod post;
mod refused;
mod rules;
mod work;

pub use carrier::Carrier;
pub use desk::{Desk, Draft, Notes, Order, Setup, Submitted};
pub use files::{CHUNK_BYTES_MAX, Part};
pub(crate) use gather::Indexed;
pub use refused::Refused;
pub use rules::{Confirmation, Rules};
pub use work::Compare;
pub(crate) use work::Work;
