//! What viewers can upload, as their nodes have found out by packet trains, and what that says of the bitrate.

use peerstream::coordinator::Overview;
use peerstream::node::UPLINK_EIGHTHS;
use peerstream::protocol::control::Role;
use serde::Serialize;

use super::outlook::Outlook;

/// Of so large a share of viewers that do not pass the stream on the streamer is told, in percent,
const NOT_RELAYING_PERCENT: u64 = 40;
/// if there are so many viewers.
const VIEWERS_MIN: u64 = 5;
/// A bitrate is proposed that this share of the measured uplinks carries twice, in percent,
const PROPOSED_PERCENT: usize = 80;
/// but none below this part of what it is.
const PROPOSED_PART: u64 = 4;
/// Bitrates are proposed in steps of so many bits per second.
const PROPOSED_STEP: u64 = 100_000;
/// Nodes tell no more than ten copies; what is nearer to it than a twentieth may be more.
const OR_MORE_TENTHS: u64 = 95;

/// The uplinks of viewers and helpers. All of it is an estimate.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Uplinks {
    /// Those whose uplink has been measured.
    pub measured: u64,
    /// Of these, those that can send two copies of the stream.
    pub carry: u64,
    /// Kilobits per second that half of the measured ones reach.
    pub median_kbps: u64,
    /// The median may be more: it is as much as a measurement of this stream can find out.
    pub or_more: bool,
    /// The measured ones in kilobits per second, the slowest first.
    #[serde(skip)]
    kbps: Vec<u64>,
}

/// The uplinks in this overlay, held against a stream of so many bits per second.
pub fn uplinks(overview: &Overview, stream_bps: u64) -> Uplinks {
    let members = overview.nodes.iter().filter(|node| node.role != Role::Source);
    let known = members.map(|node| u64::from(node.figures.uplink_kbps)).filter(|kbps| *kbps > 0);
    let mut kbps: Vec<_> = known.collect();
    kbps.sort_unstable();
    let median_kbps = kbps.get(kbps.len() / 2).copied().unwrap_or_default();
    let or_more = stream_bps > 0 && median_kbps * 10_000 >= stream_bps * OR_MORE_TENTHS;
    let mut uplinks = Uplinks { measured: kbps.len() as u64, carry: 0, median_kbps, or_more, kbps };
    uplinks.carry = uplinks.carrying(stream_bps);
    uplinks
}

impl Uplinks {
    /// How many of the measured ones can send two copies of a stream of so many bits per second.
    fn carrying(&self, stream_bps: u64) -> u64 {
        let needed_kbps = (stream_bps * UPLINK_EIGHTHS).div_ceil(8_000);
        self.kbps.iter().filter(|kbps| **kbps >= needed_kbps).count() as u64
    }

    /// A lower bitrate that most can send twice, in whole steps; not far below what it is.
    fn proposed(&self, stream_bps: u64) -> Option<u64> {
        let slow = *self.kbps.get(self.kbps.len() * (100 - PROPOSED_PERCENT) / 100)?;
        let carried = slow * 8_000 / UPLINK_EIGHTHS / PROPOSED_STEP * PROPOSED_STEP;
        let least = (stream_bps / PROPOSED_PART).next_multiple_of(PROPOSED_STEP);
        let proposed = carried.max(least);
        (proposed < stream_bps && self.carrying(proposed) > self.carry).then_some(proposed)
    }

    fn sentence(&self, audience: u64, stream_bps: u64) -> String {
        let Self { measured, carry, median_kbps, or_more, .. } = self;
        let (now, median) = (stream_bps as f64 / 1e6, *median_kbps as f64 / 1e3);
        let at_least = if *or_more { "at least " } else { "" };
        let others = match audience.saturating_sub(*measured) {
            0 => String::new(),
            others => format!("; of {others} more nothing is known, or they do not pass it on"),
        };
        let instead = match self.proposed(stream_bps) {
            Some(bps) => format!("; at {:.1} Mbit/s it would be {}", bps as f64 / 1e6, self.carrying(bps)),
            None => "; a lower bitrate would hardly change that".to_owned(),
        };
        format!(
            "{now:.1} Mbit/s: of {measured} viewers whose upload was estimated {carry} can send two copies of that (median \
             upload {at_least}{median:.1} Mbit/s){instead}{others}"
        )
    }
}

/// What the bitrate costs, measured by what viewers can pass on; nothing when it is fine.
pub fn upload_advice(outlook: &Outlook, uplinks: &Uplinks, stream_bps: u64) -> Option<String> {
    let audience = outlook.relaying + outlook.not_relaying;
    let share = outlook.not_relaying * 100 / audience.max(1);
    if audience < VIEWERS_MIN || share < NOT_RELAYING_PERCENT || stream_bps == 0 {
        return None;
    }
    if uplinks.measured * 2 >= audience {
        return Some(uplinks.sentence(audience, stream_bps));
    }
    let (now, half) = (stream_bps as f64 / 1e6, stream_bps as f64 / 2e6);
    Some(format!(
        "{now:.1} Mbit/s: {share} % of the viewers do not pass on two copies of that, for want of upload or because they do not \
         want to; with {half:.1} Mbit/s half the upload is enough"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::outlook::outlook;
    use super::super::tests::{node, overview};
    use super::*;

    const STREAM_BPS: u64 = 4_500_000;

    /// Viewers with these uplinks in kilobits per second; 0 is one that does not pass anything on.
    fn audience(kbps: &[u32]) -> Overview {
        let mut nodes = vec![node(0, None)];
        for (id, kbps) in kbps.iter().enumerate() {
            let mut one = node(id as u64 + 1, Some(0));
            one.figures.uplink_kbps = *kbps;
            one.relay = u64::from(*kbps) * 8_000 >= STREAM_BPS * UPLINK_EIGHTHS;
            nodes.push(one);
        }
        overview(nodes)
    }

    fn advice(kbps: &[u32]) -> Option<String> {
        let overview = audience(kbps);
        upload_advice(&outlook(&overview, 1000), &uplinks(&overview, STREAM_BPS), STREAM_BPS)
    }

    #[test]
    fn an_uplink_carries_two_copies_and_an_eighth() {
        let found = uplinks(&audience(&[10_124, 10_125, 50_000, 0]), STREAM_BPS);
        assert_eq!((found.measured, found.carry, found.median_kbps, found.or_more), (3, 2, 10_125, false));
    }

    #[test]
    fn as_much_as_a_measurement_can_tell_is_told_as_at_least() {
        assert!(uplinks(&audience(&[45_000; 3]), STREAM_BPS).or_more);
        assert!(!uplinks(&audience(&[42_000; 3]), STREAM_BPS).or_more);
        assert!(!uplinks(&audience(&[]), 0).or_more, "nothing is known of nobody");
    }

    #[test]
    fn the_advice_says_how_many_can_and_at_which_bitrate_more_could() {
        let text = advice(&[2_000, 7_000, 7_500, 8_000, 9_000, 12_000, 14_000, 20_000, 30_000, 45_000]).unwrap();
        let told = "4.5 Mbit/s: of 10 viewers whose upload was estimated 5 can send two copies of that (median upload 12.0 Mbit/s); at \
                    3.3 Mbit/s it would be 8";
        assert_eq!(text, told);
    }

    #[test]
    fn a_bitrate_is_not_cut_to_nothing_for_those_who_can_hardly_send() {
        let text = advice(&[300, 400, 500, 3_000, 12_000]).unwrap();
        assert!(text.contains("at 1.2 Mbit/s it would be 2"), "{text}");
        let text = advice(&[300, 400, 500, 1_000, 12_000]).unwrap();
        assert!(text.contains("a lower bitrate would hardly change that"), "{text}");
    }

    #[test]
    fn those_of_whom_nothing_is_known_are_told_apart() {
        let text = advice(&[12_000, 12_000, 8_000, 0, 0]).unwrap();
        assert!(
            text.contains("of 3 viewers") && text.ends_with("of 2 more nothing is known, or they do not pass it on"),
            "{text}"
        );
    }

    #[test]
    fn where_few_are_measured_the_share_is_told() {
        assert_eq!(advice(&[12_000, 12_000, 12_000, 12_000, 0]), None);
        assert_eq!(advice(&[0, 0, 12_000]), None, "three viewers are no share");
        let text = advice(&[0, 0, 0, 12_000, 12_000]).unwrap();
        assert!(text.starts_with("4.5 Mbit/s: 60 % of the viewers") && text.contains("2.2 Mbit/s"), "{text}");
    }
}
