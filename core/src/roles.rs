//! Roles: named sets of permissions, for a service (`deployment`) or for a channel.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    Select,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    audit::Edit,
    change::Change,
    ctx::{BaseUrl, Ctx},
    entities::{invite, member, role, user},
    error::{Error, ErrorCode, Result},
    input,
    paging::{self, Key, Order, Page, PageRequest},
    permissions::{Permission, PermissionScope, Permissions},
    sid::{AccountSid, RoleSid, ServiceSid},
    timestamp::Timestamp,
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
        .ok_or_else(|| missing(ctx, id))
}

fn missing(ctx: &Ctx, id: RoleSid) -> Error {
    ctx.not_found(format_args!("Roles/{id}"))
}

/// What the service's role of this SID allows; nothing when there is none.
///
/// # Errors
/// Whatever the database refuses.
pub async fn permissions(db: &impl ConnectionTrait, service: ServiceSid, id: RoleSid) -> Result<Permissions> {
    let role = role::Entity::find_by_id((service, id)).one(db).await?;
    Ok(role.map(|role| role.permissions).unwrap_or_default())
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

/// A role to make.
#[derive(Debug, Clone)]
pub struct NewRole {
    /// Its name.
    pub friendly_name: String,
    /// `deployment` or `channel`.
    pub kind: String,
    /// Names of permissions.
    pub permissions: Vec<String>,
}

/// Makes a role.
///
/// # Errors
/// 20002, 50003, 50104 or 50105 for what is wrong; 20006 for users.
pub async fn create(ctx: &Ctx, new: NewRole) -> Result<role::Model> {
    ctx.backend_only()?;
    let kind = match new.kind.as_str() {
        DEPLOYMENT => DEPLOYMENT,
        CHANNEL => CHANNEL,
        _ => return Err(ErrorCode::RoleType.into()),
    };
    let friendly_name = input::friendly_name(&new.friendly_name)?
        .ok_or_else(|| Error::with(ErrorCode::InvalidFriendlyName, "FriendlyName is missing"))?;
    let now = Timestamp::now();
    let row = role::Model {
        service_id: ctx.scope(),
        id: RoleSid::generate(),
        friendly_name,
        kind: kind.to_owned(),
        permissions: permissions_for(kind, &new.permissions)?,
        date_created: now,
        date_updated: now,
    };
    let mut change = Change::begin(ctx).await?;
    let row = row.into_active_model().insert(&change.tx).await?;
    change.audit(Edit::Created(&row))?;
    change.commit().await?;
    Ok(row)
}

/// Replaces a role's permissions.
///
/// # Errors
/// 20404; 50104 when a permission is unknown or of the other type; 20006 for users.
pub async fn update(ctx: &Ctx, id: RoleSid, permissions: &[String]) -> Result<role::Model> {
    ctx.backend_only()?;
    let mut change = Change::begin(ctx).await?;
    let before = lock(&change, ctx, id).await?;
    let mut row = before.clone();
    row.permissions = permissions_for(&row.kind, permissions)?;
    row.date_updated = Timestamp::now();
    let row = row.into_active_model().reset_all().update(&change.tx).await?;
    change.audit(Edit::Updated {
        before: &before,
        after: &row,
    })?;
    change.commit().await?;
    Ok(row)
}

/// Deletes a role that nobody has.
///
/// # Errors
/// 20404; 20409 while it is a default role of the service, or a user, a member or an invite has it; 20006 for users.
pub async fn delete(ctx: &Ctx, id: RoleSid) -> Result<()> {
    ctx.backend_only()?;
    let mut change = Change::begin(ctx).await?;
    let row = lock(&change, ctx, id).await?;
    let service = &ctx.service;
    let defaults = [
        service.default_service_role_id,
        service.default_channel_role_id,
        service.default_channel_creator_role_id,
    ];
    let users = user::Entity::find()
        .filter(user::Column::ServiceId.eq(ctx.scope()))
        .filter(user::Column::RoleId.eq(id));
    let members = member::Entity::find()
        .filter(member::Column::ServiceId.eq(ctx.scope()))
        .filter(member::Column::RoleId.eq(id));
    let invites = invite::Entity::find()
        .filter(invite::Column::ServiceId.eq(ctx.scope()))
        .filter(invite::Column::RoleId.eq(id));
    if defaults.contains(&id)
        || users.one(&change.tx).await?.is_some()
        || members.one(&change.tx).await?.is_some()
        || invites.one(&change.tx).await?.is_some()
    {
        return Err(Error::with(
            ErrorCode::Conflict,
            format!(
                "Role {id} is in use: it is a default role of the service, or a user, a member or an invite has it"
            ),
        ));
    }
    role::Entity::delete_many()
        .filter(role::Column::ServiceId.eq(ctx.scope()))
        .filter(role::Column::Id.eq(id))
        .exec(&change.tx)
        .await?;
    change.audit(Edit::Deleted(&row))?;
    change.commit().await
}

async fn lock(change: &Change<'_>, ctx: &Ctx, id: RoleSid) -> Result<role::Model> {
    scoped(ctx.scope())
        .filter(role::Column::Id.eq(id))
        .lock_exclusive()
        .one(&change.tx)
        .await?
        .ok_or_else(|| missing(ctx, id))
}

fn permissions_for(kind: &str, names: &[String]) -> Result<Permissions> {
    let allowed = |scope| match scope {
        PermissionScope::Both => true,
        PermissionScope::Deployment => kind == DEPLOYMENT,
        PermissionScope::Channel => kind == CHANNEL,
    };
    let unknown = |name: &String| {
        Error::with(
            ErrorCode::PermissionUnknown,
            format!(
                "Permission '{}' not found among those of a {kind} role",
                name.chars().take(80).collect::<String>()
            ),
        )
    };
    if names.is_empty() {
        return Err(Error::parameter(
            "Permission",
            "is missing: a role needs at least one",
        ));
    }
    let permissions = names
        .iter()
        .map(|name| {
            Permission::parse(name)
                .filter(|known| allowed(known.scope()))
                .ok_or_else(|| unknown(name))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Permissions::of(&permissions))
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
