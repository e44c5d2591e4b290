//! What the log only holds a hash of: it can be erased, and the log still verifies.

use serde::{Deserialize, Serialize};

use crate::counter::{CounterNotice, Suit};
use crate::hex::{Digest, encode};
use crate::notice::{Claimant, Notice};

const PURPOSE: &str = "peerstream takedown record 1";

/// A record. The salt keeps those who have the hash from guessing what was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// 32 random hexadecimal digits.
    pub salt: String,
    /// What is recorded.
    #[serde(flatten)]
    pub body: Body,
}

/// What is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "record", content = "body")]
pub enum Body {
    /// A notice without what tells who complains.
    Notice(Box<Notice>),
    /// Who complains. Personal data.
    Claimant(Person),
    /// What the streamer has said. Personal data.
    Counter(CounterNotice),
    /// A court action.
    Suit(Suit),
}

/// Who has signed a notice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Who.
    pub claimant: Claimant,
    /// The name they have typed.
    pub signature: String,
}

impl Record {
    /// A record with 16 random bytes.
    pub fn new(salt: [u8; 16], body: Body) -> Self {
        Self { salt: encode(&salt), body }
    }

    /// A notice as its two records: the one that stays, and the one that can be erased.
    pub fn of_notice(salts: [[u8; 16]; 2], notice: &Notice) -> [Self; 2] {
        let person = Person { claimant: notice.claimant.clone(), signature: notice.signature.clone() };
        [
            Self::new(salts[0], Body::Notice(Box::new(notice.without_person()))),
            Self::new(salts[1], Body::Claimant(person)),
        ]
    }

    /// The hash by which the log names it.
    pub fn hash(&self) -> Digest {
        Digest::of(PURPOSE, &self.text())
    }

    /// Its canonical JSON: these fields in this order, without blanks.
    pub fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a record is JSON")
    }

    /// Whether it tells who somebody is.
    pub fn is_personal(&self) -> bool {
        matches!(self.body, Body::Claimant(_) | Body::Counter(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::Profile;
    use crate::notice::tests::complete;

    #[test]
    fn a_notice_is_two_records_and_only_one_of_them_is_personal() {
        let [notice, person] = Record::of_notice([[1; 16], [2; 16]], &complete(Profile::Dmca));
        assert!(!notice.is_personal() && person.is_personal());
        let text = String::from_utf8(notice.text()).unwrap();
        assert!(!text.contains("Author") && !text.contains("example.org"), "{text}");
        for record in [notice, person] {
            let again: Record = serde_json::from_slice(&record.text()).unwrap();
            assert_eq!((again.hash(), &again), (record.hash(), &record));
        }
    }

    #[test]
    fn the_same_person_twice_has_two_hashes() {
        let hash = |salt| Record::new([salt; 16], Body::Claimant(Person::default())).hash();
        assert_ne!(hash(1), hash(2));
    }
}
