//! Cases in a PostgreSQL database, written by one host at a time.
//!
//! A host holds a lock of the database for as long as it is connected: a second one is refused, and a host that has lost its connection writes
//! nothing before it has the lock again. An entry of the log, the case after it, its records and its letters are one transaction. The
//! database itself refuses to change or delete entries.

mod address;
mod book;
mod schema;
mod session;

pub use book::Postgres;
