//! Accounts: the tenants, and the credentials that a backend calls with. An account may have sub-accounts, which it
//! manages and which are tenants of their own.

mod actions;
mod credentials;
mod rotation;
mod view;

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, Select,
};

pub use actions::{AccountFilter, UpdateAccount, create_sub_account, get, list, update, visible_token};
pub(crate) use credentials::confirm;
pub use credentials::{Authenticated, authenticate};
pub use rotation::{
    PromotedToken, PromotedTokenView, SecondaryTokenView, create_secondary_token, delete_secondary_token,
    promote_secondary_token, promoted_view, secondary_view,
};
pub use view::{AccountView, view};

use crate::{
    entities::account,
    error::{Error, ErrorCode, Result},
    input,
    secrets::{Secret, Vault},
    sid::AccountSid,
    timestamp::Timestamp,
};

/// An account's status when it may call.
pub const ACTIVE: &str = "active";
/// An account's status when it may not call for now.
pub const SUSPENDED: &str = "suspended";
/// An account's status when it may not call any more.
pub const CLOSED: &str = "closed";

/// The accounts that `owner` is responsible for, itself among them.
fn owned_by(owner: AccountSid) -> Select<account::Entity> {
    account::Entity::find().filter(account::Column::OwnerId.eq(owner))
}

/// Makes an account that has no parent: for the operator.
///
/// # Errors
/// 50003 when the name is too long; 20409 when the SID is taken.
pub async fn create(
    db: &impl ConnectionTrait,
    vault: &Vault,
    friendly_name: &str,
    id: AccountSid,
    auth_token: &Secret,
) -> Result<account::Model> {
    insert(db, vault, friendly_name, (id, id), auth_token).await
}

async fn insert(
    db: &impl ConnectionTrait,
    vault: &Vault,
    friendly_name: &str,
    (id, owner_id): (AccountSid, AccountSid),
    auth_token: &Secret,
) -> Result<account::Model> {
    let now = Timestamp::now();
    let row = account::Model {
        id,
        owner_id,
        friendly_name: name(friendly_name, id)?,
        status: ACTIVE.to_owned(),
        auth_token: vault.seal(auth_token, &id.to_string())?,
        secondary_auth_token: None,
        secondary_auth_token_at: None,
        auth_token_promoted_at: None,
        date_created: now,
        date_updated: now,
    };
    row.into_active_model().insert(db).await.map_err(|error| {
        if crate::db::is_duplicate(&error, &["accounts"]) {
            Error::with(ErrorCode::Conflict, format!("Account {id} exists already"))
        } else {
            error.into()
        }
    })
}

/// A name for people; an account without one goes by its SID.
fn name(friendly_name: &str, id: AccountSid) -> Result<String> {
    Ok(input::friendly_name(friendly_name)?.unwrap_or_else(|| id.to_string()))
}

/// The account, if there is one.
///
/// # Errors
/// Whatever the database refuses.
pub async fn find(db: &impl ConnectionTrait, id: AccountSid) -> Result<Option<account::Model>> {
    Ok(account::Entity::find_by_id(id).one(db).await?)
}

/// When the account last changed; `None` when there is none.
///
/// # Errors
/// Whatever the database refuses.
pub async fn changed_at(db: &impl ConnectionTrait, id: AccountSid) -> Result<Option<Timestamp>> {
    Ok(account::Entity::find_by_id(id)
        .select_only()
        .column(account::Column::DateUpdated)
        .into_tuple()
        .one(db)
        .await?)
}

/// Every account, oldest first: for the operator.
///
/// # Errors
/// Whatever the database refuses.
pub async fn all(db: &impl ConnectionTrait) -> Result<Vec<account::Model>> {
    Ok(account::Entity::find()
        .order_by_asc(account::Column::DateCreated)
        .order_by_asc(account::Column::Id)
        .all(db)
        .await?)
}

/// The account's auth token, for signing webhooks and for showing it to its owner.
///
/// # Errors
/// When it was sealed under another master key.
pub fn auth_token(vault: &Vault, account: &account::Model) -> Result<Secret> {
    vault.open(&account.auth_token, &account.id.to_string())
}

/// The token that is to replace the auth token, if there is one.
///
/// # Errors
/// When it was sealed under another master key.
pub fn secondary_auth_token(vault: &Vault, account: &account::Model) -> Result<Option<Secret>> {
    account
        .secondary_auth_token
        .as_deref()
        .map(|sealed| vault.open(sealed, &account.id.to_string()))
        .transpose()
}
