//! When to ping, and when a client counts as dead. Pure: the time is handed in.

use std::time::{Duration, Instant};

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing before this moment.
    Wait(Instant),
    /// Send a ping; then ask again.
    Ping,
    /// The client did not answer in time.
    Dead,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    deadline: Instant,
    awaiting_pong: bool,
    extended: bool,
    paused: bool,
}

impl Heartbeat {
    pub(super) fn start(interval: Duration, timeout: Duration, now: Instant) -> Self {
        let deadline = now + interval;
        Self {
            interval,
            timeout,
            deadline,
            awaiting_pong: false,
            extended: false,
            paused: false,
        }
    }

    pub(super) fn check(&mut self, now: Instant) -> Beat {
        if self.paused {
            return Beat::Wait(now + self.interval);
        }
        if now < self.deadline {
            // Never look away for longer than the interval: a pong may bring the next ping forward.
            return Beat::Wait(self.deadline.min(now + self.interval));
        }
        if self.awaiting_pong {
            return Beat::Dead;
        }
        self.awaiting_pong = true;
        self.extended = false;
        // Counted from the moment it was due, so that a timer's lateness gives nobody extra time; unless
        // the whole process slept, in which case the client cannot be blamed.
        let late = now - self.deadline;
        self.deadline = if late < self.timeout / 2 {
            self.deadline
        } else {
            now
        } + self.timeout;
        Beat::Ping
    }

    pub(super) fn pong(&mut self, now: Instant) {
        if self.awaiting_pong {
            self.awaiting_pong = false;
            self.deadline = now + self.interval;
        }
    }

    /// Any other packet shows life as well: it prolongs the wait for a pong, once, so that a long upload
    /// does not look like death.
    pub(super) fn activity(&mut self, now: Instant) {
        if self.awaiting_pong && !self.extended {
            self.extended = true;
            self.deadline = self.deadline.max(now + self.timeout);
        }
    }

    /// Nobody dies during an upgrade, which has a deadline of its own.
    pub(super) fn pause(&mut self) {
        self.paused = true;
    }

    /// The upgrade is over. True when a ping must be sent again, because the old one may have been lost
    /// on the transport that was left.
    pub(super) fn resume(&mut self, now: Instant) -> bool {
        self.paused = false;
        if self.awaiting_pong {
            self.deadline = now + self.timeout;
        }
        self.awaiting_pong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(300);
    const TIMEOUT: Duration = Duration::from_millis(200);

    fn started() -> (Heartbeat, Instant) {
        let now = Instant::now();
        (Heartbeat::start(INTERVAL, TIMEOUT, now), now)
    }

    #[test]
    fn pings_after_the_interval_and_declares_death_after_the_timeout() {
        let (mut heartbeat, start) = started();
        assert_eq!(heartbeat.check(start), Beat::Wait(start + INTERVAL));
        assert_eq!(heartbeat.check(start + INTERVAL), Beat::Ping);
        assert!(matches!(heartbeat.check(start + INTERVAL), Beat::Wait(_)));
        assert_eq!(heartbeat.check(start + INTERVAL + TIMEOUT), Beat::Dead);
    }

    #[test]
    fn a_late_timer_gives_no_extra_time_but_a_stopped_process_does() {
        let (mut heartbeat, start) = started();
        let late = start + INTERVAL + TIMEOUT / 4;
        assert_eq!(heartbeat.check(late), Beat::Ping);
        assert_eq!(heartbeat.check(start + INTERVAL + TIMEOUT), Beat::Dead);

        let (mut heartbeat, start) = started();
        let much_later = start + INTERVAL + TIMEOUT * 10;
        assert_eq!(heartbeat.check(much_later), Beat::Ping);
        assert!(matches!(heartbeat.check(much_later + TIMEOUT / 2), Beat::Wait(_)));
    }

    #[test]
    fn a_pong_starts_the_next_interval_and_an_unasked_one_does_nothing() {
        let (mut heartbeat, start) = started();
        heartbeat.pong(start + INTERVAL / 2);
        assert_eq!(heartbeat.check(start + INTERVAL), Beat::Ping);
        let answered = start + INTERVAL + TIMEOUT / 2;
        heartbeat.pong(answered);
        assert_eq!(heartbeat.check(answered + INTERVAL), Beat::Ping);
    }

    #[test]
    fn other_packets_prolong_the_wait_once() {
        let (mut heartbeat, start) = started();
        assert_eq!(heartbeat.check(start + INTERVAL), Beat::Ping);
        let upload = start + INTERVAL + TIMEOUT / 2;
        heartbeat.activity(upload);
        assert!(matches!(
            heartbeat.check(start + INTERVAL + TIMEOUT),
            Beat::Wait(_)
        ));
        heartbeat.activity(upload + TIMEOUT / 2);
        assert_eq!(heartbeat.check(upload + TIMEOUT), Beat::Dead);
    }

    #[test]
    fn nobody_dies_during_an_upgrade_and_the_ping_is_repeated_after_it() {
        let (mut heartbeat, start) = started();
        assert_eq!(heartbeat.check(start + INTERVAL), Beat::Ping);
        heartbeat.pause();
        let later = start + INTERVAL + TIMEOUT * 3;
        assert!(matches!(heartbeat.check(later), Beat::Wait(_)));
        assert!(heartbeat.resume(later));
        assert!(matches!(heartbeat.check(later), Beat::Wait(_)));
        assert_eq!(heartbeat.check(later + TIMEOUT), Beat::Dead);
    }
}
