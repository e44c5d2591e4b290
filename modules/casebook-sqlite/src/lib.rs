//! Cases in an embedded SQLite database: one file, written by one process at a time.
//!
//! What it has said it keeps is on the disk. An entry of the log, the case after it and its records are one transaction. What is erased is
//! overwritten in the file, and in what waits to be written to it.

mod book;
mod schema;

pub use book::Sqlite;
