//! Periodic work of the hub: the audit, which proves that nothing is missing, and the ends of tokens.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use hubbub_core::{
    Result, Timestamp, api_keys,
    events::{
        cursor::{MARGIN, positions},
        log,
    },
    operator_pools,
    sid::{AccountSid, ApiKeySid, ServiceSid},
    users,
};
use serde_json::json;

use super::{Hub, RoomKey, late_joins::has_missed};
use crate::{client::Client, token_life::TokenNews};

/// How often the rooms are compared with the database. Cursors grow with this, and what the bus lost is found
/// after this at the latest.
const INTERVAL: Duration = Duration::from_secs(5);
/// How many rooms or clients one query compares.
const PORTION: usize = 500;
/// How many rooms are healed at a time: after an outage of the bus all of them may be behind.
const HEALED_AT_ONCE: usize = 32;
/// How often tokens are looked at.
const TOKEN_INTERVAL: Duration = Duration::from_millis(500);

/// Audits until the hub ends.
pub(super) async fn run(hub: Weak<Hub>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(hub) = hub.upgrade() else { return };
        hub.audit().await;
    }
}

impl Hub {
    /// Compares every room with the database and heals those behind. When all are well, the watermark moves: every
    /// event committed before this audit began has been delivered.
    pub(super) async fn audit(self: &Arc<Self>) {
        let began = Timestamp::now();
        match self.compare_all().await {
            Ok(true) => {
                self.watermark.fetch_max(began.0, Ordering::AcqRel);
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(?error, "the audit could not read the database; it tries again"),
        }
    }

    async fn compare_all(self: &Arc<Self>) -> Result<bool> {
        let all_heard = self.compare_clients().await?;
        self.compare_operators().await?;
        self.compare_desks().await?;
        let complete = self.compare_rooms().await? && all_heard;
        if complete {
            self.clear_desks();
        }
        Ok(complete)
    }

    /// Finds joins of connected users that the bus lost, and ends clients whose user, key or account is gone. True when
    /// no join was lost.
    async fn compare_clients(self: &Arc<Self>) -> Result<bool> {
        let mut all_heard = true;
        let db = self.core.db.reader();
        let since = self.watermark().minus(MARGIN);
        let clients = self.every_client();
        for portion in clients.chunks(PORTION) {
            let mut users: Vec<(AccountSid, ServiceSid, String)> = portion
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
            let mut keys: Vec<ApiKeySid> = portion.iter().map(|client| client.token.key()).collect();
            keys.sort_unstable();
            keys.dedup();
            let (users_left, keys_left) = (
                users::existing(db, &users).await?,
                api_keys::living(db, &keys).await?,
            );
            for client in portion {
                let user = (client.service, client.identity.as_str().to_owned());
                let key = client.token.key();
                // A key that is not in the question was taken into use since.
                let asked = keys.binary_search(&key).is_ok();
                match keys_left.get(&key) {
                    _ if !users_left.contains(&user) => client.socket.disconnect(),
                    Some(expires) => client.token.key_expires(key, *expires),
                    None if asked => client.socket.disconnect(),
                    None => {}
                }
            }
            for (identity, join) in log::joins(db, &users, since).await? {
                let unheard = |client: &Arc<Client>| has_missed(client, join.channel, Some(join.until));
                if self.clients_of(join.service, &identity).iter().any(unheard) {
                    let events: Vec<_> = log::read(db, join, 1).await?.into_iter().map(Arc::new).collect();
                    self.take(&events);
                    all_heard = false;
                }
            }
        }
        Ok(all_heard)
    }

    /// Finds changes of pools that the bus lost.
    async fn compare_operators(self: &Arc<Self>) -> Result<()> {
        let clients = self.every_client();
        let services: BTreeSet<ServiceSid> = clients.iter().map(|client| client.service).collect();
        let services: Vec<ServiceSid> = services.into_iter().collect();
        let mut with_pools = HashSet::new();
        for portion in services.chunks(PORTION) {
            with_pools.extend(operator_pools::services_with(self.core.db.reader(), portion).await?);
        }
        let concerned: Vec<Arc<Client>> = clients
            .into_iter()
            .filter(|client| with_pools.contains(&client.service) || !client.pools().is_empty())
            .collect();
        for portion in concerned.chunks(PORTION) {
            self.refresh_operators(portion).await?;
        }
        Ok(())
    }

    async fn compare_rooms(self: &Arc<Self>) -> Result<bool> {
        let keys: Vec<RoomKey> = self.rooms.lock().keys().copied().collect();
        let mut behind = Vec::new();
        for portion in keys.chunks(PORTION) {
            for (key, last_seq) in positions(self.core.db.reader(), portion).await? {
                if self
                    .room(key)
                    .is_some_and(|room| room.lock().last_seq() < last_seq)
                {
                    behind.push(key);
                }
            }
        }
        let healed = stream::iter(behind)
            .map(|key| self.heal(key))
            .buffer_unordered(HEALED_AT_ONCE);
        Ok(healed.fold(true, |all, well| async move { all && well }).await)
    }
}

/// Warns clients whose tokens end soon and ends those whose tokens have ended, until the hub ends.
pub(super) async fn watch_tokens(hub: Weak<Hub>) {
    let mut ticks = tokio::time::interval(TOKEN_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(hub) = hub.upgrade() else { return };
        let now = Timestamp::now();
        for client in hub.every_client() {
            let (name, expired) = match client.token.news(now) {
                None => continue,
                Some(TokenNews::AboutToExpire) => ("tokenAboutToExpire", false),
                Some(TokenNews::Expired) => ("tokenExpired", true),
            };
            client.socket.emit(
                name,
                &json!({
                    "id": hubbub_core::sid::EventSid::generate(),
                    "type": name,
                    "service_sid": client.service,
                    "identity": client.identity,
                    "timestamp": now.to_millis_text(),
                }),
            );
            if expired {
                client.socket.disconnect();
            }
        }
    }
}
