//! Takes what encoders publish, writes what a player would append, and says what a streamer would be told.
//!
//!     cargo run -p peerstream-ingest-rtmp --example take -- 127.0.0.1:1935 OUTPUT.mp4 SECONDS

use std::io::Write;
use std::time::Duration;

use peerstream_ingest_rtmp::{Config, Rtmp};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::ingest::{Ingest, IngestEvent, Programme, stage};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [listen, output, seconds] = &args[..] else {
        return Err("expected: ADDRESS OUTPUT SECONDS".into());
    };
    let config = Config { listen: listen.parse()?, ..Config::default() };
    let rtmp = Rtmp::build(config, &BuildContext::new("rtmp"))?;
    rtmp.start().await?;
    let key = Secret::new("example-key");
    rtmp.instructions(&key).iter().for_each(|told| eprintln!("{}: {}", told.program, told.text));
    let (stage, programme) = stage(key);
    tokio::select! {
        ended = Box::new(rtmp).run(stage) => ended?,
        written = write(programme, std::fs::File::create(output)?) => written?,
        () = tokio::time::sleep(Duration::from_secs_f64(seconds.parse()?)) => {}
    }
    Ok(())
}

async fn write(mut programme: Programme, mut output: std::fs::File) -> std::io::Result<()> {
    let billing = programme.billing();
    let (mut units, mut bytes, mut header) = (0u64, 0u64, None);
    while let Some(event) = programme.next().await {
        match event {
            IngestEvent::Init { bytes, mime } => {
                eprintln!("{mime}: {} bytes, on air: {:?}", bytes.len(), billing.borrow().on_air);
                if header.as_ref() != Some(&bytes) {
                    output.write_all(&bytes)?;
                    header = Some(bytes);
                }
            }
            IngestEvent::Unit(unit) => {
                output.write_all(&unit.payload)?;
                units += 1;
                bytes += unit.payload.len() as u64;
                if units % 50 == 0 {
                    let end_us = unit.pts_us + u64::from(unit.duration_us);
                    let on_air = billing.borrow().on_air.clone().unwrap_or_default();
                    eprintln!("{units} units, {bytes} bytes, to {:.2} s, {on_air}", end_us as f64 / 1e6);
                }
            }
            IngestEvent::Title(title) => eprintln!("title: {title}"),
            IngestEvent::Advice(text) => eprintln!("advice: {text}"),
        }
    }
    Ok(())
}
