//! The channels of a user who has very many: a portion after the other, so that each statement ends soon.

use sea_orm::{DatabaseConnection, DbBackend, QueryResult};

use super::subscription;
use crate::{
    error::Result,
    events::cursor::Subscription,
    sid::{ChannelSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
};

/// How many channels one statement looks up when it has many: it must end before the database loses patience,
/// and all that a user may have would not.
const PORTION: i64 = 5_000;

/// The user's channels that had an event after `since` (all of them without it), a portion after the other.
///
/// # Errors
/// Whatever the database refuses.
pub(super) async fn subscriptions(
    db: &DatabaseConnection,
    service: ServiceSid,
    identity: &str,
    since: Option<Timestamp>,
) -> Result<Vec<Subscription>> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let until = end_of_portion(db, service, identity, after).await?;
        let rows = portion(db, service, identity, (after, until), since).await?;
        for row in &rows {
            found.push(subscription(row)?);
        }
        if until.is_none() {
            return Ok(found);
        }
        after = until;
    }
}

/// The user's last channel of a portion, in the order of their identifiers; `None` when there is less than a portion left.
async fn end_of_portion(
    db: &DatabaseConnection,
    service: ServiceSid,
    identity: &str,
    after: Option<ChannelSid>,
) -> Result<Option<ChannelSid>> {
    let mut sql = Sql::new("SELECT m.channel_id FROM members m WHERE m.service_id = ");
    sql.bind(service).push(" AND m.identity = ").bind(identity);
    if let Some(after) = after {
        sql.push(" AND m.channel_id > ").bind(after);
    }
    sql.push(" ORDER BY m.channel_id LIMIT 1 OFFSET ")
        .bind(PORTION - 1);
    let rows = sql.all(db).await?;
    Ok(rows
        .first()
        .map(|row| row.try_get("", "channel_id"))
        .transpose()?)
}

async fn portion(
    db: &DatabaseConnection,
    service: ServiceSid,
    identity: &str,
    (after, until): (Option<ChannelSid>, Option<ChannelSid>),
    since: Option<Timestamp>,
) -> Result<Vec<QueryResult>> {
    let is_postgres = db.get_database_backend() == DbBackend::Postgres;
    let mut sql = Sql::new(
        "SELECT c.id, c.last_seq, c.last_event_at, c.deleted_at FROM (SELECT channel_id FROM members WHERE service_id = ",
    );
    sql.bind(service).push(" AND identity = ").bind(identity);
    if let Some(after) = after {
        sql.push(" AND channel_id > ").bind(after);
    }
    if let Some(until) = until {
        sql.push(" AND channel_id <= ").bind(until);
    }
    // Members first, then each one's channel, on either database.
    sql.push(if is_postgres {
        " OFFSET 0) m CROSS JOIN LATERAL (SELECT id, last_seq, last_event_at, deleted_at FROM channels WHERE service_id = "
    } else {
        ") m CROSS JOIN channels c ON c.service_id = "
    });
    sql.bind(service).push(if is_postgres {
        " AND id = m.channel_id"
    } else {
        " AND c.id = m.channel_id"
    });
    if let Some(since) = since {
        sql.push(" AND last_event_at > ").bind(since);
    }
    if is_postgres {
        sql.push(" OFFSET 0) c");
    }
    Ok(sql.all(db).await?)
}
