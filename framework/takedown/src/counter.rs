//! What may follow a takedown: a counter-notice, a court action.

use serde::{Deserialize, Serialize};

use crate::calendar::Date;
use crate::notice::{self, LINE_CHARS_MAX, TEXT_CHARS_MAX};
use crate::statement::{Agreed, Of};
use crate::text::{self, Invalid};

/// A counter-notice under 17 U.S.C. 512(g)(3), or an objection under other rules. All of it is personal data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CounterNotice {
    /// The streamer's name.
    pub name: String,
    /// Their address, which decides about the court.
    pub address: String,
    /// Their telephone number.
    pub phone: String,
    /// Their mail address.
    pub email: String,
    /// Why it was a mistake.
    pub explanation: String,
    /// What they have agreed to.
    pub statements: Vec<Agreed>,
    /// The day in the statement under penalty of perjury.
    pub executed_on: String,
    /// The name they have typed.
    pub signature: String,
}

/// A court action that the claimant has begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Suit {
    /// The court.
    pub court: String,
    /// The number there.
    pub number: String,
    /// What else there is to say.
    pub explanation: String,
}

impl CounterNotice {
    /// As it is kept. Unlike a notice it must be complete: without its elements the law gives no reason to restore anything.
    /// `formal` demands what 17 U.S.C. 512(g)(3) does; an objection under other rules needs an explanation only.
    ///
    /// # Errors
    /// The first field that is missing or cannot be kept.
    pub fn tidied(mut self, today: Date, formal: bool) -> Result<Self, Invalid> {
        text::line("name", &mut self.name, LINE_CHARS_MAX)?;
        text::field("address", &mut self.address, LINE_CHARS_MAX)?;
        text::line("phone", &mut self.phone, LINE_CHARS_MAX)?;
        notice::mail("email", &mut self.email)?;
        text::field("explanation", &mut self.explanation, TEXT_CHARS_MAX)?;
        text::line("executed_on", &mut self.executed_on, 10)?;
        notice::sworn(Of::CounterNotice, &self.statements, &self.executed_on, today)?;
        text::line("signature", &mut self.signature, LINE_CHARS_MAX)?;
        match self.missing(formal) {
            None => Ok(self),
            Some(field) => Err(Invalid::new(field, "is missing; a counter-notice needs it")),
        }
    }

    fn missing(&self, formal: bool) -> Option<&'static str> {
        let agreed = |id: &str| self.statements.iter().any(|it| it.id == id);
        let demands = [
            ("explanation", formal || !self.explanation.is_empty()),
            ("name", !formal || !self.name.is_empty()),
            ("address", !formal || !self.address.is_empty()),
            ("phone", !formal || !self.phone.is_empty()),
            ("statements.mistake", !formal || agreed("mistake")),
            ("statements.jurisdiction", !formal || agreed("jurisdiction")),
            ("signature", !formal || notice::signs(&self.signature, &self.name)),
        ];
        demands.into_iter().find(|(_, there)| !there).map(|(name, _)| name)
    }
}

impl Suit {
    /// As it is kept.
    ///
    /// # Errors
    /// The first field that is missing or cannot be kept.
    pub fn tidied(mut self) -> Result<Self, Invalid> {
        text::line("court", &mut self.court, LINE_CHARS_MAX)?;
        text::line("number", &mut self.number, LINE_CHARS_MAX)?;
        text::field("explanation", &mut self.explanation, TEXT_CHARS_MAX)?;
        if self.court.is_empty() {
            return Err(Invalid::new("court", "is missing, expected the court's name"));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::tests::today;
    use crate::statement::statements;

    fn formal() -> CounterNotice {
        CounterNotice {
            name: "S. Streamer".into(),
            address: "2 Lane".into(),
            phone: "555".into(),
            statements: statements(Of::CounterNotice).map(|it| it.agreed(today())).collect(),
            executed_on: today().to_string(),
            signature: "S. Streamer".into(),
            ..CounterNotice::default()
        }
    }

    #[test]
    fn a_counter_notice_needs_all_its_elements() {
        assert!(formal().tidied(today(), true).is_ok());
        let mut lacks = formal();
        lacks.statements.pop();
        assert_eq!(lacks.tidied(today(), true).unwrap_err().field, "statements.jurisdiction");
        assert_eq!(CounterNotice::default().tidied(today(), true).unwrap_err().field, "name");
    }

    #[test]
    fn an_objection_under_other_rules_needs_a_reason_only() {
        let objection = CounterNotice { explanation: "it is a quotation".into(), ..CounterNotice::default() };
        assert!(objection.tidied(today(), false).is_ok());
        assert_eq!(CounterNotice::default().tidied(today(), false).unwrap_err().field, "explanation");
    }
}
