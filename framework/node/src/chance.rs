//! All chance of a node, drawn from the one seed given at its creation.

use peerstream_protocol::crypto::hash;

#[derive(Clone, Debug)]
pub(crate) struct Chance {
    seed: [u8; 32],
    drawn: u64,
}

impl Chance {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(crate) fn u32(&mut self) -> u32 {
        self.drawn += 1;
        let mut input = [0; 40];
        input[..32].copy_from_slice(&self.seed);
        input[32..].copy_from_slice(&self.drawn.to_le_bytes());
        let [a, b, c, d, ..] = hash(&input);
        u32::from_le_bytes([a, b, c, d])
    }

    /// A number in `0..below`; 0 when `below` is 0.
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        (u64::from(self.u32()) * below) >> 32
    }
}
