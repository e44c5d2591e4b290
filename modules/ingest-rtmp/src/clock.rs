//! RTMP's times, which begin again after 49 days.

/// Counts on where the other side's clock of 32 bit begins again. Times may go back a little, for sound and pictures take turns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    last: Option<u64>,
}

impl Clock {
    /// The time that the other side means, in milliseconds since its clock began.
    pub fn read(&mut self, time_ms: u32) -> u64 {
        let time = match self.last {
            None => time_ms.into(),
            Some(last) => {
                // The nearest of all times that look like this one.
                let step = time_ms.wrapping_sub(last as u32) as i32;
                last.checked_add_signed(step.into()).unwrap_or_else(|| time_ms.into())
            }
        };
        self.last = Some(time);
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_on_where_32_bits_begin_again() {
        let mut clock = Clock::default();
        let start = u32::MAX - 50;
        assert_eq!(clock.read(start), u64::from(start));
        assert_eq!(clock.read(9), (1 << 32) + 9);
        assert_eq!(clock.read(u32::MAX), (1 << 32) - 1, "sound that is a little behind");
        assert_eq!(clock.read(40), (1 << 32) + 40);
        for day in 0..200u64 {
            let time = (1 << 32) + 40 + day * 86_400_000;
            assert_eq!(clock.read(time as u32), time, "day {day}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_goes_back() {
        let mut clock = Clock::default();
        assert_eq!([5_000, 0, 40].map(|time| clock.read(time)), [5_000, 0, 40]);
        let mut clock = Clock::default();
        clock.read(0);
        assert_eq!(clock.read(u32::MAX), u64::from(u32::MAX), "never below zero");
    }
}
