//! `--record`: what is watched, in a file that can be played.

use std::io;
use std::path::PathBuf;

use peerstream::protocol::segment::Init;
use tracing::{error, info};

use crate::bundle::{Sync, Tape};

/// Writes to a tape. What is wrong with it is told, and never ends the watching.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    tape: Tape,
    /// Segments that could not be written since the trouble began.
    missing: u64,
}

impl Recording {
    /// To this file, or one beside it with a number.
    pub fn new(path: PathBuf) -> Self {
        Self { tape: Tape::new(&path, Sync::System), path, missing: 0 }
    }

    /// A broadcast begins that does not continue the last one.
    pub fn begin(&mut self) {
        self.tape.begin();
    }

    /// The codec header of what follows.
    pub fn init(&mut self, init: &Init) {
        self.tape.init(&init.bytes, &init.mime);
    }

    /// A segment; waits for the disk.
    pub fn segment(&mut self, bytes: &[u8]) {
        let path = self.path.display();
        match tokio::task::block_in_place(|| self.tape.segment(bytes)) {
            Ok(new) => {
                new.iter().for_each(|path| info!(path = %path.display(), "recording"));
                let missing = std::mem::take(&mut self.missing);
                if missing > 0 {
                    info!(path = %path, missing, "the recording goes on, with a gap");
                }
            }
            Err(problem) => {
                self.missing += 1;
                if self.missing == 1 {
                    let full = problem.kind() == io::ErrorKind::StorageFull;
                    let why = if full { "the disk is full".to_owned() } else { problem.to_string() };
                    error!(path = %path, "the recording stands still: {why}");
                }
            }
        }
    }
}
