//! Gathering: while a thread has many connections to write to, one that was written to a moment ago lets the events
//! that follow wait for a moment, so that a client to whom much is said gets many with one write. Answers do not wait,
//! nor does the first event after a silence; and a thread that has time writes everything at once.

use std::{
    cell::{Cell, RefCell},
    task::Waker,
    time::{Duration, Instant},
};

use actix_web::rt;

/// So long after a write, events wait for the next.
const WARM: Duration = Duration::from_millis(2);

/// So long they wait, or up to a millisecond more: that is how fine the timer is.
const WAIT: Duration = Duration::from_millis(1);

/// How long a thread's writes are counted before it is judged by them.
const WINDOW: Duration = Duration::from_millis(4);

/// A thread that writes as often in a window has much to do: a tenth of its time, with some 6 us a write.
const BUSY: u32 = 64;

thread_local! {
    // One timer for all connections of a thread.
    static WAITING: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
    static LOAD: Cell<Load> = const { Cell::new(Load { since: None, writes: 0, is_busy: false }) };
}

/// How much a thread writes.
#[derive(Debug, Clone, Copy)]
struct Load {
    since: Option<Instant>,
    writes: u32,
    is_busy: bool,
}

impl Load {
    fn wrote(self, now: Instant) -> Self {
        let age = self.since.map(|since| now.saturating_duration_since(since));
        match age {
            Some(age) if age < WINDOW => Self {
                writes: self.writes + 1,
                ..self
            },
            _ => Self {
                since: Some(now),
                writes: 1,
                // Less than a window ago it was still being counted; longer ago, nothing was written since.
                is_busy: self.writes >= BUSY && age.is_some_and(|age| age < 2 * WINDOW),
            },
        }
    }
}

/// When a connection was last written to.
#[derive(Debug, Default)]
pub(super) struct Warmth(Option<Instant>);

impl Warmth {
    pub(super) fn wrote(&mut self) {
        let now = Instant::now();
        self.0 = Some(now);
        LOAD.set(LOAD.get().wrote(now));
    }

    /// Whether what comes now is to gather.
    pub(super) fn gathers(&self) -> bool {
        LOAD.get().is_busy && self.0.is_some_and(|at| at.elapsed() < WARM)
    }
}

/// Wakes the connection, which is one of this thread's, in a moment.
pub(super) fn wake_soon(waker: &Waker) {
    let is_first = WAITING.with_borrow_mut(|waiting| {
        waiting.push(waker.clone());
        waiting.len() == 1
    });
    if is_first {
        rt::spawn(async {
            rt::time::sleep(WAIT).await;
            let waiting = WAITING.with_borrow_mut(std::mem::take);
            waiting.into_iter().for_each(Waker::wake);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(load: Load, start: Instant, times: u32, pause: Duration) -> (Load, Instant) {
        (0..times).fold((load, start), |(load, now), _| (load.wrote(now), now + pause))
    }

    #[test]
    fn a_thread_is_busy_while_it_writes_often() {
        let idle = LOAD.get();
        let start = Instant::now();
        let (seldom, _) = written(idle, start, 100, Duration::from_micros(500));
        assert!(!seldom.is_busy);
        let (often, now) = written(idle, start, 1000, Duration::from_micros(20));
        assert!(often.is_busy);
        let (rested, now) = written(often, now + 3 * WINDOW, 1, Duration::ZERO);
        assert!(!rested.is_busy);
        let (calm, _) = written(often, now, 50, Duration::from_micros(500));
        assert!(!calm.is_busy);
    }
}
