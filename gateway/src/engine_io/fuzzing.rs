//! For the fuzz targets, which know nothing of what is private.

use super::{Message, Outgoing, payload::PayloadWriter};

pub use super::websocket::fuzzing::{MAX_PAYLOAD, check as check_frames};

/// The polling body with these messages, as a client gets it.
#[must_use]
pub fn body(messages: &[Message]) -> String {
    let mut payload = PayloadWriter::default();
    for message in messages {
        let outgoing = match message {
            Message::Text(text) => Outgoing::packet(format!("4{text}").into()),
            Message::Binary(bytes) => Outgoing::binary(bytes.clone()),
        };
        outgoing.write_payload(&mut payload);
    }
    assert_eq!(payload.packets(), messages.len());
    payload.finish()
}
