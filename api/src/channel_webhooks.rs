//! Webhooks of a channel.

use actix_web::{delete, get, post, web::Json};
use hubbub_core::{
    Ctx,
    channel_webhooks::{self, ChannelWebhookView, Configuration},
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

/// The largest page, as Twilio has it: a channel has no more of them.
const MOST: u64 = 5;

pub(crate) fn routes(to: &mut impl Register) {
    to.add(create);
    to.add(list);
    to.add(fetch);
    to.add(update);
    to.add(remove);
}

/// A webhook to make.
#[derive(Deserialize, ToSchema)]
struct CreateChannelWebhook {
    /// `webhook`, `trigger` or `studio`.
    #[serde(rename = "Type", default)]
    #[schema(required)]
    kind: String,
    /// Where to call: for `webhook` and `trigger`.
    #[serde(rename = "Configuration.Url")]
    url: Option<String>,
    /// `GET` or `POST` (the default).
    #[serde(rename = "Configuration.Method")]
    method: Option<String>,
    /// A post-event; repeated for each: for `webhook`.
    #[serde(rename = "Configuration.Filters")]
    filters: Option<Vec<String>>,
    /// A keyword; repeated for each, at most 5: for `trigger`.
    #[serde(rename = "Configuration.Triggers")]
    triggers: Option<Vec<String>>,
    /// A Studio flow: for `studio`.
    #[serde(rename = "Configuration.FlowSid")]
    flow_sid: Option<String>,
    /// 0 (the default) to 3.
    #[serde(rename = "Configuration.RetryCount")]
    retry_count: Option<i64>,
}

/// Create a webhook of the channel: at most 5.
#[utoipa::path(
    tag = "ChannelWebhook",
    operation_id = "CreateChannelWebhook",
    request_body(content = CreateChannelWebhook, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = ChannelWebhookView))
)]
#[post("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Webhooks")]
async fn create(call: Call<Ctx>) -> Result<Created<ChannelWebhookView>> {
    let form: CreateChannelWebhook = call.body()?;
    let configuration = Configuration {
        url: form.url,
        method: form.method,
        filters: form.filters,
        triggers: form.triggers,
        flow_sid: form.flow_sid,
        retry_count: form.retry_count,
    };
    let channel = call.at("ChannelSid")?;
    let webhook = channel_webhooks::create(&call.ctx, &channel, &form.kind, configuration).await?;
    let view = channel_webhooks::view(&webhook, call.ctx.account(), &call.base);
    Ok(Created(view))
}

/// A page of webhooks.
#[derive(Serialize, ToSchema)]
struct ChannelWebhookPage {
    meta: Meta,
    webhooks: Vec<ChannelWebhookView>,
}

/// List the channel's webhooks, oldest first.
#[utoipa::path(
    tag = "ChannelWebhook",
    operation_id = "ListChannelWebhook",
    params(PageParams<MOST>),
    responses((status = 200, description = "OK", body = ChannelWebhookPage))
)]
#[get("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Webhooks")]
async fn list(call: Call<Ctx>) -> Result<Json<ChannelWebhookPage>> {
    let paging = call.paging_up_to(MOST)?;
    let page = channel_webhooks::list(&call.ctx, &call.at("ChannelSid")?, &paging.request).await?;
    let view = |webhook: &_| channel_webhooks::view(webhook, call.ctx.account(), &call.base);
    let (meta, webhooks) = paging.answer("webhooks", &page, view);
    Ok(Json(ChannelWebhookPage { meta, webhooks }))
}

/// Fetch a webhook of the channel.
#[utoipa::path(
    tag = "ChannelWebhook",
    operation_id = "FetchChannelWebhook",
    responses((status = 200, description = "OK", body = ChannelWebhookView))
)]
#[get("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Webhooks/{Sid}")]
async fn fetch(call: Call<Ctx>) -> Result<Json<ChannelWebhookView>> {
    let webhook = channel_webhooks::get(&call.ctx, &call.at("ChannelSid")?, call.at("Sid")?).await?;
    let view = channel_webhooks::view(&webhook, call.ctx.account(), &call.base);
    Ok(Json(view))
}

/// What to change of a webhook; lists are replaced.
#[derive(Deserialize, ToSchema)]
struct UpdateChannelWebhook {
    /// Where to call: for `webhook` and `trigger`.
    #[serde(rename = "Configuration.Url")]
    url: Option<String>,
    /// `GET` or `POST`.
    #[serde(rename = "Configuration.Method")]
    method: Option<String>,
    /// A post-event; repeated for each: for `webhook`.
    #[serde(rename = "Configuration.Filters")]
    filters: Option<Vec<String>>,
    /// A keyword; repeated for each, at most 5: for `trigger`.
    #[serde(rename = "Configuration.Triggers")]
    triggers: Option<Vec<String>>,
    /// A Studio flow: for `studio`.
    #[serde(rename = "Configuration.FlowSid")]
    flow_sid: Option<String>,
    /// 0 to 3.
    #[serde(rename = "Configuration.RetryCount")]
    retry_count: Option<i64>,
}

/// Update a webhook of the channel: what is given changes, its type stays.
#[utoipa::path(
    tag = "ChannelWebhook",
    operation_id = "UpdateChannelWebhook",
    request_body(content = UpdateChannelWebhook, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = ChannelWebhookView))
)]
#[post("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Webhooks/{Sid}")]
async fn update(call: Call<Ctx>) -> Result<Json<ChannelWebhookView>> {
    let form: UpdateChannelWebhook = call.body()?;
    let configuration = Configuration {
        url: form.url,
        method: form.method,
        filters: form.filters,
        triggers: form.triggers,
        flow_sid: form.flow_sid,
        retry_count: form.retry_count,
    };
    let channel = call.at("ChannelSid")?;
    let webhook = channel_webhooks::update(&call.ctx, &channel, call.at("Sid")?, configuration).await?;
    let view = channel_webhooks::view(&webhook, call.ctx.account(), &call.base);
    Ok(Json(view))
}

/// Delete a webhook of the channel.
#[utoipa::path(
    tag = "ChannelWebhook",
    operation_id = "DeleteChannelWebhook",
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v2/Services/{ServiceSid}/Channels/{ChannelSid}/Webhooks/{Sid}")]
async fn remove(call: Call<Ctx>) -> Result<Deleted> {
    channel_webhooks::delete(&call.ctx, &call.at("ChannelSid")?, call.at("Sid")?).await?;
    Ok(Deleted)
}
