//! Axes: from values to places, and where the ticks are.

use crate::lab::number::short;

/// Ticks of an axis, about.
const TICKS: f64 = 5.0;

/// One axis of a plot.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it shows, with its unit.
    pub label: String,
    scale: Scale,
    low: f64,
    high: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    Linear,
    Log,
    Steps,
}

impl Axis {
    /// From 0, or from the least value when that is negative, to a round number beyond the largest.
    pub fn from_zero(label: &str, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = bounds(values.chain([0.0]));
        let step = round_step((high - low) / TICKS);
        let top = if high > low { (high / step).ceil() * step } else { 1.0 };
        Self { label: label.to_owned(), scale: Scale::Linear, low: (low / step).floor() * step, high: top }
    }

    /// From the least value to the largest, as they are.
    pub fn spanning(label: &str, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = bounds(values);
        let high = if high > low { high } else { low + 1.0 };
        Self { label: label.to_owned(), scale: Scale::Linear, low, high }
    }

    /// Powers of ten, with 2 and 5 between; values that are not above zero count as the least one that is.
    pub fn log(label: &str, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = bounds(values.filter(|value| *value > 0.0));
        let (low, high) = if low > 0.0 { (log_floor(low), log_ceil(high)) } else { (1.0, 10.0) };
        let high = if high > low { high } else { low * 10.0 };
        Self { label: label.to_owned(), scale: Scale::Log, low, high }
    }

    /// Places 0 to `count - 1`, each in the middle of its share.
    pub fn steps(label: &str, count: usize) -> Self {
        Self { label: label.to_owned(), scale: Scale::Steps, low: -0.5, high: count as f64 - 0.5 }
    }

    /// Where a value is, from 0 to 1; beyond the ends it is at the end.
    pub fn at(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Log => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
            Scale::Linear | Scale::Steps => (value - self.low) / (self.high - self.low),
        };
        share.clamp(0.0, 1.0)
    }

    /// The values to be marked, with their labels.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let values = match self.scale {
            Scale::Linear => multiples(round_step((self.high - self.low) / TICKS), self.low, self.high),
            Scale::Log => log_ticks(self.low, self.high),
            Scale::Steps => multiples((self.high - self.low).div_euclid(16.0) + 1.0, 0.0, self.high),
        };
        values.into_iter().map(|value| (value, tick_label(value))).collect()
    }
}

fn tick_label(value: f64) -> String {
    let text = short(value);
    if text.contains('.') && !text.contains('e') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    let (low, high) = finite.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    if low > high { (0.0, 0.0) } else { (low, high) }
}

/// 1, 2 or 5 times a power of ten, at least this.
fn round_step(rough: f64) -> f64 {
    if rough <= 0.0 || !rough.is_finite() {
        return 0.2;
    }
    log_ceil(rough)
}

fn log_ceil(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let digit = [1.0, 2.0, 5.0].into_iter().find(|digit| digit * power >= value * (1.0 - 1e-9));
    digit.unwrap_or(10.0) * power
}

fn log_floor(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let digit = [5.0, 2.0].into_iter().find(|digit| digit * power <= value * (1.0 + 1e-9));
    digit.unwrap_or(1.0) * power
}

fn multiples(step: f64, low: f64, high: f64) -> Vec<f64> {
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|count| round_off(count as f64 * step, step)).collect()
}

/// Takes away what floating point adds to a multiple of a step.
fn round_off(value: f64, step: f64) -> f64 {
    let digits = (-step.log10().floor()).max(0.0) as i32 + 1;
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

fn log_ticks(low: f64, high: f64) -> Vec<f64> {
    let all = log_steps(low, high, &[1.0, 2.0, 5.0]);
    if all.len() as f64 <= 2.0 * TICKS { all } else { log_steps(low, high, &[1.0]) }
}

fn log_steps(low: f64, high: f64, digits: &[f64]) -> Vec<f64> {
    let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let values = powers.flat_map(|power| digits.iter().map(move |digit| digit * 10_f64.powi(power)));
    values.filter(|value| *value >= low * (1.0 - 1e-9) && *value <= high * (1.0 + 1e-9)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_numbers_that_cover_the_values() {
        let axis = Axis::from_zero("lag, ms", [130.0, 471.0].into_iter());
        assert_eq!(labels(&axis), ["0", "100", "200", "300", "400", "500"]);
        assert_eq!((axis.at(0.0), axis.at(500.0), axis.at(9_999.0)), (0.0, 1.0, 1.0));
        assert_eq!(labels(&Axis::from_zero("", [0.034].into_iter())), ["0", "0.01", "0.02", "0.03", "0.04"]);
    }

    #[test]
    fn nothing_but_zeros_still_makes_an_axis() {
        for axis in [
            Axis::from_zero("", [0.0].into_iter()),
            Axis::from_zero("", [].into_iter()),
            Axis::log("", [0.0].into_iter()),
        ] {
            assert!(axis.ticks().len() >= 2 && axis.at(0.0) == 0.0, "{axis:?}");
        }
        assert!(Axis::spanning("", [f64::NAN].into_iter()).at(0.5).is_finite());
    }

    #[test]
    fn powers_of_ten_are_equally_far_apart() {
        let axis = Axis::log("ms", [13.0, 990.0].into_iter());
        assert_eq!(labels(&axis), ["10", "20", "50", "100", "200", "500", "1,000"]);
        assert!((axis.at(100.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn steps_are_in_the_middle_of_their_shares() {
        let axis = Axis::steps("level", 4);
        assert_eq!((axis.at(0.0), axis.at(3.0)), (0.125, 0.875));
        assert_eq!(labels(&axis), ["0", "1", "2", "3"]);
    }
}
