//! What a coordinator is told at its start.

use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::id::Term;
use peerstream_protocol::segment::Kind;

/// What a coordinator is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// This reign; higher than that of any earlier coordinator of the stream, and below 2^32.
    pub term: Term,
    /// An earlier coordinator has served this very epoch: its nodes are awaited and keep their names, ages and links.
    pub follows: bool,
    /// The publisher's word for the key of this epoch.
    pub cert: EpochCert,
    /// Media or data.
    pub kind: Kind,
    /// ICE servers for the nodes, such as `stun:192.0.2.1:3478`; the first
    /// [`peerstream_protocol::control::ICE_URLS_MAX`] of at most 255 bytes are used.
    pub ice: Vec<String>,
    /// What the strategy is called, for people.
    pub strategy: String,
    /// Makes session tokens and age tickets; 32 secret random bytes, the same for all coordinators of a publisher.
    pub secret: [u8; 32],
    /// Microseconds since 1970 at the coordinator's time zero.
    pub wall_at_zero_us: u64,
    /// What protects the coordinator.
    pub limits: Limits,
}

/// What protects the coordinator. Each limit has a counter in [`crate::Counters`] that says how often it was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Members without the source; beyond it newcomers are refused (`joins_refused_full`).
    pub nodes_max: usize,
    /// Open connections, greeted or not; beyond it they are closed at once (`connections_refused`).
    pub connections_max: usize,
    /// Milliseconds a connection may stay open without a hello (`hello_timeouts`).
    pub hello_timeout_ms: u64,
    /// Joins from one address at once after a pause; an IPv6 address counts by its first 64 bits
    /// (`joins_refused_address`).
    pub joins_per_address_burst: u32,
    /// Joins from one address per second after that.
    pub joins_per_address_per_second: u32,
    /// Addresses remembered for that; newcomers beyond it share one allowance (`addresses_shared`).
    pub addresses_max: usize,
    /// Messages of one connection at once after a pause; what comes beyond is dropped (`messages_dropped`).
    pub messages_burst: u32,
    /// Messages of one connection per second after that.
    pub messages_per_second: u32,
    /// Messages of one connection dropped in a row before it is closed (`misbehaved`).
    pub messages_dropped_max: u32,
    /// Malformed messages of one connection before it is closed (`misbehaved`).
    pub malformed_max: u32,
    /// Signals of one node at once after a pause; what comes beyond is dropped (`signals_dropped`).
    pub signals_burst: u32,
    /// Signals of one node per second after that.
    pub signals_per_second: u32,
    /// Bytes per second that newcomers are sent over the control connection, all together, until a parent feeds them; 0
    /// for none (`starters_refused`).
    pub starter_bytes_per_second: u64,
    /// Bits per second that the source may send to nodes it feeds; it gets room for as many children as that is worth at
    /// the stream's measured bitrate, at least as many as its hello says and at most `capacity_max`. 0: no more than it says.
    pub source_bits_per_second: u64,
    /// Children a node may offer to feed; more is taken as this (`capacity_clamped`).
    pub capacity_max: u8,
}

impl Default for Limits {
    /// Good for one machine: ten thousand viewers, two hundred at once behind one address.
    fn default() -> Self {
        Self {
            nodes_max: 10_000,
            connections_max: 12_000,
            hello_timeout_ms: 5_000,
            joins_per_address_burst: 250,
            joins_per_address_per_second: 50,
            addresses_max: 16_384,
            messages_burst: 400,
            messages_per_second: 100,
            messages_dropped_max: 1_000,
            malformed_max: 8,
            signals_burst: 300,
            signals_per_second: 60,
            starter_bytes_per_second: 500_000,
            source_bits_per_second: 0,
            capacity_max: 16,
        }
    }
}
