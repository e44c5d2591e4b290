//! Carries out a study: every case with every seed, several at a time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use anyhow::{Context, Result};
use peerstream_lab::{Data, Report};

use super::document::Series;
use super::progress::Board;
use super::store::Store;
use super::study::Case;

/// How a study is carried out.
pub struct Runner<'a> {
    /// What the scenarios may draw on.
    pub data: &'a Data,
    /// Runs at the same time.
    pub jobs: usize,
    /// Where reports are kept, and looked for.
    pub store: Option<&'a Store>,
}

impl Runner<'_> {
    /// All runs, by case. What has begun is ended when one fails, but nothing more is begun.
    pub fn run(&self, cases: Vec<Case>, seeds: &[u64]) -> Result<Vec<Series>> {
        let tasks: Vec<_> = cases.iter().flat_map(|case| seeds.iter().map(move |seed| (case, *seed))).collect();
        let results: Vec<_> = tasks.iter().map(|_| Mutex::new(None)).collect();
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let board = Board::new(tasks.len());
        let work = || {
            while !failed.load(Relaxed) {
                let index = next.fetch_add(1, Relaxed);
                let Some((case, seed)) = tasks.get(index) else { return };
                let result = self.one(case, *seed, &board, index);
                failed.fetch_or(result.is_err(), Relaxed);
                *results[index].lock().expect("no thread panicked") = Some(result);
            }
        };
        thread::scope(|scope| (0..self.jobs.min(tasks.len())).for_each(|_| drop(scope.spawn(work))));
        board.clear();
        let mut reports = Vec::new();
        for result in results.into_iter().map(|it| it.into_inner().expect("no thread panicked")) {
            reports.extend(result.transpose()?);
        }
        let mut reports = reports.into_iter();
        let series = |case: Case| Series::new(case.label, case.strategy, reports.by_ref().take(seeds.len()).collect());
        Ok(cases.into_iter().map(series).collect())
    }

    fn one(&self, case: &Case, seed: u64, board: &Board, index: usize) -> Result<Report> {
        if let Some(report) = self.store.and_then(|store| store.find(case, seed)) {
            board.done(index);
            return Ok(report);
        }
        let report = peerstream_lab::run(&case.scenario, self.data, seed, &mut || (case.make)(), &mut |progress| {
            board.update(index, &case.label, seed, progress);
        });
        let report = report.with_context(|| format!("`{}`, seed {seed}", case.label))?;
        if let Some(store) = self.store {
            store.keep(case, seed, &report)?;
        }
        board.done(index);
        Ok(report)
    }
}
