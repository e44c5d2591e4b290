//! WebRTC's descriptions and candidates as the compact signals that travel, and back.

use peerstream_protocol::signal::{Candidate, Side, Signal};

use crate::Failure;

/// What a signal holds, as the driver is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Kind {
    /// An offer; the text is its SDP.
    Offer = 1,
    /// An answer; the text is its SDP.
    Answer = 2,
    /// The text is a candidate line.
    Candidate = 3,
    /// No more candidates.
    End = 4,
}

/// Shrinks an SDP; `side` is 0 for an offer and 1 for an answer.
pub fn from_sdp(side: u32, sdp: &[u8]) -> Result<Vec<u8>, Failure> {
    let side = match side {
        0 => Side::Offer,
        1 => Side::Answer,
        _ => return Err(Failure::Input),
    };
    Ok(Signal::from_sdp(side, text(sdp)?).map_err(|_| Failure::Input)?.encode())
}

/// Shrinks a candidate line; an empty one says that no more follow.
pub fn from_candidate(line: &[u8]) -> Result<Vec<u8>, Failure> {
    if line.is_empty() {
        return Ok(Signal::EndOfCandidates.encode());
    }
    let candidate = Candidate::from_line(text(line)?).map_err(|_| Failure::Input)?;
    Ok(Signal::Candidate(candidate).encode())
}

/// Expands a signal of another node.
pub fn expand(bytes: &[u8]) -> Result<(Kind, String), Failure> {
    let signal = Signal::decode(bytes).map_err(|_| Failure::Input)?;
    Ok(match &signal {
        Signal::Description(description) => {
            let kind = match description.side() {
                Side::Offer => Kind::Offer,
                Side::Answer => Kind::Answer,
            };
            (kind, description.to_sdp())
        }
        Signal::Candidate(candidate) => (Kind::Candidate, candidate.to_line()),
        Signal::EndOfCandidates => (Kind::End, String::new()),
    })
}

fn text(bytes: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(bytes).map_err(|_| Failure::Input)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host";

    #[test]
    fn a_candidate_comes_back() {
        let (kind, line) = expand(&from_candidate(LINE.as_bytes()).unwrap()).unwrap();
        assert_eq!(kind, Kind::Candidate);
        assert!(line.contains("192.0.2.7 50000 typ host"), "{line}");
    }

    #[test]
    fn the_end_of_candidates_comes_back() {
        assert_eq!(expand(&from_candidate(b"").unwrap()), Ok((Kind::End, String::new())));
    }

    #[test]
    fn a_description_keeps_its_side() {
        let fingerprint = ["AB"; 32].join(":");
        let sdp =
            format!("a=ice-ufrag:abcd\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {fingerprint}\r\n", "p".repeat(22));
        for (side, expected) in [(0, Kind::Offer), (1, Kind::Answer)] {
            let (kind, text) = expand(&from_sdp(side, sdp.as_bytes()).unwrap()).unwrap();
            assert_eq!(kind, expected);
            assert!(text.contains(&fingerprint), "{text}");
        }
        assert_eq!(from_sdp(2, sdp.as_bytes()), Err(Failure::Input));
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(expand(&[9, 9, 9]), Err(Failure::Input));
        assert_eq!(from_candidate(&[0xff]), Err(Failure::Input));
        assert_eq!(from_sdp(0, b"hello"), Err(Failure::Input));
    }
}
