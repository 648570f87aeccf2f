//! Members of a channel, addressed by SID or identity.

pub mod horizons;
mod joining;
mod membership;
mod update;
mod view;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Select};

pub use joining::NewMember;
pub(crate) use joining::{Joining, begin, begin_all, present};
pub(crate) use membership::{Roles, end};
pub use membership::{create, create_all, delete, join, leave};
pub use update::{UpdateMember, update};
pub use view::{MemberView, view};

use crate::{
    channels,
    ctx::Ctx,
    entities::member,
    error::{Error, ErrorCode, Result},
    input::{ChannelRef, MemberRef},
    paging::{self, Key, Order, Page, PageRequest},
    query::{self, Asked, Bounds, Listing},
    sid::{ChannelSid, ServiceSid},
};

/// The notification level of a new membership.
pub const DEFAULT_NOTIFICATIONS: &str = "default";
/// The notification level of a membership that wants no push notifications of new messages.
pub const MUTED: &str = "muted";

fn scoped(service: ServiceSid, channel: ChannelSid) -> Select<member::Entity> {
    member::Entity::find()
        .filter(member::Column::ServiceId.eq(service))
        .filter(member::Column::ChannelId.eq(channel))
}

/// The member so addressed, if there is one.
///
/// # Errors
/// Whatever the database refuses.
pub async fn find(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    channel: ChannelSid,
    member: &MemberRef,
) -> Result<Option<member::Model>> {
    let select = match member {
        MemberRef::Sid(id) => scoped(service, channel).filter(member::Column::Id.eq(*id)),
        MemberRef::Identity(identity) => {
            scoped(service, channel).filter(member::Column::Identity.eq(identity))
        }
    };
    // Without a limit. A user of many channels in a channel of many members looks frequent to Postgres: with one, it
    // expects to come across that row soon, and reads all of the table.
    Ok(select.all(db).await?.pop())
}

fn missing(ctx: &Ctx, channel: &ChannelRef, member: &MemberRef) -> Error {
    ctx.not_found(format_args!("Channels/{channel}/Members/{member}"))
}

/// The member so addressed.
///
/// # Errors
/// 20404 when there is no such channel or member; 50400 when the caller may not see it.
pub async fn get(ctx: &Ctx, channel: &ChannelRef, member: &MemberRef) -> Result<member::Model> {
    let access = channels::access(ctx, ctx.reader(), channel).await?;
    access.may_read()?;
    find(ctx.reader(), ctx.scope(), access.channel.id, member)
        .await?
        .ok_or_else(|| missing(ctx, channel, member))
}

/// The channel's members, oldest first; those of `identities` only, when any are given.
///
/// # Errors
/// 20404 when there is no such channel; 50400 when the caller may not see it.
pub async fn list(
    ctx: &Ctx,
    channel: &ChannelRef,
    identities: &[String],
    request: &PageRequest,
) -> Result<Page<member::Model>> {
    let access = channels::access(ctx, ctx.reader(), channel).await?;
    access.may_read()?;
    let mut select = scoped(ctx.scope(), access.channel.id);
    if !identities.is_empty() {
        select = select.filter(member::Column::Identity.is_in(identities));
    }
    paging::fetch(
        ctx.reader(),
        select,
        member::Column::Id,
        Order::Ascending,
        request,
        |row: &member::Model| Key::Uuid(row.id.0),
    )
    .await
}

/// The channel's members as they are asked for; those of `identities` only, when any are given.
///
/// # Errors
/// As [`list`] and [`query::run`].
pub async fn search(
    ctx: &Ctx,
    channel: &ChannelRef,
    identities: &[String],
    asked: &Asked,
    request: &PageRequest,
) -> Result<Listing<member::Model>> {
    if asked.is_nothing() {
        return Ok(list(ctx, channel, identities, request).await?.into());
    }
    let access = channels::access(ctx, ctx.reader(), channel).await?;
    access.may_read()?;
    let mut bounds = Bounds::default().in_channel(access.channel.id);
    if !identities.is_empty() {
        bounds = bounds.with::<member::Model>("identity", identities.iter().cloned());
    }
    query::run(ctx, &bounds, asked, request).await
}

/// Every membership of a user, those of deleted channels included.
///
/// # Errors
/// Whatever the database refuses.
pub async fn of_user(
    db: &impl ConnectionTrait,
    service: ServiceSid,
    identity: &str,
) -> Result<Vec<member::Model>> {
    Ok(member::Entity::find()
        .filter(member::Column::ServiceId.eq(service))
        .filter(member::Column::Identity.eq(identity))
        .all(db)
        .await?)
}

fn consumed_index(index: i64) -> Result<i64> {
    if index < 0 {
        Err(ErrorCode::ConsumedIndex.into())
    } else {
        Ok(index)
    }
}
