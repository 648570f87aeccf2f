//! The end of what still waits for a target that is gone or may not be called any more.

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::ledger::{CANCELLED, DEAD};
use crate::{error::Result, sid::ServiceSid, sql::Sql, timestamp::Timestamp};

/// Cancels what waits for a target that is being deleted.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn cancel(db: &impl ConnectionTrait, service: ServiceSid, target: Uuid) -> Result<()> {
    end(db, service, target, CANCELLED, "the webhook was deleted").await
}

/// Gives up what waits for a target that is disabled; it can be sent again by hand.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn give_up(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    target: Uuid,
    why: &str,
) -> Result<()> {
    end(db, service, target, DEAD, why).await
}

async fn end(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    target: Uuid,
    status: &str,
    why: &str,
) -> Result<()> {
    let mut sql = Sql::new("UPDATE webhook_deliveries SET next_attempt_at = NULL, status = ");
    sql.bind(status)
        .push(", last_error = ")
        .bind(why)
        .push(", date_updated = ")
        .bind(Timestamp::now());
    sql.push(" WHERE status = 'pending' AND service_id = ")
        .bind(service)
        .push(" AND target_id = ")
        .bind(target);
    sql.execute(db).await?;
    Ok(())
}
