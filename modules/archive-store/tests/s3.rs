//! A bucket instead of the disk, and a server that is away for a while. `S3S_FS` names the binary `s3s-fs`
//! (`cargo install s3s-fs --version 0.14.1 --features binary`).
#![cfg(feature = "s3")]

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{init, is_anywhere, item, meta, payload, started};
use peerstream_archive_store::{Config, S3, Store};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::archive::{ArchiveBackend, Manifest, RestrictMode, Restriction};

/// A server on this port with one bucket, whose objects are files in a folder.
struct Server(Child);

impl Server {
    fn start(binary: &str, folder: &Path, port: u16) -> Self {
        std::fs::create_dir_all(folder.join("recordings")).unwrap();
        let port = port.to_string();
        let child = Command::new(binary)
            .args(["--host", "127.0.0.1", "--port", &port, "--access-key", "somebody", "--secret-key", "secret"])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn bucket(folder: &Path, port: u16, secret: &str) -> Config {
    let s3 = S3 {
        bucket: "recordings".into(),
        endpoint: format!("http://127.0.0.1:{port}"),
        region: "auto".into(),
        access_key_id: Secret::new("somebody"),
        secret_access_key: Secret::new(secret),
        ..S3::default()
    };
    Config { s3, ..common::config(folder) }
}

async fn until(what: &str, archive: &Store, mut done: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: {:?}", archive.health());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_for_a_while_costs_nothing_and_its_objects_alone_can_be_read() {
    let Ok(binary) = std::env::var("S3S_FS") else {
        eprintln!("skipped: S3S_FS names no server");
        return;
    };
    let (spool, objects, port) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), free_port());
    let server = Server::start(&binary, objects.path(), port);
    let archive = started(bucket(spool.path(), port, "secret")).await;
    let recording = archive.open(&meta()).await.unwrap();
    archive.put(&recording, &init()).await.unwrap();
    for seq in 0..20 {
        archive.put(&recording, &item(seq)).await.unwrap();
    }
    until("the first blocks arrive", &archive, || is_anywhere(objects.path(), 3)).await;
    drop(server);
    for seq in 20..60 {
        archive.put(&recording, &item(seq)).await.unwrap();
    }
    until("the trouble is told", &archive, || archive.health() != Health::Ok).await;
    assert!(!is_anywhere(objects.path(), 40));
    assert_eq!(archive.read(&recording, Seq(40)).await.unwrap().payload, payload(40));
    let manifest = Manifest { first: Seq(0), end: Seq(60), gaps: vec![], ended: true, resumed: vec![] };
    archive.finalize(&recording, &manifest).await.unwrap();
    let _server = Server::start(&binary, objects.path(), port);
    until("the spool drains", &archive, || (0..60).all(|seq| is_anywhere(objects.path(), seq))).await;
    until("all is well again", &archive, || archive.health() == Health::Ok).await;
    let erase = Restriction { first: Seq(5), end: Seq(6), mode: RestrictMode::Erase };
    archive.restrict(&recording, &erase).await.unwrap();
    until("what is erased is gone", &archive, || !is_anywhere(objects.path(), 5)).await;
    archive.stop(Duration::from_secs(20)).await.unwrap();
    std::fs::remove_dir_all(spool.path()).unwrap();

    let other = Store::build(bucket(spool.path(), port, "secret"), &BuildContext::new("store")).unwrap();
    let listed = other.list().await.unwrap();
    assert_eq!((listed.len(), &listed[0].manifest), (1, &manifest));
    let lines = other.index(&recording, Seq(0), 100).await.unwrap();
    assert_eq!(lines.iter().map(|line| line.seq.0).collect::<Vec<_>>(), (0..60).collect::<Vec<_>>());
    for seq in (0..60).filter(|seq| *seq != 5) {
        assert_eq!(other.read(&recording, Seq(seq)).await.unwrap().payload, payload(seq));
    }
    let wrong = Store::build(bucket(spool.path(), port, "guessed"), &BuildContext::new("store")).unwrap();
    let error = wrong.probe().await.unwrap_err();
    assert!(!error.to_string().contains("guessed"), "{error}");
}
