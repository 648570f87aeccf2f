//! The outbox: what must still be published, written in the transaction of the change itself. The process that
//! committed publishes at once and clears the row; rows left behind by a crash or a broker outage are swept.

use std::{collections::HashMap, time::Duration};

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, IntoActiveModel,
    QueryFilter,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Event, log, publisher};
use crate::{
    broker::BrokerError,
    ctx::Core,
    entities::outbox,
    error::{Error, Result},
    sid::{AccountSid, ChannelSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
};

/// The most rows one sweep takes.
const SWEEP_ROWS: i64 = 200;

#[derive(Serialize, Deserialize)]
struct Entry {
    /// The process that committed and has told its own sockets.
    node: Uuid,
    items: Vec<Item>,
}

#[derive(Serialize, Deserialize)]
enum Item {
    /// An event that can be read back from the log.
    #[serde(rename = "l")]
    Logged(AccountSid, ServiceSid, ChannelSid, i64),
    /// An event that is kept nowhere else.
    #[serde(rename = "e")]
    Inline(Box<Event>),
}

/// Writes one row for all `events`; answers its id.
///
/// # Errors
/// Whatever the database refuses.
pub async fn push(db: &impl ConnectionTrait, node: Uuid, events: &[Event]) -> Result<Uuid> {
    let items = events
        .iter()
        .map(|event| match (event.channel, event.seq) {
            (Some(channel), Some(seq)) => Item::Logged(event.account, event.service, channel, seq),
            _ => Item::Inline(Box::new(event.clone())),
        })
        .collect();
    let payload = serde_json::to_string(&Entry { node, items }).map_err(Error::internal)?;
    let row = outbox::Model {
        id: Uuid::now_v7(),
        payload,
        created_at: Timestamp::now(),
    };
    let id = row.id;
    row.into_active_model().insert(db).await?;
    Ok(id)
}

/// Clears rows whose events the broker has taken.
///
/// # Errors
/// Whatever the database refuses.
pub async fn clear(db: &impl ConnectionTrait, ids: &[Uuid]) -> Result<()> {
    if !ids.is_empty() {
        outbox::Entity::delete_many()
            .filter(outbox::Column::Id.is_in(ids.iter().copied()))
            .exec(db)
            .await?;
    }
    Ok(())
}

/// Publishes rows that are older than `age` and clears them; answers how many. One sweeper works at a time.
///
/// # Errors
/// When the database or the broker is away; the rows stay.
pub async fn sweep(core: &Core, age: Duration) -> Result<usize> {
    let tx = core.db.begin().await?;
    let mut sql = Sql::new("SELECT id, payload, created_at FROM outbox WHERE created_at < ");
    sql.bind(Timestamp::now().minus(age))
        .push(" ORDER BY id LIMIT ")
        .bind(SWEEP_ROWS);
    if tx.get_database_backend() == DbBackend::Postgres {
        sql.push(" FOR UPDATE SKIP LOCKED");
    }
    let rows = sql.all(&tx).await?;
    let mut ids = Vec::with_capacity(rows.len());
    let mut by_node: HashMap<Uuid, Vec<Event>> = HashMap::new();
    for row in &rows {
        let row = outbox::Model::from_query_result(row, "")?;
        let entry: Entry = serde_json::from_str(&row.payload).map_err(Error::internal)?;
        let events = by_node.entry(entry.node).or_default();
        for item in entry.items {
            match item {
                Item::Inline(event) => events.push(*event),
                Item::Logged(account, service, channel, seq) => {
                    let stretch = log::Stretch {
                        account,
                        service,
                        channel,
                        after: seq - 1,
                        until: seq,
                    };
                    events.extend(log::read(&tx, stretch, 1).await?);
                }
            }
        }
        ids.push(row.id);
    }
    for (node, events) in by_node {
        core.bus
            .publish(publisher::encode(node, &events))
            .await
            .map_err(away)?;
    }
    clear(&tx, &ids).await?;
    tx.commit().await?;
    Ok(ids.len())
}

fn away(error: BrokerError) -> Error {
    Error::unavailable(error)
}
