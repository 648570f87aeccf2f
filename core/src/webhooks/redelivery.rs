//! Sending many deliveries again.

use sea_orm::Value;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    PRE_EVENTS,
    deliveries::{DeliveryFilter, SLACK},
    ledger::{DEAD, PENDING, STATUSES},
};
use crate::{
    audit::{Audited, Edit, bare},
    change::Change,
    ctx::Ctx,
    error::{Error, Result},
    sid::{AccountSid, ServiceSid, first_at},
    sql::Sql,
    timestamp::Timestamp,
};

/// How many deliveries one statement sends again.
const PORTION: i64 = 1000;
/// How many portions one call has.
const PORTIONS: usize = 100;

/// What was sent again.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WebhookRedelivery)]
pub struct Redelivery {
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    /// The status that the deliveries had.
    status: String,
    /// How many deliveries are pending again.
    redelivered: u64,
    /// Whether these were all; otherwise the same request goes on behind them.
    complete: bool,
}

impl Audited for Redelivery {
    const KIND: &'static str = "webhook_redelivery";

    fn sid(&self) -> String {
        self.service_sid.to_string()
    }

    fn shown(&self, _: AccountSid) -> Result<serde_json::Value> {
        bare(self)
    }
}

/// Sends deliveries again that have ended: the dead ones, unless another status is asked for. Each begins a new chain
/// of attempts; its `webhook-id` stays.
///
/// # Errors
/// 20001 when the status is not one in which a delivery has ended; 20006 for users.
pub async fn redeliver(ctx: &Ctx, filter: &DeliveryFilter) -> Result<Redelivery> {
    ctx.backend_only()?;
    ctx.caller.may_write()?;
    let status = filter.status.as_deref().unwrap_or(DEAD);
    if status == PENDING || !STATUSES.contains(&status) {
        return Err(Error::parameter(
            "Status",
            "must be dead, delivered or cancelled: what is pending is sent anyway",
        ));
    }
    let mut redelivery = Redelivery {
        service_sid: ctx.scope(),
        status: status.to_owned(),
        redelivered: 0,
        complete: false,
    };
    let mut behind = filter
        .start
        .map_or(Uuid::nil(), |start| first_at(start.minus(SLACK)));
    for _ in 0..PORTIONS {
        let sent = portion(ctx, filter, status, behind).await?;
        redelivery.redelivered += sent.len() as u64;
        redelivery.complete = (sent.len() as u64) < PORTION.unsigned_abs();
        behind = sent.into_iter().max().unwrap_or(behind);
        if redelivery.complete {
            break;
        }
    }
    let mut change = Change::begin(ctx).await?;
    change.audit(Edit::Created(&redelivery))?;
    change.commit().await?;
    Ok(redelivery)
}

/// Sends the next ones behind an identifier; answers their identifiers.
async fn portion(ctx: &Ctx, filter: &DeliveryFilter, status: &str, behind: Uuid) -> Result<Vec<Uuid>> {
    let now = Timestamp::now();
    let mut sql = Sql::new(
        "UPDATE webhook_deliveries SET status = 'pending', attempts_before = attempts, next_attempt_at = ",
    );
    sql.bind(now).push(", date_updated = ").bind(now);
    sql.push(" WHERE (service_id, id) IN (SELECT service_id, id FROM webhook_deliveries WHERE service_id = ")
        .bind(ctx.scope())
        .push(" AND status = ")
        .bind(status)
        .push(" AND id > ")
        .bind(behind);
    if status != super::ledger::DELIVERED {
        // As the index has it.
        sql.push(" AND status <> 'delivered'");
    }
    // What those asked about is over.
    sql.push(" AND event_type NOT IN (")
        .list(PRE_EVENTS.iter().map(|name| (*name).into()))
        .push(")");
    let end = filter.last();
    let conditions: [(&str, Option<Value>); 6] = [
        ("target_id = ", filter.target.map(Into::into)),
        ("event_type = ", filter.event_type.as_deref().map(Into::into)),
        ("channel_id = ", filter.channel.map(Into::into)),
        ("date_created >= ", filter.start.map(Into::into)),
        ("date_created <= ", end.map(Into::into)),
        ("id < ", end.map(|end| first_at(end.plus(SLACK)).into())),
    ];
    for (condition, value) in conditions {
        if let Some(value) = value {
            sql.push(" AND ").push(condition).bind(value);
        }
    }
    sql.push(" ORDER BY id LIMIT ")
        .bind(PORTION)
        .push(") RETURNING id");
    sql.all(ctx.core.db.writer())
        .await?
        .iter()
        .map(|row| row.try_get("", "id").map_err(Error::from))
        .collect()
}
