//! What the streamer should know: each kind is said once.

use crate::timeline::MICROS;

/// A kind of advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A codec that not every viewer can play.
    Codec,
    /// Key frames are far apart.
    LongGop,
    /// No key frame for a long time.
    NoKeyFrame,
    /// Pictures are shown in another order than they are sent.
    BFrames,
    /// Fragments are longer than a unit should be.
    LongFragments,
    /// The input's clock jumped.
    Clock,
    /// The input ended in the middle of a fragment.
    Truncated,
    /// The input ended before it began.
    Empty,
    /// A fragment header came without its media data.
    EmptyFragment,
}

/// Key frames this far apart are worth a word, in microseconds.
const GOP_MAX: i128 = 2_100_000;
/// No key frame for this long is worth a word, in microseconds.
const NO_KEY_MAX: i128 = 10 * MICROS;
/// How much media is looked at before B-frames are reported, in microseconds.
const REORDER_WATCH: i128 = MICROS;
/// Fragments longer than this are worth a word, in microseconds.
const FRAGMENT_MAX: i128 = 510_000;

/// Watches the pictures, and remembers what was said.
#[derive(Debug, Default)]
pub struct Adviser {
    said: std::collections::BTreeSet<Kind>,
    last_key: Option<i128>,
    reorder: Option<Reorder>,
}

#[derive(Clone, Copy, Debug)]
struct Reorder {
    since: i128,
    low: i128,
    high: i128,
}

/// What is known about one fragment's pictures, all in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Picture {
    /// When it is decoded.
    pub at: i128,
    /// How long it lasts.
    pub duration: i128,
    /// It begins with a key frame.
    pub key: bool,
    /// The smallest and the largest distance from decoding to showing.
    pub reorder: Option<(i128, i128)>,
}

impl Adviser {
    /// `text`, unless something of its kind was said before.
    pub fn once(&mut self, kind: Kind, text: impl FnOnce() -> String) -> Option<String> {
        self.said.insert(kind).then(text)
    }

    /// Forgets what was seen, not what was said: the codec or the clock has changed.
    pub fn start_over(&mut self) {
        self.last_key = None;
        self.reorder = None;
    }

    /// Looks at a fragment with pictures.
    pub fn watch(&mut self, picture: Picture) -> Vec<String> {
        let advice = [self.watch_keys(picture), self.watch_order(picture), self.watch_length(picture)];
        advice.into_iter().flatten().collect()
    }

    /// Looks at the length of a fragment.
    fn watch_length(&mut self, picture: Picture) -> Option<String> {
        if picture.duration <= FRAGMENT_MAX {
            return None;
        }
        self.once(Kind::LongFragments, || {
            let length = seconds(picture.duration);
            format!("fragments of {length}: every viewer lags by as much; mux with -movflags {}", crate::MOVFLAGS)
        })
    }

    fn watch_keys(&mut self, picture: Picture) -> Option<String> {
        let last = *self.last_key.get_or_insert(picture.at);
        let gap = picture.at - last;
        if picture.key {
            self.last_key = Some(picture.at);
            return if gap <= GOP_MAX { None } else { self.once(Kind::LongGop, || long_gop(gap)) };
        }
        if gap <= NO_KEY_MAX {
            return None;
        }
        self.once(Kind::NoKeyFrame, || {
            format!(
                "no key frame for {}: nobody can join until one comes; encode with -g 30 (one a second at 30 fps)",
                seconds(gap)
            )
        })
    }

    fn watch_order(&mut self, picture: Picture) -> Option<String> {
        let (low, high) = picture.reorder?;
        let seen = self.reorder.get_or_insert(Reorder { since: picture.at, low, high });
        seen.low = seen.low.min(low);
        seen.high = seen.high.max(high);
        let cost = seen.high - seen.low.min(0);
        if seen.low == seen.high && seen.high <= 0 || picture.at - seen.since < REORDER_WATCH {
            return None;
        }
        self.once(Kind::BFrames, || {
            let ms = (cost + 500) / 1000;
            format!("B-frames: every picture waits {ms} ms to be shown; encode with -bf 0 (x264: -tune zerolatency)")
        })
    }
}

fn long_gop(gap: i128) -> String {
    let gap = seconds(gap);
    format!("key frame every {gap}: joining takes up to {gap}; encode with -g 30 (one a second at 30 fps)")
}

/// Microseconds as seconds to read: `8 s`, `2.5 s`.
pub fn seconds(us: i128) -> String {
    let tenths = (us + 50_000) / 100_000;
    if tenths % 10 == 0 { format!("{} s", tenths / 10) } else { format!("{}.{} s", tenths / 10, tenths % 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(at: i128, key: bool) -> Picture {
        Picture { at, duration: 33_000, key, reorder: None }
    }

    #[test]
    fn key_frames_far_apart_are_said_once_with_their_cost() {
        let mut adviser = Adviser::default();
        assert!(adviser.watch(picture(0, true)).is_empty());
        let text = adviser.watch(picture(8 * MICROS, true));
        assert_eq!(text, ["key frame every 8 s: joining takes up to 8 s; encode with -g 30 (one a second at 30 fps)"]);
        assert!(adviser.watch(picture(16 * MICROS, true)).is_empty());
    }

    #[test]
    fn a_key_frame_a_second_needs_no_word() {
        let mut adviser = Adviser::default();
        assert!((0..20).all(|second| adviser.watch(picture(second * MICROS, true)).is_empty()));
    }

    #[test]
    fn a_stream_that_never_has_a_key_frame_is_said_after_ten_seconds() {
        let mut adviser = Adviser::default();
        let said: Vec<_> = (0..30).map(|second| adviser.watch(picture(second * MICROS, false)).len()).collect();
        assert_eq!(said.iter().position(|&n| n > 0), Some(11));
        assert_eq!(said.iter().sum::<usize>(), 1);
    }

    #[test]
    fn b_frames_are_said_with_the_delay_they_cost() {
        let mut adviser = Adviser::default();
        let pictures = (0..60).map(|n| Picture { reorder: Some((0, n % 3 * 33_333)), ..picture(n * 33_333, n == 0) });
        let said: Vec<_> = pictures.flat_map(|picture| adviser.watch(picture)).collect();
        assert_eq!(
            said,
            ["B-frames: every picture waits 67 ms to be shown; encode with -bf 0 (x264: -tune zerolatency)"]
        );
    }
}
