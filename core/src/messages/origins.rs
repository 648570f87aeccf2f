//! Which sockets sent the messages that this process stored lately.
//!
//! A socket has its own messages by their acks and must not hear them as events. An event that comes from the writer
//! names the socket; one that is read back from the log, because a room was behind, does not. The process that serves
//! a socket stores what it sends, so that its memory is all that is needed.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use uuid::Uuid;

use crate::{events::Event, sid::EventSid};

/// So many messages are remembered: those of 20 s at thousands a second. Rooms are behind for less.
const MOST: usize = 65_536;

#[derive(Default)]
pub(super) struct Origins(Mutex<Recent>);

#[derive(Default)]
struct Recent {
    sockets: HashMap<EventSid, Uuid>,
    order: VecDeque<EventSid>,
}

impl Origins {
    /// Takes note of arrivals, before anybody can read them.
    pub(super) fn note(&self, events: &[Event]) {
        self.note_all(events.iter().map(|event| (event.id, event.connection)));
    }

    /// The same of events that are yet to be.
    pub(super) fn note_all(&self, arrivals: impl Iterator<Item = (EventSid, Option<Uuid>)>) {
        let mut recent = self.0.lock();
        for (event, socket) in arrivals {
            let Some(socket) = socket else { continue };
            if recent.order.len() == MOST
                && let Some(oldest) = recent.order.pop_front()
            {
                recent.sockets.remove(&oldest);
            }
            recent.sockets.insert(event, socket);
            recent.order.push_back(event);
        }
    }

    /// The socket that sent a message of this process.
    pub(super) fn socket_of(&self, event: EventSid) -> Option<Uuid> {
        self.0.lock().sockets.get(&event).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Timestamp,
        desk::CaseTurn,
        events::{EventKind, Resource},
        sid::{AccountSid, ServiceSid},
    };

    fn event(connection: Option<Uuid>) -> Event {
        Event {
            id: EventSid::generate(),
            kind: EventKind::MessageAdded,
            account: AccountSid::generate(),
            service: ServiceSid::generate(),
            channel: None,
            seq: None,
            identity: "alice".to_owned(),
            at: Timestamp::now(),
            pool: None,
            turn: CaseTurn::default(),
            resource: Resource::Typing { lasts_ms: 0 },
            connection,
        }
    }

    #[test]
    fn the_latest_messages_of_sockets_are_remembered() {
        let (origins, socket) = (Origins::default(), Uuid::new_v4());
        let (first, by_rest) = (event(Some(socket)), event(None));
        origins.note(&[first.clone(), by_rest.clone()]);
        assert_eq!(origins.socket_of(first.id), Some(socket));
        assert_eq!(origins.socket_of(by_rest.id), None);
        let further: Vec<_> = (0..MOST).map(|_| event(Some(socket))).collect();
        origins.note(&further);
        assert_eq!(origins.socket_of(first.id), None);
        assert_eq!(origins.0.lock().order.len(), MOST);
        assert_eq!(origins.socket_of(further[MOST - 1].id), Some(socket));
    }
}
