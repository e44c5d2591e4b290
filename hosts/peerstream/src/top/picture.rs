//! The overlay as text: a line, or a screen full.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::Value;

/// Happenings kept.
const MOMENTS_MAX: usize = 50;
/// A host that says nothing for this long is not there.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// Columns of a bar.
const BAR: usize = 24;
/// Bits of a node's flags: connected, and the four kinds of trouble.
const CONNECTED: u64 = 1;
const TROUBLE: u64 = 8 | 16 | 32 | 64;

/// A node, as far as it is shown.
#[derive(Default)]
struct Node {
    place: String,
    level: u64,
    feeders: Vec<String>,
    flags: u64,
    lag_ms: u64,
    sent_kb: u64,
    skipped: u64,
}

/// What is known.
pub struct Picture {
    title: String,
    sums: Value,
    nodes: BTreeMap<String, Node>,
    /// When, whom, and what; the latest last.
    moments: VecDeque<(u64, String)>,
    /// Why nothing comes.
    pub trouble: Option<String>,
}

impl Picture {
    /// Of a stream of this title, of which nothing is known yet.
    pub fn new(title: String) -> Self {
        let title = title.chars().filter(|char| !char.is_control()).collect();
        Self { title, sums: Value::Null, nodes: BTreeMap::new(), moments: VecDeque::new(), trouble: None }
    }

    /// Takes a message of the feed in.
    pub fn take(&mut self, message: &Value) {
        self.trouble = None;
        if message["all"] == true {
            self.nodes.clear();
            self.moments.clear();
        }
        if message["sums"].is_object() {
            self.sums = message["sums"].clone();
        }
        rows(&message["put"]).for_each(|row| self.put(row));
        rows(&message["gone"]).for_each(|name| drop(self.nodes.remove(&plain(name))));
        for row in rows(&message["lag"]) {
            if let Some(node) = self.nodes.get_mut(&plain(&row[0])) {
                node.lag_ms = number(&row[1]);
            }
        }
        for row in rows(&message["figures"]) {
            if let Some(node) = self.nodes.get_mut(&plain(&row[0])) {
                (node.sent_kb, node.skipped) = (number(&row[2]), number(&row[3]));
            }
        }
        for row in rows(&message["moments"]["rows"]) {
            let about = if row[3].is_null() { String::new() } else { format!(" {}", about(row)) };
            self.moments.push_back((number(&row[0]), format!("{} {}{about}", called(&row[1]), word(&row[2]))));
            if self.moments.len() > MOMENTS_MAX {
                self.moments.pop_front();
            }
        }
    }

    fn put(&mut self, row: &Value) {
        let feeders = if row[5].is_null() { &row[4] } else { &row[5] };
        let node = self.nodes.entry(plain(&row[0])).or_default();
        node.place = word(&row[2]);
        node.level = number(&row[3]);
        node.feeders = rows(feeders).map(called).collect();
        node.flags = number(&row[8]);
    }

    /// One line for a log.
    pub fn line(&self) -> String {
        if let Some(why) = &self.trouble {
            return format!("no news: {why}");
        }
        let [viewers, helpers, depth] = ["viewers", "helpers", "depth"].map(|name| self.sum(&[name]));
        format!(
            "{} viewers={viewers} helpers={helpers} levels={depth} lag={}/{} continuity={} sends={} server={} room={}",
            self.state(),
            seconds(self.sum(&["lag_p50"])),
            seconds(self.sum(&["lag_p95"])),
            self.continuity(),
            rate(self.sum(&["rates", "sent_bps"])),
            rate(self.sum(&["rates", "server_bps"])),
            self.sum(&["outlook", "places"]),
        )
    }

    /// A screen of so many columns and lines.
    pub fn screen(&self, width: usize, height: usize, silence: Duration) -> Vec<String> {
        let mut lines = vec![format!("{}  [{}]", self.title, self.state())];
        if let Some(why) = &self.trouble {
            lines.push(format!("! no news: {why}"));
        } else if silence > SILENCE_MAX {
            lines.push(format!("! no news for {} s", silence.as_secs()));
        }
        lines.extend(self.figures());
        lines.push(String::new());
        lines.extend(self.levels());
        let left = height.saturating_sub(lines.len() + 4);
        lines.push(String::new());
        lines.extend(self.latest(left / 3));
        lines.push(String::new());
        lines.extend(self.table(height.saturating_sub(lines.len() + 1)));
        lines.truncate(height);
        lines.iter().map(|line| line.chars().take(width).collect()).collect()
    }

    fn figures(&self) -> Vec<String> {
        let number = |path: &[&str]| self.sum(path);
        let (sent, server) = (number(&["totals", "sent"]), number(&["totals", "received"]));
        let carried = if server > sent { format!("{} %", (server - sent) * 100 / server) } else { "-".to_owned() };
        let mut lines = vec![
            format!(
                "viewers {}   helpers {}   levels {}   without backup {}   in trouble {}",
                number(&["viewers"]),
                number(&["helpers"]),
                number(&["depth"]),
                number(&["without_backup"]),
                number(&["struggling"])
            ),
            format!(
                "lag {} (one in twenty above {})   continuity {}   stalls {}",
                seconds(number(&["lag_p50"])),
                seconds(number(&["lag_p95"])),
                self.continuity(),
                number(&["rates", "stalls"])
            ),
            format!(
                "stream {}   sends {}   a server would send {}   carried by viewers {carried}",
                rate(number(&["rates", "stream_bps"])),
                rate(number(&["rates", "sent_bps"])),
                rate(number(&["rates", "server_bps"]))
            ),
            format!(
                "input: key frames every {}   gaps {}   pauses {}   waiting {}",
                seconds(number(&["input", "join_distance_ms"])),
                number(&["input", "discontinuities"]),
                number(&["input", "pauses"]),
                number(&["input", "waiting"])
            ),
            format!("room for {} more who pass nothing on{}", number(&["outlook", "places"]), self.fullness()),
        ];
        lines.extend(self.uplinks());
        lines.extend(self.sums["upload_advice"].as_str().map(|advice| format!("! {}", clean(advice))));
        lines
    }

    /// What viewers can upload, once some of it is known.
    fn uplinks(&self) -> Option<String> {
        let [measured, carry, median] = ["measured", "carry", "median_kbps"].map(|name| self.sum(&["uplinks", name]));
        let at_least = if self.sums["uplinks"]["or_more"] == true { "at least " } else { "" };
        let line = || {
            format!(
                "upload of {measured} estimated: {carry} can send two copies   median {at_least}{}",
                rate(median * 1000)
            )
        };
        (measured > 0).then(line)
    }

    fn fullness(&self) -> &'static str {
        match self.sums["outlook"]["level"].as_str() {
            Some("full") => "   ! the tree is full",
            Some("nearly") => "   ! the tree is nearly full",
            _ => "",
        }
    }

    fn levels(&self) -> Vec<String> {
        let levels: Vec<[u64; 4]> =
            rows(&self.sums["levels"]).map(|row| [0, 1, 2, 3].map(|index| number(&row[index]))).collect();
        let longest = levels.iter().map(|level| level[3]).max().unwrap_or_default().max(1);
        let mut lines = vec!["level  nodes  lag".to_owned()];
        lines.extend(levels.iter().take(16).map(|[level, nodes, median, late]| {
            let bar = |value: u64| (value as usize * BAR).div_ceil(longest as usize);
            let (full, more) = (bar(*median), bar(*late).saturating_sub(bar(*median)));
            let bars = "#".repeat(full) + &"-".repeat(more);
            format!("{level:>5} {nodes:>6}  {bars:<BAR$} {} / {}", seconds(*median), seconds(*late))
        }));
        lines
    }

    fn latest(&self, count: usize) -> Vec<String> {
        let now = self.sum(&["now_ms"]);
        let latest = self.moments.iter().rev().take(count);
        latest.map(|(at, text)| format!("{:>8} ago  {text}", seconds(now.saturating_sub(*at)))).collect()
    }

    fn table(&self, height: usize) -> Vec<String> {
        if height < 2 {
            return Vec::new();
        }
        let mut nodes: Vec<_> = self.nodes.iter().filter(|(name, _)| *name != "0").collect();
        let in_trouble = |node: &Node| node.flags & TROUBLE != 0 || node.flags & CONNECTED == 0;
        nodes.sort_by_key(|(name, node)| (!in_trouble(node), node.level, name.len(), (*name).clone()));
        let mut lines = vec!["node     place   level  lag      passed on  given up  fed by".to_owned()];
        lines.extend(nodes.into_iter().take(height - 1).map(|(name, node)| {
            let mark = if in_trouble(node) { "!" } else { " " };
            let name = called(&Value::from(name.as_str()));
            format!(
                "{name:<7}{mark} {:<7} {:>5}  {:<7} {:>9}  {:>8}  {}",
                node.place,
                node.level,
                seconds(node.lag_ms),
                bytes(node.sent_kb * 1000),
                node.skipped,
                node.feeders.join(" ")
            )
        }));
        lines
    }

    fn state(&self) -> String {
        word(&self.sums["state"])
    }

    fn continuity(&self) -> String {
        self.sums["rates"]["skipped"]
            .as_f64()
            .map_or_else(|| "-".to_owned(), |lost| format!("{:.2} %", (1.0 - lost) * 100.0))
    }

    fn sum(&self, path: &[&str]) -> u64 {
        number(path.iter().fold(&self.sums, |value, key| &value[*key]))
    }
}

fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// A name as a key.
fn plain(name: &Value) -> String {
    name.as_str().map_or_else(|| name.to_string(), str::to_owned)
}

/// A name for people.
fn called(name: &Value) -> String {
    match plain(name).split('@').next() {
        Some("0") => "source".to_owned(),
        Some(number) => format!("n{}", clean(number)),
        None => String::new(),
    }
}

/// Who or why.
fn about(row: &Value) -> String {
    let is_name = matches!(row[2].as_str(), Some("moved" | "suspected" | "link-failed" | "rescued"));
    if is_name { called(&row[3]) } else { word(&row[3]) }
}

/// A short text from the host, without anything that would move the cursor.
fn word(value: &Value) -> String {
    clean(value.as_str().unwrap_or("-"))
}

fn clean(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(200).collect()
}

fn seconds(ms: u64) -> String {
    if ms == 0 { "-".to_owned() } else { format!("{:.1} s", ms as f64 / 1000.0) }
}

fn rate(bps: u64) -> String {
    if bps >= 1_000_000 { format!("{:.1} Mbit/s", bps as f64 / 1e6) } else { format!("{} kbit/s", bps / 1000) }
}

fn bytes(count: u64) -> String {
    match count {
        0..1_000_000 => format!("{} kB", count / 1000),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn picture() -> Picture {
        let mut picture = Picture::new("Friday\x1b[2J night".into());
        picture.take(&json!({
            "all": true,
            "put": [[0, "s", null, 0, [], null, null, 2, 7, 0], [1, "v", "A1", 1, [0], null, null, 2, 7, 3],
                    ["1@7", "v", "B1", 1, [0], [1], null, 2, 23, 3]],
            "lag": [[1, 640], ["1@7", 900]],
            "figures": [[1, 5_000, 10_000, 0, 0]],
            "moments": { "rows": [[9_000, "1@7", "rescued", 1], [9_500, 4, "died", "suspected"]], "more": 0 },
            "sums": { "now_ms": 10_000, "viewers": 2, "depth": 1, "lag_p50": 640, "lag_p95": 900, "state": "live",
                      "levels": [[1, 2, 640, 900, 1]], "rates": { "skipped": 0.001, "sent_bps": 5_000_000, "server_bps": 9_000_000 },
                      "totals": { "sent": 40, "received": 100 }, "outlook": { "places": 3, "level": "nearly" },
                      "uplinks": { "measured": 2, "carry": 1, "median_kbps": 12_000, "or_more": true } },
        }));
        picture
    }

    #[test]
    fn a_screen_tells_who_is_fed_by_whom_and_what_happens() {
        let screen = picture().screen(100, 40, Duration::ZERO).join("\n");
        for part in [
            "Friday[2J night",
            "[live]",
            "viewers 2",
            "99.90 %",
            "carried by viewers 60 %",
            "nearly full",
            "of 2 estimated: 1 can",
        ] {
            assert!(screen.contains(part), "`{part}` is not in:\n{screen}");
        }
        assert!(screen.contains("n1 rescued n1") && screen.contains("n4 died suspected"), "{screen}");
        let table: Vec<_> = screen.lines().skip_while(|line| !line.starts_with("node ")).collect();
        assert!(table[1].starts_with("n1     !") && table[1].ends_with("n1"), "trouble comes first: {table:?}");
    }

    #[test]
    fn a_screen_is_never_larger_than_the_terminal() {
        for (width, height) in [(1, 1), (20, 5), (80, 24), (300, 100)] {
            let screen = picture().screen(width, height, SILENCE_MAX * 2);
            assert!(screen.len() <= height && screen.iter().all(|line| line.chars().count() <= width));
        }
    }

    #[test]
    fn where_there_is_no_screen_a_line_is_enough() {
        let line = picture().line();
        assert_eq!(
            line,
            "live viewers=2 helpers=0 levels=1 lag=0.6 s/0.9 s continuity=99.90 % sends=5.0 Mbit/s server=9.0 Mbit/s room=3"
        );
    }

    #[test]
    fn nonsense_is_survived_and_those_who_leave_are_gone() {
        let mut picture = picture();
        for message in [json!(null), json!({ "put": 3, "lag": [[9]], "sums": [] }), json!({ "put": [[], [2]] })] {
            picture.take(&message);
        }
        picture.take(&json!({ "gone": [1, "1@7", "null", 2] }));
        assert_eq!(picture.nodes.keys().collect::<Vec<_>>(), ["0"]);
    }
}
