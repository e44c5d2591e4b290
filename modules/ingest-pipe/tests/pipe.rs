//! The ingest as a source sees it; the clock is paused, so hours take no time.

use std::path::PathBuf;
use std::time::Duration;

use peerstream_ingest_pipe::{Config, DATA_UNIT_BYTES, InputKind, Pipe};
use peerstream_sdk::traits::Secret;
use peerstream_sdk::traits::ingest::{Ingest, IngestError, IngestEvent, Programme, Unit, stage};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The path of a fixture.
fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../framework/media/tests/fixtures", name].iter().collect()
}

/// The bytes of a fixture.
fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

struct World {
    programme: Programme,
    run: JoinHandle<Result<(), IngestError>>,
}

impl World {
    fn start(pipe: Pipe) -> Self {
        let (stage, programme) = stage(Secret::default());
        Self { programme, run: tokio::spawn(Box::new(pipe).run(stage)) }
    }

    fn of(config: Config) -> Self {
        Self::start(Pipe::new(config).unwrap())
    }

    async fn unit(&mut self) -> Option<Unit> {
        loop {
            match self.programme.next().await? {
                IngestEvent::Unit(unit) => return Some(unit),
                _ => continue,
            }
        }
    }
}

fn file(name: &str) -> Config {
    Config { input: path(name).display().to_string(), ..Config::default() }
}

fn temporary(bytes: &[u8]) -> (tempfile::NamedTempFile, Config) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let input = file.path().display().to_string();
    (file, Config { input, kind: InputKind::Data, ..Config::default() })
}

#[tokio::test(start_paused = true)]
async fn a_file_is_paced_by_its_times_and_ends() {
    let mut world = World::of(file("h264-aac.mp4"));
    let (start, mut late) = (None, Duration::ZERO);
    let mut start: Option<Instant> = start;
    while let Some(unit) = world.unit().await {
        let since = start.get_or_insert_with(Instant::now).elapsed();
        late = late.max(since.abs_diff(Duration::from_micros(unit.pts_us)));
    }
    assert!(late < Duration::from_millis(20), "{late:?}");
    assert!(world.run.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_clip_in_memory_loops_in_real_time_and_without_a_break() {
    let clip: &'static [u8] = fixture("h264-aac.mp4").leak();
    let mut world = World::start(Pipe::from_bytes(clip, true));
    let first = world.unit().await.unwrap();
    let start = Instant::now();
    let mut last = first;
    while last.pts_us < 31_000_000 {
        let unit = world.unit().await.unwrap();
        assert!(unit.pts_us >= last.pts_us && !unit.discontinuity);
        last = unit;
    }
    assert!(start.elapsed().abs_diff(Duration::from_micros(last.pts_us)) < Duration::from_millis(50));
    drop(world.programme);
    assert!(matches!(world.run.await.unwrap(), Err(IngestError::Closed)));
}

#[tokio::test(start_paused = true)]
async fn data_of_a_file_comes_whole_and_in_order() {
    let bytes: Vec<u8> = (0..200_000u32).map(|n| (n * 7 / 3) as u8).collect();
    let (_file, config) = temporary(&bytes);
    let mut world = World::of(config);
    let mut got = Vec::new();
    while let Some(unit) = world.unit().await {
        assert!(unit.payload.len() <= DATA_UNIT_BYTES && unit.join_point && unit.duration_us == 0);
        got.extend_from_slice(&unit.payload);
    }
    assert!(got == bytes);
    assert!(world.run.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept() {
    let (_file, config) = temporary(&[1; 100_000]);
    let mut world = World::of(Config { rate_bytes_per_second: 20_000, ..config });
    let start = Instant::now();
    while world.unit().await.is_some() {}
    assert!(
        start.elapsed().abs_diff(Duration::from_millis(4900)) < Duration::from_millis(150),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_says_which_file() {
    let world = World::of(Config { input: "/no/such/clip.mp4".into(), ..Config::default() });
    let error = world.run.await.unwrap().unwrap_err().to_string();
    assert!(error.starts_with("input cannot be read: /no/such/clip.mp4: "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_file_without_media_is_not_looped_for_ever() {
    let header = {
        let whole = fixture("h264-aac.mp4");
        let moof = whole.windows(4).position(|name| name == b"moof").unwrap() - 4;
        whole[..moof].to_vec().leak()
    };
    let world = World::start(Pipe::from_bytes(header, true));
    let error = world.run.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("too short to loop"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn units_before_an_error_arrive_before_it() {
    let mut bytes = fixture("h264-aac.mp4");
    bytes.extend_from_slice(b"\0\0\0\x10\x01\x02\x03\x04--------");
    let mut world = World::start(Pipe::from_bytes(bytes.leak(), false));
    let mut count = 0;
    while world.unit().await.is_some() {
        count += 1;
    }
    assert!(count >= 14, "{count}");
    assert!(world.run.await.unwrap().unwrap_err().to_string().contains("no box found at byte"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_named_pipe_is_read_as_it_comes() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("live");
    assert!(std::process::Command::new("mkfifo").arg(&input).status().unwrap().success());
    let mut world = World::of(Config { input: input.display().to_string(), ..Config::default() });
    let writer = std::thread::spawn(move || std::fs::write(input, fixture("h264-aac.mp4")).unwrap());
    let start = Instant::now();
    while world.unit().await.is_some() {}
    assert!(start.elapsed() < Duration::from_secs(2), "three seconds of media, not paced");
    assert!(world.run.await.unwrap().is_ok());
    writer.join().unwrap();
}
