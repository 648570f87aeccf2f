//! Pools of operators: identities that reach every channel that is attached to their pool, without being members.

mod actions;
mod operators;
mod rights;
mod view;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Select};

pub use actions::{NewPool, UpdatePool, create, delete, update};
pub use operators::{
    OperatorKey, add, find_operator, joined, list_operators, of_users, pools_of, remove, services_with,
};
pub(crate) use operators::{attachable, delete_of_user, is_operator};
pub(crate) use rights::{Asked, rights};
pub use view::{OperatorPoolView, OperatorView, operator_view, view};

use crate::{
    ctx::Ctx,
    entities::operator_pool,
    error::{Error, Result},
    paging::{self, Key, Order, Page, PageRequest},
    sid::{OperatorPoolSid, ServiceSid},
};

/// The most pools of a service.
const MOST_POOLS: i32 = 100;
/// The most operators of a pool.
const MOST_OPERATORS: usize = 1_000;

fn scoped(service: ServiceSid) -> Select<operator_pool::Entity> {
    operator_pool::Entity::find().filter(operator_pool::Column::ServiceId.eq(service))
}

fn missing(ctx: &Ctx, id: OperatorPoolSid) -> Error {
    ctx.not_found(format_args!("OperatorPools/{id}"))
}

/// The service's pool of this SID, if there is one.
///
/// # Errors
/// Whatever the database refuses.
pub async fn find(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    id: OperatorPoolSid,
) -> Result<Option<operator_pool::Model>> {
    Ok(scoped(service)
        .filter(operator_pool::Column::Id.eq(id))
        .one(db)
        .await?)
}

/// The service's pool of this SID.
///
/// # Errors
/// 20404 when there is none; 20006 for users.
pub async fn get(ctx: &Ctx, id: OperatorPoolSid) -> Result<operator_pool::Model> {
    ctx.backend_only()?;
    find(ctx.reader(), ctx.scope(), id)
        .await?
        .ok_or_else(|| missing(ctx, id))
}

/// The pool that a parameter names, kept from being deleted until the transaction ends.
///
/// # Errors
/// 20001 naming `field` when there is none.
pub(crate) async fn named(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    field: &str,
    sid: &str,
) -> Result<operator_pool::Model> {
    let unknown = || Error::parameter(field, "must be the SID of an operator pool of this service");
    let id: OperatorPoolSid = sid.parse().map_err(|_| unknown())?;
    scoped(service)
        .filter(operator_pool::Column::Id.eq(id))
        .lock_shared()
        .one(db)
        .await?
        .ok_or_else(unknown)
}

/// The service's pools, oldest first.
///
/// # Errors
/// 20006 for users.
pub async fn list(ctx: &Ctx, request: &PageRequest) -> Result<Page<operator_pool::Model>> {
    ctx.backend_only()?;
    paging::fetch(
        ctx.reader(),
        scoped(ctx.scope()),
        operator_pool::Column::Id,
        Order::Ascending,
        request,
        |row: &operator_pool::Model| Key::Uuid(row.id.0),
    )
    .await
}
