//! The body of the fuzz target: what a backend gives out as the objects of a recording.

use bytes::Bytes;

use crate::block::erase_bytes;
use crate::entry;
use crate::index::Index;

/// Reads bytes as a block and as its index; panics if erasing changes a length or leaves what it should erase.
pub fn fuzz_objects(data: &[u8]) {
    if let Some(entry) = entry::read(&Bytes::copy_from_slice(data)) {
        let mut erased = data.to_vec();
        erase_bytes(&mut erased, |seq| seq == entry.header.core.seq.0);
        assert_eq!(erased.len(), data.len());
        let again = entry::read(&Bytes::from(erased)).expect("a header stays");
        assert!(again.payload.iter().all(|byte| *byte == 0));
    }
    erase_bytes(&mut data.to_vec(), |_| true);
    let index = Index::in_memory(Bytes::copy_from_slice(data));
    let mut read = 0;
    let _ = index.each(0, |record| {
        read += 1;
        record.entry_len() > 0
    });
    assert!(read <= index.len());
    let _ = (index.last(), index.find(7));
}

#[cfg(test)]
mod tests {
    proptest::proptest! {
        #[test]
        fn no_object_makes_it_panic(data in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
            super::fuzz_objects(&data);
            super::fuzz_objects(&[&b"PSs1"[..], &data].concat());
        }
    }
}
