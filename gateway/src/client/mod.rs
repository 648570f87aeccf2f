//! A connected client: who it is, where it stands, and what is held back while it catches up.

mod catching_up;
mod recent;
mod turn;

use std::{collections::HashSet, sync::Arc, time::Instant};

use hubbub_core::{
    BaseUrl, Timestamp,
    access_tokens::AccessToken,
    campaigns::Deliveries,
    events::{
        Event, EventKind, Resource,
        cursor::{self, Cursor, CursorKey, Owner},
    },
    input::Identity,
    sid::{AccountSid, ChannelSid, OperatorPoolSid, ServiceSid},
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::{
    catching_up::Held,
    recent::{Channels, Recent, note, note_all, noted},
    turn::{Turn, Turns},
};
use crate::{
    hub::{Pools, encoded::Encoded},
    socket_io::{Outgoing, Socket, encode_event},
    token_life::TokenLife,
};

/// How many events may be held back while a client catches up; more end its transport, and it resumes later.
const MOST_HELD: usize = 10_000;
/// How many sends of one client may be on their way to the database.
pub(crate) const SENDS_IN_FLIGHT: u32 = 64;
/// How many of its reports of read horizons may wait to be stored.
pub(crate) const REPORTS_IN_FLIGHT: u32 = 64;

/// A connected client.
pub(crate) struct Client {
    /// Names it in events, so that it does not get its own messages.
    pub(crate) id: Uuid,
    /// When it came.
    pub(crate) since: Instant,
    pub(crate) socket: Socket,
    pub(crate) account: AccountSid,
    pub(crate) service: ServiceSid,
    pub(crate) identity: Identity,
    pub(crate) base: BaseUrl,
    cursors: CursorKey,
    /// Hears what of campaigns' messages it gets.
    deliveries: Deliveries,
    /// Whose its cursors are.
    owner: Owner,
    /// One permit a send in flight: who takes them all has waited for every send before.
    pub(crate) sends: Arc<Semaphore>,
    /// The same for reports of read horizons.
    pub(crate) reports: Arc<Semaphore>,
    pub(crate) token: TokenLife,
    /// Whether it asked for connection state recovery: every event that has a cursor ends with it as an argument of
    /// its own, the offset.
    pub(crate) recovers: bool,
    state: Mutex<State>,
}

struct State {
    /// Set while it catches up.
    held: Option<Held>,
    /// The channels that were active lately, with what it has of them: for its cursor.
    recent: Channels,
    seats: HashSet<ChannelSid>,
    /// How far a client that recovers has come in what it missed.
    replayed: Option<Box<Cursor>>,
    turns: Turns,
    /// The pools that it is an operator of.
    pools: Pools,
    gone: bool,
}

impl Client {
    /// A client that holds live events back until [`Client::release`].
    pub(crate) fn new(
        socket: Socket,
        token: &AccessToken,
        base: BaseUrl,
        cursors: CursorKey,
        deliveries: Deliveries,
        recovers: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            id: Uuid::new_v4(),
            since: Instant::now(),
            socket,
            account: token.account,
            service: token.service,
            identity: token.identity.clone(),
            base,
            cursors,
            deliveries,
            owner: Owner::new(token.service, token.identity.as_str()),
            sends: Arc::new(Semaphore::new(SENDS_IN_FLIGHT as usize)),
            reports: Arc::new(Semaphore::new(REPORTS_IN_FLIGHT as usize)),
            token: TokenLife::new(token),
            recovers,
            state: Mutex::new(State {
                held: Some(Held::default()),
                recent: Channels::new(),
                seats: HashSet::new(),
                replayed: None,
                turns: Turns::default(),
                pools: Pools::new(),
                gone: false,
            }),
        })
    }

    /// A place behind all sends that wait for their turn.
    pub(crate) fn take_turn(&self) -> Turn {
        self.state.lock().turns.take()
    }

    /// Whether no send waits for its turn.
    pub(crate) fn is_its_turn(&self) -> bool {
        self.state.lock().turns.are_over()
    }

    /// Whether the event is one of its own sends, which it gets by the ack.
    pub(crate) fn sent(&self, event: &Event) -> bool {
        event.kind == EventKind::MessageAdded && event.connection == Some(self.id)
    }

    /// Delivers a live event, or holds it back while the client catches up.
    pub(crate) fn deliver(&self, encoded: &Encoded, kind: EventKind, watermark: Timestamp) {
        self.deliver_all([(encoded, kind)], watermark);
    }

    /// Delivers live events that came at once, or holds them back while the client catches up.
    pub(crate) fn deliver_all<'a>(
        &self,
        events: impl IntoIterator<Item = (&'a Encoded, EventKind)>,
        watermark: Timestamp,
    ) {
        let mut state = self.state.lock();
        let state = &mut *state;
        let Some(held) = &mut state.held else {
            let packets = events
                .into_iter()
                .filter_map(|(encoded, kind)| self.packet(&mut state.recent, encoded, kind, watermark));
            self.socket.send_all(packets);
            return;
        };
        for (encoded, kind) in events {
            if held.events.len() == MOST_HELD {
                return self.socket.close_transport();
            }
            held.events.push((Arc::clone(&encoded.event), kind));
        }
    }

    /// Tells something besides channels' events, and where the client stands then.
    pub(crate) fn tell(&self, name: &str, data: &Value, cursor: &str) {
        let args = if self.recovers {
            format!("{data},\"{cursor}\"")
        } else {
            data.to_string()
        };
        self.socket.send(Outgoing::packet(encode_event(
            self.socket.namespace(),
            name,
            &args,
        )));
    }

    /// The packet that tells a live event, of which the client is told from now on. `None` for what it knows by an ack.
    fn packet(
        &self,
        recent: &mut Channels,
        encoded: &Encoded,
        kind: EventKind,
        watermark: Timestamp,
    ) -> Option<Outgoing> {
        let event = &encoded.event;
        let (Some(channel), Some(seq)) = (event.channel, event.seq) else {
            let message = Outgoing::shared(encoded.whole(&self.socket, &self.base, kind)?);
            return Some(if event.is_volatile() {
                message.volatile()
            } else {
                message
            });
        };
        note(
            recent,
            Recent {
                tag: cursor::tag(channel),
                seq,
                at: event.at,
            },
            watermark,
        );
        // Its own sends are noted and not sent: the cursor of the next event covers them.
        if self.sent(event) {
            return None;
        }
        let head = encoded.open(&self.socket, &self.base, kind)?;
        self.note_delivery(event);
        Some(Outgoing::shared(head).with_tail(self.ending(recent, watermark)))
    }

    /// How the packet of a live event ends: with the cursor, and once more with it as the offset.
    fn ending(&self, recent: &[Recent], watermark: Timestamp) -> Box<str> {
        const BEFORE: &str = ",\"cursor\":\"";
        let length = cursor::encoded_length(recent.len());
        let offset = if self.recovers { length + 3 } else { 0 };
        // No byte more than it has, which is what a box keeps: making it shorter would be another allocation.
        let mut text = String::with_capacity(BEFORE.len() + length + "\"}]".len() + offset);
        text.push_str(BEFORE);
        let recent = recent.iter().map(|recent| (recent.tag, recent.seq));
        self.cursors.write(self.owner, watermark, recent, &mut text);
        text.push_str("\"}");
        if self.recovers {
            text.push_str(",\"");
            text.extend_from_within(BEFORE.len()..BEFORE.len() + length);
            text.push('"');
        }
        text.push(']');
        text.into_boxed_str()
    }

    /// Where the client stands.
    pub(crate) fn cursor(&self, watermark: Timestamp) -> String {
        let state = self.state.lock();
        let recent = state.recent.iter().map(|recent| (recent.tag, recent.seq));
        self.cursors.encode(self.owner, watermark, recent)
    }

    /// The same, to be worked with.
    pub(crate) fn stands(&self, watermark: Timestamp) -> Cursor {
        let state = self.state.lock();
        let recent = state.recent.iter().map(|recent| (recent.tag, recent.seq));
        Cursor {
            watermark,
            recent: recent.collect(),
        }
    }

    /// Takes over what a cursor of the client's says that it has: of channels that it has left too.
    pub(crate) fn has(&self, cursor: &Cursor, watermark: Timestamp) {
        // Their times are not in the cursor. As of now they are remembered longer than need be.
        let at = Timestamp::now();
        let mut state = self.state.lock();
        let pools = state.pools.clone();
        let held = cursor
            .recent
            .iter()
            .filter(|(tag, _)| pools.iter().all(|pool| cursor::pool_tag(*pool) != **tag))
            .map(|(&tag, &seq)| Recent { tag, seq, at });
        note_all(&mut state.recent, held, watermark);
    }

    /// Takes note of what the client is told of a channel by other means than events.
    pub(crate) fn knows(&self, channel: ChannelSid, seq: i64, at: Timestamp, watermark: Timestamp) {
        note(
            &mut self.state.lock().recent,
            Recent {
                tag: cursor::tag(channel),
                seq,
                at,
            },
            watermark,
        );
    }

    /// The same of many channels, each at most once.
    pub(crate) fn knows_all(
        &self,
        channels: impl Iterator<Item = (ChannelSid, i64, Timestamp)>,
        watermark: Timestamp,
    ) {
        let told = channels.map(|(channel, seq, at)| Recent {
            tag: cursor::tag(channel),
            seq,
            at,
        });
        note_all(&mut self.state.lock().recent, told, watermark);
    }

    /// How far it was told of a channel, as far as that is remembered.
    pub(crate) fn told(&self, channel: ChannelSid) -> Option<i64> {
        noted(&self.state.lock().recent, Some(channel))
    }

    /// Campaigns are told that their message is here.
    fn note_delivery(&self, event: &Event) {
        if let (EventKind::MessageAdded, Resource::Message(message)) = (event.kind, &event.resource) {
            self.deliveries.note(message, self.identity.as_str());
        }
    }

    /// Takes a seat in a channel. False when it has one, or is gone.
    pub(crate) fn take_seat(&self, channel: ChannelSid) -> bool {
        let mut state = self.state.lock();
        !state.gone && state.seats.insert(channel)
    }

    /// Gives a seat up. False when it had none.
    pub(crate) fn give_up_seat(&self, channel: ChannelSid) -> bool {
        self.state.lock().seats.remove(&channel)
    }

    /// Makes it an operator of a pool. False when it is one already, or is gone.
    pub(crate) fn joins_pool(&self, pool: OperatorPoolSid) -> bool {
        let mut state = self.state.lock();
        let new = !state.gone && !state.pools.contains(&pool);
        if new {
            state.pools.push(pool);
            // Never forgotten: by this a cursor says that it covers the pool.
            state.recent.push(Recent {
                tag: cursor::pool_tag(pool),
                seq: 0,
                at: Timestamp(i64::MAX),
            });
        }
        new
    }

    /// It is no operator of the pool any more.
    pub(crate) fn leaves_pool(&self, pool: OperatorPoolSid) {
        let mut state = self.state.lock();
        state.pools.retain(|own| *own != pool);
        state.recent.retain(|recent| recent.tag != cursor::pool_tag(pool));
    }

    /// The pools that it is an operator of.
    pub(crate) fn pools(&self) -> Pools {
        self.state.lock().pools.clone()
    }

    /// The channels in which it has seats.
    pub(crate) fn seats(&self) -> Vec<ChannelSid> {
        self.state.lock().seats.iter().copied().collect()
    }

    /// Whether its socket is over.
    pub(crate) fn is_gone(&self) -> bool {
        self.state.lock().gone
    }

    /// Whether it has a seat in the channel.
    pub(crate) fn is_seated(&self, channel: ChannelSid) -> bool {
        self.state.lock().seats.contains(&channel)
    }

    /// The socket is over: answers the seats to clear, and takes no further ones.
    pub(crate) fn leave(&self) -> HashSet<ChannelSid> {
        let mut state = self.state.lock();
        state.gone = true;
        state.held = None;
        std::mem::take(&mut state.seats)
    }
}
