//! Accounts, as the 2010-04-01 API has them. A caller sees its own and its sub-accounts.

use actix_web::{get, post, web::Json};
use hubbub_core::{
    AdminCtx,
    accounts::{self, AccountFilter, AccountView},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    answer::Created, call::Call, legacy::LegacyMeta, paging::PageParams, refusal::Result, routes::Register,
};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(create);
    to.add(list);
    to.add(fetch);
    to.add(update);
}

/// An account to make.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateAccount {
    /// A name for people.
    friendly_name: Option<String>,
}

/// Create a sub-account. The answer has its auth token, unless the caller came with an API key.
#[utoipa::path(
    tag = "Account",
    operation_id = "CreateAccount",
    request_body(content = CreateAccount, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = AccountView))
)]
#[post("/2010-04-01/Accounts.json")]
async fn create(call: Call<AdminCtx>) -> Result<Created<AccountView>> {
    let name = call.body::<CreateAccount>()?.friendly_name.unwrap_or_default();
    let account = accounts::create_sub_account(&call.ctx, &name).await?;
    let token = accounts::visible_token(&call.ctx, &account)?;
    Ok(Created(accounts::view(&account, token.as_ref())))
}

/// Which accounts.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query)]
struct ListAccounts {
    /// Those of exactly this name.
    friendly_name: Option<String>,
    /// `active`, `suspended` or `closed`.
    status: Option<String>,
}

/// A page of accounts.
#[derive(Serialize, ToSchema)]
struct AccountPage {
    accounts: Vec<AccountView>,
    #[serde(flatten)]
    meta: LegacyMeta,
}

/// List the accounts that the caller manages: its own and its sub-accounts.
#[utoipa::path(
    tag = "Account",
    operation_id = "ListAccount",
    params(ListAccounts, PageParams),
    responses((status = 200, description = "OK", body = AccountPage))
)]
#[get("/2010-04-01/Accounts.json")]
async fn list(call: Call<AdminCtx>) -> Result<Json<AccountPage>> {
    let paging = call.paging()?;
    let ListAccounts {
        friendly_name,
        status,
    } = call.query()?;
    let filter = AccountFilter {
        friendly_name,
        status,
    };
    let page = accounts::list(&call.ctx, &filter, &paging.request).await?;
    let meta = LegacyMeta::of(&paging, &page);
    let accounts = page
        .items
        .iter()
        .map(|account| accounts::view(account, None))
        .collect();
    Ok(Json(AccountPage { accounts, meta }))
}

/// Fetch an account: the caller's own or a sub-account.
#[utoipa::path(
    tag = "Account",
    operation_id = "FetchAccount",
    responses((status = 200, description = "OK", body = AccountView))
)]
#[get("/2010-04-01/Accounts/{Sid}.json")]
async fn fetch(call: Call<AdminCtx>) -> Result<Json<AccountView>> {
    let account = accounts::get(&call.ctx, call.at("Sid")?).await?;
    let token = accounts::visible_token(&call.ctx, &account)?;
    Ok(Json(accounts::view(&account, token.as_ref())))
}

/// What to change of an account.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct UpdateAccount {
    /// A name for people.
    friendly_name: Option<String>,
    /// `active`, `suspended`, or `closed`, which is final. Not of the own account.
    status: Option<String>,
}

/// Update an account: rename it; suspend, close or revive a sub-account.
#[utoipa::path(
    tag = "Account",
    operation_id = "UpdateAccount",
    request_body(content = UpdateAccount, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = AccountView))
)]
#[post("/2010-04-01/Accounts/{Sid}.json")]
async fn update(call: Call<AdminCtx>) -> Result<Json<AccountView>> {
    let sid = call.at("Sid")?;
    accounts::get(&call.ctx, sid).await?;
    let UpdateAccount {
        friendly_name,
        status,
    } = call.body()?;
    let update = accounts::UpdateAccount {
        friendly_name,
        status,
    };
    let account = accounts::update(&call.ctx, sid, update).await?;
    let token = accounts::visible_token(&call.ctx, &account)?;
    Ok(Json(accounts::view(&account, token.as_ref())))
}
