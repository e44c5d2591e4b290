//! The traits of the asynchronous plug-ins, one file each.
//!
//! A *doer* has effects (sockets, files, processes) and lives in a crate under `modules/`. It never decides where a
//! node goes; the deciders' traits are in `peerstream-overlay`.

pub mod ingest;
pub mod transport;
