//! API keys: their secrets sign access tokens and authenticate REST calls. A key may be limited to one service, to
//! reading, and in time; what it signs is limited with it.

mod actions;
mod key_use;
mod view;

use std::collections::HashMap;

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel,
    QueryFilter, QueryOrder, Select,
};

pub(crate) use actions::remove;
pub use actions::{NewKey, UpdateKey, create, delete, get, list, update};
pub use key_use::KeyUse;
pub use view::{KeyView, view};

use crate::{
    accounts,
    ctx::KeyScope,
    db::Db,
    entities::api_key,
    error::Result,
    secrets::{Secret, Vault},
    sid::{AccountSid, ApiKeySid, ServiceSid},
    sql::Sql,
    timestamp::Timestamp,
};

/// The name of the key that signs tokens on a backend's behalf (`POST …/AccessTokens`).
const TOKEN_KEY_NAME: &str = "Hubbub access tokens";

fn scoped(account: AccountSid) -> Select<api_key::Entity> {
    api_key::Entity::find().filter(api_key::Column::AccountId.eq(account))
}

/// The key of this SID, with whether its account may call.
///
/// # Errors
/// Whatever the database refuses.
pub async fn with_account(
    db: &impl ConnectionTrait,
    id: ApiKeySid,
) -> Result<Option<(api_key::Model, bool)>> {
    let mut sql = Sql::new(
        "SELECT k.*, a.status AS account_status FROM api_keys k JOIN accounts a ON a.id = k.account_id WHERE k.id = ",
    );
    sql.bind(id);
    let rows = sql.all(db).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let status: String = row.try_get("", "account_status")?;
    Ok(Some((
        api_key::Model::from_query_result(row, "")?,
        status == accounts::ACTIVE,
    )))
}

/// Which of these keys are still good for the tokens that they signed, and until when: those that exist, have not
/// expired, and whose account may call.
///
/// # Errors
/// Whatever the database refuses.
pub async fn living(
    db: &impl ConnectionTrait,
    keys: &[ApiKeySid],
) -> Result<HashMap<ApiKeySid, Option<Timestamp>>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::new(
        "SELECT k.id, k.date_expires FROM api_keys k JOIN accounts a ON a.id = k.account_id WHERE a.status = ",
    );
    sql.bind(accounts::ACTIVE).push(" AND k.id IN ");
    sql.values(keys.iter().map(|key| [key.into()]));
    sql.all(db)
        .await?
        .iter()
        .map(|row| Ok((row.try_get("", "id")?, row.try_get("", "date_expires")?)))
        .collect()
}

/// Inserts a key with a new secret.
async fn insert(
    db: &impl ConnectionTrait,
    vault: &Vault,
    account: AccountSid,
    fill: impl FnOnce(&mut api_key::Model),
) -> Result<(api_key::Model, Secret)> {
    let secret = Secret::random_hex();
    let id = ApiKeySid::generate();
    let now = Timestamp::now();
    let mut row = api_key::Model {
        account_id: account,
        id,
        friendly_name: String::new(),
        secret: vault.seal(&secret, &id.to_string())?,
        service_id: None,
        read_only: false,
        date_expires: None,
        date_last_used: None,
        date_created: now,
        date_updated: now,
    };
    fill(&mut row);
    Ok((row.into_active_model().insert(db).await?, secret))
}

/// The key's secret.
///
/// # Errors
/// When it was sealed under another master key.
pub fn secret(vault: &Vault, key: &api_key::Model) -> Result<Secret> {
    vault.open(&key.secret, &key.id.to_string())
}

/// A key to sign tokens with: the one the caller came with, or the account's own key for this purpose, which has no
/// scope and no end, made when it is first needed.
///
/// # Errors
/// Whatever the database refuses.
pub async fn for_tokens(
    db: &Db,
    vault: &Vault,
    account: AccountSid,
    came_with: Option<&KeyScope>,
) -> Result<(api_key::Model, Secret)> {
    let known = match came_with {
        Some(key) => scoped(account).filter(api_key::Column::Id.eq(key.sid)),
        None => scoped(account)
            .filter(api_key::Column::FriendlyName.eq(TOKEN_KEY_NAME))
            .filter(api_key::Column::ServiceId.is_null())
            .filter(api_key::Column::ReadOnly.eq(false))
            .filter(api_key::Column::DateExpires.is_null())
            .order_by_asc(api_key::Column::Id),
    };
    match known.one(db.reader()).await? {
        Some(key) => {
            let secret = secret(vault, &key)?;
            Ok((key, secret))
        }
        None => {
            insert(db.writer(), vault, account, |key| {
                TOKEN_KEY_NAME.clone_into(&mut key.friendly_name);
            })
            .await
        }
    }
}

/// The keys that reach this service only.
pub(crate) async fn of_service(
    db: &impl ConnectionTrait,
    account: AccountSid,
    service: ServiceSid,
) -> Result<Vec<api_key::Model>> {
    Ok(scoped(account)
        .filter(api_key::Column::ServiceId.eq(service))
        .all(db)
        .await?)
}
