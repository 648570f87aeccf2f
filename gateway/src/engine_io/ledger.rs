//! How much memory everything takes that waits for, or from, the clients of an endpoint, and how much it may.
//!
//! A session's queue is limited by what waits in it. That alone would be no limit for the process: twenty thousand
//! clients that do not read, with a mebibyte each, are 20 GiB. What is counted here is what is really held: the text
//! of an event that waits for many clients is there once, and is counted once, for as long as somebody holds it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use bytestring::ByteString;
use parking_lot::Mutex;

/// How long room is not made again after an attempt that made none.
const PAUSE: Duration = Duration::from_millis(50);

/// The bytes of all sessions together.
#[derive(Debug)]
pub(super) struct Ledger {
    bytes: AtomicUsize,
    limit: usize,
    /// When somebody last tried to make room in vain.
    relief: Mutex<Option<Instant>>,
}

impl Ledger {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes: AtomicUsize::new(0),
            limit,
            relief: Mutex::new(None),
        })
    }

    /// How much is held now.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether it is more than may be.
    pub(super) fn is_over(&self) -> bool {
        self.bytes() > self.limit
    }

    /// Whether enough has been given up: a quarter is free, so that not every next message asks for relief again.
    pub(super) fn is_relieved(&self) -> bool {
        self.bytes() <= self.limit / 4 * 3
    }

    /// Makes room, unless somebody does already, or has just tried in vain: looking at all sessions takes its time.
    pub(super) fn relieve(&self, make_room: impl FnOnce()) {
        let Some(mut vain) = self.relief.try_lock() else {
            return;
        };
        if vain.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        make_room();
        *vain = self.is_over().then(Instant::now);
    }

    /// Counts a text, once, for as long as anybody holds it.
    pub(super) fn share(self: &Arc<Self>, text: ByteString) -> Shared {
        let mut charge = Charge::new(self);
        charge.set(text.len());
        let counted = Bytes::from_owner(Counted {
            text,
            _charge: charge,
        });
        // It is the text it was, so this never fails.
        Shared(ByteString::try_from(counted).unwrap_or_default())
    }
}

/// Somebody's part of what is held; given back when it is dropped.
pub(super) struct Charge {
    ledger: Arc<Ledger>,
    bytes: usize,
}

impl Charge {
    pub(super) fn new(ledger: &Arc<Ledger>) -> Self {
        Self {
            ledger: Arc::clone(ledger),
            bytes: 0,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn set(&mut self, bytes: usize) {
        if bytes == self.bytes {
            return;
        }
        if bytes > self.bytes {
            self.ledger.bytes.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            self.ledger.bytes.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Charge({})", self.bytes)
    }
}

struct Counted {
    text: ByteString,
    _charge: Charge,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// A text packet for many clients, whose memory is counted once. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shared(ByteString);

impl Shared {
    pub(super) fn into_text(self) -> ByteString {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_text_is_counted_once_and_until_nobody_holds_it() {
        let ledger = Ledger::new(100);
        let shared = ledger.share("x".repeat(60).into());
        let copies = [shared.clone(), shared.clone()];
        drop(shared);
        assert_eq!(ledger.bytes(), 60);
        assert_eq!(copies[1].clone().into_text().len(), 60);
        drop(copies);
        assert_eq!(ledger.bytes(), 0);
    }

    #[test]
    fn charges_follow_their_holders() {
        let ledger = Ledger::new(100);
        let (mut first, mut second) = (Charge::new(&ledger), Charge::new(&ledger));
        first.set(80);
        second.set(30);
        assert!(ledger.is_over());
        first.set(50);
        assert!(!ledger.is_over() && !ledger.is_relieved());
        drop(second);
        assert_eq!(ledger.bytes(), 50);
        assert!(ledger.is_relieved());
    }

    #[test]
    fn one_makes_room_at_a_time_and_not_again_at_once_if_that_was_in_vain() {
        let ledger = Ledger::new(10);
        let made = AtomicUsize::new(0);
        let make = || {
            made.fetch_add(1, Ordering::Relaxed);
        };
        ledger.relieve(|| ledger.relieve(make));
        assert_eq!(made.load(Ordering::Relaxed), 0);
        ledger.relieve(make);
        ledger.relieve(make);
        assert_eq!(made.load(Ordering::Relaxed), 2);
        let mut charge = Charge::new(&ledger);
        charge.set(11);
        ledger.relieve(make);
        ledger.relieve(make);
        assert_eq!(made.load(Ordering::Relaxed), 3);
    }
}
