//! Bindings: devices of users that push notifications go to.

mod register;
mod view;

use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, Select};

pub use register::{MESSAGE_TYPES, NewBinding, register};
pub use view::{BindingView, UserBindingView, user_view, view};

use crate::{
    audit::Edit,
    change::Change,
    credentials,
    ctx::Ctx,
    entities::{binding, user},
    error::{Error, ErrorCode, Result},
    input::UserRef,
    paging::{self, Key, Order, Page, PageRequest},
    sid::{BindingSid, ServiceSid, UserSid},
    users,
};

fn scoped(service: ServiceSid) -> Select<binding::Entity> {
    binding::Entity::find().filter(binding::Column::ServiceId.eq(service))
}

/// Which bindings: none named means all.
#[derive(Debug, Clone, Default)]
pub struct BindingFilter {
    /// Names of push services.
    pub kinds: Vec<String>,
    /// Names of users.
    pub identities: Vec<String>,
}

impl BindingFilter {
    fn apply(&self, mut select: Select<binding::Entity>) -> Result<Select<binding::Entity>> {
        if !self.kinds.is_empty() {
            let kinds: Vec<&str> = self.kinds.iter().map(|text| kind(text)).collect::<Result<_>>()?;
            select = select.filter(binding::Column::Kind.is_in(kinds));
        }
        if !self.identities.is_empty() {
            select = select.filter(binding::Column::Identity.is_in(&self.identities));
        }
        Ok(select)
    }
}

/// Reads a type.
fn kind(text: &str) -> Result<&'static str> {
    credentials::push_service(text).ok_or_else(|| Error::new(ErrorCode::BindingType))
}

/// The service's binding of this SID.
///
/// # Errors
/// 20404 when there is none; 20006 for users.
pub async fn get(ctx: &Ctx, id: BindingSid) -> Result<binding::Model> {
    ctx.backend_only()?;
    scoped(ctx.scope())
        .filter(binding::Column::Id.eq(id))
        .one(ctx.reader())
        .await?
        .ok_or_else(|| ctx.not_found(format_args!("Bindings/{id}")))
}

/// The user's binding of this SID.
///
/// # Errors
/// 20404 when there is no such user or binding; 20006 when a user asks for another's.
pub async fn get_of_user(ctx: &Ctx, user: &UserRef, id: BindingSid) -> Result<binding::Model> {
    let owner = users::own(ctx, user).await?;
    of_user(ctx, &owner, id)
        .one(ctx.reader())
        .await?
        .ok_or_else(|| missing_of_user(ctx, user, id))
}

fn of_user(ctx: &Ctx, owner: &user::Model, id: BindingSid) -> Select<binding::Entity> {
    scoped(ctx.scope())
        .filter(binding::Column::UserId.eq(owner.id))
        .filter(binding::Column::Id.eq(id))
}

fn missing_of_user(ctx: &Ctx, user: &UserRef, id: BindingSid) -> Error {
    ctx.not_found(format_args!("Users/{user}/Bindings/{id}"))
}

async fn page(
    ctx: &Ctx,
    select: Select<binding::Entity>,
    request: &PageRequest,
) -> Result<Page<binding::Model>> {
    paging::fetch(
        ctx.reader(),
        select,
        binding::Column::Id,
        Order::Ascending,
        request,
        |row: &binding::Model| Key::Uuid(row.id.0),
    )
    .await
}

/// The service's bindings, oldest first.
///
/// # Errors
/// 50209 when the filter names an unknown type; 20006 for users.
pub async fn list(ctx: &Ctx, filter: &BindingFilter, request: &PageRequest) -> Result<Page<binding::Model>> {
    ctx.backend_only()?;
    page(ctx, filter.apply(scoped(ctx.scope()))?, request).await
}

/// A user's bindings, oldest first.
///
/// # Errors
/// 20404 when there is no such user; 50209 when the filter names an unknown type; 20006 when a user asks for another's.
pub async fn list_of_user(
    ctx: &Ctx,
    user: &UserRef,
    filter: &BindingFilter,
    request: &PageRequest,
) -> Result<Page<binding::Model>> {
    let owner = users::own(ctx, user).await?;
    let select = scoped(ctx.scope()).filter(binding::Column::UserId.eq(owner.id));
    page(ctx, filter.apply(select)?, request).await
}

/// Deletes a binding: the device hears nothing more.
///
/// # Errors
/// 20404; 20006 for users.
pub async fn delete(ctx: &Ctx, id: BindingSid) -> Result<()> {
    let row = get(ctx, id).await?;
    remove(ctx, &row)
        .await?
        .then_some(())
        .ok_or_else(|| ctx.not_found(format_args!("Bindings/{id}")))
}

/// Deletes a user's binding: the device hears nothing more.
///
/// # Errors
/// 20404; 20006 when a user asks for another's.
pub async fn delete_of_user(ctx: &Ctx, user: &UserRef, id: BindingSid) -> Result<()> {
    let row = get_of_user(ctx, user, id).await?;
    remove(ctx, &row)
        .await?
        .then_some(())
        .ok_or_else(|| missing_of_user(ctx, user, id))
}

/// False when somebody else was quicker.
async fn remove(ctx: &Ctx, row: &binding::Model) -> Result<bool> {
    let mut change = Change::begin(ctx).await?;
    let gone = binding::Entity::delete_by_id((row.service_id, row.id))
        .exec(&change.tx)
        .await?;
    if gone.rows_affected == 0 {
        return Ok(false);
    }
    change.audit(Edit::Deleted(row))?;
    change.commit().await?;
    Ok(true)
}

/// Removes every binding of a user.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn delete_all_of_user(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    user: UserSid,
) -> Result<(), DbErr> {
    binding::Entity::delete_many()
        .filter(binding::Column::ServiceId.eq(service))
        .filter(binding::Column::UserId.eq(user))
        .exec(db)
        .await
        .map(|_| ())
}
