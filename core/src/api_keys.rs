//! API keys: their secrets sign access tokens and authenticate REST calls.

use std::collections::HashSet;

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    Select,
};

use crate::{
    ctx::Core,
    db::Db,
    entities::api_key,
    error::{Error, Result},
    events::publisher::Control,
    input,
    paging::{self, Key, Order, Page, PageRequest},
    secrets::{Secret, Vault},
    sid::{AccountSid, ApiKeySid},
    timestamp::Timestamp,
};

/// The name of the key that signs tokens on a backend's behalf (`POST …/AccessTokens`).
const TOKEN_KEY_NAME: &str = "Hubbub access tokens";

fn scoped(account: AccountSid) -> Select<api_key::Entity> {
    api_key::Entity::find().filter(api_key::Column::AccountId.eq(account))
}

/// Makes a key; its secret is shown this once.
///
/// # Errors
/// 50003 when the name is too long.
pub async fn create(
    db: &Db,
    vault: &Vault,
    account: AccountSid,
    friendly_name: &str,
) -> Result<(api_key::Model, Secret)> {
    let secret = Secret::random_hex();
    let id = ApiKeySid::generate();
    let now = Timestamp::now();
    let row = api_key::Model {
        account_id: account,
        id,
        friendly_name: input::friendly_name(friendly_name)?.unwrap_or_default(),
        secret: vault.seal(&secret, &id.to_string())?,
        date_created: now,
        date_updated: now,
    };
    Ok((row.into_active_model().insert(db.writer()).await?, secret))
}

/// The account's key of this SID.
///
/// # Errors
/// 20404 when there is none.
pub async fn get(core: &Core, account: AccountSid, id: ApiKeySid) -> Result<api_key::Model> {
    find(core.db.reader(), account, id)
        .await?
        .ok_or_else(|| Error::not_found(format_args!("/Accounts/{account}/Keys/{id}.json")))
}

/// The account's key of this SID, if there is one.
///
/// # Errors
/// Whatever the database refuses.
pub async fn find(
    db: &impl ConnectionTrait,
    account: AccountSid,
    id: ApiKeySid,
) -> Result<Option<api_key::Model>> {
    Ok(scoped(account).filter(api_key::Column::Id.eq(id)).one(db).await?)
}

/// Which of these keys exist.
///
/// # Errors
/// Whatever the database refuses.
pub async fn existing(db: &impl ConnectionTrait, keys: &[ApiKeySid]) -> Result<HashSet<ApiKeySid>> {
    let rows = api_key::Entity::find()
        .filter(api_key::Column::Id.is_in(keys.iter().copied()))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|key| key.id).collect())
}

/// The account's keys, oldest first.
///
/// # Errors
/// Whatever the database refuses.
pub async fn list(core: &Core, account: AccountSid, request: &PageRequest) -> Result<Page<api_key::Model>> {
    paging::fetch(
        core.db.reader(),
        scoped(account),
        api_key::Column::Id,
        Order::Ascending,
        request,
        |key: &api_key::Model| Key::Uuid(key.id.0),
    )
    .await
}

/// Renames a key.
///
/// # Errors
/// 20404, 50003.
pub async fn rename(
    core: &Core,
    account: AccountSid,
    id: ApiKeySid,
    friendly_name: &str,
) -> Result<api_key::Model> {
    let mut key = get(core, account, id).await?;
    key.friendly_name = input::friendly_name(friendly_name)?.unwrap_or_default();
    key.date_updated = Timestamp::now();
    Ok(key
        .into_active_model()
        .reset_all()
        .update(core.db.writer())
        .await?)
}

/// Deletes a key: tokens that it signed are worthless from now on, and their sockets are ended.
///
/// # Errors
/// 20404.
pub async fn delete(core: &Core, account: AccountSid, id: ApiKeySid) -> Result<()> {
    get(core, account, id).await?;
    api_key::Entity::delete_many()
        .filter(api_key::Column::AccountId.eq(account))
        .filter(api_key::Column::Id.eq(id))
        .exec(core.db.writer())
        .await?;
    core.publisher.control(Control::KeyDeleted { account, key: id });
    Ok(())
}

/// The key's secret.
///
/// # Errors
/// When it was sealed under another master key.
pub fn secret(vault: &Vault, key: &api_key::Model) -> Result<Secret> {
    vault.open(&key.secret, &key.id.to_string())
}

/// A key to sign tokens with: the one the caller came with, or the account's own key for this purpose, made when
/// it is first needed.
///
/// # Errors
/// Whatever the database refuses.
pub async fn for_tokens(
    db: &Db,
    vault: &Vault,
    account: AccountSid,
    came_with: Option<ApiKeySid>,
) -> Result<(ApiKeySid, Secret)> {
    let existing = match came_with {
        Some(id) => find(db.reader(), account, id).await?,
        None => {
            scoped(account)
                .filter(api_key::Column::FriendlyName.eq(TOKEN_KEY_NAME))
                .order_by_asc(api_key::Column::Id)
                .one(db.reader())
                .await?
        }
    };
    match existing {
        Some(key) => Ok((key.id, secret(vault, &key)?)),
        None => create(db, vault, account, TOKEN_KEY_NAME)
            .await
            .map(|(key, secret)| (key.id, secret)),
    }
}
