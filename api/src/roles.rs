//! Roles: named sets of permissions.

use actix_web::{delete, get, post, web::Json};
use hubbub_core::{
    Ctx,
    roles::{self, NewRole, RoleView},
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

pub(crate) fn routes(to: &mut impl Register) {
    to.add(create);
    to.add(list);
    to.add(fetch);
    to.add(update);
    to.add(remove);
}

/// A role to make.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct CreateRole {
    /// Its name.
    #[serde(default)]
    #[schema(required)]
    friendly_name: String,
    /// `deployment` or `channel`.
    #[serde(rename = "Type", default)]
    #[schema(required)]
    kind: String,
    /// A permission; repeated for each.
    #[serde(default)]
    #[schema(required)]
    permission: Vec<String>,
}

/// Create a role.
#[utoipa::path(
    tag = "Role",
    operation_id = "CreateRole",
    request_body(content = CreateRole, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Created", body = RoleView))
)]
#[post("/v2/Services/{ServiceSid}/Roles")]
async fn create(call: Call<Ctx>) -> Result<Created<RoleView>> {
    let CreateRole {
        friendly_name,
        kind,
        permission,
    } = call.body()?;
    let new = NewRole {
        friendly_name,
        kind,
        permissions: permission,
    };
    let role = roles::create(&call.ctx, new).await?;
    Ok(Created(roles::view(&role, call.ctx.account(), &call.base)))
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

/// What to change of a role.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct UpdateRole {
    /// A permission; repeated for each. They replace those before.
    #[serde(default)]
    #[schema(required)]
    permission: Vec<String>,
}

/// Update a role: replaces its permissions.
#[utoipa::path(
    tag = "Role",
    operation_id = "UpdateRole",
    request_body(content = UpdateRole, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "OK", body = RoleView))
)]
#[post("/v2/Services/{ServiceSid}/Roles/{Sid}")]
async fn update(call: Call<Ctx>) -> Result<Json<RoleView>> {
    let form: UpdateRole = call.body()?;
    let role = roles::update(&call.ctx, call.at("Sid")?, &form.permission).await?;
    Ok(Json(roles::view(&role, call.ctx.account(), &call.base)))
}

/// Delete a role that nobody has.
#[utoipa::path(
    tag = "Role",
    operation_id = "DeleteRole",
    responses((status = 204, description = "Deleted"))
)]
#[delete("/v2/Services/{ServiceSid}/Roles/{Sid}")]
async fn remove(call: Call<Ctx>) -> Result<Deleted> {
    roles::delete(&call.ctx, call.at("Sid")?).await?;
    Ok(Deleted)
}
