//! A picture of the trees: nodes by level while they can be told apart, bars of how many there are beyond that.

use std::collections::{BTreeMap, BTreeSet};

use peerstream_lab::Report;
use peerstream_lab::report::{SNAPSHOT_MAX, TreeNode};

use super::svg;
use crate::lab::number::short;

const WIDTH: f64 = 1_140.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 20.0;
const ROW: f64 = 54.0;
const BAR_ROW: f64 = 24.0;
/// Room per node from which on its place is written beside it.
const NAMED_FROM: f64 = 26.0;

/// Ages by which nodes are shaded, in seconds.
const AGES: [(f64, &str); 4] =
    [(60.0, "less than 1 min"), (300.0, "1 to 5 min"), (900.0, "5 to 15 min"), (f64::INFINITY, "15 min or more")];

/// The trees at the end of a run.
pub fn figure(label: &str, report: &Report) -> String {
    let title = format!("Trees at the end of the measured time: {label}, seed {}", report.seed);
    let drawing = if report.snapshot.len() < SNAPSHOT_MAX { nodes(&report.snapshot) } else { bars(report) };
    let Some((height, marks)) = drawing else { return String::new() };
    let title = svg::escape(&title);
    format!(
        "<figure class=\"wide\"><figcaption>{title}</figcaption>\n\
         <svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{title}\">\n{marks}</svg></figure>\n",
        svg::px(height)
    )
}

/// Where each node is drawn.
struct Layout<'a> {
    places: BTreeMap<&'a str, [f64; 2]>,
    /// Room per leaf.
    step: f64,
    levels: usize,
}

impl Layout<'_> {
    /// The rows by their height, named after the level of the nodes there.
    fn rows(&self, nodes: &[TreeNode]) -> Vec<(f64, String)> {
        let mut rows = BTreeMap::new();
        for (node, level) in nodes.iter().filter_map(|node| Some((node, node.level?))) {
            if let Some([_, y]) = self.places.get(node.node.as_str()) {
                rows.insert((y * 10.0) as i64, (*y, format!("level {level}")));
            }
        }
        rows.into_values().collect()
    }
}

/// Leaves side by side, parents in the middle above their children.
fn layout(nodes: &[TreeNode]) -> Option<Layout<'_>> {
    let known: BTreeSet<_> = nodes.iter().map(|node| node.node.as_str()).collect();
    let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut open = Vec::new();
    for node in in_order(nodes) {
        match node.parent.as_deref().filter(|parent| known.contains(parent)) {
            Some(parent) => children.entry(parent).or_default().push(&node.node),
            None => open.push((node.node.as_str(), 0)),
        }
    }
    open.reverse();
    let mut order = Vec::new();
    while let Some((node, level)) = open.pop() {
        order.push((node, level));
        open.extend(children.get(node).into_iter().flatten().rev().map(|child| (*child, level + 1)));
    }
    let leaves = order.iter().filter(|(node, _)| !children.contains_key(node)).count();
    let levels = order.iter().map(|(_, level)| level + 1).max()?;
    let step = (WIDTH - LEFT - 10.0) / leaves.max(1) as f64;
    let mut places = BTreeMap::new();
    let mut leaf = leaves;
    for (node, level) in order.iter().rev() {
        let y = TOP + ROW * (*level as f64 + 0.5);
        let below = children.get(node).map(|below| below.iter().map(|child| places[child]).collect::<Vec<[f64; 2]>>());
        let x = match below {
            Some(below) => below.iter().map(|[x, _]| x).sum::<f64>() / below.len() as f64,
            None => {
                leaf -= 1;
                LEFT + step * (leaf as f64 + 0.5)
            }
        };
        places.insert(*node, [x, y]);
    }
    Some(Layout { places, step, levels })
}

/// By their places as people count: A2 before A10.
fn in_order(nodes: &[TreeNode]) -> Vec<&TreeNode> {
    let mut ordered: Vec<_> = nodes.iter().collect();
    ordered.sort_by_key(|node| node.place.as_deref().map(|place| (place.len(), place)));
    ordered
}

fn nodes(nodes: &[TreeNode]) -> Option<(f64, String)> {
    let layout = layout(nodes)?;
    let radius = (layout.step * 0.42).clamp(1.2, 7.0);
    let (mut edges, mut marks) = (String::new(), String::new());
    for (y, name) in layout.rows(nodes) {
        marks.push_str(&svg::text(4.0, y + 4.0, "tick", &name));
    }
    for node in nodes {
        let Some(place) = layout.places.get(node.node.as_str()) else { continue };
        if let Some((name, parent)) = node.parent.as_deref().and_then(|name| Some((name, layout.places.get(name)?))) {
            let elsewhere = !node.fed_by.iter().any(|by| by == name);
            edges.push_str(&svg::line(*parent, *place, if elsewhere { "edge elsewhere" } else { "edge" }));
        }
        marks.push_str(&mark(node, *place, radius));
        if layout.step >= NAMED_FROM {
            let name = node.place.as_deref().unwrap_or(&node.node);
            marks.push_str(&svg::text(place[0], place[1] + radius + 11.0, "small middle", name));
        }
    }
    let floor = TOP + ROW * layout.levels as f64;
    Some((floor + 34.0, edges + &marks + &key(floor + 20.0)))
}

fn mark(node: &TreeNode, [x, y]: [f64; 2], radius: f64) -> String {
    let shade = AGES.iter().position(|(age, _)| node.age_s < *age).unwrap_or(AGES.len() - 1);
    if node.relay {
        let (x, y, radius) = (svg::px(x), svg::px(y), svg::px(radius));
        return format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" class=\"node a{shade}\"/>\n");
    }
    svg::rect([x - radius, y - radius], [2.0 * radius, 2.0 * radius], &format!("node a{shade}"))
}

fn key(y: f64) -> String {
    let mut key = String::new();
    let mut x = LEFT;
    for (shade, (_, words)) in AGES.iter().enumerate() {
        let node = TreeNode { relay: true, age_s: [0.0, 60.0, 300.0, 900.0][shade], ..TreeNode::default() };
        key.push_str(&mark(&node, [x, y], 5.0));
        key.push_str(&svg::text(
            x + 10.0,
            y + 4.0,
            "tick",
            &format!("joined {words} ago").replace(" or more", " or longer"),
        ));
        x += 190.0;
    }
    key.push_str(&svg::rect([x - 5.0, y - 5.0], [10.0, 10.0], "node a0"));
    key.push_str(&svg::text(x + 10.0, y + 4.0, "tick", "does not relay"));
    key.push_str(&svg::line([x + 120.0, y], [x + 150.0, y], "edge elsewhere"));
    key + &svg::text(x + 156.0, y + 4.0, "tick", "fed by another one")
}

/// How many nodes each level has, and how many it has room for in two binary trees.
fn bars(report: &Report) -> Option<(f64, String)> {
    let most = report.levels.iter().map(|level| level.viewers).fold(0.0, f64::max);
    if most <= 0.0 {
        return None;
    }
    let mut marks = String::new();
    for (row, level) in report.levels.iter().enumerate() {
        let y = TOP + BAR_ROW * row as f64;
        let width = |viewers: f64| (WIDTH - LEFT - 220.0) * viewers / most;
        let room = 2_f64.powi(level.level as i32 + 1);
        marks.push_str(&svg::text(4.0, y + 13.0, "tick", &format!("level {}", level.level)));
        marks.push_str(&svg::rect([LEFT, y], [width(level.viewers), BAR_ROW - 7.0], "bar"));
        marks.push_str(&svg::rect([LEFT, y], [width(room.min(most)), BAR_ROW - 7.0], "room"));
        let words =
            format!("{} viewers on average, median lag {} ms", short(level.viewers.round()), short(level.lag_ms.p50));
        marks.push_str(&svg::text(LEFT + width(level.viewers.max(room.min(most))) + 8.0, y + 13.0, "tick", &words));
    }
    let floor = TOP + BAR_ROW * report.levels.len() as f64;
    let words = "outlined: the room of two binary trees (beyond the longest bar it is not drawn)";
    Some((floor + 24.0, marks + &svg::text(LEFT, floor + 14.0, "tick", words)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::sample;

    #[test]
    fn every_node_has_a_place_and_parents_stand_above_their_children() {
        let nodes = sample::report(1).snapshot;
        let layout = layout(&nodes).unwrap();
        assert_eq!((layout.places.len(), layout.levels), (60, 5));
        for node in nodes.iter().filter(|node| node.parent.is_some()) {
            let parent = layout.places[node.parent.as_deref().unwrap()];
            assert!(parent[1] < layout.places[node.node.as_str()][1]);
        }
    }

    #[test]
    fn nodes_in_a_circle_are_left_out_and_none_at_all_gives_no_picture() {
        let node = |node: &str, parent: &str| TreeNode {
            node: node.into(),
            parent: Some(parent.into()),
            ..TreeNode::default()
        };
        let mut report = sample::report(1);
        report.snapshot = vec![node("a", "b"), node("b", "a"), node("c", "source")];
        assert_eq!(layout(&report.snapshot).unwrap().places.len(), 1);
        report.snapshot.clear();
        assert_eq!(figure("x", &report), "");
    }

    #[test]
    fn many_nodes_become_bars() {
        let mut report = sample::report(1);
        report.snapshot = vec![TreeNode::default(); SNAPSHOT_MAX];
        assert!(figure("x", &report).contains("512 viewers"));
    }
}
