//! Deliveries as tenants see them: listed, shown, sent again.

use std::time::Duration;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Select, sea_query::Expr};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    PRE_EVENTS,
    ledger::{CHANNEL, ENDPOINT, PENDING, STATUSES, scoped},
};
use crate::{
    audit::Edit,
    change::Change,
    ctx::{BaseUrl, Ctx},
    entities::{
        webhook_attempt,
        webhook_delivery::{self, Column},
    },
    error::{Error, ErrorCode, Result},
    events::publisher::{Committed, Due},
    paging::{self, Key, Order, Page, PageRequest},
    sid::{
        AccountSid, ChannelSid, DeliverySid, EventSid, ServiceSid, WebhookEndpointSid, WebhookSid, first_at,
    },
    timestamp::Timestamp,
};

/// How far a delivery's identifier and its date may be apart.
pub(super) const SLACK: Duration = Duration::from_secs(60);

/// Which deliveries; `None` lets all pass.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// One of [`STATUSES`].
    pub status: Option<String>,
    /// Those of this target.
    pub target: Option<Uuid>,
    /// Those of this event, such as `onMessageSent`.
    pub event_type: Option<String>,
    /// Those of this channel.
    pub channel: Option<ChannelSid>,
    /// Not before this.
    pub start: Option<Timestamp>,
    /// Not after this; a whole second is meant to its end.
    pub end: Option<Timestamp>,
}

impl DeliveryFilter {
    fn check(&self) -> Result<()> {
        if let Some(status) = &self.status
            && !STATUSES.contains(&status.as_str())
        {
            return Err(Error::parameter(
                "Status",
                "must be pending, delivered, dead or cancelled",
            ));
        }
        Ok(())
    }

    /// Its last moment: dates are shown in whole seconds, so what is shown as the end belongs to it.
    pub(super) fn last(&self) -> Option<Timestamp> {
        self.end.map(|end| {
            if end.0 % 1_000_000 == 0 {
                end.plus(Duration::from_micros(999_999))
            } else {
                end
            }
        })
    }

    fn apply(&self, mut select: Select<webhook_delivery::Entity>) -> Select<webhook_delivery::Entity> {
        if let Some(status) = &self.status {
            select = select.filter(Column::Status.eq(status.as_str()));
        }
        if let Some(target) = self.target {
            select = select.filter(Column::TargetId.eq(target));
        }
        if let Some(event_type) = &self.event_type {
            select = select.filter(Column::EventType.eq(event_type.as_str()));
        }
        if let Some(channel) = self.channel {
            select = select.filter(Column::ChannelId.eq(channel));
        }
        // The list is in the order of its identifiers: they bound what is read, the dates say what counts.
        if let Some(start) = self.start {
            select = select
                .filter(Column::Id.gte(first_at(start.minus(SLACK))))
                .filter(Column::DateCreated.gte(start));
        }
        if let Some(end) = self.last() {
            select = select
                .filter(Column::Id.lt(first_at(end.plus(SLACK))))
                .filter(Column::DateCreated.lte(end));
        }
        select
    }
}

/// The identifier of the target that this SID names.
///
/// # Errors
/// 20001 naming `field` when it is the SID of nothing that webhooks go to.
pub fn target_of(field: &str, sid: &str) -> Result<Uuid> {
    let endpoint = sid.parse().map(|WebhookEndpointSid(id)| id);
    endpoint
        .or_else(|_| sid.parse().map(|WebhookSid(id)| id))
        .or_else(|_| sid.parse().map(|ServiceSid(id)| id))
        .map_err(|_| {
            Error::parameter(
                field,
                "must be the SID of a webhook endpoint (WE…), of a channel's webhook (WH…) or of the service (IS…)",
            )
        })
}

/// The service's deliveries, newest first.
///
/// # Errors
/// 20001 when the status is unknown; 20006 for users.
pub async fn list(
    ctx: &Ctx,
    filter: &DeliveryFilter,
    request: &PageRequest,
) -> Result<Page<webhook_delivery::Model>> {
    ctx.backend_only()?;
    filter.check()?;
    let key = |row: &webhook_delivery::Model| Key::Uuid(row.id.0);
    paging::fetch(
        ctx.reader(),
        filter.apply(scoped(ctx.scope())),
        Column::Id,
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
        .filter(Column::Id.eq(id))
        .one(db)
        .await?
        .ok_or_else(|| ctx.not_found(format_args!("WebhookDeliveries/{id}")))
}

/// The attempts that were made at a delivery, oldest first.
///
/// # Errors
/// 20404.
pub async fn attempts(
    ctx: &Ctx,
    id: DeliverySid,
    request: &PageRequest,
) -> Result<Page<webhook_attempt::Model>> {
    let delivery = get(ctx, id).await?;
    paging::fetch(
        ctx.reader(),
        webhook_attempt::Entity::find()
            .filter(webhook_attempt::Column::ServiceId.eq(ctx.scope()))
            .filter(webhook_attempt::Column::DeliveryId.eq(delivery.id)),
        webhook_attempt::Column::Number,
        Order::Ascending,
        request,
        |row: &webhook_attempt::Model| Key::Index(row.number.into()),
    )
    .await
}

/// Sends a delivery again, now, with as many further attempts as it had at first.
///
/// # Errors
/// 20404; 20409 for pre-events.
pub async fn resend(ctx: &Ctx, id: DeliverySid) -> Result<webhook_delivery::Model> {
    ctx.backend_only()?;
    let mut change = Change::begin(ctx).await?;
    let known = find(ctx, &change.tx, id).await?;
    if PRE_EVENTS.contains(&known.event_type.as_str()) {
        return Err(Error::with(
            ErrorCode::Conflict,
            format!(
                "Conflict: {} is a pre-event; what it asked about is over, so it cannot be sent again",
                known.event_type
            ),
        ));
    }
    let now = Timestamp::now();
    // A new chain of attempts on top of those that were made. One that is under way now counts all the same.
    webhook_delivery::Entity::update_many()
        .col_expr(Column::Status, Expr::value(PENDING))
        .col_expr(Column::NextAttemptAt, Expr::value(now))
        .col_expr(Column::DateUpdated, Expr::value(now))
        .col_expr(Column::AttemptsBefore, Expr::col(Column::Attempts))
        .filter(Column::ServiceId.eq(ctx.scope()))
        .filter(Column::Id.eq(known.id))
        .exec(&change.tx)
        .await?;
    let delivery = find(ctx, &change.tx, id).await?;
    change.audit(Edit::Updated {
        before: &known,
        after: &delivery,
    })?;
    change.commit().await?;
    ctx.core.publisher.committed(Committed {
        deliveries: vec![Due {
            service: ctx.scope(),
            targets: vec![delivery.target_id],
        }],
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
    /// `service` (its `PostWebhookUrl`), `channel` (a channel's webhook) or `endpoint`.
    target_kind: String,
    /// The SID of the service, of the channel's webhook or of the endpoint.
    target_sid: String,
    /// Where it goes.
    endpoint_url: String,
    method: String,
    /// `pending`, `delivered`, `dead` or `cancelled`.
    status: String,
    /// How many attempts ran to their end.
    attempts: i32,
    next_attempt_at: Option<String>,
    response_status: Option<i32>,
    response_start: Option<String>,
    last_error: Option<String>,
    date_created: String,
    date_updated: String,
    url: String,
    links: DeliveryLinks,
}

/// What belongs to a delivery.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WebhookDeliveryLinks)]
pub struct DeliveryLinks {
    attempts: String,
}

/// The delivery as REST answers show it.
#[must_use]
pub fn view(delivery: &webhook_delivery::Model, base: &BaseUrl) -> DeliveryView {
    let url = format!(
        "{base}/v2/Services/{}/WebhookDeliveries/{}",
        delivery.service_id, delivery.id
    );
    DeliveryView {
        sid: delivery.id,
        account_sid: delivery.account_id,
        service_sid: delivery.service_id,
        webhook_id: webhook_id(delivery.id),
        event_sid: delivery.event_id,
        event_type: delivery.event_type.clone(),
        channel_sid: delivery.channel_id,
        seq: delivery.seq,
        target_kind: delivery.target_kind.clone(),
        target_sid: match delivery.target_kind.as_str() {
            ENDPOINT => WebhookEndpointSid(delivery.target_id).to_string(),
            CHANNEL => WebhookSid(delivery.target_id).to_string(),
            _ => ServiceSid(delivery.target_id).to_string(),
        },
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
        links: DeliveryLinks {
            attempts: format!("{url}/Attempts"),
        },
        url,
    }
}

/// An attempt at a webhook delivery.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WebhookAttempt)]
pub struct AttemptView {
    /// Which of the delivery's attempts it was, from 1.
    number: i32,
    /// When it began.
    at: String,
    /// How long it took, to the end of the answer.
    duration_ms: i32,
    /// The HTTP status; null without an answer.
    response_status: Option<i32>,
    /// The first bytes of the answer.
    response_start: Option<String>,
    /// Why it failed; null when it did not.
    error: Option<String>,
    /// When the next one was to follow; null when none was.
    next_attempt_at: Option<String>,
}

/// The attempt as REST answers show it.
#[must_use]
pub fn attempt_view(attempt: &webhook_attempt::Model) -> AttemptView {
    AttemptView {
        number: attempt.number,
        at: attempt.at.to_seconds_text(),
        duration_ms: attempt.duration_ms,
        response_status: attempt.response_status,
        response_start: attempt.response_start.clone(),
        error: attempt.error.clone(),
        next_attempt_at: attempt.next_attempt_at.map(Timestamp::to_seconds_text),
    }
}
