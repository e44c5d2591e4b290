//! The rules that every casebook keeps.

use peerstream_casebook_sqlite::Sqlite;
use peerstream_sdk::testkit::casebook::Place;
use peerstream_sdk::traits::casebook::BoxedCasebook;

/// A file in a folder of its own, which goes with the function that opens it.
fn fresh() -> Place {
    let folder = tempfile::tempdir().unwrap();
    Box::new(move || Ok(Box::new(Sqlite::open(&folder.path().join("cases.sqlite"))?) as BoxedCasebook))
}

peerstream_sdk::casebook_suite!(fresh);
