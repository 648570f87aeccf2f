//! Deliveries as tenants see them: listed, shown, sent again.

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::ledger::{PENDING, STATUSES, scoped};
use crate::{
    audit::Edit,
    change::Change,
    ctx::{BaseUrl, Ctx},
    entities::webhook_delivery,
    error::{Error, ErrorCode, Result},
    events::publisher::Committed,
    paging::{self, Key, Order, Page, PageRequest},
    sid::{AccountSid, ChannelSid, DeliverySid, EventSid, ServiceSid},
    timestamp::Timestamp,
};

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
/// 20404; 20409 while an attempt is under way.
pub async fn resend(ctx: &Ctx, id: DeliverySid) -> Result<webhook_delivery::Model> {
    ctx.backend_only()?;
    let mut change = Change::begin(ctx).await?;
    let known = find(ctx, &change.tx, id).await?;
    let now = Timestamp::now();
    // A new chain of attempts on top of those that were made, unless one is under way.
    let renewed = webhook_delivery::Entity::update_many()
        .col_expr(webhook_delivery::Column::Status, Expr::value(PENDING))
        .col_expr(webhook_delivery::Column::NextAttemptAt, Expr::value(now))
        .col_expr(webhook_delivery::Column::DateUpdated, Expr::value(now))
        .col_expr(
            webhook_delivery::Column::RetryCount,
            Expr::col(webhook_delivery::Column::Attempts).add(ctx.service.post_webhook_retry_count),
        )
        .filter(webhook_delivery::Column::ServiceId.eq(ctx.scope()))
        .filter(webhook_delivery::Column::Id.eq(known.id))
        .filter(
            Condition::any()
                .add(webhook_delivery::Column::LeasedUntil.is_null())
                .add(webhook_delivery::Column::LeasedUntil.lt(now)),
        )
        .exec(&change.tx)
        .await?;
    if renewed.rows_affected == 0 {
        return Err(Error::with(
            ErrorCode::Conflict,
            "Conflict: an attempt of this delivery is under way",
        ));
    }
    let delivery = find(ctx, &change.tx, id).await?;
    change.audit(Edit::Updated {
        before: &known,
        after: &delivery,
    })?;
    change.commit().await?;
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
