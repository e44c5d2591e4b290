//! One outgoing clock that never goes back, whatever the input's clocks do.
//!
//! Every track counts in ticks of its own. The timeline adds one offset, the same for all tracks, so that sound
//! and picture stay in step. A new offset begins an *era*: when the input's clock jumps, when a file starts again
//! and when the codec changes. The first fragment of an era is put where the longest track of the last era ended.

use std::collections::BTreeMap;

use crate::fragment::Part;
use crate::init::Content;

/// Microseconds in a second.
pub const MICROS: i128 = 1_000_000;
/// A step of the input's clock that is not a pause, in microseconds.
pub const JUMP_MAX: i128 = 10 * MICROS;

/// A guessed duration may reach this far into the next part, in microseconds; more is a step back.
const OVERLAP_MAX: i128 = 500_000;
/// Sound is counted by its samples while the input's clock is no further off than this, in microseconds:
/// ffmpeg gives every now and then two packets the same time, which would click.
const COUNTED_MAX: i128 = 50_000;

/// What placing a part on the timeline showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The outgoing start, in ticks.
    pub start: u64,
    /// The input's clock stepped by this many microseconds where the part belongs.
    pub step: Option<i128>,
}

/// The outgoing clock.
#[derive(Debug, Default)]
pub struct Timeline {
    offset: i128,
    era: u64,
    /// After a jump a track may still have something from before it.
    late_allowed: bool,
    /// Where the input is in this era, in microseconds of its own clock; `None` before its first part.
    position: Option<i128>,
    /// The earliest start since the input began (again), in microseconds of the input's clock.
    first: Option<i128>,
    /// The era in which the input began (again).
    first_era: u64,
    /// No new track starts before this, in outgoing microseconds.
    floor: i128,
    /// The end of the longest track, in outgoing microseconds.
    end: i128,
    tracks: BTreeMap<u32, Lane>,
    begin: Begin,
}

/// How the next part begins an era.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Begin {
    /// It does not, unless the clock jumped.
    #[default]
    No,
    /// The codec changed: the clock may have gone on.
    NewTracks,
    /// The same file from its start, which has this time in the input's clock, in microseconds.
    Again(i128),
}

#[derive(Clone, Copy, Debug)]
struct Lane {
    era: u64,
    offset: i128,
    in_start: i128,
    in_end: i128,
    out_start: u64,
    out_end: u64,
}

impl Timeline {
    /// A clock that begins at this time, in outgoing microseconds.
    pub fn starting_at(start: i128) -> Self {
        Self { floor: start, end: start, ..Self::default() }
    }

    /// The codec changed: tracks and their clocks are new.
    pub fn new_tracks(&mut self) {
        self.tracks.clear();
        self.floor = self.end;
        self.begin = Begin::NewTracks;
    }

    /// The same input begins again from its start.
    pub fn again(&mut self) {
        if let Some(first) = self.first {
            self.begin = Begin::Again(first);
        }
    }

    /// The end of the longest track, in outgoing microseconds.
    pub fn end(&self) -> i128 {
        self.end
    }

    /// Finds the outgoing place of a part, and counts it.
    pub fn place(&mut self, part: &Part) -> Placed {
        let start = micros_down(part.start.into(), part.timescale);
        let end = micros_up(i128::from(part.start) + i128::from(part.duration), part.timescale);
        let step = self.choose_era(part.track, start);
        let lane = self.tracks.get(&part.track).copied();
        let fresh = lane.is_none_or(|lane| lane.era != self.era);
        let stays_behind = step.is_none() && self.is_late(part.track, start);
        let (era, offset) = match lane {
            Some(lane) if stays_behind => (lane.era, lane.offset),
            _ => (self.era, self.join(part, lane, fresh)),
        };
        let told = clamp(i128::from(part.start) + ticks_up(offset, part.timescale));
        let out_start = lane.filter(|lane| lane.era == era).map_or(told, |lane| lane.counted(part, told));
        let out_end = out_start.saturating_add(part.duration).max(lane.map_or(0, |lane| lane.out_end));
        self.tracks.insert(part.track, Lane { era, offset, in_start: start, in_end: end, out_start, out_end });
        self.end = self.end.max(micros_up(out_end.into(), part.timescale));
        if !stays_behind {
            self.position = Some(self.position.map_or(end, |position| position.max(end)));
        }
        if self.era == self.first_era {
            self.first = Some(self.first.map_or(start, |first| first.min(start)));
        }
        Placed { start: out_start, step }
    }

    /// Begins an era if this start calls for one; returns the step of the clock if it jumped.
    fn choose_era(&mut self, track: u32, start: i128) -> Option<i128> {
        match std::mem::take(&mut self.begin) {
            Begin::Again(first) => {
                self.open(self.end - first);
                self.first_era = self.era;
                self.first = None;
            }
            Begin::NewTracks if self.position.is_some() => {
                let out = start + self.offset;
                let goes_on = out >= self.end && out - self.end <= JUMP_MAX;
                self.open(if goes_on { self.offset } else { self.end - start });
            }
            _ => return self.jump(track, start),
        }
        None
    }

    fn jump(&mut self, track: u32, start: i128) -> Option<i128> {
        let Some(position) = self.position else {
            // An input that starts near zero keeps its clock.
            self.offset = self.end - if start > JUMP_MAX { start } else { 0 };
            return None;
        };
        let lane = self.tracks.get(&track).filter(|lane| lane.era == self.era);
        let back = lane.filter(|lane| lane.is_back(start)).map(|lane| start - lane.in_end);
        let ahead = (start > position + JUMP_MAX && !self.is_late(track, start)).then_some(start - position);
        let step = back.or(ahead)?;
        self.open(self.end - start);
        self.late_allowed = true;
        Some(step)
    }

    /// Whether a track that has not followed into this era still counts by the last one.
    fn is_late(&self, track: u32, start: i128) -> bool {
        let lane = self.tracks.get(&track).filter(|lane| self.late_allowed && lane.era != self.era);
        let nearer = |lane: &Lane, position: i128| (start - lane.in_end).abs() < (start - position).abs();
        lane.zip(self.position).is_some_and(|(lane, position)| !lane.is_back(start) && nearer(lane, position))
    }

    fn open(&mut self, offset: i128) {
        self.era += 1;
        self.late_allowed = false;
        self.offset = offset;
        self.position = None;
    }

    /// The era's offset for a part; a track's first part of an era pushes the era back rather than overlap.
    fn join(&mut self, part: &Part, lane: Option<Lane>, fresh: bool) -> i128 {
        if fresh {
            let floor = lane.map_or(ticks_up(self.floor, part.timescale), |lane| lane.out_end.into());
            let out = i128::from(part.start) + ticks_up(self.offset, part.timescale);
            if out < floor {
                self.offset += micros_up(floor - out, part.timescale);
            }
        }
        self.offset
    }
}

impl Lane {
    /// Whether a start, in microseconds of the input's clock, lies before what the track already has.
    fn is_back(&self, start: i128) -> bool {
        start < self.in_start || self.in_end - start > OVERLAP_MAX
    }

    /// Where a part goes whose clock says `told`: sound follows its last sample if that is about right.
    fn counted(&self, part: &Part, told: u64) -> u64 {
        if part.content != Content::Audio {
            return told;
        }
        let off = i128::from(told) - i128::from(self.out_end);
        let near = micros_down(off.abs(), part.timescale) <= COUNTED_MAX;
        if near { self.out_end } else { told.max(self.out_start) }
    }
}

fn clamp(ticks: i128) -> u64 {
    u64::try_from(ticks.max(0)).unwrap_or(u64::MAX)
}

/// Ticks as microseconds, rounded down.
pub fn micros_down(ticks: i128, timescale: u32) -> i128 {
    (ticks * MICROS).div_euclid(timescale.into())
}

fn micros_up(ticks: i128, timescale: u32) -> i128 {
    -(-ticks * MICROS).div_euclid(timescale.into())
}

fn ticks_up(micros: i128, timescale: u32) -> i128 {
    -(-micros * i128::from(timescale)).div_euclid(MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIDEO: (u32, u32, Content) = (1, 15_360, Content::Video);
    const AUDIO: (u32, u32, Content) = (2, 48_000, Content::Audio);

    /// Places a part that starts at `ms` and lasts `len` ms; returns its outgoing start in ms and the step in ms.
    fn place(line: &mut Timeline, track: (u32, u32, Content), ms: u64, len: u64) -> (u64, Option<i128>) {
        let ticks = |ms: u64| ms * u64::from(track.1) / 1000;
        let placed = line.place(&Part::new(track, ticks(ms), ticks(len)));
        (placed.start * 1000 / u64::from(track.1), placed.step.map(|step| step / 1000))
    }

    #[test]
    fn an_input_that_starts_near_zero_keeps_its_clock_and_another_starts_at_zero() {
        let mut near = Timeline::default();
        assert_eq!(place(&mut near, VIDEO, 1400, 100), (1400, None));
        let mut far = Timeline::default();
        assert_eq!(place(&mut far, VIDEO, 5_000_000, 100), (0, None));
        assert_eq!(place(&mut far, AUDIO, 5_000_020, 100), (20, None));
    }

    #[test]
    fn a_track_that_starts_before_the_first_pushes_the_start_but_stays_in_step() {
        let mut line = Timeline::default();
        assert_eq!(place(&mut line, AUDIO, 100_050, 20), (0, None));
        assert_eq!(place(&mut line, VIDEO, 100_000, 40), (0, None));
        assert_eq!(place(&mut line, VIDEO, 100_400, 40), (400, None));
        assert_eq!(place(&mut line, AUDIO, 100_450, 20), (450, None));
    }

    #[test]
    fn after_a_jump_both_tracks_go_on_where_the_longest_ended() {
        for (jump, step) in [(0, -1000), (90_000, 89_000)] {
            let mut line = Timeline::default();
            place(&mut line, VIDEO, 0, 1000);
            place(&mut line, AUDIO, 0, 990);
            assert_eq!(place(&mut line, VIDEO, jump, 1000), (1000, Some(step)));
            assert_eq!(place(&mut line, AUDIO, jump, 990), (1000, None), "jump to {jump}");
            assert_eq!(place(&mut line, VIDEO, jump + 1000, 40), (2000, None));
        }
    }

    #[test]
    fn what_is_left_of_the_time_before_a_jump_stays_there() {
        let mut line = Timeline::default();
        place(&mut line, VIDEO, 0, 20_000);
        place(&mut line, AUDIO, 0, 19_000);
        place(&mut line, VIDEO, 500, 40);
        assert_eq!(place(&mut line, AUDIO, 19_000, 500), (19_000, None));
        assert_eq!(place(&mut line, AUDIO, 500, 20), (20_000, None));
    }

    #[test]
    fn a_pause_is_no_jump() {
        let mut line = Timeline::default();
        place(&mut line, VIDEO, 0, 40);
        assert_eq!(place(&mut line, AUDIO, 9_000, 20), (9_000, None));
        assert_eq!(place(&mut line, AUDIO, 18_000, 20), (18_000, None));
        assert_eq!(place(&mut line, VIDEO, 18_125, 40), (18_125, None), "stalled for 18 s while the sound went on");
    }

    #[test]
    fn sound_is_counted_by_its_samples_until_it_is_50_ms_off() {
        let mut line = Timeline::default();
        place(&mut line, AUDIO, 0, 20);
        assert_eq!(place(&mut line, AUDIO, 40, 20), (20, None), "two packets of the same time: the first");
        assert_eq!(place(&mut line, AUDIO, 40, 20), (40, None), "and the second");
        assert_eq!(place(&mut line, AUDIO, 160, 20), (160, None), "a real gap stays one");
    }

    #[test]
    fn an_input_that_begins_later_keeps_its_clock_from_there_on() {
        let mut line = Timeline::starting_at(60 * MICROS);
        assert_eq!(place(&mut line, VIDEO, 500, 40), (60_500, None));
        assert_eq!(place(&mut line, AUDIO, 0, 20), (60_000, None));
        let mut line = Timeline::starting_at(60 * MICROS);
        assert_eq!(place(&mut line, VIDEO, 500_000, 40), (60_000, None), "a clock that counts from elsewhere");
    }

    #[test]
    fn an_input_that_begins_again_goes_on_without_a_step() {
        let mut line = Timeline::default();
        place(&mut line, VIDEO, 500, 1000);
        place(&mut line, AUDIO, 480, 990);
        line.again();
        assert_eq!(place(&mut line, VIDEO, 500, 1000), (1520, None));
        assert_eq!(place(&mut line, AUDIO, 480, 990), (1500, None));
    }
}
