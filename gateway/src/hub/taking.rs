//! How events come to the clients that hear them: by their rooms, or as users.

use std::sync::Arc;

use hubbub_core::events::{Event, EventKind};

use super::{
    Hub, RoomKey,
    encoded::Encoded,
    room::{Followup, moves_clients},
};
use crate::client::Client;

impl Hub {
    /// Takes events, from this process or another, in order. What is said in one channel and moves nobody is told
    /// together, so that a client gets all of it at once; the order between channels is not promised to anybody.
    pub(crate) fn take(self: &Arc<Self>, events: &[Arc<Event>]) {
        let mut said: Vec<(RoomKey, &Arc<Event>)> = Vec::new();
        for event in events {
            match (event.channel, event.seq) {
                (Some(channel), Some(_)) if !moves_clients(event.kind) => {
                    said.push(((event.service, channel), event));
                    continue;
                }
                _ => self.take_said(&mut said),
            }
            match (event.channel, event.seq) {
                (Some(channel), Some(_)) => self.take_move((event.service, channel), event),
                (Some(channel), None) => self.hear_typing((event.service, channel), event),
                (None, _) => self.take_of_user(event),
            }
        }
        self.take_said(&mut said);
        self.attend_to(events);
    }

    fn take_said(self: &Arc<Self>, said: &mut Vec<(RoomKey, &Arc<Event>)>) {
        said.sort_by_key(|(key, _)| *key);
        for run in said.chunk_by(|(one, _), (other, _)| one == other) {
            if let [(key, _), ..] = run {
                self.take_durable(*key, run.iter().map(|(_, event)| *event));
            }
        }
        said.clear();
    }

    /// Takes an event by which somebody comes or goes.
    fn take_move(self: &Arc<Self>, key: RoomKey, event: &Arc<Event>) {
        if self.room(key).is_none() {
            if event.kind == EventKind::ChannelAdded {
                self.tell_maker(event);
                return;
            }
            let Some(newcomer) = event.subject().filter(|_| event.kind == EventKind::MemberJoined) else {
                return;
            };
            if self.clients_of(key.0, newcomer).is_empty() {
                return;
            }
            // The first local member: the room begins with the join, and what may have been said since, before the
            // bus listened, is read back.
            let (_, made) = self.open_room(key, event.seq.unwrap_or(0) - 1);
            if made {
                self.heal_after_binding(key);
            }
        }
        self.take_durable(key, [event]);
        if event.kind == EventKind::MemberJoined {
            self.seat_late(key, event);
        }
    }

    /// Takes durable events of one channel, if anybody here hears it.
    fn take_durable<'a>(
        self: &Arc<Self>,
        key: RoomKey,
        events: impl IntoIterator<Item = &'a Arc<Event>> + Clone,
    ) {
        let Some(room) = self.room(key) else { return };
        let (followup, empty, before) = {
            let mut room = room.lock();
            if room.closed {
                return;
            }
            let before = room.last_seq();
            let news = events.clone().into_iter().map(Arc::clone);
            let followup = room.take(news, self.watermark(), &|event| self.newcomers(event));
            (followup, room.is_empty(), before)
        };
        for event in events {
            if event.seq > Some(before) {
                self.typing_is_over(key, event);
            }
        }
        if empty {
            self.close_if_empty(key);
        }
        if followup == Followup::Heal {
            self.heal_soon(key);
        }
    }

    /// A channel that was just made has no room: whoever made it hears of that before its own joining.
    fn tell_maker(&self, event: &Arc<Event>) {
        let encoded = Encoded::new(Arc::clone(event));
        for client in self.clients_of(event.service, &event.identity) {
            if event
                .channel
                .is_some_and(|channel| client.told(channel).is_none())
            {
                client.deliver(&encoded, event.kind, self.watermark());
            }
        }
    }

    /// The clients of whoever joins by this event.
    pub(super) fn newcomers(&self, event: &Event) -> Vec<Arc<Client>> {
        event
            .subject()
            .map(|subject| self.clients_of(event.service, subject))
            .unwrap_or_default()
    }

    /// An event of a user goes to that user's own clients and to those who share one of its channels, to each once.
    fn take_of_user(&self, event: &Arc<Event>) {
        if event.for_operators() {
            return self.tell_operators(event);
        }
        let Some(addressee) = event.addressee() else {
            return;
        };
        let of_presence = event.is_of_presence();
        if of_presence && !self.presence.is_news(event) {
            return;
        }
        let mut clients = self.clients_of(event.service, addressee);
        for channel in event.audience() {
            if let Some(room) = self.room((event.service, *channel)) {
                clients.extend(room.lock().clients());
            }
        }
        clients.sort_unstable_by_key(|client| client.id);
        clients.dedup_by_key(|client| client.id);
        // The socket that brought its user knows.
        clients.retain(|client| !of_presence || Some(client.id) != event.connection);
        let encoded = Encoded::new(Arc::clone(event));
        for client in clients {
            client.deliver(&encoded, event.kind, self.watermark());
        }
    }
}
