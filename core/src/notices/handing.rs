//! Notices that are to be sent: handed over one after the other, noted before the call, so that nobody gets one twice.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;
use serde_json::Value;

use crate::{
    ctx::Core,
    error::Result,
    sid::{ChannelSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
};

/// A notice to send.
#[derive(Debug, Clone)]
pub struct Notice {
    /// The service.
    pub service: ServiceSid,
    /// The channel.
    pub channel: ChannelSid,
    /// Who missed the message.
    pub identity: String,
    /// The message's index in the channel.
    pub message_index: i64,
    /// Which attempt this is, from 1.
    pub attempts: i32,
    /// The user's name.
    pub friendly_name: Option<String>,
    /// The user's attributes.
    pub attributes: Value,
    /// The channel's name.
    pub channel_name: Option<String>,
    /// What was missed.
    pub body: Option<String>,
    /// Who wrote it.
    pub author: String,
}

/// What became of a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It was sent.
    Sent,
    /// It was not, or nobody knows, and it is not tried again.
    Failed(String),
    /// It was not, and is tried again then.
    Again(Timestamp, String),
}

/// Hands over up to `most` notices of a service that are due. Those that were read meanwhile, and those whose channel,
/// member, message or address is gone, are cancelled.
///
/// # Errors
/// Whatever the database refuses; none is handed over then.
pub async fn due(core: &Core, service: ServiceSid, most: i64) -> Result<Vec<Notice>> {
    let tx = core.db.begin().await?;
    let backend = tx.get_database_backend();
    let mut sql = Sql::new(
        "SELECT channel_id, identity, message_index, attempts FROM notices WHERE status = 'waiting' \
         AND service_id = ",
    );
    sql.bind(service)
        .push(" AND due_at <= ")
        .bind(Timestamp::now())
        .push(" ORDER BY due_at LIMIT ")
        .bind(most)
        .for_update_skipping_locked(backend);
    let mut waiting: Vec<(ChannelSid, String, i64, i32)> = Vec::new();
    for row in sql.all(&tx).await? {
        waiting.push((
            row.try_get("", "channel_id")?,
            row.try_get("", "identity")?,
            row.try_get("", "message_index")?,
            row.try_get("", "attempts")?,
        ));
    }
    if waiting.is_empty() {
        tx.rollback().await?;
        return Ok(Vec::new());
    }
    let mut notices = found(&tx, service, &waiting).await?;
    let mut handed = Vec::new();
    for (channel, identity, message_index, attempts) in waiting {
        let notice = notices.remove(&(channel, identity.clone()));
        let status = if notice.is_some() { "handed" } else { "cancelled" };
        let mut sql = Sql::new("UPDATE notices SET attempts = attempts + 1, status = ");
        sql.bind(status).push(", date_updated = ").bind(Timestamp::now());
        at(&mut sql, service, channel, &identity, message_index);
        sql.execute(&tx).await?;
        if let Some(notice) = notice {
            handed.push(Notice {
                attempts: attempts + 1,
                ..notice
            });
        }
    }
    tx.commit().await?;
    Ok(handed)
}

/// What there is to say in each of these notices that are still to be sent.
async fn found(
    tx: &impl ConnectionTrait,
    service: ServiceSid,
    waiting: &[(ChannelSid, String, i64, i32)],
) -> Result<HashMap<(ChannelSid, String), Notice>> {
    let mut sql = Sql::new("WITH waiting(channel_id, identity, idx) AS (VALUES ");
    sql.rows(
        waiting.iter().map(|(channel, identity, index, _)| {
            [(*channel).into(), identity.as_str().into(), (*index).into()]
        }),
    );
    sql.push(
        ") SELECT w.channel_id, w.identity, w.idx, u.friendly_name AS user_name, u.attributes, \
         c.friendly_name AS channel_name, t.body, t.author FROM waiting w \
         JOIN members m ON m.channel_id = w.channel_id AND m.identity = w.identity \
         JOIN users u ON u.service_id = m.service_id AND u.identity = m.identity \
         JOIN channels c ON c.service_id = m.service_id AND c.id = m.channel_id AND c.deleted_at IS NULL \
         JOIN messages t ON t.service_id = m.service_id AND t.channel_id = m.channel_id AND t.idx = w.idx \
         AND t.removed_at IS NULL \
         WHERE COALESCE(m.last_consumed_message_index, -1) < w.idx AND m.notification_level <> 'muted' \
         AND m.service_id = ",
    )
    .bind(service);
    let mut notices = HashMap::new();
    for row in sql.all(tx).await? {
        let attributes: String = row.try_get("", "attributes")?;
        let notice = Notice {
            service,
            channel: row.try_get("", "channel_id")?,
            identity: row.try_get("", "identity")?,
            message_index: row.try_get("", "idx")?,
            attempts: 0,
            friendly_name: row.try_get("", "user_name")?,
            attributes: serde_json::from_str(&attributes).unwrap_or_default(),
            channel_name: row.try_get("", "channel_name")?,
            body: row.try_get("", "body")?,
            author: row.try_get("", "author")?,
        };
        notices.insert((notice.channel, notice.identity.clone()), notice);
    }
    Ok(notices)
}

/// Writes down what became of a notice that was handed over.
///
/// # Errors
/// Whatever the database refuses: it then stays handed over, and is not sent again.
pub async fn settle(core: &Core, notice: &Notice, fate: &Fate) -> Result<()> {
    let (status, error, due_at) = match fate {
        Fate::Sent => ("sent", None, None),
        Fate::Failed(error) => ("failed", Some(error.replace('\0', "\u{fffd}")), None),
        Fate::Again(at, error) => ("waiting", Some(error.replace('\0', "\u{fffd}")), Some(*at)),
    };
    let mut sql = Sql::new("UPDATE notices SET status = ");
    sql.bind(status).push(", error = ").bind(error);
    if let Some(due_at) = due_at {
        sql.push(", due_at = ").bind(due_at);
    }
    sql.push(", date_updated = ").bind(Timestamp::now());
    at(
        &mut sql,
        notice.service,
        notice.channel,
        &notice.identity,
        notice.message_index,
    );
    sql.push(" AND status = 'handed'");
    sql.execute(core.db.writer()).await?;
    Ok(())
}

fn at(sql: &mut Sql, service: ServiceSid, channel: ChannelSid, identity: &str, message_index: i64) {
    sql.push(" WHERE service_id = ")
        .bind(service)
        .push(" AND channel_id = ")
        .bind(channel)
        .push(" AND identity = ")
        .bind(identity)
        .push(" AND message_index = ")
        .bind(message_index);
}
