//! Bodies of HTTP long-polling: packets joined by the record separator.

use bytestring::ByteString;

use super::packet::{Packet, PacketError};

/// Between two packets. JSON escapes this character, so it cannot occur inside one.
pub(super) const SEPARATOR: char = '\u{1e}';

/// The packets of a POST body, in order. An empty body is one empty packet, hence an error.
pub fn decode(body: &ByteString) -> impl Iterator<Item = Result<Packet, PacketError>> + '_ {
    body.split(SEPARATOR)
        .map(|packet| Packet::decode(&body.slice_ref(packet)))
}

/// Collects the packets of one polling answer.
#[derive(Debug, Default)]
pub(super) struct PayloadWriter {
    body: String,
    packets: usize,
}

impl PayloadWriter {
    /// How many packets were written.
    pub(super) fn packets(&self) -> usize {
        self.packets
    }

    /// How long the body is.
    pub(super) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Starts the next packet and lends the body to write it to.
    pub(super) fn packet(&mut self) -> &mut String {
        if self.packets > 0 {
            self.body.push(SEPARATOR);
        }
        self.packets += 1;
        &mut self.body
    }

    /// The finished body.
    pub(super) fn finish(self) -> String {
        self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine_io::packet::Message;

    fn decode_all(body: &'static str) -> Result<Vec<Packet>, PacketError> {
        decode(&ByteString::from_static(body)).collect()
    }

    #[test]
    fn packets_are_split_at_the_separator_in_order() {
        let packets = decode_all("4hello\u{1e}bAQIDBA==\u{1e}3").unwrap();
        assert_eq!(
            packets,
            [
                Packet::Message(Message::Text("hello".into())),
                Packet::Message(Message::Binary(vec![1, 2, 3, 4].into())),
                Packet::Pong
            ]
        );
    }

    #[test]
    fn an_empty_packet_anywhere_is_an_error() {
        for body in ["", "\u{1e}", "4a\u{1e}", "\u{1e}4a", "4a\u{1e}\u{1e}4b"] {
            assert_eq!(decode_all(body), Err(PacketError::Empty), "{body:?}");
        }
    }

    #[test]
    fn the_packets_before_a_bad_one_are_handed_out() {
        let body = ByteString::from_static("4a\u{1e}x\u{1e}4b");
        let read: Vec<_> = decode(&body).map_while(Result::ok).collect();
        assert_eq!(read.len(), 1);
    }

    #[test]
    fn written_packets_are_joined() {
        let mut writer = PayloadWriter::default();
        writer.packet().push_str("4a");
        writer.packet().push_str("4b");
        assert_eq!(writer.packets(), 2);
        assert_eq!(writer.finish(), "4a\u{1e}4b");
    }
}
