//! The ledger of webhook deliveries.

use actix_web::{get, post, web::Json};
use hubbub_core::{
    Ctx, Error,
    sid::{ChannelSid, WebhookEndpointSid},
    webhook_endpoints,
    webhooks::{
        deliveries::{self, AttemptView, DeliveryFilter, DeliveryView, target_of},
        ledger,
        redelivery::{self, Redelivery},
    },
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    call::Call,
    paging::{Meta, PageParams},
    params::Bound,
    refusal::Result,
    routes::Register,
};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(list);
    to.add(redeliver);
    to.add(fetch);
    to.add(update);
    to.add(attempts);
    to.add(redeliver_of_endpoint);
}

/// Which deliveries.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query)]
struct ListDeliveries {
    /// `pending`, `delivered`, `dead` or `cancelled`.
    status: Option<String>,
    /// Those to this webhook endpoint.
    #[param(value_type = Option<String>)]
    endpoint_sid: Option<WebhookEndpointSid>,
    /// Those to this target: a webhook endpoint, a channel's webhook, or the service for its `PostWebhookUrl`.
    target_sid: Option<String>,
    /// Those of this event, such as `onMessageSent`.
    event_type: Option<String>,
    /// Those of this channel.
    #[param(value_type = Option<String>)]
    channel_sid: Option<ChannelSid>,
    /// Those of this moment or later; a date, or a date and time.
    #[param(value_type = Option<String>)]
    date_created_after: Option<Bound>,
    /// Those of this moment or earlier; a date, or a date and time.
    #[param(value_type = Option<String>)]
    date_created_before: Option<Bound>,
}

impl ListDeliveries {
    fn filter(self) -> Result<DeliveryFilter, Error> {
        let target = self
            .target_sid
            .map(|sid| target_of("TargetSid", &sid))
            .transpose()?;
        Ok(DeliveryFilter {
            status: self.status,
            target: self.endpoint_sid.map(|endpoint| endpoint.0).or(target),
            event_type: self.event_type,
            channel: self.channel_sid,
            start: self.date_created_after.map(Bound::start),
            end: self.date_created_before.map(Bound::end),
        })
    }
}

/// A page of deliveries.
#[derive(Serialize, ToSchema)]
struct DeliveryPage {
    meta: Meta,
    deliveries: Vec<DeliveryView>,
}

/// List the service's webhook deliveries, newest first.
#[utoipa::path(
    tag = "WebhookDelivery",
    operation_id = "ListWebhookDelivery",
    params(ListDeliveries, PageParams),
    responses((status = 200, description = "OK", body = DeliveryPage))
)]
#[get("/v2/Services/{ServiceSid}/WebhookDeliveries")]
async fn list(call: Call<Ctx>) -> Result<Json<DeliveryPage>> {
    let paging = call.paging()?;
    let filter: ListDeliveries = call.query()?;
    let page = deliveries::list(&call.ctx, &filter.filter()?, &paging.request).await?;
    let (meta, deliveries) = paging.answer("deliveries", &page, |row| deliveries::view(row, &call.base));
    Ok(Json(DeliveryPage { meta, deliveries }))
}

/// Fetch a webhook delivery.
#[utoipa::path(
    tag = "WebhookDelivery",
    operation_id = "FetchWebhookDelivery",
    responses((status = 200, description = "OK", body = DeliveryView))
)]
#[get("/v2/Services/{ServiceSid}/WebhookDeliveries/{Sid}")]
async fn fetch(call: Call<Ctx>) -> Result<Json<DeliveryView>> {
    let delivery = deliveries::get(&call.ctx, call.at("Sid")?).await?;
    Ok(Json(deliveries::view(&delivery, &call.base)))
}

/// What to do with a delivery.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct UpdateDelivery {
    /// `pending`: send it again, now.
    #[schema(example = "pending")]
    status: String,
}

/// Send a webhook again.
#[utoipa::path(
    tag = "WebhookDelivery",
    operation_id = "UpdateWebhookDelivery",
    request_body(content = UpdateDelivery, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = DeliveryView))
)]
#[post("/v2/Services/{ServiceSid}/WebhookDeliveries/{Sid}")]
async fn update(call: Call<Ctx>) -> Result<Json<DeliveryView>> {
    let form: UpdateDelivery = call.body()?;
    if form.status != ledger::PENDING {
        return Err(Error::parameter("Status", "must be pending: the delivery is then sent again").into());
    }
    let delivery = deliveries::resend(&call.ctx, call.at("Sid")?).await?;
    Ok(Json(deliveries::view(&delivery, &call.base)))
}

/// Which deliveries are sent again.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct RedeliverWebhooks {
    /// `dead`, `delivered` or `cancelled`: those that ended so.
    #[schema(default = "dead")]
    status: Option<String>,
    /// Those to this target: a webhook endpoint, a channel's webhook, or the service for its `PostWebhookUrl`.
    target_sid: Option<String>,
    /// Those of this event, such as `onMessageSent`.
    event_type: Option<String>,
    /// Those of this channel.
    #[schema(value_type = Option<String>)]
    channel_sid: Option<ChannelSid>,
    /// Those of this moment or later; a date, or a date and time.
    #[schema(value_type = Option<String>)]
    since: Option<Bound>,
    /// Those of this moment or earlier; a date, or a date and time.
    #[schema(value_type = Option<String>)]
    until: Option<Bound>,
}

/// Send all webhooks again that ended in one status.
#[utoipa::path(
    tag = "WebhookDelivery",
    operation_id = "RedeliverWebhookDelivery",
    request_body(content = RedeliverWebhooks, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = Redelivery))
)]
#[post("/v2/Services/{ServiceSid}/WebhookDeliveries/Redeliver")]
async fn redeliver(call: Call<Ctx>) -> Result<Json<Redelivery>> {
    let form: RedeliverWebhooks = call.body()?;
    let target = form
        .target_sid
        .map(|sid| target_of("TargetSid", &sid))
        .transpose()?;
    let filter = DeliveryFilter {
        status: form.status,
        target,
        event_type: form.event_type,
        channel: form.channel_sid,
        start: form.since.map(Bound::start),
        end: form.until.map(Bound::end),
    };
    Ok(Json(redelivery::redeliver(&call.ctx, &filter).await?))
}

/// Which deliveries of an endpoint are sent again.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct RedeliverEndpoint {
    /// `dead`, `delivered` or `cancelled`: those that ended so.
    #[schema(default = "dead")]
    status: Option<String>,
    /// Those of this moment or later; a date, or a date and time.
    #[schema(value_type = Option<String>)]
    since: Option<Bound>,
    /// Those of this moment or earlier; a date, or a date and time.
    #[schema(value_type = Option<String>)]
    until: Option<Bound>,
}

/// Send all events to an endpoint again that ended in one status.
#[utoipa::path(
    tag = "WebhookEndpoint",
    operation_id = "RedeliverWebhookEndpoint",
    request_body(content = RedeliverEndpoint, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = Redelivery))
)]
#[post("/v2/Services/{ServiceSid}/WebhookEndpoints/{Sid}/Redeliver")]
async fn redeliver_of_endpoint(call: Call<Ctx>) -> Result<Json<Redelivery>> {
    let form: RedeliverEndpoint = call.body()?;
    let endpoint = webhook_endpoints::get(&call.ctx, call.at("Sid")?).await?;
    let filter = DeliveryFilter {
        status: form.status,
        target: Some(endpoint.id.0),
        start: form.since.map(Bound::start),
        end: form.until.map(Bound::end),
        ..DeliveryFilter::default()
    };
    Ok(Json(redelivery::redeliver(&call.ctx, &filter).await?))
}

/// A page of attempts.
#[derive(Serialize, ToSchema)]
struct AttemptPage {
    meta: Meta,
    attempts: Vec<AttemptView>,
}

/// List the attempts that were made at a webhook delivery, oldest first.
#[utoipa::path(
    tag = "WebhookDelivery",
    operation_id = "ListWebhookAttempt",
    params(PageParams),
    responses((status = 200, description = "OK", body = AttemptPage))
)]
#[get("/v2/Services/{ServiceSid}/WebhookDeliveries/{DeliverySid}/Attempts")]
async fn attempts(call: Call<Ctx>) -> Result<Json<AttemptPage>> {
    let paging = call.paging()?;
    let page = deliveries::attempts(&call.ctx, call.at("DeliverySid")?, &paging.request).await?;
    let (meta, attempts) = paging.answer("attempts", &page, deliveries::attempt_view);
    Ok(Json(AttemptPage { meta, attempts }))
}
