//! Replacing the auth token without a moment in which none is good: a second one is made, taken into use, and
//! promoted; the first is then worthless.

use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, QuerySelect};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    audit::{Audited, Edit, bare},
    change::AccountChange,
    ctx::{AdminCtx, BaseUrl},
    entities::account,
    error::{Error, ErrorCode, Result},
    secrets::Secret,
    sid::AccountSid,
    timestamp::Timestamp,
};

/// A second auth token, good beside the first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SecondaryAuthToken)]
pub struct SecondaryTokenView {
    #[schema(value_type = String)]
    account_sid: AccountSid,
    /// Shown this once.
    secondary_auth_token: String,
    date_created: String,
    date_updated: String,
    url: String,
}

/// The auth token that took the place of the one before.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuthTokenPromotion)]
pub struct PromotedTokenView {
    #[schema(value_type = String)]
    account_sid: AccountSid,
    auth_token: String,
    date_created: String,
    date_updated: String,
    url: String,
}

/// A secondary auth token in the audit log: that it is there, not what it is.
struct Secondary<'a>(&'a account::Model);

impl Audited for Secondary<'_> {
    const KIND: &'static str = "auth_token";

    fn sid(&self) -> String {
        self.0.id.to_string()
    }

    fn shown(&self, _: AccountSid) -> Result<Value> {
        #[derive(Serialize)]
        struct Shown {
            account_sid: AccountSid,
            secondary_date_created: Option<String>,
            date_promoted: Option<String>,
        }
        bare(&Shown {
            account_sid: self.0.id,
            secondary_date_created: self.0.secondary_auth_token_at.map(Timestamp::to_seconds_text),
            date_promoted: self.0.auth_token_promoted_at.map(Timestamp::to_seconds_text),
        })
    }
}

/// The caller's account, locked.
async fn lock(ctx: &AdminCtx, change: &AccountChange<'_>) -> Result<account::Model> {
    account::Entity::find_by_id(ctx.account)
        .lock_exclusive()
        .one(&change.tx)
        .await?
        .ok_or_else(|| Error::not_found(format_args!("/Accounts/{}.json", ctx.account)))
}

async fn begin(ctx: &AdminCtx) -> Result<(AccountChange<'_>, account::Model)> {
    ctx.caller.auth_token_only()?;
    let change = AccountChange::begin(&ctx.core, &ctx.caller).await?;
    let row = lock(ctx, &change).await?;
    Ok((change, row))
}

async fn store(change: &AccountChange<'_>, row: account::Model) -> Result<account::Model> {
    Ok(row.into_active_model().reset_all().update(&change.tx).await?)
}

/// Makes a second auth token, good beside the first until one of them is given up; answers it this once.
///
/// # Errors
/// 20409 when there is one already; 20006 for API keys.
pub async fn create_secondary_token(ctx: &AdminCtx) -> Result<(account::Model, Secret)> {
    let (mut change, mut row) = begin(ctx).await?;
    if row.secondary_auth_token.is_some() {
        return Err(Error::with(
            ErrorCode::Conflict,
            "Conflict: there is a secondary auth token already; promote it or delete it first",
        ));
    }
    let token = Secret::random_hex();
    row.secondary_auth_token = Some(ctx.core.vault.seal(&token, &row.id.to_string())?);
    row.secondary_auth_token_at = Some(Timestamp::now());
    let row = store(&change, row).await?;
    change.audit(row.id, None, Edit::Created(&Secondary(&row)))?;
    change.commit().await?;
    Ok((row, token))
}

fn no_secondary() -> Error {
    Error::with(
        ErrorCode::NotFound,
        "The requested resource /AuthTokens/Secondary was not found: there is no secondary auth token",
    )
}

/// Puts the second auth token in the place of the first, which is worthless from then on; answers it.
///
/// # Errors
/// 20404 when there is no second one; 20006 for API keys.
pub async fn promote_secondary_token(ctx: &AdminCtx) -> Result<(PromotedToken, account::Model)> {
    let (mut change, before) = begin(ctx).await?;
    let mut row = before.clone();
    let (Some(sealed), Some(made)) = (
        row.secondary_auth_token.take(),
        row.secondary_auth_token_at.take(),
    ) else {
        return Err(no_secondary());
    };
    let token = ctx.core.vault.open(&sealed, &row.id.to_string())?;
    let now = Timestamp::now();
    row.auth_token = sealed;
    row.auth_token_promoted_at = Some(now);
    row.date_updated = now;
    let row = store(&change, row).await?;
    change.audit(
        row.id,
        None,
        Edit::Updated {
            before: &Secondary(&before),
            after: &Secondary(&row),
        },
    )?;
    change.commit().await?;
    Ok((PromotedToken { token, made }, row))
}

/// The token that was promoted.
pub struct PromotedToken {
    token: Secret,
    made: Timestamp,
}

/// Gives the second auth token up.
///
/// # Errors
/// 20404 when there is none; 20006 for API keys.
pub async fn delete_secondary_token(ctx: &AdminCtx) -> Result<()> {
    let (mut change, before) = begin(ctx).await?;
    if before.secondary_auth_token.is_none() {
        return Err(no_secondary());
    }
    let mut row = before.clone();
    row.secondary_auth_token = None;
    row.secondary_auth_token_at = None;
    store(&change, row).await?;
    change.audit(before.id, None, Edit::Deleted(&Secondary(&before)))?;
    change.commit().await
}

/// The second token in its REST JSON.
#[must_use]
pub fn secondary_view(account: &account::Model, token: &Secret, base: &BaseUrl) -> SecondaryTokenView {
    let made = account
        .secondary_auth_token_at
        .unwrap_or(account.date_updated)
        .to_seconds_text();
    SecondaryTokenView {
        account_sid: account.id,
        secondary_auth_token: token.expose().to_owned(),
        date_created: made.clone(),
        date_updated: made,
        url: format!("{base}/v1/AuthTokens/Secondary"),
    }
}

/// The promoted token in its REST JSON.
#[must_use]
pub fn promoted_view(
    account: &account::Model,
    promoted: &PromotedToken,
    base: &BaseUrl,
) -> PromotedTokenView {
    PromotedTokenView {
        account_sid: account.id,
        auth_token: promoted.token.expose().to_owned(),
        date_created: promoted.made.to_seconds_text(),
        date_updated: account.date_updated.to_seconds_text(),
        url: format!("{base}/v1/AuthTokens/Promote"),
    }
}
