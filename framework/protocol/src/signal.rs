//! Link set-up messages between two nodes, carried by the coordinator without looking inside.
//!
//! WebRTC describes itself in SDP, a text format that is large and can carry anything. Nodes exchange only what a data
//! channel needs, in a few dozen bytes, and each side rebuilds the SDP from checked parts: a peer cannot smuggle lines
//! of its own into it. Native nodes and browsers (through wasm) use this same code.
//!
//! | tag | message | body |
//! |---|---|---|
//! | 1, 2 | offer, answer | ufrag, pwd, 32 bytes of SHA-256 fingerprint, count byte, candidates |
//! | 3 | candidate | kind, priority (4), port (2), address |
//! | 4 | end of candidates | |
//!
//! ufrag and pwd are a byte with the number of characters, and the characters as base64 digits of 6 bits, the highest first and
//! zeros at the end. If one of them has another character than those of base64, it is plain text and the tag has 16
//! (ufrag) or 32 (pwd) more.
//!
//! The kind byte of a candidate holds the [`Origin`] in bits 0-1 and the form of the address in bits 2-3: IPv4 (4 bytes), IPv6
//! (16 bytes), an mDNS name (length byte and text), or one that is a UUID in lower case and `.local` (16 bytes). Numbers are big endian. The foundation and the related address of
//! ICE do not travel: the first is derived again, the second would only tell a stranger a private address.
//!
//! ```
//! use peerstream_protocol::signal::{Candidate, Signal};
//!
//! let line = "candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host";
//! let signal = Signal::Candidate(Candidate::from_line(line).unwrap());
//! assert_eq!(signal.encode().len(), 12);
//! assert_eq!(Signal::decode(&signal.encode()).unwrap(), signal);
//! ```

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt::Write;

pub use crate::control::SIGNAL_BYTES_MAX;
use crate::packing;

/// A description carries at most this many candidates; more follow one by one.
pub const CANDIDATES_MAX: usize = 16;
/// SDP texts longer than this are not read, in bytes.
pub const SDP_BYTES_MAX: usize = 32 * 1024;
/// Candidate lines longer than this are not read, in bytes.
pub const LINE_BYTES_MAX: usize = 512;
/// An mDNS name is at most this long, in bytes; browsers use 42.
pub const NAME_BYTES_MAX: usize = 64;
/// Messages on a data channel are at most this long, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Length limits of RFC 8839 for the user fragment, in characters.
const UFRAG_CHARS: std::ops::RangeInclusive<usize> = 4..=255;
/// Length limits of RFC 8839 for the password, in characters; the wire has one byte for the length.
const PWD_CHARS: std::ops::RangeInclusive<usize> = 22..=255;

const TAG_OFFER: u8 = 1;
const TAG_ANSWER: u8 = 2;
const TAG_CANDIDATE: u8 = 3;
const TAG_END: u8 = 4;
/// Added to the tag of a description whose user fragment, or password, is plain text.
const PLAIN_UFRAG: u8 = 16;
const PLAIN_PWD: u8 = 32;

/// Why a signal, an SDP or a candidate line was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// Ends early, has bytes left over, or a field has an impossible value.
    #[error("malformed signal")]
    Malformed,
    /// Larger than its bound.
    #[error("signal exceeds its bound")]
    TooLarge,
    /// Well formed, but of a sort that links do not use, such as a TCP candidate.
    #[error("candidate of a sort that is not used")]
    Unsupported,
}

/// Which of the two descriptions of a set-up this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The first description.
    Offer,
    /// The reply to it.
    Answer,
}

/// How a candidate's address was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// An interface of the node.
    Host,
    /// Seen by a STUN server.
    ServerReflexive,
    /// Seen by the other node.
    PeerReflexive,
    /// Lent by a TURN server.
    Relay,
}

/// Where a candidate is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// An mDNS name ending in `.local`, which browsers publish instead of a private address.
    Name(MdnsName),
}

/// A checked mDNS name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MdnsName(String);

/// One UDP address at which a node may be reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// How it was found.
    pub origin: Origin,
    /// The sender's preference as in RFC 8445; higher is better.
    pub priority: u32,
    /// The address.
    pub address: Address,
    /// The UDP port, never zero.
    pub port: u16,
}

/// What a node tells another so that a data channel can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    side: Side,
    ufrag: String,
    pwd: String,
    fingerprint: [u8; 32],
    candidates: Vec<Candidate>,
}

/// One set-up message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// An offer or an answer.
    Description(Description),
    /// A candidate found after the description was sent.
    Candidate(Candidate),
    /// No more candidates follow.
    EndOfCandidates,
}

impl Signal {
    /// Reads an SDP that a WebRTC stack made. Candidates that cannot be used are left out, as are those beyond
    /// [`CANDIDATES_MAX`].
    pub fn from_sdp(side: Side, sdp: &str) -> Result<Self, SignalError> {
        Description::from_sdp(side, sdp).map(Self::Description)
    }

    /// Returns the SDP of a description, and nothing for the other messages.
    pub fn to_sdp(&self) -> Option<String> {
        match self {
            Self::Description(description) => Some(description.to_sdp()),
            Self::Candidate(_) | Self::EndOfCandidates => None,
        }
    }

    /// Returns the message as bytes, never more than [`SIGNAL_BYTES_MAX`].
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        match self {
            Self::Description(description) => description.encode(&mut out),
            Self::Candidate(candidate) => {
                out.push(TAG_CANDIDATE);
                candidate.encode(&mut out);
            }
            Self::EndOfCandidates => out.push(TAG_END),
        }
        out
    }

    /// Reads a message of another node.
    pub fn decode(bytes: &[u8]) -> Result<Self, SignalError> {
        if bytes.len() > SIGNAL_BYTES_MAX {
            return Err(SignalError::TooLarge);
        }
        let mut input = Input(bytes);
        let tag = input.byte()?;
        let plain = tag & (PLAIN_UFRAG | PLAIN_PWD);
        let signal = match tag {
            _ if tag & !plain == TAG_OFFER => Self::Description(Description::decode(Side::Offer, plain, &mut input)?),
            _ if tag & !plain == TAG_ANSWER => Self::Description(Description::decode(Side::Answer, plain, &mut input)?),
            TAG_CANDIDATE => Self::Candidate(Candidate::decode(&mut input)?),
            TAG_END => Self::EndOfCandidates,
            _ => return Err(SignalError::Malformed),
        };
        if input.0.is_empty() { Ok(signal) } else { Err(SignalError::Malformed) }
    }
}

impl Description {
    fn new(
        side: Side,
        ufrag: &str,
        pwd: &str,
        fingerprint: [u8; 32],
        candidates: Vec<Candidate>,
    ) -> Result<Self, SignalError> {
        if candidates.len() > CANDIDATES_MAX {
            return Err(SignalError::TooLarge);
        }
        let ufrag = ice_text(ufrag, UFRAG_CHARS)?;
        let pwd = ice_text(pwd, PWD_CHARS)?;
        Ok(Self { side, ufrag, pwd, fingerprint, candidates })
    }

    /// Returns whether this offers or answers.
    pub fn side(&self) -> Side {
        self.side
    }

    /// Returns the candidates that came with the description.
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// Returns the SHA-256 of the sender's DTLS certificate.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// Adds a candidate; beyond [`CANDIDATES_MAX`] it is handed back, to be sent on its own.
    pub fn push(&mut self, candidate: Candidate) -> Result<(), Candidate> {
        if self.candidates.len() == CANDIDATES_MAX {
            return Err(candidate);
        }
        self.candidates.push(candidate);
        Ok(())
    }

    /// Keeps the candidates for which `keep` holds.
    pub fn retain(&mut self, keep: impl FnMut(&Candidate) -> bool) {
        self.candidates.retain(keep);
    }

    fn from_sdp(side: Side, sdp: &str) -> Result<Self, SignalError> {
        if sdp.len() > SDP_BYTES_MAX {
            return Err(SignalError::TooLarge);
        }
        let value = |key: &str| sdp.lines().find_map(|line| line.trim_end().strip_prefix(key));
        let ufrag = value("a=ice-ufrag:").ok_or(SignalError::Malformed)?;
        let pwd = value("a=ice-pwd:").ok_or(SignalError::Malformed)?;
        let fingerprint = sdp
            .lines()
            .filter_map(|line| line.trim_end().strip_prefix("a=fingerprint:"))
            .find_map(fingerprint_from_text)
            .ok_or(SignalError::Malformed)?;
        let candidates = sdp
            .lines()
            .filter(|line| line.starts_with("a=candidate:"))
            .filter_map(|line| Candidate::from_line(line).ok())
            .take(CANDIDATES_MAX)
            .collect();
        Self::new(side, ufrag, pwd, fingerprint, candidates)
    }

    /// Returns an SDP with nothing but one data-channel transport.
    pub fn to_sdp(&self) -> String {
        let setup = match self.side {
            Side::Offer => "actpass",
            Side::Answer => "active",
        };
        let mut sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
             m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
             a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=ice-options:trickle\r\na=fingerprint:sha-256 {}\r\na=setup:{setup}\r\n\
             a=mid:0\r\na=sctp-port:5000\r\na=max-message-size:{MESSAGE_BYTES_MAX}\r\n",
            self.ufrag,
            self.pwd,
            fingerprint_to_text(&self.fingerprint),
        );
        for candidate in &self.candidates {
            // Writing into a String cannot fail.
            let _ = write!(sdp, "a={}\r\n", candidate.to_line());
        }
        sdp
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let at = out.len();
        out.push(match self.side {
            Side::Offer => TAG_OFFER,
            Side::Answer => TAG_ANSWER,
        });
        for (text, plain) in [(&self.ufrag, PLAIN_UFRAG), (&self.pwd, PLAIN_PWD)] {
            match packing::pack(text) {
                Some(packed) => {
                    out.push(u8::try_from(text.len()).expect("checked texts are at most 255 bytes"));
                    out.extend_from_slice(&packed);
                }
                None => {
                    out[at] |= plain;
                    push_text(out, text);
                }
            }
        }
        out.extend_from_slice(&self.fingerprint);
        out.push(u8::try_from(self.candidates.len()).expect("a description holds at most 16 candidates"));
        for candidate in &self.candidates {
            candidate.encode(out);
        }
    }

    /// `plain` has the bits of those texts that are not packed.
    fn decode(side: Side, plain: u8, input: &mut Input<'_>) -> Result<Self, SignalError> {
        let ufrag = input.ice_text(plain & PLAIN_UFRAG != 0)?;
        let pwd = input.ice_text(plain & PLAIN_PWD != 0)?;
        let fingerprint = input.array()?;
        let count = usize::from(input.byte()?);
        if count > CANDIDATES_MAX {
            return Err(SignalError::TooLarge);
        }
        let candidates = (0..count).map(|_| Candidate::decode(input)).collect::<Result<_, _>>()?;
        Self::new(side, &ufrag, &pwd, fingerprint, candidates)
    }
}

impl Candidate {
    /// Reads `candidate:...`, with or without a leading `a=`. TCP candidates and second components are
    /// [`SignalError::Unsupported`]; so is an address that nobody can be reached at.
    pub fn from_line(line: &str) -> Result<Self, SignalError> {
        if line.len() > LINE_BYTES_MAX {
            return Err(SignalError::TooLarge);
        }
        let line = line.trim();
        let line = line.strip_prefix("a=").unwrap_or(line);
        let mut words = line.strip_prefix("candidate:").ok_or(SignalError::Malformed)?.split_ascii_whitespace();
        let mut word = || words.next().ok_or(SignalError::Malformed);
        let (_foundation, component, protocol) = (word()?, word()?, word()?);
        if component != "1" || !protocol.eq_ignore_ascii_case("udp") {
            return Err(SignalError::Unsupported);
        }
        let priority = word()?.parse().map_err(|_| SignalError::Malformed)?;
        let address = Address::from_text(word()?)?;
        let port = word()?.parse().map_err(|_| SignalError::Malformed)?;
        if word()? != "typ" {
            return Err(SignalError::Malformed);
        }
        let origin = Origin::from_text(word()?)?;
        Self { origin, priority, address, port }.checked()
    }

    /// Returns the `candidate:...` line, without `a=`.
    pub fn to_line(&self) -> String {
        let mut line = format!(
            "candidate:{} 1 udp {} {} {} typ {}",
            self.foundation(),
            self.priority,
            self.address,
            self.port,
            self.origin.as_str()
        );
        if self.origin != Origin::Host {
            // Required by the grammar; browsers write the same when they hide it.
            line.push_str(" raddr 0.0.0.0 rport 0");
        }
        line
    }

    /// Candidates with equal foundations are tried one after the other: those of one origin and one base address.
    fn foundation(&self) -> u32 {
        let mut hash = 0x811c_9dc5_u32;
        let origin = self.origin.as_str().bytes();
        for byte in origin.chain(self.address.to_string().bytes()) {
            hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
        hash
    }

    fn checked(self) -> Result<Self, SignalError> {
        let reachable = match &self.address {
            Address::Ip(ip) => !ip.is_unspecified() && !ip.is_multicast() && *ip != IpAddr::V4(Ipv4Addr::BROADCAST),
            Address::Name(_) => true,
        };
        if reachable && self.port != 0 { Ok(self) } else { Err(SignalError::Unsupported) }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let uuid = match &self.address {
            Address::Name(name) => packing::uuid(&name.0),
            Address::Ip(_) => None,
        };
        let form = match &self.address {
            Address::Ip(IpAddr::V4(_)) => 0,
            Address::Ip(IpAddr::V6(_)) => 1,
            Address::Name(_) if uuid.is_none() => 2,
            Address::Name(_) => 3,
        };
        out.push(self.origin as u8 | form << 2);
        out.extend_from_slice(&self.priority.to_be_bytes());
        out.extend_from_slice(&self.port.to_be_bytes());
        match (&self.address, uuid) {
            (_, Some(uuid)) => out.extend_from_slice(&uuid),
            (Address::Ip(IpAddr::V4(ip)), _) => out.extend_from_slice(&ip.octets()),
            (Address::Ip(IpAddr::V6(ip)), _) => out.extend_from_slice(&ip.octets()),
            (Address::Name(name), None) => push_text(out, &name.0),
        }
    }

    fn decode(input: &mut Input<'_>) -> Result<Self, SignalError> {
        let kind = input.byte()?;
        let origin =
            [Origin::Host, Origin::ServerReflexive, Origin::PeerReflexive, Origin::Relay][usize::from(kind & 3)];
        let priority = u32::from_be_bytes(input.array()?);
        let port = u16::from_be_bytes(input.array()?);
        let address = match kind >> 2 {
            0 => Address::Ip(Ipv4Addr::from(input.array::<4>()?).into()),
            1 => Address::Ip(Ipv6Addr::from(input.array::<16>()?).into()),
            2 => Address::Name(MdnsName::new(input.text()?).and_then(MdnsName::not_uuid)?),
            3 => Address::Name(MdnsName(packing::uuid_name(input.array()?))),
            _ => return Err(SignalError::Malformed),
        };
        Self { origin, priority, address, port }.checked()
    }
}

impl Origin {
    fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relay => "relay",
        }
    }

    fn from_text(text: &str) -> Result<Self, SignalError> {
        [Self::Host, Self::ServerReflexive, Self::PeerReflexive, Self::Relay]
            .into_iter()
            .find(|origin| origin.as_str() == text)
            .ok_or(SignalError::Malformed)
    }
}

impl Address {
    fn from_text(text: &str) -> Result<Self, SignalError> {
        match text.parse() {
            Ok(ip) => Ok(Self::Ip(ip)),
            Err(_) => MdnsName::new(text).map(Self::Name),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(&name.0),
        }
    }
}

impl MdnsName {
    /// Checks that `name` is letters, digits, hyphens and dots, and ends in `.local`.
    pub fn new(name: &str) -> Result<Self, SignalError> {
        if name.len() > NAME_BYTES_MAX {
            return Err(SignalError::TooLarge);
        }
        let host = name.strip_suffix(".local").ok_or(SignalError::Malformed)?;
        let label_ok =
            |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if host.split('.').all(label_ok) { Ok(Self(name.to_owned())) } else { Err(SignalError::Malformed) }
    }

    /// A UUID has a form of its own.
    fn not_uuid(self) -> Result<Self, SignalError> {
        if packing::uuid(&self.0).is_none() { Ok(self) } else { Err(SignalError::Malformed) }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The characters RFC 8839 allows in a user fragment and a password; no space, no line break.
fn ice_text(text: &str, chars: std::ops::RangeInclusive<usize>) -> Result<String, SignalError> {
    if text.len() > *chars.end() {
        return Err(SignalError::TooLarge);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    // Browsers and libraries have used these two as well; they are as harmless inside a line.
    let tolerated = |byte: u8| byte == b'-' || byte == b'_';
    let valid = text.len() >= *chars.start() && text.bytes().all(|byte| allowed(byte) || tolerated(byte));
    if valid { Ok(text.to_owned()) } else { Err(SignalError::Malformed) }
}

/// Reads `sha-256 AB:CD:...`; other hashes give nothing.
fn fingerprint_from_text(text: &str) -> Option<[u8; 32]> {
    let (hash, hex) = text.trim().split_once(' ')?;
    if !hash.eq_ignore_ascii_case("sha-256") {
        return None;
    }
    let mut fingerprint = [0; 32];
    let mut pairs = hex.split(':');
    for byte in &mut fingerprint {
        let pair = pairs.next().filter(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    pairs.next().is_none().then_some(fingerprint)
}

fn fingerprint_to_text(fingerprint: &[u8; 32]) -> String {
    let mut text = String::with_capacity(95);
    for (index, byte) in fingerprint.iter().enumerate() {
        let separator = if index == 0 { "" } else { ":" };
        // Writing into a String cannot fail.
        let _ = write!(text, "{separator}{byte:02X}");
    }
    text
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(u8::try_from(text.len()).expect("checked texts are at most 255 bytes"));
    out.extend_from_slice(text.as_bytes());
}

/// The bytes not read yet.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], SignalError> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(SignalError::Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SignalError> {
        self.take(N).map(|bytes| bytes.try_into().expect("took as many bytes as asked"))
    }

    fn byte(&mut self) -> Result<u8, SignalError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A user fragment or a password.
    fn ice_text(&mut self, plain: bool) -> Result<String, SignalError> {
        if plain {
            let text = self.text()?;
            // What can be packed has only that form.
            return if packing::pack(text).is_none() { Ok(text.to_owned()) } else { Err(SignalError::Malformed) };
        }
        let chars = usize::from(self.byte()?);
        packing::unpack(self.take(packing::packed_len(chars))?, chars).ok_or(SignalError::Malformed)
    }

    fn text(&mut self) -> Result<&'a str, SignalError> {
        let length = usize::from(self.byte()?);
        std::str::from_utf8(self.take(length)?).map_err(|_| SignalError::Malformed)
    }
}

/// The body of the signal fuzz target: what decodes, encodes to the same bytes; what becomes SDP, reads back.
#[doc(hidden)]
pub fn fuzz_decode(data: &[u8]) {
    if let Ok(signal) = Signal::decode(data) {
        assert_eq!(signal.encode(), data, "one message has one form");
        if let (Signal::Description(description), Some(sdp)) = (&signal, signal.to_sdp()) {
            let again = Signal::from_sdp(description.side, &sdp);
            assert_eq!(again.as_ref(), Ok(&signal), "the SDP says the same");
            assert_eq!(sdp.matches("\nm=").count(), 1, "one media section");
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Candidate::from_line(text).map(|candidate| Candidate::from_line(&candidate.to_line()));
        let _ = Signal::from_sdp(Side::Offer, text);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHROMIUM_OFFER: &str = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
        a=group:BUNDLE 0\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
        a=candidate:1467250027 1 udp 2122260223 f4b5d5f6-0f29-4b9f-a6bd-6b1f8d3ba3d0.local 46154 typ host generation 0 network-id 1\r\n\
        a=candidate:1467250027 1 tcp 1518280447 192.168.0.196 9 typ host tcptype active generation 0\r\n\
        a=candidate:842163049 1 udp 1677729535 203.0.113.9 46154 typ srflx raddr 0.0.0.0 rport 0 generation 0\r\n\
        a=ice-ufrag:xLqS\r\na=ice-pwd:BNYXN4FwH8JmZl9qpZ0x5LxB\r\na=ice-options:trickle\r\n\
        a=fingerprint:sha-256 7B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08\r\n\
        a=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n";

    fn candidate() -> impl Strategy<Value = Candidate> {
        let origin = prop_oneof![
            Just(Origin::Host),
            Just(Origin::ServerReflexive),
            Just(Origin::PeerReflexive),
            Just(Origin::Relay)
        ];
        let address = prop_oneof![
            any::<[u8; 4]>().prop_map(|ip| Address::Ip(Ipv4Addr::from(ip).into())),
            any::<[u8; 16]>().prop_map(|ip| Address::Ip(Ipv6Addr::from(ip).into())),
            any::<[u8; 16]>().prop_map(|uuid| Address::Name(MdnsName(packing::uuid_name(uuid)))),
            "[a-zA-Z0-9-]{1,36}\\.local".prop_map(|name| Address::Name(MdnsName::new(&name).unwrap())),
        ];
        (origin, any::<u32>(), address, any::<u16>())
            .prop_map(|(origin, priority, address, port)| Candidate { origin, priority, address, port })
            .prop_filter("reachable", |candidate| candidate.clone().checked().is_ok())
    }

    fn description() -> impl Strategy<Value = Signal> {
        let side = prop_oneof![Just(Side::Offer), Just(Side::Answer)];
        let candidates = proptest::collection::vec(candidate(), 0..=CANDIDATES_MAX);
        (side, "[a-zA-Z0-9+/]{4,255}", "[a-zA-Z0-9+/]{22,60}(-[a-zA-Z0-9_]{0,190})?", any::<[u8; 32]>(), candidates)
            .prop_map(|(side, ufrag, pwd, fingerprint, candidates)| {
                Signal::Description(Description::new(side, &ufrag, &pwd, fingerprint, candidates).unwrap())
            })
    }

    fn signal() -> impl Strategy<Value = Signal> {
        prop_oneof![description(), candidate().prop_map(Signal::Candidate), Just(Signal::EndOfCandidates)]
    }

    proptest! {
        #[test]
        fn signals_come_back_from_their_bytes(signal in signal()) {
            let bytes = signal.encode();
            prop_assert!(bytes.len() <= SIGNAL_BYTES_MAX);
            prop_assert_eq!(Signal::decode(&bytes), Ok(signal));
        }

        #[test]
        fn descriptions_come_back_from_their_sdp(signal in description()) {
            let Signal::Description(description) = &signal else { unreachable!() };
            let sdp = signal.to_sdp().unwrap();
            let again = Signal::from_sdp(description.side(), &sdp);
            prop_assert_eq!(again, Ok(signal));
        }

        #[test]
        fn candidates_come_back_from_their_line(candidate in candidate()) {
            prop_assert_eq!(Candidate::from_line(&candidate.to_line()), Ok(candidate));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            fuzz_decode(&bytes);
        }

        #[test]
        fn damaged_signals_never_panic(signal in signal(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = signal.encode();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            fuzz_decode(&bytes);
            bytes.truncate(at);
            fuzz_decode(&bytes);
        }

        #[test]
        fn arbitrary_text_never_panics(text in "(a=)?(candidate:|ice-ufrag:)?[ -~\r\n]{0,200}") {
            fuzz_decode(text.as_bytes());
        }
    }

    #[test]
    fn a_browsers_offer_shrinks_to_what_a_data_channel_needs() {
        let signal = Signal::from_sdp(Side::Offer, CHROMIUM_OFFER).unwrap();
        let Signal::Description(description) = &signal else { panic!("an SDP is a description") };
        let origins: Vec<_> = description.candidates().iter().map(|candidate| candidate.origin).collect();
        assert_eq!(origins, [Origin::Host, Origin::ServerReflexive], "the tcp candidate is gone");
        assert_eq!(description.fingerprint()[..2], [0x7b, 0x8b]);
        assert_eq!(signal.encode().len(), 1 + (1 + 3) + (1 + 18) + 32 + 1 + (1 + 4 + 2 + 16) + (1 + 4 + 2 + 4));
    }

    #[test]
    fn a_peer_cannot_add_lines_to_the_sdp() {
        let fingerprint = [7; 32];
        for ufrag in ["abcd\r\nm=audio 9 RTP/AVP 0", "abcd efgh", "abcd\n", "abc", "abcdé"] {
            assert!(Description::new(Side::Offer, ufrag, &"p".repeat(22), fingerprint, vec![]).is_err(), "{ufrag:?}");
        }
        for name in ["a\r\na=x.local", "a b.local", ".local", "a..local", "example.com", "a.local\r\n"] {
            assert!(MdnsName::new(name).is_err(), "{name:?}");
        }
        let mut bytes = vec![TAG_OFFER | PLAIN_UFRAG | PLAIN_PWD, 6];
        bytes.extend_from_slice(b"ab\r\na=");
        bytes.push(22);
        bytes.extend_from_slice(&[b'p'; 22]);
        bytes.extend_from_slice(&[0; 33]);
        assert_eq!(Signal::decode(&bytes), Err(SignalError::Malformed));
    }

    #[test]
    fn candidates_that_cannot_be_used_are_told_apart() {
        let unsupported = [
            "candidate:1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active",
            "candidate:1 2 udp 2130706430 192.0.2.1 50000 typ host",
            "candidate:1 1 udp 2130706431 0.0.0.0 50000 typ host",
            "candidate:1 1 udp 2130706431 224.0.0.251 5353 typ host",
            "candidate:1 1 udp 2130706431 192.0.2.1 0 typ host",
        ];
        for line in unsupported {
            assert_eq!(Candidate::from_line(line), Err(SignalError::Unsupported), "{line}");
        }
        for line in
            ["", "candidate:", "candidate:1 1 udp 5 192.0.2.1 50000", "candidate:1 1 udp 5 evil.example 1 typ host"]
        {
            assert_eq!(Candidate::from_line(line), Err(SignalError::Malformed), "{line}");
        }
    }

    #[test]
    fn bounds_hold() {
        assert_eq!(Signal::decode(&[TAG_END; SIGNAL_BYTES_MAX + 1]), Err(SignalError::TooLarge));
        assert_eq!(Signal::from_sdp(Side::Offer, &"a".repeat(SDP_BYTES_MAX + 1)), Err(SignalError::TooLarge));
        let line = "candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host";
        let one = Candidate::from_line(line).unwrap();
        let many = vec![one; CANDIDATES_MAX + 1];
        let made = Description::new(Side::Offer, "abcd", &"p".repeat(22), [0; 32], many);
        assert_eq!(made, Err(SignalError::TooLarge));
    }
}
