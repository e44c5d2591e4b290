//! Has a copy of a work compared with what was streamed.

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use peerstream::takedown::Compare;
use peerstream::traits::compliance::{Comparison, Verdict};
use tokio::sync::Semaphore;

use crate::bundle::{Compared, Comparer, ComparisonReport, WAIT};
use crate::excerpt::Unpacked;

/// Comparisons at once: one takes a core for a minute or two.
const COMPARISONS_MAX: usize = 1;

/// Compares in a process of its own, which is this program again.
#[derive(Debug)]
pub struct Comparing {
    comparer: Comparer,
    turns: Semaphore,
}

impl Comparing {
    /// With this ffmpeg: a name to be found or a path.
    pub fn new(ffmpeg: PathBuf) -> io::Result<Self> {
        let (program, arguments) = (std::env::current_exe()?, vec!["compare".into()]);
        let comparer = Comparer { program, arguments, ffmpeg, wait: WAIT };
        Ok(Self { comparer, turns: Semaphore::new(COMPARISONS_MAX) })
    }

    async fn report(&self, bundle: &Path, copy: &Path) -> Result<ComparisonReport, String> {
        let _turn = self.turns.acquire().await.map_err(|error| error.to_string())?;
        let bundle = bundle.to_owned();
        let excerpt = tokio::task::spawn_blocking(move || Unpacked::of(&bundle)).await;
        let excerpt = excerpt.map_err(|error| error.to_string())??;
        Ok(self.comparer.compare(copy, excerpt.path()).await)
    }
}

#[async_trait]
impl Compare for Comparing {
    async fn compare(&self, bundle: &Path, copy: &Path) -> Comparison {
        let report = self.report(bundle, copy).await.unwrap_or_else(ComparisonReport::not_compared);
        let verdict = match report.verdict {
            Compared::Match => Verdict::Match,
            Compared::Unclear => Verdict::Unclear,
            Compared::Mismatch => Verdict::Mismatch,
            Compared::NotCompared => Verdict::NotCompared,
        };
        let tools = report.tools.iter().map(|(tool, version)| format!("{tool} {version}")).collect();
        Comparison { verdict, detail: report.detail(), tools }
    }
}
