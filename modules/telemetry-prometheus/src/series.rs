//! The latest value of every figure.

use std::collections::BTreeMap;

use peerstream_sdk::traits::telemetry::Figure;

/// Series that are remembered, a series being a name with one set of labels.
pub const SERIES_MAX: usize = 10_000;

type Key = (String, BTreeMap<String, String>);

/// The latest value of every figure.
#[derive(Debug, Default)]
pub(crate) struct Series {
    latest: BTreeMap<Key, (u64, Figure)>,
    newest_us: u64,
}

impl Series {
    /// Takes a figure of this time; false when there is no room for another series.
    pub(crate) fn put(&mut self, at_us: u64, figure: &Figure) -> bool {
        self.newest_us = self.newest_us.max(at_us);
        let key = (figure.name.clone(), figure.labels.clone());
        let known = self.latest.contains_key(&key);
        if known || self.latest.len() < SERIES_MAX {
            self.latest.insert(key, (at_us, figure.clone()));
            return true;
        }
        false
    }

    /// Forgets what is so much older than the newest one, and gives the rest.
    pub(crate) fn fresh(&mut self, stale_after_us: u64) -> impl Iterator<Item = &Figure> {
        let since = self.newest_us.saturating_sub(stale_after_us);
        self.latest.retain(|_, (at_us, _)| *at_us >= since);
        self.latest.values().map(|(_, figure)| figure)
    }
}

#[cfg(test)]
mod tests {
    use peerstream_sdk::traits::telemetry::FigureKind;

    use super::*;

    fn figure(name: String) -> Figure {
        Figure { name, help: String::new(), kind: FigureKind::Gauge, value: 1.0, labels: BTreeMap::new() }
    }

    #[test]
    fn the_number_of_series_is_bounded_and_known_ones_go_on() {
        let mut series = Series::default();
        let taken = (0..SERIES_MAX + 5).filter(|n| series.put(1, &figure(format!("f{n}")))).count();
        assert_eq!(taken, SERIES_MAX);
        assert!(series.put(2, &figure("f0".into())));
    }

    #[test]
    fn what_is_not_measured_any_more_is_forgotten() {
        let mut series = Series::default();
        series.put(1_000, &figure("old".into()));
        series.put(5_000, &figure("new".into()));
        let names: Vec<_> = series.fresh(2_000).map(|figure| figure.name.clone()).collect();
        assert_eq!(names, ["new"]);
    }
}
