//! Channels, addressed by SID or unique name.

mod access;
mod actions;
mod find_or_create;
mod listing;
mod many;
mod view;

use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect, Select, sea_query::Query,
};

pub(crate) use access::lock_access;
pub use access::{Access, access};
pub use actions::{NewChannel, UpdateChannel, create, delete, update};
pub use find_or_create::{FoundOrCreated, find_or_create};
pub(crate) use listing::{SLACK, relist};
pub(crate) use many::{ChannelKey, by_names, lock_all, move_counters};
pub use view::{ChannelView, view};

use crate::{
    ctx::Ctx,
    entities::{channel, invite, member},
    error::Result,
    input::ChannelRef,
    paging::{self, Key, Order, Page, PageRequest},
    query::{self, Asked, Bounds, Listing},
    sid::ServiceSid,
};

/// The type of a channel that every user of the service may find and join.
pub const PUBLIC: &str = "public";
/// The type of a channel that only its members see.
pub const PRIVATE: &str = "private";

fn scoped(service: ServiceSid) -> Select<channel::Entity> {
    channel::Entity::find()
        .filter(channel::Column::ServiceId.eq(service))
        .filter(channel::Column::DeletedAt.is_null())
}

fn addressed(service: ServiceSid, channel: &ChannelRef) -> Select<channel::Entity> {
    match channel {
        ChannelRef::Sid(id) => scoped(service).filter(channel::Column::Id.eq(*id)),
        ChannelRef::Name(name) => scoped(service).filter(channel::Column::UniqueName.eq(name)),
    }
}

/// The channel so addressed, if there is one.
///
/// # Errors
/// Whatever the database refuses.
pub async fn find(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    channel: &ChannelRef,
) -> Result<Option<channel::Model>> {
    Ok(addressed(service, channel).one(db).await?)
}

/// The channel so addressed, as far as the caller may see it.
///
/// # Errors
/// 20404 when there is none; 50400 when it is private and the caller neither a member nor invited.
pub async fn get(ctx: &Ctx, channel: &ChannelRef) -> Result<channel::Model> {
    let access = access(ctx, ctx.reader(), channel).await?;
    access.may_see()?;
    Ok(access.channel)
}

/// The refusal when there is no such channel.
#[must_use]
pub fn missing(ctx: &Ctx, channel: &ChannelRef) -> crate::Error {
    ctx.not_found(format_args!("Channels/{channel}"))
}

/// The channel so addressed, locked until the transaction ends: whoever holds it makes the next event of its order.
///
/// # Errors
/// Whatever the database refuses.
pub async fn lock(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    channel: &ChannelRef,
) -> Result<Option<channel::Model>> {
    Ok(addressed(service, channel).lock_exclusive().one(db).await?)
}

/// Writes a locked channel back.
///
/// # Errors
/// Whatever the database refuses.
pub async fn store(db: &impl ConnectionTrait, channel: &channel::Model) -> Result<(), sea_orm::DbErr> {
    channel
        .clone()
        .into_active_model()
        .reset_all()
        .update(db)
        .await
        .map(|_| ())
}

/// The service's channels of these types (`public` when none is given), oldest first. A user sees the private ones
/// that it is a member of or invited to.
///
/// # Errors
/// Whatever the database refuses.
pub async fn list(ctx: &Ctx, kinds: &[&'static str], request: &PageRequest) -> Result<Page<channel::Model>> {
    let kinds = if kinds.is_empty() { &[PUBLIC] } else { kinds };
    let mut select = scoped(ctx.scope()).filter(channel::Column::Kind.is_in(kinds.iter().copied()));
    if let Some(identity) = ctx.caller.identity() {
        let own = Query::select()
            .column(member::Column::ChannelId)
            .from(member::Entity)
            .and_where(member::Column::ServiceId.eq(ctx.scope()))
            .and_where(member::Column::Identity.eq(identity.as_str()))
            .to_owned();
        let invited = Query::select()
            .column(invite::Column::ChannelId)
            .from(invite::Entity)
            .and_where(invite::Column::ServiceId.eq(ctx.scope()))
            .and_where(invite::Column::Identity.eq(identity.as_str()))
            .to_owned();
        let visible = Condition::any()
            .add(channel::Column::Kind.eq(PUBLIC))
            .add(channel::Column::Id.in_subquery(own))
            .add(channel::Column::Id.in_subquery(invited));
        select = select.filter(visible);
    }
    paging::fetch(
        ctx.reader(),
        select,
        channel::Column::Id,
        Order::Ascending,
        request,
        |row: &channel::Model| Key::Uuid(row.id.0),
    )
    .await
}

/// The service's channels as they are asked for: those of these types, of both when there is a `Filter` and none is
/// given.
///
/// # Errors
/// As [`query::run`].
pub async fn search(
    ctx: &Ctx,
    kinds: &[&'static str],
    asked: &Asked,
    request: &PageRequest,
) -> Result<Listing<channel::Model>> {
    if asked.is_nothing() {
        return Ok(list(ctx, kinds, request).await?.into());
    }
    let mut bounds = Bounds::default();
    if !(kinds.is_empty() && asked.filter.is_some()) {
        let kinds = if kinds.is_empty() { &[PUBLIC] } else { kinds };
        bounds = bounds.with::<channel::Model>("type", kinds.iter().map(|kind| (*kind).to_owned()));
    }
    if let Some(identity) = ctx.caller.identity() {
        bounds = bounds.seen_by(identity.as_str());
    }
    query::run(ctx, &bounds, asked, request).await
}
