//! Tables for terminals.

use super::document::{Document, Series};
use super::figures::{self, Better, Figure, GROUPS, Summary};
use super::number::{short, short_or_dash};

/// More series than this get a row each instead of a column.
const COLUMNS_MAX: usize = 4;
const LABEL_WIDTH: usize = 36;
const CELL_WIDTH: usize = 12;

/// The table of what a command found.
pub fn render(document: &Document) -> String {
    let body = match document.series.as_slice() {
        [only] => by_figure(std::slice::from_ref(only)),
        some if some.len() <= COLUMNS_MAX && one_scenario(some) => by_figure(some),
        many => by_series(many),
    };
    format!("{}\n{body}\n{}", heading(document), ending(document))
}

/// Whether all series run the same scenario, so that their figures can be set against each other.
pub fn one_scenario(series: &[Series]) -> bool {
    series.iter().all(|one| one.first().scenario == series[0].first().scenario)
}

/// The median of a series over that of the first one; none when there is no sense in it.
pub fn ratio(figure: &Figure, first: &Summary, this: &Summary) -> Option<f64> {
    let (base, value) = (first.median?, this.median?);
    (figure.better != Better::Neither && base != 0.0).then_some(value / base)
}

fn heading(document: &Document) -> String {
    let lines = document.series.iter().map(|series| {
        let (label, strategy, scenario) = (&series.label, &series.strategy, &series.first().scenario.name);
        format!("{label}: scenario {scenario}, strategy {strategy}, {}\n", series.scale())
    });
    lines.collect()
}

fn ending(document: &Document) -> String {
    let seeds = document.seeds();
    let shown = match seeds.as_slice() {
        [only] => format!("seed {only}"),
        [first, .., last] => format!("{} seeds, {first} to {last}; median and worst over the seeds", seeds.len()),
        [] => String::new(),
    };
    format!("{shown}\nagain with: {}\n", document.command)
}

/// One row per figure, one or more columns per series.
fn by_figure(series: &[Series]) -> String {
    let mut text = String::new();
    if series.len() > 1 {
        let titles = series.iter().enumerate().map(|(index, one)| {
            let width = if index == 0 { 2 * CELL_WIDTH } else { 3 * CELL_WIDTH };
            format!("{:>width$}", fitted(&one.label, width - 1))
        });
        push_line(&mut text, "", titles.collect());
    }
    let titles = series.iter().enumerate().flat_map(|(index, _)| {
        let ratio = (index > 0).then(|| cell("ratio"));
        [cell("median"), cell("worst")].into_iter().chain(ratio)
    });
    push_line(&mut text, "", titles.collect());
    for group in GROUPS {
        let known = group.figures.iter().filter(|figure| series.iter().any(|one| one.summary(figure).median.is_some()));
        let rows: Vec<_> = known.map(|figure| (label(figure), cells(figure, series))).collect();
        if !rows.is_empty() {
            push_line(&mut text, group.title, String::new());
        }
        rows.into_iter().for_each(|(label, cells)| push_line(&mut text, &format!("  {label}"), cells));
    }
    text
}

fn cells(figure: &Figure, series: &[Series]) -> String {
    let first = series[0].summary(figure);
    let cells = series.iter().enumerate().flat_map(|(index, one)| {
        let summary = one.summary(figure);
        let ratio = (index > 0).then(|| cell(&ratio(figure, first, summary).map_or_else(String::new, short)));
        let worst = summary.worst.map_or_else(String::new, short);
        [cell(&short_or_dash(summary.median)), cell(&worst)].into_iter().chain(ratio)
    });
    cells.collect()
}

/// One row per series, the most telling figures as columns; the worst seed below the median.
fn by_series(series: &[Series]) -> String {
    let headlines: Vec<_> = figures::HEADLINES.iter().map(|key| figures::figure(key)).collect();
    let mut text = String::new();
    let titles = |of: fn(&Figure) -> &str| headlines.iter().map(|figure| cell(of(figure))).collect::<String>();
    push_line(&mut text, "", titles(|figure| figure.key));
    push_line(&mut text, "", titles(|figure| figure.unit));
    for one in series {
        let row = |of: fn(&Summary) -> Option<f64>| {
            headlines.iter().map(|figure| cell(&short_or_dash(of(one.summary(figure))))).collect::<String>()
        };
        push_line(&mut text, &one.label, row(|summary| summary.median));
        if one.reports.len() > 1 {
            push_line(&mut text, "  worst", row(|summary| summary.worst));
        }
    }
    text.push('\n');
    for figure in headlines {
        let unit = if figure.unit.is_empty() { String::new() } else { format!(", {}", figure.unit) };
        text.push_str(&format!("{}: {}{unit}\n", figure.key, figure.label));
    }
    text
}

fn label(figure: &Figure) -> String {
    if figure.unit.is_empty() { figure.label.to_owned() } else { format!("{}, {}", figure.label, figure.unit) }
}

/// A cell, set to the right; titles that are too long lose their end.
fn cell(text: &str) -> String {
    format!("{:>CELL_WIDTH$}", fitted(text, CELL_WIDTH - 1))
}

fn fitted(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

fn push_line(text: &mut String, label: &str, cells: String) {
    let line = format!("{label:<LABEL_WIDTH$}{cells}");
    text.push_str(line.trim_end());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::sample;

    fn cells<'a>(table: &'a str, label: &str) -> Vec<&'a str> {
        let line = table.lines().find(|line| line.trim_start().starts_with(label));
        line.unwrap_or_else(|| panic!("no `{label}` in\n{table}"))[LABEL_WIDTH..].split_whitespace().collect()
    }

    #[test]
    fn a_run_shows_median_worst_scale_seeds_and_the_command() {
        let table = render(&sample::document(1, 3));
        assert_eq!(cells(&table, "lag p50, ms"), ["120", "130"], "{table}");
        ["1,000 viewers x 5 min", "3 seeds, 1 to 3", "again with: peerstream lab run live", "strategy dumbbell"]
            .iter()
            .for_each(|words| assert!(table.contains(words), "no `{words}` in\n{table}"));
        assert!(table.lines().all(|line| line == line.trim_end()), "no blanks at the ends");
    }

    #[test]
    fn a_comparison_shows_the_ratio_of_medians() {
        let table = render(&sample::document(2, 3));
        assert_eq!(cells(&table, "lag p50, ms"), ["120", "130", "240", "260", "2"], "{table}");
    }

    #[test]
    fn many_series_get_a_row_each() {
        let table = render(&sample::document(6, 2));
        let rows = table.lines().filter(|line| line.starts_with("series ") && !line.contains(':')).count();
        assert_eq!(rows, 6, "{table}");
        assert!(table.contains("lag_p50") && table.contains("lag_p50: lag p50, ms"), "{table}");
    }
}
