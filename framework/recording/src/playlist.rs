//! HLS playlists (RFC 8216) of recordings: segments grouped into parts that ordinary players fetch.
//!
//! A part begins at the first join point of each span of [`PART_US`] on the payload's own timeline, so that the same segments always make
//! the same part, and its address says which segments it is made of. What is withheld or missing is left out.

use std::collections::VecDeque;
use std::fmt::Write;

use peerstream_protocol::header::Flags;
use peerstream_protocol::id::Seq;
use peerstream_protocol::segment::InitId;

use crate::Line;

/// A part begins at the first join point of each span of so many microseconds.
pub const PART_US: u64 = 4_000_000;
/// A part is cut at any segment rather than be longer than this, in microseconds.
pub const PART_US_MAX: u64 = 8_000_000;
/// A part is cut at any segment rather than be larger than this, in bytes.
pub const PART_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// A part is made of at most so many segments.
pub const PART_SEGMENTS_MAX: u64 = 1_024;
/// What playlists say that no part is longer than, in seconds.
const TARGET_S: u64 = PART_US_MAX / 1_000_000;

/// Consecutive segments of one codec header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The first segment.
    pub first: Seq,
    /// The number after the last one.
    pub end: Seq,
    /// Microseconds.
    pub duration_us: u64,
    /// The source's wall clock at its beginning, microseconds since 1970.
    pub starts_us: u64,
    /// The codec header of its segments.
    pub init: InitId,
    /// It does not go on where the part before it ended.
    pub discontinuity: bool,
    /// Bytes of its payloads.
    pub bytes: u64,
}

/// Turns the lines of an index into parts, as they come. Memory: a part for every four seconds of what was pushed and not forgotten.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    parts: VecDeque<Part>,
    /// The part that is not closed yet.
    open: Option<Part>,
    /// The number that the next line has if nothing is missing.
    next: Option<Seq>,
    /// What comes next does not go on where the last part ended.
    breaks: bool,
    /// Parts, and discontinuities before the first part, that are not here any more.
    removed: u64,
    removed_breaks: u64,
}

impl Parts {
    /// The number of the next line.
    pub fn next(&self) -> Seq {
        self.next.unwrap_or_default()
    }

    /// The closed parts, in order.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &Part> {
        self.parts.iter()
    }

    /// Takes the next line in; lines come in the order of their numbers.
    pub fn push(&mut self, line: &Line) {
        let missing = self.next.replace(line.seq.next()).is_some_and(|next| next != line.seq);
        let ends = line.flags.has(Flags::END);
        if missing || line.withheld || ends {
            self.close();
            self.breaks |= !ends;
        }
        if line.withheld || ends {
            return;
        }
        let join_point = line.flags.has(Flags::JOIN_POINT);
        if self.open.is_some_and(|open| is_over(&open, line, join_point)) {
            self.close();
        }
        match &mut self.open {
            Some(open) => {
                open.end = line.seq.next();
                open.duration_us += u64::from(line.duration_us);
                open.bytes += u64::from(line.payload_len);
            }
            None => self.begin(line, join_point),
        }
    }

    fn begin(&mut self, line: &Line, join_point: bool) {
        let last = self.parts.back();
        let fresh = last.is_none() || self.breaks;
        // Nothing before a join point can be played, unless it follows what was played.
        if fresh && !join_point {
            return;
        }
        let changed = last.is_some_and(|last| last.init != line.init) || line.flags.has(Flags::DISCONTINUITY);
        self.open = Some(Part {
            first: line.seq,
            end: line.seq.next(),
            duration_us: line.duration_us.into(),
            starts_us: line.wall_us.saturating_sub(line.duration_us.into()),
            init: line.init,
            discontinuity: last.is_some() && (self.breaks || changed),
            bytes: line.payload_len.into(),
        });
        self.breaks = false;
    }

    /// Nothing follows: what is there becomes the last part.
    pub fn close(&mut self) {
        self.parts.extend(self.open.take());
    }

    /// Forgets parts that begin before this segment: they are not kept any more.
    pub fn forget_before(&mut self, first: Seq) {
        while let Some(part) = self.parts.pop_front_if(|part| part.first < first) {
            self.removed += 1;
            self.removed_breaks += u64::from(part.discontinuity);
        }
    }

    /// Counts on from what an earlier reading of the same recording counted, so that players which go on reload what they know.
    pub fn number_like(&mut self, earlier: &Self) {
        let known = |part: &Part| earlier.parts.binary_search_by_key(&part.first, |part| part.first).ok();
        let newest = self.parts.iter().enumerate().rev().find_map(|(at, part)| Some((at, known(part)?)));
        let Some((at, before)) = newest else { return };
        self.removed = (earlier.removed + before as u64).saturating_sub(at as u64);
        let breaks =
            |parts: &VecDeque<Part>, to: usize| parts.range(..to).filter(|part| part.discontinuity).count() as u64;
        let counted = earlier.removed_breaks + breaks(&earlier.parts, before);
        self.removed_breaks = counted.saturating_sub(breaks(&self.parts, at));
    }

    /// The media playlist. `ended`: nothing will follow. `query` stands behind every address, such as `?ticket=...`; it may be
    /// empty.
    pub fn playlist(&self, ended: bool, query: &str) -> String {
        let mut text = String::with_capacity(256 + self.parts.len() * 128);
        // Writing into a String cannot fail.
        let _ = writeln!(text, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{TARGET_S}");
        let _ = writeln!(text, "#EXT-X-MEDIA-SEQUENCE:{}", self.removed);
        if self.removed_breaks > 0 {
            let _ = writeln!(text, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", self.removed_breaks);
        }
        match (ended, self.removed) {
            (true, _) => text.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n"),
            (false, 0) => text.push_str("#EXT-X-PLAYLIST-TYPE:EVENT\n"),
            (false, _) => {}
        }
        let mut init = None;
        for (at, part) in self.parts.iter().enumerate() {
            if part.discontinuity && at > 0 {
                text.push_str("#EXT-X-DISCONTINUITY\n");
            }
            if init.replace(part.init) != Some(part.init) && part.init != InitId::NONE {
                let _ = writeln!(text, "#EXT-X-MAP:URI=\"{}{query}\"", init_name(part.init));
            }
            let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{}", date_time(part.starts_us));
            let (seconds, millis) = (part.duration_us / 1_000_000, part.duration_us / 1_000 % 1_000);
            let _ = writeln!(text, "#EXTINF:{seconds}.{millis:03},\n{}{query}", part_name(part.first, part.end));
        }
        if ended {
            text.push_str("#EXT-X-ENDLIST\n");
        }
        text
    }
}

fn is_over(open: &Part, line: &Line, join_point: bool) -> bool {
    let longer = open.duration_us + u64::from(line.duration_us);
    let larger = open.bytes + u64::from(line.payload_len);
    let full = longer > PART_US_MAX || larger > PART_BYTES_MAX || open.end.0 - open.first.0 >= PART_SEGMENTS_MAX;
    // Where the part began on the payload's timeline, as its segments follow each other without a break.
    let began = line.pts_us.saturating_sub(open.duration_us);
    let next_span = join_point && line.pts_us / PART_US != began / PART_US;
    full || next_span || line.init != open.init || line.flags.has(Flags::DISCONTINUITY)
}

/// What the address of a part ends in.
pub fn part_name(first: Seq, end: Seq) -> String {
    format!("{}-{}.m4s", first.0, end.0)
}

/// What the address of an init ends in.
pub fn init_name(id: InitId) -> String {
    let hex = id.0.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    format!("init-{hex}.mp4")
}

/// What an address within a recording asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// The playlist, `index.m3u8`.
    Playlist,
    /// An init.
    Init(InitId),
    /// Segments: the first one, and the number after the last one; at most [`PART_SEGMENTS_MAX`], and not none.
    Part(Seq, Seq),
}

impl Named {
    /// Reads the end of an address; nothing when it is none of ours.
    pub fn parse(name: &str) -> Option<Self> {
        if name == "index.m3u8" {
            return Some(Self::Playlist);
        }
        if let Some(hex) = name.strip_prefix("init-").and_then(|name| name.strip_suffix(".mp4")) {
            let digits = hex.len() == 32 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            return digits
                .then(|| u128::from_str_radix(hex, 16).ok())
                .flatten()
                .map(|id| Self::Init(InitId(id.to_be_bytes())));
        }
        let (first, end) = name.strip_suffix(".m4s")?.split_once('-')?;
        let number = |text: &str| text.parse().ok().filter(|number: &u64| number.to_string() == text).map(Seq);
        let (first, end) = (number(first)?, number(end)?);
        (first < end && end.0 - first.0 <= PART_SEGMENTS_MAX).then_some(Self::Part(first, end))
    }
}

/// Microseconds since 1970 as ISO 8601 in UTC with milliseconds.
fn date_time(us: u64) -> String {
    let (days, rest) = (us / 86_400_000_000, us % 86_400_000_000 / 1_000);
    // Years that begin in March, in eras of 400 of them, so that leap days come last (Howard Hinnant, "chrono-compatible
    // low-level date algorithms").
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let (year, ms) = (era * 400 + year + next, rest % 1_000);
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
    format!("{year:04}-{month:02}-{of_month:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Segments of 200 ms, every fifth a join point.
    fn line(seq: u64) -> Line {
        Line {
            seq: Seq(seq),
            wall_us: 1_700_000_000_000_000 + (seq + 1) * 200_000,
            pts_us: seq * 200_000,
            duration_us: 200_000,
            flags: if seq.is_multiple_of(5) { Flags::JOIN_POINT } else { Flags::default() },
            init: InitId([1; 16]),
            payload_len: 1_000,
            withheld: false,
        }
    }

    fn parts(lines: impl IntoIterator<Item = Line>) -> Parts {
        let mut parts = Parts::default();
        lines.into_iter().for_each(|line| parts.push(&line));
        parts
    }

    fn ranges(parts: &Parts) -> Vec<(u64, u64)> {
        parts.parts().map(|part| (part.first.0, part.end.0)).collect()
    }

    #[test]
    fn parts_begin_at_the_first_join_point_of_each_four_seconds_wherever_reading_begins() {
        assert_eq!(ranges(&parts((0..65).map(line))), [(0, 20), (20, 40), (40, 60)]);
        assert_eq!(ranges(&parts((7..65).map(line))), [(10, 20), (20, 40), (40, 60)]);
    }

    #[test]
    fn what_is_hidden_or_missing_is_left_out_and_what_follows_begins_at_a_join_point() {
        let hidden = (0..65).map(line).map(|line| Line { withheld: (22..27).contains(&line.seq.0), ..line });
        let parts = parts(hidden.filter(|line| line.seq.0 != 47));
        assert_eq!(ranges(&parts), [(0, 20), (20, 22), (30, 40), (40, 47), (50, 60)]);
        let broken: Vec<_> = parts.parts().filter(|part| part.discontinuity).map(|part| part.first.0).collect();
        assert_eq!(broken, [30, 50]);
    }

    #[test]
    fn another_codec_header_begins_a_part_of_its_own() {
        let changed = (0..65).map(line).map(|line| Line { init: InitId([(1 + line.seq.0 / 30) as u8; 16]), ..line });
        let parts = parts(changed);
        assert_eq!(ranges(&parts), [(0, 20), (20, 30), (30, 40), (40, 60)]);
        let text = parts.playlist(false, "?ticket=x");
        let maps: Vec<_> = text.lines().filter(|line| line.starts_with("#EXT-X-MAP")).collect();
        assert_eq!(maps[1], format!("#EXT-X-MAP:URI=\"init-{}.mp4?ticket=x\"", "02".repeat(16)));
        assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
        assert!(text.contains("20-30.m4s?ticket=x\n"));
    }

    #[test]
    fn a_playlist_says_what_there_is() {
        let mut parts = parts((0..25).map(line));
        let live = parts.playlist(false, "");
        let map = format!("#EXT-X-MAP:URI=\"init-{}.mp4\"", "01".repeat(16));
        let expected = [
            "#EXTM3U",
            "#EXT-X-VERSION:7",
            "#EXT-X-TARGETDURATION:8",
            "#EXT-X-MEDIA-SEQUENCE:0",
            "#EXT-X-PLAYLIST-TYPE:EVENT",
            &map,
            "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z",
            "#EXTINF:4.000,",
            "0-20.m4s",
        ];
        assert_eq!(live.lines().collect::<Vec<_>>(), expected);
        parts.close();
        let over = parts.playlist(true, "");
        assert!(
            over.contains("#EXT-X-PLAYLIST-TYPE:VOD\n")
                && over.ends_with("#EXTINF:1.000,\n20-25.m4s\n#EXT-X-ENDLIST\n")
        );
    }

    #[test]
    fn players_that_reload_find_the_same_numbers_when_the_beginning_is_not_kept_any_more() {
        let mut all = parts((0..200).map(line));
        all.forget_before(Seq(50));
        assert!(all.playlist(false, "").contains("#EXT-X-MEDIA-SEQUENCE:3\n"));
        assert!(!all.playlist(false, "").contains("PLAYLIST-TYPE"));
        // Read once more from a later beginning.
        let mut again = parts((90..230).map(line));
        again.number_like(&all);
        assert_eq!(again.parts().next().map(|part| part.first), Some(Seq(90)));
        again.forget_before(Seq(100));
        assert!(again.playlist(false, "").contains("#EXT-X-MEDIA-SEQUENCE:5\n"));
    }

    #[test]
    fn addresses_are_read_back_and_others_are_none() {
        let id = InitId(*b"0123456789abcdef");
        assert_eq!(Named::parse(&init_name(id)), Some(Named::Init(id)));
        assert_eq!(Named::parse(&part_name(Seq(3), Seq(9))), Some(Named::Part(Seq(3), Seq(9))));
        assert_eq!(Named::parse("index.m3u8"), Some(Named::Playlist));
        let init = format!("init-{}.mp4", "A".repeat(32));
        for name in
            ["", "9-3.m4s", "3-3.m4s", "03-9.m4s", "+3-9.m4s", "0-2000.m4s", "-.m4s", "init-.mp4", &init, "a/../b"]
        {
            assert_eq!(Named::parse(name), None, "{name}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date_time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(date_time(951_782_400_123_000), "2000-02-29T00:00:00.123Z");
        assert_eq!(date_time(1_709_251_199_999_000), "2024-02-29T23:59:59.999Z");
        assert_eq!(date_time(4_107_542_400_000_000), "2100-03-01T00:00:00.000Z");
    }

    proptest! {
        #[test]
        fn parts_are_in_order_bounded_and_made_of_what_may_be_seen(
            lines in prop::collection::vec((0_u64..3, any::<bool>(), 0_u8..8, 0_u32..9_000_000, 0_u8..3, any::<bool>()), 0..300)
        ) {
            let (mut seq, mut pts_us) = (0, 0);
            let mut parts = Parts::default();
            let mut seen = Vec::new();
            for (skipped, withheld, flags, duration_us, init, join) in lines {
                seq += skipped;
                let flags = Flags(if join { 1 } else { flags & 3 });
                let line = Line { pts_us, duration_us, flags, init: InitId([init; 16]), withheld: withheld && skipped == 0, ..line(seq) };
                parts.push(&line);
                seen.push(line);
                pts_us += u64::from(duration_us);
                seq += 1;
            }
            parts.close();
            let mut end = 0;
            for part in parts.parts() {
                prop_assert!(part.first.0 >= end && part.first < part.end);
                end = part.end.0;
                let of_part: Vec<_> = seen.iter().filter(|line| (part.first..part.end).contains(&line.seq)).collect();
                prop_assert_eq!(of_part.len() as u64, part.end.0 - part.first.0);
                prop_assert!(of_part.iter().all(|line| !line.withheld && line.init == part.init));
                prop_assert!(of_part.len() == 1 || part.duration_us <= PART_US_MAX);
                prop_assert_eq!(part.bytes, 1_000 * of_part.len() as u64);
            }
        }
    }
}
