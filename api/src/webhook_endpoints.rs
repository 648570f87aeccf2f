//! Webhook endpoints of a service.

use actix_web::{delete, get, post, web::Json};
use hubbub_core::{
    Ctx,
    webhook_endpoints::{self, EndpointSettings, Made, Outcome, WebhookEndpointView},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    answer::{Created, Deleted},
    call::Call,
    paging::{Meta, PageParams},
    params::Object,
    refusal::Result,
    routes::Register,
};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(create);
    to.add(list);
    to.add(fetch);
    to.add(update);
    to.add(remove);
    to.add(try_out);
}

fn shown(call: &Call<Ctx>, made: &Made) -> Result<WebhookEndpointView> {
    let secret = made.secret.as_ref();
    Ok(webhook_endpoints::view(
        &call.ctx.core,
        &made.endpoint,
        secret,
        &call.base,
    )?)
}

/// An endpoint to make.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateWebhookEndpoint {
    /// Where to call.
    #[schema(example = "https://example.com/hubbub")]
    url: String,
    /// An event that it is told of or asked about, by Twilio's name, repeated for each: post-events such as
    /// `onMessageSent`, pre-events such as `onMessageSend`. Left out: all post-events.
    events: Option<Vec<String>>,
    /// `form` (the default): Twilio's parameters; `json`: the event's envelope, as sockets get it.
    format: Option<String>,
    /// Whether an event of a channel waits until the one before it is delivered or dead. Otherwise (the default) only
    /// first attempts are in order.
    ordered: Option<bool>,
    /// Headers of its own: a JSON object of texts. At most 20, with 8192 characters; only their names are shown.
    #[schema(value_type = Option<String>, example = "{\"Authorization\": \"Bearer abc\"}")]
    headers: Option<Object>,
    /// Whether an action goes on (`open`, the default) or is refused (`closed`) when a pre-event gets no answer.
    failure_policy: Option<String>,
    /// How long a call may take, in milliseconds: 100 to 30000, 5000 by default.
    timeout_ms: Option<i64>,
    /// Whether its answers to pre-events are noted and not obeyed.
    shadow: Option<bool>,
    /// Whether it is asked before REST actions too.
    pre_events_on_rest: Option<bool>,
    /// `enabled` (the default); `paused`: its events wait; `disabled`: it hears of nothing.
    status: Option<String>,
    /// Which Standard Webhooks signature its calls carry: `hmac-sha256` (`v1`, the default) or `ed25519` (`v1a`).
    signing: Option<String>,
}

/// Create a webhook endpoint: at most 100 a service. Its secret is in this answer and in no later one.
#[utoipa::path(
    tag = "WebhookEndpoint",
    operation_id = "CreateWebhookEndpoint",
    request_body(content = CreateWebhookEndpoint, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = WebhookEndpointView))
)]
#[post("/v2/Services/{ServiceSid}/WebhookEndpoints")]
async fn create(call: Call<Ctx>) -> Result<Created<WebhookEndpointView>> {
    let form: CreateWebhookEndpoint = call.body()?;
    let settings = EndpointSettings {
        url: Some(form.url),
        events: form.events,
        format: form.format,
        ordered: form.ordered,
        headers: form.headers.map(|object| object.0),
        failure_policy: form.failure_policy,
        timeout_ms: form.timeout_ms,
        shadow: form.shadow,
        pre_events_on_rest: form.pre_events_on_rest,
        status: form.status,
        signing: form.signing,
    };
    let made = webhook_endpoints::create(&call.ctx, settings).await?;
    Ok(Created(shown(&call, &made)?))
}

/// A page of webhook endpoints.
#[derive(Serialize, ToSchema)]
struct WebhookEndpointPage {
    meta: Meta,
    webhook_endpoints: Vec<WebhookEndpointView>,
}

/// List the service's webhook endpoints, oldest first.
#[utoipa::path(
    tag = "WebhookEndpoint",
    operation_id = "ListWebhookEndpoint",
    params(PageParams),
    responses((status = 200, description = "OK", body = WebhookEndpointPage))
)]
#[get("/v2/Services/{ServiceSid}/WebhookEndpoints")]
async fn list(call: Call<Ctx>) -> Result<Json<WebhookEndpointPage>> {
    let paging = call.paging()?;
    let page = webhook_endpoints::list(&call.ctx, &paging.request).await?;
    let view = |endpoint: &_| webhook_endpoints::view(&call.ctx.core, endpoint, None, &call.base);
    let (meta, views) = paging.answer("webhook_endpoints", &page, view);
    Ok(Json(WebhookEndpointPage {
        meta,
        webhook_endpoints: views.into_iter().collect::<Result<_, _>>()?,
    }))
}

/// Fetch a webhook endpoint.
#[utoipa::path(
    tag = "WebhookEndpoint",
    operation_id = "FetchWebhookEndpoint",
    responses((status = 200, description = "OK", body = WebhookEndpointView))
)]
#[get("/v2/Services/{ServiceSid}/WebhookEndpoints/{Sid}")]
async fn fetch(call: Call<Ctx>) -> Result<Json<WebhookEndpointView>> {
    let endpoint = webhook_endpoints::get(&call.ctx, call.at("Sid")?).await?;
    let made = Made {
        endpoint,
        secret: None,
    };
    Ok(Json(shown(&call, &made)?))
}

/// What to change of an endpoint; lists and headers are replaced.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct UpdateWebhookEndpoint {
    /// Where to call; what waits goes there too.
    url: Option<String>,
    /// An event that it is told of or asked about, repeated for each; a single empty one: all post-events.
    events: Option<Vec<String>>,
    /// `form` or `json`; what is recorded already keeps its form.
    format: Option<String>,
    /// Whether an event of a channel waits until the one before it is delivered or dead.
    ordered: Option<bool>,
    /// Headers of its own, in place of those that it has: a JSON object of texts. Empty: none.
    #[schema(value_type = Option<String>)]
    headers: Option<Object>,
    /// `open` or `closed`.
    failure_policy: Option<String>,
    /// How long a call may take, in milliseconds: 100 to 30000.
    timeout_ms: Option<i64>,
    /// Whether its answers to pre-events are noted and not obeyed.
    shadow: Option<bool>,
    /// Whether it is asked before REST actions too.
    pre_events_on_rest: Option<bool>,
    /// `enabled`; `paused`: its events wait; `disabled`: what waits is given up.
    status: Option<String>,
    /// `hmac-sha256` or `ed25519`; another one makes a new secret.
    signing: Option<String>,
    /// Makes a new secret, which is in this answer and in no later one; the old one signs beside it for 24 hours.
    #[serde(default)]
    rotate_secret: bool,
}

/// Update a webhook endpoint: what is given changes.
#[utoipa::path(
    tag = "WebhookEndpoint",
    operation_id = "UpdateWebhookEndpoint",
    request_body(content = UpdateWebhookEndpoint, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = WebhookEndpointView))
)]
#[post("/v2/Services/{ServiceSid}/WebhookEndpoints/{Sid}")]
async fn update(call: Call<Ctx>) -> Result<Json<WebhookEndpointView>> {
    let form: UpdateWebhookEndpoint = call.body()?;
    let settings = EndpointSettings {
        url: form.url,
        events: form.events,
        format: form.format,
        ordered: form.ordered,
        headers: form.headers.map(|object| object.0),
        failure_policy: form.failure_policy,
        timeout_ms: form.timeout_ms,
        shadow: form.shadow,
        pre_events_on_rest: form.pre_events_on_rest,
        status: form.status,
        signing: form.signing,
    };
    let made = webhook_endpoints::update(&call.ctx, call.at("Sid")?, settings, form.rotate_secret).await?;
    Ok(Json(shown(&call, &made)?))
}

/// Delete a webhook endpoint. What it was still to be told is cancelled.
#[utoipa::path(
    tag = "WebhookEndpoint",
    operation_id = "DeleteWebhookEndpoint",
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v2/Services/{ServiceSid}/WebhookEndpoints/{Sid}")]
async fn remove(call: Call<Ctx>) -> Result<Deleted> {
    webhook_endpoints::delete(&call.ctx, call.at("Sid")?).await?;
    Ok(Deleted)
}

/// Send a sample event to a webhook endpoint now, whatever its status, and answer with what came back. It is an
/// `onMessageSent` of a channel that does not exist; it is in no ledger and not sent again.
#[utoipa::path(
    tag = "WebhookEndpoint",
    operation_id = "TestWebhookEndpoint",
    responses((status = 200, description = "OK", body = Outcome))
)]
#[post("/v2/Services/{ServiceSid}/WebhookEndpoints/{Sid}/Test")]
async fn try_out(call: Call<Ctx>) -> Result<Json<Outcome>> {
    Ok(Json(webhook_endpoints::test(&call.ctx, call.at("Sid")?).await?))
}
