//! For the fuzz targets, which know nothing of what is private.

use bytestring::ByteString;

use super::{
    encode,
    packet::{Body, Packet},
};

/// The packet as the server would write it, if it ever sends such: what is read of that must be the packet.
#[must_use]
pub fn encode(packet: &Packet) -> Option<ByteString> {
    let text = match &packet.body {
        Body::Event {
            name,
            args,
            ack: None,
        } => {
            let args = args
                .iter()
                .map(|arg| arg.as_ref())
                .collect::<Vec<&str>>()
                .join(",");
            encode::event(&packet.namespace, name, &args, packet.attachments)
        }
        Body::Disconnect => encode::disconnect(&packet.namespace),
        Body::Ack(Some(id)) if packet.attachments == 0 => encode::ack(&packet.namespace, *id, "", 0),
        _ => return None,
    };
    // Without the type of the Engine.IO packet.
    text.strip_prefix('4').map(|packet| text.slice_ref(packet))
}
