//! The command line of the lab.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do in the lab.
#[derive(Debug, Subcommand)]
pub enum LabCommand {
    /// Show the scenarios that come along
    List,
    /// Simulate scenarios and show what came of it
    Run(RunArgs),
    /// Simulate a scenario under several strategies, with the same seeds
    Compare(CompareArgs),
    /// Simulate a scenario again and again, with other values in some of its fields
    Sweep(SweepArgs),
    /// Make a table or a page of documents that `--json` wrote
    Report(ReportArgs),
}

/// Options of `lab run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Names (see `lab list`) or TOML files; their figures are shown beside each other
    #[arg(required = true, value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// The strategy, with options if need be, such as `dumbbell:standby=false`
    #[arg(long, value_name = "STRATEGY", default_value = "dumbbell")]
    pub strategy: String,
    #[command(flatten)]
    pub study: StudyArgs,
}

/// Options of `lab compare`.
#[derive(Args, Debug)]
pub struct CompareArgs {
    /// A name (see `lab list`) or a TOML file
    pub scenario: String,
    /// A strategy, with options if need be, such as `dumbbell:standby=false`; give several
    #[arg(long = "strategy", value_name = "STRATEGY", required = true)]
    pub strategies: Vec<String>,
    #[command(flatten)]
    pub study: StudyArgs,
}

/// Options of `lab sweep`.
#[derive(Args, Debug)]
pub struct SweepArgs {
    /// A name (see `lab list`) or a TOML file
    pub scenario: String,
    /// The strategy, with options if need be, such as `dumbbell:standby=false`
    #[arg(long, value_name = "STRATEGY", default_value = "dumbbell")]
    pub strategy: String,
    #[command(flatten)]
    pub study: StudyArgs,
}

/// What is the same for `run`, `compare` and `sweep`.
#[derive(Args, Debug)]
pub struct StudyArgs {
    /// Viewers in the steady state, or when all have come
    #[arg(long, value_name = "N")]
    pub viewers: Option<usize>,
    /// Minutes that are measured, after the warm-up
    #[arg(long, value_name = "M")]
    pub minutes: Option<f64>,
    /// The one seed [default: 1]
    #[arg(long, value_name = "S", conflicts_with = "seeds")]
    pub seed: Option<u64>,
    /// The seeds 1 to K
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub seeds: Option<u64>,
    /// A field of the scenario and its value, such as `network.loss=0.01`; with `sweep`, values split by commas
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    #[command(flatten)]
    pub data: DataArgs,
    /// Runs at the same time [default: as many as there are cores]
    #[arg(long, value_name = "J", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub jobs: Option<u16>,
    /// Keep each run's report in this folder, and do not run again what is there already
    #[arg(long, value_name = "FOLDER")]
    pub into: Option<PathBuf>,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Options of `lab report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// Documents; their series are shown beside each other
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What is written besides the table.
#[derive(Args, Debug)]
pub struct OutputArgs {
    /// Write a JSON document to standard output instead of the table
    #[arg(long)]
    pub json: bool,
    /// Write a page with tables, plots and the trees
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Measured data that scenarios may draw on.
#[derive(Args, Debug)]
pub struct DataArgs {
    /// Round trips between hosts: a square of numbers in ms
    #[arg(long, value_name = "FILE")]
    pub rtt: Option<PathBuf>,
    /// Regions of the world: shares, latencies, rates as a CSV table
    #[arg(long, value_name = "FILE")]
    pub regions: Option<PathBuf>,
    /// Viewing sessions: a CSV table with a column `duration_s`
    #[arg(long, value_name = "FILE")]
    pub sessions: Option<PathBuf>,
}
