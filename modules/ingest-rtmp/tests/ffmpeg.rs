//! What ffmpeg publishes plays. Skipped without ffmpeg, unless `CI` or `PEERSTREAM_REQUIRE_TOOLS=1` asks for it.

mod common;

use common::{KEY, Server, config, finished, has_tools, play};
use peerstream_ingest_rtmp::Config;

const PICTURE: &str = "-re -f lavfi -i testsrc2=size=320x180:rate=30";
const SOUND: &str = "-f lavfi -i sine=sample_rate=48000";
const X264: &str = "-c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g 30";

/// Publishes for three seconds; returns the server when ffmpeg has gone.
async fn published(args: &str) -> Server {
    let server = Server::start(config()).await;
    let (content, said) = finished(server.ffmpeg(&format!("{args} -t 3"), KEY)).await;
    assert!(content, "{said}");
    server.until_off_air().await;
    server
}

fn check_rising(times: &[f64]) {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] < 0.06), "a hole: {times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn h264_with_aac_plays_and_keeps_its_pace() {
    if !has_tools() {
        return;
    }
    let server = published(&format!("{PICTURE} {SOUND} {X264} -c:a aac")).await;
    assert_eq!(server.mimes(), [r#"video/mp4; codecs="avc1.42c00d,mp4a.40.2""#]);
    assert_eq!(server.advice(), [] as [&str; 0]);
    let times = play(&server.played());
    assert_eq!(times[&0].len(), 90);
    assert!((138..=144).contains(&times[&1].len()), "{}", times[&1].len());
    times.values().for_each(|times| check_rising(times));
    let units = server.units();
    assert!((29..=34).contains(&units.len()), "{} units in 3 s", units.len());
    assert_eq!(units.iter().filter(|unit| unit.join_point).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_alone_and_sound_alone_play() {
    if !has_tools() {
        return;
    }
    let server = published(&format!("{PICTURE} {X264}")).await;
    assert_eq!(server.mimes(), [r#"video/mp4; codecs="avc1.42c00d""#]);
    assert_eq!(play(&server.played())[&0].len(), 90);
    let server = published(&format!("-re {SOUND} -c:a aac -b:a 96k")).await;
    assert_eq!(server.mimes(), [r#"audio/mp4; codecs="mp4a.40.2""#]);
    check_rising(&play(&server.played())[&0]);
    assert!(server.units().len() <= 8, "{} units in 3 s", server.units().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn b_frames_play_in_step_with_the_sound_and_their_cost_is_said() {
    if !has_tools() {
        return;
    }
    let server =
        published(&format!("{PICTURE} {SOUND} -c:v libx264 -preset veryfast -bf 2 -g 30 -pix_fmt yuv420p -c:a aac"))
            .await;
    let times = play(&server.played());
    assert_eq!(times[&0].len(), 90);
    let start = |track: u32| times[&track].iter().copied().fold(f64::MAX, f64::min);
    assert!((start(0) - start(1)).abs() < 0.1, "{} and {}", start(0), start(1));
    assert!(server.advice().iter().any(|text| text.starts_with("B-frames")), "{:?}", server.advice());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_that_comes_back_continues_the_broadcast() {
    if !has_tools() {
        return;
    }
    let server = published(&format!("{PICTURE} {SOUND} {X264} -c:a aac")).await;
    let before = server.units().len();
    let (content, said) = finished(server.ffmpeg(&format!("{PICTURE} {SOUND} {X264} -c:a aac -t 2"), KEY)).await;
    assert!(content, "{said}");
    server.until_off_air().await;
    let units = server.units();
    assert!(units.windows(2).all(|pair| pair[0].pts_us < pair[1].pts_us));
    let pause = units[before].pts_us - units[before - 1].pts_us;
    assert!(units[before].join_point && pause >= 60_000, "{pause}");
    assert_eq!(server.billing.borrow().publications, 2);
    assert_eq!(play(&server.played())[&0].len(), 150);
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_shows_why_it_was_refused() {
    if !has_tools() {
        return;
    }
    let server = Server::start(config()).await;
    let (content, said) = finished(server.ffmpeg(&format!("{PICTURE} {X264} -t 3"), "guessed-it")).await;
    assert!(!content && said.contains("wrong stream key"), "{said}");
    let server = Server::start(Config { app: "elsewhere".into(), ..config() }).await;
    let (content, said) = finished(server.ffmpeg(&format!("{PICTURE} {X264} -t 3"), KEY)).await;
    assert!(!content && said.contains("ends with /elsewhere"), "{said}");
    assert_eq!(server.events(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_encoder_is_gets_a_name_and_a_file_sent_at_once_is_slowed_down() {
    if !has_tools() {
        return;
    }
    let server = Server::start(config()).await;
    let args = format!("{} {SOUND} {X264} -c:a aac -t 5", PICTURE.strip_prefix("-re ").unwrap());
    let child = server.ffmpeg(&args, KEY);
    let began = std::time::Instant::now();
    server
        .until("the encoder is named", |server| {
            server.billing.borrow().on_air.as_deref().is_some_and(|name| name.starts_with("rtmp from 127.0.0.1 (Lavf"))
        })
        .await;
    let (content, said) = finished(child).await;
    assert!(content, "{said}");
    server.until_off_air().await;
    assert!(began.elapsed().as_secs_f64() > 2.0, "5 s of media in {:?}", began.elapsed());
    assert!(server.advice().iter().any(|text| text.contains("-re")), "{:?}", server.advice());
    assert_eq!(play(&server.played())[&0].len(), 150);
}
