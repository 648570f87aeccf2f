//! Roles: named sets of permissions.

use actix_web::{get, web::Json};
use hubbub_core::{
    Ctx,
    roles::{self, RoleView},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    call::Call,
    paging::{Meta, PageParams},
    refusal::Result,
    routes::Register,
};

pub(crate) fn routes(to: &mut impl Register) {
    to.add(list);
    to.add(fetch);
}

/// A page of roles.
#[derive(Serialize, ToSchema)]
struct RolePage {
    meta: Meta,
    roles: Vec<RoleView>,
}

/// List the service's roles, oldest first.
#[utoipa::path(
    tag = "Role",
    operation_id = "ListRole",
    params(PageParams),
    responses((status = 200, description = "OK", body = RolePage))
)]
#[get("/v2/Services/{ServiceSid}/Roles")]
async fn list(call: Call<Ctx>) -> Result<Json<RolePage>> {
    let paging = call.paging()?;
    let page = roles::list(&call.ctx, &paging.request).await?;
    let view = |role: &_| roles::view(role, call.ctx.account(), &call.base);
    let (meta, roles) = paging.answer("roles", &page, view);
    Ok(Json(RolePage { meta, roles }))
}

/// Fetch a role.
#[utoipa::path(
    tag = "Role",
    operation_id = "FetchRole",
    responses((status = 200, description = "OK", body = RoleView))
)]
#[get("/v2/Services/{ServiceSid}/Roles/{Sid}")]
async fn fetch(call: Call<Ctx>) -> Result<Json<RoleView>> {
    let role = roles::get(&call.ctx, call.at("Sid")?).await?;
    Ok(Json(roles::view(&role, call.ctx.account(), &call.base)))
}
