//! Periodic work of the hub: the audit, which proves that nothing is missing, and the ends of tokens.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use hubbub_core::{Result, Timestamp, events::cursor::positions};
use serde_json::json;

use super::{Hub, RoomKey};
use crate::client::TokenNews;

/// How often the rooms are compared with the database. Cursors grow with this, and what the bus lost is found
/// after this at the latest.
const INTERVAL: Duration = Duration::from_secs(5);
/// How many rooms one query compares.
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
        match self.compare().await {
            Ok(true) => {
                self.watermark.fetch_max(began.0, Ordering::AcqRel);
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(?error, "the audit could not read the database; it tries again"),
        }
    }

    async fn compare(self: &Arc<Self>) -> Result<bool> {
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
        Ok(healed.all(|well| async move { well }).await)
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
            let (name, expires) = match client.token.news(now) {
                None => continue,
                Some(TokenNews::AboutToExpire(expires)) => ("tokenAboutToExpire", Some(expires)),
                Some(TokenNews::Expired) => ("tokenExpired", None),
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
            if expires.is_none() {
                client.socket.disconnect();
            }
        }
    }
}
