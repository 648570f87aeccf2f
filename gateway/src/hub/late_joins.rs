//! Joins of connected users that a room cannot tell as they come: it is past them, since another member opened it behind
//! the join by what the database said; or it is younger than the client, and does not know whether a join and a leave came
//! before it that the bus has lost. What the client may hear is then found in the database.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use hubbub_core::{
    Result, Timestamp,
    events::{
        Event,
        cursor::{self, Cursor, MARGIN, Subscription},
        log::MembershipChange,
    },
    sid::ChannelSid,
};

use super::{Hub, RoomKey, Start};
use crate::client::Client;

impl Hub {
    /// Seats the clients of whoever joined by this event whom the room has not seated, unless it waits for what came before.
    pub(super) fn seat_late(self: &Arc<Self>, key: RoomKey, join: &Event) {
        let is_ahead = |room: Arc<parking_lot::Mutex<super::Room>>| Some(room.lock().last_seq()) < join.seq;
        if self.room(key).is_some_and(is_ahead) {
            return;
        }
        for client in self.newcomers(join) {
            if has_missed(&client, key.1, join.seq) {
                let hub = Arc::clone(self);
                tokio::spawn(async move { hub.bring(&client).await });
            }
        }
    }

    /// Brings a client to all channels that it has joined lately and has no seat in, and tells it what it missed there.
    async fn bring(self: &Arc<Self>, client: &Arc<Client>) {
        while client.hold_for_joins() {
            let mut places = HashMap::new();
            let told = match self.find_places(client, &mut places).await {
                Ok(start) => self.catch_up(client, &start).await,
                Err(error) => Err(error),
            };
            match told {
                Ok(()) => {}
                Err(error) if places.is_empty() => {
                    tracing::warn!(?error, "joins could not be followed; the audit tries again");
                }
                Err(error) => {
                    tracing::debug!(
                        ?error,
                        "a client could not catch up; it comes back with its cursor"
                    );
                    return client.socket.close_transport();
                }
            }
            if !client.release(self.watermark()) {
                return;
            }
        }
    }

    /// Lets live events through to a client that has caught up, and brings it where it has joined meanwhile.
    pub(crate) fn release(self: &Arc<Self>, client: &Arc<Client>) {
        if client.release(self.watermark()) {
            let (hub, client) = (Arc::clone(self), Arc::clone(client));
            tokio::spawn(async move { hub.bring(&client).await });
        }
    }

    /// Takes the seats that are missing, and finds what the client has to be told. `places` are the seats, each with the
    /// `seq` behind which what is told live begins.
    async fn find_places(
        self: &Arc<Self>,
        client: &Arc<Client>,
        places: &mut HashMap<ChannelSid, i64>,
    ) -> Result<Start> {
        let (service, identity) = (client.service, client.identity.as_str());
        let watermark = self.watermark();
        let cursor = client.stands(watermark);
        client.goes_on_from(cursor.clone());
        let since = watermark.minus(MARGIN);
        let mut missed = HashSet::new();
        loop {
            let changes = self
                .core
                .connecting
                .membership_changes(service, identity, since)
                .await?;
            let untold = |change: &&MembershipChange| {
                change.joined
                    && !places.contains_key(&change.channel)
                    && has_missed(client, change.channel, Some(change.seq))
            };
            missed.extend(changes.iter().filter(untold).map(|change| change.channel));
            let last_change: HashMap<ChannelSid, MembershipChange> =
                changes.iter().map(|change| (change.channel, *change)).collect();
            let mut has_taken = false;
            for (channel, MembershipChange { seq, joined, .. }) in last_change {
                if !missed.contains(&channel) {
                    continue;
                }
                if joined && !places.contains_key(&channel) {
                    let behind = self.seat(client, channel, seq);
                    places.insert(channel, behind.map_or(seq, |behind| behind.until));
                    has_taken = true;
                    self.heal_after_binding((service, channel));
                } else if !joined && places.remove(&channel).is_some() {
                    self.unseat(client, channel);
                }
            }
            // A seat that was taken by an answer may have ended after it: only an answer that is younger tells.
            if !has_taken {
                return self.told_behind(client, &cursor, &missed, places).await;
            }
        }
    }

    /// What a client that stood at this cursor has to be told of the channels in which it missed its joins.
    async fn told_behind(
        &self,
        client: &Client,
        cursor: &Cursor,
        missed: &HashSet<ChannelSid>,
        places: &HashMap<ChannelSid, i64>,
    ) -> Result<Start> {
        let now = Timestamp::now();
        let subscriptions: Vec<Subscription> = places
            .iter()
            .map(|(channel, seated_at)| Subscription {
                channel: *channel,
                last_seq: *seated_at,
                last_event_at: now,
                deleted: false,
            })
            .collect();
        let (account, service) = (client.account, client.service);
        let identity = client.identity.as_str();
        let mut stretches =
            cursor::missed(&self.core, account, service, identity, cursor, &subscriptions).await?;
        stretches.retain(|stretch| missed.contains(&stretch.channel));
        Ok(Start::besides_own(stretches))
    }
}

/// Whether a client has neither a seat in the channel nor been told of what was there from this `seq` on.
pub(super) fn has_missed(client: &Client, channel: ChannelSid, seq: Option<i64>) -> bool {
    !client.is_seated(channel) && client.told(channel) < seq
}
