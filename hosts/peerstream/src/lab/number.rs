//! Numbers as people read them.

/// Three significant digits, whole numbers in full, thousands split by commas.
pub fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => "-".to_owned(),
        _ if value == 0.0 => "0".to_owned(),
        _ if value.fract() == 0.0 || size >= 999.5 => thousands(value.round()),
        _ if size >= 99.95 => format!("{value:.0}"),
        _ if size >= 9.995 => format!("{value:.1}"),
        _ if size >= 0.9995 => format!("{value:.2}"),
        _ if size >= 0.1 => format!("{value:.3}"),
        _ if size >= 0.01 => format!("{value:.4}"),
        _ if size >= 0.001 => format!("{value:.5}"),
        _ => format!("{value:.1e}"),
    }
}

/// The same, and a dash for what is not known.
pub fn short_or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), short)
}

fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_matter() {
        let cases = [
            (0.0, "0"),
            (12.0, "12"),
            (1_234_567.0, "1,234,567"),
            (1_234.56, "1,235"),
            (-1_234.0, "-1,234"),
            (123.4, "123"),
            (12.345, "12.3"),
            (1.2345, "1.23"),
            (0.12345, "0.123"),
            (0.0012345, "0.00123"),
            (0.000_012_3, "1.2e-5"),
            (f64::NAN, "-"),
        ];
        cases.iter().for_each(|(value, text)| assert_eq!(short(*value), *text));
        assert_eq!(short_or_dash(None), "-");
    }
}
