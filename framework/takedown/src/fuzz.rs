//! The bodies of the fuzz targets: whatever somebody hands in as a log, a receipt or a notice.

use peerstream_protocol::crypto::PublicKey;

use crate::calendar::Date;
use crate::ledger::{Signed, Verifier};
use crate::notice::Notice;
use crate::receipt::Receipt;
use crate::record::Record;

/// Reads bytes as lines of a log, as a receipt, as a record and as a notice.
///
/// # Panics
/// Panics when something that was read is written in another way, or a notice that was tidied is not tidy.
pub fn takedown(bytes: &[u8]) {
    let mut verifier = Verifier::new(PublicKey([7; 32]));
    for line in bytes.split(|byte| *byte == b'\n') {
        let _ = verifier.take(line);
        if let Ok(signed) = serde_json::from_slice::<Signed>(line) {
            let again: Signed = serde_json::from_slice(&signed.line()).expect("what is written can be read");
            assert_eq!(again, signed);
        }
    }
    if let Ok(receipt) = Receipt::parse(bytes) {
        let _ = receipt.verify(None);
    }
    if let Ok(record) = serde_json::from_slice::<Record>(bytes) {
        let again: Record = serde_json::from_slice(&record.text()).expect("what is written can be read");
        assert_eq!(again.hash(), record.hash());
    }
    if let Ok(notice) = serde_json::from_slice::<Notice>(bytes) {
        let today = Date::parse("2026-11-29").expect("a day");
        if let Ok(kept) = notice.tidied(today) {
            let _ = kept.missing();
            assert_eq!(kept.clone().tidied(today).as_ref(), Ok(&kept));
        }
    }
}
