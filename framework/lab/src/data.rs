//! Measured data a scenario may draw on. The caller reads the files; nothing is shipped.

use crate::scenario::Problems;

/// What the files of a caller held.
#[derive(Clone, Debug, Default)]
pub struct Data {
    /// Round trips between hosts.
    pub rtt: Option<Matrix>,
    /// Regions of the world.
    pub regions: Option<Regions>,
    /// Durations of viewing sessions, in seconds.
    pub sessions: Option<Vec<f64>>,
}

/// A matrix of round trips between hosts, in milliseconds.
#[derive(Clone, Debug)]
pub struct Matrix {
    hosts: usize,
    rtt_ms: Vec<f32>,
}

impl Matrix {
    /// Reads lines of numbers in milliseconds, split by blanks or tabs: a square, zero on its diagonal.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let problem = |line: usize, what: &str| Problems(vec![format!("matrix, line {}: {what}", line + 1)]);
        let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let hosts = lines.len();
        let mut rtt_ms = Vec::with_capacity(hosts * hosts);
        for (number, line) in lines.iter().enumerate() {
            for cell in line.split_whitespace() {
                let ms: f32 = cell.parse().map_err(|_| problem(number, "a cell is not a number"))?;
                if !(0.0..=60_000.0).contains(&ms) {
                    return Err(problem(number, "a round trip is not within 0 to 60000 ms"));
                }
                rtt_ms.push(ms);
            }
            if rtt_ms.len() != hosts * (number + 1) {
                return Err(problem(number, &format!("expected {hosts} cells, as there are lines")));
            }
        }
        if hosts < 2 {
            return Err(Problems(vec!["matrix: expected at least two hosts".to_owned()]));
        }
        Ok(Self { hosts, rtt_ms })
    }

    /// How many hosts there are.
    pub fn hosts(&self) -> usize {
        self.hosts
    }

    /// One way between two hosts, in ms; a tenth within a host.
    pub fn one_way_ms(&self, a: usize, b: usize) -> f64 {
        if a == b {
            return 0.1;
        }
        f64::from(self.rtt_ms[a * self.hosts + b]) / 2.0
    }

    /// The hosts whose median one-way delay is below this, or the one with the least.
    pub fn central(&self, below_ms: f64) -> Vec<usize> {
        let median = |host: usize| {
            let mut row: Vec<_> = (0..self.hosts).map(|other| self.one_way_ms(host, other)).collect();
            row.sort_by(f64::total_cmp);
            row[row.len() / 2]
        };
        let medians: Vec<_> = (0..self.hosts).map(median).collect();
        let central: Vec<_> = (0..self.hosts).filter(|host| medians[*host] < below_ms).collect();
        if !central.is_empty() {
            return central;
        }
        (0..self.hosts).min_by(|a, b| medians[*a].total_cmp(&medians[*b])).into_iter().collect()
    }
}

/// A region of the world.
#[derive(Clone, Debug)]
pub struct Region {
    /// Its name.
    pub name: String,
    /// Share of the viewers there.
    pub share: f64,
    /// One way to each region, in ms.
    pub one_way_ms: Vec<f64>,
    /// Download, in Mbit/s.
    pub down_mbps: f64,
    /// Upload, in Mbit/s.
    pub up_mbps: f64,
}

/// The regions of the world.
#[derive(Clone, Debug)]
pub struct Regions(pub Vec<Region>);

impl Regions {
    /// Reads a table with a line of titles: `region`, `share_2019`, `lat2019_ms_to_<REGION>` for each region,
    /// `down2019_mbps` and `up2019_mbps`; other columns are left alone. The latencies are taken as one way, as the table's
    /// simulator does.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let problem = |what: String| Problems(vec![format!("regions: {what}")]);
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let titles: Vec<_> = lines.next().unwrap_or_default().split(',').collect();
        let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
        let column = |title: &str| {
            titles.iter().position(|known| *known == title).ok_or_else(|| problem(format!("no column `{title}`")))
        };
        let name = column("region")?;
        let names: Vec<_> = rows.iter().map(|row| row.get(name).copied().unwrap_or_default()).collect();
        let number = |row: &[&str], title: &str| {
            let cell = row.get(column(title)?).copied().unwrap_or_default();
            cell.parse::<f64>()
                .ok()
                .filter(|value| *value >= 0.0)
                .ok_or_else(|| problem(format!("`{cell}` in `{title}`")))
        };
        let mut regions = Vec::new();
        for row in &rows {
            let one_way_ms: Result<Vec<_>, _> =
                names.iter().map(|to| number(row, &format!("lat2019_ms_to_{to}"))).collect();
            regions.push(Region {
                name: row.get(name).copied().unwrap_or_default().to_owned(),
                share: number(row, "share_2019")?,
                one_way_ms: one_way_ms?,
                down_mbps: number(row, "down2019_mbps")?,
                up_mbps: number(row, "up2019_mbps")?,
            });
        }
        let sum: f64 = regions.iter().map(|region| region.share).sum();
        if (sum - 1.0).abs() > 0.05 {
            return Err(problem(format!("the shares add up to {sum:.3}, not to 1")));
        }
        Ok(Self(regions))
    }
}

/// Reads the column `duration_s` of a table with a line of titles.
pub fn parse_sessions(text: &str) -> Result<Vec<f64>, Problems> {
    let problem = |what: &str| Problems(vec![format!("sessions: {what}")]);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let titles = lines.next().unwrap_or_default();
    let column = titles.split(',').position(|title| title == "duration_s").ok_or(problem("no column `duration_s`"))?;
    let durations: Option<Vec<f64>> = lines.map(|line| line.split(',').nth(column)?.parse().ok()).collect();
    let durations = durations.ok_or(problem("a duration is not a number"))?;
    let durations: Vec<_> = durations.into_iter().filter(|seconds| *seconds > 0.0).collect();
    if durations.is_empty() { Err(problem("no duration above 0")) } else { Ok(durations) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_read_as_round_trips() {
        let matrix = Matrix::parse("0\t10\t20\n10\t0\t300\n20\t300\t0\n").unwrap();
        assert_eq!((matrix.hosts(), matrix.one_way_ms(0, 1), matrix.one_way_ms(1, 1)), (3, 5.0, 0.1));
        assert_eq!(matrix.central(6.0), [0, 1]);
        for text in ["0 1\n1", "0 x\n1 0", "0", ""] {
            assert!(Matrix::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn regions_are_read_by_their_titles() {
        let text = "region,share_2019,lat2019_ms_to_A,lat2019_ms_to_B,down2019_mbps,up2019_mbps\n\
                    A,0.4,1,50,100,10\nB,0.6,50,2,20,5\n";
        let Regions(regions) = Regions::parse(text).unwrap();
        assert_eq!((regions[1].one_way_ms[0], regions[1].up_mbps), (50.0, 5.0));
        assert!(Regions::parse("region,share_2019\nA,1\n").unwrap_err().to_string().contains("lat2019_ms_to_A"));
    }

    #[test]
    fn sessions_are_the_column_of_that_name() {
        assert_eq!(parse_sessions("trace,start_s,duration_s\na,0,65\nb,1,0\n"), Ok(vec![65.0]));
        assert!(parse_sessions("trace,start_s\na,0\n").is_err());
    }
}
