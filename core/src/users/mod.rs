//! Users of a service, addressed by SID or identity. They spring up when a token or a membership first names them.

mod actions;
mod making;
mod merging;
mod reach;
mod view;

use std::collections::HashSet;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Select};

pub use actions::{UpdateUser, delete, update};
pub(crate) use making::ensure_all;
pub use making::{NewUser, create, create_all, log_in};
pub use merging::Setting;
pub(crate) use merging::merge_all;
pub use reach::{Reach, UserNews};
pub use view::{UserLinks, UserView};

use crate::{
    ctx::Ctx,
    entities::user,
    error::{Error, ErrorCode, Result},
    input::UserRef,
    paging::{self, Key, Order, Page, PageRequest},
    permissions::Permissions,
    query::{self, Asked, Bounds, Listing},
    roles,
    sid::{AccountSid, ServiceSid},
    sql::Sql,
};

fn scoped(service: ServiceSid) -> Select<user::Entity> {
    user::Entity::find().filter(user::Column::ServiceId.eq(service))
}

fn addressed(service: ServiceSid, user: &UserRef) -> Select<user::Entity> {
    match user {
        UserRef::Sid(id) => scoped(service).filter(user::Column::Id.eq(*id)),
        UserRef::Identity(identity) => scoped(service).filter(user::Column::Identity.eq(identity)),
    }
}

/// The user so addressed, if there is one.
///
/// # Errors
/// Whatever the database refuses.
pub async fn find(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    user: &UserRef,
) -> Result<Option<user::Model>> {
    Ok(addressed(service, user).one(db).await?)
}

/// The user so addressed, if there is one, locked until the transaction ends: nobody deletes it meanwhile.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn lock(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    user: &UserRef,
) -> Result<Option<user::Model>> {
    Ok(addressed(service, user).lock_exclusive().one(db).await?)
}

/// Which of these users exist.
///
/// # Errors
/// Whatever the database refuses.
pub async fn existing(
    db: &impl ConnectionTrait,
    users: &[(AccountSid, ServiceSid, String)],
) -> Result<HashSet<(ServiceSid, String)>> {
    if users.is_empty() {
        return Ok(HashSet::new());
    }
    let mut sql = Sql::new("SELECT service_id, identity FROM users WHERE (service_id, identity) IN ");
    sql.values(
        users
            .iter()
            .map(|(_, service, identity)| [service.into(), identity.as_str().into()]),
    );
    sql.all(db)
        .await?
        .iter()
        .map(|row| Ok((row.try_get("", "service_id")?, row.try_get("", "identity")?)))
        .collect()
}

/// The user so addressed.
///
/// # Errors
/// 20404 when there is none.
pub async fn get(ctx: &Ctx, user: &UserRef) -> Result<user::Model> {
    find(ctx.reader(), ctx.scope(), user)
        .await?
        .ok_or_else(|| ctx.not_found(format_args!("Users/{user}")))
}

/// The user so addressed, with what concerns nobody else: its channels and its devices. A user gets to its own only.
///
/// # Errors
/// 20404 when there is none; 20006 when a user asks for another.
pub async fn own(ctx: &Ctx, user: &UserRef) -> Result<user::Model> {
    let Some(identity) = ctx.caller.identity() else {
        return get(ctx, user).await;
    };
    let own = get(ctx, &UserRef::Identity(identity.as_str().to_owned())).await?;
    let is_own = match user {
        UserRef::Sid(id) => own.id == *id,
        UserRef::Identity(identity) => own.identity == *identity,
    };
    if is_own {
        Ok(own)
    } else {
        Err(Error::with(
            ErrorCode::AccessDenied,
            "Access denied: an access token opens the channels and bindings of its own user only",
        ))
    }
}

/// The service's users, oldest first.
///
/// # Errors
/// Whatever the database refuses.
pub async fn list(ctx: &Ctx, request: &PageRequest) -> Result<Page<user::Model>> {
    paging::fetch(
        ctx.reader(),
        scoped(ctx.scope()),
        user::Column::Id,
        Order::Ascending,
        request,
        |row: &user::Model| Key::Uuid(row.id.0),
    )
    .await
}

/// The service's users as they are asked for.
///
/// # Errors
/// As [`query::run`].
pub async fn search(ctx: &Ctx, asked: &Asked, request: &PageRequest) -> Result<Listing<user::Model>> {
    if asked.is_nothing() {
        return Ok(list(ctx, request).await?.into());
    }
    query::run(ctx, &Bounds::default(), asked, request).await
}

/// What the user's role allows in every channel of the service.
///
/// # Errors
/// Whatever the database refuses.
pub async fn rights(db: &impl ConnectionTrait, service: ServiceSid, identity: &str) -> Result<Permissions> {
    let Some(user) = find(db, service, &UserRef::Identity(identity.to_owned())).await? else {
        return Ok(Permissions::default());
    };
    roles::permissions(db, service, user.role_id).await
}
