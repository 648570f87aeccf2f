//! What all sockets of a run write on, and one socket's ear.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::{histogram::Histogram, packet::Json, socket::Hears, tally::Tally};

/// Hexadecimal digits at the start of each body: when it was sent.
const STAMP: usize = 16;

/// Counters and latencies. Latencies are recorded only while it is measured.
pub(crate) struct Board {
    born: Instant,
    measuring: AtomicBool,
    over: AtomicBool,
    sends: AtomicU64,
    refusals: AtomicU64,
    deliveries: AtomicU64,
    synced: AtomicU64,
    incomplete: AtomicU64,
    /// From the call to its ack.
    pub(crate) acks: Histogram,
    /// From the call to the event at a member.
    pub(crate) arrivals: Histogram,
    progress: Notify,
}

impl Board {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            born: Instant::now(),
            measuring: AtomicBool::new(false),
            over: AtomicBool::new(false),
            sends: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            deliveries: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            incomplete: AtomicU64::new(0),
            acks: Histogram::new(),
            arrivals: Histogram::new(),
            progress: Notify::new(),
        })
    }

    /// Says whether latencies count from now on.
    pub(crate) fn measure(&self, measuring: bool) {
        self.measuring.store(measuring, Ordering::Relaxed);
    }

    /// Tells the senders to stop.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.progress.notify_waiters();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Notes an answered call.
    pub(crate) fn answered(&self, latency: Duration, ok: bool) {
        if !ok {
            self.refusals.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.sends.fetch_add(1, Ordering::Relaxed);
        if self.measuring.load(Ordering::Relaxed) {
            self.acks.record(latency);
        }
    }

    pub(crate) fn sends(&self) -> u64 {
        self.sends.load(Ordering::Relaxed)
    }

    pub(crate) fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    pub(crate) fn deliveries(&self) -> u64 {
        self.deliveries.load(Ordering::Relaxed)
    }

    /// Sockets that have caught up, and those of them that were told of a gap.
    pub(crate) fn synced(&self) -> (u64, u64) {
        (
            self.synced.load(Ordering::Relaxed),
            self.incomplete.load(Ordering::Relaxed),
        )
    }

    /// A body of that length which tells when it was sent.
    pub(crate) fn body(&self, sent: Instant, length: u32) -> String {
        let stamp = sent.duration_since(self.born).as_nanos();
        let mut body = format!("{stamp:0STAMP$x}");
        body.extend(std::iter::repeat_n('x', (length as usize).saturating_sub(STAMP)));
        body
    }

    fn sent_at(&self, body: &[u8]) -> Option<Instant> {
        let digits = std::str::from_utf8(body.get(..STAMP)?).ok()?;
        let stamp = u64::from_str_radix(digits, 16).ok()?;
        self.born.checked_add(Duration::from_nanos(stamp))
    }

    /// Notes a message that a webhook told of.
    pub(crate) fn arrived(&self, body: &[u8], now: Instant) {
        if self.measuring.load(Ordering::Relaxed)
            && let Some(sent) = self.sent_at(body)
        {
            self.arrivals.record(now.saturating_duration_since(sent));
        }
        self.deliveries.fetch_add(1, Ordering::Relaxed);
        self.progress.notify_waiters();
    }

    /// Waits until it is so, looking again whenever something was delivered. False when `patience` ran out.
    pub(crate) async fn until(&self, patience: Duration, condition: impl Fn() -> bool) -> bool {
        let waiting = async {
            loop {
                let progress = self.progress.notified();
                // What happens between the look and the wait is not lost: the notice is asked for before.
                if condition() {
                    return;
                }
                progress.await;
            }
        };
        tokio::time::timeout(patience, waiting).await.is_ok()
    }
}

/// What one socket makes of the events it gets.
pub(crate) struct Ear {
    board: Arc<Board>,
    pub(crate) tally: Tally,
    /// The newest cursor, when they are wanted.
    pub(crate) cursor: Option<String>,
    keeps_cursors: bool,
    fresh: u64,
}

impl Ear {
    pub(crate) fn new(board: &Arc<Board>) -> Self {
        Self {
            board: Arc::clone(board),
            tally: Tally::default(),
            cursor: None,
            keeps_cursors: false,
            fresh: 0,
        }
    }

    /// An ear that remembers cursors.
    pub(crate) fn with_cursors(board: &Arc<Board>) -> Self {
        Self {
            keeps_cursors: true,
            ..Self::new(board)
        }
    }
}

impl Hears for Ear {
    fn hear(&mut self, name: &[u8], json: Json<'_>, now: Instant) {
        match name {
            b"messageAdded" => {
                let seq = json.integer("\"seq\":").unwrap_or(-1);
                let index = json.integer("\"index\":").unwrap_or(-1);
                self.tally.add(seq, index);
                self.fresh += 1;
                if self.board.measuring.load(Ordering::Relaxed)
                    && let Some(sent) = json.text("\"body\":").and_then(|body| self.board.sent_at(body))
                {
                    self.board.arrivals.record(now.saturating_duration_since(sent));
                }
            }
            b"synced" => {
                if json.count("\"complete\":true") == 0 {
                    self.board.incomplete.fetch_add(1, Ordering::Relaxed);
                }
                self.board.synced.fetch_add(1, Ordering::Relaxed);
                self.board.progress.notify_waiters();
            }
            _ => {}
        }
        if self.keeps_cursors
            && let Some(cursor) = json.text("\"cursor\":")
        {
            self.cursor = Some(String::from_utf8_lossy(cursor).into_owned());
        }
    }

    fn rest(&mut self) {
        if self.fresh > 0 {
            self.board
                .deliveries
                .fetch_add(std::mem::take(&mut self.fresh), Ordering::Relaxed);
            self.board.progress.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_tells_when_it_was_sent() {
        let board = Board::new();
        let sent = Instant::now();
        let body = board.body(sent, 100);
        assert_eq!(body.len(), 100);
        assert_eq!(board.sent_at(body.as_bytes()), Some(sent));
        assert_eq!(board.sent_at(b"hello"), None);
    }
}
