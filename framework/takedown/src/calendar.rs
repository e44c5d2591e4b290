//! Days, and which of them are business days in the United States. All days are those of UTC.

use core::fmt;

/// Microseconds of a day.
pub const DAY_US: u64 = 24 * 3600 * 1_000_000;

/// A day of the Gregorian calendar, as the number of days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(i64);

/// The days of a week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Date {
    /// The day of a time, in microseconds since 1970.
    pub fn of_us(us: u64) -> Self {
        Self((us / DAY_US) as i64)
    }

    /// A day by year, month and day of the month; none if there is no such day.
    pub fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        if !(1..=12).contains(&month) || !(1..=9999).contains(&year) {
            return None;
        }
        let date = Self::first_of(year, month).plus(i64::from(day) - 1);
        (day >= 1 && date.civil() == (year, month, day)).then_some(date)
    }

    /// Reads `2026-11-29`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut digits = |count: usize| {
            let part = parts.next()?;
            (part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse::<i32>().ok())?
        };
        let (year, month, day) = (digits(4)?, digits(2)?, digits(2)?);
        parts.next().is_none().then(|| Self::new(year, month as u8, day as u8))?
    }

    /// The first microsecond of it since 1970; 0 for days before that.
    pub fn start_us(self) -> u64 {
        self.0.max(0) as u64 * DAY_US
    }

    /// So many days later, or earlier.
    pub fn plus(self, days: i64) -> Self {
        Self(self.0 + days)
    }

    /// Days from another one to this.
    pub fn days_since(self, other: Self) -> i64 {
        self.0 - other.0
    }

    /// Which day of the week.
    pub fn weekday(self) -> Weekday {
        use Weekday::*;
        // The first day of 1970 was a Thursday.
        [Thursday, Friday, Saturday, Sunday, Monday, Tuesday, Wednesday][self.0.rem_euclid(7) as usize]
    }

    /// Year, month, day of the month.
    pub fn civil(self) -> (i32, u8, u8) {
        // Years begin in March here, so that the day that comes and goes is the last one of a year; four hundred of them are an era.
        let days = self.0 + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (year as i32, month as u8, day as u8)
    }

    fn first_of(year: i32, month: u8) -> Self {
        let year = i64::from(year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month_from_march = (i64::from(month) + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Self(era * 146_097 + day_of_era - 719_468)
    }

    /// Whether it is a federal holiday (5 U.S.C. 6103), or the weekday on which one that falls on a weekend is observed.
    pub fn is_federal_holiday(self) -> bool {
        let year = self.civil().0;
        // New Year's Day of the next year may be observed on the last day of this one.
        (year..=year + 1).any(|year| federal_holidays(year).contains(&self))
    }

    /// Neither a weekend nor a federal holiday.
    pub fn is_business_day(self) -> bool {
        !matches!(self.weekday(), Weekday::Saturday | Weekday::Sunday) && !self.is_federal_holiday()
    }

    /// The last of so many business days that follow this day; the day itself does not count.
    pub fn after_business_days(self, count: u32) -> Self {
        let mut day = self;
        for _ in 0..count {
            day = day.plus(1);
            while !day.is_business_day() {
                day = day.plus(1);
            }
        }
        day
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// The days on which the eleven federal holidays of a year are observed. One that falls on a Saturday is observed the day before, one on
/// a Sunday the day after.
pub fn federal_holidays(year: i32) -> Vec<Date> {
    let nth = |month, weekday, n: i64| {
        let first = Date::first_of(year, month);
        let ahead = (weekday as i64 - first.weekday() as i64).rem_euclid(7);
        first.plus(ahead + 7 * (n - 1))
    };
    let last_monday_of_may = {
        let last = Date::first_of(year, 6).plus(-1);
        last.plus(-(last.weekday() as i64))
    };
    let mut days = vec![
        nth(1, Weekday::Monday, 3),
        nth(2, Weekday::Monday, 3),
        last_monday_of_may,
        nth(9, Weekday::Monday, 1),
        nth(10, Weekday::Monday, 2),
        nth(11, Weekday::Thursday, 4),
    ];
    let mut fixed = vec![(1, 1), (7, 4), (11, 11), (12, 25)];
    if year >= 2021 {
        fixed.push((6, 19));
    }
    days.extend(fixed.into_iter().map(|(month, day)| observed(Date::first_of(year, month).plus(day - 1))));
    days.sort();
    days
}

fn observed(day: Date) -> Date {
    match day.weekday() {
        Weekday::Saturday => day.plus(-1),
        Weekday::Sunday => day.plus(1),
        _ => day,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> Date {
        Date::parse(text).unwrap()
    }

    #[test]
    fn holidays_are_those_that_the_office_of_personnel_management_lists() {
        let listed = |year| federal_holidays(year).iter().map(Date::to_string).collect::<Vec<_>>();
        assert_eq!(
            listed(2026),
            [
                "2026-01-01",
                "2026-01-19",
                "2026-02-16",
                "2026-05-25",
                "2026-06-19",
                "2026-07-03",
                "2026-09-07",
                "2026-10-12",
                "2026-11-11",
                "2026-11-26",
                "2026-12-25"
            ]
        );
        assert_eq!(
            listed(2027),
            [
                "2027-01-01",
                "2027-01-18",
                "2027-02-15",
                "2027-05-31",
                "2027-06-18",
                "2027-07-05",
                "2027-09-06",
                "2027-10-11",
                "2027-11-11",
                "2027-11-25",
                "2027-12-24"
            ]
        );
    }

    #[test]
    fn new_years_day_on_a_saturday_is_observed_in_the_year_before() {
        assert!(day("2021-12-31").is_federal_holiday() && !day("2022-01-03").is_federal_holiday());
        assert!(day("2023-01-02").is_federal_holiday() && day("2023-01-02").weekday() == Weekday::Monday);
    }

    #[test]
    fn juneteenth_is_none_before_its_law() {
        assert!(!day("2020-06-19").is_federal_holiday() && day("2023-06-19").is_federal_holiday());
    }

    #[test]
    fn what_is_no_day_is_none() {
        for text in [
            "",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-1-01",
            "2026-01-32",
            "26-01-01",
            "2026-01-01-",
            "+026-01-01",
        ] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
        assert_eq!(day("2024-02-29").plus(1), day("2024-03-01"));
    }

    /// Counts one day after the other, with nothing but the definition.
    fn counted(from: Date, to: Date) -> u32 {
        (1..=to.days_since(from)).filter(|days| from.plus(*days).is_business_day()).count() as u32
    }

    proptest! {
        #[test]
        fn a_date_is_read_as_it_is_written(days in -700_000_i64..2_900_000) {
            let date = Date(days);
            let (year, month, day) = date.civil();
            if (1..=9999).contains(&year) {
                prop_assert_eq!(Date::parse(&date.to_string()), Some(date));
                prop_assert_eq!(Date::new(year, month, day), Some(date));
            }
        }

        #[test]
        fn so_many_business_days_later_is_a_business_day_with_so_many_between(days in 10_000_i64..40_000, count in 1_u32..60) {
            let (from, to) = (Date(days), Date(days).after_business_days(count));
            prop_assert!(to.is_business_day());
            prop_assert_eq!(counted(from, to), count);
        }

        #[test]
        fn ten_to_fourteen_business_days_are_never_less_than_two_weeks_nor_more_than_four(days in 10_000_i64..40_000) {
            let from = Date(days);
            let (first, last) = (from.after_business_days(10), from.after_business_days(14));
            prop_assert!(first < last);
            prop_assert!(first.days_since(from) >= 12 && last.days_since(from) <= 28);
        }

        #[test]
        fn a_year_has_its_holidays_on_weekdays_and_no_two_on_one_day(year in 2021_i32..2400) {
            let days = federal_holidays(year);
            prop_assert_eq!(days.len(), 11);
            prop_assert!(days.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(days.iter().all(|day| !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)));
        }
    }
}
