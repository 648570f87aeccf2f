//! Forgetting what has ended long ago.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    sid::{ServiceSid, first_at},
    sql::{Sql, portions},
    timestamp::Timestamp,
};

/// How many deliveries one statement forgets.
const PORTION: i64 = 1000;

/// Forgets deliveries that have ended and are older than `kept`, with their attempts; answers how many. What is pending
/// stays, however old.
///
/// # Errors
/// Whatever the database refuses; the rest is forgotten another time.
pub async fn forget(db: &impl ConnectionTrait, kept: Duration) -> Result<u64> {
    // Identifiers are in the order of time.
    let oldest = first_at(Timestamp::now().minus(kept));
    let mut forgotten = 0;
    for row in Sql::new("SELECT id FROM services").all(db).await? {
        let service: ServiceSid = row.try_get("", "id")?;
        let mut behind = Uuid::nil();
        loop {
            let gone = portion(db, service, behind, oldest).await?;
            forgotten += gone.len() as u64;
            let Some(last) = gone.iter().max() else { break };
            behind = *last;
            for portion in portions(&gone) {
                let mut sql = Sql::new("DELETE FROM webhook_attempts WHERE service_id = ");
                sql.bind(service).push(" AND delivery_id IN (");
                sql.list(portion.iter().map(|id| (*id).into())).push(")");
                sql.execute(db).await?;
            }
        }
    }
    Ok(forgotten)
}

async fn portion(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    behind: Uuid,
    oldest: Uuid,
) -> Result<Vec<Uuid>> {
    let mut sql = Sql::new(
        "DELETE FROM webhook_deliveries WHERE (service_id, id) IN (SELECT service_id, id FROM webhook_deliveries \
         WHERE status <> 'pending' AND service_id = ",
    );
    sql.bind(service)
        .push(" AND id > ")
        .bind(behind)
        .push(" AND id < ")
        .bind(oldest)
        .push(" ORDER BY id LIMIT ")
        .bind(PORTION)
        .push(") RETURNING id");
    sql.all(db)
        .await?
        .iter()
        .map(|row| row.try_get("", "id").map_err(Error::from))
        .collect()
}
