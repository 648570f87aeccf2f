//! Who holds which campaign. A holder that dies leaves a lease that runs out, and another process goes on.

use std::{collections::HashSet, time::Duration};

use sea_orm::{ConnectionTrait, DbBackend, QueryResult};
use uuid::Uuid;

use super::Key;
use crate::{
    campaigns::{CANCELLED, FAILED, RUNNING, SCHEDULED},
    error::{Error, Result},
    sid::{CampaignSid, MessageSid},
    sql::Sql,
    timestamp::{self, Timestamp},
};

/// How long a lease holds.
pub const LEASE: Duration = Duration::from_secs(5);

/// For a process that has the database for itself: leases that are there are of its predecessors.
///
/// # Errors
/// Whatever the database refuses.
pub async fn succeed(db: &impl ConnectionTrait) -> Result<()> {
    if db.get_database_backend() == DbBackend::Sqlite {
        Sql::new("UPDATE campaign_runs SET expires_at = 0")
            .execute(db)
            .await?;
    }
    Ok(())
}

/// Campaigns that have something to do and are in nobody's hand: those that run or are due, and those that ended on the way.
///
/// # Errors
/// Whatever the database refuses.
pub async fn unheld(db: &impl ConnectionTrait, most: i64) -> Result<Vec<Key>> {
    let backend = db.get_database_backend();
    let mut sql = Sql::new(
        "SELECT c.account_id, c.service_id, c.id FROM campaigns c LEFT JOIN campaign_runs r \
         ON r.service_id = c.service_id AND r.campaign_id = c.id WHERE (c.status = ",
    );
    sql.bind(RUNNING)
        .push(" OR c.status = ")
        .bind(SCHEDULED)
        .push(" AND c.send_at <= ")
        .bind(Timestamp::now());
    sql.push(") AND (r.expires_at IS NULL OR r.expires_at < ")
        .clock(backend);
    sql.push(
        ") UNION ALL SELECT c.account_id, c.service_id, c.id FROM campaign_runs r JOIN campaigns c \
         ON c.service_id = r.service_id AND c.id = r.campaign_id WHERE c.status IN (",
    )
    .list([CANCELLED.into(), FAILED.into()])
    .push(") AND r.expires_at < ")
    .clock(backend)
    .push(" LIMIT ")
    .bind(most);
    sql.all(db)
        .await?
        .iter()
        .map(|row| {
            Ok(Key {
                account: row.try_get("", "account_id")?,
                service: row.try_get("", "service_id")?,
                campaign: row.try_get("", "id")?,
            })
        })
        .collect()
}

/// Takes these campaigns in hand; answers those that are in nobody else's.
///
/// # Errors
/// Whatever the database refuses.
pub async fn take(db: &impl ConnectionTrait, node: Uuid, keys: &[Key]) -> Result<HashSet<CampaignSid>> {
    if keys.is_empty() {
        return Ok(HashSet::new());
    }
    let backend = db.get_database_backend();
    let mut sql = Sql::new("WITH ");
    sql.table(
        backend,
        "wanted",
        [("service_id", "uuid"), ("campaign_id", "uuid")],
        keys.iter().map(|key| [key.service.into(), key.campaign.into()]),
    );
    sql.push(
        " INSERT INTO campaign_runs AS r (service_id, campaign_id, node, expires_at) \
         SELECT service_id, campaign_id, ",
    );
    // As a text in the statement: a parameter of no known type is a text to Postgres.
    sql.push(if backend == DbBackend::Postgres {
        "CAST("
    } else {
        "("
    });
    sql.bind(node).push(if backend == DbBackend::Postgres {
        " AS uuid), "
    } else {
        "), "
    });
    sql.clock(backend)
        .push(" + ")
        .bind(timestamp::micros(LEASE))
        .push(
            " FROM wanted WHERE true ORDER BY service_id, campaign_id ON CONFLICT (service_id, campaign_id) \
             DO UPDATE SET node = excluded.node, expires_at = excluded.expires_at \
             WHERE r.node = excluded.node OR r.expires_at < ",
        )
        .clock(backend)
        .push(" RETURNING campaign_id");
    campaigns(&sql.all(db).await?)
}

/// Renews the process's leases on these campaigns; answers those that it has.
///
/// # Errors
/// Whatever the database refuses.
pub async fn renew(
    db: &impl ConnectionTrait,
    node: Uuid,
    campaigns_held: impl IntoIterator<Item = CampaignSid>,
) -> Result<HashSet<CampaignSid>> {
    let backend = db.get_database_backend();
    let mut sql = Sql::new("UPDATE campaign_runs SET expires_at = ");
    sql.clock(backend)
        .push(" + ")
        .bind(timestamp::micros(LEASE))
        .push(" WHERE node = ")
        .bind(node)
        .push(" AND ")
        .one_of_values(
            backend,
            ("campaign_id", "uuid"),
            campaigns_held.into_iter().map(Into::into),
        );
    sql.push(" RETURNING campaign_id");
    campaigns(&sql.all(db).await?)
}

/// Lets go of a campaign, for somebody else or for later.
///
/// # Errors
/// Whatever the database refuses; the lease then runs out.
pub async fn release(db: &impl ConnectionTrait, node: Uuid, key: Key) -> Result<()> {
    let mut sql = Sql::new("UPDATE campaign_runs SET expires_at = 0 WHERE node = ");
    sql.bind(node).push(" AND service_id = ").bind(key.service);
    sql.push(" AND campaign_id = ").bind(key.campaign);
    sql.execute(db).await?;
    Ok(())
}

/// Forgets a campaign that is over.
pub(super) async fn forget(db: &impl ConnectionTrait, key: Key) -> Result<()> {
    let mut sql = Sql::new("DELETE FROM campaign_runs WHERE service_id = ");
    sql.bind(key.service)
        .push(" AND campaign_id = ")
        .bind(key.campaign);
    sql.execute(db).await?;
    Ok(())
}

/// The one message of a campaign with one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OneMessage {
    pub(super) id: MessageSid,
    pub(super) index: i64,
}

/// The campaign's one message, once it was sent.
pub(super) async fn message(db: &impl ConnectionTrait, key: Key) -> Result<Option<OneMessage>> {
    let mut sql = Sql::new("SELECT message_id, message_index FROM campaign_runs WHERE service_id = ");
    sql.bind(key.service)
        .push(" AND campaign_id = ")
        .bind(key.campaign);
    let rows = sql.all(db).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let id: Option<MessageSid> = row.try_get("", "message_id")?;
    let index: Option<i64> = row.try_get("", "message_index")?;
    Ok(id.zip(index).map(|(id, index)| OneMessage { id, index }))
}

/// Writes down that it was sent, in the transaction that sends it.
pub(super) async fn note_message(tx: &impl ConnectionTrait, key: Key, message: OneMessage) -> Result<()> {
    let mut sql = Sql::new("UPDATE campaign_runs SET message_id = ");
    sql.bind(message.id)
        .push(", message_index = ")
        .bind(message.index);
    sql.push(" WHERE message_id IS NULL AND service_id = ")
        .bind(key.service);
    sql.push(" AND campaign_id = ").bind(key.campaign);
    if sql.execute(tx).await?.rows_affected() == 1 {
        Ok(())
    } else {
        Err(super::rows::overtaken("the message was sent by somebody else"))
    }
}

fn campaigns(rows: &[QueryResult]) -> Result<HashSet<CampaignSid>> {
    rows.iter()
        .map(|row| row.try_get("", "campaign_id").map_err(Error::from))
        .collect()
}
