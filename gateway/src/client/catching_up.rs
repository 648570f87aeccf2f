//! How a client is held back while it is told what it missed, and let through afterwards.

use std::{collections::HashMap, sync::Arc};

use hubbub_core::{
    Timestamp,
    events::{
        Event, EventKind,
        cursor::{self, Cursor},
    },
    sid::ChannelSid,
};

use super::{
    Client, State,
    recent::{Recent, note, noted},
};
use crate::{hub::encoded::Encoded, socket_io::Outgoing};

/// Offsets tell how far a replay has come, in each of its channels. A replay of more channels than these has none, and
/// begins anew when the connection is lost meanwhile.
const MOST_TRACKED: usize = 64;

/// What waits while a client catches up.
#[derive(Default)]
pub(super) struct Held {
    /// Live events, in order.
    pub(super) events: Vec<(Arc<Event>, EventKind)>,
    /// How far each channel was told from the database meanwhile: live events up to there are known.
    told: HashMap<ChannelSid, i64>,
    /// It is held for joins that came late.
    for_joins: bool,
    /// A join came that can only be followed once this is over.
    has_joined: bool,
}

impl Client {
    /// What it missed begins at this cursor: if it recovers, offsets tell from now on how far it has come.
    pub(crate) fn track(&self, cursor: &str) {
        if self.recovers {
            let cursor = self.cursors.decode(cursor, self.service, self.identity.as_str());
            self.state.lock().replayed = cursor.map(Box::new);
        }
    }

    /// What came late begins at this cursor: from now on, each event of it has one that tells how far it has come.
    pub(crate) fn goes_on_from(&self, cursor: Cursor) {
        self.state.lock().replayed = Some(Box::new(cursor));
    }

    /// Delivers an event that it missed, ahead of those that are held back. Unless it is of a channel that was joined late,
    /// it carries no cursor: until all that was missed is there, the client's old cursor is the true one. What is known
    /// for its own is only noted.
    pub(crate) fn catch_up(&self, event: Event, kind: EventKind, watermark: Timestamp) {
        let (mut position, mut is_late) = (None, false);
        if let (Some(channel), Some(seq)) = (event.channel, event.seq) {
            let mut state = self.state.lock();
            note(
                &mut state.recent,
                Recent {
                    tag: cursor::tag(channel),
                    seq,
                    at: event.at,
                },
                watermark,
            );
            if let Some(held) = &mut state.held {
                held.told.insert(channel, seq);
                is_late = held.for_joins;
            }
            position = self.replayed(&mut state, channel, seq);
        }
        if self.sent(&event) {
            return;
        }
        self.note_delivery(&event);
        let encoded = Encoded::new(Arc::new(event));
        let packet = match position {
            Some(position) => encoded.open(&self.socket, &self.base, kind).map(|head| {
                let cursor = if is_late {
                    format!(",\"cursor\":\"{position}\"")
                } else {
                    String::new()
                };
                let offset = if self.recovers {
                    format!(",\"{position}\"")
                } else {
                    String::new()
                };
                Outgoing::shared(head).with_tail(format!("{cursor}}}{offset}]"))
            }),
            None => encoded
                .whole(&self.socket, &self.base, kind)
                .map(Outgoing::shared),
        };
        if let Some(packet) = packet {
            self.socket.send(packet);
        }
    }

    /// Where the client stands behind a missed event: what it had, and how far it has come since.
    fn replayed(&self, state: &mut State, channel: ChannelSid, seq: i64) -> Option<String> {
        let replayed = state.replayed.as_mut()?;
        replayed.recent.insert(cursor::tag(channel), seq);
        if replayed.recent.len() > MOST_TRACKED {
            state.replayed = None;
            return None;
        }
        let recent = replayed.recent.iter().map(|(tag, seq)| (*tag, *seq));
        Some(self.cursors.encode(self.owner, replayed.watermark, recent))
    }

    /// Lets live events through, those held back first. True when joins are to be followed that came meanwhile.
    pub(crate) fn release(&self, watermark: Timestamp) -> bool {
        let mut state = self.state.lock();
        state.replayed = None;
        let Held {
            events,
            told,
            has_joined,
            ..
        } = state.held.take().unwrap_or_default();
        for (event, kind) in events {
            let known = event.channel.and_then(|channel| told.get(&channel).copied());
            if event.seq.is_some() && (event.seq <= known || event.seq <= noted(&state.recent, event.channel))
            {
                continue;
            }
            let encoded = Encoded::new(event);
            if let Some(packet) = self.packet(&mut state.recent, &encoded, kind, watermark) {
                self.socket.send(packet);
            }
        }
        has_joined
    }

    /// Holds live events back until [`Client::release`], to follow joins that came late. When they are held already, that
    /// is left to whoever releases them.
    pub(crate) fn hold_for_joins(&self) -> bool {
        let mut state = self.state.lock();
        if state.gone {
            return false;
        }
        if let Some(held) = &mut state.held {
            held.has_joined = true;
            return false;
        }
        state.held = Some(Held {
            for_joins: true,
            ..Held::default()
        });
        true
    }

    /// Whether live events are held back for joins that came late.
    pub(crate) fn is_held_for_joins(&self) -> bool {
        let state = self.state.lock();
        state.held.as_ref().is_some_and(|held| held.for_joins)
    }

    /// Holds live events back until [`Client::release`]. False when they are held already.
    pub(crate) fn hold(&self) -> bool {
        let mut state = self.state.lock();
        if state.held.is_some() {
            return false;
        }
        state.held = Some(Held::default());
        true
    }
}
