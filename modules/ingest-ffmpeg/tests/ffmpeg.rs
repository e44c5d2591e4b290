//! The ingest as a source sees it, with the real ffmpeg; a script stands for it where it has to misbehave.
//!
//! Skipped without ffmpeg, unless `CI` or `PEERSTREAM_REQUIRE_TOOLS=1` asks for it.
#![cfg(target_os = "linux")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use common::{Script, World, fixture, free_udp_port, has_tools, publish, within};
use peerstream_ingest_ffmpeg::{AudioChoice, Config, Ffmpeg, VideoChoice};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::ingest::{IngestError, Kind, Publication};

fn file(name: &str) -> Config {
    Config { input: fixture(name).display().to_string(), ..Config::default() }
}

fn small_test() -> Config {
    Config { size: "320x180".into(), preset: "ultrafast".into(), ..Config::default() }
}

fn built(config: Config) -> Ffmpeg {
    Ffmpeg::build(config, &BuildContext::new("x")).unwrap()
}

#[tokio::test]
async fn a_test_picture_with_a_tone_comes_in_real_time_with_a_key_frame_a_second() {
    if !has_tools() {
        return;
    }
    let mut world = World::start(small_test());
    assert!(world.init().await.starts_with("video/mp4; codecs=\"avc1."));
    let first = world.unit().await;
    let (mut last, mut keys, start) = (first.clone(), 0, tokio::time::Instant::now());
    while last.pts_us < first.pts_us + 4_000_000 {
        last = world.unit().await;
        keys += usize::from(last.join_point);
        assert!(!last.discontinuity);
    }
    assert!(start.elapsed() > Duration::from_secs(3), "four seconds in {:?}", start.elapsed());
    assert!((3..=5).contains(&keys), "{keys} key frames in four seconds");
}

#[tokio::test]
async fn a_file_that_browsers_play_is_copied_and_its_end_is_the_end() {
    if !has_tools() {
        return;
    }
    let mut world = World::start(file("h264-aac.mp4"));
    let mime = world.init().await;
    assert!(mime.contains("avc1.") && mime.contains("mp4a.40.2"), "{mime}");
    let mut end_us = 0;
    while let Some(unit) = world.next_unit().await {
        end_us = unit.pts_us + u64::from(unit.duration_us);
    }
    assert!(end_us > 2_500_000, "{end_us}");
    assert!(world.result().await.is_ok());
}

#[tokio::test]
async fn mp3_alone_becomes_opus_in_long_pieces() {
    if !has_tools() {
        return;
    }
    let mut world = World::start(file("mp3.mp4"));
    assert_eq!(world.init().await, "audio/mp4; codecs=\"opus\"");
    let unit = world.unit().await;
    assert!((400_000..=500_000).contains(&unit.duration_us), "{}", unit.duration_us);
}

#[tokio::test]
async fn a_picture_that_not_every_browser_plays_is_encoded() {
    if !has_tools() {
        return;
    }
    let mut world = World::start(Config { preset: "ultrafast".into(), ..file("hevc.mp4") });
    let mime = world.init().await;
    assert!(mime.contains("avc1."), "{mime}");
    world.unit().await;
}

#[tokio::test]
async fn an_srt_encoder_that_calls_is_on_air_and_may_come_back() {
    if !has_tools() {
        return;
    }
    let port = free_udp_port();
    let input = format!("srt://127.0.0.1:{port}?mode=listener&passphrase={{secret}}");
    let config = Config { input, secret: Secret::new("geheim-geheim"), ..Config::default() };
    let mut world = World::start(config);
    let to = format!("srt://127.0.0.1:{port}?passphrase=geheim-geheim");
    let mut ends = Vec::new();
    for round in 1..=2 {
        let caller = publish(&["-c", "copy", "-f", "mpegts", &to], true);
        let mime = world.init().await;
        assert!(mime.contains("avc1.") && mime.contains("mp4a.40.2"), "{mime}");
        let unit = world.unit().await;
        assert_eq!(world.programme.billing().borrow().publications, round);
        let name = world.programme.billing().borrow().on_air.clone().unwrap();
        assert!(name.starts_with("ffmpeg: srt://127.0.0.1:") && !name.contains("geheim"), "{name}");
        ends.push(unit.pts_us + u64::from(unit.duration_us));
        drop(caller);
        world.off_air().await;
    }
    assert!(ends[1] > ends[0], "{ends:?}");
}

#[tokio::test]
async fn a_caller_whose_codecs_browsers_do_not_play_is_encoded_from_his_second_call_on() {
    if !has_tools() {
        return;
    }
    let port = free_udp_port();
    let input = format!("srt://127.0.0.1:{port}?mode=listener");
    let mut world = World::start(Config { input, preset: "ultrafast".into(), ..Config::default() });
    let to = format!("srt://127.0.0.1:{port}");
    let arguments = ["-c:v", "mpeg2video", "-c:a", "mp2", "-f", "mpegts", to.as_str()];
    let mut callers = Vec::new();
    let mime = loop {
        callers.push(publish(&arguments, true));
        match tokio::time::timeout(Duration::from_secs(8), world.init()).await {
            Ok(mime) => break mime,
            Err(_) => assert!(callers.len() < 6, "never encoded"),
        }
    };
    assert!(mime.contains("avc1.") && mime.contains("mp4a.40.2"), "{mime}");
    world.unit().await;
}

#[tokio::test]
async fn an_ffmpeg_that_is_killed_comes_back_and_the_broadcast_goes_on() {
    if !has_tools() {
        return;
    }
    let mark = format!("comment=mark-{}-{}", std::process::id(), free_udp_port());
    let config = Config { output_options: vec!["-metadata".into(), mark.clone()], ..small_test() };
    let mut world = World::start(config);
    let before = world.unit().await;
    let id = within("a child", || common::process_with(&mark)).await;
    // SAFETY: kill takes numbers only; the process is the child of this test that has the mark.
    assert_eq!(unsafe { libc::kill(id, libc::SIGKILL) }, 0);
    world.off_air().await;
    let mut after = world.unit().await;
    while world.programme.billing().borrow().publications < 2 || after.pts_us <= before.pts_us {
        after = world.unit().await;
    }
    assert_ne!(within("another child", || common::process_with(&mark)).await, id);
}

#[tokio::test]
async fn with_the_end_of_the_broadcast_ffmpeg_ends() {
    if !has_tools() {
        return;
    }
    let mark = format!("comment=mark-{}-{}", std::process::id(), free_udp_port());
    let mut world = World::start(Config { output_options: vec!["-metadata".into(), mark.clone()], ..small_test() });
    world.unit().await;
    drop(world.programme);
    assert!(matches!(world.run.await.unwrap(), Err(IngestError::Closed)));
    within("the end of the child", || common::process_with(&mark).is_none().then_some(())).await;
}

#[tokio::test]
async fn an_input_that_can_wait_goes_on_air_when_nobody_else_is_and_one_that_takes_over_does_not_wait() {
    if !has_tools() {
        return;
    }
    let mut world = World::start(small_test());
    world.unit().await;
    let dj = world.stage.go_on_air(Publication { name: "dj".into(), takeover: true }).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.programme.billing().borrow().on_air.as_deref(), Some("dj"));
    assert_eq!(world.programme.billing().borrow().refused, 0, "it waits without asking");
    drop(dj);
    world.publication(3).await;
    let greedy = built(Config { takeover: true, ..small_test() });
    let stage = world.stage.clone();
    let run = tokio::spawn(peerstream_sdk::traits::ingest::Ingest::run(Box::new(greedy), stage));
    world.publication(4).await;
    run.abort();
}

#[tokio::test]
async fn a_missing_ffmpeg_is_told_before_the_start() {
    let error = built(Config { program: "/no/such/ffmpeg".into(), ..Config::default() }).probe().await.unwrap_err();
    assert!(error.to_string().contains("apt install ffmpeg"), "{error}");
    assert_eq!(error.class, ErrorClass::NotFound);
}

#[tokio::test]
async fn what_is_needed_is_there_and_a_missing_file_is_told() {
    if !has_tools() {
        return;
    }
    let listener = Config { input: "srt://:9000?mode=listener".into(), audio: AudioChoice::Opus, ..Config::default() };
    for config in [Config::default(), listener, file("mp3.mp4")] {
        let ingest = built(config);
        assert_eq!(peerstream_sdk::traits::ingest::Ingest::kind(&ingest), Kind::Media);
        ingest.probe().await.unwrap();
    }
    let error = built(Config { input: "/no/such.mp4".into(), ..Config::default() }).probe().await.unwrap_err();
    assert!(error.to_string().starts_with("/no/such.mp4: "), "{error}");
}

#[tokio::test]
async fn garbage_is_never_on_air_and_tried_again() {
    if !has_tools() {
        return;
    }
    let garbage = tempfile::NamedTempFile::new().unwrap();
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    std::fs::write(garbage.path(), bytes).unwrap();
    let config = Config { input: garbage.path().display().to_string(), ..Config::default() };
    let log = common::Log::begin();
    let world = World::start(config);
    within("told", || log.text().contains("ffmpeg is started again after a pause").then_some(())).await;
    assert_eq!(world.programme.billing().borrow().publications, 0);
    assert!(!world.run.is_finished(), "{}", log.text());
}

/// A web server for the files of a folder.
fn web_server(folder: PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let len = stream.read(&mut request).unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..len]);
            let path = text.split([' ', '?']).nth(1).unwrap_or_default();
            let body = std::fs::read(folder.join(path.trim_start_matches('/')));
            let status = if body.is_ok() { "200 OK" } else { "404 Not Found" };
            let body = body.unwrap_or_default();
            let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    port
}

/// A web server with a playlist that names `segment`.
fn playlist_server(segment: &str) -> (tempfile::TempDir, u16) {
    let folder = tempfile::tempdir().unwrap();
    let list = format!("#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{segment}\n#EXT-X-ENDLIST\n");
    std::fs::write(folder.path().join("live.m3u8"), list).unwrap();
    let port = web_server(folder.path().into());
    (folder, port)
}

#[tokio::test]
async fn a_playlist_over_http_is_played_in_its_own_time_and_its_end_is_the_end() {
    if !has_tools() {
        return;
    }
    let (folder, port) = playlist_server("part.ts");
    std::fs::copy(fixture("transport.ts"), folder.path().join("part.ts")).unwrap();
    let mut world = World::start(Config { input: format!("http://127.0.0.1:{port}/live.m3u8"), ..Config::default() });
    let mime = world.init().await;
    assert!(mime.contains("avc1."), "{mime}");
    while world.next_unit().await.is_some() {}
    assert!(world.result().await.is_ok());
}

#[tokio::test]
async fn an_rtsp_encoder_that_announces_itself_is_on_air() {
    if !has_tools() {
        return;
    }
    let port = free_udp_port();
    let url = format!("rtsp://127.0.0.1:{port}/live");
    let input_options = ["-rtsp_flags", "listen", "-rtsp_transport", "tcp"].map(String::from).to_vec();
    let mut world = World::start(Config { input: url.clone(), input_options, ..Config::default() });
    let _caller = publish(&["-c", "copy", "-f", "rtsp", "-rtsp_transport", "tcp", &url], true);
    let mime = world.init().await;
    assert!(mime.contains("avc1.") && mime.contains("mp4a.40.2"), "{mime}");
    world.unit().await;
}

#[tokio::test]
async fn a_playlist_from_a_network_cannot_read_files() {
    if !has_tools() {
        return;
    }
    let segment = format!("file://{}", fixture("transport.ts").display());
    let (_folder, port) = playlist_server(&segment);
    let input = format!("http://127.0.0.1:{port}/live.m3u8?token=geheim");
    let log = common::Log::begin();
    // Both with ffprobe and without.
    for (video, audio) in [(VideoChoice::Auto, AudioChoice::Auto), (VideoChoice::H264, AudioChoice::Aac)] {
        let world = World::start(Config { input: input.clone(), video, audio, ..Config::default() });
        let told = || log.text().matches("ffmpeg is started again after a pause").count();
        let before = told();
        within("told", || (told() > before).then_some(())).await;
        assert_eq!(world.programme.billing().borrow().publications, 0);
    }
    let text = log.text();
    assert!(text.contains("not on whitelist") && !text.contains("geheim"), "{text}");
}

#[tokio::test]
async fn a_flood_of_words_is_told_in_part_and_the_stream_goes_on() {
    if !has_tools() {
        return;
    }
    let log = common::Log::begin();
    let clip = fixture("h264-aac.mp4");
    let script = Script::new(&format!("seq 100000 >&2; cat {}; seq 100000 >&2; sleep 1000", clip.display()));
    let mut world = World::start(Config { program: script.path(), ..small_test() });
    world.unit().await;
    assert!(log.text().lines().count() < 100, "{}", log.text());
}

#[tokio::test]
async fn an_ffmpeg_that_stalls_is_started_again() {
    let script = Script::new(&format!("cat {}; sleep 1000", fixture("h264-aac.mp4").display()));
    let mut world = World::start(Config { program: script.path(), stall_s: 1, ..small_test() });
    world.unit().await;
    world.publication(2).await;
}

#[tokio::test]
async fn an_output_that_is_no_mp4_is_told_and_tried_again() {
    let script = Script::new("echo this is not what was asked for");
    let log = common::Log::begin();
    let _world = World::start(Config { program: script.path(), ..small_test() });
    within("told", || log.text().contains("fragmented MP4 expected").then_some(())).await;
}
