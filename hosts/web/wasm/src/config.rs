//! How the driver writes down what a node is from its start.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | role: 0 viewer, 1 helper |
//! | 1 | 1 | capacity |
//! | 2 | 1 | may relay: 0 or 1 |
//! | 3 | 1 | publisher's key is given: 0 or 1 |
//! | 4 | 2 | endpoints, little endian |
//! | 6 | 2 | zero |
//! | 8 | 32 | seed |
//! | 40 | 32 | publisher's key, or zero |

use peerstream_node::Config;
use peerstream_protocol::control::Role;
use peerstream_protocol::crypto::PublicKey;

use crate::Failure;

/// The size of a config, in bytes.
pub const CONFIG_BYTES: usize = 72;

/// Reads a config; a page cannot be a source.
pub fn decode(bytes: &[u8]) -> Result<Config, Failure> {
    let bytes: &[u8; CONFIG_BYTES] = bytes.try_into().map_err(|_| Failure::Input)?;
    let role = match bytes[0] {
        0 => Role::Viewer,
        1 => Role::Helper,
        _ => return Err(Failure::Input),
    };
    let endpoints = usize::from(u16::from_le_bytes([bytes[4], bytes[5]]));
    if endpoints == 0 || bytes[6..8] != [0, 0] {
        return Err(Failure::Input);
    }
    Ok(Config {
        stream: flag(bytes[3])?.then(|| PublicKey(array(&bytes[40..]))),
        role,
        capacity: bytes[1],
        relay: flag(bytes[2])?,
        seed: array(&bytes[8..40]),
        endpoints,
        source: None,
    })
}

fn flag(byte: u8) -> Result<bool, Failure> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Failure::Input),
    }
}

fn array(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().expect("the caller cut 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid() -> [u8; CONFIG_BYTES] {
        let mut bytes = [7; CONFIG_BYTES];
        bytes[..8].copy_from_slice(&[0, 2, 1, 1, 3, 0, 0, 0]);
        bytes
    }

    #[test]
    fn a_config_is_read_field_by_field() {
        let config = decode(&valid()).unwrap();
        assert_eq!((config.role, config.capacity, config.relay, config.endpoints), (Role::Viewer, 2, true, 3));
        assert_eq!((config.stream, config.seed), (Some(PublicKey([7; 32])), [7; 32]));
        assert!(config.source.is_none());
    }

    #[test]
    fn impossible_values_are_refused() {
        for (at, value) in [(0, 2), (2, 2), (3, 9), (4, 0), (7, 1)] {
            let mut bytes = valid();
            bytes[at] = value;
            assert_eq!(decode(&bytes).unwrap_err(), Failure::Input, "byte {at} = {value}");
        }
        assert_eq!(decode(&valid()[1..]).unwrap_err(), Failure::Input);
    }
}
