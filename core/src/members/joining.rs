//! Becoming a member: the user springs up, the limits hold, both sides are counted, and the channel's order has it.
//! One statement of each kind, whatever the number of members.

use std::collections::HashSet;

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait},
};

use super::{DEFAULT_NOTIFICATIONS, consumed_index};
use crate::{
    attribute_indexes::upkeep,
    change::Change,
    channels,
    ctx::Ctx,
    entities::{channel, member, user},
    error::{Error, ErrorCode, Result},
    events::{EventKind, Resource},
    input::{self, Identity},
    invites,
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

/// A member to be whose caller may add it.
#[derive(Debug, Clone)]
pub(crate) struct Joining {
    /// What was asked for.
    pub(crate) new: NewMember,
    /// Its role.
    pub(crate) role: RoleSid,
}

/// Inserts a membership into a locked channel in place of the user's invite, if it has one, counts it on both sides,
/// records the join and stores the channel.
///
/// # Errors
/// 50404 when it is one already; 50403 and 50208 at the limits; the code of the field that is wrong.
pub(crate) async fn begin(
    ctx: &Ctx,
    change: &mut Change<'_>,
    channel: &mut channel::Model,
    joining: Joining,
) -> Result<member::Model> {
    begin_all(ctx, change, channel, vec![Ok(joining)])
        .await?
        .pop()
        .unwrap_or_else(|| Err(Error::internal("a member to be was lost")))
}

/// Does so for many, in their order; who is refused is passed over. Answers what became of each.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn begin_all(
    ctx: &Ctx,
    change: &mut Change<'_>,
    channel: &mut channel::Model,
    joining: Vec<Result<Joining>>,
) -> Result<Vec<Result<member::Model>>> {
    let asked = joining.iter().flatten().map(|joining| &joining.new);
    let mut taken = present(&change.tx, channel, asked).await?;
    let mut room = ctx.service.limit_channel_members - channel.members_count;
    let mut checked: Vec<Result<member::Model>> = joining
        .into_iter()
        .map(|joining| {
            let joining = joining?;
            if taken.contains(joining.new.identity.as_str()) {
                return Err(ErrorCode::MemberExists.into());
            }
            let member = membership(ctx, channel, joining)?;
            if room <= 0 {
                return Err(channel_is_full(ctx));
            }
            room -= 1;
            taken.insert(member.identity.clone());
            Ok(member)
        })
        .collect();
    let identities: Vec<&str> = checked
        .iter()
        .flatten()
        .map(|member| member.identity.as_str())
        .collect();
    let users = users::ensure_all(ctx, change, &identities).await?;
    let mut seq = channel.last_seq;
    for slot in &mut checked {
        if let Ok(member) = slot {
            let joined = users
                .get(&member.identity)
                .map_or(0, |user| user.joined_channels_count);
            if joined >= ctx.service.limit_user_channels {
                *slot = Err(user_is_full(ctx));
            } else {
                seq += 1;
                member.joined_seq = seq;
            }
        }
    }
    let members: Vec<&member::Model> = checked.iter().flatten().collect();
    if members.is_empty() {
        return Ok(checked);
    }
    count_joined(
        change,
        ctx.scope(),
        members.iter().map(|member| member.identity.as_str()),
        1,
    )
    .await?;
    invites::fulfil(
        &change.tx,
        channel,
        members.iter().map(|member| member.identity.as_str()),
    )
    .await?;
    member::Entity::insert_many(members.iter().map(|member| (*member).clone().into_active_model()))
        .exec_without_returning(&change.tx)
        .await?;
    upkeep::added(&change.tx, members.iter().copied()).await?;
    let joined = members.into_iter().map(|member| {
        |channel: &mut channel::Model| {
            channel.members_count += 1;
            with_channel(member, channel)
        }
    });
    change
        .record_all(channel, EventKind::MemberJoined, joined)
        .await?;
    channels::store(&change.tx, channel).await?;
    Ok(checked)
}

/// Which of these are members already, by name.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn present<'i>(
    db: &impl ConnectionTrait,
    channel: &channel::Model,
    new: impl IntoIterator<Item = &'i NewMember>,
) -> Result<HashSet<String>> {
    let known: Vec<String> = member::Entity::find()
        .select_only()
        .column(member::Column::Identity)
        .filter(member::Column::ServiceId.eq(channel.service_id))
        .filter(member::Column::ChannelId.eq(channel.id))
        .filter(member::Column::Identity.is_in(new.into_iter().map(|new| new.identity.as_str())))
        .into_tuple()
        .all(db)
        .await?;
    Ok(known.into_iter().collect())
}

/// The row of a member to be; its place in the channel's order is still open.
fn membership(ctx: &Ctx, channel: &channel::Model, joining: Joining) -> Result<member::Model> {
    let Joining { new, role } = joining;
    let now = Timestamp::now();
    let horizon = new.last_consumed_message_index;
    let date_created = ctx.imported(new.date_created).unwrap_or(now);
    Ok(member::Model {
        service_id: ctx.scope(),
        channel_id: channel.id,
        id: MemberSid::generate(),
        identity: new.identity.as_str().to_owned(),
        role_id: role,
        attributes: input::small_attributes(new.attributes.as_deref().unwrap_or_default())?,
        last_consumed_message_index: horizon.map(consumed_index).transpose()?,
        last_consumption_timestamp: new.last_consumption_timestamp.or_else(|| horizon.map(|_| now)),
        notification_level: DEFAULT_NOTIFICATIONS.to_owned(),
        joined_seq: 0,
        date_created,
        date_updated: ctx.imported(new.date_updated).unwrap_or(date_created),
    })
}

fn channel_is_full(ctx: &Ctx) -> Error {
    Error::with(
        ErrorCode::ChannelMemberLimit,
        format!(
            "The channel's member limit of {} is reached (Limits.ChannelMembers)",
            ctx.service.limit_channel_members
        ),
    )
}

fn user_is_full(ctx: &Ctx) -> Error {
    Error::with(
        ErrorCode::UserChannelLimit,
        format!(
            "The user's channel limit of {} is reached (Limits.UserChannels)",
            ctx.service.limit_user_channels
        ),
    )
}

pub(super) fn with_channel(member: &member::Model, channel: &channel::Model) -> Resource {
    Resource::Member {
        member: Box::new(member.clone()),
        channel: Some(Box::new(channel.clone())),
    }
}

/// Counts a channel more or less at these users.
///
/// # Errors
/// Whatever the database refuses.
pub(super) async fn count_joined<'i>(
    change: &Change<'_>,
    service: ServiceSid,
    identities: impl IntoIterator<Item = &'i str>,
    by: i32,
) -> Result<()> {
    user::Entity::update_many()
        .col_expr(
            user::Column::JoinedChannelsCount,
            Expr::col(user::Column::JoinedChannelsCount).add(by),
        )
        .filter(user::Column::ServiceId.eq(service))
        .filter(user::Column::Identity.is_in(identities))
        .exec(&change.tx)
        .await?;
    Ok(())
}
