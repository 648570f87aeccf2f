//! Putting a packet and the binary messages that follow it together.

use std::time::Instant;

use bytes::Bytes;

use super::packet::Packet;

/// A packet whose attachments have not all arrived.
#[derive(Debug)]
pub(super) struct Partial {
    packet: Packet,
    attachments: Vec<Bytes>,
    bytes: usize,
    /// When the rest must be there.
    pub(super) deadline: Instant,
}

/// There was more than a packet may hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

impl Partial {
    pub(super) fn new(packet: Packet, deadline: Instant) -> Self {
        Self {
            packet,
            attachments: Vec::new(),
            bytes: 0,
            deadline,
        }
    }

    /// Adds the next attachment; true when it was the last one.
    pub(super) fn add(&mut self, bytes: Bytes, limit: usize) -> Result<bool, TooLarge> {
        self.bytes += bytes.len();
        if self.bytes > limit {
            return Err(TooLarge);
        }
        self.attachments.push(bytes);
        Ok(self.attachments.len() == self.packet.attachments)
    }

    pub(super) fn into_parts(self) -> (Packet, Vec<Bytes>) {
        (self.packet, self.attachments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket_io::packet::decode;

    #[test]
    fn a_packet_is_complete_with_its_last_attachment() {
        let packet = decode(&r#"52-["m"]"#.into()).unwrap();
        let mut partial = Partial::new(packet.clone(), Instant::now());
        assert_eq!(partial.add(Bytes::from_static(b"ab"), 4), Ok(false));
        assert_eq!(partial.add(Bytes::from_static(b"cd"), 4), Ok(true));
        let (complete, attachments) = partial.into_parts();
        assert_eq!((complete, attachments.len()), (packet, 2));
    }

    #[test]
    fn the_attachments_of_a_packet_are_limited_together() {
        let packet = decode(&r#"52-["m"]"#.into()).unwrap();
        let mut partial = Partial::new(packet, Instant::now());
        assert_eq!(partial.add(Bytes::from_static(b"ab"), 3), Ok(false));
        assert_eq!(partial.add(Bytes::from_static(b"cd"), 3), Err(TooLarge));
    }
}
