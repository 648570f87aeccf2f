//! What the holder of an account does with it and with its sub-accounts.

use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect};

use super::{ACTIVE, CLOSED, SUSPENDED, auth_token, find, insert, name, owned_by};
use crate::{
    audit::Edit,
    change::AccountChange,
    ctx::AdminCtx,
    entities::account,
    error::{Error, ErrorCode, Result},
    events::publisher::Control,
    paging::{self, Key, Order, Page, PageRequest},
    secrets::Secret,
    sid::AccountSid,
    timestamp::Timestamp,
    webhooks::ledger,
};

fn missing(id: AccountSid) -> Error {
    Error::not_found(format_args!("/Accounts/{id}.json"))
}

/// The caller's account or a sub-account of it.
///
/// # Errors
/// 20404 when it is neither.
pub async fn get(ctx: &AdminCtx, id: AccountSid) -> Result<account::Model> {
    let own = ctx.caller.account();
    let found = if id == own {
        find(ctx.reader(), id).await?
    } else {
        owned_by(own)
            .filter(account::Column::Id.eq(id))
            .one(ctx.reader())
            .await?
    };
    found.ok_or_else(|| missing(id))
}

/// The account's auth token, as far as the caller may see it: a key must not lead to the token.
///
/// # Errors
/// When it was sealed under another master key.
pub fn visible_token(ctx: &AdminCtx, account: &account::Model) -> Result<Option<Secret>> {
    match ctx.caller.key() {
        None => auth_token(&ctx.core.vault, account).map(Some),
        Some(_) => Ok(None),
    }
}

/// Which accounts; `None` lets all pass.
#[derive(Debug, Clone, Default)]
pub struct AccountFilter {
    /// Exactly this name.
    pub friendly_name: Option<String>,
    /// `active`, `suspended` or `closed`.
    pub status: Option<String>,
}

/// The caller's account and its sub-accounts, in the order of their SIDs.
///
/// # Errors
/// 20001 when the status is unknown.
pub async fn list(
    ctx: &AdminCtx,
    filter: &AccountFilter,
    request: &PageRequest,
) -> Result<Page<account::Model>> {
    let own = get(ctx, ctx.caller.account()).await?;
    let mut select = if own.owner_id == own.id {
        owned_by(own.id)
    } else {
        account::Entity::find().filter(account::Column::Id.eq(own.id))
    };
    if let Some(name) = &filter.friendly_name {
        select = select.filter(account::Column::FriendlyName.eq(name.as_str()));
    }
    if let Some(status) = &filter.status {
        select = select.filter(account::Column::Status.eq(known_status(status)?));
    }
    paging::fetch(
        ctx.reader(),
        select,
        account::Column::Id,
        Order::Ascending,
        request,
        |row: &account::Model| Key::Uuid(row.id.0),
    )
    .await
}

fn known_status(text: &str) -> Result<&'static str> {
    match text {
        ACTIVE => Ok(ACTIVE),
        SUSPENDED => Ok(SUSPENDED),
        CLOSED => Ok(CLOSED),
        _ => Err(Error::parameter("Status", "must be active, suspended or closed")),
    }
}

/// Makes a sub-account of the caller's account, with an auth token of its own.
///
/// # Errors
/// 50003 when the name is too long; 20006 when the caller's account is itself a sub-account.
pub async fn create_sub_account(ctx: &AdminCtx, friendly_name: &str) -> Result<account::Model> {
    let owner = get(ctx, ctx.caller.account()).await?;
    if owner.owner_id != owner.id {
        return Err(Error::with(
            ErrorCode::AccessDenied,
            format!(
                "Access denied: {} is a sub-account and can have none of its own; make it with the credentials of {}",
                owner.id, owner.owner_id
            ),
        ));
    }
    let (id, token) = (AccountSid::generate(), Secret::random_hex());
    let mut change = AccountChange::begin(&ctx.core, &ctx.caller)
        .await?
        .lets_in_as_before();
    let row = insert(&change.tx, &ctx.core.vault, friendly_name, (id, owner.id), &token).await?;
    change.audit(owner.id, None, Edit::Created(&row))?;
    change.commit().await?;
    Ok(row)
}

/// What to change of an account; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateAccount {
    /// A name for people.
    pub friendly_name: Option<String>,
    /// `active`, `suspended` or `closed`.
    pub status: Option<String>,
}

/// Renames the caller's account or a sub-account; suspends, closes and revives sub-accounts. One that is not active
/// may not call, its tokens are refused and its sockets end. A closed one stays closed, and its webhooks are given up.
///
/// # Errors
/// 20404; 20001 when the status is unknown; 20006 for a change of the own status; 20409 when it was closed.
pub async fn update(ctx: &AdminCtx, id: AccountSid, update: UpdateAccount) -> Result<account::Model> {
    let status = update.status.as_deref().map(known_status).transpose()?;
    let own = ctx.caller.account();
    get(ctx, id).await?;
    let mut change = AccountChange::begin(&ctx.core, &ctx.caller).await?;
    let before = account::Entity::find_by_id(id)
        .lock_exclusive()
        .one(&change.tx)
        .await?
        .ok_or_else(|| missing(id))?;
    let mut row = before.clone();
    if let Some(text) = &update.friendly_name {
        row.friendly_name = name(text, id)?;
    }
    if let Some(status) = status.filter(|status| *status != row.status) {
        if id == own {
            return Err(Error::with(
                ErrorCode::AccessDenied,
                "Access denied: Status of the own account cannot change; the parent's credentials can",
            ));
        }
        if row.status == CLOSED {
            return Err(Error::with(
                ErrorCode::Conflict,
                format!("Status cannot change: the account {id} was closed, which is final"),
            ));
        }
        status.clone_into(&mut row.status);
        if status != ACTIVE {
            change.control(Control::AccountEnded { account: id });
        }
        if status == CLOSED {
            ledger::cancel_of_account(&change.tx, id).await?;
        }
    }
    row.date_updated = Timestamp::now();
    let row = row.into_active_model().reset_all().update(&change.tx).await?;
    change.audit(
        own,
        None,
        Edit::Updated {
            before: &before,
            after: &row,
        },
    )?;
    change.commit().await?;
    Ok(row)
}
