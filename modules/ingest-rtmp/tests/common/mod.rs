//! A server to publish to, and encoders: ffmpeg, and one that does as it is told.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use peerstream_ingest_rtmp::{Config, Rtmp};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::ingest::{Billing, Ingest, IngestEvent, Unit, stage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Nothing that is waited for takes longer, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(60);
pub const KEY: &str = "correct-horse";

/// A server, and what came out of it.
pub struct Server {
    pub at: SocketAddr,
    pub billing: watch::Receiver<Billing>,
    events: Arc<Mutex<Vec<IngestEvent>>>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// A config for tests.
pub fn config() -> Config {
    Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Config::default() }
}

impl Server {
    pub async fn start(config: Config) -> Self {
        let rtmp = Rtmp::build(config, &BuildContext::new("rtmp")).unwrap();
        rtmp.start().await.unwrap();
        let at = rtmp.local_addr().unwrap();
        let (stage, mut programme) = stage(Secret::new(KEY));
        let billing = programme.billing();
        let events = Arc::<Mutex<Vec<IngestEvent>>>::default();
        let kept = events.clone();
        let collector = tokio::spawn(async move {
            while let Some(event) = programme.next().await {
                kept.lock().unwrap().push(event);
            }
        });
        let server = tokio::spawn(async move { Box::new(rtmp).run(stage).await.unwrap() });
        Self { at, billing, events, tasks: [collector, server] }
    }

    pub fn events(&self) -> Vec<IngestEvent> {
        self.events.lock().unwrap().clone()
    }

    pub fn units(&self) -> Vec<Unit> {
        let unit = |event| if let IngestEvent::Unit(unit) = event { Some(unit) } else { None };
        self.events().into_iter().filter_map(unit).collect()
    }

    pub fn advice(&self) -> Vec<String> {
        let text = |event| if let IngestEvent::Advice(text) = event { Some(text) } else { None };
        self.events().into_iter().filter_map(text).collect()
    }

    pub fn mimes(&self) -> Vec<String> {
        let mime = |event| if let IngestEvent::Init { mime, .. } = event { Some(mime) } else { None };
        self.events().into_iter().filter_map(mime).collect()
    }

    /// What a player appends: the same header not twice.
    pub fn played(&self) -> Vec<u8> {
        let (mut last, mut played) = (bytes::Bytes::new(), Vec::new());
        for event in self.events() {
            match event {
                IngestEvent::Init { bytes, .. } if bytes != last => {
                    played.extend_from_slice(&bytes);
                    last = bytes;
                }
                IngestEvent::Unit(unit) => played.extend_from_slice(&unit.payload),
                _ => {}
            }
        }
        played
    }

    /// Waits until something holds.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(waited.await.is_ok(), "waited in vain until {what}: {:?} {:?}", self.advice(), self.billing.borrow());
    }

    /// Waits until nobody is on air, and all that was sent is here.
    pub async fn until_off_air(&self) {
        self.until("nobody is on air", |server| server.billing.borrow().on_air.is_none()).await;
        let mut count = usize::MAX;
        while count != self.events().len() {
            count = self.events().len();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// How much media came, in microseconds.
    pub fn length(&self) -> u64 {
        self.units().iter().map(|unit| u64::from(unit.duration_us)).sum()
    }

    pub fn url(&self, key: &str) -> String {
        format!("rtmp://{}/live/{key}", self.at)
    }

    /// Publishes with ffmpeg; `args` are the inputs and how they are encoded.
    pub fn ffmpeg(&self, args: &str, key: &str) -> Child {
        let args = args.split(' ').chain(["-f", "flv"]);
        let mut command = tokio::process::Command::new("ffmpeg");
        command.args(["-v", "error", "-nostdin"]).args(args).arg(self.url(key));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().unwrap()
    }
}

/// Waits for ffmpeg; what it said, and whether it was content.
pub async fn finished(child: Child) -> (bool, String) {
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("ffmpeg hangs").unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Whether ffmpeg is there; without it a test is skipped, unless it is required.
pub fn has_tools() -> bool {
    let found = ["ffmpeg", "ffprobe"].iter().all(|tool| Command::new(tool).arg("-version").output().is_ok());
    let required = std::env::var("PEERSTREAM_REQUIRE_TOOLS").is_ok_and(|value| value == "1");
    assert!(found || !required && std::env::var_os("CI").is_none(), "ffmpeg and ffprobe are required: install ffmpeg");
    found
}

/// Decodes the bytes, and returns the times at which every track is shown, in seconds.
pub fn play(bytes: &[u8]) -> BTreeMap<u32, Vec<f64>> {
    let file = tempfile::NamedTempFile::with_suffix(".mp4").unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let (_, complaints) = run(
        "ffmpeg",
        &["-v", "warning", "-xerror", "-i"],
        file.path(),
        // In the ticks of the file: those of the frame rate are too coarse for what follows a pause.
        &["-fps_mode", "passthrough", "-enc_time_base", "-1", "-f", "null", "-"],
    );
    assert_eq!(complaints, "", "ffmpeg complains");
    let entries = ["-v", "error", "-show_entries", "packet=stream_index,pts_time", "-of", "csv=p=0"];
    let (packets, _) = run("ffprobe", &entries, file.path(), &[]);
    let mut times = BTreeMap::<u32, Vec<f64>>::new();
    for line in packets.lines() {
        let mut fields = line.split(',');
        let (track, time) = (fields.next().unwrap().parse().unwrap(), fields.next().unwrap().parse().unwrap());
        times.entry(track).or_default().push(time);
    }
    times
}

fn run(tool: &str, args: &[&str], file: &Path, sink: &[&str]) -> (String, String) {
    let output = Command::new(tool).args(args).arg(file).args(sink).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{tool}: {}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

/// An encoder that does as it is told.
pub struct Client {
    pub stream: TcpStream,
}

impl Client {
    /// Connects and shakes hands.
    pub async fn connect(at: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(&[&[3][..], &[0; 3072]].concat()).await.unwrap();
        stream.read_exact(&mut [0; 3073]).await.unwrap();
        let mut client = Self { stream };
        client.send(1, 0, &65_536u32.to_be_bytes()).await;
        let app = [&[3, 0, 3][..], b"app", &text("live"), &[0, 0, 9]].concat();
        client.send(20, 0, &[text("connect"), number(1.0), app].concat()).await;
        client
    }

    /// Connects and asks to publish.
    pub async fn publish(at: SocketAddr, key: &str) -> Self {
        let mut client = Self::connect(at).await;
        client.send(20, 0, &[text("publish"), number(3.0), vec![5], text(key), text("live")].concat()).await;
        client
    }

    /// Sends a message.
    pub async fn send(&mut self, kind: u8, time_ms: u32, payload: &[u8]) {
        let (time, len) = (time_ms.to_be_bytes(), (payload.len() as u32).to_be_bytes());
        let header = [3, time[1], time[2], time[3], len[1], len[2], len[3], kind, 1, 0, 0, 0];
        let _ = self.stream.write_all(&[&header[..], payload].concat()).await;
    }

    /// Reads until this text comes, or the end; returns all that came.
    pub async fn until(&mut self, text: &str) -> String {
        let mut all = String::new();
        let read = async {
            let mut buffer = [0; 4096];
            while !all.contains(text) {
                match self.stream.read(&mut buffer).await {
                    Ok(len) if len > 0 => all += &String::from_utf8_lossy(&buffer[..len]),
                    _ => return,
                }
            }
        };
        tokio::time::timeout(PATIENCE, read).await.expect("the server is silent");
        all
    }

    /// Sends a second of AAC in whole milliseconds, from this time on.
    pub async fn sound(&mut self, from_ms: u32) {
        self.send(8, from_ms, &[0xaf, 0, 0x11, 0x90]).await;
        for n in 0..47 {
            self.send(8, from_ms + n * 64 / 3, &[&[0xaf, 1][..], &[0x21; 100]].concat()).await;
        }
    }
}

fn text(text: &str) -> Vec<u8> {
    [&[2][..], &(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

fn number(number: f64) -> Vec<u8> {
    [&[0][..], &number.to_be_bytes()].concat()
}
