//! Markup: text that is safe inside of it, and numbers short enough for it.

/// Text inside of markup.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            letter if letter.is_control() && letter != '\n' && letter != '\t' => safe.push('\u{fffd}'),
            letter => safe.push(letter),
        }
    }
    safe
}

/// A coordinate, to a tenth of a pixel.
pub fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// Text at a place; `class` sets its size and where it is anchored.
pub fn text(x: f64, y: f64, class: &str, content: &str) -> String {
    format!("<text x=\"{}\" y=\"{}\" class=\"{class}\">{}</text>\n", px(x), px(y), escape(content))
}

/// A straight line.
pub fn line([x1, y1]: [f64; 2], [x2, y2]: [f64; 2], class: &str) -> String {
    format!("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" class=\"{class}\"/>\n", px(x1), px(y1), px(x2), px(y2))
}

/// A rectangle from its upper left corner.
pub fn rect([x, y]: [f64; 2], [width, height]: [f64; 2], class: &str) -> String {
    let (x, y, width, height) = (px(x), px(y), px(width.max(0.0)), px(height.max(0.0)));
    format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" class=\"{class}\"/>\n")
}

/// A line through points; nothing for fewer than two.
pub fn polyline(points: &[[f64; 2]], class: &str) -> String {
    if points.len() < 2 {
        return String::new();
    }
    format!("<polyline points=\"{}\" class=\"{class}\"/>\n", list(points))
}

/// An area with these corners.
pub fn polygon(points: &[[f64; 2]], class: &str) -> String {
    format!("<polygon points=\"{}\" class=\"{class}\"/>\n", list(points))
}

fn list(points: &[[f64; 2]]) -> String {
    points.iter().map(|[x, y]| format!("{},{}", px(*x), px(*y))).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<a href=\"x\">&\u{1}"), "&lt;a href=&quot;x&quot;&gt;&amp;\u{fffd}");
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!((px(3.0), px(1.25), px(-0.5)), ("3".to_owned(), "1.2".to_owned(), "-0.5".to_owned()));
    }
}
