//! Tries one library and says what is wrong with it: what `peerstream __probe` does, for programs that embed the loader.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(command), Some(name), Some(path)) = (arguments.next(), arguments.next(), arguments.next()) else {
        eprintln!("usage: peerstream-probe {} NAME FILE", peerstream_loader::probe::COMMAND);
        return ExitCode::from(2);
    };
    if command != peerstream_loader::probe::COMMAND {
        eprintln!("expected {}, found {}", peerstream_loader::probe::COMMAND, command.display());
        return ExitCode::from(2);
    }
    peerstream_loader::probe::main(&name.to_string_lossy(), &PathBuf::from(path))
}
