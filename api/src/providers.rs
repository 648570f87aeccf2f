//! What a service sends SMS and e-mail through.

use actix_web::{HttpResponse, delete, get, post, web::Json};
use hubbub_core::{
    Ctx,
    providers::{self, Kind, Outcome, ProviderSettings, ProviderView},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    answer::Deleted,
    call::Call,
    paging::{Meta, PageParams},
    refusal::Result,
    routes::Register,
};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(list);
    to.add(save);
    to.add(fetch);
    to.add(remove);
    to.add(try_out);
}

/// The service's providers.
#[derive(Serialize, ToSchema)]
struct ProviderPage {
    meta: Meta,
    providers: Vec<ProviderView>,
}

/// List the service's providers: one for SMS and one for e-mail at most.
#[utoipa::path(
    tag = "Provider",
    operation_id = "ListProvider",
    params(PageParams),
    responses((status = 200, description = "OK", body = ProviderPage))
)]
#[get("/v2/Services/{ServiceSid}/Providers")]
async fn list(call: Call<Ctx>) -> Result<Json<ProviderPage>> {
    let paging = call.paging()?;
    let page = providers::list(&call.ctx, &paging.request).await?;
    let (meta, providers) = paging.answer("providers", &page, |provider| {
        providers::view(provider, &call.base)
    });
    Ok(Json(ProviderPage { meta, providers }))
}

/// What to set of a provider; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct SaveProvider {
    /// `sms`: the full address of a `Messages.json`.
    #[schema(
        example = "https://api.twilio.com/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json"
    )]
    url: Option<String>,
    /// `sms`: the account at the provider.
    account_sid: Option<String>,
    /// `sms`: its token, which is never shown.
    auth_token: Option<String>,
    /// `email`: the SMTP server.
    host: Option<String>,
    /// `email`: its port; by `Tls` 25, 587 or 465.
    port: Option<i64>,
    /// `email`: the name there; empty for none.
    username: Option<String>,
    /// `email`: the password, which is never shown; empty for none.
    password: Option<String>,
    /// `email`: `none`, `starttls` (the default) or `tls`.
    tls: Option<String>,
    /// Who sends: a phone number or a name of at most 11 letters and digits; for e-mail a mailbox.
    from: Option<String>,
    /// `email`: after how many seconds users with an `email` in their attributes are told of messages that they missed;
    /// 0, as without it, means never.
    notice_delay: Option<i64>,
    /// `email`: the subject of such a notice: a template with `{{user.…}}`, `{{message.body}}`, `{{message.author}}` and
    /// `{{channel.friendly_name}}`. Empty: our own.
    notice_subject: Option<String>,
    /// `email`: the text of such a notice, a template too. Empty: our own.
    notice_body: Option<String>,
}

/// Set the service's provider for `sms` or `email`: a new one, or what is given of the one that is there.
#[utoipa::path(
    tag = "Provider",
    operation_id = "SaveProvider",
    request_body(content = SaveProvider, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Changed", body = ProviderView),
        (status = 201, description = "Created", body = ProviderView),
    )
)]
#[post("/v2/Services/{ServiceSid}/Providers/{Kind}")]
async fn save(call: Call<Ctx>) -> Result<HttpResponse> {
    let kind: Kind = call.at("Kind")?;
    let form: SaveProvider = call.body()?;
    let settings = ProviderSettings {
        url: form.url,
        account_sid: form.account_sid,
        auth_token: form.auth_token,
        host: form.host,
        port: form.port,
        username: form.username,
        password: form.password,
        tls: form.tls,
        from: form.from,
        notice_delay: form.notice_delay,
        notice_subject: form.notice_subject,
        notice_body: form.notice_body,
    };
    let saved = providers::save(&call.ctx, kind, settings).await?;
    let mut answer = if saved.is_new {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    };
    Ok(answer.json(providers::view(&saved.provider, &call.base)))
}

/// Fetch a provider.
#[utoipa::path(
    tag = "Provider",
    operation_id = "FetchProvider",
    responses((status = 200, description = "OK", body = ProviderView))
)]
#[get("/v2/Services/{ServiceSid}/Providers/{Kind}")]
async fn fetch(call: Call<Ctx>) -> Result<Json<ProviderView>> {
    let provider = providers::get(&call.ctx, call.at("Kind")?).await?;
    Ok(Json(providers::view(&provider, &call.base)))
}

/// Delete a provider. What is still to go through it fails.
#[utoipa::path(
    tag = "Provider",
    operation_id = "DeleteProvider",
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v2/Services/{ServiceSid}/Providers/{Kind}")]
async fn remove(call: Call<Ctx>) -> Result<Deleted> {
    providers::delete(&call.ctx, call.at("Kind")?).await?;
    Ok(Deleted)
}

/// What to send.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct TestProvider {
    /// The phone number, or the mailbox.
    to: String,
    /// The text; left out, one of our own.
    body: Option<String>,
}

/// Send one real message through a provider now, and answer with what came of it. It is in no ledger and not sent again.
#[utoipa::path(
    tag = "Provider",
    operation_id = "TestProvider",
    request_body(content = TestProvider, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = Outcome))
)]
#[post("/v2/Services/{ServiceSid}/Providers/{Kind}/Test")]
async fn try_out(call: Call<Ctx>) -> Result<Json<Outcome>> {
    let kind: Kind = call.at("Kind")?;
    let form: TestProvider = call.body()?;
    let outcome = providers::test(&call.ctx, kind, &form.to, form.body.as_deref()).await?;
    Ok(Json(outcome))
}
