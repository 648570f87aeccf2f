//! Ushering operators in: when something happens in a channel of their pool, they are told what they have missed of it
//! and get seats in its room, where they hear the rest like everybody else.
//!
//! What a client has of a channel is what it was last told of it or, when that is too long ago to be remembered, the last
//! event before the watermark less [`MARGIN`]: the audit has made sure that everything until then was told. That is the
//! rule by which cursors work, and so nothing is missed and nothing comes twice.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Weak},
    time::Duration,
};

use hubbub_core::{
    Result, Timestamp,
    events::{
        attending::{self, Standing},
        cursor::{MARGIN, Subscription},
        log::{self, Stretch},
    },
    sid::{ChannelSid, OperatorPoolSid, ServiceSid},
};

use super::{Hub, RoomKey, encoded::Encoded};
use crate::client::Client;

/// How many channels are looked at with one question.
const PORTION: usize = 100;
/// How long after its last event a room has operators in it and nobody else.
const IDLE: Duration = Duration::from_secs(60);

/// An operator who is to hear of a channel.
struct Guest {
    client: Arc<Client>,
    /// What it is to be told first.
    spans: Vec<(i64, i64)>,
}

/// Ushers in whoever is wanted, until the hub ends.
pub(super) async fn run(hub: Weak<Hub>, wake: Arc<tokio::sync::Notify>) {
    loop {
        wake.notified().await;
        let Some(hub) = hub.upgrade() else { return };
        let wanted = hub.operators.wanted();
        if let Err(error) = hub.usher(&wanted).await {
            tracing::warn!(
                ?error,
                "operators could not be told of channels; the audit tries again"
            );
        }
    }
}

impl Hub {
    /// Tells the operators of these channels what they missed, and seats them.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(super) async fn usher(self: &Arc<Self>, keys: &[RoomKey]) -> Result<()> {
        let _alone = self.operators.ushering.lock().await;
        let mut services: BTreeMap<ServiceSid, Vec<ChannelSid>> = BTreeMap::new();
        for (service, channel) in keys {
            services.entry(*service).or_default().push(*channel);
        }
        for (service, channels) in services {
            let pools = self.operators.pools_of(service);
            if pools.is_empty() {
                continue;
            }
            for portion in channels.chunks(PORTION) {
                self.usher_portion(service, portion, &pools).await?;
            }
        }
        Ok(())
    }

    async fn usher_portion(
        self: &Arc<Self>,
        service: ServiceSid,
        channels: &[ChannelSid],
        pools: &[OperatorPoolSid],
    ) -> Result<()> {
        let db = self.core.db.reader();
        let since = self.watermark().minus(MARGIN);
        let standings = attending::standings(db, service, channels, pools, since).await?;
        let mut guests: HashMap<ChannelSid, Vec<Guest>> = HashMap::new();
        let mut stretches = Vec::new();
        for (channel, standing) in &standings {
            let (mut from, mut until) = (i64::MAX, 0);
            for client in self.operators.clients_of(service, standing.pools()) {
                if client.is_seated(*channel) {
                    continue;
                }
                let known = client.told(*channel).unwrap_or(standing.before);
                let spans = standing.heard_by(&client.pools(), known);
                for (after, last) in &spans {
                    (from, until) = (from.min(*after), until.max(*last));
                }
                guests.entry(*channel).or_default().push(Guest { client, spans });
            }
            if from < until {
                stretches.push(Stretch {
                    account: standing.account,
                    service,
                    channel: *channel,
                    after: from,
                    until,
                });
            }
        }
        let mut events: HashMap<ChannelSid, Vec<Encoded>> = HashMap::new();
        for mut event in log::read_all(db, &stretches).await? {
            // Whoever sent it has it by the ack.
            event.connection = self.core.writer.socket_of(event.id);
            if let Some(channel) = event.channel {
                events
                    .entry(channel)
                    .or_default()
                    .push(Encoded::new(Arc::new(event)));
            }
        }
        for (channel, standing) in standings {
            let guests = guests.remove(&channel).unwrap_or_default();
            let events = events.remove(&channel).unwrap_or_default();
            self.usher_in((service, channel), &standing, &guests, &events);
        }
        Ok(())
    }

    /// Tells the guests and seats them. The channel may have moved on since it was looked at: then it is looked at again.
    fn usher_in(self: &Arc<Self>, key: RoomKey, standing: &Standing, guests: &[Guest], events: &[Encoded]) {
        let Some(pool) = standing.pool.filter(|pool| self.operators.has((key.0, *pool))) else {
            for guest in guests {
                self.tell_missed(key.1, guest, events);
            }
            return;
        };
        let behind = loop {
            let (room, _) = self.open_room(key, standing.last_seq);
            let mut room = room.lock();
            if room.closed {
                continue;
            }
            if room.last_seq() > standing.last_seq && !guests.is_empty() {
                drop(room);
                self.operators.want(key);
                self.close_if_empty(key);
                return;
            }
            room.attend(pool, standing.last_event_at);
            for guest in guests {
                let sits = guest.client.pools().contains(&pool);
                if !sits {
                    self.tell_missed(key.1, guest, events);
                } else if guest.client.take_seat(key.1) {
                    self.tell_missed(key.1, guest, events);
                    room.seat_operator_behind(Arc::clone(&guest.client), standing.last_seq);
                }
            }
            break room.last_seq() < standing.last_seq;
        };
        self.operators.sits_in((key.0, pool), key.1);
        self.close_if_empty(key);
        if behind {
            self.heal_soon(key);
        }
    }

    fn tell_missed(&self, channel: ChannelSid, guest: &Guest, events: &[Encoded]) {
        let told = guest.client.told(channel);
        let missed = events.iter().filter(|encoded| {
            let seq = encoded.event.seq.unwrap_or(0);
            Some(seq) > told
                && guest
                    .spans
                    .iter()
                    .any(|(after, until)| *after < seq && seq <= *until)
        });
        let news = missed.map(|encoded| (encoded, self.kind_for(&guest.client, &encoded.event)));
        guest.client.deliver_all(news, self.watermark());
    }

    /// Takes note that a client knows the channels of these pools as they are, but for those that it is a member of.
    /// Answers those in which something happened after `since`.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(super) async fn know_desks(
        &self,
        client: &Client,
        pools: &[OperatorPoolSid],
        since: Timestamp,
        is_member: impl Fn(ChannelSid) -> bool,
    ) -> Result<Vec<Subscription>> {
        let db = self.core.db.reader();
        let watermark = self.watermark();
        let left = log::attachments(db, client.service, pools, None, since).await?;
        let now = Timestamp::now();
        for (_, change) in left {
            if !change.joined && !is_member(change.channel) {
                client.knows(change.channel, change.seq, now, watermark);
            }
        }
        let active = attending::active(db, client.service, pools, since).await?;
        let known = active.iter().filter(|known| !is_member(known.channel));
        client.knows_all(
            known.map(|known| (known.channel, known.last_seq, known.last_event_at)),
            watermark,
        );
        Ok(active)
    }

    /// Finds channels of pools with events that their operators here have not heard, and ushers them in.
    pub(super) async fn compare_desks(self: &Arc<Self>) -> Result<()> {
        let since = self.watermark().minus(MARGIN);
        let mut unheard = Vec::new();
        for service in self.operators.services() {
            let pools = self.operators.pools_of(service);
            for pool in &pools {
                let clients = self.operators.clients_of(service, std::iter::once(*pool));
                let active = attending::active(self.core.db.reader(), service, &[*pool], since).await?;
                for Subscription {
                    channel, last_seq, ..
                } in active
                {
                    let sits = self.operators.are_in((service, *pool), channel)
                        && self
                            .room((service, channel))
                            .is_some_and(|room| room.lock().is_attended_by(*pool));
                    let knows = |client: &Arc<Client>| client.told(channel) >= Some(last_seq);
                    if !sits && !clients.iter().all(knows) {
                        unheard.push((service, channel));
                    }
                }
            }
            // Those that are attached no longer, of which nobody here heard.
            let left = log::attachments(self.core.db.reader(), service, &pools, None, since).await?;
            for (pool, change) in left.into_iter().filter(|(_, change)| !change.joined) {
                let clients = self.operators.clients_of(service, std::iter::once(pool));
                let knows = |client: &Arc<Client>| {
                    client.is_seated(change.channel) || client.told(change.channel) >= Some(change.seq)
                };
                if !clients.iter().all(knows) {
                    unheard.push((service, change.channel));
                }
            }
        }
        if unheard.is_empty() {
            return Ok(());
        }
        unheard.sort_unstable();
        unheard.dedup();
        self.usher(&unheard).await
    }

    /// Closes rooms that have only operators in them and have been quiet for so long that all of them are known to have
    /// heard everything.
    pub(super) fn clear_desks(&self) {
        let quiet = self.watermark().minus(MARGIN + IDLE);
        for service in self.operators.services() {
            for pool in self.operators.pools_of(service) {
                for channel in self.operators.rooms_of((service, pool)) {
                    let key = (service, channel);
                    let empty = match self.room(key) {
                        None => true,
                        Some(room) => {
                            let mut room = room.lock();
                            if room.is_attended_by(pool) {
                                room.clear_if_quiet(channel, quiet)
                            } else {
                                true
                            }
                        }
                    };
                    if empty {
                        self.operators.left((service, pool), channel);
                        self.close_if_empty(key);
                    }
                }
            }
        }
    }
}
