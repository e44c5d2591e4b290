//! The process that compares.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::align::{self, Prints, Sort};
use crate::decode::{Decoder, Problem};
use crate::report::{Report, Track};
use crate::{picture, sandbox, sound};

/// Compares two files and writes the [`Report`] to standard output, as one line of JSON. Gives up most rights of this process first: call it in a process of its
/// own, before any thread is started.
pub fn run(ffmpeg: &Path, source: &Path, excerpt: &Path) -> ExitCode {
    let ffmpeg = found(ffmpeg);
    let report = match sandbox::confine(&ffmpeg, &[source, excerpt]) {
        Ok(()) => compare(&Decoder::new(&ffmpeg), source, excerpt),
        Err(error) => Report::not_compared(format!("this system cannot confine a process: {error}")),
    };
    let line = serde_json::to_string(&report).expect("a report is always JSON");
    match writeln!(std::io::stdout(), "{line}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// A program that is only named is looked for as a shell does.
fn found(program: &Path) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).map(|folder| folder.join(program));
    let named = program.components().count() == 1;
    places.into_iter().find(|place| named && place.is_file()).unwrap_or_else(|| program.to_owned())
}

fn compare(decoder: &Decoder, source: &Path, excerpt: &Path) -> Report {
    let mut tools = BTreeMap::from([("peerstream-compare".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
    match decoder.version() {
        Ok(version) => drop(tools.insert("ffmpeg".into(), version)),
        Err(problem) => return Report::not_compared(problem.0),
    }
    tools.extend(sound::TOOL.map(|tool| ("sound".to_owned(), tool.to_owned())));
    tools.insert("picture".into(), "dhash 64 bits, 4 a second".into());
    let sound = track("sound", |file| sound::prints(decoder, file), source, excerpt, sound::SORT);
    let picture = track("picture", |file| picture::prints(decoder, file), source, excerpt, picture::SORT);
    Report::of(sound, picture, tools)
}

fn track(
    what: &str,
    prints: impl Fn(&Path) -> Result<Prints, Problem>,
    source: &Path,
    excerpt: &Path,
    sort: Sort,
) -> Track {
    let of = |name: &str, file| prints(file).map_err(|Problem(why)| format!("no {what} of the {name}: {why}"));
    match of("excerpt", excerpt).and_then(|excerpt| Ok((of("source copy", source)?, excerpt))) {
        Ok((source, excerpt)) => align::compare(&source, &excerpt, sort),
        Err(why) => Track::not_compared(why),
    }
}
