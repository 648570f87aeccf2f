//! The ledger of deliveries, which is also the durable queue of their retries: a worker leases what is due, calls,
//! and writes down what came of it. A lease that runs out, because its worker died, counts as no attempt.

use std::time::Duration;

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, IntoActiveModel,
    QueryFilter, Select,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    ctx::{BaseUrl, Ctx},
    db::Db,
    entities::webhook_delivery,
    error::{Error, Result},
    events::publisher::Committed,
    paging::{self, Key, Order, Page, PageRequest},
    sid::{AccountSid, ChannelSid, DeliverySid, EventSid, ServiceSid},
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

/// Every status.
pub const STATUSES: [&str; 4] = [PENDING, DELIVERED, DEAD, CANCELLED];

/// Leases deliveries of a service that are due, oldest first. Of one channel at one address only the
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
         WHERE d.status = 'pending' AND d.next_attempt_at <= ",
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
        "SELECT DISTINCT service_id FROM webhook_deliveries WHERE status = 'pending' AND next_attempt_at <= ",
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

/// Writes down what came of an attempt, which counts from now on.
///
/// # Errors
/// Whatever the database refuses; the lease then runs out and the attempt is made again.
pub async fn finish(db: &Db, mut delivery: webhook_delivery::Model, attempt: Attempt) -> Result<()> {
    delivery.attempts += 1;
    (delivery.status, delivery.next_attempt_at) = match attempt.verdict {
        Verdict::Delivered => (DELIVERED.to_owned(), None),
        Verdict::RetryAt(moment) => (PENDING.to_owned(), Some(moment)),
        Verdict::Dead => (DEAD.to_owned(), None),
    };
    delivery.leased_until = None;
    delivery.response_status = attempt.response_status.map(i32::from);
    // Postgres keeps no NUL in a text.
    delivery.response_start = attempt.response_start.map(|text| text.replace('\0', "\u{fffd}"));
    delivery.last_error = attempt.error;
    delivery.date_updated = Timestamp::now();
    match delivery.into_active_model().reset_all().update(db.writer()).await {
        // Its service was deleted meanwhile.
        Ok(_) | Err(sea_orm::DbErr::RecordNotUpdated) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn scoped(service: ServiceSid) -> Select<webhook_delivery::Entity> {
    webhook_delivery::Entity::find().filter(webhook_delivery::Column::ServiceId.eq(service))
}

/// The service's deliveries, newest first; those of one status only, when it is given.
///
/// # Errors
/// 20001 when the status is unknown.
pub async fn list(
    ctx: &Ctx,
    status: Option<&str>,
    request: &PageRequest,
) -> Result<Page<webhook_delivery::Model>> {
    ctx.backend_only()?;
    let mut select = scoped(ctx.scope());
    if let Some(status) = status {
        if !STATUSES.contains(&status) {
            return Err(Error::parameter(
                "Status",
                "must be pending, delivered, dead or cancelled",
            ));
        }
        select = select.filter(webhook_delivery::Column::Status.eq(status));
    }
    let key = |row: &webhook_delivery::Model| Key::Uuid(row.id.0);
    paging::fetch(
        ctx.reader(),
        select,
        webhook_delivery::Column::Id,
        Order::Descending,
        request,
        key,
    )
    .await
}

/// The delivery.
///
/// # Errors
/// 20404.
pub async fn get(ctx: &Ctx, id: DeliverySid) -> Result<webhook_delivery::Model> {
    ctx.backend_only()?;
    find(ctx, ctx.reader(), id).await
}

async fn find(ctx: &Ctx, db: &impl ConnectionTrait, id: DeliverySid) -> Result<webhook_delivery::Model> {
    scoped(ctx.scope())
        .filter(webhook_delivery::Column::Id.eq(id))
        .one(db)
        .await?
        .ok_or_else(|| ctx.not_found(format_args!("WebhookDeliveries/{id}")))
}

/// Sends a delivery again, now, with as many further attempts as its setting allows.
///
/// # Errors
/// 20404.
pub async fn resend(ctx: &Ctx, id: DeliverySid) -> Result<webhook_delivery::Model> {
    ctx.backend_only()?;
    let mut delivery = find(ctx, ctx.reader(), id).await?;
    let now = Timestamp::now();
    // A new chain of attempts on top of those that were made.
    delivery.retry_count = delivery.attempts + ctx.service.post_webhook_retry_count;
    delivery.status = PENDING.to_owned();
    delivery.next_attempt_at = Some(now);
    delivery.leased_until = None;
    delivery.date_updated = now;
    let delivery = delivery
        .into_active_model()
        .reset_all()
        .update(ctx.core.db.writer())
        .await?;
    ctx.core.publisher.committed(Committed {
        deliveries: vec![(ctx.scope(), vec![delivery.id])],
        ..Committed::default()
    });
    Ok(delivery)
}

/// The `webhook-id` header: one event at one endpoint, over all its attempts and replays.
#[must_use]
pub fn webhook_id(id: DeliverySid) -> String {
    format!("msg_{}", id.0.simple())
}

/// A webhook delivery.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub struct DeliveryView {
    #[schema(value_type = String)]
    sid: DeliverySid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    /// The `webhook-id` header of every attempt.
    webhook_id: String,
    #[schema(value_type = String)]
    event_sid: EventSid,
    /// Such as `onMessageSent`.
    event_type: String,
    #[schema(value_type = Option<String>)]
    channel_sid: Option<ChannelSid>,
    seq: Option<i64>,
    /// Where it goes.
    endpoint_url: String,
    method: String,
    /// `pending`, `delivered`, `dead` or `cancelled`.
    status: String,
    /// Attempts that ran to their end.
    attempts: i32,
    next_attempt_at: Option<String>,
    response_status: Option<i32>,
    response_start: Option<String>,
    last_error: Option<String>,
    date_created: String,
    date_updated: String,
    url: String,
}

/// The delivery as REST answers show it.
#[must_use]
pub fn view(delivery: &webhook_delivery::Model, base: &BaseUrl) -> DeliveryView {
    DeliveryView {
        sid: delivery.id,
        account_sid: delivery.account_id,
        service_sid: delivery.service_id,
        webhook_id: webhook_id(delivery.id),
        event_sid: delivery.event_id,
        event_type: delivery.event_type.clone(),
        channel_sid: delivery.channel_id,
        seq: delivery.seq,
        endpoint_url: delivery.url.clone(),
        method: delivery.method.clone(),
        status: delivery.status.clone(),
        attempts: delivery.attempts,
        next_attempt_at: delivery.next_attempt_at.map(Timestamp::to_seconds_text),
        response_status: delivery.response_status,
        response_start: delivery.response_start.clone(),
        last_error: delivery.last_error.clone(),
        date_created: delivery.date_created.to_seconds_text(),
        date_updated: delivery.date_updated.to_seconds_text(),
        url: format!(
            "{base}/v2/Services/{}/WebhookDeliveries/{}",
            delivery.service_id, delivery.id
        ),
    }
}
