//! What is known of a broadcast and its parts: the document that is on the disk before anything is done.

use peerstream_sdk::prelude::*;

/// Parts of a broadcast; segments beyond the last are refused.
pub(crate) const PARTS_MAX: usize = 4_096;
/// Gaps that are named for a part; beyond it the last one grows.
pub(crate) const GAPS_MAX: usize = 64;
/// Chapters of a video; later ones are left out.
pub(crate) const CHAPTERS_MAX: usize = 100;

/// A broadcast.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Show {
    /// The publisher's key, in hexadecimal digits.
    pub(crate) stream: String,
    /// The broadcast's number.
    pub(crate) epoch: u64,
    /// What people call it.
    pub(crate) title: Option<String>,
    /// When the first segment was made, microseconds since 1970.
    pub(crate) began_us: Option<u64>,
    /// The time of the first segment on the stream's clock, microseconds.
    pub(crate) start_us: Option<u64>,
    /// Nothing is added any more.
    pub(crate) ended: bool,
    /// Its playlist.
    pub(crate) playlist: Playlist,
    /// In order; the number of the first is 1.
    pub(crate) parts: Vec<Part>,
    /// Videos were unlisted until the end, and are not any more.
    pub(crate) published: bool,
}

/// A playlist on the site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Playlist {
    /// There is none yet.
    #[default]
    None,
    /// It was asked for; whether it is there must be looked up after a crash.
    Asked,
    /// It is there, by the site's number.
    Made(u64),
    /// The site gives none.
    Unfit,
}

/// A part of a broadcast: a file, an upload, a video.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Part {
    /// How far it is.
    pub(crate) state: State,
    /// The first segment's number.
    pub(crate) first: u64,
    /// The number after the last segment's.
    pub(crate) end: u64,
    /// What is missing between them.
    pub(crate) gaps: Vec<(u64, u64)>,
    /// The time of its first segment on the stream's clock, microseconds.
    pub(crate) start_us: u64,
    /// What was taken from the times in its file, microseconds; none if they could not be read.
    pub(crate) base_us: Option<u64>,
    /// How long it is, microseconds.
    pub(crate) duration_us: u64,
    /// Bytes of its file.
    pub(crate) bytes: u64,
    /// BLAKE3 over the hashes of its signed headers, in hexadecimal digits: what ties the video to the signed original.
    pub(crate) proof: String,
    /// What is played from when on.
    pub(crate) chapters: Vec<Chapter>,
    /// The upload that is under way.
    pub(crate) upload: Option<Progress>,
    /// The video it has become.
    pub(crate) video: Option<Video>,
    /// Its chapters are told, or cannot be.
    pub(crate) chaptered: bool,
    /// It is in the playlist, or cannot be.
    pub(crate) listed: bool,
    /// What is to be seen of it.
    pub(crate) wanted: Visibility,
    /// What is to be seen of it at present; of one that is not uploaded nothing is.
    pub(crate) shown: Shown,
    /// Why the site does not take it.
    pub(crate) refused: Option<String>,
}

/// How far a part is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Segments are added.
    #[default]
    Writing,
    /// It waits in the spool.
    Closed,
    /// It is a video.
    Uploaded,
    /// The site does not take it; it stays in the spool.
    Refused,
    /// It was erased.
    Erased,
}

/// What is to be seen of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Visibility {
    /// As the config says.
    #[default]
    Shown,
    /// Nothing; one that is not uploaded waits.
    Hidden,
    /// Nothing, ever.
    Erased,
}

/// How a video is withheld.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Shown {
    /// It is not.
    #[default]
    Open,
    /// Blocked, as moderators can.
    Blocked,
    /// Made private: the account may not block.
    Private,
}

/// A title.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chapter {
    /// Seconds since the part's beginning.
    pub(crate) at_s: u64,
    /// For people.
    pub(crate) title: String,
}

/// An upload that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    /// The site's name for it.
    pub(crate) id: String,
    /// Bytes that the site has said it has.
    pub(crate) offset: u64,
    /// Bytes that may have been sent: what it has cannot be more.
    pub(crate) sent: u64,
}

/// A video on the site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Video {
    /// The site's number.
    pub(crate) id: u64,
    /// Its name in addresses.
    pub(crate) uuid: String,
}

impl Show {
    /// Whether everything is done that can be.
    pub(crate) fn is_settled(&self, unlisted_until_end: bool) -> bool {
        let settled = |part: &Part| match part.state {
            State::Erased => true,
            State::Uploaded => part.chaptered && part.listed && part.is_shown_as_wanted(),
            _ => false,
        };
        self.ended && self.parts.iter().all(settled) && (self.published || !unlisted_until_end)
    }
}

impl Part {
    /// Whether it has any of these segments.
    pub(crate) fn overlaps(&self, first: u64, end: u64) -> bool {
        self.first < end && first < self.end
    }

    /// Whether the site shows what it should.
    pub(crate) fn is_shown_as_wanted(&self) -> bool {
        match (self.state, self.wanted) {
            (State::Uploaded, Visibility::Shown) => self.shown == Shown::Open,
            (State::Uploaded, Visibility::Hidden) => self.shown != Shown::Open,
            (State::Uploaded, Visibility::Erased) => false,
            _ => true,
        }
    }

    /// Whether its file takes room in the spool.
    pub(crate) fn is_in_spool(&self) -> bool {
        matches!(self.state, State::Writing | State::Closed | State::Refused)
    }

    /// A segment was added, and these before it were not.
    pub(crate) fn extend(&mut self, seq: u64, pts_us: u64, duration_us: u32) {
        if seq > self.end && self.end > self.first {
            if self.gaps.len() < GAPS_MAX {
                self.gaps.push((self.end, seq));
            } else if let Some(last) = self.gaps.last_mut() {
                last.1 = seq;
            }
        }
        self.end = seq + 1;
        self.duration_us = (pts_us + u64::from(duration_us)).saturating_sub(self.start_us).max(self.duration_us);
    }

    /// Something else is played from this time of the stream's clock on.
    pub(crate) fn chapter(&mut self, pts_us: u64, title: &str) {
        let at_s = pts_us.saturating_sub(self.start_us) / 1_000_000;
        if let Some(last) = self.chapters.last_mut().filter(|last| last.at_s == at_s) {
            title.clone_into(&mut last.title);
        } else if self.chapters.len() < CHAPTERS_MAX {
            self.chapters.push(Chapter { at_s, title: title.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_named_and_their_number_is_bounded() {
        let mut part = Part { first: 5, end: 5, ..Part::default() };
        [5, 6, 9].iter().for_each(|&seq| part.extend(seq, seq * 10, 10));
        assert_eq!((part.end, part.gaps.as_slice(), part.duration_us), (10, &[(7, 9)][..], 100));
        (0..1_000).for_each(|n| part.extend(12 + n * 2, 0, 0));
        assert_eq!((part.gaps.len(), part.gaps.last().unwrap().1), (GAPS_MAX, 2_010));
    }

    #[test]
    fn two_titles_in_the_same_second_are_one_chapter() {
        let mut part = Part { start_us: 1_000_000, ..Part::default() };
        [(1_000_000, "a"), (1_900_000, "b"), (2_000_000, "c")].iter().for_each(|(at, title)| part.chapter(*at, title));
        let found: Vec<_> = part.chapters.iter().map(|chapter| (chapter.at_s, chapter.title.as_str())).collect();
        assert_eq!(found, [(0, "b"), (1, "c")]);
    }
}
