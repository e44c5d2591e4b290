//! How a command fails: what is said, and the exit code. 0: fine; 1: anything else; the rest is here.

use std::process::ExitCode;

use peerstream_registry::Report;

use crate::check::summary;

/// The command line or the config must be changed.
pub const EXIT_USAGE: u8 = 2;
/// Bytes of a data stream were lost for good.
pub const EXIT_GAP: u8 = 3;
/// A property did not hold in the lab, or a proof does not hold.
pub const EXIT_BROKEN: u8 = 4;
/// The config is fine, but a plug-in does not find what it needs.
pub const EXIT_PROBE: u8 = 5;

/// Why a command stopped. Exit code 1, or 2 when the command line or the config must be changed.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong.
    Usage(anyhow::Error),
    /// The config is wrong.
    Config(Report),
    /// Anything else.
    Run(anyhow::Error),
}

impl Failure {
    /// Says it on standard error and gives the exit code.
    pub fn report(self) -> ExitCode {
        let (error, code) = match self {
            Self::Config(report) => {
                eprint!("{}", report.human());
                eprintln!("peerstream: {}", summary(&report));
                return ExitCode::from(EXIT_USAGE);
            }
            Self::Usage(error) => (error, EXIT_USAGE),
            Self::Run(error) => (error, 1),
        };
        eprintln!("peerstream: {error:#}");
        ExitCode::from(code)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Run(error)
    }
}
