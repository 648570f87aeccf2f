//! The ledger of deliveries, which is also the durable queue: what waits, for whom, and how it ends.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Select};
use uuid::Uuid;

use crate::{
    entities::webhook_delivery,
    error::Result,
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

/// How many deliveries one statement ends: a queue may hold more than a transaction has time for.
const PORTION: i64 = 2000;

/// Ends some of what waits for a target, as dead or cancelled; answers how many. Zero: nothing waits any more.
///
/// # Errors
/// Whatever the database refuses.
pub async fn end_some(db: &impl ConnectionTrait, target: Uuid, status: &str, why: &str) -> Result<u64> {
    // Each of the two queues has its index.
    for queue in ["attempts = 0", "attempts > 0"] {
        let mut sql = Sql::new("UPDATE webhook_deliveries SET status = ");
        sql.bind(status)
            .push(", next_attempt_at = NULL, last_error = ")
            .bind(why)
            .push(", date_updated = ")
            .bind(Timestamp::now());
        sql.push(
            " WHERE (service_id, id) IN (SELECT service_id, id FROM webhook_deliveries WHERE status = 'pending' AND ",
        )
        .push(queue)
        .push(" AND target_id = ")
        .bind(target)
        .push(" LIMIT ")
        .bind(PORTION)
        .push(")");
        let ended = sql.execute(db).await?.rows_affected();
        if ended > 0 {
            return Ok(ended);
        }
    }
    Ok(0)
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

pub(super) fn scoped(service: ServiceSid) -> Select<webhook_delivery::Entity> {
    webhook_delivery::Entity::find().filter(webhook_delivery::Column::ServiceId.eq(service))
}
