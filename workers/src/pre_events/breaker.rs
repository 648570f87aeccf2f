//! Who keeps silent again and again is not asked for a while: nobody waits for an answer that does not come.

use std::time::{Duration, Instant};

/// So many calls in a row without an answer open it.
const SILENCES: u32 = 5;
/// How long it stays open before one call is made to see.
const PAUSE: Duration = Duration::from_secs(10);

/// The breaker of one target.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Calls in a row that got no answer.
    silences: u32,
    /// Until when nobody is asked. Afterwards one is, and the others wait for what comes of it.
    open_until: Option<Instant>,
}

impl Breaker {
    /// Whether a call may be made now. The one that is let through after the pause begins a new pause for all others.
    pub(super) fn lets_through(&mut self, now: Instant) -> bool {
        match self.open_until {
            None => true,
            Some(until) if until > now => false,
            Some(_) => {
                self.open_until = Some(now + PAUSE);
                true
            }
        }
    }

    /// A call has ended. Whether the breaker has opened by it.
    pub(super) fn ended(&mut self, was_silent: bool, now: Instant) -> bool {
        if !was_silent {
            *self = Self::default();
            return false;
        }
        self.silences = self.silences.saturating_add(1);
        if self.silences < SILENCES {
            return false;
        }
        let was_closed = self.open_until.is_none();
        self.open_until = Some(now + PAUSE);
        was_closed
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_new(&self) -> bool {
        self.silences == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_again_and_again_opens_it_and_one_call_is_made_to_see() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for call in 1..=SILENCES {
            assert!(breaker.lets_through(now));
            assert_eq!(breaker.ended(true, now), call == SILENCES);
        }
        assert!(!breaker.lets_through(now));
        let later = now + PAUSE;
        assert!(breaker.lets_through(later), "one call to see");
        assert!(!breaker.lets_through(later), "and only one");
        assert!(!breaker.ended(true, later), "it was open already");
        assert!(!breaker.lets_through(later + PAUSE / 2));
        let much_later = later + PAUSE;
        assert!(breaker.lets_through(much_later));
        breaker.ended(false, much_later);
        assert!(breaker.lets_through(much_later) && breaker.lets_through(much_later));
    }

    #[test]
    fn an_answer_in_between_begins_the_count_anew() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for _ in 1..SILENCES {
            breaker.ended(true, now);
        }
        breaker.ended(false, now);
        assert!(breaker.is_new());
        for _ in 1..SILENCES {
            assert!(!breaker.ended(true, now));
        }
        assert!(breaker.lets_through(now));
    }
}
