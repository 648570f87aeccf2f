//! The hub: the clients of this process, and the rooms in which they hear their channels.
//!
//! Locks are taken in this order and none is held over an await: typists, rooms, a room, users, a client.

mod audit;
mod buckets;
pub(crate) mod encoded;
mod healing;
mod late_joins;
mod listener;
mod operators;
mod presence;
mod resume;
mod room;
mod typing;
mod typists;
mod ushering;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use hubbub_core::{
    Core, Result, Timestamp,
    broker::BrokerError,
    events::{
        Event, EventKind,
        publisher::{Control, EventSink},
    },
    sid::{ChannelSid, ServiceSid},
    topic::Topic,
};
use parking_lot::Mutex;

use self::{
    buckets::Buckets,
    encoded::Encoded,
    operators::Operators,
    presence::Presence,
    room::{Followup, Room, moves_clients},
};
use crate::{
    GatewayConfig,
    client::Client,
    limits::{AccountSockets, SocketLimits, VerbRate},
};

pub(crate) use operators::{Attendance, Pools};
pub(crate) use resume::{PACE, Start};
pub(crate) use typing::{Pass, Typing};

type RoomKey = (ServiceSid, ChannelSid);
type UserKey = (ServiceSid, String);

/// The connected clients of this process.
pub struct Hub {
    core: Arc<Core>,
    rooms: Mutex<HashMap<RoomKey, Arc<Mutex<Room>>>>,
    users: Mutex<HashMap<UserKey, Vec<Arc<Client>>>>,
    buckets: Buckets,
    /// Everything committed before this moment has been delivered to the rooms.
    watermark: AtomicI64,
    /// How much may wait for one socket, in bytes.
    socket_queue: usize,
    socket_limits: SocketLimits,
    accounts: AccountSockets,
    /// How many verbs a second a socket may ask for.
    pub(crate) verb_rate: Option<VerbRate>,
    presence: Presence,
    operators: Operators,
    /// Who types where.
    pub(crate) typing: Typing,
}

impl Hub {
    /// Subscribes to the bus and to this process's own commits.
    ///
    /// # Errors
    /// When the bus cannot be subscribed to.
    pub async fn start(core: Arc<Core>, config: &GatewayConfig) -> Result<Arc<Self>, BrokerError> {
        let subscription = core.bus.subscribe().await?;
        let shared = core.bus.crosses_processes();
        let hub = Arc::new(Self {
            typing: Typing::new(config.typing_channel_limit),
            buckets: Buckets::start(subscription.binder, shared),
            core,
            rooms: Mutex::new(HashMap::new()),
            users: Mutex::new(HashMap::new()),
            presence: Presence::default(),
            operators: Operators::default(),
            watermark: AtomicI64::new(Timestamp::now().0),
            socket_queue: config.socket_queue,
            socket_limits: config.socket_limits,
            accounts: AccountSockets::default(),
            verb_rate: config.socket_rate,
        });
        hub.core
            .publisher
            .attach(Arc::new(LocalSink(Arc::downgrade(&hub))));
        tokio::spawn(listener::run(Arc::downgrade(&hub), subscription.signals));
        tokio::spawn(audit::run(Arc::downgrade(&hub)));
        tokio::spawn(audit::watch_tokens(Arc::downgrade(&hub)));
        tokio::spawn(typing::watch(Arc::downgrade(&hub)));
        tokio::spawn(ushering::run(Arc::downgrade(&hub), hub.operators.wake()));
        tokio::spawn(Self::keep_presence(Arc::downgrade(&hub), hub.presence.wake()));
        tokio::spawn(Self::sweep_presence(Arc::downgrade(&hub)));
        Ok(hub)
    }

    /// How many clients are connected.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.users.lock().values().map(Vec::len).sum()
    }

    pub(crate) fn watermark(&self) -> Timestamp {
        Timestamp(self.watermark.load(Ordering::Acquire))
    }

    fn room(&self, key: RoomKey) -> Option<Arc<Mutex<Room>>> {
        self.rooms.lock().get(&key).cloned()
    }

    /// The room, made at `last_seq` when there is none; true when it was made.
    fn open_room(&self, key: RoomKey, last_seq: i64) -> (Arc<Mutex<Room>>, bool) {
        let mut rooms = self.rooms.lock();
        if let Some(room) = rooms.get(&key) {
            return (Arc::clone(room), false);
        }
        let room = Arc::new(Mutex::new(Room::new(last_seq)));
        rooms.insert(key, Arc::clone(&room));
        self.buckets.interest(Topic::channel(key.0, key.1));
        (room, true)
    }

    /// Takes an empty room out of the map.
    fn close_if_empty(&self, key: RoomKey) {
        let mut rooms = self.rooms.lock();
        let Some(room) = rooms.get(&key).cloned() else {
            return;
        };
        let mut room = room.lock();
        if room.is_empty() && !room.closed {
            room.closed = true;
            rooms.remove(&key);
            self.buckets.no_interest(Topic::channel(key.0, key.1));
        }
    }

    /// Whether there is room for one more socket like this.
    ///
    /// # Errors
    /// 20429 when its user, or its account, has as many sockets as it may.
    pub(crate) fn check_limits(&self, client: &Client) -> Result<()> {
        let open = self.clients_of(client.service, client.identity.as_str()).len();
        self.socket_limits.check_user(client.identity.as_str(), open)?;
        self.accounts.check(&self.socket_limits, client.account)
    }

    /// Lets a client in: from now on its user's joins and leaves reach it. `knows` whether it is told that its user is
    /// online.
    ///
    /// # Errors
    /// As [`Self::check_limits`].
    pub(crate) fn enter(&self, client: &Arc<Client>, knows: bool) -> Result<()> {
        let topic = Topic::user(client.service, client.identity.as_str());
        let key = (client.service, client.identity.as_str().to_owned());
        let mut users = self.users.lock();
        let open = users.get(&key).map_or(0, Vec::len);
        self.socket_limits.check_user(&key.1, open)?;
        self.accounts.add(&self.socket_limits, client.account)?;
        let clients = users.entry(key).or_default();
        if clients.is_empty() {
            self.buckets.interest(topic);
            let who = (client.service, client.identity.as_str().to_owned());
            self.presence.came(who, knows.then_some(client.id));
        }
        clients.push(Arc::clone(client));
        Ok(())
    }

    /// Forgets a client whose socket is over.
    pub(crate) fn leave(&self, client: &Arc<Client>) {
        self.stops_typing(client);
        {
            let key = (client.service, client.identity.as_str().to_owned());
            let mut users = self.users.lock();
            if let Some(clients) = users.get_mut(&key) {
                let before = clients.len();
                clients.retain(|other| other.id != client.id);
                if clients.len() < before {
                    self.accounts.remove(client.account);
                }
                if clients.is_empty() {
                    users.remove(&key);
                    self.buckets.no_interest(Topic::user(key.0, &key.1));
                    self.presence.went(key);
                }
            }
        }
        let seats = client.leave();
        self.leaves_desks(client);
        for channel in seats {
            let key = (client.service, channel);
            let Some(room) = self.room(key) else { continue };
            let empty = {
                let mut room = room.lock();
                room.unseat(client);
                room.is_empty()
            };
            if empty {
                self.close_if_empty(key);
            }
        }
    }

    /// Ends the user's socket of this id, whose place another one takes: its end was not noticed yet.
    pub(crate) fn supersede(&self, client: &Client, id: &str) {
        for other in self.clients_of(client.service, client.identity.as_str()) {
            if other.socket.id() == id {
                other.socket.close_transport();
                self.leave(&other);
            }
        }
    }

    fn clients_of(&self, service: ServiceSid, identity: &str) -> Vec<Arc<Client>> {
        self.users
            .lock()
            .get(&(service, identity.to_owned()))
            .cloned()
            .unwrap_or_default()
    }

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
    fn newcomers(&self, event: &Event) -> Vec<Arc<Client>> {
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

    pub(crate) fn act(self: &Arc<Self>, control: &Control) {
        let ends: Box<dyn Fn(&Client) -> bool> = match control.clone() {
            Control::UserDeleted { service, identity } => {
                Box::new(move |client| client.service == service && client.identity == identity)
            }
            Control::ServiceDeleted { service } => Box::new(move |client| client.service == service),
            Control::KeyDeleted { account, key } => {
                Box::new(move |client| client.account == account && client.token.key() == key)
            }
            Control::AccountEnded { account } => Box::new(move |client| client.account == account),
            Control::PoolChanged { service, .. } => return self.look_at_operators(service),
            Control::KeyExpires { key, at, .. } => {
                for client in self.every_client() {
                    client.token.key_expires(key, at);
                }
                return;
            }
        };
        if let Control::UserDeleted { service, identity } = control {
            self.presence.deleted(*service, identity.as_str());
        }
        for client in self.every_client() {
            if ends(&client) {
                if matches!(control, Control::ServiceDeleted { .. }) {
                    self.presence.deleted(client.service, client.identity.as_str());
                }
                client.socket.disconnect();
            }
        }
    }

    /// Looks anew at who the operators of a service are.
    fn look_at_operators(self: &Arc<Self>, service: ServiceSid) {
        let hub = Arc::clone(self);
        tokio::spawn(async move {
            let mut clients = hub.every_client();
            clients.retain(|client| client.service == service);
            if let Err(error) = hub.refresh_operators(&clients).await {
                tracing::warn!(?error, "operators could not be looked at; the audit tries again");
            }
        });
    }

    fn every_client(&self) -> Vec<Arc<Client>> {
        self.users.lock().values().flatten().cloned().collect()
    }
}

/// This process's commits reach the hub without the detour over the broker.
struct LocalSink(std::sync::Weak<Hub>);

impl EventSink for LocalSink {
    fn deliver(&self, events: &[Arc<Event>]) {
        if let Some(hub) = self.0.upgrade() {
            hub.take(events);
        }
    }

    fn control(&self, control: &Control) {
        if let Some(hub) = self.0.upgrade() {
            hub.act(control);
        }
    }
}
