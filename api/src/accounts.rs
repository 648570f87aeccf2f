//! Accounts, as the 2010-04-01 API has them. A caller sees its own.

use actix_web::{get, post, web::Json};
use hubbub_core::{Error, Secret, accounts, entities::account, paging::Page, sid::AccountSid};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    answer::Created,
    call::{AccountCtx, Call},
    legacy::LegacyMeta,
    paging::PageParams,
    refusal::Result,
    routes::Register,
};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(create);
    to.add(list);
    to.add(fetch);
}

/// An account: the tenant.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
struct AccountView {
    #[schema(value_type = String)]
    sid: AccountSid,
    friendly_name: String,
    /// Null for a caller with an API key.
    auth_token: Option<String>,
    #[schema(value_type = String)]
    owner_account_sid: AccountSid,
    status: String,
    /// Always `Full`.
    #[serde(rename = "type")]
    kind: &'static str,
    date_created: String,
    date_updated: String,
    subresource_uris: AccountUris,
    uri: String,
}

/// Where the account's resources are.
#[derive(Serialize, ToSchema)]
struct AccountUris {
    keys: String,
}

fn view(account: &account::Model, auth_token: Option<&Secret>) -> AccountView {
    let path = format!("/2010-04-01/Accounts/{}", account.id);
    AccountView {
        sid: account.id,
        friendly_name: account.friendly_name.clone(),
        auth_token: auth_token.map(|token| token.expose().to_owned()),
        owner_account_sid: account.id,
        status: account.status.clone(),
        kind: "Full",
        date_created: account.date_created.to_rfc2822_text(),
        date_updated: account.date_updated.to_rfc2822_text(),
        subresource_uris: AccountUris {
            keys: format!("{path}/Keys.json"),
        },
        uri: format!("{path}.json"),
    }
}

/// The caller's account. The token is for whom has it already: a key must not lead to it.
async fn own(ctx: &AccountCtx) -> Result<AccountView, Error> {
    let account = accounts::find(ctx.core.db.reader(), ctx.account)
        .await?
        .ok_or_else(|| Error::not_found(format_args!("/Accounts/{}.json", ctx.account)))?;
    let token = match ctx.key {
        None => Some(accounts::auth_token(&ctx.core.vault, &account)?),
        Some(_) => None,
    };
    Ok(view(&account, token.as_ref()))
}

/// An account to make.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateAccount {
    /// A name for people.
    friendly_name: Option<String>,
}

/// Create another account; the answer has its auth token.
#[utoipa::path(
    tag = "Account",
    operation_id = "CreateAccount",
    request_body(content = CreateAccount, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = AccountView))
)]
#[post("/2010-04-01/Accounts.json")]
async fn create(call: Call<AccountCtx>) -> Result<Created<AccountView>> {
    let name = call.body::<CreateAccount>()?.friendly_name.unwrap_or_default();
    let core = &call.ctx.core;
    let token = Secret::random_hex();
    let sid = AccountSid::generate();
    let account = accounts::create(core.db.writer(), &core.vault, &name, sid, &token).await?;
    Ok(Created(view(&account, Some(&token))))
}

/// A page of accounts.
#[derive(Serialize, ToSchema)]
struct AccountPage {
    accounts: Vec<AccountView>,
    #[serde(flatten)]
    meta: LegacyMeta,
}

/// List the accounts that the caller may see: its own.
#[utoipa::path(
    tag = "Account",
    operation_id = "ListAccount",
    params(PageParams),
    responses((status = 200, description = "OK", body = AccountPage))
)]
#[get("/2010-04-01/Accounts.json")]
async fn list(call: Call<AccountCtx>) -> Result<Json<AccountPage>> {
    let paging = call.paging()?;
    let page = Page {
        items: vec![own(&call.ctx).await?],
        next: None,
        previous: None,
    };
    let meta = LegacyMeta::of(&paging, &page);
    Ok(Json(AccountPage {
        accounts: page.items,
        meta,
    }))
}

/// Fetch the caller's account.
#[utoipa::path(
    tag = "Account",
    operation_id = "FetchAccount",
    responses((status = 200, description = "OK", body = AccountView))
)]
#[get("/2010-04-01/Accounts/{Sid}.json")]
async fn fetch(call: Call<AccountCtx>) -> Result<Json<AccountView>> {
    call.own_account("Sid")?;
    Ok(Json(own(&call.ctx).await?))
}
