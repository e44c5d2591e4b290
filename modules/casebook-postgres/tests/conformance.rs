//! The rules that every casebook keeps, with a real PostgreSQL.
#![cfg(unix)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use peerstream_casebook_postgres::Postgres;
use peerstream_sdk::testkit::casebook;
use peerstream_sdk::traits::casebook::BoxedCasebook;

use common::Server;

/// One test, so that there is one server, which goes with it.
#[test]
fn every_rule_of_casebooks_holds() {
    let Some(server) = Server::start() else { return };
    let (server, count) = (Arc::new(server), AtomicU32::new(0));
    let make = casebook::of(move || {
        let database = server.database(&format!("cases{}", count.fetch_add(1, Relaxed)));
        Box::new(move || Ok(Box::new(Postgres::open(&database)?) as BoxedCasebook))
    });
    for rule in casebook::RULES {
        println!("{}", rule.name);
        if let Err(broken) = rule.run(&make) {
            panic!("{broken}");
        }
    }
}
