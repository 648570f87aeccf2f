//! Which reports are stored now, and which wait for the end of their member's window.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::{Key, Report};

/// What can wait in a window.
pub(super) trait Waiting {
    fn key(&self) -> &Key;
    fn index(&self) -> i64;
}

impl Waiting for Report {
    fn key(&self) -> &Key {
        &self.key
    }

    fn index(&self) -> i64 {
        self.index
    }
}

/// The windows that are open: members whose horizon was stored a moment ago.
pub(super) struct Windows<R> {
    length: Duration,
    open: HashMap<Key, Window<R>>,
    /// In the order in which they end, since all are as long; one that was opened anew has a second entry.
    ends: VecDeque<(Instant, Key)>,
}

struct Window<R> {
    end: Instant,
    /// How far the horizon was moved.
    stored: i64,
    waiting: Vec<R>,
}

impl<R: Waiting> Windows<R> {
    pub(super) fn new(length: Duration) -> Self {
        Self {
            length,
            open: HashMap::new(),
            ends: VecDeque::new(),
        }
    }

    /// Takes a report; gives it back when it is due now, as it is when it moves nothing.
    pub(super) fn take(&mut self, report: R) -> Option<R> {
        match self.open.get_mut(report.key()) {
            Some(window) if window.stored < report.index() => {
                window.waiting.push(report);
                None
            }
            _ => Some(report),
        }
    }

    /// A member's horizon was stored.
    pub(super) fn open(&mut self, key: Key, stored: i64, now: Instant) {
        let end = now + self.length;
        match self.open.get_mut(&key) {
            Some(window) => {
                window.stored = window.stored.max(stored);
                // Several reports of one member may have been stored together.
                if window.end == end {
                    return;
                }
                window.end = end;
            }
            None => {
                let window = Window {
                    end,
                    stored,
                    waiting: Vec::new(),
                };
                self.open.insert(key.clone(), window);
            }
        }
        self.ends.push_back((end, key));
    }

    /// When the next window ends.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.ends.front().map(|(end, _)| *end)
    }

    /// Closes the windows that have ended; answers what waited in them.
    pub(super) fn due(&mut self, now: Instant) -> Vec<R> {
        let mut due = Vec::new();
        while self.ends.front().is_some_and(|(end, _)| *end <= now) {
            let Some((end, key)) = self.ends.pop_front() else {
                break;
            };
            if self.open.get(&key).is_some_and(|window| window.end == end)
                && let Some(window) = self.open.remove(&key)
            {
                due.extend(window.waiting);
            }
        }
        due
    }

    /// What waits in these windows, which stay open.
    pub(super) fn hurry(&mut self, chosen: impl Fn(&Key) -> bool) -> Vec<R> {
        self.open
            .iter_mut()
            .filter(|(key, window)| !window.waiting.is_empty() && chosen(key))
            .flat_map(|(_, window)| window.waiting.drain(..))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        input::ChannelRef,
        sid::{ChannelSid, ServiceSid},
    };

    const LENGTH: Duration = Duration::from_millis(500);

    #[derive(Debug, Clone, PartialEq)]
    struct Said(Key, i64);

    impl Waiting for Said {
        fn key(&self) -> &Key {
            &self.0
        }

        fn index(&self) -> i64 {
            self.1
        }
    }

    fn key(identity: &str) -> Key {
        Key {
            service: ServiceSid::generate(),
            identity: identity.to_owned(),
            channel: ChannelRef::Sid(ChannelSid::generate()),
        }
    }

    #[test]
    fn a_first_report_is_due_and_those_behind_it_wait() {
        let (alice, bob, began) = (key("alice"), key("bob"), Instant::now());
        let mut windows = Windows::new(LENGTH);
        let said = |key: &Key, index| Said(key.clone(), index);
        assert_eq!(windows.take(said(&alice, 3)), Some(said(&alice, 3)));
        windows.open(alice.clone(), 3, began);
        assert_eq!(windows.take(said(&alice, 4)), None);
        assert_eq!(windows.take(said(&alice, 6)), None);
        assert_eq!(
            windows.take(said(&alice, 3)),
            Some(said(&alice, 3)),
            "moves nothing"
        );
        assert_eq!(
            windows.take(said(&bob, 4)),
            Some(said(&bob, 4)),
            "another's window"
        );
        assert_eq!(windows.due(began + LENGTH / 2), []);
        assert_eq!(windows.next_end(), Some(began + LENGTH));
        assert_eq!(windows.due(began + LENGTH), [said(&alice, 4), said(&alice, 6)]);
        assert_eq!(windows.next_end(), None);
        assert!(windows.open.is_empty());
    }

    #[test]
    fn a_window_that_is_opened_anew_ends_later() {
        let (alice, began) = (key("alice"), Instant::now());
        let mut windows = Windows::new(LENGTH);
        windows.open(alice.clone(), 3, began);
        assert_eq!(windows.take(Said(alice.clone(), 4)), None);
        assert_eq!(windows.hurry(|_| true), [Said(alice.clone(), 4)]);
        windows.open(alice.clone(), 4, began + LENGTH / 2);
        windows.open(alice.clone(), 4, began + LENGTH / 2);
        assert_eq!(windows.ends.len(), 2, "stored together");
        assert_eq!(windows.take(Said(alice.clone(), 5)), None);
        assert_eq!(windows.due(began + LENGTH), []);
        assert_eq!(windows.due(began + LENGTH + LENGTH / 2), [Said(alice, 5)]);
        assert!(windows.open.is_empty() && windows.ends.is_empty());
    }
}
