//! API keys of an account, as the 2010-04-01 API has them.

use actix_web::{delete, get, post, web::Json};
use hubbub_core::{api_keys, entities::api_key, sid::ApiKeySid};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    answer::{Created, Deleted},
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
    to.add(update);
    to.add(remove);
}

/// An API key.
#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
struct KeyView {
    #[schema(value_type = String)]
    sid: ApiKeySid,
    friendly_name: String,
    date_created: String,
    date_updated: String,
    /// Shown once, by the answer to its making.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

fn view(key: &api_key::Model) -> KeyView {
    KeyView {
        sid: key.id,
        friendly_name: key.friendly_name.clone(),
        date_created: key.date_created.to_rfc2822_text(),
        date_updated: key.date_updated.to_rfc2822_text(),
        secret: None,
    }
}

/// A key to make.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateKey {
    /// A name for people.
    friendly_name: Option<String>,
}

/// Create an API key.
#[utoipa::path(
    tag = "Key",
    operation_id = "CreateNewKey",
    request_body(content = CreateKey, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = KeyView))
)]
#[post("/2010-04-01/Accounts/{AccountSid}/Keys.json")]
async fn create(call: Call<AccountCtx>) -> Result<Created<KeyView>> {
    let account = call.own_account("AccountSid")?;
    let name = call.body::<CreateKey>()?.friendly_name.unwrap_or_default();
    let core = &call.ctx.core;
    let (key, secret) = api_keys::create(&core.db, &core.vault, account, &name).await?;
    Ok(Created(KeyView {
        secret: Some(secret.expose().to_owned()),
        ..view(&key)
    }))
}

/// A page of API keys.
#[derive(Serialize, ToSchema)]
struct KeyPage {
    keys: Vec<KeyView>,
    #[serde(flatten)]
    meta: LegacyMeta,
}

/// List the account's API keys, oldest first.
#[utoipa::path(
    tag = "Key",
    operation_id = "ListKey",
    params(PageParams),
    responses((status = 200, description = "OK", body = KeyPage))
)]
#[get("/2010-04-01/Accounts/{AccountSid}/Keys.json")]
async fn list(call: Call<AccountCtx>) -> Result<Json<KeyPage>> {
    let account = call.own_account("AccountSid")?;
    let paging = call.paging()?;
    let page = api_keys::list(&call.ctx.core, account, &paging.request).await?;
    let meta = LegacyMeta::of(&paging, &page);
    let keys = page.items.iter().map(view).collect();
    Ok(Json(KeyPage { keys, meta }))
}

/// Fetch an API key.
#[utoipa::path(
    tag = "Key",
    operation_id = "FetchKey",
    responses((status = 200, description = "OK", body = KeyView))
)]
#[get("/2010-04-01/Accounts/{AccountSid}/Keys/{Sid}.json")]
async fn fetch(call: Call<AccountCtx>) -> Result<Json<KeyView>> {
    let key = api_keys::get(&call.ctx.core, call.own_account("AccountSid")?, call.at("Sid")?).await?;
    Ok(Json(view(&key)))
}

/// What to change of a key.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct UpdateKey {
    /// A name for people.
    friendly_name: Option<String>,
}

/// Rename an API key.
#[utoipa::path(
    tag = "Key",
    operation_id = "UpdateKey",
    request_body(content = UpdateKey, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = KeyView))
)]
#[post("/2010-04-01/Accounts/{AccountSid}/Keys/{Sid}.json")]
async fn update(call: Call<AccountCtx>) -> Result<Json<KeyView>> {
    let (account, sid) = (call.own_account("AccountSid")?, call.at("Sid")?);
    let core = &call.ctx.core;
    let key = match call.body::<UpdateKey>()?.friendly_name {
        Some(name) => api_keys::rename(core, account, sid, &name).await?,
        None => api_keys::get(core, account, sid).await?,
    };
    Ok(Json(view(&key)))
}

/// Delete an API key: tokens that it signed are worthless from then on.
#[utoipa::path(
    tag = "Key",
    operation_id = "DeleteKey",
    responses((status = 204, description = "Deleted"))
)]
#[delete("/2010-04-01/Accounts/{AccountSid}/Keys/{Sid}.json")]
async fn remove(call: Call<AccountCtx>) -> Result<Deleted> {
    api_keys::delete(&call.ctx.core, call.own_account("AccountSid")?, call.at("Sid")?).await?;
    Ok(Deleted)
}
