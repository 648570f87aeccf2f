//! How many calls a target may have at once, and whether it is one of the slow.

use std::time::{Duration, Instant};

/// What an unknown target begins with.
const FIRST: f64 = 8.0;
/// What none exceeds.
const MOST: f64 = 64.0;
/// How much each answer opens.
const OPENING: f64 = 0.5;
/// Who takes longer than this is slow.
const SLOW: Duration = Duration::from_millis(500);
/// How much a new duration counts for against those before.
const WEIGHT: f64 = 0.2;

/// How a target answers.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    limit: f64,
    /// How long its answers take, on average; unknown before the first.
    took: Option<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            limit: FIRST,
            took: None,
        }
    }
}

impl Pace {
    /// How many calls it may have at once.
    pub(super) fn limit(&self) -> usize {
        // Between 1 and 64.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it lies between 1 and MOST"
        )]
        let limit = self.limit as usize;
        limit
    }

    /// It answered, or did not; `overloaded` when it is better called less.
    pub(super) fn answered(&mut self, took: Duration, overloaded: bool) {
        self.took = Some(match self.took {
            None => took,
            Some(before) => before.mul_f64(1.0 - WEIGHT) + took.mul_f64(WEIGHT),
        });
        self.limit = if overloaded {
            (self.limit / 2.0).max(1.0)
        } else {
            (self.limit + OPENING).min(MOST)
        };
    }

    /// Whether it is slow, or not known to be quick. `oldest` is when the oldest of its calls began.
    pub(super) fn is_slow(&self, oldest: Option<Instant>, now: Instant) -> bool {
        self.took.is_none_or(|took| took > SLOW)
            || oldest.is_some_and(|began| now.saturating_duration_since(began) > SLOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(5);

    #[test]
    fn who_answers_gets_more_and_who_is_overloaded_gets_half() {
        let mut pace = Pace::default();
        assert_eq!(pace.limit(), 8);
        for _ in 0..200 {
            pace.answered(QUICK, false);
        }
        assert_eq!(pace.limit(), 64);
        pace.answered(QUICK, true);
        assert_eq!(pace.limit(), 32);
        for _ in 0..20 {
            pace.answered(QUICK, true);
        }
        assert_eq!(pace.limit(), 1, "it is never given up");
    }

    #[test]
    fn a_target_is_slow_until_it_has_answered_quickly() {
        let mut pace = Pace::default();
        let now = Instant::now();
        assert!(pace.is_slow(None, now));
        pace.answered(QUICK, false);
        assert!(!pace.is_slow(Some(now), now));
        assert!(pace.is_slow(Some(now), now + SLOW + QUICK), "it hangs");
        for _ in 0..5 {
            pace.answered(Duration::from_secs(4), false);
        }
        assert!(pace.is_slow(None, now));
    }
}
