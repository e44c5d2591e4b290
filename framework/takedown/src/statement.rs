//! The statements that those who complain, and those who object, agree to: versioned, and bound by the hash of the text as it was shown.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::calendar::Date;
use crate::hex::Digest;
use crate::notice::Profile;

/// For what a statement is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// A notice under this profile.
    Notice(Profile),
    /// A counter-notice under 17 U.S.C. 512(g)(3).
    CounterNotice,
}

/// A text that is shown beside a box to tick.
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    /// For what it is made.
    pub of: Of,
    /// Its name, such as `good-faith`.
    pub id: &'static str,
    /// Grows whenever the text changes.
    pub version: u32,
    /// The language, such as `en`.
    pub locale: &'static str,
    /// What is agreed to; `{date}` stands for the day.
    template: &'static str,
    /// Whether the law demands it; what it does not demand is asked for all the same.
    pub required: bool,
}

/// That somebody has agreed to a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreed {
    /// The statement's name.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// The language.
    pub locale: String,
    /// The SHA-256 of the text as it was shown, in UTF-8, the day filled in.
    pub sha256: Digest,
}

const fn english(of: Of, id: &'static str, required: bool, template: &'static str) -> Statement {
    Statement { of, id, version: 1, locale: "en", template, required }
}

/// All statements there are. One that was used is never changed: a new text is a new version beside it.
pub const STATEMENTS: &[Statement] = &[
    english(
        Of::Notice(Profile::Dmca),
        "good-faith",
        true,
        "I have a good faith belief, having considered fair use and other exceptions, that the use described above is not authorised by \
         the copyright owner, its agent, or the law.",
    ),
    english(Of::Notice(Profile::Dmca), "accuracy", true, "The information in this notice is accurate."),
    // The form of 28 U.S.C. 1746(1), which holds within the United States and without.
    english(
        Of::Notice(Profile::Dmca),
        "perjury",
        true,
        "I declare under penalty of perjury under the laws of the United States of America that I am the owner, or am authorised to act \
         on behalf of the owner, of an exclusive right that is allegedly infringed, and that the foregoing is true and correct. \
         Executed on {date}.",
    ),
    english(
        Of::Notice(Profile::Dmca),
        "misrepresentation",
        false,
        "I understand that under 17 U.S.C. 512(f) anyone who knowingly materially misrepresents that material is infringing may be \
         liable for damages, including costs and attorneys' fees.",
    ),
    english(
        Of::Notice(Profile::Dmca),
        "publication",
        false,
        "I agree that this notice, with my name and e-mail address, is sent to the streamer and may be published.",
    ),
    english(
        Of::Notice(Profile::Dsa),
        "bona-fide",
        true,
        "I confirm in good faith that the information and allegations in this notice are accurate and complete.",
    ),
    english(
        Of::CounterNotice,
        "mistake",
        true,
        "I declare under penalty of perjury under the laws of the United States of America that I have a good faith belief that the \
         material was removed or disabled as a result of mistake or misidentification, and that the foregoing is true and correct. \
         Executed on {date}.",
    ),
    english(
        Of::CounterNotice,
        "jurisdiction",
        true,
        "I consent to the jurisdiction of the Federal District Court for the judicial district in which my address is located or, if my \
         address is outside of the United States, for any judicial district in which the service provider may be found, and I will \
         accept service of process from the person who gave the notice or an agent of that person.",
    ),
];

impl Statement {
    /// The text as it is shown on a day.
    pub fn text(&self, day: Date) -> String {
        self.template.replace("{date}", &day.to_string())
    }

    /// What somebody who agrees on that day sends.
    pub fn agreed(&self, day: Date) -> Agreed {
        Agreed {
            id: self.id.to_owned(),
            version: self.version,
            locale: self.locale.to_owned(),
            sha256: Digest(Sha256::digest(self.text(day).as_bytes()).into()),
        }
    }
}

/// The statements for something, the latest versions.
pub fn statements(of: Of) -> impl Iterator<Item = &'static Statement> {
    let newest = |it: &Statement| {
        let same =
            STATEMENTS.iter().filter(|other| other.of == it.of && other.id == it.id && other.locale == it.locale);
        same.map(|other| other.version).max() == Some(it.version)
    };
    STATEMENTS.iter().filter(move |it| it.of == of && newest(it))
}

/// The statement that somebody has agreed to, if the text they were shown on that day was ours.
pub fn find(of: Of, agreed: &Agreed, day: Date) -> Option<&'static Statement> {
    STATEMENTS.iter().find(|it| it.of == of && it.agreed(day) == *agreed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day() -> Date {
        Date::parse("2026-11-29").unwrap()
    }

    #[test]
    fn the_declaration_has_the_form_of_28_usc_1746() {
        let all = STATEMENTS.iter().filter(|it| it.template.contains("perjury")).collect::<Vec<_>>();
        assert_eq!(all.len(), 2);
        for statement in all {
            let text = statement.text(day());
            assert!(
                text.starts_with(
                    "I declare under penalty of perjury under the laws of the United States of America that"
                )
            );
            assert!(
                text.contains("the foregoing is true and correct.") && text.ends_with("Executed on 2026-11-29."),
                "{text}"
            );
        }
    }

    #[test]
    fn the_eu_profile_demands_nothing_under_penalty_of_perjury() {
        let ids: Vec<_> = statements(Of::Notice(Profile::Dsa)).map(|it| it.id).collect();
        assert_eq!(ids, ["bona-fide"]);
    }

    #[test]
    fn another_text_or_another_day_is_not_what_was_shown() {
        let of = Of::Notice(Profile::Dmca);
        let perjury = statements(of).find(|it| it.id == "perjury").unwrap();
        let agreed = perjury.agreed(day());
        assert_eq!(find(of, &agreed, day()).map(|it| it.id), Some("perjury"));
        assert!(find(of, &agreed, day().plus(1)).is_none());
        assert!(find(of, &Agreed { version: 2, ..agreed.clone() }, day()).is_none());
        assert!(find(Of::CounterNotice, &agreed, day()).is_none());
        assert!(find(of, &Agreed { sha256: Digest([1; 32]), ..agreed }, day()).is_none());
    }
}
