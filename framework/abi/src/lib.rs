//! The binary interface between a host and a plug-in loaded from a dynamic library.
//!
//! One exported symbol gives a table of eight functions ([`Api`]); kinds and methods are numbers ([`op`]). Deciders are called
//! with batches of fixed [`Event`](record::Event) records and answer with [`Op`](record::Op) records; all else is JSON with a
//! payload of bytes beside it. Memory never changes hands: what goes in is borrowed for the call, what comes out is written
//! into a sink of the host. The same in C: `plugin-sdk/include/peerstream_plugin.h`, whose sizes and offsets a test compares.
//!
//! The crate only lays out bytes; it loads nothing and calls nothing.

pub mod api;
#[doc(hidden)]
pub mod fuzz;
pub mod lane;
pub mod message;
pub mod op;
pub mod record;
pub mod status;

pub use api::{Api, Batch, Bytes, Host, Out};
pub use status::Status;

/// The major version of this interface. It has nothing to do with the version of the product. Zero promises nothing: host and
/// plug-in must have the same minor version too.
pub const ABI_MAJOR: u32 = 0;
/// The minor version of this interface.
pub const ABI_MINOR: u32 = 1;
/// How the table begins.
pub const MAGIC: [u8; 8] = *b"PSPLUGIN";
/// The name of the one exported function, which gives the table: `const ps_plugin_api *peerstream_plugin_v0(void)`.
pub const SYMBOL: &str = "peerstream_plugin_v0";
/// A manifest, options or a message are no larger, in bytes.
pub const JSON_BYTES_MAX: usize = 1 << 20;
/// A payload beside a message is no larger, in bytes: a segment with its header.
pub const PAYLOAD_BYTES_MAX: usize = 8 << 20;
/// Lines of a recording's index in one answer, at most.
pub const INDEX_LINES_MAX: usize = 1 << 16;
