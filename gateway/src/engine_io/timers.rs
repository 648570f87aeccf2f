//! One queue of deadlines for all sessions of a server, served by one task.
//!
//! A session has one live entry at most. Deadlines mostly move away (each pong does it), so an entry is not
//! moved but found early when it fires, and put in again at the right time: about two heap operations per
//! session and ping interval.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    sync::{Arc, Weak},
    time::Instant,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::session::Session;

#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: Mutex<BinaryHeap<Reverse<Entry>>>,
    /// An entry became the earliest.
    earlier: Notify,
}

impl Timers {
    /// Calls [`Session::on_timer`] at, or right after, the given moment.
    pub(super) fn add(&self, at: Instant, session: Weak<Session>) {
        let is_first = {
            let mut heap = self.heap.lock();
            let is_first = heap.peek().is_none_or(|Reverse(first)| at < first.at);
            heap.push(Reverse(Entry { at, session }));
            is_first
        };
        if is_first {
            self.earlier.notify_one();
        }
    }

    /// Serves the deadlines, for ever.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            let earlier = self.earlier.notified();
            for entry in self.due(Instant::now()) {
                if let Some(session) = entry.session.upgrade() {
                    session.on_timer(entry.at);
                }
            }
            let next = self.heap.lock().peek().map(|Reverse(first)| first.at);
            match next {
                Some(at) => {
                    // Either way it is time to look again.
                    let _ = tokio::time::timeout_at(at.into(), earlier).await;
                }
                None => earlier.await,
            }
        }
    }

    fn due(&self, now: Instant) -> Vec<Entry> {
        let mut heap = self.heap.lock();
        let mut due = Vec::new();
        while heap.peek().is_some_and(|Reverse(first)| first.at <= now) {
            due.extend(heap.pop().map(|Reverse(entry)| entry));
        }
        due
    }
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    session: Weak<Session>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}
