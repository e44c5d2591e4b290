//! Texts of set-up messages in fewer bytes: base64 characters in six bits each, the random names of browsers in sixteen bytes.

/// The characters of base64, in the order of their numbers.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// What follows the random part of a browser's mDNS name.
const LOCAL: &str = ".local";
/// Where a UUID has its hyphens.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
const UUID_CHARS: usize = 36;

/// The bytes that so many characters take.
pub(crate) const fn packed_len(chars: usize) -> usize {
    (chars * 6).div_ceil(8)
}

/// Writes a text of base64 characters, the first in the highest bits; `None` when it has others.
pub(crate) fn pack(text: &str) -> Option<Vec<u8>> {
    let mut packed = vec![0; packed_len(text.len())];
    for (at, char) in text.bytes().enumerate() {
        let number = BASE64.iter().position(|known| *known == char)? as u16;
        let (byte, bit) = (at * 6 / 8, at * 6 % 8);
        let [high, low] = (number << (10 - bit)).to_be_bytes();
        packed[byte] |= high;
        if low != 0 {
            packed[byte + 1] |= low;
        }
    }
    Some(packed)
}

/// Reads so many characters; `None` when the bits left over are not zero.
pub(crate) fn unpack(packed: &[u8], chars: usize) -> Option<String> {
    let bits = |at: usize| {
        let byte = |at: usize| packed.get(at).copied().unwrap_or(0);
        u16::from_be_bytes([byte(at * 6 / 8), byte(at * 6 / 8 + 1)]) << (at * 6 % 8) >> 10
    };
    let text = (0..chars).map(|at| char::from(BASE64[usize::from(bits(at))])).collect();
    let left_over = packed.len() * 8 - chars * 6;
    let clean = packed.last().is_none_or(|last| last.trailing_zeros() as usize >= left_over);
    clean.then_some(text)
}

/// The sixteen bytes of a name such as `f4b5d5f6-0f29-4b9f-a6bd-6b1f8d3ba3d0.local`, in lower case.
pub(crate) fn uuid(name: &str) -> Option<[u8; 16]> {
    let text = name.strip_suffix(LOCAL).filter(|text| text.len() == UUID_CHARS)?;
    let mut digits = [0; 32];
    let mut count = 0;
    for (at, char) in text.bytes().enumerate() {
        match char {
            b'-' if HYPHENS.contains(&at) => {}
            b'0'..=b'9' if !HYPHENS.contains(&at) => {
                digits[count] = char - b'0';
                count += 1;
            }
            b'a'..=b'f' if !HYPHENS.contains(&at) => {
                digits[count] = char - b'a' + 10;
                count += 1;
            }
            _ => return None,
        }
    }
    Some(std::array::from_fn(|at| digits[2 * at] << 4 | digits[2 * at + 1]))
}

/// The name that [`uuid`] reads.
pub(crate) fn uuid_name(bytes: [u8; 16]) -> String {
    let mut name = String::with_capacity(UUID_CHARS + LOCAL.len());
    for byte in bytes {
        if HYPHENS.contains(&name.len()) {
            name.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            name.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    name + LOCAL
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn base64_characters_come_back_from_six_bits_each(text in "[a-zA-Z0-9+/]{0,40}") {
            let packed = pack(&text).unwrap();
            prop_assert_eq!(packed.len(), packed_len(text.len()));
            prop_assert_eq!(unpack(&packed, text.len()), Some(text));
        }

        #[test]
        fn one_text_has_one_form(packed in proptest::collection::vec(any::<u8>(), 0..20), less in 0..2_usize) {
            let chars = (packed.len() * 8 / 6).saturating_sub(less);
            prop_assume!(packed_len(chars) == packed.len());
            if let Some(text) = unpack(&packed, chars) {
                prop_assert_eq!(pack(&text), Some(packed));
            }
        }

        #[test]
        fn a_random_name_comes_back_from_sixteen_bytes(bytes: [u8; 16]) {
            prop_assert_eq!(uuid(&uuid_name(bytes)), Some(bytes));
        }
    }

    #[test]
    fn other_texts_are_not_packed() {
        assert_eq!(pack("ab-c"), None);
        assert_eq!(uuid_name(uuid("f4b5d5f6-0f29-4b9f-a6bd-6b1f8d3ba3d0.local").unwrap()).len(), 42);
        for name in
            ["F4b5d5f6-0f29-4b9f-a6bd-6b1f8d3ba3d0.local", "f4b5d5f60-f29-4b9f-a6bd-6b1f8d3ba3d0.local", "a.local"]
        {
            assert_eq!(uuid(name), None, "{name}");
        }
    }
}
