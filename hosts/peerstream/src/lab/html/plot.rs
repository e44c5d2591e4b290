//! A plot: two axes, marks within them, a legend.

use super::axis::Axis;
use super::style::Style;
use super::svg;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 14.0;
const BOTTOM: f64 = 46.0;
const TOP: f64 = 12.0;
/// Room above the marks for the names of moments.
const MOMENTS: f64 = 12.0;
const LEGEND_ROW: f64 = 18.0;
/// Room for a legend's line, and for each letter beside it.
const LEGEND_LINE: f64 = 52.0;
const LEGEND_LETTER: f64 = 6.2;
/// Letters of a label that a legend shows.
const LEGEND_LETTERS: usize = 64;
/// Markers along a line, about; all points of a short one have one.
const MARKERS: usize = 8;

/// A plot that is being drawn.
#[derive(Debug)]
pub struct Plot {
    title: String,
    x: Axis,
    y: Axis,
    x_labels: Option<Vec<String>>,
    top: f64,
    legend: String,
    marks: String,
}

impl Plot {
    /// An empty plot; the legend names the series when there are several.
    pub fn new(title: &str, x: Axis, y: Axis, series: &[(Style, &str)]) -> Self {
        let (legend, rows) = if series.len() > 1 { legend(series) } else { (String::new(), 0) };
        let top = TOP + LEGEND_ROW * rows as f64 + MOMENTS;
        Self { title: title.to_owned(), x, y, x_labels: None, top, legend, marks: String::new() }
    }

    /// Names the steps of the horizontal axis.
    pub fn x_labels(mut self, labels: Vec<String>) -> Self {
        self.x_labels = Some(labels);
        self
    }

    /// A line through points, with markers.
    pub fn line(&mut self, style: Style, points: &[[f64; 2]]) {
        self.plain_line(style, points, "");
        let every = points.len().div_ceil(MARKERS).max(1);
        let shift = if points.len() > MARKERS { every / 2 } else { 0 };
        for point in points.iter().skip(shift).step_by(every) {
            let place = self.place(*point);
            self.marks.push_str(&style.marker(place));
        }
    }

    /// A line without markers; `class` says how it differs.
    pub fn plain_line(&mut self, style: Style, points: &[[f64; 2]], class: &str) {
        let places: Vec<_> = points.iter().map(|point| self.place(*point)).collect();
        self.marks.push_str(&svg::polyline(&places, &format!("{} {class}", style.line())));
    }

    /// The area between the least and the most of each point: `[x, low, high]`.
    pub fn band(&mut self, style: Style, points: &[[f64; 3]]) {
        let low = points.iter().map(|[x, low, _]| self.place([*x, *low]));
        let high = points.iter().rev().map(|[x, _, high]| self.place([*x, *high]));
        let corners: Vec<_> = low.chain(high).collect();
        self.marks.push_str(&svg::polygon(&corners, &style.area()));
    }

    /// A box from p50 to p95 with a marker at p50 and a whisker to p99; `lane` of `lanes` stand side by side at `x`.
    pub fn quantile_box(&mut self, style: Style, x: f64, [lane, lanes]: [usize; 2], [p50, p95, p99]: [f64; 3]) {
        let share = self.x.at(x + 0.5) - self.x.at(x - 0.5);
        let step = (WIDTH - LEFT - RIGHT) * share * 0.8 / lanes as f64;
        let centre = self.place([x, p50])[0] + (lane as f64 - (lanes as f64 - 1.0) / 2.0) * step;
        let [bottom, top, end] = [p50, p95, p99].map(|value| self.place([x, value])[1]);
        let width = (step * 0.7).min(18.0);
        let box_ = svg::rect([centre - width / 2.0, top], [width, bottom - top], &style.boxed());
        let whisker = svg::line([centre, top], [centre, end], &style.thin());
        let cap = svg::line([centre - width / 3.0, end], [centre + width / 3.0, end], &style.thin());
        self.marks.extend([box_, whisker, cap, style.marker([centre, bottom])]);
    }

    /// A moment that matters, across the plot.
    pub fn moment(&mut self, x: f64, label: &str) {
        let [at, _] = self.place([x, 0.0]);
        self.marks.push_str(&svg::line([at, self.top], [at, HEIGHT - BOTTOM], "moment"));
        self.marks.push_str(&svg::text(at, self.top - 4.0, "note middle", label));
    }

    /// The whole figure.
    pub fn figure(self) -> String {
        let title = svg::escape(&self.title);
        let head = format!(
            "<figure><figcaption>{title}</figcaption>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n"
        );
        [head, self.grid(), self.legend, self.marks, "</svg></figure>\n".to_owned()].concat()
    }

    fn place(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM - self.top);
        [LEFT + width * self.x.at(x), self.top + height * (1.0 - self.y.at(y))]
    }

    fn grid(&self) -> String {
        let floor = HEIGHT - BOTTOM;
        let mut grid = String::new();
        for (value, label) in self.y.ticks() {
            let y = self.top + (floor - self.top) * (1.0 - self.y.at(value));
            grid.push_str(&svg::line([LEFT, y], [WIDTH - RIGHT, y], "grid"));
            grid.push_str(&svg::text(LEFT - 6.0, y + 4.0, "tick end", &label));
        }
        for (value, label) in self.x_ticks() {
            let x = LEFT + (WIDTH - LEFT - RIGHT) * self.x.at(value);
            grid.push_str(&svg::line([x, floor], [x, floor + 4.0], "axis"));
            grid.push_str(&svg::text(x, floor + 17.0, "tick middle", &label));
        }
        grid.push_str(&svg::line([LEFT, floor], [WIDTH - RIGHT, floor], "axis"));
        grid.push_str(&svg::text((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 8.0, "label middle", &self.x.label));
        let middle = (self.top + floor) / 2.0;
        let turned = format!(
            "<text transform=\"translate(14 {}) rotate(-90)\" class=\"label middle\">{}</text>\n",
            svg::px(middle),
            svg::escape(&self.y.label)
        );
        grid + &turned
    }

    fn x_ticks(&self) -> Vec<(f64, String)> {
        let named =
            |labels: &Vec<String>| labels.iter().enumerate().map(|(at, label)| (at as f64, label.clone())).collect();
        self.x_labels.as_ref().map_or_else(|| self.x.ticks(), named)
    }
}

fn legend(series: &[(Style, &str)]) -> (String, usize) {
    let labels: Vec<_> = series.iter().map(|(_, label)| shortened(label)).collect();
    let longest = labels.iter().map(|label| label.chars().count()).max().unwrap_or_default();
    let cell = LEGEND_LINE + LEGEND_LETTER * longest as f64;
    let columns = (((WIDTH - LEFT - RIGHT) / cell) as usize).max(1);
    let entry = |(index, ((style, _), label)): (usize, (&(Style, &str), &String))| {
        let x = LEFT + cell * (index % columns) as f64;
        let y = TOP - 2.0 + LEGEND_ROW * (index / columns) as f64;
        let line = svg::line([x, y], [x + 26.0, y], &style.line());
        let label = svg::text(x + 32.0, y + 4.0, "tick", label);
        [line, style.marker([x + 13.0, y]), label].concat()
    };
    (series.iter().zip(&labels).enumerate().map(entry).collect(), series.len().div_ceil(columns))
}

/// As much of a label as fits into the legend.
fn shortened(label: &str) -> String {
    if label.chars().count() <= LEGEND_LETTERS {
        return label.to_owned();
    }
    label.chars().take(LEGEND_LETTERS - 1).chain(['…']).collect()
}
