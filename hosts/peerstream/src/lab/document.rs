//! What a command found, as one value: series of reports. `--json` writes it; `lab report` reads it.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use peerstream_lab::Report;
use serde::{Deserialize, Serialize};

use super::figures::{self, Figure, Summary};

/// The format that this version writes and reads; grows when a field changes its meaning or goes.
const FORMAT: &str = "peerstream-lab/1";

/// What a command found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Document {
    /// [`FORMAT`].
    pub format: String,
    /// The version of the command.
    pub version: String,
    /// The command line that gives the same again.
    pub command: String,
    /// What is compared, in the order it was named.
    pub series: Vec<Series>,
}

/// The runs of one scenario under one strategy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    /// What tells it from the others.
    pub label: String,
    /// The strategy as it was named.
    pub strategy: String,
    /// All figures by their keys, over the seeds.
    #[serde(skip_deserializing)]
    pub figures: BTreeMap<&'static str, Summary>,
    /// One report per seed.
    pub reports: Vec<Report>,
}

impl Document {
    /// What `command` found.
    pub fn new(command: String, series: Vec<Series>) -> Self {
        Self { format: FORMAT.to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), command, series }
    }

    /// Reads what `--json` wrote.
    pub fn from_json(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: Option<String>,
        }
        let head: Head = serde_json::from_str(text)?;
        match head.format.as_deref() {
            Some(FORMAT) => {}
            Some(other) => bail!("its format is `{other}`, expected `{FORMAT}`"),
            None => bail!("it has no `format`, expected what `peerstream lab ... --json` writes"),
        }
        let mut document: Self = serde_json::from_str(text)?;
        for series in &mut document.series {
            series.summarise();
        }
        if document.series.iter().any(|series| series.reports.is_empty()) {
            bail!("a series without a report");
        }
        Ok(document)
    }

    /// Everything, for programs.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a document has only what JSON can say")
    }

    /// The seeds of all series, sorted.
    pub fn seeds(&self) -> Vec<u64> {
        let mut seeds: Vec<_> = self.reports().map(|(_, report)| report.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        seeds
    }

    /// All reports, with the label of their series.
    pub fn reports(&self) -> impl Iterator<Item = (&str, &Report)> {
        self.series.iter().flat_map(|series| series.reports.iter().map(|report| (series.label.as_str(), report)))
    }

    /// One line per property that did not hold in a run.
    pub fn broken(&self) -> Vec<String> {
        let line = |(label, report): (&str, &Report)| {
            let lines = report.broken().map(|check| {
                let first = check
                    .examples
                    .first()
                    .map(|example| format!("; first: {}", shortened(example)))
                    .unwrap_or_default();
                let (name, seed, times, looked) = (&check.name, report.seed, check.violations, check.looked);
                format!(
                    "{name} does not hold in `{label}`, seed {seed}: {times} of {looked} times{first} ({})",
                    check.statement
                )
            });
            lines.collect::<Vec<_>>()
        };
        self.reports().flat_map(line).collect()
    }
}

impl Series {
    /// The runs of one scenario under one strategy; at least one.
    pub fn new(label: String, strategy: String, reports: Vec<Report>) -> Self {
        assert!(!reports.is_empty(), "a series has a report");
        let mut series = Self { label, strategy, figures: BTreeMap::new(), reports };
        series.summarise();
        series
    }

    fn summarise(&mut self) {
        self.figures = figures::all().map(|figure| (figure.key, figure.summary(&self.reports))).collect();
    }

    /// A figure over the seeds.
    pub fn summary(&self, figure: &Figure) -> &Summary {
        &self.figures[figure.key]
    }

    /// The report of the first seed, for what cannot be summed up.
    pub fn first(&self) -> &Report {
        &self.reports[0]
    }

    /// Such as `1,000 viewers x 5 min`.
    pub fn scale(&self) -> String {
        let scenario = &self.first().scenario;
        let viewers = super::number::short(scenario.viewers as f64);
        format!("{viewers} viewers x {} min", super::number::short(scenario.minutes))
    }
}

/// As much of an example as a line holds; all of it is in the document.
fn shortened(example: &str) -> String {
    const LETTERS: usize = 160;
    if example.chars().count() <= LETTERS {
        return example.to_owned();
    }
    example.chars().take(LETTERS - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::sample;

    #[test]
    fn a_document_survives_a_round_trip_through_json() {
        let document = sample::document(2, 3);
        let again = Document::from_json(&document.to_json()).unwrap();
        assert_eq!(again.to_json(), document.to_json());
        assert_eq!(again.seeds(), [1, 2, 3]);
    }

    #[test]
    fn a_document_of_another_kind_is_refused() {
        for (text, word) in
            [("{}", "no `format`"), ("{\"format\":\"peerstream-lab/99\"}", "peerstream-lab/1"), ("[", "EOF")]
        {
            let error = Document::from_json(text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_broken_property_is_named_with_its_series_seed_and_time() {
        let mut document = sample::document(1, 2);
        assert!(document.broken().is_empty());
        let check = &mut document.series[0].reports[1].checks[0];
        (check.violations, check.examples) = (2, vec!["at 12.3 s: n7".to_owned()]);
        let lines = document.broken();
        assert_eq!(lines.len(), 1);
        ["P1", "series 1", "seed 2", "12.3 s"].iter().for_each(|word| assert!(lines[0].contains(word), "{}", lines[0]));
    }
}
