//! Runs a scenario with the dumbbell and prints the report as JSON.
//!
//! `cargo run --release -p peerstream-lab --example run -- framework/lab/scenarios/live.toml viewers=1000 minutes=2 seed=3`
//!
//! `rtt=FILE`, `regions=FILE` and `sessions=FILE` give the data that a scenario asks for; any other `path=value` sets a
//! field of the scenario.

use std::io::Write;
use std::time::Instant;

use peerstream_dumbbell::Dumbbell;
use peerstream_lab::data::{Data, Matrix, Regions, parse_sessions};
use peerstream_lab::{Progress, Scenario};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("expected the file of a scenario")?;
    let mut scenario =
        Scenario::from_toml(&std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?)?;
    let (mut data, mut seed) = (Data::default(), 1);
    for argument in arguments {
        let (name, value) = argument.split_once('=').ok_or("expected NAME=VALUE")?;
        match name {
            "seed" => seed = value.parse()?,
            "rtt" => data.rtt = Some(Matrix::parse(&std::fs::read_to_string(value)?)?),
            "regions" => data.regions = Some(Regions::parse(&std::fs::read_to_string(value)?)?),
            "sessions" => data.sessions = Some(parse_sessions(&std::fs::read_to_string(value)?)?),
            path => scenario = scenario.with(path, value)?,
        }
    }
    let begun = Instant::now();
    let mut said = begun;
    let mut progress = |progress: &Progress| {
        if said.elapsed().as_secs() >= 2 {
            said = Instant::now();
            eprintln!("{:3.0} %  {} viewers  {} events", progress.done * 100.0, progress.viewers, progress.events);
        }
    };
    let report = peerstream_lab::run(&scenario, &data, seed, &mut || Box::new(Dumbbell::default()), &mut progress)?;
    eprintln!("{:.1} s for {:.0} simulated", begun.elapsed().as_secs_f64(), report.simulated_s);
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&report)?)?;
    Ok(())
}
