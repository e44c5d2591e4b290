//! How series are told apart: by colour, by dashes and by markers, so that each alone is enough.

use super::svg::{self, px};

/// Series that can be told apart.
pub const STYLES: usize = 6;

/// The looks of one series; the colours are classes `s0` to `s5` of the page's style sheet (Okabe and Ito's, chosen for
/// readers who do not see all colours).
#[derive(Clone, Copy, Debug)]
pub struct Style(pub usize);

impl Style {
    /// Of a line.
    pub fn line(self) -> String {
        format!("line s{0} d{0}", self.0 % STYLES)
    }

    /// Of a thin line that is not dashed.
    pub fn thin(self) -> String {
        format!("line thin s{}", self.0 % STYLES)
    }

    /// Of an area behind lines.
    pub fn area(self) -> String {
        format!("area f{}", self.0 % STYLES)
    }

    /// Of a box with an edge.
    pub fn boxed(self) -> String {
        format!("boxed s{0} f{0}", self.0 % STYLES)
    }

    /// A marker at a place.
    pub fn marker(self, [x, y]: [f64; 2]) -> String {
        let class = format!("marker s{0} f{0}", self.0 % STYLES);
        let around = |corners: &[[f64; 2]]| {
            let corners: Vec<_> = corners.iter().map(|[dx, dy]| [x + dx, y + dy]).collect();
            svg::polygon(&corners, &class)
        };
        match self.0 % STYLES {
            0 => format!("<circle cx=\"{}\" cy=\"{}\" r=\"3.2\" class=\"{class}\"/>\n", px(x), px(y)),
            1 => svg::rect([x - 2.9, y - 2.9], [5.8, 5.8], &class),
            2 => around(&[[0.0, -4.0], [3.7, 2.8], [-3.7, 2.8]]),
            3 => around(&[[0.0, -4.2], [4.2, 0.0], [0.0, 4.2], [-4.2, 0.0]]),
            4 => around(&[[0.0, 4.0], [3.7, -2.8], [-3.7, -2.8]]),
            _ => {
                svg::polyline(&[[x - 3.2, y - 3.2], [x + 3.2, y + 3.2]], &class)
                    + &svg::polyline(&[[x - 3.2, y + 3.2], [x + 3.2, y - 3.2]], &class)
            }
        }
    }
}
