//! API keys of an account, as the 2010-04-01 API has them, with a scope and an end beside. The account is the
//! caller's own or a sub-account of it.

use actix_web::{delete, get, post, web::Json};
use hubbub_core::{
    AdminCtx, Error,
    api_keys::{self, KeyView, NewKey},
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use utoipa::ToSchema;

use crate::{
    answer::{Created, Deleted},
    call::Call,
    legacy::LegacyMeta,
    paging::PageParams,
    params::ClearableDate,
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

/// A key that was just made.
#[derive(Serialize, ToSchema)]
struct NewKeyView {
    #[serde(flatten)]
    key: KeyView,
    /// Shown this once.
    secret: String,
}

/// A key to make.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateKey {
    /// A name for people.
    friendly_name: Option<String>,
    /// The one service that it is to reach, and that its tokens are for; the whole account otherwise.
    service_sid: Option<String>,
    /// Whether it, and the tokens that it signs, may only read.
    #[schema(default = false)]
    read_only: Option<bool>,
    /// When it is to end, with its tokens and their sockets; never otherwise.
    #[schema(value_type = Option<String>, format = DateTime)]
    date_expires: Option<ClearableDate>,
}

/// Create an API key.
#[utoipa::path(
    tag = "Key",
    operation_id = "CreateNewKey",
    request_body(content = CreateKey, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = NewKeyView))
)]
#[post("/2010-04-01/Accounts/{AccountSid}/Keys.json")]
async fn create(call: Call<AdminCtx>) -> Result<Created<NewKeyView>> {
    let form: CreateKey = call.body()?;
    let new = NewKey {
        friendly_name: form.friendly_name.unwrap_or_default(),
        service_sid: form.service_sid,
        read_only: form.read_only.unwrap_or(false),
        date_expires: form.date_expires.and_then(|date| date.0),
    };
    let (key, secret) = api_keys::create(&call.ctx, new).await?;
    Ok(Created(NewKeyView {
        key: api_keys::view(&key),
        secret: secret.expose().to_owned(),
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
async fn list(call: Call<AdminCtx>) -> Result<Json<KeyPage>> {
    let paging = call.paging()?;
    let page = api_keys::list(&call.ctx, &paging.request).await?;
    let meta = LegacyMeta::of(&paging, &page);
    let keys = page.items.iter().map(api_keys::view).collect();
    Ok(Json(KeyPage { keys, meta }))
}

/// Fetch an API key.
#[utoipa::path(
    tag = "Key",
    operation_id = "FetchKey",
    responses((status = 200, description = "OK", body = KeyView))
)]
#[get("/2010-04-01/Accounts/{AccountSid}/Keys/{Sid}.json")]
async fn fetch(call: Call<AdminCtx>) -> Result<Json<KeyView>> {
    let key = api_keys::get(&call.ctx, call.at("Sid")?).await?;
    Ok(Json(api_keys::view(&key)))
}

/// What to change of a key.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct UpdateKey {
    /// A name for people.
    friendly_name: Option<String>,
    /// When it is to end; empty lets it live on.
    #[schema(value_type = Option<String>, format = DateTime)]
    date_expires: Option<ClearableDate>,
    /// Refused: a scope cannot change.
    #[schema(ignore)]
    service_sid: Option<IgnoredAny>,
    /// Refused: a scope cannot change.
    #[schema(ignore)]
    read_only: Option<IgnoredAny>,
}

/// Update an API key: its name, its end. Its scope cannot change.
#[utoipa::path(
    tag = "Key",
    operation_id = "UpdateKey",
    request_body(content = UpdateKey, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = KeyView))
)]
#[post("/2010-04-01/Accounts/{AccountSid}/Keys/{Sid}.json")]
async fn update(call: Call<AdminCtx>) -> Result<Json<KeyView>> {
    let sid = call.at("Sid")?;
    api_keys::get(&call.ctx, sid).await?;
    let form: UpdateKey = call.body()?;
    for (name, given) in [
        ("ServiceSid", form.service_sid.is_some()),
        ("ReadOnly", form.read_only.is_some()),
    ] {
        if given {
            return Err(Error::parameter(name, "cannot change: make another key with that scope").into());
        }
    }
    let update = api_keys::UpdateKey {
        friendly_name: form.friendly_name,
        date_expires: form.date_expires.map(|date| date.0),
    };
    let key = api_keys::update(&call.ctx, sid, update).await?;
    Ok(Json(api_keys::view(&key)))
}

/// Delete an API key: tokens that it signed are worthless from then on.
#[utoipa::path(
    tag = "Key",
    operation_id = "DeleteKey",
    responses((status = 204, description = "Deleted"))
)]
#[delete("/2010-04-01/Accounts/{AccountSid}/Keys/{Sid}.json")]
async fn remove(call: Call<AdminCtx>) -> Result<Deleted> {
    api_keys::delete(&call.ctx, call.at("Sid")?).await?;
    Ok(Deleted)
}
