//! Reports kept in a folder, so that a long study can be stopped and taken up again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use peerstream_lab::{Report, Scenario};
use serde::{Deserialize, Serialize};

use super::args::DataArgs;
use super::catalogue;
use super::study::Case;

/// A hash of the sources that decide what a run finds; made by the build script.
const SOURCES: &str = env!("PEERSTREAM_LAB_SOURCES");

/// A folder of reports, one file per run.
pub struct Store {
    folder: PathBuf,
    data: Vec<String>,
}

/// All that decides what a run finds.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Inputs {
    scenario: Scenario,
    strategy: String,
    seed: u64,
    /// Hashes of the data files.
    data: Vec<String>,
    /// [`SOURCES`].
    sources: String,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    inputs: Inputs,
    report: Report,
}

impl Store {
    /// Opens a folder, made if need be.
    pub fn open(folder: &Path, files: &DataArgs) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("--into: {} cannot be made", folder.display()))?;
        let hash = |path: &Option<PathBuf>| match path {
            Some(path) => Ok(blake3::hash(catalogue::read("data", path)?.as_bytes()).to_hex().to_string()),
            None => Ok(String::new()),
        };
        let data: Result<_> = [&files.rtt, &files.regions, &files.sessions].into_iter().map(hash).collect();
        Ok(Self { folder: folder.to_owned(), data: data? })
    }

    /// The report of a run that was made from the same inputs; none when there is none, or when it cannot be read.
    pub fn find(&self, case: &Case, seed: u64) -> Option<Report> {
        let text = fs::read(self.path(case, seed)).ok()?;
        let kept: Kept = serde_json::from_slice(&text).ok()?;
        (kept.inputs == self.inputs(case, seed)).then_some(kept.report)
    }

    /// Keeps a report: the file is there as a whole or not at all.
    pub fn keep(&self, case: &Case, seed: u64, report: &Report) -> Result<()> {
        let path = self.path(case, seed);
        let problem = || format!("--into: {} cannot be written", path.display());
        fs::create_dir_all(path.parent().expect("a file in a folder")).with_context(problem)?;
        let kept = Kept { inputs: self.inputs(case, seed), report: report.clone() };
        let text = serde_json::to_vec(&kept).expect("a report has only what JSON can say");
        let new = path.with_extension("new");
        fs::write(&new, text).and_then(|()| fs::rename(&new, &path)).with_context(problem)
    }

    fn inputs(&self, case: &Case, seed: u64) -> Inputs {
        let (scenario, strategy) = (case.scenario.clone(), case.strategy.clone());
        Inputs { scenario, strategy, seed, data: self.data.clone(), sources: SOURCES.to_owned() }
    }

    /// `FOLDER/SCENARIO-VIEWERSxMINUTES-STRATEGY-HASH/SEED.json`; the hash tells cases apart that differ in other fields.
    fn path(&self, case: &Case, seed: u64) -> PathBuf {
        let safe = |text: &str| text.replace(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-', "_");
        let scenario = &case.scenario;
        let hash = blake3::hash(format!("{} {}", scenario.to_toml(), case.strategy).as_bytes()).to_hex();
        let (name, strategy) = (safe(&scenario.name), safe(&case.strategy));
        let (viewers, minutes) = (scenario.viewers, scenario.minutes);
        self.folder.join(format!("{name}-{viewers}x{minutes}-{strategy}-{}", &hash[..8])).join(format!("{seed}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::sample;
    use crate::lab::strategy::named;

    fn case(strategy: &str) -> Case {
        let (label, scenario) = ("live".to_owned(), sample::report(1).scenario);
        Case { label, scenario, strategy: strategy.to_owned(), make: named(strategy).unwrap() }
    }

    fn store(folder: &Path, rtt: Option<PathBuf>) -> Store {
        Store::open(folder, &DataArgs { rtt, regions: None, sessions: None }).unwrap()
    }

    #[test]
    fn a_report_is_found_again_only_for_the_same_inputs() {
        let folder = tempfile::tempdir().unwrap();
        let here = store(folder.path(), None);
        here.keep(&case("dumbbell"), 7, &sample::report(7)).unwrap();
        assert_eq!(here.find(&case("dumbbell"), 7).unwrap().seed, 7);
        assert!(here.find(&case("dumbbell"), 8).is_none());
        assert!(here.find(&case("dumbbell:standby=false"), 7).is_none());
        let mut other = case("dumbbell");
        other.scenario.network.loss = 0.01;
        assert!(here.find(&other, 7).is_none());
        let rtt = folder.path().join("rtt");
        fs::write(&rtt, "0 1\n1 0\n").unwrap();
        assert!(store(folder.path(), Some(rtt)).find(&case("dumbbell"), 7).is_none());
    }

    #[test]
    fn a_file_that_is_cut_off_is_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), None);
        store.keep(&case("dumbbell"), 7, &sample::report(7)).unwrap();
        fs::write(store.path(&case("dumbbell"), 7), "{\"inputs\":").unwrap();
        assert!(store.find(&case("dumbbell"), 7).is_none());
    }
}
