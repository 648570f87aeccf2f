//! The ledger of deliveries, which is also the durable queue of their retries: a worker leases what is due, calls,
//! and writes down what came of it. A lease that runs out, because its worker died, counts as no attempt.

use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter, Select,
    sea_query::Expr,
};

use crate::{
    db::Db,
    entities::webhook_delivery,
    error::{Error, Result},
    sid::{AccountSid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
};

/// Waiting for its first or a further attempt.
pub const PENDING: &str = "pending";
/// Answered with 2xx.
pub const DELIVERED: &str = "delivered";
/// Failed for good.
pub const DEAD: &str = "dead";
/// Its endpoint is gone.
pub const CANCELLED: &str = "cancelled";

/// A target: the `PostWebhookUrl` of a service.
pub const SERVICE: &str = "service";
/// A target: a webhook of a channel.
pub const CHANNEL: &str = "channel";
/// A target: a webhook endpoint.
pub const ENDPOINT: &str = "endpoint";

/// Every status.
pub const STATUSES: [&str; 4] = [PENDING, DELIVERED, DEAD, CANCELLED];

/// Leases deliveries of a service that are due, oldest first; those of an account that may not call wait. Of one channel at one address only the
/// first that was not attempted yet is given out, so that first attempts keep the channel's order.
///
/// # Errors
/// Whatever the database refuses.
pub async fn claim(
    db: &Db,
    service: ServiceSid,
    limit: u32,
    lease: Duration,
) -> Result<Vec<webhook_delivery::Model>> {
    let now = Timestamp::now();
    let mut sql = Sql::new("UPDATE webhook_deliveries SET leased_until = ");
    sql.bind(now.plus(lease));
    sql.push(
        " WHERE (service_id, id) IN (SELECT d.service_id, d.id FROM webhook_deliveries d \
         WHERE d.status = 'pending' AND d.account_id IN (SELECT id FROM accounts WHERE status = 'active') \
         AND d.next_attempt_at <= ",
    );
    sql.bind(now)
        .push(" AND (d.leased_until IS NULL OR d.leased_until < ")
        .bind(now)
        .push(")");
    sql.push(" AND d.service_id = ").bind(service);
    sql.push(
        " AND (d.attempts > 0 OR d.seq IS NULL OR NOT EXISTS (SELECT 1 FROM webhook_deliveries e \
         WHERE e.service_id = d.service_id AND e.channel_id = d.channel_id AND e.seq < d.seq \
         AND e.status = 'pending' AND e.attempts = 0 AND e.url = d.url)) \
         ORDER BY d.next_attempt_at, d.seq LIMIT ",
    );
    sql.bind(i64::from(limit));
    if db.backend() == DbBackend::Postgres {
        sql.push(" FOR UPDATE SKIP LOCKED");
    }
    sql.push(") RETURNING *");
    let rows = sql.all(db.writer()).await?;
    let mut claimed = rows
        .iter()
        .map(|row| webhook_delivery::Model::from_query_result(row, ""))
        .collect::<Result<Vec<_>, _>>()?;
    claimed.sort_unstable_by_key(|delivery| (delivery.next_attempt_at, delivery.seq));
    Ok(claimed)
}

/// Services with deliveries that are due and in nobody's hands.
///
/// # Errors
/// Whatever the database refuses.
pub async fn due_services(db: &impl ConnectionTrait, limit: u32) -> Result<Vec<ServiceSid>> {
    let now = Timestamp::now();
    let mut sql = Sql::new(
        "SELECT DISTINCT service_id FROM webhook_deliveries WHERE status = 'pending' \
         AND account_id IN (SELECT id FROM accounts WHERE status = 'active') AND next_attempt_at <= ",
    );
    sql.bind(now)
        .push(" AND (leased_until IS NULL OR leased_until < ")
        .bind(now)
        .push(") LIMIT ");
    sql.bind(i64::from(limit));
    sql.all(db)
        .await?
        .iter()
        .map(|row| row.try_get("", "service_id").map_err(Error::from))
        .collect()
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What follows.
    pub verdict: Verdict,
    /// The HTTP status, if there was an answer.
    pub response_status: Option<u16>,
    /// The first bytes of the answer, as text.
    pub response_start: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: it was taken.
    Delivered,
    /// Another attempt at this time.
    RetryAt(Timestamp),
    /// Nothing: it failed for good.
    Dead,
}

/// Leases the next delivery of the same channel at the same address that was not attempted yet, right behind a first
/// attempt that has been written down: a busy channel is told one event after the other without another search.
///
/// # Errors
/// Whatever the database refuses.
pub async fn claim_next(
    db: &Db,
    done: &webhook_delivery::Model,
    lease: Duration,
) -> Result<Option<webhook_delivery::Model>> {
    let (Some(channel), Some(seq)) = (done.channel_id, done.seq) else {
        return Ok(None);
    };
    let now = Timestamp::now();
    let mut sql = Sql::new("UPDATE webhook_deliveries SET leased_until = ");
    sql.bind(now.plus(lease));
    sql.push(" WHERE (service_id, id) IN (SELECT d.service_id, d.id FROM webhook_deliveries d WHERE d.service_id = ");
    sql.bind(done.service_id)
        .push(" AND d.channel_id = ")
        .bind(channel);
    sql.push(" AND d.seq > ")
        .bind(seq)
        .push(" AND d.url = ")
        .bind(done.url.as_str());
    sql.push(
        " AND d.status = 'pending' AND d.attempts = 0 \
         AND d.account_id IN (SELECT id FROM accounts WHERE status = 'active') ORDER BY d.seq LIMIT 1",
    );
    // Waits for a row that somebody else is taking, where skipping it would skip an event.
    sql.for_update(db.backend());
    // Whoever has it in hand keeps it, and the order with it.
    sql.push(") AND (leased_until IS NULL OR leased_until < ")
        .bind(now)
        .push(") RETURNING *");
    let rows = sql.all(db.writer()).await?;
    Ok(rows
        .first()
        .map(|row| webhook_delivery::Model::from_query_result(row, ""))
        .transpose()?)
}

/// Gives a leased delivery back without an attempt.
///
/// # Errors
/// Whatever the database refuses; the lease then runs out by itself.
pub async fn give_back(db: &Db, delivery: &webhook_delivery::Model) -> Result<()> {
    use webhook_delivery::Column;
    webhook_delivery::Entity::update_many()
        .col_expr(Column::LeasedUntil, Expr::value(Option::<Timestamp>::None))
        .filter(Column::ServiceId.eq(delivery.service_id))
        .filter(Column::Id.eq(delivery.id))
        .exec(db.writer())
        .await?;
    Ok(())
}

/// Ends a delivery whose service is gone.
///
/// # Errors
/// Whatever the database refuses.
pub async fn cancel(db: &Db, delivery: &webhook_delivery::Model) -> Result<()> {
    use webhook_delivery::Column;
    webhook_delivery::Entity::update_many()
        .col_expr(Column::Status, Expr::value(CANCELLED))
        .col_expr(Column::NextAttemptAt, Expr::value(Option::<Timestamp>::None))
        .filter(Column::ServiceId.eq(delivery.service_id))
        .filter(Column::Id.eq(delivery.id))
        .exec(db.writer())
        .await?;
    Ok(())
}

/// Ends whatever waits in the services of an account.
///
/// # Errors
/// Whatever the database refuses.
pub async fn cancel_of_account(db: &impl ConnectionTrait, account: AccountSid) -> Result<()> {
    let mut sql = Sql::new("UPDATE webhook_deliveries SET status = ");
    sql.bind(CANCELLED)
        .push(", next_attempt_at = NULL WHERE status = 'pending' AND service_id IN (SELECT id FROM services WHERE account_id = ");
    sql.bind(account).push(")");
    sql.execute(db).await?;
    Ok(())
}

/// Writes down what came of an attempt, which counts from now on. A delivery that is gone meanwhile, with its service,
/// is left alone.
///
/// # Errors
/// Whatever the database refuses; the lease then runs out and the attempt is made again.
pub async fn finish(db: &Db, delivery: &webhook_delivery::Model, attempt: Attempt) -> Result<()> {
    use webhook_delivery::Column;
    let (status, next) = match attempt.verdict {
        Verdict::Delivered => (DELIVERED, None),
        Verdict::RetryAt(moment) => (PENDING, Some(moment)),
        Verdict::Dead => (DEAD, None),
    };
    // Postgres keeps no NUL in a text.
    let start = attempt.response_start.map(|text| text.replace('\0', "\u{fffd}"));
    webhook_delivery::Entity::update_many()
        .col_expr(Column::Attempts, Expr::value(delivery.attempts + 1))
        .col_expr(Column::Status, Expr::value(status))
        .col_expr(Column::NextAttemptAt, Expr::value(next))
        .col_expr(Column::LeasedUntil, Expr::value(Option::<Timestamp>::None))
        .col_expr(
            Column::ResponseStatus,
            Expr::value(attempt.response_status.map(i32::from)),
        )
        .col_expr(Column::ResponseStart, Expr::value(start))
        .col_expr(Column::LastError, Expr::value(attempt.error))
        .col_expr(Column::DateUpdated, Expr::value(Timestamp::now()))
        .filter(Column::ServiceId.eq(delivery.service_id))
        .filter(Column::Id.eq(delivery.id))
        .exec(db.writer())
        .await?;
    Ok(())
}

pub(super) fn scoped(service: ServiceSid) -> Select<webhook_delivery::Entity> {
    webhook_delivery::Entity::find().filter(webhook_delivery::Column::ServiceId.eq(service))
}
