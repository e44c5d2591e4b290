//! The text format of Prometheus, version 0.0.4.

use std::collections::HashMap;
use std::fmt::Write as _;

use peerstream_sdk::traits::telemetry::{Figure, FigureKind};

/// What an answer with such a text says of itself.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const PREFIX: &str = "peerstream_";

/// Figures as a page. Those of one name stand together, in the order in which the names come first.
pub fn text<'a>(figures: impl IntoIterator<Item = &'a Figure>) -> String {
    let mut families: Vec<(String, Vec<&Figure>)> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for figure in figures {
        let name = name(figure);
        let index = *known.entry(name.clone()).or_insert_with(|| {
            families.push((name, Vec::new()));
            families.len() - 1
        });
        families[index].1.push(figure);
    }
    let mut page = String::new();
    families.iter().for_each(|(name, figures)| family(&mut page, name, figures));
    page
}

fn family(page: &mut String, name: &str, figures: &[&Figure]) {
    let help = figures[0].help.replace('\\', "\\\\").replace('\n', "\\n");
    let kind = match figures[0].kind {
        FigureKind::Counter => "counter",
        FigureKind::Gauge => "gauge",
    };
    write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n").expect("strings take text");
    for figure in figures {
        writeln!(page, "{name}{} {}", labels(figure), value(figure.value)).expect("strings take text");
    }
}

fn name(figure: &Figure) -> String {
    let total = if figure.kind == FigureKind::Counter && !figure.name.ends_with("_total") { "_total" } else { "" };
    format!("{PREFIX}{}{total}", word(&figure.name))
}

/// What may stand in a name.
fn word(text: &str) -> String {
    text.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect()
}

fn labels(figure: &Figure) -> String {
    if figure.labels.is_empty() {
        return String::new();
    }
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs = figure.labels.iter().map(|(label, value)| format!("{}=\"{}\"", label_name(label), escape(value)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

fn label_name(label: &str) -> String {
    let word = word(label);
    if word.starts_with(|char: char| char.is_ascii_digit()) || word.is_empty() { format!("_{word}") } else { word }
}

fn value(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".into() } else { "-Inf".into() }
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(name: &str, kind: FigureKind, value: f64, labels: &[(&str, &str)]) -> Figure {
        let labels = labels.iter().map(|(label, value)| ((*label).into(), (*value).into())).collect();
        Figure { name: name.into(), help: "some \\ help\nin lines".into(), kind, value, labels }
    }

    #[test]
    fn figures_of_one_name_stand_together_under_one_help() {
        let all = [
            figure("state", FigureKind::Gauge, 1.0, &[("name", "a")]),
            figure("joins", FigureKind::Counter, 12_345_678_901.0, &[]),
            figure("state", FigureKind::Gauge, 0.5, &[("name", "b")]),
        ];
        let expected = "# HELP peerstream_state some \\\\ help\\nin lines\n# TYPE peerstream_state gauge\n\
            peerstream_state{name=\"a\"} 1\npeerstream_state{name=\"b\"} 0.5\n\
            # HELP peerstream_joins_total some \\\\ help\\nin lines\n# TYPE peerstream_joins_total counter\n\
            peerstream_joins_total 12345678901\n";
        assert_eq!(text(&all), expected);
    }

    #[test]
    fn names_and_labels_cannot_break_out_of_their_line() {
        let page = text([&figure("a-b c", FigureKind::Gauge, f64::INFINITY, &[("1x\n", "say \"hi\"\\\n")])]);
        assert!(page.ends_with("peerstream_a_b_c{_1x_=\"say \\\"hi\\\"\\\\\\n\"} +Inf\n"), "{page}");
        assert_eq!(page.lines().count(), 3);
    }
}
