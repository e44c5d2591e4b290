//! Where each entry is. The file is a help, not the truth: what it lacks is read from the data.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use peerstream_sdk::protocol::crypto::hash;

use crate::entry::{HEAD_BYTES, Head, Key};

/// Bytes of one line of the index: where, the entry's head, a checksum.
const LINE_BYTES: usize = 8 + HEAD_BYTES + 4;

/// Where an entry is, and its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) at: u64,
    pub(crate) head: Head,
}

/// All entries of a recording: about a hundred bytes each.
pub(crate) type Places = BTreeMap<Key, Place>;

/// The file, being written.
#[derive(Debug)]
pub(crate) struct Index(File);

impl Index {
    /// Begins the file anew with what is known.
    pub(crate) fn rewrite(path: &Path, places: &Places) -> io::Result<Self> {
        let mut in_order: Vec<_> = places.values().collect();
        in_order.sort_by_key(|place| place.at);
        let lines: Vec<u8> = in_order.into_iter().flat_map(line).collect();
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        file.write_all(&lines)?;
        Ok(Self(file))
    }

    pub(crate) fn add(&mut self, place: &Place) -> io::Result<()> {
        self.0.write_all(&line(place))
    }
}

fn line(place: &Place) -> [u8; LINE_BYTES] {
    let mut line = [0; LINE_BYTES];
    line[..8].copy_from_slice(&place.at.to_le_bytes());
    line[8..8 + HEAD_BYTES].copy_from_slice(&place.head.encode());
    let sum = hash(&line[..8 + HEAD_BYTES]);
    line[8 + HEAD_BYTES..].copy_from_slice(&sum[..4]);
    line
}

/// The places that a file names without a break from the start of the data, and where they end. A file that is missing or damaged
/// names fewer.
pub(crate) fn read(path: &Path) -> io::Result<(Places, u64)> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        bytes => bytes?,
    };
    let (mut places, mut end) = (Places::new(), 0);
    for line_ in bytes.chunks_exact(LINE_BYTES) {
        let at = u64::from_le_bytes(line_[..8].try_into().expect("8 bytes"));
        let head = Head::decode(line_[8..8 + HEAD_BYTES].try_into().expect("a head's length"));
        let Some(place) = head.map(|head| Place { at, head }).filter(|place| line(place) == line_ && at == end) else {
            break;
        };
        end += place.head.entry_len();
        places.insert(place.head.key, place);
    }
    Ok((places, end))
}
