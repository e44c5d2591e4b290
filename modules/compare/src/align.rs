//! Where two rows of prints are most alike.
//!
//! A print is a few bits that say what a moment looks or sounds like; similar moments have prints that differ in few bits. Every shift
//! of one row against the other is tried, and at each the stretch of ten seconds that differs least. So a part of the work in a part of the
//! excerpt is found, whichever is longer.

use crate::report::{Found, Track, Verdict};

/// A stretch of so many seconds must be alike to be a match.
const STRETCH_S: f64 = 10.0;
/// Shorter material is not compared, in seconds.
const SHORTEST_S: f64 = 3.0;
/// What stands still proves little: both sides must change so many times in a stretch to be a match.
const CHANGES_MIN: u32 = 3;

/// Prints at even distances; none for a moment that says nothing, such as black or silence.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Prints {
    pub(crate) prints: Vec<Option<u64>>,
    /// What is to be said about how the file could be read.
    pub(crate) note: Option<String>,
}

/// What sort of prints they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sort {
    pub(crate) per_second: f64,
    /// A print has so many bits.
    pub(crate) bits: u32,
    /// Bits that differ between unrelated moments, which is what a moment that says nothing counts as.
    pub(crate) unrelated: u32,
    /// A stretch in which no more than this share of the bits differs is a match.
    pub(crate) match_max: f64,
    /// And up to this share it is unclear.
    pub(crate) unclear_max: f64,
}

/// The most similar stretch that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Best {
    source: usize,
    excerpt: usize,
    /// Bits that differ.
    differing: u32,
}

/// Compares.
pub(crate) fn compare(source: &Prints, excerpt: &Prints, sort: Sort) -> Track {
    let note =
        [&source.note, &excerpt.note].into_iter().flatten().cloned().reduce(|one, other| format!("{one}; {other}"));
    let shorter = source.prints.len().min(excerpt.prints.len());
    let prints_in = |seconds: f64| (seconds * sort.per_second).round() as usize;
    if shorter < prints_in(SHORTEST_S) {
        let why = format!("less than {SHORTEST_S} s can be read");
        return Track::not_compared(note.map_or(why.clone(), |note| format!("{why}: {note}")));
    }
    let stretch = prints_in(STRETCH_S).min(shorter);
    let search = Search::new(&source.prints, &excerpt.prints, stretch, sort);
    let (moving, still) = search.run();
    let share = |best: Best| f64::from(best.differing) / f64::from(stretch as u32 * sort.bits);
    let moving = moving.filter(|best| share(*best) <= sort.match_max);
    let (verdict, best) = match (moving, still) {
        (Some(best), _) if stretch == prints_in(STRETCH_S) => (Verdict::Match, Some(best)),
        (Some(best), _) => (Verdict::Unclear, Some(best)),
        (None, Some(best)) if share(best) <= sort.unclear_max => (Verdict::Unclear, Some(best)),
        (None, best) => (Verdict::Mismatch, best),
    };
    let found = best.map(|best| search.found(best, share(best)));
    Track { verdict, reason: note, found }
}

struct Search<'a> {
    source: &'a [Option<u64>],
    excerpt: &'a [Option<u64>],
    stretch: usize,
    sort: Sort,
    source_changes: Vec<u32>,
    excerpt_changes: Vec<u32>,
}

impl<'a> Search<'a> {
    fn new(source: &'a [Option<u64>], excerpt: &'a [Option<u64>], stretch: usize, sort: Sort) -> Self {
        let (source_changes, excerpt_changes) = (changes(source), changes(excerpt));
        Self { source, excerpt, stretch, sort, source_changes, excerpt_changes }
    }

    fn differing(&self, source: usize, excerpt: usize) -> u32 {
        match (self.source[source], self.excerpt[excerpt]) {
            (Some(one), Some(other)) => (one ^ other).count_ones(),
            _ => self.sort.unrelated,
        }
    }

    /// The most similar stretch in which both sides move, and the most similar one of all.
    fn run(&self) -> (Option<Best>, Option<Best>) {
        let (mut moving, mut any) = (None, None);
        let last_source = self.source.len() - self.stretch;
        let last_excerpt = self.excerpt.len() - self.stretch;
        let starts = (0..=last_source).map(|source| (source, 0)).chain((1..=last_excerpt).map(|excerpt| (0, excerpt)));
        for (source, excerpt) in starts {
            self.shift(source, excerpt, |best| {
                if better(any, best) {
                    any = Some(best);
                }
                if better(moving, best) && self.moves(best) {
                    moving = Some(best);
                }
            });
        }
        (moving, any)
    }

    /// Hands over every stretch of one shift, which begins at these places.
    fn shift(&self, source: usize, excerpt: usize, mut take: impl FnMut(Best)) {
        let overlap = (self.source.len() - source).min(self.excerpt.len() - excerpt);
        let mut differing = 0;
        for at in 0..overlap {
            differing += self.differing(source + at, excerpt + at);
            if at + 1 < self.stretch {
                continue;
            }
            let begin = at + 1 - self.stretch;
            take(Best { source: source + begin, excerpt: excerpt + begin, differing });
            differing -= self.differing(source + begin, excerpt + begin);
        }
    }

    fn moves(&self, best: Best) -> bool {
        let count = |changes: &[u32], from: usize| changes[from + self.stretch - 1] - changes[from];
        let source = count(&self.source_changes, best.source);
        source.min(count(&self.excerpt_changes, best.excerpt)) >= CHANGES_MIN
    }

    /// The whole part around the best stretch that is as alike, and where it is.
    fn found(&self, best: Best, distance: f64) -> Found {
        let back = best.source.min(best.excerpt);
        let allowed = (self.sort.unclear_max * f64::from(self.stretch as u32 * self.sort.bits)) as u32;
        let mut alike = Vec::new();
        self.shift(best.source - back, best.excerpt - back, |it| alike.push(it.differing <= allowed));
        let before = alike[..back].iter().rev().take_while(|alike| **alike).count();
        let after = alike[back + 1..].iter().take_while(|alike| **alike).count();
        let ms = |prints: usize| (prints as f64 * 1000.0 / self.sort.per_second).round() as u64;
        Found {
            source_ms: ms(best.source - before),
            excerpt_ms: ms(best.excerpt - before),
            length_ms: ms(before + self.stretch + after),
            distance: (distance * 1000.0).round() / 1000.0,
        }
    }
}

fn better(than: Option<Best>, best: Best) -> bool {
    than.is_none_or(|than| best.differing < than.differing)
}

/// How often a row has changed up to each print.
fn changes(prints: &[Option<u64>]) -> Vec<u32> {
    let mut count = 0;
    let changed = |at: usize| at > 0 && prints[at] != prints[at - 1];
    (0..prints.len())
        .map(|at| {
            count += u32::from(changed(at));
            count
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SORT: Sort = Sort { per_second: 4.0, bits: 64, unrelated: 24, match_max: 0.1, unclear_max: 0.22 };

    /// Moments that have nothing to do with each other.
    fn moments(seed: u64, count: usize) -> Vec<Option<u64>> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            Some(state)
        };
        (0..count).map(|_| next()).collect()
    }

    fn prints(prints: Vec<Option<u64>>) -> Prints {
        Prints { prints, note: None }
    }

    #[test]
    fn a_part_is_found_in_the_whole_whichever_is_longer() {
        let work = moments(1, 400);
        let excerpt = [moments(2, 60), work[100..200].to_vec(), moments(3, 60)].concat();
        let track = compare(&prints(work.clone()), &prints(excerpt.clone()), SORT);
        let found = track.found.unwrap();
        assert_eq!(track.verdict, Verdict::Match);
        // The edges are vague by what may differ within a stretch.
        assert!(found.source_ms.abs_diff(25_000) <= 5_000 && found.source_ms - found.excerpt_ms == 10_000, "{found:?}");
        assert!(found.length_ms.abs_diff(25_000) <= 10_000 && found.distance == 0.0, "{found:?}");
        assert_eq!(compare(&prints(excerpt), &prints(work), SORT).verdict, Verdict::Match);
    }

    #[test]
    fn what_is_unrelated_short_or_stands_still_is_no_match() {
        let row = moments(1, 200);
        assert_eq!(compare(&prints(row.clone()), &prints(moments(2, 200)), SORT).verdict, Verdict::Mismatch);
        let short = compare(&prints(row.clone()), &prints(row[40..60].to_vec()), SORT);
        assert_eq!(short.verdict, Verdict::Unclear, "five seconds are too few");
        let shorter = compare(&prints(row.clone()), &prints(row[..11].to_vec()), SORT);
        assert_eq!(shorter.reason.as_deref(), Some("less than 3 s can be read"));
        let still = prints(vec![Some(5); 100]);
        assert_eq!(compare(&still, &still, SORT).verdict, Verdict::Unclear);
        let black = prints(vec![None; 100]);
        assert_eq!(compare(&black, &black, SORT).verdict, Verdict::Mismatch);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_part_of_forty_moments_is_found_where_it_is(len in 50usize..120, from in 0usize..10, before in 0usize..50, noise in 0u32..4) {
            let work = moments(7, len);
            let flip = |at: usize| (0..noise).fold(0u64, |mask, bit| mask | 1 << ((at * 7 + bit as usize * 13) % 64));
            let part = work[from..from + 40].iter().enumerate().map(|(at, print)| print.map(|print| print ^ flip(at))).collect();
            let excerpt = [moments(9, before), part].concat();
            let track = compare(&prints(work), &prints(excerpt), SORT);
            let found = track.found.unwrap();
            prop_assert_eq!(track.verdict, Verdict::Match);
            prop_assert_eq!(found.source_ms as i64 - found.excerpt_ms as i64, (from as i64 - before as i64) * 250);
        }

        #[test]
        fn any_two_rows_are_compared(source in proptest::collection::vec(any::<Option<u64>>(), 0..90),
                                     excerpt in proptest::collection::vec(any::<Option<u64>>(), 0..90)) {
            let track = compare(&prints(source.clone()), &prints(excerpt.clone()), SORT);
            prop_assert_eq!(track.verdict == Verdict::NotCompared, source.len().min(excerpt.len()) < 12);
        }
    }
}
