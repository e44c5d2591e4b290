//! ffmpeg and ffprobe, as judges of what was made.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Whether ffmpeg is there; without it a test is skipped, unless it is required.
pub fn has_tools() -> bool {
    let found = ["ffmpeg", "ffprobe"].iter().all(|tool| Command::new(tool).arg("-version").output().is_ok());
    let required = std::env::var("PEERSTREAM_REQUIRE_TOOLS").is_ok_and(|value| value == "1");
    assert!(found || !required && std::env::var_os("CI").is_none(), "ffmpeg and ffprobe are required: install ffmpeg");
    found
}

fn run(tool: &str, args: &[&str], file: &Path) -> (String, String) {
    let sink = if tool == "ffmpeg" { &["-f", "null", "-"][..] } else { &[] };
    let output = Command::new(tool).args(args).arg(file).args(sink).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{tool}: {}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

/// Decodes the bytes and returns the decode times of every track, in seconds.
pub fn play(bytes: &[u8]) -> BTreeMap<u32, Vec<f64>> {
    let file = tempfile::NamedTempFile::with_suffix(".mp4").unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let (_, complaints) = run("ffmpeg", &["-v", "warning", "-xerror", "-i"], file.path());
    assert_eq!(complaints, "", "ffmpeg complains");
    let entries = ["-v", "error", "-show_entries", "packet=stream_index,dts_time", "-of", "csv=p=0"];
    let (packets, _) = run("ffprobe", &entries, file.path());
    let mut times = BTreeMap::<u32, Vec<f64>>::new();
    for line in packets.lines() {
        let mut fields = line.split(',');
        let (track, time) = (fields.next().unwrap().parse().unwrap(), fields.next().unwrap().parse().unwrap());
        times.entry(track).or_default().push(time);
    }
    times
}

/// What ffmpeg writes to standard output.
pub fn run_ffmpeg(args: &str) -> Vec<u8> {
    let output = Command::new("ffmpeg").args(["-v", "error"]).args(args.split(' ')).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
