//! Bad encoders: each is told why, and nothing is lost for the others.

mod common;

use std::time::Duration;

use common::{Client, KEY, Server, config};
use peerstream_ingest_rtmp::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends bytes; returns when the server has hung up.
async fn hung_up_on(server: &Server, bytes: &[u8]) {
    let mut stream = TcpStream::connect(server.at).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let read = async { while stream.read(&mut [0; 4096]).await.is_ok_and(|len| len > 0) {} };
    tokio::time::timeout(common::PATIENCE, read).await.expect("the server does not hang up");
}

/// An encoder with the right key still comes through.
async fn check_alive(server: &Server) {
    let mut client = Client::publish(server.at, KEY).await;
    assert!(client.until("Publish.Start").await.contains("Publish.Start"));
    client.sound(0).await;
    drop(client);
    server.until("there is sound", |server| !server.units().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_port_is_hung_up_on() {
    let server = Server::start(config()).await;
    hung_up_on(&server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    hung_up_on(&server, &[0x16, 3, 1, 0, 200]).await;
    hung_up_on(&server, &[0xff; 5000]).await;
    let after_handshake = [&[3][..], &[0; 3072], &[0xff; 5000]].concat();
    hung_up_on(&server, &after_handshake).await;
    check_alive(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_sizes_are_hung_up_on() {
    let server = Server::start(config()).await;
    let mut client = Client::publish(server.at, KEY).await;
    client.until("Publish.Start").await;
    client.stream.write_all(&[4, 0, 0, 0, 0xff, 0xff, 0xff, 9, 1, 0, 0, 0]).await.unwrap();
    let said = client.until("16777215 bytes").await;
    assert!(said.contains("16777215 bytes"), "{said}");
    server.until_off_air().await;
    check_alive(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_are_refused_with_the_reason_and_then_with_a_wait() {
    let server = Server::start(config()).await;
    let said = Client::publish(server.at, "guess-guess").await.until("wrong stream key").await;
    assert!(said.contains("NetStream.Publish.BadName"), "{said}");
    let said = Client::publish(server.at, KEY).await.until("try again in").await;
    assert!(said.contains("try again in"), "not even the right key is looked at: {said}");
    assert_eq!(server.billing.borrow().publications, 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    check_alive(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_never_shows_a_key_and_one_that_stalls_are_cut_off() {
    let server = Server::start(Config { setup_timeout_s: 1, idle_timeout_s: 1, ..config() }).await;
    hung_up_on(&server, &[3]).await;
    let mut client = Client::publish(server.at, KEY).await;
    client.until("Publish.Start").await;
    client.sound(0).await;
    let said = client.until("nothing sent for 1 s").await;
    assert!(said.contains("nothing sent for 1 s"), "{said}");
    server.until_off_air().await;
    let last = server.units().pop().expect("what it sent is there");
    assert!(last.pts_us + u64::from(last.duration_us) > 990_000);
    check_alive(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_goes_in_the_middle_of_a_message_leaves_what_was_whole() {
    let server = Server::start(config()).await;
    let mut client = Client::publish(server.at, KEY).await;
    client.until("Publish.Start").await;
    client.sound(0).await;
    client.stream.write_all(&[3, 0, 4, 0, 0, 9, 9, 8, 1, 0, 0, 0, 1, 2, 3]).await.unwrap();
    drop(client);
    server.until_off_air().await;
    let length = server.length();
    assert!((990_000..1_010_000).contains(&length), "{length}");
    check_alive(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_encoder_is_refused_and_told_who_is_on_air() {
    let server = Server::start(config()).await;
    let mut first = Client::publish(server.at, KEY).await;
    first.until("Publish.Start").await;
    let said = Client::publish(server.at, KEY).await.until("already on air").await;
    assert!(said.contains("already on air: rtmp from 127.0.0.1"), "{said}");
    first.sound(0).await;
    server.until("the first one is heard", |server| !server.units().is_empty()).await;
    assert_eq!(server.billing.borrow().refused, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_encoder_takes_over_where_that_is_wanted_or_the_first_is_silent() {
    for (takeover, silence) in [(true, 0), (false, 6)] {
        let server = Server::start(Config { takeover, ..config() }).await;
        let mut first = Client::publish(server.at, KEY).await;
        first.until("Publish.Start").await;
        first.sound(0).await;
        tokio::time::sleep(Duration::from_secs(silence)).await;
        let mut second = Client::publish(server.at, KEY).await;
        assert!(second.until("Publish.Start").await.contains("Publish.Start"), "takeover {takeover}");
        let said = first.until("replaced by").await;
        assert!(said.contains("replaced by rtmp from"), "{said}");
        let before = server.units().len();
        second.sound(0).await;
        server.until("the second one is heard", |server| server.units().len() > before).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_bounded() {
    let server = Server::start(config()).await;
    let mut idle = Vec::new();
    for _ in 0..8 {
        idle.push(Client::connect(server.at).await);
    }
    hung_up_on(&server, &[3]).await;
    idle.clear();
    tokio::time::sleep(Duration::from_millis(200)).await;
    check_alive(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codecs_that_no_browser_knows_are_named() {
    let server = Server::start(config()).await;
    let mut client = Client::publish(server.at, KEY).await;
    client.until("Publish.Start").await;
    client.send(8, 0, &[0x2f, 1, 2, 3]).await;
    server.until("MP3 is named", |server| server.advice().iter().any(|text| text.contains("audio codec MP3"))).await;
    client.send(9, 0, &[0x24, 1, 2, 3]).await;
    let said = client.until("video codec VP6").await;
    assert!(said.contains("use H.264"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_begins_again_and_one_that_jumps_go_on() {
    let server = Server::start(config()).await;
    let mut client = Client::publish(server.at, KEY).await;
    client.until("Publish.Start").await;
    // 24 bits only: the second of sound passes the end of what fits without more bytes.
    for from in [0xff_f000, 5_000, 9_000_000] {
        client.sound(from).await;
    }
    drop(client);
    server.until_off_air().await;
    let units = server.units();
    assert!(units.windows(2).all(|pair| pair[0].pts_us <= pair[1].pts_us));
    let length = server.length();
    assert!((2_900_000..3_100_000).contains(&length), "{length}");
    assert_eq!(units.iter().filter(|unit| unit.discontinuity).count(), 2);
}
