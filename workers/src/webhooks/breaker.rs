//! The breaker of a target: who fails most of the time is left alone for a while, and then asked once.

use std::time::{Duration, Instant};

/// How long failures are remembered.
const SPAN: Duration = Duration::from_secs(60);
/// The fewest calls that say something.
const FEWEST: u32 = 10;
/// The share of failures that opens it, in per cent.
const SHARE: u32 = 70;
/// How long it stays open the first time; each further time twice as long.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest it stays open.
const LONGEST: Duration = Duration::from_secs(30);

/// A target's breaker.
#[derive(Debug, Clone, Default)]
pub(super) struct Breaker {
    /// The calls since then, and how many of them failed.
    since: Option<Instant>,
    calls: u32,
    failures: u32,
    /// Until when it is open. From then on one call is let through.
    open_until: Option<Instant>,
    pause: Duration,
}

impl Breaker {
    /// Until when nobody is to be called, if so.
    pub(super) fn rests(&self, now: Instant) -> Option<Instant> {
        self.open_until.filter(|until| *until > now)
    }

    /// Whether the next call is a trial, which nothing may go beside.
    pub(super) fn is_trial(&self) -> bool {
        self.open_until.is_some()
    }

    /// A call ended. `failed` when nobody answered, or only to say that it cannot.
    pub(super) fn called(&mut self, failed: bool, now: Instant) {
        if self.open_until.is_some() {
            if failed {
                self.open(now);
            } else {
                *self = Self::default();
            }
            return;
        }
        if self
            .since
            .is_none_or(|since| now.saturating_duration_since(since) > SPAN)
        {
            self.since = Some(now);
            self.calls = 0;
            self.failures = 0;
        }
        self.calls += 1;
        self.failures += u32::from(failed);
        if failed && self.calls >= FEWEST && self.failures * 100 >= self.calls * SHARE {
            self.open(now);
        }
    }

    fn open(&mut self, now: Instant) {
        // What was under way when it opened says nothing new.
        if self.rests(now).is_some() {
            return;
        }
        self.pause = (self.pause * 2).clamp(PAUSE, LONGEST);
        self.open_until = Some(now + self.pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_of_ten_calls_have_to_fail() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for call in 0..10 {
            assert!(breaker.rests(now).is_none());
            breaker.called(call >= 3, now);
        }
        assert_eq!(breaker.rests(now), Some(now + PAUSE));
        let mut breaker = Breaker::default();
        for call in 0..40 {
            breaker.called(call % 2 == 0, now);
        }
        assert!(breaker.rests(now).is_none(), "half is not most");
    }

    #[test]
    fn what_was_long_ago_does_not_count() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..9 {
            breaker.called(true, now);
        }
        breaker.called(true, now + SPAN * 2);
        assert!(breaker.rests(now).is_none());
    }

    #[test]
    fn a_trial_closes_it_or_opens_it_for_longer() {
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            breaker.called(true, now);
        }
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            let until = now + Duration::from_secs(pause);
            assert_eq!(breaker.rests(now), Some(until));
            breaker.called(true, now);
            assert_eq!(breaker.rests(now), Some(until), "calls that were under way");
            now = until;
            assert!(breaker.rests(now).is_none() && breaker.is_trial());
            breaker.called(true, now);
        }
        now += LONGEST;
        breaker.called(false, now);
        assert!(!breaker.is_trial() && breaker.rests(now).is_none());
        breaker.called(true, now);
        assert!(breaker.rests(now).is_none(), "it begins anew");
    }
}
