//! RTMP's handshake, seen from the server: the plain one, which all encoders know.

use bytes::{Bytes, BytesMut};

use crate::session::Fault;

const VERSION: u8 = 3;
const PACKET_LEN: usize = 1536;

/// The handshake until it is done.
#[derive(Debug)]
pub struct Handshake {
    buffer: BytesMut,
    /// What we send; `None` once it is sent.
    chance: Option<Box<[u8; Self::CHANCE_LEN]>>,
}

impl Handshake {
    /// How many bytes of chance are sent.
    pub const CHANCE_LEN: usize = PACKET_LEN - 8;

    /// Waits for the other side's first packet.
    pub fn new(chance: [u8; Self::CHANCE_LEN]) -> Self {
        Self { buffer: BytesMut::new(), chance: Some(Box::new(chance)) }
    }

    /// Takes bytes and writes answers; gives the bytes that come after it once it is done.
    pub fn push(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<Option<Bytes>, Fault> {
        self.buffer.extend_from_slice(bytes);
        check_start(&self.buffer)?;
        if self.buffer.len() > PACKET_LEN
            && let Some(chance) = self.chance.take()
        {
            out.extend_from_slice(&[VERSION]);
            // No time, and zeros: the plain handshake.
            out.extend_from_slice(&[0; 8]);
            out.extend_from_slice(&chance[..]);
            // Its own packet back.
            out.extend_from_slice(&self.buffer[1..=PACKET_LEN]);
        }
        if self.buffer.len() < 1 + 2 * PACKET_LEN {
            return Ok(None);
        }
        let _ = self.buffer.split_to(1 + 2 * PACKET_LEN);
        Ok(Some(self.buffer.split().freeze()))
    }
}

/// Says what came instead of an encoder.
fn check_start(bytes: &[u8]) -> Result<(), Fault> {
    let text = match bytes {
        [] | [VERSION, ..] => return Ok(()),
        [0x16, ..] => "TLS (rtmps://) is not taken here: use rtmp://".to_owned(),
        [6, ..] => "encrypted RTMP (rtmpe://) is not taken here: use rtmp://".to_owned(),
        [b'G' | b'P' | b'H' | b'O', ..] => "this is no web server: RTMP expected, HTTP found".to_owned(),
        [other, ..] => format!("RTMP expected, found a first byte of {other:#04x}"),
    };
    Err(Fault::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_is_done_however_its_bytes_are_cut() {
        let mut hello = vec![VERSION];
        hello.extend((0..2 * PACKET_LEN).map(|n| n as u8));
        hello.extend(b"rest");
        for step in [1, 7, 1536, 9999] {
            let (mut handshake, mut out, mut rest) = (Handshake::new([7; 1528]), BytesMut::new(), None);
            for piece in hello.chunks(step) {
                match &mut rest {
                    None => rest = handshake.push(piece, &mut out).unwrap().map(|rest| rest.to_vec()),
                    Some(rest) => rest.extend_from_slice(piece),
                }
            }
            assert_eq!(rest.as_deref(), Some(&b"rest"[..]), "steps of {step}");
            assert_eq!((out.len(), out[0]), (1 + 2 * PACKET_LEN, VERSION));
            assert_eq!(out[1 + PACKET_LEN..], hello[1..=PACKET_LEN]);
        }
    }

    #[test]
    fn what_comes_instead_is_named() {
        let fault = |bytes: &[u8]| Handshake::new([0; 1528]).push(bytes, &mut BytesMut::new()).unwrap_err().to_string();
        assert!(fault(b"\x16\x03\x01").contains("rtmps://"));
        assert!(fault(b"GET / HTTP/1.1\r\n").contains("HTTP found"));
        assert!(fault(b"\xff").contains("0xff"));
    }
}
