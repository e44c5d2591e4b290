//! Which plots a page has.

use peerstream_lab::Report;
use peerstream_lab::report::{Quantiles, Recovery, Sample};
use peerstream_lab::scenario::Fault;

use super::axis::Axis;
use super::plot::Plot;
use super::style::{STYLES, Style};
use crate::lab::document::{Document, Series};
use crate::lab::figures::{self, Figure, median};
use crate::lab::table::one_scenario;

/// The plots of a document; of its first [`STYLES`] series when there are more.
pub fn all(document: &Document) -> String {
    let series = &document.series[..document.series.len().min(STYLES)];
    let charts = Charts { series };
    [
        sweep(&document.series).unwrap_or_default(),
        charts.lag_by_level(),
        charts.distribution("Start-up: from opening the page to the first segment", "time, ms", |report| {
            Some(report.startup_ms)
        }),
        charts.distribution("Survivors: from many vanishing to being fed again", "time, ms", |report| {
            report.recoveries.iter().map(|it: &Recovery| it.fed_again_ms).max_by(|a, b| a.p95.total_cmp(&b.p95))
        }),
        charts.over_time("Viewing time lost", "share of viewing time, %", |it| 100.0 * it.lost_share),
        charts.over_time("Lag over time, p50", "lag, ms", |it| f64::from(it.lag_p50_ms)),
        charts.over_time("Lag over time, p95", "lag, ms", |it| f64::from(it.lag_p95_ms)),
        charts.over_time("Viewers that play", "viewers", |it| f64::from(it.playing)),
        charts.over_time("Level at which viewers are fed", "mean level (0: roots)", |it| f64::from(it.level_mean)),
        charts.over_time("Moves", "moves per second", |it| f64::from(it.moves)),
        charts.over_time("Control traffic", "bytes per viewer and second", |it| f64::from(it.control_bytes)),
        charts.over_time("Copies sent by the source", "copies of the stream", |it| f64::from(it.source_copies)),
        charts.uplink_use(),
    ]
    .concat()
}

struct Charts<'a> {
    series: &'a [Series],
}

impl Charts<'_> {
    fn legend(&self) -> Vec<(Style, &str)> {
        self.series.iter().enumerate().map(|(index, series)| (Style(index), series.label.as_str())).collect()
    }

    fn styled(&self) -> impl Iterator<Item = (Style, &Series)> {
        self.series.iter().enumerate().map(|(index, series)| (Style(index), series))
    }

    /// The median over the seeds as a line, the least and the most as an area behind it.
    fn over_time(&self, title: &str, label: &str, of: fn(&Sample) -> f64) -> String {
        let all: Vec<_> = self.styled().map(|(style, series)| (style, moments(series, of))).collect();
        let values = || all.iter().flat_map(|(_, moments)| moments);
        if values().next().is_none() {
            return String::new();
        }
        let x = Axis::spanning("time since the warm-up, min", values().map(|moment| moment.at));
        let y = Axis::from_zero(label, values().map(|moment| moment.high));
        let mut plot = Plot::new(title, x, y, &self.legend());
        for (style, moments) in &all {
            if self.series.iter().any(|series| series.reports.len() > 1) {
                plot.band(*style, &moments.iter().map(|it| [it.at, it.low, it.high]).collect::<Vec<_>>());
            }
            plot.line(*style, &moments.iter().map(|it| [it.at, it.median]).collect::<Vec<_>>());
        }
        if one_scenario(self.series) {
            let faults = &self.series[0].first().scenario.faults;
            faults.iter().for_each(|fault| plot.moment(fault.at_s() / 60.0, fault_name(fault)));
        }
        plot.figure()
    }

    fn lag_by_level(&self) -> String {
        let levels: Vec<_> = self.styled().map(|(style, series)| (style, levels(series))).collect();
        let deepest = levels.iter().map(|(_, levels)| levels.len()).max().unwrap_or_default();
        if deepest == 0 {
            return String::new();
        }
        let x = Axis::steps("level (0: roots)", deepest);
        let y = Axis::from_zero("lag, ms", levels.iter().flat_map(|(_, levels)| levels).map(|[.., p99]| *p99));
        let title = "Lag by level (marker p50, box to p95, whisker to p99)";
        let mut plot = Plot::new(title, x, y, &self.legend());
        for (lane, (style, levels)) in levels.iter().enumerate() {
            for (level, quantiles) in levels.iter().enumerate().filter(|(_, [p50, ..])| *p50 > 0.0) {
                plot.quantile_box(*style, level as f64, [lane, self.series.len()], *quantiles);
            }
        }
        plot.figure()
    }

    /// The upper half of a distribution, as far as its quantiles are known.
    fn distribution(&self, title: &str, label: &str, of: impl Fn(&Report) -> Option<Quantiles>) -> String {
        let of = |series: &Series| quantiles(series.reports.iter().filter_map(&of));
        let all: Vec<_> = self.styled().filter_map(|(style, series)| Some((style, of(series)?))).collect();
        if all.is_empty() {
            return String::new();
        }
        let names = ["50 %", "95 %", "99 %", "all"].map(str::to_owned).to_vec();
        let x = Axis::steps("share of viewers that waited no longer", names.len());
        let y = Axis::log(label, all.iter().flat_map(|(_, values)| *values));
        let mut plot = Plot::new(title, x, y, &self.legend()).x_labels(names);
        for (style, values) in &all {
            plot.line(*style, &values.iter().enumerate().map(|(at, value)| [at as f64, *value]).collect::<Vec<_>>());
        }
        plot.figure()
    }

    fn uplink_use(&self) -> String {
        let all: Vec<_> = self.styled().map(|(style, series)| (style, copies(series))).collect();
        let points = || all.iter().flat_map(|(_, points)| points);
        if points().next().is_none() {
            return String::new();
        }
        let x =
            Axis::from_zero("copies of the stream sent by a viewer that relays", points().map(|[copies, _]| *copies));
        let y = Axis::from_zero("share of the time, %", points().map(|[_, share]| *share));
        let mut plot = Plot::new("What viewers send", x, y, &self.legend());
        all.iter().for_each(|(style, points)| plot.line(*style, points));
        plot.figure()
    }
}

/// How figures follow a number that was swept; none when the series are not `key=number` of one key.
fn sweep(series: &[Series]) -> Option<String> {
    let split: Option<Vec<_>> = series.iter().map(|one| one.label.rsplit_once('=')).collect();
    let split = split.filter(|split| split.len() > 1 && split.iter().all(|(key, _)| *key == split[0].0))?;
    let values: Option<Vec<f64>> = split.iter().map(|(_, value)| value.parse().ok()).collect();
    let (key, values) = (split[0].0, values?);
    let charts = ["lost", "lag_p95", "startup_p95", "moves_per_departure"].map(figures::figure);
    Some(charts.iter().map(|figure| swept(figure, key, &values, series)).collect())
}

fn swept(figure: &Figure, key: &str, values: &[f64], series: &[Series]) -> String {
    let summaries = values.iter().zip(series).map(|(value, one)| (*value, one.summary(figure)));
    let mut points: Vec<_> =
        summaries.filter_map(|(value, summary)| Some([value, summary.median?, summary.worst?])).collect();
    points.sort_by(|a, b| a[0].total_cmp(&b[0]));
    if points.is_empty() {
        return String::new();
    }
    let unit = if figure.unit.is_empty() { String::new() } else { format!(", {}", figure.unit) };
    let x = Axis::spanning(key, values.iter().copied());
    let y = Axis::from_zero(
        &format!("{}{unit}", figure.label),
        points.iter().flat_map(|[_, median, worst]| [*median, *worst]),
    );
    let mut plot = Plot::new(&format!("{} (area: to the worst seed)", figure.label), x, y, &[]);
    plot.band(Style(0), &points);
    plot.line(Style(0), &points.iter().map(|[value, median, _]| [*value, *median]).collect::<Vec<_>>());
    plot.figure()
}

/// One moment over the seeds.
struct Moment {
    /// Minutes from the end of the warm-up.
    at: f64,
    low: f64,
    median: f64,
    high: f64,
}

fn moments(series: &Series, of: fn(&Sample) -> f64) -> Vec<Moment> {
    let longest = series.reports.iter().map(|report| &report.series).max_by_key(|samples| samples.len());
    let moment = |(index, sample): (usize, &Sample)| {
        let mut values: Vec<_> = series.reports.iter().filter_map(|report| report.series.get(index)).map(of).collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        Some(Moment { at: sample.at_s / 60.0, low, median: median(&values)?, high })
    };
    longest.into_iter().flatten().enumerate().filter_map(moment).collect()
}

/// p50, p95 and p99 by level, each the median over the seeds; zeros where nobody was.
fn levels(series: &Series) -> Vec<[f64; 3]> {
    let deepest = series.reports.iter().map(|report| report.levels.len()).max().unwrap_or_default();
    let at = |level: usize| {
        let there = series.reports.iter().filter_map(|report| report.levels.get(level)).map(|it| it.lag_ms);
        quantiles(there).map_or([0.0; 3], |[p50, p95, p99, _]| [p50, p95, p99])
    };
    (0..deepest).map(at).collect()
}

/// p50, p95, p99 and the largest, each the median over the seeds that saw anything.
fn quantiles(all: impl Iterator<Item = Quantiles>) -> Option<[f64; 4]> {
    let seen: Vec<_> = all.filter(|quantiles| quantiles.count > 0).collect();
    let over = |of: fn(&Quantiles) -> f64| {
        let mut values: Vec<_> = seen.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        median(&values)
    };
    Some([over(|it| it.p50)?, over(|it| it.p95)?, over(|it| it.p99)?, over(|it| it.max)?])
}

/// Copies sent and the share of the time, over all seeds.
fn copies(series: &Series) -> Vec<[f64; 2]> {
    let longest = series.reports.iter().map(|report| report.uplinks.copies_tenths.len()).max().unwrap_or_default();
    let tenth = |index: usize| series.reports.iter().filter_map(|it| it.uplinks.copies_tenths.get(index)).sum::<u64>();
    let sums: Vec<_> = (0..longest).map(tenth).collect();
    let total = sums.iter().sum::<u64>() as f64;
    if total == 0.0 {
        return Vec::new();
    }
    let point = |(index, sum): (usize, &u64)| [index as f64 / 10.0, 100.0 * *sum as f64 / total];
    sums.iter().enumerate().map(point).collect()
}

fn fault_name(fault: &Fault) -> &'static str {
    match fault {
        Fault::Vanish { .. } => "vanish",
        Fault::Kill { .. } => "kill",
        Fault::ControlDrop { .. } => "control drop",
        Fault::CoordinatorRestart { .. } => "coordinator restart",
        Fault::Freeze { .. } => "freeze",
        Fault::OneWay { .. } => "one way",
        Fault::Underperform { .. } => "underperform",
        Fault::Lie { .. } => "lie",
    }
}
