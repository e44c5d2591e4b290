//! What is to be simulated: a study is a list of cases, each run with the same seeds.

use anyhow::{Context, Result, anyhow, bail};
use peerstream_lab::Scenario;

use super::args::{CompareArgs, RunArgs, StudyArgs, SweepArgs};
use super::catalogue;
use super::strategy::{self, MakeStrategy};

/// Cases of one study at most.
const CASES_MAX: usize = 1_000;

/// One scenario under one strategy.
pub struct Case {
    /// What tells it from the others.
    pub label: String,
    /// The scenario, all flags applied.
    pub scenario: Scenario,
    /// The strategy as it was named.
    pub strategy: String,
    /// Makes it.
    pub make: MakeStrategy,
}

impl Case {
    fn new(label: &str, scenario: Scenario, strategy: &str) -> Result<Self> {
        let make = strategy::named(strategy)?;
        Ok(Self { label: label.to_owned(), scenario, strategy: strategy.to_owned(), make })
    }
}

/// One case per scenario.
pub fn run(args: &RunArgs) -> Result<Vec<Case>> {
    let case = |name: &String| {
        let scenario = set_all(scaled(name, &args.study)?, &settings(&args.study)?)?;
        Case::new(&scenario.name.clone(), scenario, &args.strategy)
    };
    args.scenarios.iter().map(case).collect()
}

/// One case per strategy.
pub fn compare(args: &CompareArgs) -> Result<Vec<Case>> {
    let scenario = set_all(scaled(&args.scenario, &args.study)?, &settings(&args.study)?)?;
    args.strategies.iter().map(|strategy| Case::new(strategy, scenario.clone(), strategy)).collect()
}

/// One case per value, or per combination of values when several fields have several.
pub fn sweep(args: &SweepArgs) -> Result<Vec<Case>> {
    let mut cases = vec![(String::new(), scaled(&args.scenario, &args.study)?)];
    for (key, values) in settings(&args.study)? {
        let values = split_values(values);
        if values.len() * cases.len() > CASES_MAX {
            bail!("the sweep has more than {CASES_MAX} combinations of values");
        }
        let mut next = Vec::new();
        for (label, scenario) in &cases {
            for value in &values {
                let varied = if values.len() > 1 { joined(label, &format!("{key}={value}")) } else { label.clone() };
                next.push((varied, set(scenario, key, value)?));
            }
        }
        cases = next;
    }
    if cases.len() < 2 {
        bail!("nothing to sweep over: expected a field with several values, such as --set network.loss=0,0.01,0.02");
    }
    cases.into_iter().map(|(label, scenario)| Case::new(&label, scenario, &args.strategy)).collect()
}

/// The seeds in the order they are run.
pub fn seeds(args: &StudyArgs) -> Vec<u64> {
    match (args.seed, args.seeds) {
        (Some(seed), _) => vec![seed],
        (None, Some(count)) => (1..=count).collect(),
        (None, None) => vec![1],
    }
}

/// The command line that gives the same again, for a shell.
pub fn command_line() -> String {
    let quoted = |argument: String| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=:,./@%+".contains(letter);
        let plain = !argument.is_empty() && argument.chars().all(plain);
        if plain { argument } else { format!("'{}'", argument.replace('\'', "'\\''")) }
    };
    let arguments = std::env::args_os().skip(1).map(|argument| quoted(argument.to_string_lossy().into_owned()));
    std::iter::once("peerstream".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

fn scaled(name: &str, args: &StudyArgs) -> Result<Scenario> {
    let mut scenario = catalogue::scenario(name)?;
    scenario.viewers = args.viewers.unwrap_or(scenario.viewers);
    scenario.minutes = args.minutes.unwrap_or(scenario.minutes);
    scenario.validate().with_context(|| name.to_owned())?;
    Ok(scenario)
}

/// The `--set` flags as keys and values.
fn settings(args: &StudyArgs) -> Result<Vec<(&str, &str)>> {
    fn split(flag: &String) -> Result<(&str, &str)> {
        let found = flag.split_once('=').filter(|(key, value)| !key.is_empty() && !value.is_empty());
        found.ok_or_else(|| anyhow!("--set `{flag}`: expected KEY=VALUE"))
    }
    args.set.iter().map(split).collect()
}

fn set_all(scenario: Scenario, settings: &[(&str, &str)]) -> Result<Scenario> {
    settings.iter().try_fold(scenario, |scenario, (key, value)| set(&scenario, key, value))
}

fn set(scenario: &Scenario, key: &str, value: &str) -> Result<Scenario> {
    scenario.with(key, value).with_context(|| format!("--set `{key}={value}`"))
}

/// Splits at commas that are not within brackets or quotes.
fn split_values(text: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut start) = (0_i32, false, 0);
    let mut values = Vec::new();
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                values.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    values.push(&text[start..]);
    values
}

fn joined(label: &str, next: &str) -> String {
    if label.is_empty() { next.to_owned() } else { format!("{label} {next}") }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::lab::args::LabCommand;

    fn cases(line: &str) -> Result<Vec<Case>> {
        let cli = Cli::try_parse_from(line.split_whitespace()).expect("the flags are known");
        let Command::Lab { command } = cli.command else { panic!("another command") };
        match command {
            LabCommand::Run(args) => run(&args),
            LabCommand::Compare(args) => compare(&args),
            LabCommand::Sweep(args) => sweep(&args),
            LabCommand::List | LabCommand::Report(_) => panic!("another command"),
        }
    }

    #[track_caller]
    fn check_refused(line: &str, words: &[&str]) {
        let error = format!("{:#}", cases(line).err().expect("refused"));
        words.iter().for_each(|word| assert!(error.contains(word), "`{word}` is not in: {error}"));
    }

    #[test]
    fn flags_scale_the_scenario_and_set_its_fields() {
        let cases = cases("peerstream lab run live vanish --viewers 77 --minutes 2 --set network.loss=0.01").unwrap();
        let labels: Vec<_> = cases.iter().map(|case| case.label.as_str()).collect();
        assert_eq!(labels, ["live", "vanish"]);
        let scenario = &cases[1].scenario;
        assert_eq!((scenario.viewers, scenario.minutes, scenario.network.loss), (77, 2.0, 0.01));
    }

    #[test]
    fn a_comparison_has_a_case_per_strategy() {
        let line = "peerstream lab compare live --strategy dumbbell --strategy dumbbell:standby=false";
        let labels: Vec<_> = cases(line).unwrap().into_iter().map(|case| case.label).collect();
        assert_eq!(labels, ["dumbbell", "dumbbell:standby=false"]);
    }

    #[test]
    fn a_sweep_has_a_case_per_combination() {
        let line = "peerstream lab sweep live --set network.loss=0,0.01 --set viewers=50 --set stream.gop=5,10,20";
        let cases = cases(line).unwrap();
        assert_eq!((cases.len(), cases[5].label.as_str()), (6, "network.loss=0.01 stream.gop=20"));
        assert!(cases.iter().all(|case| case.scenario.viewers == 50));
        assert_eq!(split_values("[1,2],[3,4],\"a,b\""), ["[1,2]", "[3,4]", "\"a,b\""]);
    }

    #[test]
    fn mistakes_are_named_with_what_was_expected() {
        check_refused("peerstream lab run live --set network.loss", &["--set `network.loss`", "KEY=VALUE"]);
        check_refused("peerstream lab run live --set network.los=1", &["network.los", "unknown field", "`loss`"]);
        check_refused("peerstream lab run live --viewers 0", &["live", "`viewers`"]);
        check_refused("peerstream lab run live --strategy mesh", &["mesh", "available: dumbbell"]);
        check_refused("peerstream lab sweep live --set network.loss=0.01", &["several values"]);
        check_refused("peerstream lab run nothing.toml", &["nothing.toml", "cannot be read"]);
    }
}
