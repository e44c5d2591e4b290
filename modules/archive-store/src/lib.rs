//! Recordings as objects: on the local disk, or in S3 and what speaks like it.
//!
//! A segment is appended to a *block* in the spool, a folder on the local disk, and counts as kept once it is there. A block is closed at a key
//! frame after some seconds or bytes; then the [`courier`] writes it as one object beside an object with its index, and the file in the spool
//! goes. So the local disk and S3 are one path, and a backend that is away costs room in the spool and nothing else.
//!
//! The spool, `.spool/STREAM-EPOCH/` in the folder of the config:
//!
//! - `NUMBER.open`: the block that is written, named by its first segment; entries one after the other, each with its lengths and checksums
//!   (`entry.rs`). What a crash has cut short is cut off at the next start, and said;
//! - `NUMBER.block`: blocks that wait for the courier;
//! - `index`: a record of fixed size for each segment, in order, with where it is (`index.rs`). It stays, so that a day is listed without a
//!   look at the backend;
//! - `meta.json`, `manifest.json`, `restrictions.json`, `inits/ID`: documents, whole or not there; `NAME.unsent` beside one says that the
//!   backend does not have it yet;
//! - `chores.json`: blocks whose objects are to be erased or deleted.
//!
//! The objects: `STREAM-EPOCH/` with the documents, `inits/ID`, and `blocks/NUMBER.dat` and `.idx`. They are enough to read and verify a recording
//! without the spool.

mod backend;
mod block;
mod chores;
mod config;
mod courier;
mod document;
mod entry;
#[doc(hidden)]
pub mod fuzz;
mod index;
mod recording;
mod restrictions;
mod retention;
mod spool;
mod store;
mod summary;
mod view;

peerstream_sdk::export_plugin! { archive: Store }

pub use config::{Config, S3, Sync};
pub use store::Store;
