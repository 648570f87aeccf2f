//! Putting a packet and the binary messages that follow it together.

use std::time::Instant;

use bytes::Bytes;

use super::packet::Packet;

/// A packet whose attachments have not all arrived.
#[derive(Debug)]
pub(super) struct Partial {
    packet: Packet,
    /// Bytes of the packet's text: what is read of it are slices.
    text: usize,
    attachments: Vec<Bytes>,
    bytes: usize,
    /// When the rest must be there.
    pub(super) deadline: Instant,
}

/// There was more than a packet may hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

impl Partial {
    pub(super) fn new(packet: Packet, text: usize, deadline: Instant) -> Self {
        Self {
            packet,
            text,
            attachments: Vec::new(),
            bytes: 0,
            deadline,
        }
    }

    /// How many bytes of memory it takes.
    pub(super) fn held(&self) -> usize {
        self.text + self.bytes
    }

    /// Adds the next attachment; true when it was the last one.
    pub(super) fn add(&mut self, bytes: &[u8], limit: usize) -> Result<bool, TooLarge> {
        self.bytes += bytes.len();
        if self.bytes > limit {
            return Err(TooLarge);
        }
        // A slice of what was read would keep all of that in memory.
        self.attachments.push(Bytes::copy_from_slice(bytes));
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
        let mut partial = Partial::new(packet.clone(), 9, Instant::now());
        assert_eq!(partial.add(b"ab", 4), Ok(false));
        assert_eq!(partial.held(), 9 + 2);
        assert_eq!(partial.add(b"cd", 4), Ok(true));
        let (complete, attachments) = partial.into_parts();
        assert_eq!((complete, attachments.len()), (packet, 2));
    }

    #[test]
    fn the_attachments_of_a_packet_are_limited_together() {
        let packet = decode(&r#"52-["m"]"#.into()).unwrap();
        let mut partial = Partial::new(packet, 9, Instant::now());
        assert_eq!(partial.add(b"ab", 3), Ok(false));
        assert_eq!(partial.add(b"cd", 3), Err(TooLarge));
    }
}
