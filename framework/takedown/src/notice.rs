//! A notice: what is complained about, under which rules, and what the rules demand that is not there.

use serde::{Deserialize, Serialize};

use crate::calendar::Date;
use crate::statement::{self, Agreed, Of};
use crate::text::{self, Invalid};

/// A line, such as a name or a title, has no more characters.
pub const LINE_CHARS_MAX: usize = 300;
/// A text of several lines has no more characters.
pub const TEXT_CHARS_MAX: usize = 8_000;
/// The address of a page has no more characters.
pub const PAGE_CHARS_MAX: usize = 2_000;
/// A notice has no more statements.
pub const STATEMENTS_MAX: usize = 16;
/// A range is no longer, in milliseconds.
pub const RANGE_MS_MAX: u64 = 6 * 3600 * 1000;
/// No broadcast is longer, in milliseconds: about three years.
pub const TIME_MS_MAX: u64 = 100_000_000_000;
/// A range has no more segments: six hours of 200 ms each, with room to spare.
pub const RANGE_SEGMENTS_MAX: u64 = 200_000;
/// The date in a statement is at most so many days from the day on which it comes in: days begin at different times over the world.
pub const DATE_DAYS_OFF_MAX: i64 = 1;

/// Under which rules somebody complains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// A notice of 17 U.S.C. 512(c)(3).
    Dmca,
    /// A notice of article 16 of the EU's Digital Services Act.
    Dsa,
    /// The host's own rules.
    HouseRules,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Dmca, Self::Dsa, Self::HouseRules];

    /// Its word in interfaces.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dmca => "dmca",
            Self::Dsa => "dsa",
            Self::HouseRules => "house-rules",
        }
    }

    /// The profile of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.word() == word)
    }
}

/// A notice as its claimant fills it in. What is not there is empty; see [`Self::missing`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// Under which rules.
    pub profile: Profile,
    /// Where what is complained about is.
    #[serde(default)]
    pub material: Material,
    /// What work it is about.
    #[serde(default)]
    pub work: Work,
    /// What is wrong, in their words.
    #[serde(default)]
    pub explanation: String,
    /// Who complains.
    #[serde(default)]
    pub claimant: Claimant,
    /// What they have agreed to.
    #[serde(default)]
    pub statements: Vec<Agreed>,
    /// The day in the statement under penalty of perjury, such as `2026-11-29`.
    #[serde(default)]
    pub executed_on: String,
    /// The name they have typed.
    #[serde(default)]
    pub signature: String,
}

/// A part of a broadcast, by time, by segments, or in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Material {
    /// Which broadcast; the present one if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// From here, milliseconds since the start of the broadcast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<u64>,
    /// To here, not included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<u64>,
    /// The first segment's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seq: Option<u64>,
    /// The number after the last segment's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_seq: Option<u64>,
    /// In words.
    #[serde(rename = "where")]
    pub place: String,
}

/// The work that is infringed, or the rule that is broken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Work {
    /// Its title, or a list of titles.
    pub title: String,
    /// Whose it is.
    pub owner: String,
    /// Such as `song` or `film`.
    pub kind: String,
    /// Its registration, if there is one.
    pub registration: String,
    /// Where it can be seen.
    pub url: String,
}

/// Who complains. All of it is personal data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Claimant {
    /// Their full legal name.
    pub name: String,
    /// For whom they act, if it is an organisation.
    pub organisation: String,
    /// Whether it is theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// A postal address.
    pub address: String,
    /// A telephone number.
    pub phone: String,
    /// A mail address.
    pub email: String,
    /// The country.
    pub country: String,
}

/// As what somebody complains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// As the owner of the right.
    Owner,
    /// On behalf of the owner.
    Agent,
}

impl Material {
    /// The range in milliseconds, if there is one.
    pub fn times(&self) -> Option<(u64, u64)> {
        self.from_ms.zip(self.to_ms)
    }

    /// The range of segments, if there is one.
    pub fn segments(&self) -> Option<(u64, u64)> {
        self.first_seq.zip(self.end_seq)
    }

    fn tidy(&mut self) -> Result<(), Invalid> {
        let range = |from: &str, to: &str, (first, end): (Option<u64>, Option<u64>), bound: u64, length: u64| {
            let (first, end) = match (first, end) {
                (None, None) => return Ok(()),
                (Some(first), Some(end)) => (first, end),
                (None, _) => return Err(Invalid::new(from, "is not there, although the range has an end")),
                (_, None) => return Err(Invalid::new(to, "is not there, although the range has a beginning")),
            };
            if end > bound {
                return Err(Invalid::new(to, format!("is {end}, expected at most {bound}")));
            }
            if first >= end {
                return Err(Invalid::new(to, format!("is {end}, expected more than {first}, where the range begins")));
            }
            if end - first > length {
                return Err(Invalid::new(to, format!("makes a range of {}, expected at most {length}", end - first)));
            }
            Ok(())
        };
        let segments = (self.first_seq, self.end_seq);
        range("material.from_ms", "material.to_ms", (self.from_ms, self.to_ms), TIME_MS_MAX, RANGE_MS_MAX)?;
        range("material.first_seq", "material.end_seq", segments, u64::from(u32::MAX), RANGE_SEGMENTS_MAX)?;
        text::field("material.where", &mut self.place, TEXT_CHARS_MAX)
    }
}

impl Work {
    fn tidy(&mut self) -> Result<(), Invalid> {
        text::field("work.title", &mut self.title, TEXT_CHARS_MAX)?;
        text::line("work.owner", &mut self.owner, LINE_CHARS_MAX)?;
        text::line("work.kind", &mut self.kind, LINE_CHARS_MAX)?;
        text::line("work.registration", &mut self.registration, LINE_CHARS_MAX)?;
        page("work.url", &mut self.url)
    }
}

impl Claimant {
    fn tidy(&mut self) -> Result<(), Invalid> {
        text::line("claimant.name", &mut self.name, LINE_CHARS_MAX)?;
        text::line("claimant.organisation", &mut self.organisation, LINE_CHARS_MAX)?;
        text::field("claimant.address", &mut self.address, LINE_CHARS_MAX)?;
        text::line("claimant.phone", &mut self.phone, LINE_CHARS_MAX)?;
        text::line("claimant.country", &mut self.country, LINE_CHARS_MAX)?;
        mail("claimant.email", &mut self.email)
    }
}

/// Tidies a mail address that may be empty.
pub(crate) fn mail(name: &str, value: &mut String) -> Result<(), Invalid> {
    text::line(name, value, LINE_CHARS_MAX)?;
    if value.is_empty() || text::is_mail(value) {
        return Ok(());
    }
    Err(Invalid::new(name, "is no mail address, expected one such as name@example.org"))
}

fn page(name: &str, value: &mut String) -> Result<(), Invalid> {
    text::line(name, value, PAGE_CHARS_MAX)?;
    if value.is_empty() || text::is_page(value) {
        return Ok(());
    }
    Err(Invalid::new(name, "is no address of a page, expected one that begins with https://"))
}

/// Tidies statements that were agreed to on a day, or the day itself.
pub(crate) fn sworn(of: Of, agreed: &[Agreed], executed_on: &str, today: Date) -> Result<(), Invalid> {
    if agreed.len() > STATEMENTS_MAX {
        return Err(Invalid::new("statements", format!("are {}, expected at most {STATEMENTS_MAX}", agreed.len())));
    }
    if executed_on.is_empty() && agreed.is_empty() {
        return Ok(());
    }
    let day = Date::parse(executed_on).filter(|day| day.days_since(today).abs() <= DATE_DAYS_OFF_MAX);
    let day = day.ok_or_else(|| Invalid::new("executed_on", format!("is not the day, expected {today}")))?;
    for (index, it) in agreed.iter().enumerate() {
        let field = format!("statements.{}", text::tidy_line(&it.id).chars().take(40).collect::<String>());
        if statement::find(of, it, day).is_none() {
            return Err(Invalid::new(&field, "is not the text that this host shows on that day; load the form again"));
        }
        if agreed[..index].iter().any(|other| other.id == it.id) {
            return Err(Invalid::new(&field, "is there twice"));
        }
    }
    Ok(())
}

/// Whether a typed name is the declared one, whatever the case and the blanks.
pub(crate) fn signs(signature: &str, name: &str) -> bool {
    let plain = |text: &str| text::tidy_line(text).to_lowercase();
    !name.is_empty() && plain(signature) == plain(name)
}

impl Notice {
    /// An empty one.
    pub fn empty(profile: Profile) -> Self {
        Self {
            profile,
            material: Material::default(),
            work: Work::default(),
            explanation: String::new(),
            claimant: Claimant::default(),
            statements: Vec::new(),
            executed_on: String::new(),
            signature: String::new(),
        }
    }

    /// The notice as it is kept: hidden characters dropped, every field within its bound. What is only missing is no fault.
    ///
    /// # Errors
    /// The first field that cannot be kept.
    pub fn tidied(mut self, today: Date) -> Result<Self, Invalid> {
        self.material.tidy()?;
        self.work.tidy()?;
        text::field("explanation", &mut self.explanation, TEXT_CHARS_MAX)?;
        self.claimant.tidy()?;
        text::line("executed_on", &mut self.executed_on, 10)?;
        sworn(Of::Notice(self.profile), &self.statements, &self.executed_on, today)?;
        text::line("signature", &mut self.signature, LINE_CHARS_MAX)?;
        Ok(self)
    }

    /// The fields that the profile demands and that are not there. None of what only helps is among them: no source copy, no range in
    /// numbers where the place is told in words, no telephone number where there is an address.
    pub fn missing(&self) -> Vec<&'static str> {
        let has = |text: &str| !text.is_empty();
        let located =
            self.material.times().is_some() || self.material.segments().is_some() || has(&self.material.place);
        let who = &self.claimant;
        let agreed = |id: &str| self.statements.iter().any(|it| it.id == id);
        let demands: Vec<(&'static str, bool)> = match self.profile {
            Profile::Dmca => vec![
                ("work.title", has(&self.work.title) || has(&self.work.url)),
                ("material", located),
                ("claimant.name", has(&who.name)),
                ("claimant.email", has(&who.address) || has(&who.phone) || has(&who.email)),
                ("statements.good-faith", agreed("good-faith")),
                ("statements.accuracy", agreed("accuracy")),
                ("statements.perjury", agreed("perjury")),
                ("signature", signs(&self.signature, &who.name)),
            ],
            Profile::Dsa => vec![
                ("explanation", has(&self.explanation)),
                ("material", located),
                ("claimant.name", has(&who.name)),
                ("claimant.email", has(&who.email)),
                ("statements.bona-fide", agreed("bona-fide")),
            ],
            Profile::HouseRules => vec![("explanation", has(&self.explanation))],
        };
        demands.into_iter().filter(|(_, there)| !there).map(|(name, _)| name).collect()
    }

    /// The same without what tells who complains: the part that is kept when personal data is erased.
    pub fn without_person(&self) -> Self {
        Self { claimant: Claimant::default(), signature: String::new(), ..self.clone() }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hex::Digest;

    pub(crate) fn today() -> Date {
        Date::parse("2026-11-29").unwrap()
    }

    pub(crate) fn complete(profile: Profile) -> Notice {
        Notice {
            material: Material { from_ms: Some(10_000), to_ms: Some(20_000), ..Material::default() },
            work: Work { title: "a song".into(), ..Work::default() },
            explanation: "it is mine".into(),
            claimant: Claimant {
                name: "A. Author".into(),
                address: "1 Road".into(),
                email: "a@example.org".into(),
                ..Claimant::default()
            },
            statements: statement::statements(Of::Notice(profile)).map(|it| it.agreed(today())).collect(),
            executed_on: today().to_string(),
            signature: "a.  author".into(),
            ..Notice::empty(profile)
        }
    }

    #[test]
    fn a_complete_notice_lacks_nothing_and_an_empty_one_lacks_what_its_rules_demand() {
        for profile in Profile::ALL {
            let notice = complete(profile).tidied(today()).unwrap();
            assert_eq!(notice.missing(), [""; 0], "{profile:?}");
            assert!(!Notice::empty(profile).tidied(today()).unwrap().missing().is_empty());
        }
        assert_eq!(Notice::empty(Profile::Dmca).missing().len(), 8);
    }

    #[test]
    fn a_statutory_notice_is_complete_without_all_that_only_helps() {
        let mut notice = complete(Profile::Dmca);
        notice.material = Material { place: "in the second hour, about ten minutes".into(), ..Material::default() };
        notice.claimant = Claimant { name: "A. Author".into(), phone: "555".into(), ..Claimant::default() };
        notice.explanation = String::new();
        notice.statements.retain(|it| ["good-faith", "accuracy", "perjury"].contains(&it.id.as_str()));
        assert_eq!(notice.tidied(today()).unwrap().missing(), [""; 0]);
    }

    #[test]
    fn another_name_is_no_signature() {
        let notice = Notice { signature: "B. Author".into(), ..complete(Profile::Dmca) };
        assert_eq!(notice.missing(), ["signature"]);
    }

    #[test]
    fn absurd_fields_are_named() {
        let of = |change: fn(&mut Notice)| {
            let mut notice = complete(Profile::Dmca);
            change(&mut notice);
            notice.tidied(today()).unwrap_err().field
        };
        assert_eq!(of(|it| it.material.to_ms = Some(u64::MAX)), "material.to_ms");
        assert_eq!(of(|it| it.material.to_ms = Some(1)), "material.to_ms");
        assert_eq!(of(|it| it.material.from_ms = None), "material.from_ms");
        assert_eq!(of(|it| it.material.to_ms = Some(TIME_MS_MAX)), "material.to_ms");
        assert_eq!(
            of(|it| (it.material.first_seq, it.material.end_seq) = (Some(0), Some(1 << 31))),
            "material.end_seq"
        );
        assert_eq!(of(|it| it.work.url = "javascript:alert(1)".into()), "work.url");
        assert_eq!(of(|it| it.claimant.email = "a@b.org\r\nBcc: c@d.org".into()), "claimant.email");
        assert_eq!(of(|it| it.explanation = "x".repeat(TEXT_CHARS_MAX + 1)), "explanation");
        assert_eq!(of(|it| it.statements[0].sha256 = Digest([0; 32])), "statements.good-faith");
        assert_eq!(of(|it| it.statements.push(it.statements[0].clone())), "statements.good-faith");
        assert_eq!(of(|it| it.executed_on = "2026-11-02".into()), "executed_on");
    }

    proptest! {
        #[test]
        fn what_is_kept_is_tidy_and_within_its_bounds(title in ".{0,400}", text in ".{0,400}", name in ".{0,320}") {
            let mut notice = complete(Profile::Dsa);
            (notice.work.title, notice.explanation, notice.claimant.name) = (title, text, name);
            if let Ok(kept) = notice.tidied(today()) {
                prop_assert!(kept.claimant.name.chars().count() <= LINE_CHARS_MAX);
                prop_assert!(!kept.claimant.name.chars().any(char::is_control));
                prop_assert_eq!(kept.clone().tidied(today()), Ok(kept));
            }
        }
    }
}
