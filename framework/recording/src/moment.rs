//! A time for people.

use std::fmt;

/// A wall clock's microseconds since 1970, written as `2026-11-29 17:05:03.250 UTC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ms, s) = (self.0 / 1_000 % 1_000, self.0 / 1_000_000);
        let (year, month, day) = date(s / 86_400);
        let (h, m, s) = (s / 3_600 % 24, s / 60 % 60, s % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {h:02}:{m:02}:{s:02}.{ms:03} UTC")
    }
}

/// The date so many days after the first of January 1970. Counts in eras of 400 years that begin with March, so that leap days come last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_as_the_calendar_says() {
        let shown = |s: u64| Moment(s * 1_000_000).to_string();
        assert_eq!(shown(0), "1970-01-01 00:00:00.000 UTC");
        assert_eq!(shown(951_782_400), "2000-02-29 00:00:00.000 UTC");
        assert_eq!(shown(1_798_761_599), "2026-12-31 23:59:59.000 UTC");
        assert_eq!(Moment(1_709_251_200_250_000).to_string(), "2024-03-01 00:00:00.250 UTC");
        // Whatever a header says can be shown.
        let _ = Moment(u64::MAX).to_string();
    }
}
