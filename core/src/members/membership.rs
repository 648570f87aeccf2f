//! Joining and leaving: each counted on both sides and recorded in the channel's order.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
    sea_query::{Expr, ExprTrait},
};

use super::{DEFAULT_NOTIFICATIONS, consumed_index, find, missing};
use crate::{
    change::Change,
    channels,
    ctx::{Caller, Ctx},
    db::is_duplicate,
    entities::{channel, member, user},
    error::{Error, ErrorCode, Result},
    events::{EventKind, Resource},
    input::{self, ChannelRef, Identity, MemberRef},
    permissions::Permission,
    roles,
    sid::{MemberSid, RoleSid, ServiceSid},
    timestamp::Timestamp,
    users,
};

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
