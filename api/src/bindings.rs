//! Devices that push notifications go to, from the service's side.

use actix_web::{delete, get, web::Json};
use hubbub_core::{
    Ctx,
    bindings::{self, BindingFilter, BindingView},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    answer::Deleted,
    call::Call,
    paging::{Meta, PageParams},
    refusal::Result,
    routes::Register,
};

/// The largest page, as Twilio has it.
const MOST: u64 = 50;

pub(crate) fn routes(to: &mut impl Register) {
    to.add(list);
    to.add(fetch);
    to.add(remove);
}

/// Which bindings.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListBindings {
    /// Those of this type, `gcm`, `apn` or `fcm`; may be repeated.
    #[serde(rename = "BindingType", default)]
    kinds: Vec<String>,
    /// Those of this user; may be repeated.
    #[serde(rename = "Identity", default)]
    identities: Vec<String>,
}

/// A page of bindings.
#[derive(Serialize, ToSchema)]
struct BindingPage {
    meta: Meta,
    bindings: Vec<BindingView>,
}

/// List the service's bindings, oldest first.
#[utoipa::path(
    tag = "Binding",
    operation_id = "ListBinding",
    params(ListBindings, PageParams<MOST>),
    responses((status = 200, description = "OK", body = BindingPage))
)]
#[get("/v2/Services/{ServiceSid}/Bindings")]
async fn list(call: Call<Ctx>) -> Result<Json<BindingPage>> {
    let paging = call.paging_up_to(MOST)?;
    let ListBindings { kinds, identities } = call.query()?;
    let filter = BindingFilter { kinds, identities };
    let page = bindings::list(&call.ctx, &filter, &paging.request).await?;
    let view = |binding: &_| bindings::view(binding, call.ctx.account(), &call.base);
    let (meta, bindings) = paging.answer("bindings", &page, view);
    Ok(Json(BindingPage { meta, bindings }))
}

/// Fetch a binding.
#[utoipa::path(
    tag = "Binding",
    operation_id = "FetchBinding",
    responses((status = 200, description = "OK", body = BindingView))
)]
#[get("/v2/Services/{ServiceSid}/Bindings/{Sid}")]
async fn fetch(call: Call<Ctx>) -> Result<Json<BindingView>> {
    let binding = bindings::get(&call.ctx, call.at("Sid")?).await?;
    Ok(Json(bindings::view(&binding, call.ctx.account(), &call.base)))
}

/// Delete a binding: the device hears nothing more.
#[utoipa::path(
    tag = "Binding",
    operation_id = "DeleteBinding",
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v2/Services/{ServiceSid}/Bindings/{Sid}")]
async fn remove(call: Call<Ctx>) -> Result<Deleted> {
    bindings::delete(&call.ctx, call.at("Sid")?).await?;
    Ok(Deleted)
}
