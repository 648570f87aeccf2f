//! Gathering: while a thread has many connections to write to, one that was written to a moment ago lets the events
//! that follow wait for a moment, so that a client to whom much is said gets many with one write. The longer
//! connections have to wait for their turn, the longer the moment: what cannot be written at once is better written
//! together. Answers do not wait, nor does the first event after a silence; and a thread that has time writes
//! everything at once.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    task::Waker,
    time::{Duration, Instant},
};

use actix_web::rt;

/// The shortest time between two writes of events to one connection, while the thread has much to do.
const SHORTEST: Duration = Duration::from_millis(2);

/// The longest.
const LONGEST: Duration = Duration::from_millis(128);

/// How long a thread's writes are counted before it is judged by them.
const COUNTED: Duration = Duration::from_millis(4);

/// A thread that writes as often in that time has much to do: a tenth of it, with some 6 us a write.
const BUSY: u32 = 64;

thread_local! {
    static LOAD: Cell<Load> = const { Cell::new(Load::NONE) };
    // One timer for all connections of a thread; nearly in the order in which they are due.
    static WAITING: RefCell<VecDeque<(Instant, Waker)>> = const { RefCell::new(VecDeque::new()) };
}

/// How much a thread writes, and how long connections wait for their turn.
#[derive(Debug, Clone, Copy)]
struct Load {
    since: Option<Instant>,
    writes: u32,
    is_busy: bool,
    /// A running mean.
    wait: Duration,
}

impl Load {
    const NONE: Self = Self {
        since: None,
        writes: 0,
        is_busy: false,
        wait: Duration::ZERO,
    };

    /// A connection was written to; what it wrote had waited for so long for nothing but its turn.
    fn wrote(self, now: Instant, waited: Option<Duration>) -> Self {
        let wait = waited.map_or(self.wait, |waited| (self.wait * 63 + waited.min(LONGEST)) / 64);
        let age = self.since.map(|since| now.saturating_duration_since(since));
        match age {
            Some(age) if age < COUNTED => Self {
                writes: self.writes + 1,
                wait,
                ..self
            },
            _ => Self {
                since: Some(now),
                writes: 1,
                // Less than that ago it was still being counted; much longer ago, nothing was written since.
                is_busy: self.writes >= BUSY && age.is_some_and(|age| age < 2 * COUNTED),
                wait,
            },
        }
    }

    /// How long after a write the next may come.
    fn pause(self) -> Duration {
        (2 * self.wait).clamp(SHORTEST, LONGEST)
    }
}

/// When a connection was last written to.
#[derive(Debug, Default)]
pub(super) struct LastWrite(Option<Instant>);

impl LastWrite {
    /// It is written to now; `since` is when the first of what is written began to wait, if it did for nothing but its
    /// turn.
    pub(super) fn set(&mut self, since: Option<Instant>) {
        let now = Instant::now();
        self.0 = Some(now);
        let waited = since.map(|since| now.saturating_duration_since(since));
        LOAD.set(LOAD.get().wrote(now, waited));
    }

    /// Until when events that come now are to gather.
    pub(super) fn gathers_until(&self) -> Option<Instant> {
        let load = LOAD.get();
        let due = self.0.filter(|_| load.is_busy)? + load.pause();
        (due > Instant::now()).then_some(due)
    }
}

/// Wakes the connection, which is one of this thread's, about then.
pub(super) fn wake_at(due: Instant, waker: &Waker) {
    let is_first = WAITING.with_borrow_mut(|waiting| {
        waiting.push_back((due, waker.clone()));
        waiting.len() == 1
    });
    if is_first {
        rt::spawn(async {
            while let Some(due) = WAITING.with_borrow(|waiting| waiting.front().map(|(due, _)| *due)) {
                rt::time::sleep_until(due.into()).await;
                wake_due(Instant::now());
            }
        });
    }
}

fn wake_due(now: Instant) {
    let due: Vec<Waker> = WAITING.with_borrow_mut(|waiting| {
        let due = waiting.iter().take_while(|(due, _)| *due <= now).count();
        waiting.drain(..due).map(|(_, waker)| waker).collect()
    });
    due.into_iter().for_each(Waker::wake);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(load: Load, start: Instant, times: u32, pause: Duration, waited: Duration) -> (Load, Instant) {
        (0..times).fold((load, start), |(load, now), _| {
            (load.wrote(now, Some(waited)), now + pause)
        })
    }

    #[test]
    fn a_thread_is_busy_while_it_writes_often() {
        let start = Instant::now();
        let (seldom, _) = written(Load::NONE, start, 100, Duration::from_micros(500), Duration::ZERO);
        assert!(!seldom.is_busy);
        let (often, now) = written(Load::NONE, start, 1000, Duration::from_micros(20), Duration::ZERO);
        assert!(often.is_busy);
        let (rested, now) = written(often, now + 3 * COUNTED, 1, Duration::ZERO, Duration::ZERO);
        assert!(!rested.is_busy);
        let (calm, _) = written(rested, now, 50, Duration::from_micros(500), Duration::ZERO);
        assert!(!calm.is_busy);
    }

    #[test]
    fn events_gather_for_longer_while_connections_wait_for_their_turn() {
        let start = Instant::now();
        let every = Duration::from_micros(20);
        let (quick, now) = written(Load::NONE, start, 1000, every, Duration::from_micros(100));
        assert_eq!(quick.pause(), SHORTEST);
        let (late, now) = written(quick, now, 1000, every, Duration::from_millis(20));
        assert!(late.pause() > Duration::from_millis(35), "{:?}", late.pause());
        let (overrun, now) = written(late, now, 1000, every, Duration::from_secs(3));
        assert!(overrun.pause() <= LONGEST);
        let (recovered, _) = written(overrun, now, 1000, every, Duration::from_micros(100));
        assert_eq!(recovered.pause(), SHORTEST);
    }
}
