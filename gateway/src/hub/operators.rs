//! Operators: the clients that hear the channels of their pools without being members.
//!
//! A pool may have a hundred thousand channels, so that none of them is looked at before something happens in it. Then
//! the pool's clients are ushered in (see `ushering`), and stay for as long as it is busy.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use hubbub_core::{
    Ctx, Result,
    entities::user,
    events::{Event, EventKind, cursor::MARGIN},
    operator_pools,
    permissions::Permission,
    roles,
    sid::{ChannelSid, OperatorPoolSid, ServiceSid},
    topic::Topic,
};
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::Notify;

use super::{Hub, RoomKey, encoded::Encoded};
use crate::client::Client;

/// A pool of a service.
pub(super) type PoolKey = (ServiceSid, OperatorPoolSid);
/// The pools of one client.
pub(crate) type Pools = SmallVec<[OperatorPoolSid; 1]>;

/// The operators of this process's clients.
#[derive(Default)]
pub(super) struct Operators {
    desks: Mutex<HashMap<PoolKey, Desk>>,
    /// Those who hear what all operators of a service hear.
    listeners: Mutex<HashMap<ServiceSid, Vec<Arc<Client>>>>,
    /// Channels whose operators are to be ushered in.
    wanted: Mutex<BTreeSet<RoomKey>>,
    wake: Arc<Notify>,
    /// One usher works at a time: nobody is told anything twice.
    pub(super) ushering: tokio::sync::Mutex<()>,
}

/// A pool with clients here.
#[derive(Default)]
struct Desk {
    clients: Vec<Arc<Client>>,
    /// The rooms in which they are seated.
    rooms: HashSet<ChannelSid>,
}

/// What a client is to operators.
pub(crate) struct Attendance {
    /// Its pools.
    pub(crate) pools: Pools,
    /// Whether it hears what all operators hear.
    pub(crate) listens: bool,
}

impl Attendance {
    /// Of this user. It hears what operators hear when it is one of any pool, or when its service role, which is another
    /// one than everybody's, lets it edit anybody's user: by default that is the service's administrators.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn of(ctx: &Ctx, user: &user::Model) -> Result<Self> {
        let mut pools = Pools::new();
        if ctx.service.operator_pools > 0 {
            for operator in operator_pools::pools_of(ctx.reader(), ctx.scope(), &user.identity).await? {
                pools.push(operator.pool_id);
            }
        }
        let mut listens = !pools.is_empty();
        if !listens && user.role_id != ctx.service.default_service_role_id {
            let rights = roles::permissions(ctx.reader(), ctx.scope(), user.role_id).await?;
            listens = rights.has(Permission::EditAnyUserInfo);
        }
        Ok(Self { pools, listens })
    }
}

impl Operators {
    pub(super) fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    pub(super) fn wanted(&self) -> Vec<RoomKey> {
        std::mem::take(&mut *self.wanted.lock()).into_iter().collect()
    }

    pub(super) fn want(&self, key: RoomKey) {
        self.wanted.lock().insert(key);
        self.wake.notify_one();
    }

    /// The pools of a service that have clients here.
    pub(super) fn pools_of(&self, service: ServiceSid) -> Pools {
        let desks = self.desks.lock();
        desks
            .keys()
            .filter(|(of, _)| *of == service)
            .map(|(_, pool)| *pool)
            .collect()
    }

    pub(super) fn services(&self) -> BTreeSet<ServiceSid> {
        self.desks.lock().keys().map(|(service, _)| *service).collect()
    }

    /// The clients of any of these pools, each once.
    pub(super) fn clients_of(
        &self,
        service: ServiceSid,
        pools: impl Iterator<Item = OperatorPoolSid>,
    ) -> Vec<Arc<Client>> {
        let desks = self.desks.lock();
        let mut clients: Vec<Arc<Client>> = pools
            .filter_map(|pool| desks.get(&(service, pool)))
            .flat_map(|desk| desk.clients.iter().cloned())
            .collect();
        clients.sort_unstable_by_key(|client| client.id);
        clients.dedup_by_key(|client| client.id);
        clients
    }

    pub(super) fn has(&self, key: PoolKey) -> bool {
        self.desks.lock().contains_key(&key)
    }

    /// The rooms in which a pool's clients are seated.
    pub(super) fn rooms_of(&self, key: PoolKey) -> Vec<ChannelSid> {
        let desks = self.desks.lock();
        desks
            .get(&key)
            .map(|desk| desk.rooms.iter().copied().collect())
            .unwrap_or_default()
    }

    /// Whether a pool's clients are seated in this room.
    pub(super) fn are_in(&self, key: PoolKey, channel: ChannelSid) -> bool {
        self.desks
            .lock()
            .get(&key)
            .is_some_and(|desk| desk.rooms.contains(&channel))
    }

    pub(super) fn sits_in(&self, key: PoolKey, channel: ChannelSid) {
        if let Some(desk) = self.desks.lock().get_mut(&key) {
            desk.rooms.insert(channel);
        }
    }

    pub(super) fn left(&self, key: PoolKey, channel: ChannelSid) {
        if let Some(desk) = self.desks.lock().get_mut(&key) {
            desk.rooms.remove(&channel);
        }
    }
}

impl Hub {
    /// Has a client hear what its pools hear. Its seats in rooms follow.
    pub(crate) fn attend(&self, client: &Arc<Client>, attendance: &Attendance) {
        for pool in &attendance.pools {
            self.join_desk(client, *pool);
        }
        self.listen(client, attendance.listens);
    }

    fn join_desk(&self, client: &Arc<Client>, pool: OperatorPoolSid) {
        let key = (client.service, pool);
        let mut desks = self.operators.desks.lock();
        if !client.joins_pool(pool) {
            return;
        }
        let desk = desks.entry(key).or_default();
        if desk.clients.is_empty() {
            self.buckets.interest(Topic::pool(key.0, pool));
        }
        desk.clients.push(Arc::clone(client));
    }

    /// Takes a client out of a pool's desk; its seats are to be cleared by whoever calls.
    fn leave_desk(&self, client: &Client, pool: OperatorPoolSid) {
        let key = (client.service, pool);
        let mut desks = self.operators.desks.lock();
        client.leaves_pool(pool);
        if let Some(desk) = desks.get_mut(&key) {
            desk.clients.retain(|other| other.id != client.id);
            if desk.clients.is_empty() {
                desks.remove(&key);
                self.buckets.no_interest(Topic::pool(key.0, pool));
            }
        }
    }

    fn listen(&self, client: &Arc<Client>, listens: bool) {
        let mut listeners = self.operators.listeners.lock();
        let of_service = listeners.entry(client.service).or_default();
        let listened = of_service.iter().any(|other| other.id == client.id);
        if listens && !listened && !client.is_gone() {
            if of_service.is_empty() {
                self.buckets.interest(Topic::operators(client.service));
            }
            of_service.push(Arc::clone(client));
        } else if !listens && listened {
            of_service.retain(|other| other.id != client.id);
            if of_service.is_empty() {
                self.buckets.no_interest(Topic::operators(client.service));
            }
        }
        if of_service.is_empty() {
            listeners.remove(&client.service);
        }
    }

    /// A client is over, which gives up all its seats.
    pub(super) fn leaves_desks(&self, client: &Arc<Client>) {
        for pool in client.pools() {
            self.leave_desk(client, pool);
        }
        self.listen(client, false);
    }

    /// Tells the service's operators.
    pub(super) fn tell_operators(&self, event: &Arc<Event>) {
        let listeners = self.operators.listeners.lock().get(&event.service).cloned();
        let encoded = Encoded::new(Arc::clone(event));
        for client in listeners.unwrap_or_default() {
            client.deliver(&encoded, event.kind, self.watermark());
        }
    }

    /// Has the operators ushered in whom events concern that are not in the room: of a channel that nobody here has
    /// heard of yet, that was attached by one of these, or that one of them has left as a member.
    pub(super) fn attend_to(&self, events: &[Arc<Event>]) {
        for event in events {
            let (Some(pool), Some(channel), Some(_)) = (event.pool, event.channel, event.seq) else {
                continue;
            };
            if !self.operators.has((event.service, pool)) {
                continue;
            }
            let key = (event.service, channel);
            let sits = self.operators.are_in((event.service, pool), channel)
                && self
                    .room(key)
                    .is_some_and(|room| room.lock().is_attended_by(pool));
            if !sits || event.kind == EventKind::MemberLeft {
                self.operators.want(key);
            }
        }
    }

    /// Seats a client in the rooms of its pools that are open; it knows them as they stand.
    pub(super) fn seat_in_desks(&self, client: &Arc<Client>) {
        for pool in client.pools() {
            for channel in self.operators.rooms_of((client.service, pool)) {
                let Some(room) = self.room((client.service, channel)) else {
                    continue;
                };
                let mut room = room.lock();
                if !room.closed && room.is_attended_by(pool) && client.take_seat(channel) {
                    room.seat_operator(Arc::clone(client));
                }
            }
        }
    }

    /// Looks anew at whose pools the clients of these services have.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(super) async fn refresh_operators(self: &Arc<Self>, clients: &[Arc<Client>]) -> Result<()> {
        let mut users: Vec<_> = clients
            .iter()
            .map(|client| {
                (
                    client.account,
                    client.service,
                    client.identity.as_str().to_owned(),
                )
            })
            .collect();
        users.sort_unstable();
        users.dedup();
        let found = operator_pools::of_users(self.core.db.reader(), &users).await?;
        for client in clients {
            let key = (client.service, client.identity.as_str().to_owned());
            let now = found.get(&key).map_or(&[][..], Vec::as_slice);
            let before = client.pools();
            for pool in before.iter().filter(|pool| !now.contains(pool)) {
                self.leave_desk(client, *pool);
                self.unseat_from(client, *pool);
            }
            let new: Pools = now
                .iter()
                .copied()
                .filter(|pool| !before.contains(pool))
                .collect();
            if !new.is_empty() {
                for pool in &new {
                    self.join_desk(client, *pool);
                }
                self.listen(client, true);
                self.seat_in_desks(client);
                let since = self.watermark().minus(MARGIN);
                let own = client.seats();
                self.know_desks(client, &new, since, |channel| own.contains(&channel))
                    .await?;
            } else if now.is_empty() && !before.is_empty() {
                self.listen(client, false);
            }
        }
        Ok(())
    }

    fn unseat_from(&self, client: &Client, pool: OperatorPoolSid) {
        for channel in client.seats() {
            let key = (client.service, channel);
            let Some(room) = self.room(key) else { continue };
            let empty = {
                let mut room = room.lock();
                if room.is_attended_by(pool) && room.unseat_operator(client) {
                    client.give_up_seat(channel);
                }
                room.is_empty()
            };
            if empty {
                self.close_if_empty(key);
            }
        }
    }
}
