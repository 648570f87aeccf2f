//! Accounts: the tenants, and the credentials that a backend calls with.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
};

use crate::{
    ctx::Core,
    entities::{account, api_key},
    error::{Error, ErrorCode, Result},
    input,
    secrets::{Secret, Vault},
    sid::{AccountSid, ApiKeySid},
    timestamp::Timestamp,
};

/// An account's status when it may call.
pub const ACTIVE: &str = "active";

/// Makes an account.
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
    let friendly_name = input::friendly_name(friendly_name)?.unwrap_or_else(|| id.to_string());
    let now = Timestamp::now();
    let row = account::Model {
        id,
        friendly_name,
        status: ACTIVE.to_owned(),
        auth_token: vault.seal(auth_token, &id.to_string())?,
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

/// The account, if there is one.
///
/// # Errors
/// Whatever the database refuses.
pub async fn find(db: &impl ConnectionTrait, id: AccountSid) -> Result<Option<account::Model>> {
    Ok(account::Entity::find_by_id(id).one(db).await?)
}

/// Every account, oldest first: for the operator.
///
/// # Errors
/// Whatever the database refuses.
pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<account::Model>> {
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

/// Whom credentials of the form `AC…:token` or `SK…:secret` belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authenticated {
    /// The account.
    pub account: AccountSid,
    /// The API key, when it was one.
    pub key: Option<ApiKeySid>,
}

/// Checks a user name and a password.
///
/// # Errors
/// 20003 when they are wrong, 20005 when the account may not call.
pub async fn authenticate(core: &Core, user: &str, password: &str) -> Result<Authenticated> {
    let refused = || Error::new(ErrorCode::Unauthenticated);
    let db = core.db.reader();
    let (account, key, secret) = if let Ok(id) = user.parse::<AccountSid>() {
        let account = find(db, id).await?.ok_or_else(refused)?;
        let secret = auth_token(&core.vault, &account)?;
        (account, None, secret)
    } else if let Ok(id) = user.parse::<ApiKeySid>() {
        let key = api_key::Entity::find()
            .filter(api_key::Column::Id.eq(id))
            .one(db)
            .await?
            .ok_or_else(refused)?;
        let account = find(db, key.account_id).await?.ok_or_else(refused)?;
        let secret = crate::api_keys::secret(&core.vault, &key)?;
        (account, Some(id), secret)
    } else {
        return Err(refused());
    };
    if !secret.matches(password) {
        return Err(refused());
    }
    if account.status != ACTIVE {
        return Err(ErrorCode::AccountNotActive.into());
    }
    Ok(Authenticated {
        account: account.id,
        key,
    })
}
