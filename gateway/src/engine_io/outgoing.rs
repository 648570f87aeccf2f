//! What is sent to a client, and the bounded queue in which it waits.

use std::{collections::VecDeque, mem, sync::Arc};

use bytes::Bytes;
use bytestring::ByteString;

use super::{packet::encode_binary, payload::PayloadWriter, websocket::frame};

/// Most packets in one polling answer: python-engineio drops the connection over more.
pub(super) const MAX_POLLING_PACKETS: usize = 16;

/// Most binary attachments of one message: Socket.IO's official decoders refuse more.
pub const MAX_ATTACHMENTS: usize = 10;

/// A freed queue keeps room for this many messages at most.
const RETAINED_CAPACITY: usize = 8;

/// One message to one client: an encoded text packet whose bytes many clients share, an ending of this
/// client's own, and binary attachments that follow at once.
#[derive(Debug, Clone)]
pub struct Outgoing {
    head: ByteString,
    tail: Option<Box<str>>,
    attachments: Option<Arc<[Bytes]>>,
    volatile: bool,
}

impl Outgoing {
    /// A complete Engine.IO text packet, its type character included (`42["hello"]`).
    #[must_use]
    pub fn packet(head: ByteString) -> Self {
        Self {
            head,
            tail: None,
            attachments: None,
            volatile: false,
        }
    }

    /// A bare binary message.
    #[must_use]
    pub fn binary(bytes: Bytes) -> Self {
        Self {
            head: ByteString::new(),
            tail: None,
            attachments: Some([bytes].into()),
            volatile: false,
        }
    }

    /// Appends an ending to the text that only this client gets.
    #[must_use]
    pub fn with_tail(mut self, tail: impl Into<Box<str>>) -> Self {
        self.tail = Some(tail.into());
        self
    }

    /// Adds the binary attachments that the text announces. Those over [`MAX_ATTACHMENTS`] are the
    /// caller's mistake: clients end the connection when they see one.
    #[must_use]
    pub fn with_attachments(mut self, attachments: Arc<[Bytes]>) -> Self {
        debug_assert!(attachments.len() <= MAX_ATTACHMENTS);
        self.attachments = (!attachments.is_empty()).then_some(attachments);
        self
    }

    /// Marks the message as one that may be dropped when the client reads too slowly.
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// What the message counts for in the queue: its bytes, and the place it takes.
    fn cost(&self) -> usize {
        let attachments: usize = self.attachments().iter().map(Bytes::len).sum();
        mem::size_of::<Self>() + self.head.len() + self.tail().len() + attachments
    }

    fn tail(&self) -> &str {
        self.tail.as_deref().unwrap_or_default()
    }

    fn attachments(&self) -> &[Bytes] {
        self.attachments.as_deref().unwrap_or_default()
    }

    fn has_text(&self) -> bool {
        !self.head.is_empty()
    }

    fn packets(&self) -> usize {
        usize::from(self.has_text()) + self.attachments().len()
    }

    fn write_payload(&self, payload: &mut PayloadWriter) {
        if self.has_text() {
            let body = payload.packet();
            body.push_str(&self.head);
            body.push_str(self.tail());
        }
        for bytes in self.attachments() {
            encode_binary(bytes, payload.packet());
        }
    }

    fn write_frames(&self, binary_as_text: bool, out: &mut Vec<u8>) {
        if self.has_text() {
            frame::write_text(&[self.head.as_bytes(), self.tail().as_bytes()], out);
        }
        for bytes in self.attachments() {
            if binary_as_text {
                let mut text = String::new();
                encode_binary(bytes, &mut text);
                frame::write_text(&[text.as_bytes()], out);
            } else {
                frame::write_binary(bytes, out);
            }
        }
    }
}

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
#[derive(Debug, Default)]
pub(super) struct OutboundQueue {
    messages: VecDeque<Outgoing>,
    bytes: usize,
    volatile: usize,
}

impl OutboundQueue {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn push(&mut self, message: Outgoing, limit: usize) -> Pushed {
        let cost = message.cost();
        if self.is_over(cost, limit) && self.volatile > 0 {
            self.drop_volatile();
        }
        if self.is_over(cost, limit) {
            return if message.volatile {
                Pushed::Dropped
            } else {
                Pushed::Overflow
            };
        }
        self.bytes += cost;
        self.volatile += usize::from(message.volatile);
        self.messages.push_back(message);
        Pushed::Queued
    }

    fn is_over(&self, cost: usize, limit: usize) -> bool {
        !self.messages.is_empty() && self.bytes + cost > limit
    }

    fn drop_volatile(&mut self) {
        self.messages.retain(|message| !message.volatile);
        self.bytes = self.messages.iter().map(Outgoing::cost).sum();
        self.volatile = 0;
    }

    fn pop(&mut self) -> Option<Outgoing> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.cost();
        self.volatile -= usize::from(message.volatile);
        if self.messages.is_empty() && self.messages.capacity() > RETAINED_CAPACITY {
            self.messages = VecDeque::new();
        }
        Some(message)
    }

    /// Forgets everything and frees the memory.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Moves as many whole messages into a polling answer as it may hold.
    pub(super) fn drain_payload(&mut self, payload: &mut PayloadWriter) {
        while let Some(next) = self.messages.front() {
            if payload.packets() > 0 && payload.packets() + next.packets() > MAX_POLLING_PACKETS {
                break;
            }
            if let Some(message) = self.pop() {
                message.write_payload(payload);
            }
        }
    }

    /// Moves messages as WebSocket frames into `out` until it holds about `target` bytes.
    pub(super) fn drain_frames(&mut self, target: usize, binary_as_text: bool, out: &mut Vec<u8>) {
        while out.len() < target
            && let Some(message) = self.pop()
        {
            message.write_frames(binary_as_text, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(length: usize) -> Outgoing {
        Outgoing::packet("x".repeat(length).into())
    }

    fn payload(queue: &mut OutboundQueue) -> Vec<String> {
        let mut writer = PayloadWriter::default();
        queue.drain_payload(&mut writer);
        writer
            .finish()
            .split('\u{1e}')
            .filter(|p| !p.is_empty())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn the_tail_and_the_attachments_follow_the_shared_head() {
        let mut queue = OutboundQueue::default();
        let attachments: Arc<[Bytes]> = [Bytes::from_static(&[1, 2, 3, 4])].into();
        queue.push(
            Outgoing::packet("451-[\"m\"".into())
                .with_tail("]")
                .with_attachments(attachments),
            1000,
        );
        assert_eq!(payload(&mut queue), ["451-[\"m\"]", "bAQIDBA=="]);
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn a_polling_answer_holds_sixteen_packets_and_never_splits_a_message() {
        let mut queue = OutboundQueue::default();
        for _ in 0..14 {
            queue.push(text(1), 100_000);
        }
        let attachments: Arc<[Bytes]> = vec![Bytes::from_static(b"a"); 3].into();
        queue.push(text(1).with_attachments(attachments), 100_000);
        queue.push(text(1), 100_000);
        assert_eq!(payload(&mut queue).len(), 14);
        assert_eq!(payload(&mut queue).len(), 5);
        assert!(queue.is_empty());
    }

    #[test]
    fn volatile_messages_make_way_first() {
        let mut queue = OutboundQueue::default();
        let limit = 3 * text(100).cost();
        assert_eq!(queue.push(text(100), limit), Pushed::Queued);
        assert_eq!(queue.push(text(100).volatile(), limit), Pushed::Queued);
        assert_eq!(queue.push(text(100), limit), Pushed::Queued);
        assert_eq!(
            queue.push(text(100), limit),
            Pushed::Queued,
            "in the place of the volatile one"
        );
        assert_eq!(queue.push(text(100).volatile(), limit), Pushed::Dropped);
        assert_eq!(queue.push(text(100), limit), Pushed::Overflow);
        assert_eq!(queue.bytes(), limit);
    }

    #[test]
    fn one_message_over_the_limit_fits_into_an_empty_queue() {
        let mut queue = OutboundQueue::default();
        assert_eq!(queue.push(text(5000), 1000), Pushed::Queued);
        assert_eq!(queue.push(text(1), 1000), Pushed::Overflow);
    }

    #[test]
    fn a_drained_queue_gives_its_memory_back() {
        let mut queue = OutboundQueue::default();
        for _ in 0..100 {
            queue.push(text(10), 1_000_000);
        }
        let mut out = Vec::new();
        queue.drain_frames(usize::MAX, false, &mut out);
        assert_eq!(out.len(), 100 * 12);
        assert!(queue.messages.capacity() <= RETAINED_CAPACITY);
    }
}
