//! Making, changing and deleting keys.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
};

use super::{insert, scoped};
use crate::{
    audit::Edit,
    change::AccountChange,
    ctx::AdminCtx,
    entities::{api_key, service},
    error::{Error, ErrorCode, Result},
    events::publisher::Control,
    input,
    paging::{self, Key, Order, Page, PageRequest},
    secrets::Secret,
    sid::{AccountSid, ApiKeySid, ServiceSid},
    timestamp::Timestamp,
};

fn missing(ctx: &AdminCtx, id: ApiKeySid) -> Error {
    Error::not_found(format_args!("/Accounts/{}/Keys/{id}.json", ctx.account))
}

/// The account's key of this SID.
///
/// # Errors
/// 20404 when there is none.
pub async fn get(ctx: &AdminCtx, id: ApiKeySid) -> Result<api_key::Model> {
    scoped(ctx.account)
        .filter(api_key::Column::Id.eq(id))
        .one(ctx.reader())
        .await?
        .ok_or_else(|| missing(ctx, id))
}

/// The account's keys, oldest first.
///
/// # Errors
/// Whatever the database refuses.
pub async fn list(ctx: &AdminCtx, request: &PageRequest) -> Result<Page<api_key::Model>> {
    paging::fetch(
        ctx.reader(),
        scoped(ctx.account),
        api_key::Column::Id,
        Order::Ascending,
        request,
        |key: &api_key::Model| Key::Uuid(key.id.0),
    )
    .await
}

/// A key to make.
#[derive(Debug, Clone, Default)]
pub struct NewKey {
    /// A name for people.
    pub friendly_name: String,
    /// The one service that it is to reach.
    pub service_sid: Option<String>,
    /// Whether it is only to read.
    pub read_only: bool,
    /// When it is to end.
    pub date_expires: Option<Timestamp>,
}

/// Makes a key; its secret is shown this once.
///
/// # Errors
/// 50003 when the name is too long; 50050 when the account has no such service; 20001 when the end is past.
pub async fn create(ctx: &AdminCtx, new: NewKey) -> Result<(api_key::Model, Secret)> {
    let friendly_name = input::friendly_name(&new.friendly_name)?.unwrap_or_default();
    let date_expires = new.date_expires.map(to_come).transpose()?;
    let mut change = AccountChange::begin(&ctx.core, &ctx.caller)
        .await?
        .lets_in_as_before();
    let service_id = match new.service_sid.filter(|sid| !sid.is_empty()) {
        Some(sid) => Some(own_service(&change.tx, ctx.account, &sid).await?),
        None => None,
    };
    let (row, secret) = insert(&change.tx, &ctx.core.vault, ctx.account, |key| {
        key.friendly_name = friendly_name;
        key.service_id = service_id;
        key.read_only = new.read_only;
        key.date_expires = date_expires;
    })
    .await?;
    change.audit(ctx.account, None, Edit::Created(&row))?;
    change.commit().await?;
    Ok((row, secret))
}

fn to_come(end: Timestamp) -> Result<Timestamp> {
    if end > Timestamp::now() {
        Ok(end)
    } else {
        Err(Error::parameter(
            "DateExpires",
            "is past: give a moment to come, or delete the key",
        ))
    }
}

async fn own_service(db: &impl ConnectionTrait, account: AccountSid, sid: &str) -> Result<ServiceSid> {
    let missing = || {
        Error::with(
            ErrorCode::ServiceNotFound,
            format!(
                "ServiceSid {} not found",
                sid.chars().take(80).collect::<String>()
            ),
        )
    };
    let id: ServiceSid = sid.parse().map_err(|_| missing())?;
    service::Entity::find()
        .filter(service::Column::AccountId.eq(account))
        .filter(service::Column::Id.eq(id))
        .one(db)
        .await?
        .map(|service| service.id)
        .ok_or_else(missing)
}

/// What to change of a key; `None` leaves it as it is. A scope cannot change: tokens were given out under it.
#[derive(Debug, Clone, Default)]
pub struct UpdateKey {
    /// A name for people.
    pub friendly_name: Option<String>,
    /// When it is to end; `Some(None)` lets it live on.
    pub date_expires: Option<Option<Timestamp>>,
}

/// Renames a key, or moves its end; the sockets of its tokens end with it.
///
/// # Errors
/// 20404, 50003; 20001 when the end is past.
pub async fn update(ctx: &AdminCtx, id: ApiKeySid, update: UpdateKey) -> Result<api_key::Model> {
    let mut change = AccountChange::begin(&ctx.core, &ctx.caller).await?;
    let before = scoped(ctx.account)
        .filter(api_key::Column::Id.eq(id))
        .lock_exclusive()
        .one(&change.tx)
        .await?
        .ok_or_else(|| missing(ctx, id))?;
    let mut row = before.clone();
    if let Some(name) = &update.friendly_name {
        row.friendly_name = input::friendly_name(name)?.unwrap_or_default();
    }
    if let Some(end) = update.date_expires {
        row.date_expires = end.map(to_come).transpose()?;
        change.control(Control::KeyExpires {
            account: ctx.account,
            key: id,
            at: row.date_expires,
        });
    }
    row.date_updated = Timestamp::now();
    let row = row.into_active_model().reset_all().update(&change.tx).await?;
    change.audit(
        ctx.account,
        None,
        Edit::Updated {
            before: &before,
            after: &row,
        },
    )?;
    change.commit().await?;
    Ok(row)
}

/// Deletes a key: tokens that it signed are worthless from now on, and their sockets are ended.
///
/// # Errors
/// 20404.
pub async fn delete(ctx: &AdminCtx, id: ApiKeySid) -> Result<()> {
    let mut change = AccountChange::begin(&ctx.core, &ctx.caller).await?;
    let row = scoped(ctx.account)
        .filter(api_key::Column::Id.eq(id))
        .lock_exclusive()
        .one(&change.tx)
        .await?
        .ok_or_else(|| missing(ctx, id))?;
    remove(&mut change, &row).await?;
    change.commit().await
}

/// Deletes a locked key within a change.
pub(crate) async fn remove(change: &mut AccountChange<'_>, row: &api_key::Model) -> Result<()> {
    api_key::Entity::delete_many()
        .filter(api_key::Column::AccountId.eq(row.account_id))
        .filter(api_key::Column::Id.eq(row.id))
        .exec(&change.tx)
        .await?;
    change.control(Control::KeyDeleted {
        account: row.account_id,
        key: row.id,
    });
    change.audit(row.account_id, None, Edit::Deleted(row))
}
