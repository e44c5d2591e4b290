//! Real files, made and read by a real ffmpeg.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use peerstream_compare::{Comparer, Report, Verdict};

/// Pictures that move: a fractal that is zoomed into.
const FRACTAL: &str = "mandelbrot=size=320x180:rate=12";
/// Others: cells that live and die.
const LIFE: &str = "life=size=160x90:rate=12:mold=10:ratio=0.3:seed=7:life_color=white:death_color=gray,scale=320:180";
/// A tune that does not repeat soon.
const TUNE: &str =
    "aevalsrc=0.4*sin(2*PI*t*110*pow(2\\,(mod(pow(floor(t*4)\\,2)\\,29)+mod(pow(floor(t*4)\\,3)\\,31))/18)):s=22050";
const OTHER_TUNE: &str =
    "aevalsrc=0.4*sin(2*PI*t*130*pow(2\\,(mod(pow(floor(t*3)+5\\,2)\\,37)+mod(pow(floor(t*3)\\,3)\\,23))/18)):s=22050";

fn comparer() -> Comparer {
    Comparer {
        program: env!("CARGO_BIN_EXE_peerstream-compare").into(),
        arguments: Vec::new(),
        ffmpeg: "ffmpeg".into(),
        wait: Duration::from_secs(240),
    }
}

/// Makes a file with ffmpeg.
fn make(folder: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let file = folder.join(name);
    let output = Command::new("ffmpeg").args(["-y", "-v", "error"]).args(arguments).arg(&file).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    file
}

fn film(folder: &Path, name: &str, pictures: &str, tune: &str, seconds: &str) -> PathBuf {
    let sources = ["-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", tune, "-t", seconds];
    let codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k"];
    make(folder, name, &[&sources[..], &codecs].concat())
}

async fn compare(source: &Path, excerpt: &Path) -> Report {
    comparer().compare(source, excerpt).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_excerpt_is_found_however_it_was_coded_and_other_material_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let source = film(folder, "source.mp4", FRACTAL, TUNE, "40");
    let source_name = source.to_str().unwrap();
    let worse = ["-vf", "scale=200:112,noise=alls=14:allf=t", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "36"];
    let sound = ["-filter_complex", "[0:a]volume=0.6[t];anoisesrc=a=0.01:r=22050[n];[t][n]amix=duration=first[a]"];
    let form =
        ["-map", "0:v", "-map", "[a]", "-c:a", "libopus", "-b:a", "24k", "-movflags", "frag_keyframe+empty_moov"];
    let part = ["-ss", "15", "-t", "14", "-i", source_name];
    let excerpt = make(folder, "excerpt.mp4", &[&part[..], &worse, &sound, &form].concat());
    let report = compare(&source, &excerpt).await;
    assert_eq!(report.verdict, Verdict::Match, "{report:?}");
    for track in [&report.sound, &report.picture] {
        let found = track.found.unwrap();
        let shift = found.source_ms as i64 - found.excerpt_ms as i64;
        assert!(track.verdict == Verdict::Match && (14_500..15_500).contains(&shift), "{report:?}");
        assert!(found.length_ms >= 10_000, "{report:?}");
    }
    assert!(report.tools["ffmpeg"].starts_with(|char: char| char.is_ascii_digit() || char == 'n'), "{report:?}");

    let other = film(folder, "other.webm.mkv", LIFE, OTHER_TUNE, "30");
    let report = compare(&source, &other).await;
    let verdicts = [report.verdict, report.sound.verdict, report.picture.verdict];
    assert_eq!(verdicts, [Verdict::Mismatch; 3], "{report:?}");

    let song = make(folder, "song.mp3", &["-i", source_name, "-vn", "-b:a", "48k"]);
    let report = compare(&song, &excerpt).await;
    assert_eq!((report.verdict, report.sound.verdict), (Verdict::Match, Verdict::Match), "{report:?}");
    let why = report.picture.reason.unwrap();
    assert_eq!(why, "no picture of the source copy: there is none in the file");

    let silent = film(folder, "silent.mp4", "color=black:size=320x180:rate=12", "anullsrc=r=22050", "20");
    let report = compare(&silent, &silent).await;
    assert_eq!(report.verdict, Verdict::Mismatch, "nothing is no proof: {report:?}");
}

/// Files that are no work at all. None may take long, hang, be followed elsewhere or break anything.
fn hostile(folder: &Path, port: u16) -> Vec<PathBuf> {
    let whole = std::fs::read(film(folder, "whole.mp4", FRACTAL, TUNE, "4")).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let file = folder.join(name);
        std::fs::write(&file, bytes).unwrap();
        file
    };
    let playlist = |target: &str| format!("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n");
    let secret = write("secret.mp4", &whole);
    let secret = secret.to_str().unwrap();
    let away = format!("http://127.0.0.1:{port}/x.ts");
    let dash = format!(
        "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\"><Period><AdaptationSet><Representation \
         id=\"1\" mimeType=\"video/mp4\"><BaseURL>{away}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    );
    // A picture of 65535 by 65535 in its smallest form, and the same in a film.
    let huge_jpeg =
        [b"\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00".as_slice(), &[0; 64], b"\xff\xd9"].concat();
    let mut huge_avi = std::fs::read(make(
        folder,
        "small.avi",
        &["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=5", "-t", "4", "-c:v", "mjpeg"],
    ))
    .unwrap();
    for at in 0..huge_avi.len() - 9 {
        if huge_avi[at..at + 2] == [0xff, 0xc0] {
            huge_avi[at + 5..at + 9].fill(0xff);
        }
    }
    // Two pictures that are eleven years apart.
    let years = make(
        folder,
        "years.mkv",
        &["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=1", "-t", "2", "-vf", "setpts=PTS*350000000", "-c:v", "mpeg4"],
    );
    let deep = [b"RIFF\xff\xff\xff\xffAVI ".as_slice(), &b"LIST\xff\xff\xff\xffhdrl".repeat(20_000)].concat();
    let zeros = Command::new("sh").arg("-c").arg("head -c 300000000 /dev/zero | gzip -9").output().unwrap().stdout;
    vec![
        write("empty.mp4", b""),
        write("cut.mp4", &whole[..whole.len() / 2]),
        write("html.mp4", b"<!doctype html><script>alert(1)</script>"),
        write("bomb.mp4", &zeros),
        write("zip.mp4", &[b"PK\x03\x04".as_slice(), &whole].concat()),
        write("polyglot.mp4", &[whole.as_slice(), b"PK\x05\x06", &[0; 18], b"<script>alert(1)</script>"].concat()),
        write("hls.mp4", playlist(secret).as_bytes()),
        write("hls-away.m3u8", playlist(&away).as_bytes()),
        write("concat.mp4", format!("ffconcat version 1.0\nfile '{secret}'\n").as_bytes()),
        write("dash.mpd", dash.as_bytes()),
        write("sdp.sdp", b"v=0\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"),
        write("huge.jpg", &huge_jpeg),
        write("huge.avi", &huge_avi),
        write("deep.avi", &deep),
        write("noise.ts", &whole.iter().map(|byte| byte.wrapping_mul(167).wrapping_add(13)).collect::<Vec<_>>()),
        years,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_files_get_an_answer_and_lead_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let work = film(folder, "work.mp4", FRACTAL, TUNE, "12");
    for file in hostile(folder, listener.local_addr().unwrap().port()) {
        let report = compare(&file, &work).await;
        let name = file.file_name().unwrap().to_str().unwrap();
        println!("{name}: {:?} {:?}", report.verdict, report.reason.as_ref().or(report.picture.reason.as_ref()));
        assert!(!report.tools.is_empty(), "{name} broke the comparison: {report:?}");
        assert!(report.verdict < Verdict::Match, "{name}: {report:?}");
        let text = serde_json::to_string(&report).unwrap();
        assert!(!text.contains(folder.to_str().unwrap()), "{name} tells paths: {text}");
        let whole = matches!(name, "polyglot.mp4" | "cut.mp4" | "zip.mp4" | "years.mkv");
        assert!(whole || report.verdict == Verdict::NotCompared, "{name}: {report:?}");
    }
    let call = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(call.is_err(), "a file has made somebody call");
    let missing = compare(&folder.join("not-there"), &work).await;
    assert_eq!(missing.verdict, Verdict::NotCompared);
}

/// A program in the place of ffmpeg.
fn impostor(folder: &Path, script: &str) -> Comparer {
    use std::os::unix::fs::PermissionsExt as _;
    let program = folder.join("ffmpeg");
    std::fs::write(&program, format!("#!/bin/bash\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    Comparer { ffmpeg: program, ..comparer() }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_breaks_out_of_ffmpeg_reaches_nothing() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let secret = outside.path().join("secret");
    std::fs::write(&secret, "key").unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let secret = secret.display();
    let script = format!(
        "said=\n\
         (cat {secret}) >/dev/null && said=${{said}}read,\n\
         (echo x > {secret}) && said=${{said}}wrote,\n\
         (rm {secret}) && said=${{said}}removed,\n\
         (echo x > /dev/tcp/127.0.0.1/{port}) && said=${{said}}called,\n\
         (ulimit -v 9999999; ulimit -c 1) && said=${{said}}raised,\n\
         echo ffmpeg version none:$said"
    );
    let (source, excerpt) = (folder.path().join("a"), folder.path().join("b"));
    std::fs::write(&source, "a").unwrap();
    std::fs::write(&excerpt, "b").unwrap();
    let report = impostor(folder.path(), &script).compare(&source, &excerpt).await;
    assert_eq!(report.tools.get("ffmpeg").map(String::as_str), Some("none:"), "{report:?}");
    assert_eq!(std::fs::read_to_string(outside.path().join("secret")).unwrap(), "key");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_is_killed_with_all_it_has_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a");
    std::fs::write(&file, "a").unwrap();
    let slow = impostor(folder.path(), "sleep 987654");
    let report = Comparer { wait: Duration::from_secs(2), ..slow }.compare(&file, &file).await;
    assert_eq!(report.reason.as_deref(), Some("it took more than 2 s"));
    let left = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
        lines.filter(|line| line.windows(6).any(|text| text == b"987654")).count()
    };
    while left() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_ffmpeg_nothing_is_compared_and_the_reason_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a");
    std::fs::write(&file, "a").unwrap();
    let absent = Comparer { ffmpeg: folder.path().join("ffmpeg"), ..comparer() };
    let report = absent.compare(&file, &file).await;
    assert_eq!((report.verdict, report.reason.as_deref()), (Verdict::NotCompared, Some("there is no ffmpeg here")));
    let absent = Comparer { program: folder.path().join("nobody"), ..comparer() };
    let reason = absent.compare(&file, &file).await.reason.unwrap();
    assert!(reason.starts_with("the comparison cannot be started"), "{reason}");
}
