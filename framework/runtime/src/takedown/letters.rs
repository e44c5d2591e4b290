//! Which letters an entry of the log causes.

use peerstream_takedown::Docket;
use peerstream_takedown::action::Action;
use peerstream_takedown::ledger::Happening;
use peerstream_takedown::letter::{Letter, Sender, Whom};
use peerstream_takedown::record::{Body, Record};
use peerstream_takedown::state::Step;

use super::books::Books;
use super::refused::Refused;

impl Books {
    pub(super) fn sender(&self) -> Sender {
        Sender { url: self.rules.url.clone() }
    }

    /// The letters of an entry, after which the case is as `docket` has it; `records` are new with it.
    pub(super) fn letters_of(
        &mut self,
        docket: &Docket,
        what: &Happening,
        records: &[Record],
    ) -> Result<Vec<Letter>, Refused> {
        let sender = self.sender();
        if let Happening::Done { action: Action::NotifyPublisher, error: None, .. } = what {
            let notice = self.notice(docket)?;
            return Ok(sender.to_streamer(&self.rules.streamer_email, docket, &notice).into_iter().collect());
        }
        let Some(step) = what.step() else { return Ok(Vec::new()) };
        let claimant = self.address(docket, records)?;
        let letters = match step {
            Step::Receive | Step::Confirm | Step::Enter => vec![sender.received(&claimant, docket)],
            Step::Ask => vec![sender.asked(&claimant, docket)],
            Step::Accept | Step::Reject => vec![sender.decided(&claimant, docket)],
            Step::Counter => vec![
                objection(records)
                    .and_then(|(name, explanation)| sender.countered(&claimant, docket, name, explanation)),
            ],
            Step::Restore => {
                vec![
                    sender.restored(Whom::Claimant, &claimant, docket),
                    sender.restored(Whom::Streamer, &self.rules.streamer_email, docket),
                ]
            }
            _ => Vec::new(),
        };
        Ok(letters.into_iter().flatten().collect())
    }

    /// The claimant's mail address; empty when there is none, or none any more.
    fn address(&mut self, docket: &Docket, records: &[Record]) -> Result<String, Refused> {
        let new = records.iter().find(|record| record.hash() == docket.claimant_hash).cloned();
        let record = match new {
            Some(record) => Some(record),
            None => self.book().record(&docket.claimant_hash)?,
        };
        Ok(match record.map(|record| record.body) {
            Some(Body::Claimant(person)) => person.claimant.email,
            _ => String::new(),
        })
    }
}

/// Who objects, and why.
fn objection(records: &[Record]) -> Option<(&str, &str)> {
    records.iter().find_map(|record| match &record.body {
        Body::Counter(counter) => Some((counter.name.as_str(), counter.explanation.as_str())),
        _ => None,
    })
}
