//! Members of a channel, addressed by SID or identity.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, Select,
    sea_query::{Expr, ExprTrait},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    change::Change,
    channels,
    ctx::{BaseUrl, Caller, Ctx},
    db::is_duplicate,
    entities::{channel, member, user},
    error::{Error, ErrorCode, Result},
    events::{EventKind, Resource},
    input::{self, ChannelRef, Identity, MemberRef},
    paging::{self, Key, Order, Page, PageRequest},
    permissions::Permission,
    roles,
    sid::{AccountSid, ChannelSid, MemberSid, RoleSid, ServiceSid},
    timestamp::Timestamp,
    users,
};

/// The notification level of a new membership.
pub const DEFAULT_NOTIFICATIONS: &str = "default";

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
    Ok(select.one(db).await?)
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

/// A membership to make.
#[derive(Debug, Clone)]
pub struct NewMember {
    /// Who.
    pub identity: Identity,
    /// A role of type `channel`; otherwise the creator's or the default one.
    pub role_sid: Option<String>,
    /// JSON text.
    pub attributes: Option<String>,
    /// The read horizon.
    pub last_consumed_message_index: Option<i64>,
    /// When it was set.
    pub last_consumption_timestamp: Option<Timestamp>,
    /// For imports.
    pub date_created: Option<Timestamp>,
    /// For imports.
    pub date_updated: Option<Timestamp>,
}

impl NewMember {
    /// This user, with the defaults.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            role_sid: None,
            attributes: None,
            last_consumed_message_index: None,
            last_consumption_timestamp: None,
            date_created: None,
            date_updated: None,
        }
    }
}

/// Makes a user a member; the user springs up when it is new.
///
/// # Errors
/// 50404 when it is one already; 50403 and 50208 at the limits; 50107 when the caller's roles do not allow it.
pub async fn create(ctx: &Ctx, channel: &ChannelRef, new: NewMember) -> Result<member::Model> {
    let mut change = Change::begin(ctx).await?;
    let access = channels::lock_access(ctx, &change.tx, channel).await?;
    if ctx.caller.identity() == Some(&new.identity) {
        access.may_see()?;
        access.require(Permission::JoinChannel)?;
    } else {
        access.require(Permission::AddMember)?;
    }
    let mut channel = access.channel;
    let role_id = match &new.role_sid {
        Some(sid) => {
            roles::of_kind(&change.tx, ctx.scope(), sid, roles::CHANNEL)
                .await?
                .id
        }
        None if channel.created_by == new.identity.as_str() => ctx.service.default_channel_creator_role_id,
        None => ctx.service.default_channel_role_id,
    };
    let member = begin(ctx, &mut change, &mut channel, new, role_id).await?;
    change.commit().await?;
    Ok(member)
}

/// The calling user joins a public channel.
///
/// # Errors
/// As [`create`], and 50400 when the channel is private. Outside of user calls: 20403.
pub async fn join(ctx: &Ctx, channel: &ChannelRef) -> Result<member::Model> {
    let Caller::User { identity, .. } = &ctx.caller else {
        return Err(ErrorCode::Forbidden.into());
    };
    create(ctx, channel, NewMember::new(identity.clone())).await
}

/// Inserts a membership into a locked channel, counts it on both sides, records the join and stores the channel.
pub(crate) async fn begin(
    ctx: &Ctx,
    change: &mut Change<'_>,
    channel: &mut channel::Model,
    new: NewMember,
    role_id: RoleSid,
) -> Result<member::Model> {
    let known = MemberRef::Identity(new.identity.as_str().to_owned());
    if find(&change.tx, ctx.scope(), channel.id, &known).await?.is_some() {
        return Err(ErrorCode::MemberExists.into());
    }
    if channel.members_count >= ctx.service.limit_channel_members {
        return Err(Error::with(
            ErrorCode::ChannelMemberLimit,
            format!(
                "The channel's member limit of {} is reached (Limits.ChannelMembers)",
                ctx.service.limit_channel_members
            ),
        ));
    }
    let user = users::ensure(ctx, change, &new.identity).await?;
    if user.joined_channels_count >= ctx.service.limit_user_channels {
        return Err(Error::with(
            ErrorCode::UserChannelLimit,
            format!(
                "The user's channel limit of {} is reached (Limits.UserChannels)",
                ctx.service.limit_user_channels
            ),
        ));
    }
    count_joined(change, ctx.scope(), &user.identity, 1).await?;
    let now = Timestamp::now();
    let horizon = new.last_consumed_message_index;
    let date_created = new.date_created.unwrap_or(now);
    channel.members_count += 1;
    let member = member::Model {
        service_id: ctx.scope(),
        channel_id: channel.id,
        id: MemberSid::generate(),
        identity: user.identity,
        role_id,
        attributes: input::small_attributes(new.attributes.as_deref().unwrap_or_default())?,
        last_consumed_message_index: horizon.map(consumed_index).transpose()?,
        last_consumption_timestamp: new.last_consumption_timestamp.or_else(|| horizon.map(|_| now)),
        notification_level: DEFAULT_NOTIFICATIONS.to_owned(),
        joined_seq: channel.last_seq + 1,
        date_created,
        date_updated: new.date_updated.unwrap_or(date_created),
    };
    let member = member
        .into_active_model()
        .insert(&change.tx)
        .await
        .map_err(|error| {
            if is_duplicate(&error, &["uq_members_identity", "members.identity"]) {
                ErrorCode::MemberExists.into()
            } else {
                Error::from(error)
            }
        })?;
    change
        .record(channel, EventKind::MemberJoined, |channel| {
            with_channel(&member, channel)
        })
        .await?;
    channels::store(&change.tx, channel).await?;
    Ok(member)
}

fn with_channel(member: &member::Model, channel: &channel::Model) -> Resource {
    Resource::Member {
        member: Box::new(member.clone()),
        channel: Some(Box::new(channel.clone())),
    }
}

async fn count_joined(change: &Change<'_>, service: ServiceSid, identity: &str, by: i32) -> Result<()> {
    user::Entity::update_many()
        .col_expr(
            user::Column::JoinedChannelsCount,
            Expr::col(user::Column::JoinedChannelsCount).add(by),
        )
        .filter(user::Column::ServiceId.eq(service))
        .filter(user::Column::Identity.eq(identity))
        .exec(&change.tx)
        .await?;
    Ok(())
}

/// Ends a membership of a locked channel, counts it on both sides, records the leave and stores the channel.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn end(
    change: &mut Change<'_>,
    channel: &mut channel::Model,
    member: &member::Model,
) -> Result<()> {
    let gone = member::Entity::delete_many()
        .filter(member::Column::ServiceId.eq(member.service_id))
        .filter(member::Column::ChannelId.eq(member.channel_id))
        .filter(member::Column::Id.eq(member.id))
        .exec(&change.tx)
        .await?;
    if gone.rows_affected == 0 {
        return Ok(());
    }
    channel.members_count -= 1;
    count_joined(change, member.service_id, &member.identity, -1).await?;
    change
        .record(channel, EventKind::MemberLeft, |channel| {
            with_channel(member, channel)
        })
        .await?;
    channels::store(&change.tx, channel).await?;
    Ok(())
}

/// Removes a member, or lets the calling user leave.
///
/// # Errors
/// 20404; 50107 when the caller's roles do not allow it.
pub async fn delete(ctx: &Ctx, channel: &ChannelRef, member: &MemberRef) -> Result<()> {
    let mut change = Change::begin(ctx).await?;
    let access = channels::lock_access(ctx, &change.tx, channel).await?;
    let found = find(&change.tx, ctx.scope(), access.channel.id, member).await?;
    let own = found.as_ref().is_some_and(|found| {
        ctx.caller
            .identity()
            .is_some_and(|own| own.as_str() == found.identity)
    });
    access.require(if own {
        Permission::LeaveChannel
    } else {
        Permission::RemoveMember
    })?;
    let found = found.ok_or_else(|| missing(ctx, channel, member))?;
    let mut channel = access.channel;
    end(&mut change, &mut channel, &found).await?;
    change.commit().await
}

/// The calling user leaves.
///
/// # Errors
/// 20404; 50400 when it is not a member; 50107 when its role does not allow it. Outside of user calls: 20403.
pub async fn leave(ctx: &Ctx, channel: &ChannelRef) -> Result<()> {
    let Caller::User { identity, .. } = &ctx.caller else {
        return Err(ErrorCode::Forbidden.into());
    };
    let own = MemberRef::Identity(identity.as_str().to_owned());
    channels::access(ctx, ctx.reader(), channel).await?.membership()?;
    delete(ctx, channel, &own).await
}

/// What to change of a membership; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateMember {
    /// A role of type `channel`.
    pub role_sid: Option<String>,
    /// JSON text.
    pub attributes: Option<String>,
    /// The read horizon; `Some(None)` clears it.
    pub last_consumed_message_index: Option<Option<i64>>,
    /// When it was set.
    pub last_consumption_timestamp: Option<Timestamp>,
    /// For imports.
    pub date_created: Option<Timestamp>,
    /// For imports.
    pub date_updated: Option<Timestamp>,
}

/// A backend may change everything of a membership; a user attributes, as far as its roles allow.
fn may_update(ctx: &Ctx, access: &channels::Access, member: &MemberRef, update: &UpdateMember) -> Result<()> {
    if ctx.caller.identity().is_none() {
        return Ok(());
    }
    if update.role_sid.is_some() {
        return Err(ErrorCode::RoleNotSettable.into());
    }
    let own = access.member.as_ref().is_some_and(|own| match member {
        MemberRef::Sid(id) => own.id == *id,
        MemberRef::Identity(identity) => own.identity == *identity,
    });
    if own && update.attributes.is_none() {
        return Ok(());
    }
    if own {
        access.require_either(
            Permission::EditOwnMemberAttributes,
            Permission::EditAnyMemberAttributes,
        )
    } else {
        access.require(Permission::EditAnyMemberAttributes)
    }
}

/// Changes a membership. A backend may move the read horizon to wherever it likes.
///
/// # Errors
/// 20404; 50107 when the caller's roles do not allow it; the code of the field that is wrong.
pub async fn update(
    ctx: &Ctx,
    channel: &ChannelRef,
    member: &MemberRef,
    update: UpdateMember,
) -> Result<member::Model> {
    let mut change = Change::begin(ctx).await?;
    let access = channels::lock_access(ctx, &change.tx, channel).await?;
    may_update(ctx, &access, member, &update)?;
    let mut channel_row = access.channel;
    let mut row = find(&change.tx, ctx.scope(), channel_row.id, member)
        .await?
        .ok_or_else(|| missing(ctx, channel, member))?;
    let now = Timestamp::now();
    if let Some(sid) = &update.role_sid {
        row.role_id = roles::of_kind(&change.tx, ctx.scope(), sid, roles::CHANNEL)
            .await?
            .id;
    }
    if let Some(text) = &update.attributes {
        row.attributes = input::small_attributes(text)?;
    }
    if let Some(horizon) = update.last_consumed_message_index {
        row.last_consumed_message_index = horizon.map(consumed_index).transpose()?;
        row.last_consumption_timestamp = horizon.map(|_| now);
    }
    if let Some(moment) = update.last_consumption_timestamp {
        row.last_consumption_timestamp = Some(moment);
    }
    if let Some(date) = update.date_created {
        row.date_created = date;
    }
    row.date_updated = update.date_updated.unwrap_or(now);
    let row = store_updated(&mut change, &mut channel_row, row).await?;
    change.commit().await?;
    Ok(row)
}

/// Moves the calling user's read horizon forward, never back.
///
/// # Errors
/// 50400 when it is not a member; 50406 when the index is negative or no message has had it yet.
pub async fn consume(ctx: &Ctx, channel: &ChannelRef, index: i64) -> Result<member::Model> {
    let index = consumed_index(index)?;
    // Most reports move nothing: those need no lock.
    let access = channels::access(ctx, ctx.reader(), channel).await?;
    let index = std::cmp::min(index, access.channel.next_index - 1);
    let own = access.membership()?.clone();
    if index < 0
        || own
            .last_consumed_message_index
            .is_some_and(|horizon| horizon >= index)
    {
        return Ok(own);
    }
    let mut change = Change::begin(ctx).await?;
    let mut row = channels::lock(&change.tx, ctx.scope(), channel)
        .await?
        .ok_or_else(|| channels::missing(ctx, channel))?;
    let own = MemberRef::Identity(own.identity);
    let mut member = find(&change.tx, ctx.scope(), row.id, &own)
        .await?
        .ok_or(ErrorCode::NotAMember)?;
    if member
        .last_consumed_message_index
        .is_some_and(|horizon| horizon >= index)
    {
        return Ok(member);
    }
    member.last_consumed_message_index = Some(index);
    member.last_consumption_timestamp = Some(Timestamp::now());
    let member = store_updated(&mut change, &mut row, member).await?;
    change.commit().await?;
    Ok(member)
}

async fn store_updated(
    change: &mut Change<'_>,
    channel: &mut channel::Model,
    row: member::Model,
) -> Result<member::Model> {
    let row = row.into_active_model().reset_all().update(&change.tx).await?;
    change
        .record(channel, EventKind::MemberUpdated, |_| Resource::Member {
            member: Box::new(row.clone()),
            channel: None,
        })
        .await?;
    channels::store(&change.tx, channel).await?;
    Ok(row)
}

fn consumed_index(index: i64) -> Result<i64> {
    if index < 0 {
        Err(ErrorCode::ConsumedIndex.into())
    } else {
        Ok(index)
    }
}

/// A membership.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Member)]
pub struct MemberView {
    #[schema(value_type = String)]
    sid: MemberSid,
    #[schema(value_type = String)]
    account_sid: AccountSid,
    #[schema(value_type = String)]
    channel_sid: ChannelSid,
    #[schema(value_type = String)]
    service_sid: ServiceSid,
    identity: String,
    date_created: String,
    date_updated: String,
    #[schema(value_type = String)]
    role_sid: RoleSid,
    last_consumed_message_index: Option<i64>,
    last_consumption_timestamp: Option<String>,
    url: String,
    attributes: String,
}

/// The membership in its REST JSON.
#[must_use]
pub fn view(member: &member::Model, account: AccountSid, base: &BaseUrl) -> MemberView {
    MemberView {
        sid: member.id,
        account_sid: account,
        channel_sid: member.channel_id,
        service_sid: member.service_id,
        identity: member.identity.clone(),
        date_created: member.date_created.to_seconds_text(),
        date_updated: member.date_updated.to_seconds_text(),
        role_sid: member.role_id,
        last_consumed_message_index: member.last_consumed_message_index,
        last_consumption_timestamp: member.last_consumption_timestamp.map(Timestamp::to_seconds_text),
        url: format!(
            "{base}/v2/Services/{}/Channels/{}/Members/{}",
            member.service_id, member.channel_id, member.id
        ),
        attributes: member.attributes.clone(),
    }
}
