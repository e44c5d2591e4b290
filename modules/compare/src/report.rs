//! What a comparison found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A reason is no longer, in characters.
pub(crate) const REASON_CHARS_MAX: usize = 300;

/// How alike two files are. The better one is the greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// They were not compared; the reason says why.
    NotCompared,
    /// Nothing of one was found in the other.
    Mismatch,
    /// Something is alike, too little or too short to tell.
    Unclear,
    /// At least ten seconds of one are in the other.
    Match,
}

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The better one of sound and pictures.
    pub verdict: Verdict,
    /// Why they were not compared, for people; none if something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The sound.
    pub sound: Track,
    /// The pictures.
    pub picture: Track,
    /// What compared them: names and versions.
    pub tools: BTreeMap<String, String>,
}

/// What a comparison of sound or of pictures found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// How alike.
    pub verdict: Verdict,
    /// What is to be said about it, for people: why it was not compared, or how far a file could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The part that is most alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
}

/// Where something alike is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Where it begins in the source copy, in milliseconds.
    pub source_ms: u64,
    /// Where it begins in the excerpt, in milliseconds.
    pub excerpt_ms: u64,
    /// How long it is, in milliseconds.
    pub length_ms: u64,
    /// How different the ten most similar seconds are: 0 for the same; unrelated material has 0.3 and more.
    pub distance: f64,
}

impl Report {
    /// Of sound and pictures.
    pub fn of(sound: Track, picture: Track, tools: BTreeMap<String, String>) -> Self {
        let verdict = sound.verdict.max(picture.verdict);
        let reason = (verdict == Verdict::NotCompared).then(|| match (&sound.reason, &picture.reason) {
            (Some(one), Some(other)) if one != other => bounded(&format!("sound: {one}; pictures: {other}")),
            (reason, other) => reason.clone().or_else(|| other.clone()).unwrap_or_default(),
        });
        Self { verdict, reason, sound, picture, tools }
    }

    /// What was found, in words, for people.
    pub fn detail(&self) -> String {
        match &self.reason {
            Some(reason) => reason.clone(),
            None => format!("sound: {}; pictures: {}", self.sound.detail(), self.picture.detail()),
        }
    }

    /// That nothing was compared.
    pub fn not_compared(reason: impl Into<String>) -> Self {
        let track = Track::not_compared(reason);
        Self::of(track.clone(), track, BTreeMap::new())
    }
}

impl Track {
    fn detail(&self) -> String {
        let seconds = |ms: u64| format!("{}.{} s", ms / 1000, ms % 1000 / 100);
        let found = self.found.map(|it| {
            let (long, copy, excerpt) = (seconds(it.length_ms), seconds(it.source_ms), seconds(it.excerpt_ms));
            format!("most alike {long} from {copy} of the copy and {excerpt} of the excerpt, distance {}", it.distance)
        });
        let said = [found, self.reason.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ");
        match self.verdict {
            Verdict::NotCompared => said,
            Verdict::Mismatch => format!("no match; {said}"),
            Verdict::Unclear => format!("unclear; {said}"),
            Verdict::Match => format!("match; {said}"),
        }
    }

    pub(crate) fn not_compared(reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::NotCompared, reason: Some(bounded(&reason.into())), found: None }
    }
}

/// A text of bounded length without control characters.
pub(crate) fn bounded(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(REASON_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_one_of_sound_and_pictures_counts() {
        let track = |verdict| Track { verdict, reason: None, found: None };
        let report = Report::of(track(Verdict::Match), track(Verdict::Mismatch), BTreeMap::new());
        assert_eq!((report.verdict, report.reason), (Verdict::Match, None));
        let report = Report::of(Track::not_compared("no sound"), track(Verdict::Mismatch), BTreeMap::new());
        assert_eq!((report.verdict, report.reason), (Verdict::Mismatch, None));
    }

    #[test]
    fn what_was_found_is_told_in_words() {
        let found = Found { source_ms: 15_000, excerpt_ms: 0, length_ms: 14_250, distance: 0.026 };
        let picture = Track { verdict: Verdict::Match, reason: None, found: Some(found) };
        let report = Report::of(Track::not_compared("no sound"), picture, BTreeMap::new());
        let expected = "sound: no sound; pictures: match; most alike 14.2 s from 15.0 s of the copy and 0.0 s of the excerpt, distance 0.026";
        assert_eq!(report.detail(), expected);
    }

    #[test]
    fn what_was_not_compared_says_why_in_bounds() {
        let report =
            Report::of(Track::not_compared("no\nsound"), Track::not_compared("x".repeat(999)), BTreeMap::new());
        let reason = report.reason.unwrap();
        assert!(reason.starts_with("sound: nosound; pictures: xxx") && reason.len() == REASON_CHARS_MAX, "{reason}");
        let line = serde_json::to_string(&Report::not_compared("no ffmpeg")).unwrap();
        assert!(line.starts_with(r#"{"verdict":"not-compared","reason":"no ffmpeg","sound":{"#), "{line}");
    }
}
