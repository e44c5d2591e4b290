//! TLS to a real PostgreSQL whose certificate is known, and to one whose is not. A file of its own, as it changes whom the process trusts.
#![cfg(unix)]

mod common;

use std::path::Path;
use std::process::Command;

use peerstream_casebook_postgres::Postgres;
use peerstream_sdk::traits::Secret;

use common::Server;

const CONFIG: &str = "ssl = on\nssl_cert_file = 'FOLDER/server.crt'\nssl_key_file = 'FOLDER/server.key'\n";

/// An authority, and a certificate for `localhost`. The server takes no key that others may read, so that it gets a copy of its own.
fn certify(folder: &Path) {
    let openssl = |arguments: &str| {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt");
    openssl("req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr");
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl("x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt");
}

#[test]
fn the_servers_certificate_is_checked_wherever_tls_is_asked_for() {
    let Some(server) = Server::with(CONFIG, certify) else { return };
    let url = server.database("cases");
    let asks = |host: &str| Secret::new(format!("{}?sslmode=require", url.reveal().replace("127.0.0.1", host)));
    let error = Postgres::open(&asks("localhost")).unwrap_err();
    assert!(error.message.contains("certificate"), "an authority that nobody trusts: {error}");
    // SAFETY: the only test of this process, and no thread reads variables at this time.
    unsafe { std::env::set_var("SSL_CERT_FILE", server.folder().join("ca.crt")) };
    let book = Postgres::open(&asks("localhost")).unwrap();
    let encrypted =
        "select ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'peerstream'";
    assert_eq!(server.sql("cases", encrypted).unwrap(), "t");
    drop(book);
    let error = Postgres::open(&asks("127.0.0.1")).unwrap_err();
    assert!(error.message.contains("certificate"), "another name: {error}");
}
