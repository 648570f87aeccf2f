//! Who works on which target. One process has a target in hand, so that order, concurrency and breaker are one
//! process's business and no delivery has to be marked as taken. A process that dies leaves leases that run out.

use std::{collections::HashSet, time::Duration};

use sea_orm::{ConnectionTrait, DbBackend};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    sql::{Sql, portions},
    timestamp,
};

/// How long a lease holds.
pub const LEASE: Duration = Duration::from_secs(10);

/// Whether leases are needed: there is one process on SQLite.
#[must_use]
pub fn needed(backend: DbBackend) -> bool {
    backend != DbBackend::Sqlite
}

/// Takes these targets in hand; answers those that are in nobody else's.
///
/// # Errors
/// Whatever the database refuses.
pub async fn take(db: &impl ConnectionTrait, node: Uuid, targets: &[Uuid]) -> Result<HashSet<Uuid>> {
    let backend = db.get_database_backend();
    let mut taken = HashSet::new();
    for portion in portions(targets) {
        let mut sql = Sql::new("WITH wanted(target_id) AS (VALUES ");
        sql.rows(portion.iter().map(|target| [(*target).into()]));
        sql.push(") INSERT INTO webhook_leases AS l (target_id, node, expires_at) SELECT target_id, ")
            .bind(node)
            .push(", ")
            .clock(backend)
            .push(" + ")
            .bind(timestamp::micros(LEASE));
        // In one order, so that two processes cannot wait for each other.
        sql.push(
            " FROM wanted WHERE true ORDER BY target_id ON CONFLICT (target_id) DO UPDATE SET node = excluded.node, \
             expires_at = excluded.expires_at WHERE l.node = excluded.node OR l.expires_at < ",
        )
        .clock(backend)
        .push(" RETURNING target_id");
        for row in sql.all(db).await? {
            taken.insert(row.try_get("", "target_id")?);
        }
    }
    Ok(taken)
}

/// Renews every lease of this process; answers those that it has.
///
/// # Errors
/// Whatever the database refuses.
pub async fn renew(db: &impl ConnectionTrait, node: Uuid) -> Result<HashSet<Uuid>> {
    let backend = db.get_database_backend();
    let mut sql = Sql::new("UPDATE webhook_leases SET expires_at = ");
    sql.clock(backend)
        .push(" + ")
        .bind(timestamp::micros(LEASE))
        .push(" WHERE node = ")
        .bind(node)
        .push(" RETURNING target_id");
    sql.all(db)
        .await?
        .iter()
        .map(|row| row.try_get("", "target_id").map_err(Error::from))
        .collect()
}

/// Lets go of these targets.
///
/// # Errors
/// Whatever the database refuses; the leases then run out.
pub async fn release(db: &impl ConnectionTrait, node: Uuid, targets: &[Uuid]) -> Result<()> {
    for portion in portions(targets) {
        let mut sql = Sql::new("DELETE FROM webhook_leases WHERE node = ");
        sql.bind(node).push(" AND target_id IN (");
        sql.list(portion.iter().map(|target| (*target).into())).push(")");
        sql.execute(db).await?;
    }
    Ok(())
}

/// Forgets what processes that died left behind.
///
/// # Errors
/// Whatever the database refuses.
pub async fn forget(db: &impl ConnectionTrait) -> Result<()> {
    let backend = db.get_database_backend();
    let mut sql = Sql::new("DELETE FROM webhook_leases WHERE expires_at < ");
    sql.clock(backend)
        .push(" - ")
        .bind(timestamp::micros(Duration::from_secs(3600)));
    sql.execute(db).await?;
    Ok(())
}
