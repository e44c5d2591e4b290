//! Chance that is the same in every run: a hash of what is at hand.

/// The finisher of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): each bit of the
/// result depends on each bit of the number.
pub fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number below `end`, which is not 0, for a node's n-th try.
pub fn below(end: usize, node: u64, tries: u64) -> usize {
    ((u128::from(mix(node ^ mix(tries))) * end as u128) >> 64) as usize
}
