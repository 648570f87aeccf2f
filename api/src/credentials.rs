//! Credentials of push services, an account's own.

use actix_web::{delete, get, post, web::Json};
use hubbub_core::{
    AccountCtx,
    credentials::{self, CredentialView, NewCredential, Secrets},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    answer::{Created, Deleted},
    call::Call,
    paging::{Meta, PageParams},
    refusal::Result,
    routes::Register,
};

/// The largest page, as Twilio has it.
const MOST: u64 = 1000;

pub(crate) fn routes(to: &mut impl Register) {
    to.add(create);
    to.add(list);
    to.add(fetch);
    to.add(update);
    to.add(remove);
}

/// A credential to make.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateCredential {
    /// `gcm`, `apn` or `fcm`.
    #[serde(rename = "Type", default)]
    #[schema(required)]
    kind: String,
    /// A name for people.
    friendly_name: Option<String>,
    /// `apn`: the certificate.
    certificate: Option<String>,
    /// `apn`: its private key.
    private_key: Option<String>,
    /// `apn`: whether Apple's test servers are meant.
    sandbox: Option<bool>,
    /// `gcm`: the key of the project.
    api_key: Option<String>,
    /// `fcm`: the key of the server.
    secret: Option<String>,
}

/// Create a credential. Its secrets are never shown again.
#[utoipa::path(
    tag = "Credential",
    operation_id = "CreateCredential",
    request_body(content = CreateCredential, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = CredentialView))
)]
#[post("/v2/Credentials")]
async fn create(call: Call<AccountCtx>) -> Result<Created<CredentialView>> {
    let form: CreateCredential = call.body()?;
    let new = NewCredential {
        kind: form.kind,
        friendly_name: form.friendly_name,
        sandbox: form.sandbox,
        secrets: Secrets {
            certificate: form.certificate,
            private_key: form.private_key,
            api_key: form.api_key,
            secret: form.secret,
        },
    };
    let credential = credentials::create(&call.ctx, new).await?;
    Ok(Created(credentials::view(&credential, &call.base)))
}

/// A page of credentials.
#[derive(Serialize, ToSchema)]
struct CredentialPage {
    meta: Meta,
    credentials: Vec<CredentialView>,
}

/// List the account's credentials, oldest first.
#[utoipa::path(
    tag = "Credential",
    operation_id = "ListCredential",
    params(PageParams<MOST>),
    responses((status = 200, description = "OK", body = CredentialPage))
)]
#[get("/v2/Credentials")]
async fn list(call: Call<AccountCtx>) -> Result<Json<CredentialPage>> {
    let paging = call.paging_up_to(MOST)?;
    let page = credentials::list(&call.ctx, &paging.request).await?;
    let view = |credential: &_| credentials::view(credential, &call.base);
    let (meta, credentials) = paging.answer("credentials", &page, view);
    Ok(Json(CredentialPage { meta, credentials }))
}

/// Fetch a credential.
#[utoipa::path(
    tag = "Credential",
    operation_id = "FetchCredential",
    responses((status = 200, description = "OK", body = CredentialView))
)]
#[get("/v2/Credentials/{Sid}")]
async fn fetch(call: Call<AccountCtx>) -> Result<Json<CredentialView>> {
    let credential = credentials::get(&call.ctx, call.at("Sid")?).await?;
    Ok(Json(credentials::view(&credential, &call.base)))
}

/// What to change of a credential.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct UpdateCredential {
    /// Empty clears it.
    friendly_name: Option<String>,
    /// `apn`: the certificate.
    certificate: Option<String>,
    /// `apn`: its private key.
    private_key: Option<String>,
    /// `apn`: whether Apple's test servers are meant.
    sandbox: Option<bool>,
    /// `gcm`: the key of the project.
    api_key: Option<String>,
    /// `fcm`: the key of the server.
    secret: Option<String>,
}

/// Update a credential: what is given changes, its type stays.
#[utoipa::path(
    tag = "Credential",
    operation_id = "UpdateCredential",
    request_body(content = UpdateCredential, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = CredentialView))
)]
#[post("/v2/Credentials/{Sid}")]
async fn update(call: Call<AccountCtx>) -> Result<Json<CredentialView>> {
    let form: UpdateCredential = call.body()?;
    let update = credentials::UpdateCredential {
        friendly_name: form.friendly_name,
        sandbox: form.sandbox,
        secrets: Secrets {
            certificate: form.certificate,
            private_key: form.private_key,
            api_key: form.api_key,
            secret: form.secret,
        },
    };
    let credential = credentials::update(&call.ctx, call.at("Sid")?, update).await?;
    Ok(Json(credentials::view(&credential, &call.base)))
}

/// Delete a credential, and the bindings that cannot be reached without it.
#[utoipa::path(
    tag = "Credential",
    operation_id = "DeleteCredential",
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v2/Credentials/{Sid}")]
async fn remove(call: Call<AccountCtx>) -> Result<Deleted> {
    credentials::delete(&call.ctx, call.at("Sid")?).await?;
    Ok(Deleted)
}
