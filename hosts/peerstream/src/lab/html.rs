//! A page about what a command found: one file that needs nothing else, for screens, dark ones too, and for paper.
//!
//! The markup is well-formed XML as well, so that other programs can take it apart.

mod axis;
mod charts;
mod plot;
mod style;
mod svg;
mod tree;

use super::document::{Document, Series};
use super::figures::{self, Better, Figure, GROUPS};
use super::number::{short, short_or_dash};
use super::table::{one_scenario, ratio};
use style::STYLES;
use svg::escape;

/// Trees that are drawn at most.
const TREES_MAX: usize = 4;

/// The page.
pub fn page(document: &Document) -> String {
    let title = escape(&title(document));
    [
        "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n",
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>",
        &title,
        "</title>\n<style>\n",
        include_str!("html/page.css"),
        "</style>\n</head>\n<body>\n<h1>",
        &title,
        "</h1>\n",
        &header(document),
        &broken(document),
        "<h2>Figures</h2>\n<div class=\"scroll\">\n",
        &table(&document.series),
        "</div>\n<h2>Plots</h2>\n",
        &about_plots(document),
        "<div class=\"plots\">\n",
        &charts::all(document),
        &trees(document),
        "</div>\n<h2>Scenarios</h2>\n",
        &scenarios(document),
        "<footer>The figures are defined in docs/lab.md of the source code.</footer>\n</body>\n</html>\n",
    ]
    .concat()
}

fn title(document: &Document) -> String {
    let labels: Vec<_> = document.series.iter().map(|series| series.label.as_str()).collect();
    match labels.as_slice() {
        [only] => format!("{only}: a simulated broadcast"),
        some if some.len() <= 3 => format!("{} compared", some.join(", ")),
        some => format!("{} simulated broadcasts", some.len()),
    }
}

fn header(document: &Document) -> String {
    let mut rows = String::new();
    let mut row = |name: &str, value: &str| rows.push_str(&format!("<dt>{name}</dt><dd>{value}</dd>\n"));
    let joined = |of: fn(&Series) -> String| {
        let mut all: Vec<_> = document.series.iter().map(of).collect();
        all.dedup();
        escape(&all.join("; "))
    };
    row("Scenario", &joined(|series| series.first().scenario.name.clone()));
    row("Strategy", &joined(|series| series.strategy.clone()));
    row("Scale", &joined(|series| series.scale().replace(" x ", " × ")));
    let seeds: Vec<_> = document.seeds().iter().map(u64::to_string).collect();
    row("Seeds", &seeds.join(", "));
    row("Command", &format!("<code>{}</code>", escape(&document.command)));
    row("Version", &format!("peerstream {}", escape(&document.version)));
    format!("<dl>\n{rows}</dl>\n")
}

fn broken(document: &Document) -> String {
    let lines = document.broken();
    if lines.is_empty() {
        let looked: std::collections::BTreeSet<_> = document
            .reports()
            .flat_map(|(_, report)| &report.checks)
            .filter(|check| check.looked > 0)
            .map(|it| &it.name)
            .collect();
        let names: Vec<_> = looked.iter().map(|name| name.as_str()).collect();
        return format!("<p>All properties that were looked at hold: {}.</p>\n", escape(&names.join(", ")));
    }
    let items: String = lines.iter().map(|line| format!("<li>{}</li>\n", escape(line))).collect();
    format!("<h2 class=\"alarm\">Properties that do not hold</h2>\n<ul class=\"alarm\">\n{items}</ul>\n")
}

/// Figures as rows and series as columns, or the other way round when there are many series.
fn table(series: &[Series]) -> String {
    if series.len() > STYLES || !one_scenario(series) { by_series(series) } else { by_figure(series) }
}

fn by_figure(series: &[Series]) -> String {
    let mut head = String::from("<th></th>");
    let mut second = String::from("<th></th>");
    for (index, one) in series.iter().enumerate() {
        let span = if index == 0 { 2 } else { 3 };
        head.push_str(&format!("<th colspan=\"{span}\" class=\"start\">{}</th>", escape(&one.label)));
        second.push_str("<th class=\"start\">median</th><th class=\"minor\">worst</th>");
        if index > 0 {
            second.push_str("<th class=\"minor\">ratio</th>");
        }
    }
    let titles = if series.len() > 1 { format!("<tr>{head}</tr>\n") } else { String::new() };
    let groups = GROUPS.iter().map(|group| {
        let known = group.figures.iter().filter(|figure| series.iter().any(|one| one.summary(figure).median.is_some()));
        let rows: String = known.map(|figure| figure_row(figure, series)).collect();
        let width = 3 * series.len();
        let title = format!("<tr class=\"group\"><th colspan=\"{width}\">{}</th></tr>\n", group.title);
        if rows.is_empty() { rows } else { title + &rows }
    });
    let rows: String = groups.collect();
    format!("<table>\n<thead>\n{titles}<tr>{second}</tr>\n</thead>\n<tbody>\n{rows}</tbody>\n</table>\n")
}

fn figure_row(figure: &Figure, series: &[Series]) -> String {
    let first = series[0].summary(figure);
    let cells = series.iter().enumerate().map(|(index, one)| {
        let summary = one.summary(figure);
        let median = short_or_dash(summary.median);
        let worst = summary.worst.map_or_else(String::new, short);
        let cells = format!("<td class=\"start\">{median}</td><td class=\"worst\">{worst}</td>");
        let ratio = ratio(figure, first, summary).map_or_else(String::new, |ratio| format!("× {}", short(ratio)));
        if index == 0 { cells } else { format!("{cells}<td class=\"ratio\">{ratio}</td>") }
    });
    format!("<tr><th>{}</th>{}</tr>\n", label(figure), cells.collect::<String>())
}

fn by_series(series: &[Series]) -> String {
    let headlines: Vec<_> = figures::HEADLINES.iter().map(|key| figures::figure(key)).collect();
    let head: String =
        headlines.iter().map(|figure| format!("<th>{}</th>", label(figure).replace(", ", ",<br/>"))).collect();
    let row = |one: &Series| {
        let cells = headlines.iter().map(|figure| {
            let summary = one.summary(figure);
            let worst = summary.worst.filter(|_| one.reports.len() > 1 && figure.better != Better::Neither);
            let worst = worst.map_or_else(String::new, |worst| format!("<br/><small>{}</small>", short(worst)));
            format!("<td>{}{worst}</td>", short_or_dash(summary.median))
        });
        format!("<tr><th>{}</th>{}</tr>\n", escape(&one.label), cells.collect::<String>())
    };
    let rows: String = series.iter().map(row).collect();
    let note = "<p class=\"about\">Median over the seeds, below it the worst seed; all figures are in the JSON document.</p>\n";
    format!("<table>\n<thead>\n<tr><th></th>{head}</tr>\n</thead>\n<tbody>\n{rows}</tbody>\n</table>\n{note}")
}

fn label(figure: &Figure) -> String {
    if figure.unit.is_empty() { figure.label.to_owned() } else { format!("{}, {}", figure.label, figure.unit) }
}

fn about_plots(document: &Document) -> String {
    let mut words = Vec::new();
    if document.seeds().len() > 1 {
        words.push("Lines are medians over the seeds, areas reach from the least to the largest seed.".to_owned());
    }
    if document.series.len() > STYLES {
        words.push(format!("Only the first {STYLES} of {} series are drawn.", document.series.len()));
    }
    if words.is_empty() { String::new() } else { format!("<p class=\"about\">{}</p>\n", words.join(" ")) }
}

fn trees(document: &Document) -> String {
    document.series.iter().take(TREES_MAX).map(|series| tree::figure(&series.label, series.first())).collect()
}

fn scenarios(document: &Document) -> String {
    let mut shown: Vec<String> = Vec::new();
    for series in &document.series {
        let text = series.first().scenario.to_toml();
        if !shown.contains(&text) {
            shown.push(text);
        }
    }
    let one = |text: &String| {
        format!("<details><summary>{}</summary>\n<pre>{}</pre>\n</details>\n", name(text), escape(text))
    };
    shown.iter().map(one).collect()
}

fn name(text: &str) -> String {
    escape(text.lines().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::sample;

    #[track_caller]
    fn check_well_formed(page: &str) {
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let tree = roxmltree::Document::parse_with_options(page, options).unwrap_or_else(|error| panic!("{error}"));
        for node in tree.descendants().filter(roxmltree::Node::is_element) {
            let outside = node.attributes().find(|it| ["src", "href"].contains(&it.name()));
            assert!(outside.is_none() && node.tag_name().name() != "script", "{node:?}");
            for attribute in node.attributes() {
                assert!(!attribute.value().contains("NaN") && !attribute.value().contains("inf"), "{node:?}");
            }
        }
    }

    #[test]
    fn pages_are_well_formed_and_need_nothing_else() {
        for (series, seeds) in [(1, 1), (2, 3), (9, 2)] {
            check_well_formed(&page(&sample::document(series, seeds)));
        }
    }

    #[test]
    fn what_a_file_says_cannot_become_markup() {
        let mut document = sample::document(2, 1);
        document.series[0].label = "<script>&".to_owned();
        document.command = "peerstream lab run '<b>'".to_owned();
        document.series[1].reports[0].scenario.name = "]]><x>".to_owned();
        check_well_formed(&page(&document));
    }

    #[test]
    fn a_run_in_which_nothing_happened_still_makes_a_page() {
        let mut document = sample::document(1, 1);
        let report = &mut document.series[0].reports[0];
        (report.series, report.levels, report.snapshot) = (Vec::new(), Vec::new(), Vec::new());
        (report.uplinks.copies_tenths, report.recoveries) = (Vec::new(), Vec::new());
        (report.startup_ms, report.lag_ms.p50) = (Default::default(), f64::NAN);
        check_well_formed(&page(&document));
    }

    #[test]
    fn a_property_that_does_not_hold_comes_first() {
        let mut document = sample::document(1, 1);
        document.series[0].reports[0].checks[0].violations = 3;
        let page = page(&document);
        assert!(page.find("P1 does not hold").unwrap() < page.find("<h2>Figures").unwrap());
    }

    #[test]
    fn a_sweep_over_numbers_is_plotted_against_them() {
        let mut document = sample::document(3, 2);
        for (series, loss) in document.series.iter_mut().zip(["0", "0.01", "0.02"]) {
            series.label = format!("network.loss={loss}");
        }
        let page = page(&document);
        assert!(page.contains(">network.loss</text>"));
        check_well_formed(&page);
    }
}
