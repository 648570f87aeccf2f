//! Engine.IO v4 packets as text: one type character, then the data.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use bytestring::ByteString;

/// The payload of one `message` packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text, without the type character.
    Text(ByteString),
    /// Raw bytes.
    Binary(Bytes),
}

/// A packet as a client may send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// `1`: the client ends the session.
    Close,
    /// `2`: only `2probe`, on a WebSocket that wants to take a polling session over.
    Ping(ByteString),
    /// `3`: the answer to the server's ping.
    Pong,
    /// `4…`, or `b` and base64.
    Message(Message),
    /// `5`: the probed WebSocket takes over.
    Upgrade,
    /// `6`: nothing; some clients post it during an upgrade.
    Noop,
}

/// Why a packet could not be read. The session it came from must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// There is not even a type character.
    #[error("empty packet")]
    Empty,
    /// The first character is no packet type a client may send.
    #[error("unknown packet type")]
    UnknownType,
    /// A packet type that carries no data came with some.
    #[error("unexpected data")]
    UnexpectedData,
    /// `b` is not followed by padded standard base64.
    #[error("malformed base64")]
    Base64,
}

impl Packet {
    /// Reads one packet from a WebSocket text frame, or from between two separators of a polling body.
    ///
    /// Message text is a slice of `text`, not a copy.
    ///
    /// # Errors
    /// Whatever is not a packet that a client may send: see [`PacketError`].
    pub fn decode(text: &ByteString) -> Result<Self, PacketError> {
        let kind = *text.as_bytes().first().ok_or(PacketError::Empty)?;
        if !kind.is_ascii() {
            return Err(PacketError::UnknownType);
        }
        let data = &text[1..];
        let bare = |packet| {
            if data.is_empty() {
                Ok(packet)
            } else {
                Err(PacketError::UnexpectedData)
            }
        };
        match kind {
            b'1' => bare(Self::Close),
            b'2' => Ok(Self::Ping(text.slice_ref(data))),
            // Some clients send the ping's data back; ours carries none, so whatever it is has no meaning.
            b'3' => Ok(Self::Pong),
            b'4' => Ok(Self::Message(Message::Text(text.slice_ref(data)))),
            b'5' => bare(Self::Upgrade),
            b'6' => bare(Self::Noop),
            b'b' => {
                let bytes = STANDARD.decode(data).map_err(|_| PacketError::Base64)?;
                Ok(Self::Message(Message::Binary(bytes.into())))
            }
            _ => Err(PacketError::UnknownType),
        }
    }
}

/// Appends the text form of a binary message: `b` and padded standard base64.
pub(super) fn encode_binary(bytes: &[u8], out: &mut String) {
    out.push('b');
    STANDARD.encode_string(bytes, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &'static str) -> Result<Packet, PacketError> {
        Packet::decode(&ByteString::from_static(text))
    }

    #[test]
    fn every_packet_a_client_may_send_is_read() {
        assert_eq!(decode("1"), Ok(Packet::Close));
        assert_eq!(decode("2probe"), Ok(Packet::Ping("probe".into())));
        assert_eq!(decode("3"), Ok(Packet::Pong));
        assert_eq!(decode("5"), Ok(Packet::Upgrade));
        assert_eq!(decode("6"), Ok(Packet::Noop));
        assert_eq!(decode("4"), Ok(Packet::Message(Message::Text("".into()))));
        assert_eq!(
            decode("4h€llo"),
            Ok(Packet::Message(Message::Text("h€llo".into())))
        );
        let binary = Message::Binary(Bytes::from_static(&[1, 2, 3, 4]));
        assert_eq!(decode("bAQIDBA=="), Ok(Packet::Message(binary)));
    }

    #[test]
    fn everything_else_is_an_error() {
        assert_eq!(decode(""), Err(PacketError::Empty));
        for unknown in ["abc", "0{}", "7", "€", " 4"] {
            assert_eq!(decode(unknown), Err(PacketError::UnknownType), "{unknown}");
        }
        for data in ["1x", "5probe", "6 "] {
            assert_eq!(decode(data), Err(PacketError::UnexpectedData), "{data}");
        }
        for base64 in ["bAQIDBA", "b????", "bAQI=DBA="] {
            assert_eq!(decode(base64), Err(PacketError::Base64), "{base64}");
        }
    }

    #[test]
    fn binary_is_written_as_it_is_read() {
        let mut out = String::new();
        encode_binary(&[1, 2, 3, 4], &mut out);
        assert_eq!(out, "bAQIDBA==");
    }
}
