//! An event on its way to many sockets: rendered once for each base URL, which is nearly always once.

use std::sync::Arc;

use bytestring::ByteString;
use hubbub_core::{
    BaseUrl,
    events::{Event, EventKind},
};
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::socket_io::{encode_event, encode_open_event};

/// An event with its encodings so far.
pub(crate) struct Encoded {
    pub(crate) event: Arc<Event>,
    packets: Mutex<SmallVec<[(BaseUrl, EventKind, ByteString); 1]>>,
}

impl Encoded {
    pub(crate) fn new(event: Arc<Event>) -> Self {
        Self {
            event,
            packets: Mutex::new(SmallVec::new()),
        }
    }

    /// The packet without its end: each socket appends its cursor.
    pub(crate) fn open(&self, base: &BaseUrl, kind: EventKind) -> Option<ByteString> {
        self.packet(base, kind, |json| encode_open_event("/", kind.name(), json))
    }

    /// The whole packet, for events that no cursor covers.
    pub(crate) fn whole(&self, base: &BaseUrl, kind: EventKind) -> Option<ByteString> {
        self.packet(base, kind, |json| Some(encode_event("/", kind.name(), json)))
    }

    fn packet(
        &self,
        base: &BaseUrl,
        kind: EventKind,
        encode: impl FnOnce(&str) -> Option<ByteString>,
    ) -> Option<ByteString> {
        let mut packets = self.packets.lock();
        if let Some((_, _, packet)) = packets
            .iter()
            .find(|(known, name, _)| *name == kind && known == base)
        {
            return Some(packet.clone());
        }
        let packet = encode(&self.event.render(base, kind))?;
        packets.push((base.clone(), kind, packet.clone()));
        Some(packet)
    }
}
