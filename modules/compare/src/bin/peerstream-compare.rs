//! The comparison as a program of its own, for this crate's tests; the host has it as a hidden command.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match &arguments[..] {
        [ffmpeg, source, excerpt] => peerstream_compare::run(Path::new(ffmpeg), Path::new(source), Path::new(excerpt)),
        _ => {
            eprintln!("expected three arguments: ffmpeg, the source copy, the excerpt");
            ExitCode::from(2)
        }
    }
}
