//! What is sent to a client.

use std::{mem, sync::Arc};

use bytes::Bytes;
use bytestring::ByteString;

use super::{ledger::Shared, packet::encode_binary, payload::PayloadWriter, websocket::frame};

/// Most binary attachments of one message: Socket.IO's official decoders refuse more.
pub const MAX_ATTACHMENTS: usize = 10;

/// One message to one client: an encoded text packet whose bytes many clients share, an ending of this
/// client's own, and binary attachments that follow at once.
#[derive(Debug, Clone)]
pub struct Outgoing {
    head: ByteString,
    tail: Option<Box<str>>,
    attachments: Option<Arc<[Bytes]>>,
    volatile: bool,
    /// The head's memory is counted where it was shared.
    shared: bool,
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
            shared: false,
        }
    }

    /// A text packet that many clients get.
    #[must_use]
    pub fn shared(head: Shared) -> Self {
        Self {
            shared: true,
            ..Self::packet(head.into_text())
        }
    }

    /// A bare binary message.
    #[must_use]
    pub fn binary(bytes: Bytes) -> Self {
        Self {
            attachments: Some([bytes].into()),
            ..Self::packet(ByteString::new())
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

    /// What the message counts for in the client's queue: its bytes, and the place it takes.
    pub(super) fn cost(&self) -> usize {
        mem::size_of::<Self>() + self.text_length() + self.attached_bytes()
    }

    /// The memory that is freed when this client does not wait for it any more.
    pub(super) fn held(&self) -> usize {
        let head = if self.shared { 0 } else { self.head.len() };
        // A queue grows by doubling: there may be an empty place for each that is taken.
        2 * mem::size_of::<Self>() + head + self.tail().len() + self.attached_bytes()
    }

    pub(super) fn is_volatile(&self) -> bool {
        self.volatile
    }

    /// Whether it is an answer, or the connection's own business: something that is not said to many.
    pub(super) fn is_urgent(&self) -> bool {
        !self.shared
    }

    fn tail(&self) -> &str {
        self.tail.as_deref().unwrap_or_default()
    }

    fn text_length(&self) -> usize {
        self.head.len() + self.tail().len()
    }

    fn attachments(&self) -> &[Bytes] {
        self.attachments.as_deref().unwrap_or_default()
    }

    fn attached_bytes(&self) -> usize {
        self.attachments().iter().map(Bytes::len).sum()
    }

    fn has_text(&self) -> bool {
        !self.head.is_empty()
    }

    pub(super) fn packets(&self) -> usize {
        usize::from(self.has_text()) + self.attachments().len()
    }

    pub(super) fn write_payload(&self, payload: &mut PayloadWriter) {
        if self.has_text() {
            let body = payload.packet();
            body.push_str(&self.head);
            body.push_str(self.tail());
        }
        for bytes in self.attachments() {
            encode_binary(bytes, payload.packet());
        }
    }

    pub(super) fn write_frames(&self, binary_as_text: bool, out: &mut Vec<u8>) {
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
