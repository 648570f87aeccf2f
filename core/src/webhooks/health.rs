//! How endpoints fare: since when one fails, and its end when it does so for days.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::Expr};

use crate::{
    audit::{self, Actor, Edit},
    db::Db,
    entities::webhook_endpoint::{self, Column},
    error::Result,
    sid::{ServiceSid, WebhookEndpointSid},
    sql::Sql,
    timestamp::Timestamp,
    webhook_endpoints::DISABLED,
};

/// Notes that an attempt failed, and why; answers since when the endpoint fails, or nothing when it is gone.
///
/// # Errors
/// Whatever the database refuses.
pub async fn failed(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    id: WebhookEndpointSid,
    at: Timestamp,
    why: &str,
) -> Result<Option<Timestamp>> {
    let mut sql = Sql::new("UPDATE webhook_endpoints SET failing_since = COALESCE(failing_since, ");
    sql.bind(at)
        .push("), last_failure = ")
        .bind(why.replace('\0', "\u{fffd}"))
        .push(" WHERE service_id = ")
        .bind(service)
        .push(" AND id = ")
        .bind(id)
        .push(" RETURNING failing_since");
    let rows = sql.all(db).await?;
    Ok(rows
        .first()
        .map(|row| row.try_get("", "failing_since"))
        .transpose()?)
}

/// Notes that an attempt succeeded.
///
/// # Errors
/// Whatever the database refuses.
pub async fn recovered(db: &impl ConnectionTrait, service: ServiceSid, id: WebhookEndpointSid) -> Result<()> {
    webhook_endpoint::Entity::update_many()
        .col_expr(Column::FailingSince, Expr::value(Option::<Timestamp>::None))
        .filter(Column::ServiceId.eq(service))
        .filter(Column::Id.eq(id))
        .filter(Column::FailingSince.is_not_null())
        .exec(db)
        .await?;
    Ok(())
}

/// Disables an endpoint, which the audit log tells as its account's doing. False when it was disabled before, or is
/// gone.
///
/// # Errors
/// Whatever the database refuses.
pub async fn disable(db: &Db, service: ServiceSid, id: WebhookEndpointSid, reason: &str) -> Result<bool> {
    let tx = db.begin().await?;
    let before = webhook_endpoint::Entity::find()
        .filter(Column::ServiceId.eq(service))
        .filter(Column::Id.eq(id))
        .filter(Column::Status.ne(DISABLED))
        .lock_exclusive()
        .one(&tx)
        .await?;
    let Some(before) = before else { return Ok(false) };
    let after = webhook_endpoint::Model {
        status: DISABLED.to_owned(),
        disabled_reason: Some(reason.to_owned()),
        date_updated: Timestamp::now(),
        ..before.clone()
    };
    webhook_endpoint::Entity::update_many()
        .col_expr(Column::Status, Expr::value(DISABLED))
        .col_expr(Column::DisabledReason, Expr::value(reason))
        .col_expr(Column::DateUpdated, Expr::value(after.date_updated))
        .filter(Column::ServiceId.eq(service))
        .filter(Column::Id.eq(id))
        .exec(&tx)
        .await?;
    let platform = Actor {
        account: before.account_id,
        key: None,
        request: None,
    };
    let entry = audit::entry(
        platform,
        before.account_id,
        Some(service),
        Edit::Updated {
            before: &before,
            after: &after,
        },
    )?;
    audit::store(&tx, &[entry]).await?;
    tx.commit().await?;
    Ok(true)
}
