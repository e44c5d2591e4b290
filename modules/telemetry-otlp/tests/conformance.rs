//! The rules that every plug-in of this kind keeps.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::telemetry::SharedSink;
use peerstream_telemetry_otlp::{Config, Otlp};

/// A sink with a collector of its own that takes everything.
fn fresh() -> SharedSink {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            // The request is small enough to come at once.
            let _ = socket.read(&mut [0; 65_536]);
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let config = Config { endpoint, reports: true, ..Config::default() };
    Arc::new(Otlp::build(config, &BuildContext::new("conformance")).unwrap())
}

peerstream_sdk::telemetry_suite!(Otlp, fresh);
