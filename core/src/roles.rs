//! Roles: named sets of permissions, for a service (`deployment`) or for a channel.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Select};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    ctx::{BaseUrl, Ctx},
    entities::role,
    error::{Error, ErrorCode, Result},
    paging::{self, Key, Order, Page, PageRequest},
    sid::{AccountSid, RoleSid, ServiceSid},
};

/// The type of a role that counts in the whole service.
pub const DEPLOYMENT: &str = "deployment";
/// The type of a role that counts in one channel.
pub const CHANNEL: &str = "channel";

fn scoped(service: ServiceSid) -> Select<role::Entity> {
    role::Entity::find().filter(role::Column::ServiceId.eq(service))
}

/// The service's role of this SID.
///
/// # Errors
/// 20404 when there is none.
pub async fn get(ctx: &Ctx, id: RoleSid) -> Result<role::Model> {
    scoped(ctx.scope())
        .filter(role::Column::Id.eq(id))
        .one(ctx.reader())
        .await?
        .ok_or_else(|| ctx.not_found(format_args!("Roles/{id}")))
}

/// The service's roles, oldest first.
///
/// # Errors
/// Whatever the database refuses.
pub async fn list(ctx: &Ctx, request: &PageRequest) -> Result<Page<role::Model>> {
    paging::fetch(
        ctx.reader(),
        scoped(ctx.scope()),
        role::Column::Id,
        Order::Ascending,
        request,
        |row: &role::Model| Key::Uuid(row.id.0),
    )
    .await
}

/// The role that a parameter names, which must be of `kind`.
///
/// # Errors
/// 50100 when there is none, 50101 or 50102 when it is of the other type.
pub async fn of_kind(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    sid: &str,
    kind: &str,
) -> Result<role::Model> {
    let missing = || Error::with(ErrorCode::RoleNotFound, format!("Role {sid} not found"));
    let id: RoleSid = sid.parse().map_err(|_| missing())?;
    let row = scoped(service)
        .filter(role::Column::Id.eq(id))
        .one(db)
        .await?
        .ok_or_else(missing)?;
    match (row.kind == kind, kind) {
        (true, _) => Ok(row),
        (false, CHANNEL) => Err(Error::with(
            ErrorCode::ChannelRoleRequired,
            format!("Role {sid} is not of type channel"),
        )),
        (false, _) => Err(Error::with(
            ErrorCode::DeploymentRoleRequired,
            format!("Role {sid} is not of type deployment"),
        )),
    }
}

/// A role.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Role)]
pub struct RoleView {
    #[schema(value_type = String)]
    sid: RoleSid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    friendly_name: String,
    /// `deployment` or `channel`.
    #[serde(rename = "type")]
    kind: String,
    permissions: Vec<&'static str>,
    date_created: String,
    date_updated: String,
    url: String,
}

/// The role as REST answers show it.
#[must_use]
pub fn view(role: &role::Model, account: AccountSid, base: &BaseUrl) -> RoleView {
    RoleView {
        sid: role.id,
        account_sid: account,
        service_sid: role.service_id,
        friendly_name: role.friendly_name.clone(),
        kind: role.kind.clone(),
        permissions: role.permissions.names(),
        date_created: role.date_created.to_seconds_text(),
        date_updated: role.date_updated.to_seconds_text(),
        url: format!("{base}/v2/Services/{}/Roles/{}", role.service_id, role.id),
    }
}
