//! When keys are used: noted in the row at most once a minute a key, and never by the call itself.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

use crate::{
    db::Db,
    entities::api_key::{Column, Entity},
    sid::{AccountSid, ApiKeySid},
    timestamp::Timestamp,
};

/// How often one key's use is written down.
const PACE: Duration = Duration::from_secs(60);
/// How many keys are remembered before those of the last minute are picked out.
const REMEMBERED: usize = 4096;

/// Notes when keys are used.
pub struct KeyUse {
    db: Db,
    written: Mutex<HashMap<ApiKeySid, Instant>>,
}

impl KeyUse {
    pub(crate) fn new(db: &Db) -> Self {
        Self {
            db: db.clone(),
            written: Mutex::new(HashMap::new()),
        }
    }

    /// The key was used. Does not wait for the database.
    pub(crate) fn note(&self, account: AccountSid, key: ApiKeySid) {
        if !self.is_due(key, Instant::now()) {
            return;
        }
        let db = self.db.clone();
        tokio::spawn(async move {
            let noted = Entity::update_many()
                .col_expr(Column::DateLastUsed, Expr::value(Timestamp::now()))
                .filter(Column::AccountId.eq(account))
                .filter(Column::Id.eq(key))
                .exec(db.writer())
                .await;
            if let Err(error) = noted {
                tracing::debug!(%error, %key, "the use of key {key} was not noted");
            }
        });
    }

    fn is_due(&self, key: ApiKeySid, now: Instant) -> bool {
        let mut written = self.written.lock();
        let lately = |at: &Instant| now.duration_since(*at) < PACE;
        if written.get(&key).is_some_and(lately) {
            return false;
        }
        if written.len() >= REMEMBERED {
            written.retain(|_, at| lately(at));
        }
        written.insert(key, now);
        true
    }
}
