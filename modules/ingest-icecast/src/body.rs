//! The body of a source's request: until the connection ends, of a length, or in chunks.

use std::io::{self, ErrorKind};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::head::Head;

/// How much is read at once, in bytes.
const CHUNK_BYTES: usize = 16 * 1024;
/// The line before a chunk is no longer, in bytes.
const SIZE_LINE_MAX: usize = 256;

/// How a body ends.
#[derive(Debug, PartialEq, Eq)]
pub enum Framing {
    /// With the connection, as source clients have it.
    UntilClose,
    /// After so many bytes.
    Length(u64),
    /// With a chunk of length zero.
    Chunked(Chunked),
}

impl Framing {
    /// As the head of the request says.
    pub fn of(head: &Head) -> Result<Self, &'static str> {
        let encoding = head.header("transfer-encoding");
        if encoding.eq_ignore_ascii_case("chunked") {
            return Ok(Self::Chunked(Chunked::default()));
        }
        if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
            return Err("the body is encoded in a way that is not known");
        }
        match head.header("content-length") {
            "" => Ok(Self::UntilClose),
            // Some clients that stream say so.
            "0" | "-1" => Ok(Self::UntilClose),
            length => length.parse().map(Self::Length).map_err(|_| "the length of the body is no number"),
        }
    }

    /// Takes what is of the body; none if more is needed, nothing at the end.
    fn take(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Bytes>> {
        match self {
            Self::Length(0) => Ok(Some(Bytes::new())),
            Self::Chunked(chunked) => chunked.take(bytes),
            _ if bytes.is_empty() => Ok(None),
            Self::UntilClose => Ok(Some(bytes.split().freeze())),
            Self::Length(left) => {
                let len = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= len as u64;
                Ok(Some(bytes.split_to(len).freeze()))
            }
        }
    }
}

/// Takes a body out of its chunks.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chunked {
    state: State,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Data(u64),
    LineEnd,
    End,
}

impl Chunked {
    /// The next bytes of the body; none if more is needed, nothing at the end.
    pub fn take(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Bytes>> {
        loop {
            match self.state {
                State::End => return Ok(Some(Bytes::new())),
                State::Data(0) => self.state = State::LineEnd,
                State::Data(left) => {
                    if bytes.is_empty() {
                        return Ok(None);
                    }
                    let len = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    self.state = State::Data(left - len as u64);
                    return Ok(Some(bytes.split_to(len).freeze()));
                }
                State::Size | State::LineEnd => {
                    let Some(line) = line(bytes)? else { return Ok(None) };
                    self.state = if self.state == State::LineEnd { after_data(&line)? } else { size(&line)? };
                }
            }
        }
    }
}

fn bad(text: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text)
}

/// A line without its end; none if it is not there yet.
fn line(bytes: &mut BytesMut) -> io::Result<Option<Bytes>> {
    match bytes.iter().position(|&byte| byte == b'\n') {
        Some(at) if at <= SIZE_LINE_MAX => Ok(Some(bytes.split_to(at + 1).freeze())),
        None if bytes.len() <= SIZE_LINE_MAX => Ok(None),
        _ => Err(bad("a chunk has no size")),
    }
}

fn size(line: &[u8]) -> io::Result<State> {
    let text = std::str::from_utf8(line).unwrap_or_default();
    let size = text.split(';').next().unwrap_or_default().trim();
    match u64::from_str_radix(size, 16) {
        Ok(0) => Ok(State::End),
        Ok(size) if !size_is_signed(text) => Ok(State::Data(size)),
        _ => Err(bad("a chunk has no size")),
    }
}

fn size_is_signed(text: &str) -> bool {
    text.starts_with(['+', '-'])
}

fn after_data(line: &[u8]) -> io::Result<State> {
    if line.trim_ascii().is_empty() { Ok(State::Size) } else { Err(bad("a chunk is longer than it says")) }
}

/// Reads a body from a connection.
#[derive(Debug)]
pub struct Body {
    stream: TcpStream,
    pending: BytesMut,
    framing: Framing,
    idle: Duration,
    heard: Instant,
    received: u64,
}

impl Body {
    /// `pending` was read already; nothing for longer than `idle` is an error.
    pub fn new(stream: TcpStream, pending: BytesMut, framing: Framing, idle: Duration) -> Self {
        Self { stream, pending, framing, idle, heard: Instant::now(), received: 0 }
    }

    /// The next bytes; nothing at the end. Nothing is lost when this is dropped before it is done.
    pub async fn next(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(bytes) = self.framing.take(&mut self.pending)? {
                self.received += bytes.len() as u64;
                return Ok(bytes);
            }
            self.pending.reserve(CHUNK_BYTES);
            let read = timeout_at(self.heard + self.idle, self.stream.read_buf(&mut self.pending)).await;
            let len = read.map_err(|_| io::Error::from(ErrorKind::TimedOut))??;
            if len == 0 {
                return match self.framing {
                    Framing::UntilClose => Ok(Bytes::new()),
                    _ => Err(ErrorKind::UnexpectedEof.into()),
                };
            }
            self.heard = Instant::now();
        }
    }

    /// From now on time counts again: the source was held back and could not be heard.
    pub fn heard(&mut self) {
        self.heard = Instant::now();
    }

    /// Bytes so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Whether the end is told, so that an answer is waited for.
    pub fn ends(&self) -> bool {
        self.framing != Framing::UntilClose
    }

    /// The connection, to answer on.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unchunked(bytes: &[u8], piece: usize) -> io::Result<(Vec<u8>, bool)> {
        let (mut chunked, mut pending, mut all) = (Chunked::default(), BytesMut::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            pending.extend_from_slice(piece);
            while let Some(bytes) = chunked.take(&mut pending)? {
                if bytes.is_empty() {
                    return Ok((all, true));
                }
                all.extend_from_slice(&bytes);
            }
        }
        Ok((all, false))
    }

    #[test]
    fn chunks_are_put_together_however_the_bytes_are_divided() {
        let bytes = b"5\r\nhello\r\n6;x=1\r\n world\r\n0\r\n\r\n";
        for piece in [1, 2, 3, 100] {
            assert_eq!(unchunked(bytes, piece).unwrap(), (b"hello world".to_vec(), true));
        }
        assert_eq!(unchunked(b"A\nlinefeed", 4).unwrap(), (b"linefeed".to_vec(), false));
    }

    #[test]
    fn what_are_no_chunks_is_refused() {
        for bytes in ["x\r\n", "3\r\nabcd\r\n", "-1\r\n", "fffffffffffffffff\r\n", &"1".repeat(300)] {
            assert!(unchunked(bytes.as_bytes(), 7).is_err(), "{bytes}");
        }
    }

    #[test]
    fn the_head_says_how_the_body_ends() {
        let framing = |lines: &str| {
            let text = format!("PUT / HTTP/1.1\r\n{lines}\r\n");
            Framing::of(&Head::read(text.as_bytes()).unwrap().unwrap().0)
        };
        assert_eq!(framing(""), Ok(Framing::UntilClose));
        assert_eq!(framing("Content-Length: 12\r\n"), Ok(Framing::Length(12)));
        assert_eq!(framing("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked(Chunked::default())));
        assert!(framing("Transfer-Encoding: gzip\r\n").is_err() && framing("Content-Length: x\r\n").is_err());
    }
}
