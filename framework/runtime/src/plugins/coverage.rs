//! What a recording holds, and so what it lacks.

use peerstream_traits::archive::{Manifest, Seq};

/// Gaps that a manifest names, at most; beyond it the two that are closest to each other count as one.
pub const GAPS_MAX: usize = 4_096;

/// Which numbers of a broadcast were produced and which of them are kept. Numbers come in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coverage {
    first: Option<Seq>,
    end: Seq,
    gaps: Vec<(Seq, Seq)>,
    ended: bool,
    resumed: Vec<Seq>,
}

impl Coverage {
    /// Of a recording that holds this and goes on.
    pub(crate) fn of(manifest: Manifest) -> Self {
        let Manifest { first, end, gaps, resumed, .. } = manifest;
        let first = (first < end).then_some(first);
        Self { first, end, gaps, ended: false, resumed }
    }

    /// The broadcast went on with this number after the host had been cut short.
    pub(crate) fn resumed(&mut self, seq: Seq) {
        if self.resumed.len() < GAPS_MAX {
            self.resumed.push(seq);
        }
    }

    pub(crate) fn kept(&mut self, seq: Seq) {
        self.first.get_or_insert(seq);
        self.missing_up_to(seq);
        self.end = self.end.max(seq.next());
    }

    /// A number that was produced and is not kept.
    pub(crate) fn lost(&mut self, seq: Seq) {
        self.first.get_or_insert(seq);
        self.missing_up_to(seq.next());
    }

    /// All that was produced, whether it was offered or not: `first` included and `end` not.
    pub(crate) fn produced(&mut self, first: Seq, end: Seq) {
        let known = *self.first.get_or_insert(first);
        if first < known {
            self.gaps.insert(0, (first, known));
            self.first = Some(first);
        }
        self.missing_up_to(end);
    }

    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    pub(crate) fn manifest(&self) -> Manifest {
        let first = self.first.unwrap_or_default();
        let (gaps, resumed) = (self.gaps.clone(), self.resumed.clone());
        Manifest { first, end: self.end.max(first), gaps, ended: self.ended, resumed }
    }

    /// All before this number that is not known to be kept is missing.
    fn missing_up_to(&mut self, seq: Seq) {
        let end = self.end.max(self.first.unwrap_or_default());
        if seq <= end {
            return;
        }
        match self.gaps.last_mut() {
            Some((_, last)) if *last == end => *last = seq,
            _ => self.gaps.push((end, seq)),
        }
        self.end = seq;
        if self.gaps.len() > GAPS_MAX {
            self.join_closest();
        }
    }

    fn join_closest(&mut self) {
        let between = |pair: &[(Seq, Seq)]| pair[1].0.0 - pair[0].1.0;
        let closest = (0..self.gaps.len() - 1).min_by_key(|index| between(&self.gaps[*index..*index + 2]));
        if let Some(index) = closest {
            self.gaps[index].1 = self.gaps[index + 1].1;
            self.gaps.remove(index + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_not_kept_is_a_gap() {
        let mut coverage = Coverage::default();
        [3, 4, 7].into_iter().for_each(|seq| coverage.kept(Seq(seq)));
        coverage.lost(Seq(8));
        coverage.lost(Seq(9));
        coverage.end();
        let gaps = vec![(Seq(5), Seq(7)), (Seq(8), Seq(10))];
        assert_eq!(coverage.manifest(), Manifest { first: Seq(3), end: Seq(10), gaps, ended: true, resumed: vec![] });
    }

    #[test]
    fn what_was_never_offered_is_missing_at_both_ends() {
        let mut coverage = Coverage::default();
        coverage.kept(Seq(5));
        coverage.produced(Seq(2), Seq(9));
        assert_eq!(coverage.manifest().gaps, [(Seq(2), Seq(5)), (Seq(6), Seq(9))]);
        let mut nothing = Coverage::default();
        nothing.produced(Seq(2), Seq(9));
        assert_eq!(nothing.manifest().gaps, [(Seq(2), Seq(9))]);
    }

    #[test]
    fn a_recording_that_goes_on_keeps_what_it_held_and_names_where_it_was_cut_short() {
        let held =
            Manifest { first: Seq(2), end: Seq(6), gaps: vec![(Seq(3), Seq(4))], ended: false, resumed: vec![Seq(4)] };
        let mut coverage = Coverage::of(held);
        coverage.resumed(Seq(8));
        coverage.kept(Seq(8));
        coverage.produced(Seq(8), Seq(9));
        let gaps = vec![(Seq(3), Seq(4)), (Seq(6), Seq(8))];
        let expected = Manifest { first: Seq(2), end: Seq(9), gaps, ended: false, resumed: vec![Seq(4), Seq(8)] };
        assert_eq!(coverage.manifest(), expected);
        assert_eq!(Coverage::of(Manifest::default()).manifest(), Manifest::default());
    }

    #[test]
    fn the_number_of_gaps_is_bounded_and_none_is_forgotten() {
        let mut coverage = Coverage::default();
        (0..4 * GAPS_MAX as u64).step_by(2).for_each(|seq| coverage.kept(Seq(seq)));
        let gaps = coverage.manifest().gaps;
        assert!(gaps.len() <= GAPS_MAX);
        let missing = |seq: u64| gaps.iter().any(|(from, to)| *from <= Seq(seq) && Seq(seq) < *to);
        assert!((1..4 * GAPS_MAX as u64 - 2).step_by(2).all(missing));
    }

    proptest! {
        #[test]
        fn gaps_are_exactly_what_is_missing(kept in prop::collection::vec(any::<bool>(), 1..200)) {
            let mut coverage = Coverage::default();
            for (seq, kept) in kept.iter().enumerate() {
                let seq = Seq(seq as u64);
                if *kept { coverage.kept(seq) } else { coverage.lost(seq) }
            }
            let manifest = coverage.manifest();
            prop_assert_eq!((manifest.first, manifest.end), (Seq(0), Seq(kept.len() as u64)));
            for (seq, kept) in kept.iter().enumerate() {
                let missing = manifest.gaps.iter().any(|(from, to)| (from.0..to.0).contains(&(seq as u64)));
                prop_assert_eq!(missing, !kept);
            }
        }
    }
}
