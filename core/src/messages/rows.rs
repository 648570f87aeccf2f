//! Writing messages down.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, QueryResult};

use crate::{
    entities::message,
    error::Result,
    sid::{ChannelSid, MessageSid, ServiceSid},
    sql::{LONG, Sql},
};

/// The `seq` of those of these messages that are there.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn seqs(
    db: &impl ConnectionTrait,
    messages: &[(ServiceSid, ChannelSid, MessageSid)],
) -> Result<Vec<(MessageSid, i64)>> {
    let rows = look_up(db, "id, seq", messages).await?;
    rows.iter()
        .map(|row| Ok((row.try_get("", "id")?, row.try_get("", "seq")?)))
        .collect()
}

/// These messages of a service by their channels, one of each, but for those that were removed.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn by_channel(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    messages: &[(ChannelSid, MessageSid)],
) -> Result<HashMap<ChannelSid, message::Model>> {
    let asked: Vec<_> = messages
        .iter()
        .map(|(channel, message)| (service, *channel, *message))
        .collect();
    let mut found = HashMap::new();
    for row in look_up(db, "*", &asked).await? {
        let message = message::Model::from_query_result(&row, "")?;
        if message.removed_at.is_none() {
            found.insert(message.channel_id, message);
        }
    }
    Ok(found)
}

/// These columns of messages, which are looked up one by one along their key.
async fn look_up(
    db: &impl ConnectionTrait,
    columns: &str,
    messages: &[(ServiceSid, ChannelSid, MessageSid)],
) -> Result<Vec<QueryResult>> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let backend = db.get_database_backend();
    let mut sql = Sql::new("WITH ");
    sql.table(
        backend,
        "asked",
        [("service_id", "uuid"), ("channel_id", "uuid"), ("id", "uuid")],
        messages
            .iter()
            .map(|(service, channel, message)| [service.into(), channel.into(), message.into()]),
    );
    sql.push(&if backend == DbBackend::Postgres {
        format!(
            " SELECT m.* FROM asked a CROSS JOIN LATERAL (SELECT {columns} FROM messages \
             WHERE service_id = a.service_id AND channel_id = a.channel_id AND id = a.id OFFSET 0) m"
        )
    } else {
        let columns: Vec<String> = columns.split(", ").map(|column| format!("m.{column}")).collect();
        // In this order: SQLite would rather read all messages than look for some.
        format!(
            " SELECT {} FROM asked a CROSS JOIN messages m ON m.service_id = a.service_id \
             AND m.channel_id = a.channel_id AND m.id = a.id",
            columns.join(", ")
        )
    });
    Ok(sql.all(db).await?)
}

/// Inserts messages that nobody has removed yet.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn insert<'m>(
    db: &impl ConnectionTrait,
    messages: impl IntoIterator<Item = &'m message::Model>,
) -> Result<()> {
    let mut sql = Sql::new("WITH ");
    sql.table(
        db.get_database_backend(),
        "made",
        [
            ("service_id", "uuid"),
            ("channel_id", "uuid"),
            ("idx", "bigint"),
            ("id", "uuid"),
            ("seq", "bigint"),
            ("author", "text"),
            ("body", LONG),
            ("attributes", "text"),
            ("client_id", "text"),
            ("last_updated_by", "text"),
            ("was_edited", "boolean"),
            ("committed_at", "bigint"),
            ("date_created", "bigint"),
            ("date_updated", "bigint"),
        ],
        messages.into_iter().map(|row| {
            [
                row.service_id.into(),
                row.channel_id.into(),
                row.idx.into(),
                row.id.into(),
                row.seq.into(),
                row.author.as_str().into(),
                row.body.as_deref().into(),
                row.attributes.as_str().into(),
                row.client_id.as_deref().into(),
                row.last_updated_by.as_deref().into(),
                row.was_edited.into(),
                row.committed_at.into(),
                row.date_created.into(),
                row.date_updated.into(),
            ]
        }),
    );
    // In the order of the rows, which is that of `seq`: each is given its place in the stream as it is inserted.
    sql.push(
        " INSERT INTO messages (service_id, channel_id, idx, id, seq, author, body, attributes, client_id, \
         last_updated_by, was_edited, committed_at, date_created, date_updated) \
         SELECT service_id, channel_id, idx, id, seq, author, body, attributes, client_id, last_updated_by, \
         was_edited, committed_at, date_created, date_updated FROM made",
    );
    sql.execute(db).await?;
    Ok(())
}
