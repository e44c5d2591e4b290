//! Reads on a thread of its own: a blocked read of standard input must not hold up the end of the process.

use std::io::{ErrorKind, Read};

use bytes::Bytes;
use tokio::sync::mpsc;

/// How much is read at once, in bytes.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks that wait to be cut; a writer that is faster waits.
const CHUNKS_MAX: usize = 4;

/// Chunks in order; an error is the last item.
#[derive(Debug)]
pub struct Chunks {
    receiver: mpsc::Receiver<std::io::Result<Bytes>>,
    first: Option<std::io::Result<Bytes>>,
}

impl Chunks {
    /// The next chunk; none at the end.
    pub async fn next(&mut self) -> Option<std::io::Result<Bytes>> {
        match self.first.take() {
            Some(first) => Some(first),
            None => self.receiver.recv().await,
        }
    }

    /// Waits until there is a first chunk, or an end.
    pub async fn begun(&mut self) {
        if self.first.is_none() {
            self.first = self.receiver.recv().await;
        }
    }
}

/// Reads from what `open` gives until it ends or nobody takes the chunks.
///
/// The thread is detached: it lives until its read returns, or until the process ends.
pub fn spawn<R: Read>(open: impl FnOnce() -> std::io::Result<R> + Send + 'static) -> std::io::Result<Chunks> {
    let (chunks, receiver) = mpsc::channel(CHUNKS_MAX);
    std::thread::Builder::new().name("ingest-pipe".into()).spawn(move || match open() {
        Ok(input) => read_all(input, &chunks),
        Err(error) => drop(chunks.blocking_send(Err(error))),
    })?;
    Ok(Chunks { receiver, first: None })
}

fn read_all(mut input: impl Read, chunks: &mpsc::Sender<std::io::Result<Bytes>>) {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let item = match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(len) => Ok(Bytes::copy_from_slice(&buffer[..len])),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let last = item.is_err();
        if chunks.blocking_send(item).is_err() || last {
            return;
        }
    }
}
