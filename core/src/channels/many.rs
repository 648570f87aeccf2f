//! Many channels at once, of any services, with one statement of each kind: for the group commits.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, FromQueryResult, Value};

use crate::{
    entities::channel,
    error::{Error, Result},
    sid::{ChannelSid, ServiceSid},
    sql::Sql,
};

/// A channel of any service.
pub(crate) type ChannelKey = (ServiceSid, ChannelSid);

/// The channels with these unique names.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn by_names<'n>(
    db: &impl ConnectionTrait,
    names: impl IntoIterator<Item = (ServiceSid, &'n str)>,
) -> Result<HashMap<(ServiceSid, String), ChannelSid>> {
    let mut wanted: Vec<(ServiceSid, &str)> = names.into_iter().collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    wanted.sort_unstable();
    wanted.dedup();
    let mut sql = Sql::new("WITH ");
    sql.table(
        db.get_database_backend(),
        "asked",
        [("service_id", "uuid"), ("unique_name", "text")],
        wanted
            .into_iter()
            .map(|(service, name)| [service.into(), Value::from(name)]),
    );
    sql.push(if db.get_database_backend() == DbBackend::Postgres {
        " SELECT c.* FROM asked a CROSS JOIN LATERAL (SELECT service_id, id, unique_name FROM channels \
         WHERE service_id = a.service_id AND unique_name = a.unique_name OFFSET 0) c"
    } else {
        " SELECT c.service_id, c.id, c.unique_name FROM asked a JOIN channels c ON c.service_id = a.service_id \
         AND c.unique_name = a.unique_name"
    });
    sql.all(db)
        .await?
        .iter()
        .map(|row| {
            Ok((
                (row.try_get("", "service_id")?, row.try_get("", "unique_name")?),
                row.try_get("", "id")?,
            ))
        })
        .collect()
}

/// Locks those that exist until the transaction ends, always in the order of their keys: two batches cannot wait for
/// each other.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn lock_all(
    tx: &DatabaseTransaction,
    keys: &[ChannelKey],
) -> Result<HashMap<ChannelKey, channel::Model>> {
    let backend = tx.get_database_backend();
    let mut sql = Sql::new("WITH ");
    sql.table(
        backend,
        "asked",
        [("service_id", "uuid"), ("id", "uuid")],
        keys.iter()
            .map(|(service, channel)| [service.into(), channel.into()]),
    );
    sql.push(if backend == DbBackend::Postgres {
        // One by one, whatever Postgres thinks of tables that grow. The engine of campaigns sees by the sequence that
        // others are busy.
        " SELECT c.*, nextval('live_changes') AS live_change FROM (SELECT * FROM asked ORDER BY service_id, id) a \
         CROSS JOIN LATERAL (SELECT * FROM channels WHERE service_id = a.service_id AND id = a.id \
         AND deleted_at IS NULL FOR UPDATE) c"
    } else {
        " SELECT c.* FROM asked a JOIN channels c ON c.service_id = a.service_id AND c.id = a.id \
         WHERE c.deleted_at IS NULL"
    });
    sql.all(tx)
        .await?
        .iter()
        .map(|row| {
            channel::Model::from_query_result(row, "")
                .map(|channel| ((channel.service_id, channel.id), channel))
        })
        .collect::<Result<_, _>>()
        .map_err(Error::from)
}

/// Writes the counters of locked channels back.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn move_counters<'c>(
    tx: &DatabaseTransaction,
    channels: impl IntoIterator<Item = &'c channel::Model>,
) -> Result<()> {
    let mut sql = Sql::new("WITH ");
    sql.table(
        tx.get_database_backend(),
        "moved",
        [
            ("service_id", "uuid"),
            ("id", "uuid"),
            ("next_index", "bigint"),
            ("last_seq", "bigint"),
            ("last_event_at", "bigint"),
            ("messages_count", "integer"),
            ("last_message_id", "uuid"),
            ("last_message_at", "bigint"),
            ("listed_at", "bigint"),
            ("pool_event_at", "bigint"),
        ],
        channels.into_iter().map(|channel| {
            [
                channel.service_id.into(),
                channel.id.into(),
                channel.next_index.into(),
                channel.last_seq.into(),
                channel.last_event_at.into(),
                channel.messages_count.into(),
                channel.last_message_id.into(),
                channel.last_message_at.into(),
                channel.listed_at.into(),
                channel.pool_event_at.into(),
            ]
        }),
    );
    sql.push(
        " UPDATE channels SET next_index = moved.next_index, last_seq = moved.last_seq, last_event_at = moved.last_event_at, \
         messages_count = moved.messages_count, last_message_id = moved.last_message_id, last_message_at = moved.last_message_at, \
         listed_at = moved.listed_at, pool_event_at = moved.pool_event_at \
         FROM moved WHERE channels.service_id = moved.service_id AND channels.id = moved.id",
    );
    sql.execute(tx).await?;
    Ok(())
}
