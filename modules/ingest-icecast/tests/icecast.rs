//! Source clients as they are, and as they should not be.
//!
//! Tests with ffmpeg are skipped without it, unless `CI` or `PEERSTREAM_REQUIRE_TOOLS=1` asks for it.

mod common;

use std::time::Duration;

use common::{Aired, Client, KEY, World, answer, authorization, has_tools, head, tone};
use peerstream_ingest_icecast::Config;
use peerstream_sdk::traits::Secret;
use peerstream_sdk::traits::ingest::IngestError;
use tokio::io::AsyncWriteExt as _;

const OPUS: [&str; 6] = ["-c:a", "libopus", "-b:a", "96k", "-f", "ogg"];
const AAC: [&str; 6] = ["-c:a", "aac", "-b:a", "96k", "-f", "adts"];
const MP3: [&str; 6] = ["-c:a", "libmp3lame", "-b:a", "96k", "-f", "mp3"];

async fn from_ffmpeg(output: &[&str], units: usize) -> Aired {
    let mut world = World::start(Config::default()).await;
    let _client = Client::start(world.address, KEY, output);
    let aired = world.aired(units).await;
    let name = world.programme.billing().borrow().on_air.clone().unwrap();
    assert!(name.starts_with("icecast from 127.0.0.1 (Lavf/"), "{name}");
    aired
}

fn check_tone(aired: &Aired, codec: &str) {
    assert_eq!(aired.mimes, [format!("audio/mp4; codecs=\"{codec}\"")]);
    let total: u64 = aired.units.iter().map(|&(_, duration)| u64::from(duration)).sum();
    let (seconds, db) = aired.decoded();
    assert!((seconds - total as f64 / 1e6).abs() < 0.15, "{seconds} s decoded, {total} us told");
    assert!(db > -30.0, "{db} dB");
    assert!(aired.units.windows(2).all(|two| two[0].0 + u64::from(two[0].1) == two[1].0), "{:?}", aired.units);
}

#[tokio::test]
async fn ogg_opus_goes_out_as_it_is_in_half_seconds_with_its_title() {
    if !has_tools() {
        return;
    }
    let more = ["-metadata", "artist=Miles", "-metadata", "title=So What", "-ice_name", "Club Radio"];
    let aired = from_ffmpeg(&[&OPUS[..4], &more, &OPUS[4..]].concat(), 6).await;
    check_tone(&aired, "opus");
    assert_eq!(aired.titles, ["Club Radio", "Miles - So What"]);
    assert!(aired.units.iter().all(|&(_, duration)| duration == 500_000), "{:?}", aired.units);
}

#[tokio::test]
async fn aac_goes_out_as_it_is_in_half_seconds() {
    if !has_tools() {
        return;
    }
    let aired = from_ffmpeg(&[&AAC[..], &["-content_type", "audio/aac"]].concat(), 6).await;
    check_tone(&aired, "mp4a.40.2");
    assert!(aired.units.iter().all(|&(_, duration)| (480_000..=500_000).contains(&duration)), "{:?}", aired.units);
}

#[tokio::test]
async fn mp3_of_an_old_client_becomes_opus() {
    if !has_tools() {
        return;
    }
    let aired = from_ffmpeg(&[&MP3[..], &["-legacy_icecast", "1"]].concat(), 5).await;
    check_tone(&aired, "opus");
}

#[tokio::test]
async fn ogg_vorbis_becomes_opus_and_keeps_its_title() {
    if !has_tools() {
        return;
    }
    let output = ["-c:a", "libvorbis", "-metadata", "title=So What", "-f", "ogg", "-content_type", "audio/ogg"];
    let aired = from_ffmpeg(&output, 5).await;
    check_tone(&aired, "opus");
    assert_eq!(aired.titles, ["", "So What"]);
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_nothing_is_on_air() {
    if !has_tools() {
        return;
    }
    let world = World::start(Config::default()).await;
    let (content, said) = Client::start(world.address, "wrong", &OPUS).ended().await;
    assert!(!content && said.contains("401"), "{said}");
    for bad in ["", "Authorization: Basic !!\r\n", "Authorization: Bearer x\r\n", &authorization("")] {
        let said = world.ask(format!("PUT /live HTTP/1.1\r\n{bad}\r\n").as_bytes()).await;
        assert!(said.starts_with("HTTP/1.1 401 ") && said.contains("WWW-Authenticate: Basic"), "{said}");
    }
    assert_eq!(world.programme.billing().borrow().publications, 0);
}

#[tokio::test]
async fn a_password_of_its_own_takes_the_place_of_the_stream_key() {
    let config = Config { password: Secret::new("geheim-geheim"), ..Config::default() };
    let world = World::start(config).await;
    let request = |password| format!("SOURCE /live HTTP/1.0\r\n{}\r\n", authorization(password)).into_bytes();
    assert!(world.ask(&request(KEY)).await.contains(" 401 "));
    let mut stream = world.connect(&request("geheim-geheim")).await;
    stream.shutdown().await.unwrap();
    assert!(answer(stream).await.starts_with("HTTP/1.0 200 OK\r\n\r\n"));
}

#[tokio::test]
async fn a_second_source_is_refused_and_the_first_goes_on() {
    if !has_tools() {
        return;
    }
    let mut world = World::start(Config::default()).await;
    let _first = Client::start(world.address, KEY, &OPUS);
    let before = world.unit().await;
    let said = world.ask(&head("PUT", "Expect: 100-continue\r\n")).await;
    assert!(
        said.starts_with("HTTP/1.1 403 Mountpoint in use") && said.contains("already on air: icecast from"),
        "{said}"
    );
    assert!(world.unit().await.pts_us > before.pts_us);
    let billing = world.programme.billing().borrow().clone();
    assert_eq!((billing.publications, billing.refused), (1, 1));
}

#[tokio::test]
async fn a_second_source_takes_over_where_that_is_wanted() {
    if !has_tools() {
        return;
    }
    let mut world = World::start(Config { takeover: true, ..Config::default() }).await;
    let mut first = Client::start(world.address, KEY, &OPUS);
    let before = world.unit().await;
    let _second = Client::start(world.address, KEY, &AAC);
    let mut billing = world.programme.billing();
    while billing.borrow_and_update().publications < 2 {
        world.event().await;
    }
    let aired = world.aired(2).await;
    assert_eq!(aired.mimes.last().map(String::as_str), Some("audio/mp4; codecs=\"mp4a.40.2\""));
    assert!(aired.units[0].0 >= before.pts_us + u64::from(before.duration_us));
    assert!(!first.ended().await.0);
}

#[tokio::test]
async fn a_source_that_comes_back_goes_on_behind_what_was_sent() {
    if !has_tools() {
        return;
    }
    let mut world = World::start(Config::default()).await;
    let mut end_us = 0;
    for round in 1..=2 {
        let client = Client::start(world.address, KEY, &OPUS);
        let aired = world.aired(2).await;
        assert!(aired.units[0].0 >= end_us, "round {round}: {} after {end_us}", aired.units[0].0);
        drop(client);
        let rest = world.off_air().await;
        end_us = rest.units.iter().chain(&aired.units).map(|&(pts, duration)| pts + u64::from(duration)).max().unwrap();
    }
}

#[tokio::test]
async fn titles_told_beside_the_stream_are_shown() {
    if !has_tools() {
        return;
    }
    let mut world = World::start(Config::default()).await;
    let _client = Client::start(world.address, KEY, &MP3);
    assert_eq!(world.title().await, "");
    world.unit().await;
    let update = |query: &str, password| {
        let authorization = authorization(password);
        format!("GET /admin/metadata?mode=updinfo&{query} HTTP/1.0\r\n{authorization}\r\n").into_bytes()
    };
    let said = world.ask(&update("mount=/live&charset=UTF-8&song=Bj%C3%B6rk+-+J%C3%B3ga", KEY)).await;
    assert!(said.starts_with("HTTP/1.1 200 OK") && said.contains("<return>1</return>"), "{said}");
    assert_eq!(world.title().await, "Björk - Jóga");
    world.ask(&update("mount=%2Flive&song=Bj%F6rk", KEY)).await;
    assert_eq!(world.title().await, "Björk");
    assert!(world.ask(&update("song=x", "wrong")).await.contains(" 401 "));
    assert!(world.ask(&update("mount=/other&song=x", KEY)).await.contains(" 404 "));
}

#[tokio::test]
async fn bodies_in_chunks_and_of_a_length_are_taken() {
    if !has_tools() {
        return;
    }
    let mut world = World::start(Config::default()).await;
    let sound = tone(2, &OPUS);
    let mut chunked = head("PUT", "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n");
    for piece in sound.chunks(1000) {
        chunked.extend(format!("{:x}\r\n", piece.len()).bytes());
        chunked.extend(piece);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    let said = world.ask(&chunked).await;
    assert!(said.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{said}");
    assert!((4..=5).contains(&world.off_air().await.units.len()));
    let length = [head("PUT", &format!("Content-Length: {}\r\n", sound.len())), sound].concat();
    assert!(world.ask(&length).await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!((4..=5).contains(&world.off_air().await.units.len()));
}

#[tokio::test]
async fn whoever_is_no_source_client_is_told_so() {
    let world = World::start(Config::default()).await;
    let asked = [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), " 404 "),
        (b"POST /live HTTP/1.1\r\n\r\n".to_vec(), " 405 "),
        (b"OPTIONS * HTTP/1.1\r\nUpgrade: TLS/1.0, HTTP/1.1\r\n\r\n".to_vec(), "Allow: PUT, SOURCE, GET, OPTIONS"),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\n\n".to_vec(), " 400 "),
        (vec![b'x'; 20_000], " 400 "),
        (head("PUT", "").strip_prefix(b"PUT /live").unwrap().to_vec(), " 400 "),
        ([b"PUT /other".as_slice(), &head("PUT", "")[9..]].concat(), "there is no mount point /other, use /live"),
        (head("PUT", "Transfer-Encoding: gzip\r\n"), " 400 "),
    ];
    for (bytes, expected) in asked {
        let said = world.ask(&bytes).await;
        assert!(said.contains(expected), "{expected} not in {said}");
    }
    assert_eq!(world.programme.billing().borrow().publications, 0);
}

#[tokio::test]
async fn what_is_no_sound_is_told_and_the_next_source_is_taken() {
    if !has_tools() {
        return;
    }
    let mut world = World::start(Config::default()).await;
    let noise: Vec<u8> = (0..400_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8 & 0x7f).collect();
    let page = tone(1, &OPUS)[..200].to_vec();
    let broken = [page, noise.clone()].concat();
    let flac = [b"fLaC".to_vec(), noise.clone()].concat();
    for (body, expected) in [(&noise, "no sound that is known"), (&broken, "no Ogg"), (&flac, "ffmpeg")] {
        let length = format!("Content-Length: {}\r\n", body.len());
        let said = world.ask(&[head("PUT", &length), body.clone()].concat()).await;
        assert!(said.contains(" 415 ") && said.contains(expected), "{expected} not in {said}");
        world.off_air().await;
    }
    let _client = Client::start(world.address, KEY, &OPUS);
    world.unit().await;
}

#[tokio::test]
async fn a_source_that_stalls_is_let_go_and_what_it_sent_was_heard() {
    if !has_tools() {
        return;
    }
    let mut world = World::start(Config { idle_s: 1, ..Config::default() }).await;
    let sound = tone(3, &OPUS);
    let stream = world.connect(&[&head("PUT", "")[..], &sound[..sound.len() / 2]].concat()).await;
    let aired = world.off_air().await;
    assert!(aired.units.len() >= 2, "{aired:?}");
    assert!(answer(stream).await.contains(" 408 "));
}

#[tokio::test]
async fn a_source_whose_connection_breaks_leaves_the_air() {
    if !has_tools() {
        return;
    }
    let mut world = World::start(Config::default()).await;
    let sound = tone(3, &OPUS);
    let half = [head("PUT", "Content-Length: 1000000\r\n"), sound[..sound.len() / 2].to_vec()].concat();
    drop(world.connect(&half).await);
    let aired = world.off_air().await;
    assert!(!aired.units.is_empty(), "{aired:?}");
}

#[tokio::test]
async fn a_file_that_is_sent_at_once_goes_out_in_its_own_time() {
    if !has_tools() {
        return;
    }
    let mut world = World::start(Config::default()).await;
    let sound = tone(60, &OPUS);
    let mut stream = world.connect(&head("PUT", "")).await;
    let sent = tokio::spawn(async move { stream.write_all(&sound).await.map(|()| stream) });
    let start = std::time::Instant::now();
    let mut end_us = 0;
    while start.elapsed() < Duration::from_secs(4) {
        if let Ok(unit) = tokio::time::timeout(Duration::from_millis(300), world.unit()).await {
            end_us = unit.pts_us + u64::from(unit.duration_us);
        }
    }
    assert!((5_000_000..11_000_000).contains(&end_us), "{end_us}");
    sent.abort();
}

#[tokio::test]
async fn a_flood_of_connections_keeps_nobody_out_for_long() {
    if !has_tools() {
        return;
    }
    let mut world = World::start(Config::default()).await;
    let mut open = Vec::new();
    for _ in 0..200 {
        open.push(world.connect(b"PUT /li").await);
    }
    drop(open);
    let mut clients = Vec::new();
    let unit = loop {
        clients.push(Client::start(world.address, KEY, &OPUS));
        match tokio::time::timeout(Duration::from_secs(5), world.unit()).await {
            Ok(unit) => break unit,
            Err(_) => assert!(clients.len() < 10, "kept out"),
        }
    };
    assert_eq!(unit.duration_us, 500_000);
}

#[tokio::test]
async fn without_ffmpeg_opus_is_taken_and_mp3_is_refused_with_the_reason() {
    if !has_tools() {
        return;
    }
    let mut world = World::start(Config { program: "/no/such/ffmpeg".into(), ..Config::default() }).await;
    let sound = tone(2, &MP3);
    let length = format!("Content-Length: {}\r\n", sound.len());
    let said = world.ask(&[head("PUT", &length), sound].concat()).await;
    assert!(said.contains(" 415 ") && said.contains("`/no/such/ffmpeg` cannot be started"), "{said}");
    world.off_air().await;
    let _client = Client::start(world.address, KEY, &OPUS);
    world.unit().await;
}

#[tokio::test]
async fn with_the_end_of_the_broadcast_the_source_is_let_go() {
    if !has_tools() {
        return;
    }
    let mut world = World::start(Config::default()).await;
    let mut client = Client::start(world.address, KEY, &OPUS);
    world.unit().await;
    drop(world.programme);
    assert!(matches!(world.run.await.unwrap(), Err(IngestError::Closed)));
    client.ended().await;
}
