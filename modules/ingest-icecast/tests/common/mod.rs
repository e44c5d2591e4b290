//! A listener at work, and source clients of all kinds.
#![allow(dead_code)]

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use peerstream_ingest_icecast::{Config, Icecast};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::ingest::{Ingest, IngestError, IngestEvent, Programme, Unit, stage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Anything that a test waits for comes within this time, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The broadcast's stream key.
pub const KEY: &str = "key-of-the-stream";

pub fn has_tools() -> bool {
    let found = ["ffmpeg", "ffprobe"].iter().all(|tool| Command::new(tool).arg("-version").output().is_ok());
    let required = std::env::var("PEERSTREAM_REQUIRE_TOOLS").is_ok_and(|value| value == "1");
    assert!(found || !required && std::env::var_os("CI").is_none(), "ffmpeg and ffprobe are required: install ffmpeg");
    found
}

/// An ingest at work.
pub struct World {
    pub programme: Programme,
    pub run: JoinHandle<Result<(), IngestError>>,
    pub address: SocketAddr,
}

/// What was on air: codec headers and units as they would be played, titles, and the times of units.
#[derive(Debug, Default)]
pub struct Aired {
    pub mimes: Vec<String>,
    pub played: Vec<u8>,
    pub titles: Vec<String>,
    pub units: Vec<(u64, u32)>,
}

impl World {
    pub async fn start(config: Config) -> Self {
        let config = Config { listen: "127.0.0.1:0".parse().unwrap(), ..config };
        let ingest = Icecast::build(config, &BuildContext::new("x")).unwrap();
        ingest.start().await.unwrap();
        let address = ingest.address().unwrap();
        let (stage, programme) = stage(Secret::new(KEY));
        let run = tokio::spawn(Box::new(ingest).run(stage));
        Self { programme, run, address }
    }

    pub async fn event(&mut self) -> IngestEvent {
        timeout(PATIENCE, self.programme.next()).await.expect("an event in time").expect("an event")
    }

    pub async fn unit(&mut self) -> Unit {
        loop {
            if let IngestEvent::Unit(unit) = self.event().await {
                return unit;
            }
        }
    }

    pub async fn title(&mut self) -> String {
        loop {
            if let IngestEvent::Title(title) = self.event().await {
                return title;
            }
        }
    }

    /// Gathers until there are so many units.
    pub async fn aired(&mut self, units: usize) -> Aired {
        let mut aired = Aired::default();
        while aired.units.len() < units {
            aired.take(self.event().await);
        }
        aired
    }

    /// Waits until nobody is on air any more; takes what comes meanwhile.
    pub async fn off_air(&mut self) -> Aired {
        let (mut billing, mut aired) = (self.programme.billing(), Aired::default());
        let done = async {
            loop {
                tokio::select! {
                    biased;
                    event = self.programme.next() => aired.take(event.unwrap()),
                    _ = billing.wait_for(|billing| billing.publications > 0 && billing.on_air.is_none()) => return,
                }
            }
        };
        timeout(PATIENCE, done).await.expect("off air");
        aired
    }

    /// Connects and sends this.
    pub async fn connect(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// Connects, sends this and reads the answer to its end.
    pub async fn ask(&self, bytes: &[u8]) -> String {
        answer(self.connect(bytes).await).await
    }
}

impl Aired {
    fn take(&mut self, event: IngestEvent) {
        match event {
            IngestEvent::Init { bytes, mime } => {
                self.mimes.push(mime);
                self.played.extend_from_slice(&bytes);
            }
            IngestEvent::Unit(unit) => {
                self.units.push((unit.pts_us, unit.duration_us));
                self.played.extend_from_slice(&unit.payload);
            }
            IngestEvent::Title(title) => self.titles.push(title),
            IngestEvent::Advice(text) => panic!("advice: {text}"),
        }
    }

    /// Decodes it all; returns how long it is, in seconds, and its loudness in dB.
    pub fn decoded(&self) -> (f64, f64) {
        let file = tempfile::NamedTempFile::with_suffix(".mp4").unwrap();
        std::fs::write(file.path(), &self.played).unwrap();
        let output = Command::new("ffmpeg")
            .args(["-v", "info", "-xerror", "-i"])
            .arg(file.path())
            .args(["-af", "volumedetect", "-f", "null", "-"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let number = |after: &str| {
            let (_, rest) = said.rsplit_once(after).unwrap_or_else(|| panic!("no {after} in {said}"));
            rest.split_whitespace().next().unwrap().to_owned()
        };
        let time = number("time=");
        let seconds = time.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap());
        (seconds, number("mean_volume:").parse().unwrap())
    }
}

/// What comes until the end.
pub async fn answer(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that is reset after the answer has given it.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("an answer");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// User and password as a header.
pub fn authorization(password: &str) -> String {
    let text = format!("source:{password}");
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let code: String =
        text.as_bytes()
            .chunks(3)
            .flat_map(|three| {
                let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
                (0..4).map(move |at| {
                    if at > three.len() { '=' } else { char::from(letters[(bits >> (18 - 6 * at) & 63) as usize]) }
                })
            })
            .collect();
    format!("Authorization: Basic {code}\r\n")
}

/// The head of a request of a source client.
pub fn head(method: &str, more: &str) -> Vec<u8> {
    format!("{method} /live HTTP/1.1\r\n{}{more}\r\n", authorization(KEY)).into_bytes()
}

/// A tone of so many seconds, encoded by ffmpeg.
pub fn tone(seconds: u32, output: &[&str]) -> Vec<u8> {
    let input = format!("sine=f=440:b=4:r=48000:d={seconds}");
    let arguments = ["-nostdin", "-v", "error", "-f", "lavfi", "-i", &input, "-ac", "2"];
    let done = Command::new("ffmpeg").args(arguments).args(output).arg("-").output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

/// A source client; killed when it is dropped.
pub struct Client(pub Child);

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Client {
    /// ffmpeg that sends a tone in real time with these output arguments.
    pub fn start(address: SocketAddr, password: &str, output: &[&str]) -> Self {
        let url = format!("icecast://source:{password}@{address}/live");
        let input = ["-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "sine=f=440:b=4:r=48000", "-ac", "2"];
        let mut command = Command::new("ffmpeg");
        command.args(input).args(output).arg(url).stdin(Stdio::null()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Waits for its end; whether it was content, and what it said.
    pub async fn ended(&mut self) -> (bool, String) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                let mut said = String::new();
                let _ = std::io::Read::read_to_string(&mut self.0.stderr.take().unwrap(), &mut said);
                return (status.success(), said);
            }
            assert!(start.elapsed() < PATIENCE, "the client does not end");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
