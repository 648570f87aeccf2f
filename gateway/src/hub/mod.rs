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
mod taking;
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
        Event,
        publisher::{Control, EventSink},
    },
    sid::{ChannelSid, ServiceSid},
    topic::Topic,
};
use parking_lot::Mutex;

use self::{buckets::Buckets, operators::Operators, presence::Presence, room::Room};
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
