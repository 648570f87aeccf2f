//! An event on its way to many sockets: rendered once for each base URL, which is nearly always once.

use std::sync::Arc;

use bytestring::ByteString;
use hubbub_core::{
    BaseUrl,
    events::{Event, EventKind},
};
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::socket_io::{Shared, Socket, encode_event, encode_open_event};

/// Encodings for so many base URLs are kept. Clients choose the URL, where the operator does not: what each of
/// thousands calls this server by is rendered for it alone.
const MOST_KEPT: usize = 8;

/// An event with its encodings so far.
pub(crate) struct Encoded {
    pub(crate) event: Arc<Event>,
    packets: Mutex<SmallVec<[(BaseUrl, EventKind, Shared); 1]>>,
}

impl Encoded {
    pub(crate) fn new(event: Arc<Event>) -> Self {
        Self {
            event,
            packets: Mutex::new(SmallVec::new()),
        }
    }

    /// The packet without its end: each socket appends its cursor.
    pub(crate) fn open(&self, socket: &Socket, base: &BaseUrl, kind: EventKind) -> Option<Shared> {
        self.packet(socket, base, kind, |json| {
            encode_open_event("/", kind.name(), json)
        })
    }

    /// The whole packet, for events that no cursor covers.
    pub(crate) fn whole(&self, socket: &Socket, base: &BaseUrl, kind: EventKind) -> Option<Shared> {
        self.packet(socket, base, kind, |json| {
            Some(encode_event("/", kind.name(), json))
        })
    }

    fn packet(
        &self,
        socket: &Socket,
        base: &BaseUrl,
        kind: EventKind,
        encode: impl FnOnce(&str) -> Option<ByteString>,
    ) -> Option<Shared> {
        let mut packets = self.packets.lock();
        if let Some((_, _, packet)) = packets
            .iter()
            .find(|(known, name, _)| *name == kind && known == base)
        {
            return Some(packet.clone());
        }
        let packet = socket.share(encode(&self.event.render(base, kind))?);
        if packets.len() < MOST_KEPT {
            packets.push((base.clone(), kind, packet.clone()));
        }
        Some(packet)
    }
}
