//! Scenarios by name or from a file, and the data files they draw on.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use peerstream_lab::Scenario;
use peerstream_lab::data::{Data, Matrix, Regions, parse_sessions};

use super::args::DataArgs;

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../framework/lab/scenarios/", $name, ".toml")))),*]
    };
}

/// The scenarios that come along, with their text.
pub const BUILT_IN: &[(&str, &str)] = built_in![
    "live",
    "exponential",
    "vanish",
    "flash",
    "weak",
    "underperform",
    "overpromise",
    "control-drop",
    "control-lossy",
    "one-root",
    "lag",
    "past"
];

/// A file of a scenario or of data is no larger, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The scenario of this name, or from the file of this name.
pub fn scenario(name: &str) -> Result<Scenario> {
    if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
        return parse(name, text);
    }
    let path = Path::new(name);
    if path.extension().is_none() && !path.exists() {
        bail!("no scenario `{name}`{}; expected one of {}, or a TOML file", nearest(name), names());
    }
    parse(name, &read("scenario", path)?)
}

/// What a built-in scenario is about: its first line.
pub fn about(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim_start_matches('#').trim()
}

/// Reads the data files that were named.
pub fn data(files: &DataArgs) -> Result<Data> {
    let at = |path: &Path| path.display().to_string();
    let rtt = files.rtt.as_deref().map(|path| Matrix::parse(&read("--rtt", path)?).with_context(|| at(path)));
    let regions =
        files.regions.as_deref().map(|path| Regions::parse(&read("--regions", path)?).with_context(|| at(path)));
    let sessions =
        files.sessions.as_deref().map(|path| parse_sessions(&read("--sessions", path)?).with_context(|| at(path)));
    Ok(Data { rtt: rtt.transpose()?, regions: regions.transpose()?, sessions: sessions.transpose()? })
}

/// Reads a text file of bounded size.
pub fn read(what: &str, path: &Path) -> Result<String> {
    let problem = || format!("{what}: {} cannot be read", path.display());
    let size = fs::metadata(path).with_context(problem)?.len();
    if size > FILE_BYTES_MAX {
        bail!("{what}: {} has {size} bytes, expected at most {FILE_BYTES_MAX}", path.display());
    }
    fs::read_to_string(path).with_context(problem)
}

/// Reads a scenario; a mistake is told with file and line.
fn parse(origin: &str, text: &str) -> Result<Scenario> {
    let scenario: Scenario = toml::from_str(text).map_err(|error| match error.span() {
        Some(span) => anyhow!("{origin}:{}: {}", line_of(text, span.start), error.message()),
        None => anyhow!("{origin}: {}", error.message()),
    })?;
    scenario.validate().with_context(|| origin.to_owned())?;
    Ok(scenario)
}

fn line_of(text: &str, offset: usize) -> usize {
    text.get(..offset).map_or(1, |before| before.matches('\n').count() + 1)
}

fn names() -> String {
    BUILT_IN.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// `; did you mean ...?` when a known name is near.
fn nearest(name: &str) -> String {
    let near = |known: &str| strsim::jaro_winkler(known, name);
    let best = BUILT_IN.iter().map(|(known, _)| *known).max_by(|a, b| near(a).total_cmp(&near(b)));
    best.filter(|known| near(known) > 0.75).map(|known| format!("; did you mean `{known}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_scenario_is_valid_and_says_what_it_is_about() {
        for (name, text) in BUILT_IN {
            assert_eq!(scenario(name).unwrap().name, *name);
            assert!(about(text).ends_with('.'), "{name}: {}", about(text));
        }
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest_and_all() {
        let error = scenario("vannish").unwrap_err().to_string();
        assert!(error.contains("did you mean `vanish`?") && error.contains("`one-root`"), "{error}");
        assert!(!scenario("qqq").unwrap_err().to_string().contains("did you mean"));
    }

    #[test]
    fn a_mistake_is_told_with_its_file_and_line() {
        for (text, at) in [("name = \"a\"\nviewer = 5\n", "x.toml:2: "), ("name = \"a\"\n[network\n", "x.toml:2: ")] {
            let error = parse("x.toml", text).unwrap_err().to_string();
            assert!(error.starts_with(at), "{error}");
        }
        let error = format!("{:#}", parse("x.toml", "viewers = 0").unwrap_err());
        assert!(error.starts_with("x.toml: ") && error.contains("`viewers`"), "{error}");
    }
}
