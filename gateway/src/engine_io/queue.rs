//! The bounded queue in which messages wait for one client.

use std::{collections::VecDeque, mem, sync::Arc, time::Instant};

use super::{
    ledger::{Charge, Ledger},
    outgoing::Outgoing,
    payload::PayloadWriter,
};

/// Most packets in one polling answer: python-engineio drops the connection over more.
pub(super) const MAX_POLLING_PACKETS: usize = 16;

/// A polling answer that is as long takes no further message. It waits in buffers where nobody can take it back from
/// a client that does not read; so little fits into the kernel's.
const POLLING_TARGET: usize = 16 * 1024;

/// So much of what a client holds up is not counted in the ledger: who reads holds up less, and the ledger is one place
/// that all threads write to.
const UNCOUNTED: usize = 1024;

/// A freed queue keeps room for this many messages at most.
const RETAINED_CAPACITY: usize = 8;

/// What became of a message that was offered to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    Queued,
    /// It was volatile and there was no room.
    Dropped,
    /// There is no room even without the volatile messages: the client must be cut off.
    Overflow,
}

/// Messages waiting for one client, limited by their bytes. Empty, it owns next to nothing.
#[derive(Debug)]
pub(super) struct OutboundQueue {
    messages: VecDeque<Outgoing>,
    bytes: usize,
    volatile: usize,
    urgent: usize,
    /// So many bytes of the first message's frames have been sent.
    sent: usize,
    /// Since when the first message waits, or when the transport last took something.
    since: Option<Instant>,
    /// The memory of the messages.
    held: usize,
    charge: Charge,
}

/// Messages on their way into the kernel: as bytes, and as they were, for what it does not take.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    /// Each with the place where its frames end.
    messages: Vec<(Outgoing, usize)>,
    /// Where the first one's frames begin.
    start: usize,
    /// So much of the first one had been sent before.
    sent: usize,
    since: Option<Instant>,
    /// They waited for something else than their turn: for the client to read, or for more of their kind.
    pub(super) is_excused: bool,
}

impl Chunk {
    /// Since when the first message waits, if it does for nothing but its turn.
    pub(super) fn waits_for_its_turn_since(&self) -> Option<Instant> {
        self.since.filter(|_| !self.is_excused)
    }

    /// How many of the messages end within so many bytes.
    pub(super) fn messages_within(&self, written: usize) -> usize {
        self.messages
            .iter()
            .take_while(|(_, end)| *end <= written)
            .count()
    }

    /// Forgets what was written; keeps the buffers for the next connection, unless one had to hold a giant message.
    pub(super) fn recycle(&mut self, most: usize) {
        self.messages.clear();
        self.bytes.clear();
        if self.bytes.capacity() > most {
            self.bytes = Vec::new();
        }
        (self.start, self.sent, self.since, self.is_excused) = (0, 0, None, false);
    }
}

impl OutboundQueue {
    pub(super) fn new(ledger: &Arc<Ledger>) -> Self {
        Self {
            messages: VecDeque::new(),
            bytes: 0,
            volatile: 0,
            urgent: 0,
            sent: 0,
            since: None,
            held: 0,
            charge: Charge::new(ledger),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The memory that is freed when the client does not wait any more.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    fn hold(&mut self, held: usize) {
        self.held = held;
        self.charge.set(if held > UNCOUNTED { held } else { 0 });
    }

    pub(super) fn waits_since(&self) -> Option<Instant> {
        self.since
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether what waits may wait a little longer for more of its kind: nothing urgent, nothing half sent, and less
    /// than fills a write.
    pub(super) fn may_gather(&self, target: usize) -> bool {
        self.urgent == 0 && self.sent == 0 && self.bytes < target
    }

    pub(super) fn push(&mut self, message: Outgoing, limit: usize) -> Pushed {
        let cost = message.cost();
        if self.is_over(cost, limit) {
            self.drop_volatile();
        }
        if self.is_over(cost, limit) {
            return if message.is_volatile() {
                Pushed::Dropped
            } else {
                Pushed::Overflow
            };
        }
        if self.messages.is_empty() {
            self.since = Some(Instant::now());
        }
        self.count(&message);
        self.messages.push_back(message);
        Pushed::Queued
    }

    fn is_over(&self, cost: usize, limit: usize) -> bool {
        !self.messages.is_empty() && self.bytes + cost > limit
    }

    fn count(&mut self, message: &Outgoing) {
        self.bytes += message.cost();
        self.volatile += usize::from(message.is_volatile());
        self.urgent += usize::from(message.is_urgent());
        self.hold(self.held + message.held());
    }

    /// Drops the messages that may be dropped, but for one that the client has the beginning of.
    pub(super) fn drop_volatile(&mut self) {
        if self.volatile == 0 {
            return;
        }
        let begun = self.begun();
        let mut place = 0;
        self.messages.retain(|message| {
            place += 1;
            place <= begun || !message.is_volatile()
        });
        self.recount();
    }

    /// Forgets everything that the client has nothing of yet.
    pub(super) fn forget_unsent(&mut self) {
        self.messages.truncate(self.begun());
        self.messages.shrink_to_fit();
        self.recount();
    }

    fn begun(&self) -> usize {
        usize::from(self.sent > 0)
    }

    fn recount(&mut self) {
        self.bytes = self.messages.iter().map(Outgoing::cost).sum();
        self.volatile = self
            .messages
            .iter()
            .filter(|message| message.is_volatile())
            .count();
        self.urgent = self.messages.iter().filter(|message| message.is_urgent()).count();
        self.hold(self.messages.iter().map(Outgoing::held).sum());
        if self.messages.is_empty() {
            self.since = None;
        }
    }

    fn pop(&mut self) -> Option<Outgoing> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.cost();
        self.volatile -= usize::from(message.is_volatile());
        self.urgent -= usize::from(message.is_urgent());
        self.hold(self.held - message.held());
        if self.messages.is_empty() && self.messages.capacity() > RETAINED_CAPACITY {
            self.messages = VecDeque::new();
        }
        Some(message)
    }

    fn took(&mut self) {
        self.since = (!self.messages.is_empty()).then(Instant::now);
    }

    /// Forgets everything and frees the memory.
    pub(super) fn clear(&mut self) {
        self.messages = VecDeque::new();
        self.sent = 0;
        self.recount();
    }

    /// Moves as many whole messages into a polling answer as it may hold.
    pub(super) fn drain_payload(&mut self, payload: &mut PayloadWriter) {
        while let Some(next) = self.messages.front() {
            let is_full =
                payload.packets() + next.packets() > MAX_POLLING_PACKETS || payload.bytes() >= POLLING_TARGET;
            if payload.packets() > 0 && is_full {
                break;
            }
            if let Some(message) = self.pop() {
                message.write_payload(payload);
            }
        }
        self.took();
    }

    /// Moves messages as WebSocket frames into the chunk until it holds about `target` bytes. What the kernel does not
    /// take of them is given back with [`Self::put_back`].
    pub(super) fn drain_frames(&mut self, target: usize, binary_as_text: bool, chunk: &mut Chunk) {
        (chunk.start, chunk.since) = (chunk.bytes.len(), self.since);
        while chunk.bytes.len() < target
            && let Some(message) = self.pop()
        {
            message.write_frames(binary_as_text, &mut chunk.bytes);
            if chunk.messages.is_empty() {
                chunk.sent = mem::take(&mut self.sent);
                chunk.bytes.drain(chunk.start..chunk.start + chunk.sent);
            }
            chunk.messages.push((message, chunk.bytes.len()));
        }
        if !chunk.messages.is_empty() {
            self.took();
        }
    }

    /// Takes back what the kernel did not take of a chunk, of which it took so many bytes. The messages wait as they
    /// were, with what they share with other clients: a copy of the bytes would be this client's own.
    pub(super) fn put_back(&mut self, chunk: &mut Chunk, written: usize) {
        let whole = chunk.messages_within(written);
        if whole == chunk.messages.len() {
            return;
        }
        let (start, before) = match whole.checked_sub(1) {
            None => (chunk.start, chunk.sent),
            Some(last) => (chunk.messages[last].1, 0),
        };
        self.sent = before + written.saturating_sub(start);
        for (message, _) in chunk.messages.drain(whole..).rev() {
            self.count(&message);
            self.messages.push_front(message);
        }
        self.since = if written > chunk.start {
            Some(Instant::now())
        } else {
            chunk.since
        };
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
