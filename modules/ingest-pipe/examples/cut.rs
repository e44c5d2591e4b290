//! Shows how an input is cut, and writes what a player would append.
//!
//! `ffmpeg ... -f mp4 - | cargo run -p peerstream-ingest-pipe --example cut -- - out.mp4 10` stops after 10 s of time.

use std::io::Write;
use std::time::Duration;

use peerstream_ingest_pipe::{Config, Pipe};
use peerstream_sdk::traits::Secret;
use peerstream_sdk::traits::ingest::{Ingest, IngestEvent, Programme, stage};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [input, output, seconds] = args.as_slice() else {
        return Err("three arguments expected: input ('-' for standard input), output, seconds".into());
    };
    let config = Config { input: input.clone(), looped: input != "-", ..Config::default() };
    let limit = Duration::from_secs_f64(seconds.parse()?);
    let (stage, programme) = stage(Secret::default());
    tokio::select! {
        ended = Box::new(Pipe::new(config)?).run(stage) => ended?,
        written = write(programme, std::fs::File::create(output)?) => written?,
        () = tokio::time::sleep(limit) => {}
    }
    Ok(())
}

async fn write(mut programme: Programme, mut output: std::fs::File) -> std::io::Result<()> {
    while let Some(event) = programme.next().await {
        match event {
            IngestEvent::Init { bytes, mime } => {
                println!("init {} bytes, {mime}", bytes.len());
                output.write_all(&bytes)?;
            }
            IngestEvent::Unit(unit) => {
                let (at, len, size) = (unit.pts_us, unit.duration_us, unit.payload.len());
                println!(
                    "unit {at} us + {len} us, {size} bytes, join {}, break {}",
                    unit.join_point, unit.discontinuity
                );
                output.write_all(&unit.payload)?;
            }
            IngestEvent::Title(text) | IngestEvent::Advice(text) => println!("{text}"),
        }
    }
    Ok(())
}
