//! The rules that every plug-in of this kind keeps.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use peerstream_compliance_webhook::{Config, Webhook};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::compliance::SharedHandler;

/// A handler with a platform of its own that has a person decide everything.
fn fresh() -> SharedHandler {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            // The request is small enough to come at once.
            let _ = socket.read(&mut [0; 65_536]);
            let body = r#"{"decision":"queue"}"#;
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = socket.write_all(format!("{head}{body}").as_bytes());
        }
    });
    let config = Config { url, secret: Secret::new("0123456789abcdef"), ..Config::default() };
    Arc::new(Webhook::build(config, &BuildContext::new("conformance")).unwrap())
}

peerstream_sdk::compliance_suite!(Webhook, fresh);
