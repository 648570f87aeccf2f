//! The queues of targets: what is due, found without reading what waits behind it. However long a queue is, a look
//! costs a few steps into an index for each target, or each channel of a target, that has one.

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult};
use uuid::Uuid;

use crate::{
    entities::webhook_delivery,
    error::{Error, Result},
    sid::ChannelSid,
    sql::Sql,
    timestamp::Timestamp,
};

/// What was never attempted, and what is to be attempted again: each has an index of its own.
const FRESH: &str = "d.status = 'pending' AND d.attempts = 0";
const AGAIN: &str = "d.status = 'pending' AND d.attempts > 0";

/// A look at the targets.
#[derive(Debug, Default)]
pub struct Look {
    /// Those that have something due.
    pub due: Vec<Uuid>,
    /// Where the next look goes on, when there are more than one look finds.
    pub next: Option<Uuid>,
}

/// Finds targets with deliveries that are due, at most `limit` of each kind of queue, in the order of their
/// identifiers behind `after`.
///
/// # Errors
/// Whatever the database refuses.
pub async fn due_targets(db: &impl ConnectionTrait, after: Option<Uuid>, limit: i32) -> Result<Look> {
    let after = after.unwrap_or(Uuid::nil());
    let mut sql = Sql::new("WITH RECURSIVE ");
    steps(&mut sql, "fresh", FRESH, after, limit);
    sql.push(", ");
    steps(&mut sql, "again", AGAIN, after, limit);
    sql.push(
        " SELECT target_id, n, 1 AS due FROM fresh WHERE target_id IS NOT NULL \
         UNION ALL SELECT target_id, n, CASE WHEN (SELECT d.next_attempt_at FROM webhook_deliveries d \
         WHERE d.target_id = again.target_id AND ",
    );
    sql.push(AGAIN)
        .push(" ORDER BY d.next_attempt_at LIMIT 1) <= ")
        .bind(Timestamp::now());
    sql.push(" THEN 1 ELSE 0 END FROM again WHERE target_id IS NOT NULL");
    let mut look = Look::default();
    for row in sql.all(db).await? {
        let target: Uuid = row.try_get("", "target_id")?;
        let due: i32 = row.try_get("", "due")?;
        if due == 1 && !look.due.contains(&target) {
            look.due.push(target);
        }
        // A queue that has more goes on behind its last target; what the other one found beyond is found again.
        if row.try_get::<i32>("", "n")? == limit {
            look.next = Some(look.next.map_or(target, |next| next.min(target)));
        }
    }
    Ok(look)
}

/// Adds a query `name (target_id, n)` that steps from target to target of a queue, and ends with a row of NULL.
fn steps(sql: &mut Sql, name: &str, queue: &str, after: Uuid, limit: i32) {
    let step = |sql: &mut Sql| {
        sql.push("(SELECT d.target_id FROM webhook_deliveries d WHERE ")
            .push(queue)
            .push(" AND d.target_id > ");
    };
    let first = " ORDER BY d.target_id LIMIT 1)";
    sql.push(name).push("(target_id, n) AS (SELECT ");
    step(sql);
    sql.bind(after).push(first).push(", 1 UNION ALL SELECT ");
    step(sql);
    sql.push(name).push(".target_id").push(first);
    sql.push(", n + 1 FROM ")
        .push(name)
        .push(" WHERE target_id IS NOT NULL AND n < ")
        .bind(limit)
        .push(")");
}

/// How much of a target's queue is read at once.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Channels.
    pub lanes: i32,
    /// Deliveries of each of them, and of those that belong to no channel.
    pub run: i64,
    /// Whether a channel waits for what is to be attempted again in it.
    pub ordered: bool,
}

/// What was never attempted: the first deliveries of the channels behind `after`, each channel's in the order of
/// `seq`, and of those without a channel.
///
/// # Errors
/// Whatever the database refuses.
pub async fn fresh(
    db: &impl ConnectionTrait,
    target: Uuid,
    after: Option<ChannelSid>,
    window: Window,
) -> Result<Vec<webhook_delivery::Model>> {
    let mut sql = Sql::new("WITH RECURSIVE lanes(channel_id, n) AS (SELECT ");
    let step = |sql: &mut Sql| {
        sql.push("(SELECT d.channel_id FROM webhook_deliveries d WHERE ")
            .push(FRESH)
            .push(" AND d.target_id = ")
            .bind(target)
            .push(" AND d.channel_id > ");
    };
    let first = " ORDER BY d.channel_id LIMIT 1)";
    step(&mut sql);
    sql.bind(after.map_or(Uuid::nil(), |channel| channel.0))
        .push(first);
    sql.push(", 1 UNION ALL SELECT ");
    step(&mut sql);
    sql.push("lanes.channel_id").push(first);
    sql.push(", n + 1 FROM lanes WHERE channel_id IS NOT NULL AND n < ")
        .bind(window.lanes)
        .push(")");
    let of_lane = |sql: &mut Sql| {
        sql.push(" WHERE ")
            .push(FRESH)
            .push(" AND d.target_id = ")
            .bind(target)
            .push(" AND d.channel_id = lanes.channel_id");
    };
    if db.get_database_backend() == DbBackend::Postgres {
        sql.push(" SELECT r.* FROM lanes CROSS JOIN LATERAL (SELECT d.* FROM webhook_deliveries d");
        of_lane(&mut sql);
        sql.push(" ORDER BY d.seq LIMIT ")
            .bind(window.run)
            .push(") r WHERE lanes.channel_id IS NOT NULL");
    } else {
        sql.push(" SELECT d.* FROM lanes CROSS JOIN webhook_deliveries d");
        of_lane(&mut sql);
        sql.push(" AND d.seq <= COALESCE((SELECT d.seq FROM webhook_deliveries d");
        of_lane(&mut sql);
        sql.push(" ORDER BY d.seq LIMIT 1 OFFSET ")
            .bind(window.run - 1)
            .push("), ")
            .bind(i64::MAX)
            .push(")");
    }
    if window.ordered {
        sql.push(" AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE ")
            .push(AGAIN)
            .push(" AND d.target_id = ")
            .bind(target)
            .push(" AND d.channel_id = lanes.channel_id)");
    }
    let mut found = read(sql, db).await?;
    found.sort_unstable_by_key(|delivery| (delivery.channel_id, delivery.seq, delivery.id));
    found.extend(of_no_channel(db, target, window.run).await?);
    Ok(found)
}

async fn of_no_channel(
    db: &impl ConnectionTrait,
    target: Uuid,
    limit: i64,
) -> Result<Vec<webhook_delivery::Model>> {
    let mut sql = Sql::new("SELECT d.* FROM webhook_deliveries d WHERE ");
    sql.push(FRESH)
        .push(" AND d.target_id = ")
        .bind(target)
        .push(" AND d.channel_id IS NULL ORDER BY d.target_id, d.channel_id, d.seq, d.id LIMIT ")
        .bind(limit);
    read(sql, db).await
}

/// What is to be attempted again now, the longest due first.
///
/// # Errors
/// Whatever the database refuses.
pub async fn again(
    db: &impl ConnectionTrait,
    target: Uuid,
    limit: i64,
    ordered: bool,
) -> Result<Vec<webhook_delivery::Model>> {
    let mut sql = Sql::new("SELECT d.* FROM webhook_deliveries d WHERE ");
    sql.push(AGAIN)
        .push(" AND d.target_id = ")
        .bind(target)
        .push(" AND d.next_attempt_at <= ")
        .bind(Timestamp::now());
    if ordered {
        // Several of one channel wait when they were sent again by hand: the first of them goes first.
        sql.push(
            " AND NOT EXISTS (SELECT 1 FROM webhook_deliveries e WHERE e.status = 'pending' AND e.attempts > 0 \
             AND e.target_id = d.target_id AND e.channel_id = d.channel_id AND e.seq < d.seq)",
        );
    }
    sql.push(" ORDER BY d.next_attempt_at, d.id LIMIT ").bind(limit);
    read(sql, db).await
}

async fn read(sql: Sql, db: &impl ConnectionTrait) -> Result<Vec<webhook_delivery::Model>> {
    sql.all(db)
        .await?
        .iter()
        .map(|row| webhook_delivery::Model::from_query_result(row, "").map_err(Error::from))
        .collect()
}
