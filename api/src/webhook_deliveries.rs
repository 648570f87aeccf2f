//! The ledger of webhook deliveries.

use actix_web::{get, post, web::Json};
use hubbub_core::{
    Ctx, Error,
    webhooks::{
        deliveries::{self, DeliveryView},
        ledger,
    },
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    call::Call,
    paging::{Meta, PageParams},
    refusal::Result,
    routes::Register,
};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(list);
    to.add(fetch);
    to.add(update);
}

/// Which deliveries.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query)]
struct ListDeliveries {
    /// `pending`, `delivered`, `dead` or `cancelled`.
    status: Option<String>,
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
    let page = deliveries::list(&call.ctx, filter.status.as_deref(), &paging.request).await?;
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
