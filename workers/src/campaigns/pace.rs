//! So many a second, and not many more in any second.

use std::time::{Duration, Instant};

/// What may be carried over from when nothing was done, in seconds: no second has more than so much too many.
const CARRY: f64 = 0.15;
/// How often a round is made at most, and at least.
const SOON: Duration = Duration::from_millis(20);
const LATE: Duration = Duration::from_millis(100);

/// The pace of a campaign.
#[derive(Debug)]
pub(super) struct Pace {
    rate: f64,
    allowance: f64,
    counted: Instant,
}

impl Pace {
    pub(super) fn new(rate: i32, now: Instant) -> Self {
        Self {
            rate: f64::from(rate.max(1)),
            // The first need not wait.
            allowance: 1.0,
            counted: now,
        }
    }

    /// How many may be worked on now.
    pub(super) fn due(&mut self, now: Instant) -> usize {
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.counted = now;
        let most = (self.rate * CARRY).max(1.0);
        self.allowance = (self.allowance + self.rate * passed).min(most);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small number that is not negative, rounded down"
        )]
        let due = self.allowance.max(0.0) as usize;
        due
    }

    /// So many were worked on.
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    pub(super) fn took(&mut self, count: usize) {
        self.allowance -= count as f64;
    }

    /// When to look again.
    pub(super) fn pause(&self) -> Duration {
        let missing = (1.0 - self.allowance).max(0.0) / self.rate;
        Duration::from_secs_f64(missing).clamp(SOON, LATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many were worked on in each of the first seconds, by rounds that come at these moments.
    fn seconds(rate: i32, rounds: impl Fn(u64) -> u64) -> Vec<usize> {
        let begin = Instant::now();
        let mut pace = Pace::new(rate, begin);
        let mut counts = vec![0; 6];
        let mut at = 0;
        while at < 6000 {
            let due = pace.due(begin + Duration::from_millis(at));
            pace.took(due);
            counts[usize::try_from(at / 1000).unwrap()] += due;
            at += rounds(at);
        }
        counts
    }

    #[test]
    fn every_second_has_as_many_as_it_should() {
        for rate in [1, 2, 7, 50, 1000] {
            for second in &seconds(rate, |_| 37)[1..] {
                let (second, rate) = (*second as f64, f64::from(rate));
                assert!((rate * 0.8..=rate * 1.2).contains(&second), "{rate}: {second}");
            }
        }
    }

    #[test]
    fn what_was_missed_is_not_made_up_for() {
        // Nothing was done in the third second.
        let counts = seconds(100, |at| if (2000..2010).contains(&at) { 1000 } else { 10 });
        assert!(counts[3] <= 120 && counts[4] <= 101, "{counts:?}");
    }
}
