//! Writes ISO base media boxes.

use crate::boxes::FourCc;

/// A box with what `body` writes into it.
pub fn boxed(out: &mut Vec<u8>, name: &FourCc, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend([0; 4]);
    out.extend(name);
    body(out);
    let len = u32::try_from(out.len() - at).expect("boxes are bounded by the unit they travel in");
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
}

/// A box that begins with a version and flags.
pub fn full(out: &mut Vec<u8>, name: &FourCc, version: u8, flags: u32, body: impl FnOnce(&mut Vec<u8>)) {
    boxed(out, name, |out| {
        word(out, u32::from(version) << 24 | flags);
        body(out);
    });
}

/// Two bytes.
pub fn half(out: &mut Vec<u8>, number: u16) {
    out.extend(number.to_be_bytes());
}

/// Four bytes.
pub fn word(out: &mut Vec<u8>, number: u32) {
    out.extend(number.to_be_bytes());
}

/// Four bytes each.
pub fn words<const N: usize>(out: &mut Vec<u8>, numbers: [u32; N]) {
    for number in numbers {
        word(out, number);
    }
}

/// Eight bytes.
pub fn long(out: &mut Vec<u8>, number: u64) {
    out.extend(number.to_be_bytes());
}

/// So many bytes of zero.
pub fn zeros(out: &mut Vec<u8>, count: usize) {
    out.resize(out.len() + count, 0);
}
