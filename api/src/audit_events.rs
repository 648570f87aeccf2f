//! The audit log: what backends changed, newest first. It is only read here.

use actix_web::{get, web::Json};
use hubbub_core::{
    AccountCtx, Ctx, Error,
    audit::{self, AuditEventView, AuditFilter, Shelf},
    entities::audit_event,
    paging::Page,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    call::Call,
    paging::{Meta, PageParams, Paging},
    params::Bound,
    refusal::Result,
    routes::Register,
};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(list_of_service);
    to.add(fetch_of_service);
    to.add(list);
    to.add(fetch);
}

/// Which entries.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query)]
struct ListAuditEvents {
    /// Those of this action, such as `channel.create`.
    action: Option<String>,
    /// Those about this resource.
    resource_sid: Option<String>,
    /// Those by this account or API key.
    actor_sid: Option<String>,
    /// Those of this moment or later; a date, or a date and time.
    #[param(value_type = Option<String>)]
    start_date: Option<Bound>,
    /// Those of this moment or earlier; a date, or a date and time.
    #[param(value_type = Option<String>)]
    end_date: Option<Bound>,
}

impl From<ListAuditEvents> for AuditFilter {
    fn from(query: ListAuditEvents) -> Self {
        Self {
            action: query.action,
            resource_sid: query.resource_sid,
            actor_sid: query.actor_sid,
            start: query.start_date.map(Bound::start),
            end: query.end_date.map(Bound::end),
        }
    }
}

/// A page of audit entries.
#[derive(Serialize, ToSchema)]
struct AuditEventPage {
    meta: Meta,
    audit_events: Vec<AuditEventView>,
}

fn answer<C>(
    call: &Call<C>,
    paging: &Paging,
    page: &Page<audit_event::Model>,
    shelf: Shelf,
) -> Result<Json<AuditEventPage>, Error> {
    let view = |row: &_| audit::view(row, shelf, &call.base);
    let (meta, views) = paging.answer("audit_events", page, view);
    Ok(Json(AuditEventPage {
        meta,
        audit_events: views.into_iter().collect::<Result<_, _>>()?,
    }))
}

/// List the service's audit entries, newest first.
#[utoipa::path(
    tag = "AuditEvent",
    operation_id = "ListServiceAuditEvent",
    params(ListAuditEvents, PageParams),
    responses((status = 200, description = "OK", body = AuditEventPage))
)]
#[get("/v2/Services/{ServiceSid}/AuditEvents")]
async fn list_of_service(call: Call<Ctx>) -> Result<Json<AuditEventPage>> {
    let paging = call.paging()?;
    let filter: ListAuditEvents = call.query()?;
    let page = audit::list_of_service(&call.ctx, &filter.into(), &paging.request).await?;
    Ok(answer(&call, &paging, &page, Shelf::Service(call.ctx.scope()))?)
}

/// Fetch an audit entry of the service.
#[utoipa::path(
    tag = "AuditEvent",
    operation_id = "FetchServiceAuditEvent",
    responses((status = 200, description = "OK", body = AuditEventView))
)]
#[get("/v2/Services/{ServiceSid}/AuditEvents/{Sid}")]
async fn fetch_of_service(call: Call<Ctx>) -> Result<Json<AuditEventView>> {
    let entry = audit::get_of_service(&call.ctx, call.at("Sid")?).await?;
    let shelf = Shelf::Service(call.ctx.scope());
    Ok(Json(audit::view(&entry, shelf, &call.base)?))
}

/// List all of the account's audit entries, those of its services included, newest first.
#[utoipa::path(
    tag = "AuditEvent",
    operation_id = "ListAuditEvent",
    params(ListAuditEvents, PageParams),
    responses((status = 200, description = "OK", body = AuditEventPage))
)]
#[get("/v2/AuditEvents")]
async fn list(call: Call<AccountCtx>) -> Result<Json<AuditEventPage>> {
    let paging = call.paging()?;
    let filter: ListAuditEvents = call.query()?;
    let page = audit::list(&call.ctx, &filter.into(), &paging.request).await?;
    Ok(answer(&call, &paging, &page, Shelf::Account)?)
}

/// Fetch an audit entry of the account.
#[utoipa::path(
    tag = "AuditEvent",
    operation_id = "FetchAuditEvent",
    responses((status = 200, description = "OK", body = AuditEventView))
)]
#[get("/v2/AuditEvents/{Sid}")]
async fn fetch(call: Call<AccountCtx>) -> Result<Json<AuditEventView>> {
    let entry = audit::get(&call.ctx, call.at("Sid")?).await?;
    Ok(Json(audit::view(&entry, Shelf::Account, &call.base)?))
}
