//! Checking the credentials of backends.

use super::{ACTIVE, auth_token, secondary_auth_token};
use crate::{
    api_keys,
    ctx::{Caller, Core, KeyScope},
    error::{Error, ErrorCode, Result},
    sid::{AccountSid, ApiKeySid},
    timestamp::Timestamp,
};

/// Whom credentials of the form `AC…:token` or `SK…:secret` belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authenticated {
    /// The account.
    pub account: AccountSid,
    /// The API key, when it was one.
    pub key: Option<KeyScope>,
}

/// Checks a user name and a password.
///
/// # Errors
/// 20003 when they are wrong or the key has expired, 20005 when the account may not call.
pub async fn authenticate(core: &Core, user: &str, password: &str) -> Result<Authenticated> {
    if let Ok(id) = user.parse::<AccountSid>() {
        with_token(core, id, password).await
    } else if let Ok(id) = user.parse::<ApiKeySid>() {
        with_key(core, id, password).await
    } else {
        Err(ErrorCode::Unauthenticated.into())
    }
}

async fn with_token(core: &Core, id: AccountSid, password: &str) -> Result<Authenticated> {
    let account = core
        .lookups
        .account(id)
        .await?
        .ok_or(ErrorCode::Unauthenticated)?;
    let good = auth_token(&core.vault, &account)?.matches(password)
        || secondary_auth_token(&core.vault, &account)?.is_some_and(|token| token.matches(password));
    if !good {
        return Err(ErrorCode::Unauthenticated.into());
    }
    if account.status != ACTIVE {
        return Err(ErrorCode::AccountNotActive.into());
    }
    Ok(Authenticated {
        account: id,
        key: None,
    })
}

async fn with_key(core: &Core, id: ApiKeySid, password: &str) -> Result<Authenticated> {
    let known = core.lookups.key(id).await?.ok_or(ErrorCode::Unauthenticated)?;
    let key = &known.key;
    if !api_keys::secret(&core.vault, key)?.matches(password) {
        return Err(ErrorCode::Unauthenticated.into());
    }
    if key.has_expired(Timestamp::now()) {
        return Err(Error::with(
            ErrorCode::Unauthenticated,
            format!("Authenticate: the API key {id} has expired (DateExpires)"),
        ));
    }
    if !known.active {
        return Err(ErrorCode::AccountNotActive.into());
    }
    core.key_use.note(key.account_id, id);
    Ok(Authenticated {
        account: key.account_id,
        key: Some(key.scope()),
    })
}

/// Lets a backend go on that has waited since its credentials were checked.
///
/// # Errors
/// 20003 when its key has ended or was given another scope, 20005 when its account may not call any more.
pub(crate) async fn confirm(core: &Core, caller: &Caller) -> Result<()> {
    let Caller::Account { account, key, .. } = caller else {
        return Ok(());
    };
    let is_active = match key {
        Some(scope) => {
            core.lookups
                .key(scope.sid)
                .await?
                .filter(|known| known.key.scope() == *scope && !known.key.has_expired(Timestamp::now()))
                .ok_or(ErrorCode::Unauthenticated)?
                .active
        }
        None => {
            let known = core.lookups.account(*account).await?;
            known.ok_or(ErrorCode::Unauthenticated)?.status == ACTIVE
        }
    };
    if is_active {
        Ok(())
    } else {
        Err(ErrorCode::AccountNotActive.into())
    }
}
