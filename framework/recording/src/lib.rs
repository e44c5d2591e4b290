//! What a recording is as data: which broadcast it is of, its parts, what it says that it holds, and whether all of that is true.
//!
//! [`Check`] verifies a recording item by item against the publisher's key; [`bundle`] is the evidence bundle, a part of a recording
//! in one file that anybody can verify offline. Nothing here reads files or asks for the time, so the same code runs in an archive, at a
//! command line and in a page.

pub mod bundle;
mod check;
mod finding;
pub mod fuzz;
mod item;
mod line;
mod manifest;
mod meta;
mod moment;
pub mod playlist;

pub use check::{Check, INITS_MAX, Payload};
pub use finding::{FINDINGS_MAX, Fault, Finding, Report, Resumption};
pub use item::{Item, Segment};
pub use line::{LINE_BYTES, LINES_MAX, Line};
pub use manifest::{GAPS_MAX, Manifest};
pub use meta::{StreamMeta, UnprovenMeta};
pub use moment::Moment;
