//! `peerstream lab`: broadcasts in the simulator, and what is to be told about them.

mod args;
mod catalogue;
mod document;
mod figures;
mod html;
mod number;
mod progress;
mod runner;
#[cfg(test)]
mod sample;
mod store;
mod strategy;
mod study;
mod table;

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use anyhow::Context;

pub use self::args::LabCommand;
use self::args::{OutputArgs, ReportArgs, StudyArgs};
use self::document::Document;
use self::runner::Runner;
use self::store::Store;
use self::study::Case;
use crate::banner;
use crate::failure::{EXIT_BROKEN, Failure};

/// Carries out what the command line says.
pub fn run(command: LabCommand) -> Result<ExitCode, Failure> {
    match command {
        LabCommand::List => list(),
        LabCommand::Run(args) => simulate(study::run(&args), &args.study),
        LabCommand::Compare(args) => simulate(study::compare(&args), &args.study),
        LabCommand::Sweep(args) => simulate(study::sweep(&args), &args.study),
        LabCommand::Report(args) => report(&args),
    }
}

fn list() -> Result<ExitCode, Failure> {
    for (name, text) in catalogue::BUILT_IN {
        banner::line(&format!("{name:<14}{}", catalogue::about(text)));
    }
    Ok(ExitCode::SUCCESS)
}

fn simulate(cases: anyhow::Result<Vec<Case>>, args: &StudyArgs) -> Result<ExitCode, Failure> {
    let cases = cases.map_err(Failure::Usage)?;
    let data = catalogue::data(&args.data).map_err(Failure::Usage)?;
    let store = args.into.as_deref().map(|folder| Store::open(folder, &args.data)).transpose()?;
    let cores = || thread::available_parallelism().map_or(1, NonZero::get);
    let runner = Runner { data: &data, jobs: args.jobs.map_or_else(cores, usize::from), store: store.as_ref() };
    let series = runner.run(cases, &study::seeds(args))?;
    let document = Document::new(study::command_line(), series);
    show(&document, &args.output)?;
    Ok(verdict(&document))
}

/// Documents side by side.
fn report(args: &ReportArgs) -> Result<ExitCode, Failure> {
    let documents: Result<Vec<_>, _> = args.files.iter().map(|path| read(path)).collect();
    let mut documents = documents.map_err(Failure::Usage)?.into_iter();
    let mut all = documents.next().context("no document")?;
    for next in documents {
        all.series.extend(next.series);
        all.command = format!("{}; {}", all.command, next.command);
    }
    show(&all, &args.output)?;
    Ok(verdict(&all))
}

fn read(path: &Path) -> anyhow::Result<Document> {
    let text = catalogue::read("document", path)?;
    Document::from_json(&text).with_context(|| format!("document: {}", path.display()))
}

/// Writes what was asked for.
fn show(document: &Document, output: &OutputArgs) -> anyhow::Result<()> {
    if let Some(path) = &output.html {
        fs::write(path, html::page(document))
            .with_context(|| format!("--html: {} cannot be written", path.display()))?;
    }
    banner::line(if output.json { document.to_json() } else { table::render(document) }.trim_end());
    Ok(())
}

/// Names the properties that do not hold; the exit code says whether there are any.
fn verdict(document: &Document) -> ExitCode {
    let broken = document.broken();
    broken.iter().for_each(|line| eprintln!("peerstream: {line}"));
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_BROKEN) }
}
