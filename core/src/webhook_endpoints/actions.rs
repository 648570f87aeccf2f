//! Making endpoints, looking at them, changing and deleting them.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
};

use super::{
    DISABLED, ENABLED, EndpointSettings, FORM, HMAC, OPEN, headers, keys, scoped,
    settings::{self, apply},
};
use crate::{
    audit::Edit,
    change::Change,
    ctx::Ctx,
    entities::webhook_endpoint,
    error::{Error, ErrorCode, Result},
    paging::{self, Key, Order, Page, PageRequest},
    pre_events,
    secrets::Secret,
    sid::WebhookEndpointSid,
    sql::Sql,
    timestamp::Timestamp,
    webhooks::pending,
};

/// The most endpoints of a service: each event is recorded for each that subscribes to it.
const MOST: i32 = 100;
/// How long a call may take unless it is set, in milliseconds.
const TIMEOUT_MS: i32 = 5000;

fn missing(ctx: &Ctx, id: WebhookEndpointSid) -> Error {
    ctx.not_found(format_args!("WebhookEndpoints/{id}"))
}

/// The service's endpoint of this SID.
///
/// # Errors
/// 20404; 20006 for users.
pub async fn get(ctx: &Ctx, id: WebhookEndpointSid) -> Result<webhook_endpoint::Model> {
    ctx.backend_only()?;
    super::find(ctx.reader(), ctx.scope(), id)
        .await?
        .ok_or_else(|| missing(ctx, id))
}

/// The service's endpoints, oldest first.
///
/// # Errors
/// 20006 for users.
pub async fn list(ctx: &Ctx, request: &PageRequest) -> Result<Page<webhook_endpoint::Model>> {
    ctx.backend_only()?;
    paging::fetch(
        ctx.reader(),
        scoped(ctx.scope()),
        webhook_endpoint::Column::Id,
        Order::Ascending,
        request,
        |row: &webhook_endpoint::Model| Key::Uuid(row.id.0),
    )
    .await
}

/// An endpoint that was made or changed.
pub struct Made {
    /// The endpoint.
    pub endpoint: webhook_endpoint::Model,
    /// Its secret, when it is new.
    pub secret: Option<Secret>,
}

/// Makes an endpoint.
///
/// # Errors
/// 50054 when it has no URL or one that may not be called; 20001 naming what else is wrong; 50321 when the service has
/// a hundred; 20006 for users.
pub async fn create(ctx: &Ctx, given: EndpointSettings) -> Result<Made> {
    ctx.backend_only()?;
    let core = &ctx.core;
    let (id, now) = (WebhookEndpointSid::generate(), Timestamp::now());
    let mut row = webhook_endpoint::Model {
        service_id: ctx.scope(),
        id,
        account_id: ctx.account(),
        url: String::new(),
        events: settings::events(&[])?,
        format: FORM.to_owned(),
        ordered: false,
        headers: headers::seal(&core.vault, id, &std::collections::BTreeMap::new())?,
        failure_policy: OPEN.to_owned(),
        timeout_ms: TIMEOUT_MS,
        shadow: false,
        pre_events_on_rest: false,
        status: ENABLED.to_owned(),
        disabled_reason: None,
        signing: HMAC.to_owned(),
        secret: Vec::new(),
        previous_secret: None,
        previous_secret_until: None,
        failing_since: None,
        last_failure: None,
        date_created: now,
        date_updated: now,
    };
    let url = Some(given.url.unwrap_or_default());
    apply(core, &mut row, EndpointSettings { url, ..given })?;
    if row.status == DISABLED {
        row.disabled_reason = Some(BY_REQUEST.to_owned());
    }
    let secret = keys::renew(core, &mut row, true)?;
    let mut change = Change::begin(ctx).await?;
    if !count(&change.tx, ctx, 1).await? {
        return Err(Error::with(
            ErrorCode::TooManyWebhooks,
            format!("A service can have at most {MOST} webhook endpoints: delete one first"),
        ));
    }
    let endpoint = row.into_active_model().insert(&change.tx).await?;
    change.audit(Edit::Created(&endpoint))?;
    pre_events::changed(&change.tx).await?;
    change.commit().await?;
    core.lookups.changed().await;
    Ok(Made {
        endpoint,
        secret: Some(secret),
    })
}

/// Why an endpoint is disabled that its owner has disabled.
const BY_REQUEST: &str = "disabled by request";

/// Changes the settings that are given. What is still to be told waits while it is paused, and is given up when it is
/// disabled.
///
/// # Errors
/// 20404; 50054 or 20001 naming what is wrong, the others unchanged; 20006 for users.
pub async fn update(
    ctx: &Ctx,
    id: WebhookEndpointSid,
    given: EndpointSettings,
    rotate_secret: bool,
) -> Result<Made> {
    let mut change = Change::begin(ctx).await?;
    let before = lock(ctx, &change, id).await?;
    let mut row = before.clone();
    apply(&ctx.core, &mut row, given)?;
    // A secret is of one kind of signature only.
    let secret = if rotate_secret || row.signing != before.signing {
        Some(keys::renew(&ctx.core, &mut row, false)?)
    } else {
        None
    };
    if row.status != before.status {
        turn(&change.tx, &mut row).await?;
    }
    row.date_updated = Timestamp::now();
    let endpoint = row.into_active_model().reset_all().update(&change.tx).await?;
    change.audit(Edit::Updated {
        before: &before,
        after: &endpoint,
    })?;
    pre_events::changed(&change.tx).await?;
    change.commit().await?;
    ctx.core.lookups.changed().await;
    Ok(Made { endpoint, secret })
}

/// Carries out a change of its status.
async fn turn(db: &impl ConnectionTrait, row: &mut webhook_endpoint::Model) -> Result<()> {
    row.disabled_reason = None;
    match row.status.as_str() {
        DISABLED => {
            row.disabled_reason = Some(BY_REQUEST.to_owned());
            pending::give_up(db, row.id.0, "the endpoint was disabled").await?;
        }
        ENABLED => {
            row.failing_since = None;
            row.last_failure = None;
        }
        _ => {}
    }
    Ok(())
}

async fn lock(ctx: &Ctx, change: &Change<'_>, id: WebhookEndpointSid) -> Result<webhook_endpoint::Model> {
    ctx.backend_only()?;
    scoped(ctx.scope())
        .filter(webhook_endpoint::Column::Id.eq(id))
        .lock_exclusive()
        .one(&change.tx)
        .await?
        .ok_or_else(|| missing(ctx, id))
}

/// Deletes an endpoint. What it was still to be told is cancelled.
///
/// # Errors
/// 20404; 20006 for users.
pub async fn delete(ctx: &Ctx, id: WebhookEndpointSid) -> Result<()> {
    let mut change = Change::begin(ctx).await?;
    let row = lock(ctx, &change, id).await?;
    webhook_endpoint::Entity::delete_by_id((row.service_id, row.id))
        .exec(&change.tx)
        .await?;
    count(&change.tx, ctx, -1).await?;
    pending::cancel(&change.tx, row.id.0).await?;
    change.audit(Edit::Deleted(&row))?;
    pre_events::changed(&change.tx).await?;
    change.commit().await?;
    ctx.core.lookups.changed().await;
    Ok(())
}

/// Moves the service's count of endpoints, which says to all who look at the service whether there are any; answers
/// whether the count is allowed.
async fn count(db: &impl ConnectionTrait, ctx: &Ctx, by: i32) -> Result<bool> {
    let mut sql = Sql::new("UPDATE services SET webhook_endpoints = webhook_endpoints + ");
    sql.bind(by)
        .push(" WHERE account_id = ")
        .bind(ctx.account())
        .push(" AND id = ")
        .bind(ctx.scope());
    sql.push(" AND webhook_endpoints + ")
        .bind(by)
        .push(" <= ")
        .bind(MOST);
    Ok(sql.execute(db).await?.rows_affected() > 0)
}
