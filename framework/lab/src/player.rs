//! The lab's player: what of a stream a viewer saw in time. [`crate::report::Viewing`] says by which rule.

use peerstream_protocol::id::Seq;
use peerstream_protocol::time::Micros;

/// Nothing is played for this long after the first segment came.
const STARTING: Micros = Micros::from_millis(300);
/// The least playout target, and the most (`docs/playout.md`).
const TARGET: (Micros, Micros) = (Micros::from_millis(400), Micros::from_millis(1_000));
/// The playout delay is left alone within this distance of where it should be.
const DEAD_ZONE: u64 = 50_000;
/// Beyond this distance the player seeks.
const SEEK: u64 = 1_500_000;
/// A player whose segments were all late for this long starts anew.
const DRY: Micros = Micros::from_secs(1);
/// Who has had a first segment for this long is no newcomer any more.
const SETTLED: Micros = Micros::from_secs(10);

/// What one viewer saw.
#[derive(Clone, Debug, Default)]
pub struct Player {
    /// Nothing before that time counts.
    pub measured_from: Micros,
    /// Segments that were due.
    pub due: u64,
    /// Of those, late or never whole.
    pub lost: u64,
    /// Both again, from ten seconds after the first segment on.
    pub settled: (u64, u64),
    /// Freezes.
    pub freezes: u32,
    /// The longest one, in segments.
    pub longest_freeze: u64,
    /// When the last freeze ended; the present one's last loss while it lasts.
    pub freeze_ended: Micros,
    /// The longest one since [`Self::mark`], in segments.
    pub longest_since_mark: u64,
    /// Segments of the present freeze.
    pub freezing: u64,
    /// From the source's clock to the screen, once it plays.
    pub delay: Option<Micros>,
    /// Lag of the last segment that came.
    pub lag: Micros,
    /// The playout target: given, or following the node's latency L.
    target: Option<Micros>,
    hop: Micros,
    first_at: Option<Micros>,
    /// The next segment to judge.
    next: Seq,
    late_since: Option<Micros>,
    /// The least lag in this second and in the one before.
    least: [Micros; 2],
    least_since: Micros,
}

impl Player {
    /// Fixes the playout target.
    pub fn set_target(&mut self, target: Option<Micros>) {
        self.target = target;
    }

    /// Whether it has just begun, when the node's *latency L* changes fast.
    pub fn is_new(&self, now: Micros) -> bool {
        self.first_at.is_none_or(|first| now.since(first) < SETTLED)
    }

    /// The node's *latency L* now.
    pub fn set_hop(&mut self, hop: Micros) {
        self.hop = hop;
    }

    fn target(&self) -> Micros {
        self.target.unwrap_or_else(|| Micros(self.hop.0 * 4).clamp(TARGET.0, TARGET.1))
    }

    /// The longest freeze is looked for anew.
    pub fn mark(&mut self) {
        (self.longest_since_mark, self.freezing) = (0, 0);
    }

    /// Nothing before now counts any more.
    pub fn measure_from(&mut self, now: Micros) {
        self.measured_from = now;
        (self.due, self.lost, self.freezes, self.longest_freeze) = (0, 0, 0, 0);
        self.settled = (0, 0);
    }

    /// The viewer goes elsewhere: nothing is due until it is back, and then it starts anew.
    pub(crate) fn leave(&mut self) {
        (self.delay, self.first_at, self.late_since, self.freezing) = (None, None, None, 0);
    }

    /// Whether it is past the backlog a newcomer is sent first.
    pub fn is_live(&self) -> bool {
        self.delay.is_some()
    }

    /// A segment came, in order.
    pub(crate) fn on_segment(&mut self, seq: Seq, now: Micros, produced: &[Micros], segment: Micros) {
        let Some(at) = produced.get(seq.0 as usize) else { return };
        self.lag = now.since(*at);
        self.note_least(now);
        let Some(delay) = self.delay else { return self.start(seq, now) };
        let in_time = self.lag <= delay;
        if seq >= self.next {
            self.judge_missing(self.next, seq, now);
            self.judge(in_time, now);
            self.next = seq.next();
        }
        if in_time {
            self.late_since = None;
        } else {
            let since = *self.late_since.get_or_insert(now);
            if now.since(since) > DRY {
                self.late_since = None;
                self.delay = Some(self.wanted());
            }
        }
        self.drift(segment);
    }

    /// Segments are given up.
    pub(crate) fn on_skip(&mut self, from: Seq, to: Seq, now: Micros, produced: &[Micros]) {
        if self.delay.is_some() && to > self.next && from.0 < produced.len() as u64 {
            self.judge_missing(self.next, to, now);
            self.next = to;
        }
    }

    /// What was due and has not come is lost.
    pub(crate) fn judge_overdue(&mut self, now: Micros, produced: &[Micros]) {
        let Some(delay) = self.delay else { return };
        while produced.get(self.next.0 as usize).is_some_and(|at| *at + delay < now) {
            self.judge(false, now);
            self.next = self.next.next();
        }
    }

    fn start(&mut self, seq: Seq, now: Micros) {
        let first = *self.first_at.get_or_insert(now);
        if now.since(first) >= STARTING {
            self.delay = Some(self.wanted());
            self.next = seq.next();
        }
    }

    /// The target behind the newest segment that it can count on.
    fn wanted(&self) -> Micros {
        self.least[0].min(self.least[1]) + self.target()
    }

    fn note_least(&mut self, now: Micros) {
        if self.least_since == Micros(0) {
            (self.least, self.least_since) = ([self.lag; 2], now);
        }
        if now.since(self.least_since) >= Micros::from_secs(1) {
            (self.least, self.least_since) = ([self.lag, self.least[0]], now);
        }
        self.least[0] = self.least[0].min(self.lag);
    }

    /// Plays a little faster or slower, by at most 5 %.
    fn drift(&mut self, segment: Micros) {
        let wanted = self.wanted();
        let Some(delay) = &mut self.delay else { return };
        let step = segment.0 / 20;
        *delay = match delay.0.abs_diff(wanted.0) {
            near if near <= DEAD_ZONE => *delay,
            far if far > SEEK && *delay > wanted => wanted,
            _ if *delay > wanted => Micros(delay.0 - step.min(delay.0)),
            _ => *delay + Micros(step),
        };
    }

    fn judge_missing(&mut self, from: Seq, to: Seq, now: Micros) {
        (from.0..to.0).for_each(|_| self.judge(false, now));
    }

    fn judge(&mut self, in_time: bool, now: Micros) {
        if now < self.measured_from {
            return;
        }
        self.due += 1;
        if !self.is_new(now) {
            self.settled = (self.settled.0 + 1, self.settled.1 + u64::from(!in_time));
        }
        if in_time {
            self.freezing = 0;
            return;
        }
        self.lost += 1;
        self.freezes += u32::from(self.freezing == 0);
        self.freezing += 1;
        self.freeze_ended = now;
        self.longest_freeze = self.longest_freeze.max(self.freezing);
        self.longest_since_mark = self.longest_since_mark.max(self.freezing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: Micros = Micros::from_millis(200);

    /// A viewer whose segments come this late, each.
    fn watch(lags_ms: &[u64]) -> Player {
        let mut player = Player::default();
        player.set_target(Some(Micros::from_millis(600)));
        let produced: Vec<_> = (1..=lags_ms.len() as u64).map(|n| Micros(SEGMENT.0 * n)).collect();
        let mut now = Micros(0);
        for (index, lag) in lags_ms.iter().enumerate() {
            now = now.max(produced[index] + Micros::from_millis(*lag));
            player.on_segment(Seq(index as u64), now, &produced, SEGMENT);
        }
        player
    }

    #[test]
    fn segments_in_time_are_not_lost() {
        let player = watch(&[100; 50]);
        assert_eq!((player.due, player.lost), (47, 0));
    }

    #[test]
    fn an_outage_of_three_seconds_costs_what_the_buffer_does_not_cover() {
        let mut lags = vec![100; 60];
        (0..15).for_each(|n| lags[20 + n] = 3_100 - 200 * n as u64);
        let player = watch(&lags);
        assert_eq!((player.freezes, player.lost), (1, 12), "3.0 s of outage, 0.6 s of buffer");
    }

    #[test]
    fn a_deeper_place_costs_one_pause_and_no_more() {
        let lags: Vec<_> = (0..100).map(|n| if n < 30 { 100 } else { 1_500 }).collect();
        let player = watch(&lags);
        assert!((1..=12).contains(&player.lost), "{} lost", player.lost);
        assert_eq!(player.freezing, 0, "it plays again");
    }

    #[test]
    fn what_was_due_when_a_viewer_leaves_is_lost() {
        let mut player = watch(&[100; 20]);
        let produced: Vec<_> = (1..=40_u64).map(|n| Micros(SEGMENT.0 * n)).collect();
        player.judge_overdue(Micros(SEGMENT.0 * 40), &produced);
        assert_eq!(player.lost, 16, "4.0 s less 0.7 s");
    }
}
