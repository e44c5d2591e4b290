//! How a command fails: what is said, and the exit code.

use std::process::ExitCode;

/// Bytes of a data stream were lost for good.
pub const EXIT_GAP: u8 = 3;
/// A property did not hold in the lab.
pub const EXIT_BROKEN: u8 = 4;

/// Why a command stopped. Exit code 1, or 2 when the command line or the config must be changed.
#[derive(Debug)]
pub enum Failure {
    /// The command line or the config is wrong.
    Usage(anyhow::Error),
    /// Anything else.
    Run(anyhow::Error),
}

impl Failure {
    /// Says it on standard error and gives the exit code.
    pub fn report(self) -> ExitCode {
        let (error, code) = match self {
            Self::Usage(error) => (error, 2),
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
