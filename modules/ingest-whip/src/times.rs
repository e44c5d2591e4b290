//! Brings the clocks of two RTP tracks together.
//!
//! A track counts from a number of its own. Until both senders' reports (RFC 3550, section 6.4.1) have said what wall clock their
//! counts stand for, a track begins when its first packet arrives; from then on sound is put where the reports say it belongs
//! beside the pictures.

/// The 32-bit count of a track, unwrapped and in microseconds.
#[derive(Debug)]
pub struct Times {
    /// Counts per second.
    rate: u32,
    /// The latest count, unwrapped.
    latest: Option<i64>,
    /// When count zero was, in microseconds of the session's clock.
    zero_us: i64,
    /// When count zero was on the sender's wall clock, in microseconds.
    wall_zero_us: Option<i64>,
}

impl Times {
    /// For a track that counts so often per second.
    pub fn new(rate: u32) -> Self {
        Self { rate, latest: None, zero_us: 0, wall_zero_us: None }
    }

    /// When a packet with this count was captured, in microseconds of the session's clock. `now_us` is when it arrives; it matters
    /// for the first one only. Never negative.
    pub fn at_us(&mut self, count: u32, now_us: u64) -> u64 {
        let first = self.latest.is_none();
        let count = self.unwrap(count);
        if first {
            self.zero_us = i64::try_from(now_us).unwrap_or(i64::MAX).saturating_sub(self.us(count));
        }
        u64::try_from(self.zero_us.saturating_add(self.us(count))).unwrap_or(0)
    }

    /// The sender says which count its wall clock (NTP, 32.32 bits) stood at.
    pub fn report(&mut self, ntp: u64, count: u32) {
        if self.latest.is_none() {
            return;
        }
        let near = self.near(count);
        let wall_us = (i128::from(ntp) * 1_000_000) >> 32;
        self.wall_zero_us = i64::try_from(wall_us).ok().map(|wall| wall.saturating_sub(self.us(near)));
    }

    /// Follows another track as soon as both have reported: what was captured at once is then at the same time.
    pub fn follow(&mut self, other: &Self) {
        if let (Some(ours), Some(theirs), Some(_)) = (self.wall_zero_us, other.wall_zero_us, other.latest) {
            self.zero_us = other.zero_us.saturating_add(ours.saturating_sub(theirs));
        }
    }

    fn unwrap(&mut self, count: u32) -> i64 {
        let unwrapped = self.near(count);
        self.latest = Some(self.latest.map_or(unwrapped, |latest| latest.max(unwrapped)));
        unwrapped
    }

    /// The count nearest to the latest one.
    fn near(&self, count: u32) -> i64 {
        match self.latest {
            Some(latest) => latest + i64::from(count.wrapping_sub(latest as u32) as i32),
            None => i64::from(count),
        }
    }

    fn us(&self, count: i64) -> i64 {
        i64::try_from(i128::from(count) * 1_000_000 / i128::from(self.rate.max(1))).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_on_across_the_wrap() {
        let mut times = Times::new(90_000);
        assert_eq!(times.at_us(u32::MAX - 89_999, 5_000_000), 5_000_000);
        assert_eq!(times.at_us(0, 0), 6_000_000);
        assert_eq!(times.at_us(90_000, 0), 7_000_000);
    }

    #[test]
    fn sound_that_arrives_late_is_put_where_it_was_captured() {
        let (mut video, mut audio) = (Times::new(90_000), Times::new(48_000));
        let wall = |seconds: u64| seconds << 32;
        assert_eq!(video.at_us(1_000_000, 100_000), 100_000);
        assert_eq!(audio.at_us(7_000, 180_000), 180_000, "80 ms later, though captured at once");
        audio.report(wall(50), 7_000);
        audio.follow(&video);
        assert_eq!(audio.at_us(7_000, 0), 180_000, "the pictures have not reported");
        video.report(wall(50), 1_000_000);
        audio.follow(&video);
        assert_eq!(audio.at_us(7_000, 0), 100_000);
        assert_eq!(audio.at_us(55_000, 0), 1_100_000);
    }

    proptest::proptest! {
        #[test]
        fn no_counts_and_reports_make_it_panic(counts in proptest::collection::vec((0u32.., 0u64.., 0u64..), 0..50)) {
            let (mut one, mut two) = (Times::new(90_000), Times::new(48_000));
            for (count, now, ntp) in counts {
                one.at_us(count, now);
                one.report(ntp, count);
                two.report(now, count);
                two.at_us(count, ntp);
                two.follow(&one);
            }
        }
    }
}
