//! What shows the platform that a post is the host's and of today.

use ring::hmac;

/// The header with time and signature: `t=1790000000,v1=HEX`.
pub const HEADER: &str = "peerstream-signature";

/// The header's value: HMAC-SHA256, with the secret as key, of the time in seconds since 1970, a full stop and the body. The platform
/// computes the same, compares in constant time, and refuses what is older than five minutes.
pub fn signature(secret: &[u8], at_s: u64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    context.update(format!("{at_s}.").as_bytes());
    context.update(body);
    let tag = context.sign();
    let hex = tag.as_ref().iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"));
    format!("t={at_s},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_other_programs_compute() {
        // printf '1790000000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef
        let expected = "t=1790000000,v1=d569e4518fe6f4620fd6639233427e7df5e5394d8f14c85c1063b8d90a724dcb";
        assert_eq!(signature(b"0123456789abcdef", 1_790_000_000, b"{\"a\":1}"), expected);
    }
}
